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

    def earliest(self, count: int = 1, *, now: float) -> float:
        """The first moment, not before `now`, at which `take(count)` can succeed."""
        excess = len(self._used_at) + count - self.limit
        if excess <= 0 or not self._used_at:
            return now
        return max(now, self._used_at[min(excess, len(self._used_at)) - 1] + self.window_s)

    def take(self, count: int = 1, *, now: float) -> bool:
        """Uses `count` at once, all or none; False when that would exceed the budget."""
        while self._used_at and self._used_at[0] + self.window_s <= now:
            self._used_at.popleft()
        # A request larger than the whole budget may go when the window is empty.
        if self._used_at and len(self._used_at) + count > self.limit:
            return False
        self._used_at.extend([now] * count)
        return True

    def pause(self, seconds: float, *, now: float) -> None:
        """The peer said when to come back: the budget is used up until then."""
        self._used_at.clear()
        self._used_at.extend([now + seconds - self.window_s] * self.limit)
