"""What a client with a replica makes durable: position and state, in one record (R6, R9)."""

from collections.abc import Mapping
from typing import Generic, TypeVar, final

import attrs

from lastseen.position import Position
from lastseen.replica import Replica, ScopeImage, ScopeName

__all__ = ["Image", "Record"]

K = TypeVar("K")


@final
@attrs.frozen(eq=False)
class Record(Generic[K]):
    """What one commit makes durable; `kept` is what the watch has to go back to with it."""

    position: Position = attrs.field(factory=Position)
    scopes: Mapping[ScopeName, ScopeImage] = attrs.field(factory=dict[ScopeName, ScopeImage])
    kept: K | None = None


@final
@attrs.define(eq=False)
class Image:
    """The replica as of the last commit, brought up to date by what changed since."""

    _scopes: dict[ScopeName, ScopeImage] = attrs.field(factory=dict[ScopeName, ScopeImage])

    def load(self, scopes: Mapping[ScopeName, ScopeImage]) -> None:
        """Starts from what is durable."""
        self._scopes = dict(scopes)

    def taken(self, replica: Replica) -> dict[ScopeName, ScopeImage]:
        """All of a replica, fixed now: later events are not in what is committed."""
        changes, scopes = replica.take_changes(), self._scopes
        for name in changes.removed:
            scopes.pop(name, None)
        for name, image in changes.replaced.items():
            scopes[name] = image
        for name, units in changes.written.items():
            before = scopes.get(name)
            merged = {**(before.units if before is not None else {}), **units}
            unproven = before.unproven if before is not None else False
            scopes[name] = ScopeImage(unproven=unproven, units=merged)
        return dict(scopes)
