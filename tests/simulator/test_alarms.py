"""Whatever is due happens in its order, and what it sets waits for the next time."""

import enum

from lastseen_simulator.alarms import Alarm, Alarms, Rhythm, Timer


class OwnTimer(enum.Enum):
    SOON = "soon"
    LATER = "later"


class Clock:
    """Happens every so many seconds, and writes down that it did."""

    def __init__(self, told: list[str], every_s: float, name: str) -> None:
        self.next: float | None = every_s
        self.told, self.every_s, self.name = told, every_s, name

    def rhythm(self) -> Rhythm:
        return Rhythm(timer=Timer.TICK, next_at=lambda: self.next, happen=self.happen)

    def happen(self, now: float) -> None:
        self.told.append(self.name)
        assert self.next is not None
        assert self.next <= now
        self.next += self.every_s


def test_alarms_and_rhythms_happen_in_the_order_of_their_moments() -> None:
    alarms, told = Alarms(), list[str]()
    alarms.set(OwnTimer.LATER, 5.0)
    alarms.set(OwnTimer.SOON, 1.5, connection=7)
    fast, slow = Clock(told, 1.0, "fast"), Clock(told, 2.0, "slow")

    def ring(alarm: Alarm) -> None:
        told.append(f"{alarm.timer.value} {alarm.connection}")

    alarms.ring(ring, fast.rhythm(), slow.rhythm(), now=2.0)

    # At two seconds both are due: the one named first goes first.
    assert told == ["fast", "soon 7", "fast", "slow"]
    assert alarms.deadline(fast.rhythm(), slow.rhythm()) == (3.0, "tick")
    assert alarms.deadline() == (5.0, "later")


def test_an_alarm_set_meanwhile_waits_for_the_next_call() -> None:
    alarms, told = Alarms(), list[str]()
    alarms.set(OwnTimer.SOON, 1.0)

    def ring(alarm: Alarm) -> None:
        told.append(alarm.timer.value)
        alarms.set(OwnTimer.LATER, 1.0)

    alarms.ring(ring, now=1.0)
    assert told == ["soon"]
    alarms.ring(ring, now=1.0)

    assert told == ["soon", "later"]


def test_alarms_of_one_moment_ring_in_the_order_of_their_setting_and_before_rhythms() -> None:
    alarms, told = Alarms(), list[str]()
    for number in (3, 1, 2):
        alarms.set(OwnTimer.SOON, 1.0, connection=number)
    clock = Clock(told, 1.0, "clock")

    alarms.ring(lambda alarm: told.append(str(alarm.connection)), clock.rhythm(), now=1.0)

    assert told == ["3", "1", "2", "clock"]


def test_nothing_happens_early_and_a_rhythm_may_rest() -> None:
    alarms, told = Alarms(), list[str]()
    clock = Clock(told, 1.0, "clock")
    alarms.set(OwnTimer.SOON, 1.0)

    alarms.ring(lambda alarm: told.append(str(alarm)), clock.rhythm(), now=0.999)
    assert told == []
    clock.next = None

    assert alarms.deadline(clock.rhythm()) == (1.0, "soon")
    assert Alarms().deadline(clock.rhythm()) is None
