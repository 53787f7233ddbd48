"""Cut-point sweeps: the connection ends before, inside and after every frame of a scenario.

Where it is cut decides what the client has seen; what it owes afterwards is always the same.
"""

from collections.abc import Iterator
from typing import Final

from lastseen_conformance.case import Case, Scene, Script
from lastseen_conformance.cases.oddspapi.scripts import (
    accepted,
    agree,
    attempts,
    enter,
    feed,
    made,
    settled,
    whole,
)
from lastseen_conformance.history import History
from lastseen_conformance.judges.oddspapi_wire import Wire
from lastseen_conformance.steps import Drop, Linger, Place, Publish, Start, Steps, Wait, now
from lastseen_simulator.faults import Fault

__all__ = ["CASES", "DOWN", "HOWS"]

HOWS: Final = ("drop", "reset")

DOWN: Final = {
    "cold": ("login_ok", "live 1", "live 2"),
    "resume": ("login_ok", "replayed 1", "replayed 2", "resume_complete", "live 1"),
    "demand": ("snapshot_required",),
    "move": ("reconnect",),
}
"""By scenario, the gateway's frames on the connection that is cut."""

UP: Final = {
    "cold": ("on open", "on login", "on request /fixtures 1", "on request /fixtures/odds 1"),
    "resume": ("on open", "on login"),
}
"""By scenario, what the client sends: the upgrade, the login, the requests beside it."""

SIDES: Final = ("before", "inside", "after")


def _at(side: str, frame: str) -> str:
    return f"inside {frame} byte 3" if side == "inside" else f"{side} {frame}"


def _cold(fault: Fault) -> Script:
    """A first login with live entries; its connection is cut once."""

    def play(scene: Scene) -> Steps:
        yield Place(fault)
        yield Start()
        yield Wait(until=attempts(1), what="the client connects")
        yield Linger(seconds=2.0, why="it may log in", until=_logged_in_or_cut)
        yield Publish("scores", count=2)
        yield from _whole_again(scene)

    play.__doc__ = _cold.__doc__
    return play


def _logged_in_or_cut(history: History) -> bool:
    return accepted(1)(history) or _cut(history)


def _resume(fault: Fault) -> Script:
    """A login with cursors, a replay, and a live entry; its connection is cut once."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        yield Place(fault)
        yield now("refuse", seconds=0.2)
        yield Drop()
        yield Publish("scores", count=2)
        yield Wait(until=attempts(2), what="the client connects", rule="op.connect.comes-back")
        yield Linger(seconds=2.0, why="it may log in", until=_logged_in_again)
        yield Publish("scores")
        yield from _whole_again(scene)

    play.__doc__ = _resume.__doc__
    return play


def _logged_in_again(history: History) -> bool:
    links = history.view(Wire).links
    second = links.get(2)
    return second is not None and (second.accepted_n is not None or not second.is_open)


def _demand(fault: Fault) -> Script:
    """A healthy connection is told to fetch, and is cut."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        yield Place(fault)
        yield now("snapshot_required", channels=("scores",))
        yield Publish("scores")
        yield from _whole_again(scene)

    play.__doc__ = _demand.__doc__
    return play


def _move(fault: Fault) -> Script:
    """A healthy connection is told to move, and is cut."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        yield Place(fault)
        yield now("reconnect")
        yield Publish("scores")
        yield from _whole_again(scene)

    play.__doc__ = _move.__doc__
    return play


def _whole_again(scene: Scene) -> Steps:
    """Whatever was cut: in the end another connection has everything."""
    yield Wait(until=_cut, what="the connection is cut")

    def back(history: History) -> bool:
        wire = history.view(Wire)
        return wire.owner is not None and wire.owner.is_open and whole(scene)(history)

    yield Wait(until=back, what="another connection has everything", rule="op.connect.comes-back")
    yield from settled(scene)
    yield from feed(scene, "scores")
    yield from agree(scene)


def _cut(history: History) -> bool:
    return any(link.let_go_n is not None for link in history.view(Wire).links.values())


_SCENARIOS: Final = {"cold": _cold, "resume": _resume, "demand": _demand, "move": _move}
_CONNECTION: Final = {"cold": 1, "resume": 2, "demand": 1, "move": 1}


def _cases() -> Iterator[Case]:
    for scenario, frames in DOWN.items():
        for frame in frames:
            for side in SIDES:
                for how in HOWS:
                    yield _case(scenario, f"{side}-{frame}", _at(side, frame), how)
    for scenario, places in UP.items():
        for place in places:
            for how in HOWS:
                yield _case(scenario, place, place, how)


def _case(scenario: str, name: str, at: str, how: str) -> Case:
    request = at.startswith("on request")
    connection = None if request else _CONNECTION[scenario]
    slug = name.replace("_", "-").replace(" ", "-").replace("/", "").replace("on-", "", 1)
    return made(
        f"cut/{scenario}/{slug}-{how}",
        f"A {scenario} scenario whose connection ends ({how}) {at}",
        "op.connect.comes-back op.snapshot.after-login op.state.equals-truth",
        _SCENARIOS[scenario](Fault(kind=how, at=at, connection=connection)),
        template=f"cut/{scenario}",
        hazards="HZ-B2 HZ-H7",
    )


CASES: Final[tuple[Case, ...]] = tuple(_cases())
