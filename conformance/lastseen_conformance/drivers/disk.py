"""What an in-process client keeps: a replica, and a disk that is two values."""

from collections.abc import Collection
from typing import final

import attrs

from lastseen.position import Position
from lastseen.replica import Replica, ScopeImage, ScopeName
from lastseen.snapshots import ScopeKey

__all__ = ["Disk", "Kept"]


@final
@attrs.define(eq=False)
class Disk:
    """What a client has made durable: it outlives the client's lives."""

    position: Position = attrs.field(factory=Position)
    scopes: dict[ScopeName, ScopeImage] = attrs.field(factory=dict[ScopeName, ScopeImage])


@final
@attrs.define(eq=False)
class Kept:
    """A tracked replica and the disk it goes to; without a disk nothing outlives the client."""

    replica: Replica
    disk: Disk | None
    _scopes: dict[ScopeName, ScopeImage] = attrs.field(
        init=False, factory=dict[ScopeName, ScopeImage]
    )

    def load(self) -> tuple[Position, Collection[ScopeKey]]:
        """Brings back what the disk has: a position, and the scopes whose state is there."""
        if self.disk is None:
            return Position(), frozenset()
        position = self.disk.position
        self.replica.load(self.disk.scopes)
        self._scopes = dict(self.disk.scopes)
        named = [name for name, _ in (*position.cursors, *position.tokens)]
        held = {ScopeKey(name, None) for name in named}
        return position, frozenset(held | {ScopeKey(*name) for name in self.disk.scopes})

    def image(self) -> dict[ScopeName, ScopeImage]:
        """Everything the replica has, fixed now: later events are not in what is committed (R6)."""
        if self.disk is None:
            return {}
        changes = self.replica.take_changes()
        for name in changes.removed:
            self._scopes.pop(name, None)
        for name, image in changes.replaced.items():
            self._scopes[name] = image
        for name, units in changes.written.items():
            before = self._scopes.get(name)
            merged = {**(before.units if before is not None else {}), **units}
            unproven = before.unproven if before is not None else False
            self._scopes[name] = ScopeImage(unproven=unproven, units=merged)
        return dict(self._scopes)

    def write(self, position: Position, image: dict[ScopeName, ScopeImage]) -> None:
        """Both at once."""
        if self.disk is not None:
            self.disk.position, self.disk.scopes = position, image
