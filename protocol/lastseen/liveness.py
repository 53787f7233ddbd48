"""Is the peer still there? Any bytes are life; silence is asked about once (HZ-I3, HZ-I4)."""

from enum import Enum

import attrs

__all__ = ["Liveness", "Pulse"]


class Pulse(Enum):
    """What the clock says about a connection."""

    ALIVE = "alive"
    ASK = "ask"
    DEAD = "dead"


@attrs.define(eq=False)
class Liveness:
    """One connection's silence: a ping after `interval_s`, given up `timeout_s` later.

    OddsPapi's template uses 20 s and 20 s (`facts/oddspapi.md` §7). A clock that jumped past both
    at once means a suspended machine: that is a loss, not a reason to ask.
    """

    interval_s: float
    timeout_s: float
    heard_at: float
    _asked: bool = attrs.field(init=False, default=False)

    def heard(self, *, now: float) -> None:
        """Bytes came from the peer."""
        self.heard_at = now
        self._asked = False

    def deadline(self) -> float:
        """When `check` will have something to say."""
        return self.heard_at + self.interval_s + (self.timeout_s if self._asked else 0.0)

    def check(self, *, now: float) -> Pulse:
        """What to do at this moment; asks once per silence."""
        if now >= self.heard_at + self.interval_s + self.timeout_s:
            return Pulse.DEAD
        if not self._asked and now >= self.heard_at + self.interval_s:
            self._asked = True
            return Pulse.ASK
        return Pulse.ALIVE
