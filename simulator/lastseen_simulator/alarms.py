"""Moments at which a gateway has something to do."""

import enum
import heapq
from collections.abc import Callable
from typing import NamedTuple, final

import attrs

__all__ = ["Alarm", "Alarms", "Rhythm", "Timer"]


class Timer(enum.Enum):
    """Why a gateway wants to be woken, whatever it speaks; each dialect has more of its own."""

    OPENING = "opening"
    TICK = "tick"
    FAULT = "fault"
    STALL_ENDS = "stall_ends"
    REORDER_ENDS = "reorder_ends"
    LISTENER = "listener_returns"


@final
class Alarm(NamedTuple):
    """One moment; `connection` is the driver's number where one is meant."""

    at: float
    order: int
    timer: enum.Enum
    connection: int | None = None


@final
class Rhythm(NamedTuple):
    """Something that keeps its own time: when it happens next (None is never), and how."""

    timer: enum.Enum
    next_at: Callable[[], float | None]
    happen: Callable[[float], None]


@attrs.define(eq=False)
class Alarms:
    """The pending alarms, soonest first, in the order of setting where moments are equal."""

    _heap: list[tuple[float, int, Alarm]] = attrs.field(
        init=False, factory=list[tuple[float, int, Alarm]]
    )
    _order: int = attrs.field(init=False, default=0)

    def set(self, timer: enum.Enum, at: float, *, connection: int | None = None) -> None:
        """Adds an alarm; one that is no longer wanted is ignored by whoever handles it."""
        self._order += 1
        alarm = Alarm(at=at, order=self._order, timer=timer, connection=connection)
        heapq.heappush(self._heap, (at, self._order, alarm))

    def deadline(self, *rhythms: Rhythm) -> tuple[float, str] | None:
        """The next moment of all and its reason, None when there is none."""
        moments = [(each.at, each.timer.value) for _, _, each in self._heap[:1]]
        for rhythm in rhythms:
            at = rhythm.next_at()
            if at is not None:
                moments.append((at, rhythm.timer.value))
        return min(moments, default=None)

    def ring(self, happen: Callable[[Alarm], None], *rhythms: Rhythm, now: float) -> None:
        """Lets everything happen that is due, in order; alarms first where moments are equal.

        Alarms set meanwhile wait for the next call, so that the driver can speak in between.
        """
        newest = self._order
        while True:
            due, first = now, None
            for rhythm in reversed(rhythms):
                at = rhythm.next_at()
                if at is not None and at <= due:
                    due, first = at, rhythm
            if self._heap and self._heap[0][0] <= due and self._heap[0][1] <= newest:
                happen(heapq.heappop(self._heap)[2])
            elif first is not None:
                first.happen(now)
            else:
                return
