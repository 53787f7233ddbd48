"""What a client says of its state while it cannot know it. Only reports show this."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from lastseen_conformance.case import Case, Finding, Scene, Script, broken, kept
from lastseen_conformance.cases.oddspapi.scripts import (
    accepted,
    agree,
    attempts,
    comes_back,
    enter,
    feed,
    made,
    settled,
)
from lastseen_conformance.history import History, Said
from lastseen_conformance.judges.oddspapi_reports import last_claim
from lastseen_conformance.judges.oddspapi_wire import Wire
from lastseen_conformance.steps import (
    Drop,
    Linger,
    Place,
    Publish,
    Start,
    Step,
    Steps,
    Tell,
    Wait,
    now,
)
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

NO_BASE: Final = "op.status.no-base-no-claim"
FALLS: Final = "op.status.falls"
COUNTS: Final = "op.status.demand-counts"


def _withheld(*meanwhile: Callable[[], Step]) -> Script:
    """Every snapshot hangs; whatever else arrives, there is no base."""

    def play(scene: Scene) -> Steps:
        del scene
        yield Place(Fault(kind="stall", at="on request * 1", times=0))
        yield Start()
        yield Wait(until=attempts(1), what="the client connects")
        yield Wait(until=accepted(1), what="the client logs in", rule="op.login.first")
        yield Wait(until=_asked, what="a snapshot is asked for", rule="op.snapshot.after-login")
        for step in meanwhile:
            yield step()
        yield Publish("scores")
        yield Linger(seconds=0.8, why="there is nothing to be synced from")

    play.__doc__ = _withheld.__doc__
    return play


def _asked(history: History) -> bool:
    return bool(history.view(Wire).queries)


def _never_synced(history: History) -> Iterator[Finding]:
    for said in history.of(Said):
        line = said.line or {}
        if line.get("event") == "status" and line.get("state") == "synced":
            yield broken(NO_BASE, f"{line.get('channel')} is called synced", said.n)
            return
    yield kept(NO_BASE)


def _fallen(*channels: str) -> Callable[[History], bool]:
    return lambda history: all(last_claim(history, name) != "synced" for name in channels)


def on_loss(scene: Scene) -> Steps:
    """The connection is lost and nobody listens."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield now("refuse", seconds=1.5)
    yield Drop()
    yield Wait(until=_fallen("fixtures", "scores", "odds"), what="nothing is synced", rule=FALLS)
    yield Publish("scores")
    yield from comes_back(scene)


def on_demand(scene: Scene) -> Steps:
    """A snapshot is required and cannot be had for a while."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Place(Fault(kind="status", at="on request * 1", status=503, times=6))
    yield now("snapshot_required", channels=("scores",))
    yield Wait(until=_fallen("scores"), what="scores are not called synced", rule=FALLS)
    yield Publish("scores")
    yield from settled(scene, "op.snapshot.when-required")
    yield from agree(scene)


def complete_after_demand(scene: Scene) -> Steps:
    """resume_complete follows snapshot_required, while the snapshot hangs."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Place(Fault(kind="stall", at="on request * 1", times=0))
    yield now("snapshot_required", channels=("scores",))
    yield Wait(until=_fallen("scores"), what="scores are not called synced", rule=FALLS)
    yield now("send", text='{"type":"resume_complete"}')
    yield from feed(scene, "fixtures")
    yield Linger(seconds=0.6, why="the frame gives no base")


def _scores_stay_down(history: History) -> Iterator[Finding]:
    if last_claim(history, "scores") == "synced":
        yield broken(NO_BASE, "scores are called synced after resume_complete")
    else:
        yield kept(NO_BASE)


def answer_crosses_demand(scene: Scene) -> Steps:
    """While odds are fetched, an odds entry is lost, and the gateway says so.

    The answers under way were read before. A fixture that comes later shows that the client has
    read the frame; then the answers arrive.
    """
    yield from enter(scene)
    yield from feed(scene, "fixtures", "odds")
    yield Place(Fault(kind="late", at="on request /fixtures/odds 1", seconds=0.6, times=2))
    yield now("snapshot_required", channels=("odds",))

    def both(history: History) -> bool:
        wire = history.view(Wire)
        first = wire.demands[0][0] if wire.demands else 1 << 60
        return len(wire.asked_after(first, "odds")) >= len(scene.fixtures)

    yield Wait(until=both, what="odds are asked for", rule="op.snapshot.when-required")
    yield Place(Fault(kind="gap", at="before live 2 of odds", loss="lost"))
    yield Publish("odds")
    yield from feed(scene, "fixtures")
    yield Tell("state")
    yield from settled(scene, "op.snapshot.when-required")
    yield Tell("state")
    yield from agree(scene)


