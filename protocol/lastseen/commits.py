"""When the position is made durable: one commit at a time, of what has been processed (R6)."""

import attrs

from lastseen.position import Position, PositionKeeper

__all__ = ["Commits"]


@attrs.define(eq=False)
class Commits:
    """Single-flight and coalescing; a failed commit is retried and never moves `durable`."""

    interval_s: float
    durable: Position = attrs.field(init=False, factory=Position)
    failed: bool = attrs.field(init=False, default=False)
    _number: int = attrs.field(init=False, default=0)
    _in_flight: Position | None = attrs.field(init=False, default=None)
    _not_before: float = attrs.field(init=False, default=float("-inf"))
    _seen_revision: int = attrs.field(init=False, default=0)
    _dirty: bool = attrs.field(init=False, default=False)

    def choose(self, position: PositionKeeper) -> Position:
        """What a commit makes durable: exactly what has been processed (R6)."""
        return position.value()

    def poll(
        self, position: PositionKeeper, *, flush: bool = False, now: float
    ) -> tuple[int, Position] | None:
        """The next commit, when one is wanted, allowed and not under way."""
        if position.revision != self._seen_revision:
            self._seen_revision = position.revision
            if not self._dirty:
                self._dirty = True
                self._not_before = max(self._not_before, now + self.interval_s)
        if self._in_flight is not None or not self._dirty:
            return None
        if now < self._not_before and (self.failed or not flush):
            return None
        self._dirty = False
        self._number += 1
        self._in_flight = self.choose(position)
        return self._number, self._in_flight

    def finished(self, commit: int, *, ok: bool, now: float) -> bool:
        """The store has answered; an answer to another commit is ignored, and False."""
        if commit != self._number or self._in_flight is None:
            return False
        self.failed = not ok
        if ok:
            self.durable = self._in_flight
        else:
            self._dirty = True
        self._in_flight = None
        self._not_before = now + self.interval_s
        return True

    def deadline(self) -> float | None:
        """When `poll` will have a commit to give."""
        return self._not_before if self._dirty and self._in_flight is None else None

    @property
    def settled(self) -> bool:
        """Nothing is under way and nothing waits."""
        return self._in_flight is None and not self._dirty
