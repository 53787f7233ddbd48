"""A client that is killed and started again, on the state it has kept or on none."""

from collections.abc import Iterator
from typing import Final

from lastseen_conformance.case import Case, Finding, Scene, Script, kept
from lastseen_conformance.cases.oddspapi.scripts import (
    accepted,
    agree,
    attempts,
    enter,
    feed,
    made,
    settled,
)
from lastseen_conformance.history import History
from lastseen_conformance.judges.oddspapi_wire import Wire
from lastseen_conformance.steps import (
    Drop,
    Kill,
    Linger,
    Place,
    Publish,
    Restart,
    Start,
    Steps,
    Stop,
    Wait,
    now,
)
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

COMMIT_S: Final = 0.5
"""Time in which a client that keeps state will have kept some."""

_RULES: Final = "op.snapshot.after-login op.state.equals-truth"


def _again(scene: Scene, logins: int) -> Steps:
    yield Start()
    yield Wait(until=accepted(logins), what="the client logs in again", rule="op.login.first")
    yield from settled(scene, logins=logins)
    yield from feed(scene, "scores")
    yield from agree(scene)


def _killed(entries: int, wait_s: float) -> Script:
    """Killed after so many entries; others are published before it is back."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        if entries:
            yield from feed(scene, "fixtures", "scores", count=entries)
        if wait_s:
            yield Linger(seconds=wait_s, why="state may be kept")
        yield Kill()
        yield Publish("scores", count=2)
        yield Publish("odds")
        yield from _again(scene, 2)

    play.__doc__ = _killed.__doc__
    return play


def in_a_burst(scene: Scene) -> Steps:
    """Killed while entries are arriving."""
    yield from enter(scene)
    yield Publish("scores", count=30)
    yield Publish("fixtures", count=30)
    yield Kill()
    yield Publish("scores")
    yield from _again(scene, 2)


def while_fetching(scene: Scene) -> Steps:
    """Killed while the first snapshot is under way."""
    yield Place(Fault(kind="stall", at="on request /fixtures 1"))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=accepted(1), what="the client logs in", rule="op.login.first")
    asked = _asked
    yield Wait(until=asked, what="a snapshot is asked for", rule="op.snapshot.after-login")
    yield Publish("scores")
    yield Kill()
    yield from _again(scene, 2)


def _asked(history: History) -> bool:
    return bool(history.view(Wire).queries)


def after_a_demand(scene: Scene) -> Steps:
    """Killed when a snapshot has been required and cannot be had."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Linger(seconds=COMMIT_S, why="state may be kept")
    yield Place(Fault(kind="status", at="on request * 1", status=503, times=8))
    yield now("snapshot_required", channels=("scores",))
    yield Publish("scores")

    def failed(history: History) -> bool:
        return any(query.status == 503 for query in history.view(Wire).queries.values())

    yield Wait(until=failed, what="the snapshot is asked for", rule="op.snapshot.when-required")
    yield Linger(seconds=COMMIT_S, why="state may be kept")
    yield Kill()
    yield from _again(scene, 2)


def mid_replay(scene: Scene) -> Steps:
    """Killed in the middle of a replay that comes in pieces."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield now("refuse", seconds=0.2)
    yield Drop()
    yield Publish("scores", count=6)
    yield Wait(until=accepted(2), what="the client logs in again", rule="op.connect.comes-back")
    yield Publish("scores")
    yield Linger(seconds=0.1, why="part of the replay arrives")
    yield Kill()
    yield from _again(scene, 3)


def epoch_meanwhile(scene: Scene) -> Steps:
    """Killed; the gateway is restarted before the client is."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Linger(seconds=COMMIT_S, why="state may be kept")
    yield Kill()
    yield Restart()
    yield Publish("scores")
    yield from _again(scene, 2)


def aged(scene: Scene) -> Steps:
    """Killed for longer than the gateway can replay."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Linger(seconds=COMMIT_S, why="state may be kept")
    yield Kill()
    yield Publish("scores")
    yield Linger(seconds=1.5, why="its cursors grow too old")
    yield from _again(scene, 2)


def stopped(scene: Scene) -> Steps:
    """Told to stop, and started again."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Stop()
    yield Publish("scores")
    yield from _again(scene, 2)


def _stopped(history: History) -> Iterator[Finding]:
    if not history.ignored_stop:
        yield kept("all.process.stops")


def thrice(scene: Scene) -> Steps:
    """Killed three times in a row, at different moments."""
    yield from enter(scene)
    for life in range(3):
        yield from feed(scene, "fixtures", "scores")
        if life:
            yield Linger(seconds=COMMIT_S, why="state may be kept")
        yield Kill()
        yield Publish("scores")
        yield Start()
        yield Wait(until=accepted(life + 2), what="the client logs in again", rule="op.login.first")
        yield from settled(scene, logins=life + 2)
    yield from agree(scene)


CASES: Final[tuple[Case, ...]] = (
    *(
        made(
            f"restart/killed-after-{entries}" + ("-kept" if wait_s else ""),
            f"Killed after {entries} entries a channel, and started again",
            _RULES,
            _killed(entries, wait_s),
            template="restart/killed",
            restarts=True,
            hazards="HZ-A4 HZ-E1 HZ-E2",
        )
        for entries in (0, 1, 3)
        for wait_s in (0.0, COMMIT_S)
    ),
    made(
        "restart/in-a-burst",
        "Killed while entries are arriving",
        _RULES,
        in_a_burst,
        restarts=True,
        hazards="HZ-A3 HZ-E1",
    ),
    made(
        "restart/while-fetching",
        "Killed before the first base had come",
        _RULES,
        while_fetching,
        restarts=True,
        hazards="HZ-C9 HZ-C10",
    ),
    made(
        "restart/after-a-demand",
        "Killed when a base is in doubt: the doubt is not forgotten",
        f"{_RULES} op.snapshot.when-required",
        after_a_demand,
        restarts=True,
        hazards="HZ-A2 HZ-C9",
    ),
    made(
        "restart/mid-replay",
        "Killed in the middle of a replay",
        _RULES,
        mid_replay,
        restarts=True,
        hazards="HZ-B2",
        replay_gap_s=0.05,
    ),
    made(
        "restart/epoch-meanwhile",
        "The gateway was restarted while the client was dead",
        _RULES,
        epoch_meanwhile,
        restarts=True,
        hazards="HZ-A1",
    ),
    made(
        "restart/aged",
        "The client was dead for longer than the replay window",
        _RULES,
        aged,
        restarts=True,
        hazards="HZ-A14",
        resume_window_ms=1000,
    ),
    made(
        "restart/stopped",
        "Told to stop, it ends by itself, and goes on later",
        f"{_RULES} all.process.stops",
        stopped,
        _stopped,
        restarts=True,
        reported_only=True,
    ),
    made(
        "restart/thrice",
        "Killed three times in a row",
        _RULES,
        thrice,
        restarts=True,
        hazards="HZ-E1",
    ),
)
