"""When the next connection, or the next attempt at a snapshot, may start (R12, HZ-H1, HZ-H3)."""

from typing import Protocol, final

import attrs

__all__ = ["Backoff", "ConnectGate", "Rng"]

_JITTER_BITS = 32


class Rng(Protocol):
    """The one thing we ask of a source of randomness."""

    def getrandbits(self, k: int, /) -> int:
        """An integer of k random bits."""
        ...


def _uniform(rng: Rng, low: float, high: float) -> float:
    return low + (high - low) * (rng.getrandbits(_JITTER_BITS) / (1 << _JITTER_BITS))


@final
@attrs.frozen(kw_only=True)
class Backoff:
    """Delays that double up to a cap; each is drawn from [d/2, d] (design §5a)."""

    base_s: float
    cap_s: float

    def delay(self, failures: int, rng: Rng) -> float:
        """Seconds to wait after this many failures in a row, the first being 0."""
        # 2**n of an unbounded n is a very large integer for nothing.
        ceiling = min(self.cap_s, self.base_s * 2 ** min(failures, 60))
        return _uniform(rng, ceiling / 2, ceiling)


@attrs.define(eq=False)
class ConnectGate:
    """The one way to a connection attempt; every path back to connect passes it.

    Only a connection that stayed logged in for `stable_after_s` is good and resets the count. A
    planned move from a good connection waits a short jitter instead (HZ-D9); from one that is not
    good it is a failure like any other (HZ-D3).
    """

    backoff: Backoff
    rng: Rng
    stable_after_s: float
    planned_jitter_s: float
    failures: int = attrs.field(init=False, default=0)
    due_at: float | None = attrs.field(init=False, default=None)
    stable_at: float | None = attrs.field(init=False, default=None)

    def request(self, *, planned: bool = False, at_least_s: float = 0.0, now: float) -> float:
        """Asks for an attempt and returns its delay in seconds; one that is due already stays."""
        if self.due_at is not None:
            return max(0.0, self.due_at - now)
        good = self.failures == 0
        if planned and good:
            delay = _uniform(self.rng, 0.0, self.planned_jitter_s)
        else:
            delay = self.backoff.delay(self.failures, self.rng)
        self.failures += 1
        self.due_at = now + max(delay, at_least_s)
        return self.due_at - now

    def request_first(self, *, now: float) -> None:
        """Asks for the very first attempt, which waits for nothing."""
        self.due_at = now

    def is_due(self, *, now: float) -> bool:
        """Whether `take` would succeed."""
        return self.due_at is not None and now >= self.due_at

    def take(self, *, now: float) -> bool:
        """Uses up a due attempt; False when none is due."""
        if not self.is_due(now=now):
            return False
        self.due_at = None
        return True

    def logged_in(self, *, now: float) -> None:
        """A connection logged in: from now on it is on probation."""
        self.stable_at = now + self.stable_after_s

    def lost(self) -> None:
        """The logged-in connection is gone; what it had not proved it will not prove."""
        self.stable_at = None

    def settle(self, *, now: float) -> None:
        """Resets the count once the present connection has been good for long enough."""
        if self.stable_at is not None and now >= self.stable_at:
            self.stable_at = None
            self.failures = 0
