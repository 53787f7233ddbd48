"""What befalls a client of any dialect: its connection, its application and its disk."""

from collections.abc import Sequence
from typing import Any, Final

from lastseen_simulator.world.draw import Dice, Menu, fault
from lastseen_simulator.world.plan import Action

__all__ = ["APPLICATION", "LINK", "SLOW", "crash", "cut", "ended_at", "lagging", "publications"]

_ENDINGS: Final = ("drop", "reset", "half_open")


def cut(dice: Dice) -> dict[str, Any]:
    """The connection breaks, for one side or both; some of what was under way still arrives."""
    heard = dice.one_of(("both", "both", "client", "gateway"))
    return {"what": "cut", "heard": heard, "keep": dice.whole(0, 3)}


def crash(dice: Dice) -> dict[str, Any]:
    """The client goes down: now, or when its disk next reaches a stage of a write.

    It may forget a channel while it is down: its state is gone, and the position is not (R9).
    """
    made: dict[str, Any] = {
        "what": "crash",
        "fate": dice.one_of(("lost", "kept", "torn")),
        "seconds": dice.between(0.01, 2.0),
    }
    if dice.chance(0.15):
        made["forgets"] = dice.whole(0, 3)
    if dice.chance(0.6):
        made["in_write"] = dice.one_of(("begun", "written", "written", "synced"))
    return made


def ended_at(
    dice: Dice, inside: Sequence[str], boundaries: Sequence[str], *more: str
) -> dict[str, Any]:
    """A connection ends inside a frame of one of these kinds, or at one of these boundaries."""
    kind = dice.one_of((*_ENDINGS, *more))
    if dice.chance(0.4):
        where = f"inside {dice.one_of(inside)} byte {dice.whole(0, 40)}"
    else:
        where = dice.one_of(boundaries)
    return fault(kind, at=where, times=dice.whole(1, 3))


def publications(
    dice: Dice, channels: tuple[str, ...], until: float, *, most: int, burst: int
) -> list[Action]:
    """Entries of these channels: 2 to `most` moments, some with up to `burst` at once."""
    made: list[Action] = []
    for _ in range(dice.whole(2, most)):
        values: dict[str, Any] = {"channel": dice.one_of(channels)}
        if dice.chance(0.3):
            values["times"] = dice.whole(2, burst)
        made.append(Action(at=dice.between(0.1, until), what="publish", values=values))
    return made


def lagging(dice: Dice, channels: Sequence[str], until: float) -> list[Action]:
    """The application is behind when the connection ends: what waits for it comes once more."""
    at = dice.between(0.2, 0.7) * until
    channel = dice.one_of(channels)
    slow = {"seconds": dice.between(2.0, 5.0), "pace_s": dice.one_of((0.7, 2.0))}
    made = [
        Action(at=at - 0.3, what="publish", values={"channel": channel}),
        Action(at=at, what="slow", values=slow),
        Action(
            at=at + 0.05, what="publish", values={"channel": channel, "times": dice.whole(2, 5)}
        ),
        Action(at=at + dice.between(0.15, 0.6), what="cut", values={"heard": "both", "keep": 3}),
    ]
    return [each for each in made if each.at < until]


LINK: Final[Menu] = {
    "half_open": lambda dice: {
        "what": "half_open",
        "direction": dice.one_of(("both", "down", "up")),
    },
    "stall": lambda dice: {"what": "stall", "seconds": dice.between(0.2, 6.0)},
    "refuse": lambda dice: {
        "what": "refuse",
        "mode": dice.one_of(("refuse", "accept_then_close")),
        "seconds": dice.between(0.5, 5.0),
    },
}
"""What befalls a connection without an end of it."""

SLOW: Final[Menu] = {
    "slow": lambda dice: {
        "what": "slow",
        "seconds": dice.between(0.5, 6.0),
        "pace_s": dice.one_of((0.05, 0.7)),
    },
}
"""The application takes its time."""

APPLICATION: Final[Menu] = {
    **SLOW,
    "reject": lambda _: {"what": "reject"},
    "resync": lambda _: {"what": "resync"},
    "held disk": lambda dice: {"what": "hold_disk", "seconds": dice.between(0.2, 4.0)},
    "failing disk": lambda dice: {"what": "fail_disk", "times": dice.whole(1, 3)},
}
"""What an application that keeps its place does, and what its disk does."""
