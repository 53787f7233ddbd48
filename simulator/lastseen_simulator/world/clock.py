"""Virtual time: moments, and what is due at them."""

import heapq
from collections.abc import Callable
from typing import final

import attrs

__all__ = ["Clock"]

_Due = tuple[float, int, Callable[[], None]]


@final
@attrs.define(eq=False)
class Clock:
    """Things that are due, in order of time; ties in the order in which they were set."""

    now: float = 0.0
    steps: int = 0
    """How many things were done."""
    _due: list[_Due] = attrs.field(init=False, factory=list[_Due])
    _set: int = attrs.field(init=False, default=0)

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Does something at a moment, or at once when it has passed."""
        self._set += 1
        heapq.heappush(self._due, (moment, self._set, act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Does something after so long."""
        self.at(self.now + seconds, act)

    def step(self, until: float) -> bool:
        """Goes to the next thing that is due and does it; False when there is none by then."""
        if not self._due or self._due[0][0] > until:
            self.now = max(self.now, until)
            return False
        moment, _, act = heapq.heappop(self._due)
        if moment > self.now:
            self.now = moment
        self.steps += 1
        act()
        return True
