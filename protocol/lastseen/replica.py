"""A reference copy of the peer's state: replace at the unit, merge down to it (`facts` §6.0).

An application may use it or not; a session never does.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, final

import attrs

from lastseen.dialect import Dialect
from lastseen.errors import PayloadError
from lastseen.events import Entry, Event, Proof, StateSnapshot

__all__ = ["Replica"]


class _Unit(NamedTuple):
    value: Any
    streamed: bool
    """Written by an entry; a snapshot's row may be newer than an entry that was in flight."""


_Scope = dict[str, _Unit]
_Name = tuple[str, str | None]


@final
@attrs.define(eq=False, repr=False)
class Replica:
    """Units by key, kept per scope so that a snapshot replaces exactly its own.

    Entries of one channel are applied in the order they are delivered. Only against the rows of an
    unproven snapshot does a unit's own time decide, because such a snapshot may already contain
    what a later entry says (OP-A6, OP-A25).

    With `keep_omitted` a member that an update leaves out keeps its last value; the default takes
    it as not provided, as the vendor's snapshots do (OP-A26).
    """

    dialect: Dialect
    keep_omitted: bool = False
    _scopes: dict[_Name, _Scope] = attrs.field(init=False, factory=dict[_Name, _Scope])
    _unproven: set[_Name] = attrs.field(init=False, factory=set[_Name])

    def apply(self, event: Event) -> None:
        """Takes any event and acts on entries and snapshots.

        Raises `PayloadError` when an entry's payload is not what its channel promises; nothing has
        changed then, and the entry should be rejected.
        """
        if isinstance(event, Entry):
            units = self.dialect.units(event)
            scope = self._scopes.setdefault((event.channel, event.entity), {})
            self._write(scope, event, units)
        elif type(event) is StateSnapshot:
            self._replace(event)

    def state(self) -> dict[str, Any]:
        """Every unit that a reader should see, by key."""
        units = {key: unit.value for scope in self._scopes.values() for key, unit in scope.items()}
        return self.dialect.view(units)

    def __len__(self) -> int:
        return sum(len(scope) for scope in self._scopes.values())

    def _replace(self, snapshot: StateSnapshot) -> None:
        if snapshot.entities is not None:
            for name in list(self._scopes):
                if name[0] == snapshot.channel and name[1] not in snapshot.entities:
                    del self._scopes[name]
                    self._unproven.discard(name)
            return
        name = (snapshot.channel, snapshot.entity)
        if snapshot.proof is Proof.UNPROVEN:
            self._unproven.add(name)
        else:
            self._unproven.discard(name)
        # Built aside and put in place at once: no reader sees a mixture (INV-S9).
        scope = {key: _Unit(value, streamed=False) for key, value in snapshot.rows.items()}
        for entry in snapshot.overlay:
            try:
                units = self.dialect.units(entry)
            except PayloadError:
                # Delivered before, and to be rejected there: its scope resyncs for that.
                continue
            self._write(scope, entry, units)
        self._scopes[name] = scope

    def _write(self, scope: _Scope, entry: Entry, units: Mapping[str, Any]) -> None:
        unproven = (entry.channel, entry.entity) in self._unproven
        for key, value in units.items():
            present = scope.get(key)
            if present is not None:
                if unproven and not present.streamed and self._is_older(entry, value, present):
                    continue
                if self.keep_omitted:
                    value = {**present.value, **value}
            scope[key] = _Unit(value, streamed=True)

    def _is_older(self, entry: Entry, value: Any, present: _Unit) -> bool:
        ours = self.dialect.stamp(entry.channel, value)
        theirs = self.dialect.stamp(entry.channel, present.value)
        return ours is not None and theirs is not None and ours < theirs
