"""The rows that one commit changes, and what then must be in the file; thrown away if it fails."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from typing import final

import attrs

from lastseen.position import Position
from lastseen.replica import ReplicaChanges, ScopeImage, ScopeName, Unit
from lastseen_trio.state_rows import Row, StoredScope, UnstorableError, encode_unit, scope_crc

__all__ = ["Draft"]

_UPSERT = "INSERT OR REPLACE INTO units (scope, key, value, streamed, crc) VALUES (?, ?, ?, ?, ?)"


@final
@attrs.define(eq=False, kw_only=True)
class Draft:
    """Inside a transaction: writes units and keeps the books about them.

    A scope with a unit that cannot be stored is not stored at all, and its channel keeps no cursor
    in the file for as long as that lasts: the channel then starts cold, and nothing else suffers.
    """

    connection: sqlite3.Connection
    scopes: dict[ScopeName, StoredScope]
    unstorable: set[ScopeName]
    row_count: int
    """Of `scopes` and `units`."""
    crc_sum: int
    _ids: Iterator[int] = attrs.field(init=False)
    """None of them is in use."""

    def __attrs_post_init__(self) -> None:
        used = (scope.id for scope in self.scopes.values())
        self._ids = count(max(used, default=0) + 1)

    def apply(self, changes: ReplicaChanges, stale: Collection[ScopeName]) -> None:
        """Forgets `stale`, then brings the file from the changes before to these."""
        for name in stale:
            self._remove(name)
        for name in changes.removed:
            self.unstorable.discard(name)
            self._remove(name)
        for name, image in changes.replaced.items():
            self.unstorable.discard(name)
            self._guarded(name, image.units, image)
        for name, units in changes.written.items():
            if name not in self.unstorable:
                self._guarded(name, units, None)

    def storable(self, position: Position) -> Position:
        """Without the cursors and tokens of channels that are not whole in the file (R9)."""
        lacking = {channel for channel, _ in self.unstorable}
        cursors = tuple(pair for pair in position.cursors if pair[0] not in lacking)
        tokens = tuple(pair for pair in position.tokens if pair[0] not in lacking)
        return attrs.evolve(position, cursors=cursors, tokens=tokens)

    def _guarded(
        self, name: ScopeName, units: Mapping[str, Unit], image: ScopeImage | None
    ) -> None:
        try:
            scope = self._scope(name, None if image is None else image.unproven)
            rows = [encode_unit(scope.id, key, unit) for key, unit in units.items()]
        except UnstorableError:
            self.unstorable.add(name)
            self._remove(name)
            return
        if image is None:
            self._upsert(scope, rows)
        else:
            self._replace(scope, rows)

    def _scope(self, name: ScopeName, unproven: bool | None) -> StoredScope:
        """The scope's row, as it is to be; `unproven` None leaves it as it was."""
        present = self.scopes.get(name)
        if present is not None and unproven in (None, present.unproven):
            return present
        number = next(self._ids) if present is None else present.id
        unproven = bool(unproven)
        scope = StoredScope(number, unproven, scope_crc(number, *name, unproven))
        self.connection.execute(
            "INSERT OR REPLACE INTO scopes (id, channel, entity, unproven, crc)"
            " VALUES (?, ?, ?, ?, ?)",
            (number, *name, int(unproven), scope.crc),
        )
        self._count(1 if present is None else 0, scope.crc - (present.crc if present else 0))
        self.scopes[name] = scope
        return scope

    def _upsert(self, scope: StoredScope, rows: list[Row]) -> None:
        find = self.connection.cursor().execute
        for _, key, _, _, crc in rows:
            found = find(
                "SELECT crc FROM units WHERE scope = ? AND key = ?", (scope.id, key)
            ).fetchone()
            self._count(1 if found is None else 0, crc - (found[0] if found else 0))
        self.connection.executemany(_UPSERT, rows)

    def _replace(self, scope: StoredScope, rows: list[Row]) -> None:
        """Touches only what differs: most rows of a snapshot fetched again do not."""
        old: dict[str, Row] = {
            row[1]: row
            for row in self.connection.execute(
                "SELECT scope, key, value, streamed, crc FROM units WHERE scope = ?", (scope.id,)
            )
        }
        changed = [row for row in rows if old.get(row[1]) != row]
        gone = old.keys() - {row[1] for row in rows}
        self.connection.executemany(
            "DELETE FROM units WHERE scope = ? AND key = ?", [(scope.id, key) for key in gone]
        )
        self.connection.executemany(_UPSERT, changed)
        self._count(len(rows) - len(old), _sum(rows) - _sum(old.values()))

    def _remove(self, name: ScopeName) -> None:
        scope = self.scopes.pop(name, None)
        if scope is None:
            return
        ((rows, crcs),) = self.connection.execute(
            "SELECT count(*), coalesce(sum(crc), 0) FROM units WHERE scope = ?", (scope.id,)
        )
        self.connection.execute("DELETE FROM units WHERE scope = ?", (scope.id,))
        self.connection.execute("DELETE FROM scopes WHERE id = ?", (scope.id,))
        self._count(-1 - rows, -scope.crc - crcs)

    def _count(self, rows: int, crcs: int) -> None:
        self.row_count += rows
        self.crc_sum += crcs


def _sum(rows: Iterable[Row]) -> int:
    return sum(row[4] for row in rows)
