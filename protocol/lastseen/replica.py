"""A reference copy of the peer's state: replace at the unit, merge down to it (`facts` §6.0).

An application may use it or not; a session never does. Whoever keeps it durable takes its changes,
which are enough to bring another copy from the last taking to this one.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, final

import attrs

from lastseen.errors import PayloadError
from lastseen.events import Entry, Event, Proof, StateSnapshot
from lastseen.shapes import as_object

__all__ = ["Replica", "ReplicaChanges", "ScopeImage", "ScopeName", "StateDialect", "Unit"]


class StateDialect(Protocol):
    """What a dialect says of state; every dialect with state has it."""

    def units(self, entry: Entry) -> Mapping[str, Any]:
        """The units an entry replaces, by unit key; raises `PayloadError`."""
        ...

    def stamp(self, channel: str, value: Any) -> Any:
        """A unit's own time, comparable within its kind, or None when it carries none."""
        ...

    def view(self, units: Mapping[str, Any]) -> dict[str, Any]:
        """The units that a reader should see, and that can be compared with a snapshot."""
        ...


class Unit(NamedTuple):
    """What the wire replaces whole."""

    value: Any
    streamed: bool
    """Written by an entry; a snapshot's row may be newer than an entry that was in flight."""


ScopeName = tuple[str, str | None]
"""Channel and entity."""

_Scope = dict[str, Unit]


@final
@attrs.frozen(kw_only=True)
class ScopeImage:
    """One scope as it is: its units by key, and whether its base could not be proven (R11)."""

    unproven: bool
    units: Mapping[str, Unit] = attrs.field(repr=lambda units: f"<{len(units)} units>")


@final
@attrs.frozen(kw_only=True)
class ReplicaChanges:
    """What changed; no scope is in more than one of the three."""

    replaced: Mapping[ScopeName, ScopeImage]
    """Forget all that the copy has of these scopes, then write what is here."""
    removed: frozenset[ScopeName]
    written: Mapping[ScopeName, Mapping[str, Unit]]
    """Units of scopes that are otherwise as they were."""

    def __bool__(self) -> bool:
        return bool(self.replaced or self.removed or self.written)


@final
@attrs.define(eq=False, repr=False)
class Replica:
    """Units by key, kept per scope so that a snapshot replaces exactly its own.

    Entries of one channel are applied in the order they are delivered. Only against the rows of an
    unproven snapshot does a unit's own time decide, because such a snapshot may already contain
    what a later entry says (OP-A6, OP-A25).

    With `keep_omitted` a member that an update leaves out keeps its last value; the default takes
    it as not provided, as the vendor's snapshots do (OP-A26). With `tracked` the changes since the
    last `take_changes` are remembered: never more of them than there are units.
    """

    dialect: StateDialect
    keep_omitted: bool = False
    tracked: bool = False
    _scopes: dict[ScopeName, _Scope] = attrs.field(init=False, factory=dict[ScopeName, _Scope])
    _unproven: set[ScopeName] = attrs.field(init=False, factory=set[ScopeName])
    _replaced: set[ScopeName] = attrs.field(init=False, factory=set[ScopeName])
    """Replaced or removed since the changes were last taken."""
    _written: dict[ScopeName, set[str]] = attrs.field(init=False, factory=dict[ScopeName, set[str]])

    def apply(self, event: Event) -> None:
        """Takes any event and acts on entries and snapshots.

        Raises `PayloadError` when an entry's payload is not what its channel promises; nothing has
        changed then, and the entry should be rejected.
        """
        if isinstance(event, Entry):
            units = self.dialect.units(event)
            name = (event.channel, event.entity)
            if not units:
                return
            scope = self._scopes.get(name)
            if scope is None:
                scope = self._scopes[name] = {}
                self._note_replaced(name)
            self._write(name, scope, event, units)
        elif type(event) is StateSnapshot:
            self._replace(event)

    def state(self) -> dict[str, Any]:
        """Every unit that a reader should see, by key."""
        units = {key: unit.value for scope in self._scopes.values() for key, unit in scope.items()}
        return self.dialect.view(units)

    def __len__(self) -> int:
        return sum(len(scope) for scope in self._scopes.values())

    def load(self, scopes: Mapping[ScopeName, ScopeImage]) -> None:
        """Starts from a kept copy; nothing of it counts as a change."""
        self._scopes = {name: dict(image.units) for name, image in scopes.items()}
        self._unproven = {name for name, image in scopes.items() if image.unproven}
        self._replaced.clear()
        self._written.clear()

    def take_changes(self) -> ReplicaChanges:
        """What changed since the last call, as it is now; the values are shared, not copied."""
        present = self._replaced & self._scopes.keys()
        changes = ReplicaChanges(
            replaced={name: self._image(name) for name in present},
            removed=frozenset(self._replaced - present),
            written={
                name: {key: self._scopes[name][key] for key in keys}
                for name, keys in self._written.items()
            },
        )
        self._replaced = set()
        self._written = {}
        return changes

    def put_back(self, changes: ReplicaChanges) -> None:
        """Changes that were taken could not be kept: they count as changes again."""
        for name in (*changes.replaced, *changes.removed):
            self._note_replaced(name)
        for name, units in changes.written.items():
            if name in self._scopes and name not in self._replaced:
                self._written.setdefault(name, set()).update(units)

    def _image(self, name: ScopeName) -> ScopeImage:
        return ScopeImage(unproven=name in self._unproven, units=dict(self._scopes[name]))

    def _note_replaced(self, name: ScopeName) -> None:
        if self.tracked:
            self._replaced.add(name)
            self._written.pop(name, None)

    def _replace(self, snapshot: StateSnapshot) -> None:
        if snapshot.entities is not None:
            for name in list(self._scopes):
                if name[0] == snapshot.channel and name[1] not in snapshot.entities:
                    del self._scopes[name]
                    self._unproven.discard(name)
                    self._note_replaced(name)
            return
        name = (snapshot.channel, snapshot.entity)
        if snapshot.proof is Proof.UNPROVEN:
            self._unproven.add(name)
        else:
            self._unproven.discard(name)
        # Before it is written to: what the overlay writes is part of what replaces.
        self._note_replaced(name)
        # Built aside and put in place at once: no reader sees a mixture (INV-S9).
        scope = {key: Unit(value, streamed=False) for key, value in snapshot.rows.items()}
        for entry in snapshot.overlay:
            try:
                units = self.dialect.units(entry)
            except PayloadError:
                # Delivered before, and to be rejected there: its scope resyncs for that.
                continue
            self._write(name, scope, entry, units)
        self._scopes[name] = scope

    def _write(
        self, name: ScopeName, scope: _Scope, entry: Entry, units: Mapping[str, Any]
    ) -> None:
        unproven = name in self._unproven
        for key, value in units.items():
            present = scope.get(key)
            if present is not None:
                if unproven and not present.streamed and self._is_older(entry, value, present):
                    continue
                if self.keep_omitted:
                    value = _merged(present.value, value)
            scope[key] = Unit(value, streamed=True)
            if self.tracked and name not in self._replaced:
                self._written.setdefault(name, set()).add(key)

    def _is_older(self, entry: Entry, value: Any, present: Unit) -> bool:
        ours = self.dialect.stamp(entry.channel, value)
        theirs = self.dialect.stamp(entry.channel, present.value)
        return ours is not None and theirs is not None and ours < theirs


def _merged(present: Any, value: Any) -> Any:
    """Members that the newer value leaves out; a unit may also be a plain number (OP-A14)."""
    older, newer = as_object(present), as_object(value)
    if older is None or newer is None:
        return value
    return {**older, **newer}
