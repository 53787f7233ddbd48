"""Moments at which the gateway has something to do."""

import enum
import heapq

import attrs

__all__ = ["Alarm", "Alarms", "Timer"]


class Timer(enum.Enum):
    """Why the gateway wants to be woken."""

    OPENING = "opening"
    TICK = "tick"
    FAULT = "fault"
    LOGIN = "login_timeout"
    REPLAY = "replay"
    RESUME_COMPLETE = "resume_complete"
    GRACE = "reconnect_grace"
    STALL_ENDS = "stall_ends"
    REORDER_ENDS = "reorder_ends"
    LISTENER = "listener_returns"
    SUPERSEDE = "supersede"


@attrs.frozen(kw_only=True)
class Alarm:
    """One moment; `connection` is the driver's number where one is meant."""

    at: float
    order: int
    timer: Timer
    connection: int | None = None


@attrs.define(eq=False)
class Alarms:
    """The pending alarms, soonest first, in the order of setting where moments are equal."""

    _heap: list[tuple[float, int, Alarm]] = attrs.field(
        init=False, factory=list[tuple[float, int, Alarm]]
    )
    _order: int = attrs.field(init=False, default=0)

    @property
    def last_order(self) -> int:
        """The number of the alarm set last."""
        return self._order

    def set(self, timer: Timer, at: float, *, connection: int | None = None) -> None:
        """Adds an alarm; one that is no longer wanted is ignored by whoever handles it."""
        self._order += 1
        alarm = Alarm(at=at, order=self._order, timer=timer, connection=connection)
        heapq.heappush(self._heap, (at, self._order, alarm))

    def soonest(self) -> Alarm | None:
        """The next alarm, left in place."""
        return self._heap[0][2] if self._heap else None

    def take(self) -> Alarm:
        """The next alarm, taken out."""
        return heapq.heappop(self._heap)[2]