def _live_crosses(channel: str) -> Script:
    """Entries arrive while the answer that lacks them is under way.

    The state is asked for as soon as the channel is called synced.
    """

    def play(scene: Scene) -> Steps:
        yield Place(Fault(kind="late", at="on request /fixtures/odds 1", seconds=0.4, times=2))
        yield Start()
        yield Wait(until=attempts(1), what="the client connects")
        yield Wait(until=accepted(1), what="the client logs in", rule="op.login.first")

        def asked(history: History) -> bool:
            queries = history.view(Wire).queries.values()
            odds = [query for query in queries if query.path == "/fixtures/odds"]
            return len(odds) >= len(scene.fixtures)

        yield Wait(until=asked, what="odds are asked for", rule="op.snapshot.after-login")
        yield Publish(channel, count=4)

        def synced(history: History) -> bool:
            return last_claim(history, channel) == "synced"

        yield Wait(until=synced, what="odds are called synced")
        yield Tell("state")
        yield Linger(seconds=0.2, why="the answer to 'state'")
        yield from agree(scene)

    play.__doc__ = _live_crosses.__doc__
    return play


def stale_first(scene: Scene) -> Steps:
    """The first answer is a little older than the login; nothing on the wire says so."""
    yield Publish("scores", count=2)
    yield Place(Fault(kind="stale", at="on request /fixtures 1", entries=1, times=1))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=accepted(1), what="the client logs in", rule="op.login.first")
    yield from settled(scene)
    yield from agree(scene, "op.snapshot.verified")


_REPORTED: Final[dict[str, Any]] = {"reported_only": True}

CASES: Final[tuple[Case, ...]] = (
    made(
        "claims/no-base",
        "Nothing is called synced before its snapshot has come",
        NO_BASE,
        _withheld(),
        _never_synced,
        hazards="HZ-C13",
        **_REPORTED,
    ),
    made(
        "claims/complete-without-resume",
        "resume_complete after a cold login gives no base",
        NO_BASE,
        _withheld(
            lambda: now("send", text='{"type":"resume_complete"}'),
        ),
        _never_synced,
        hazards="HZ-B4",
        **_REPORTED,
    ),
    made(
        "claims/complete-twice",
        "Two of them give none either",
        NO_BASE,
        _withheld(
            lambda: now("send", text='{"type":"resume_complete"}'),
            lambda: now("send", text='{"type":"resume_complete"}'),
        ),
        _never_synced,
        template="claims/complete-without-resume",
        hazards="HZ-B4",
        **_REPORTED,
    ),
    made(
        "claims/fall-on-loss",
        "A lost connection is admitted at once",
        f"{FALLS} op.connect.comes-back op.state.equals-truth",
        on_loss,
        hazards="HZ-C9",
        **_REPORTED,
    ),
    made(
        "claims/fall-on-demand",
        "snapshot_required takes the claim away until it has been followed",
        f"{FALLS} op.snapshot.when-required op.state.equals-truth",
        on_demand,
        hazards="HZ-B6",
        **_REPORTED,
    ),
    made(
        "claims/complete-after-demand",
        "resume_complete does not settle what snapshot_required asked for",
        f"{FALLS} {NO_BASE}",
        complete_after_demand,
        _scores_stay_down,
        hazards="HZ-B4 HZ-B5",
        **_REPORTED,
    ),
    made(
        "claims/answer-crosses-demand",
        "An answer that was read before snapshot_required is no base",
        f"{COUNTS} op.snapshot.when-required op.state.equals-truth",
        answer_crosses_demand,
        hazards="HZ-C3 HZ-B6",
        **_REPORTED,
    ),
    made(
        "claims/live-crosses-answer",
        "Entries go on top of a snapshot that was read before them",
        "op.state.never-back op.state.equals-truth",
        _live_crosses("odds"),
        hazards="HZ-C2 HZ-C6",
        **_REPORTED,
    ),
    made(
        "claims/stale-first",
        "A snapshot that may be old is looked at again",
        "op.snapshot.verified op.status.stays-honest-unproven",
        stale_first,
        hazards="HZ-C5",
        **_REPORTED,
    ),
)
