"""When the position is made durable: one commit at a time, of what has been processed (R6)."""

import attrs

from lastseen.position import Position, PositionKeeper

__all__ = ["Commits"]


@attrs.define(eq=False)
class Commits:
    """Single-flight and coalescing; a failed commit is retried and never moves `durable`.

    What is processed waits at most `interval_s`, or until there are `items_max` of it, unless the
    commit before is still under way. After a failure the wait doubles, up to `retry_cap_s`.
    """

    interval_s: float
    items_max: int
    retry_cap_s: float
    durable: Position = attrs.field(init=False, factory=Position)
    failures: int = attrs.field(init=False, default=0)
    """In a row."""
    _number: int = attrs.field(init=False, default=0)
    _in_flight: Position | None = attrs.field(init=False, default=None)
    _not_before: float = attrs.field(init=False, default=float("-inf"))
    _seen_revision: int = attrs.field(init=False, default=0)
    _items: int = attrs.field(init=False, default=0)
    """Processed, and in no commit."""
    _dirty: bool = attrs.field(init=False, default=False)
    _hurried: bool = attrs.field(init=False, default=False)

    def restored(self, position: Position) -> None:
        """A store brought this position back: it is durable already."""
        self.durable = position

    def note(self, items: int) -> None:
        """So many events more have been processed."""
        self._items += items

    def hurry(self) -> None:
        """Lets the next commit wait for nothing but the one before; not after a failure."""
        self._hurried = True

    def choose(self, position: PositionKeeper) -> Position:
        """What a commit makes durable: exactly what has been processed (R6)."""
        return position.value()

    def poll(
        self, position: PositionKeeper, *, cold: bool = False, flush: bool = False, now: float
    ) -> tuple[int, Position] | None:
        """The next commit, when one is wanted, allowed and not under way.

        With `cold` it holds no cursor: those there are describe a subscription that is given up.
        `flush` lets nothing wait that has not failed before.
        """
        if (self._items or position.revision != self._seen_revision) and not self._dirty:
            self._dirty = True
            self._not_before = max(self._not_before, now + self.interval_s)
        self._seen_revision = position.revision
        if self._in_flight is not None or not self._dirty:
            return None
        at_once = flush or self._hurried or self._items >= self.items_max
        if now < self._not_before and (self.failures or not at_once):
            return None
        self._dirty, self._hurried, self._items = False, False, 0
        self._number += 1
        self._in_flight = Position() if cold else self.choose(position)
        return self._number, self._in_flight

    def finished(self, commit: int, *, ok: bool, now: float) -> bool:
        """The store has answered; an answer to another commit is ignored, and False."""
        if commit != self._number or self._in_flight is None:
            return False
        if ok:
            self.failures = 0
            self.durable = self._in_flight
        else:
            self.failures += 1
            self._dirty = True
        self._in_flight = None
        wait_s = self.interval_s * 2 ** min(self.failures, 16)
        self._not_before = now + (min(wait_s, self.retry_cap_s) if self.failures else wait_s)
        return True

    def deadline(self) -> float | None:
        """When `poll` will have a commit to give."""
        return self._not_before if self._dirty and self._in_flight is None else None

    @property
    def settled(self) -> bool:
        """Nothing is under way and nothing waits."""
        return self._in_flight is None and not self._dirty
