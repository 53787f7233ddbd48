"""Never more than so many in any window of time (INV-S14, HZ-H10)."""

from collections import deque

import attrs

__all__ = ["Budget"]


@attrs.define(eq=False)
class Budget:
    """At most `limit` uses in any `window_s` seconds, wherever the window starts.

    A token bucket of the same rate lets twice as many through around a refill, which is what a
    server with a rolling window answers with 429.
    """

    limit: int
    window_s: float
    _used_at: deque[float] = attrs.field(init=False, factory=deque[float])
    _paused_until: float = attrs.field(init=False, default=float("-inf"))

    def earliest(self, count: int = 1, *, now: float) -> float:
        """The first moment, not before `now`, at which `take(count)` can succeed."""
        earliest = max(now, self._paused_until)
        excess = len(self._used_at) + count - self.limit
        if excess <= 0 or not self._used_at:
            return earliest
        return max(earliest, self._used_at[min(excess, len(self._used_at)) - 1] + self.window_s)

    def take(self, count: int = 1, *, now: float) -> bool:
        """Uses `count` at once, all or none; False when that would exceed the budget."""
        while self._used_at and self._used_at[0] + self.window_s <= now:
            self._used_at.popleft()
        # A request larger than the whole budget may go when the window is empty.
        full = len(self._used_at) + count > self.limit
        if now < self._paused_until or (self._used_at and full):
            return False
        self._used_at.extend([now] * count)
        return True

    def record(self, *, now: float) -> None:
        """A use that was allowed before is over only now, and counts from here."""
        while self._used_at and self._used_at[0] + self.window_s <= now:
            self._used_at.popleft()
        self._used_at.append(now)

    def pause(self, seconds: float, *, now: float) -> None:
        """The peer said when to come back: nothing until then, and nothing is forgotten."""
        self._paused_until = max(self._paused_until, now + seconds)
