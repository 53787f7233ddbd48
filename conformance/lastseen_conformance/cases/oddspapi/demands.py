"""`snapshot_required`: for which channels, when, and with which words."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

from lastseen_conformance.case import Case, Finding, Scene, Script, broken, kept
from lastseen_conformance.cases.oddspapi.scripts import (
    accepted,
    agree,
    attempts,
    comes_back,
    enter,
    feed,
    looked_again,
    made,
    settled,
    whole,
)
from lastseen_conformance.history import History, Stepped
from lastseen_conformance.judges.oddspapi_connections import left_alone, no_new_connection
from lastseen_conformance.judges.oddspapi_wire import Wire
from lastseen_conformance.steps import (
    Drop,
    Linger,
    Place,
    Publish,
    Start,
    Step,
    Steps,
    Wait,
    now,
)
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

RULE: Final = "op.snapshot.when-required"
REASONS: Final = (
    "server_restarted",
    "resume_window_exceeded",
    "client_backpressure",
    "quantum_flux",
)
_BASE: Final = f"{RULE} op.snapshot.keeps-connection op.state.equals-truth"


def first_demand(history: History) -> int | None:
    """The moment of the first `snapshot_required`."""
    demands = history.view(Wire).demands
    return demands[0][0] if demands else None


def stays(history: History) -> Iterator[Finding]:
    """The connection is kept, for it is the half that works."""
    yield from no_new_connection("op.snapshot.keeps-connection", first_demand)(history)


def _demanded(strike: Callable[[], Step], rule: str = RULE) -> Script:
    """A healthy connection, and suddenly the gateway asks for a snapshot."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        yield from looked_again(scene)
        yield strike()
        yield Publish("scores")
        yield from settled(scene, rule)
        yield from agree(scene)

    play.__doc__ = _demanded.__doc__
    return play


def _frame(**members: object) -> Callable[[], Step]:
    text = json.dumps({"type": "snapshot_required", "reason": "client_backpressure", **members})
    return lambda: now("send", text=text)


def during_fetch(scene: Scene) -> Steps:
    """The frame comes while the snapshot it makes worthless is under way."""
    yield Place(
        Fault(kind="snapshot_required", at="on request /fixtures 1", reason="client_backpressure")
    )
    yield from enter(scene)
    yield from agree(scene)


def then_lost(scene: Scene) -> Steps:
    """While the snapshot fails, a live entry arrives, and then the connection drops."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Place(Fault(kind="status", at="on request * 1", status=503, times=0))
    yield now("snapshot_required", reason="client_backpressure", channels=("scores",))
    asked = len(scene.channels)
    yield Wait(until=lambda h: _failed(h) >= 1, what="the snapshot is asked for", rule=RULE)
    yield Publish("scores")
    yield Linger(seconds=0.2, why=f"the live entry arrives, {asked} channels wait")
    yield Drop()
    yield Wait(until=accepted(2), what="the client logs in again", rule="op.connect.comes-back")


def _failed(history: History) -> int:
    first = first_demand(history)
    queries = history.view(Wire).queries.values()
    return sum(query.status == 503 and query.n > (first or 1 << 60) for query in queries)


def _in_replay(at: str) -> Script:
    """Of two channels that are replayed, one turns out to need a snapshot."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        yield Place(
            Fault(
                kind="snapshot_required",
                at=at,
                connection=2,
                channels=("scores",),
                reason="resume_window_exceeded",
            )
        )
        yield now("refuse", seconds=0.2)
        yield Drop()
        yield Publish("fixtures", count=2)
        yield Publish("scores", count=2)
        yield Wait(until=accepted(2), what="the client logs in again", rule="op.connect.comes-back")
        yield from settled(scene, RULE, logins=2)
        yield from agree(scene)

    play.__doc__ = _in_replay.__doc__
    return play


def partial_then_lost(scene: Scene) -> Steps:
    """Part of a replay has been applied when a snapshot is required; then the connection drops."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Place(
        Fault(kind="snapshot_required", at="after replayed 1", connection=2, channels=("scores",))
    )
    yield Place(Fault(kind="drop", at="after snapshot_required", connection=2))
    yield now("refuse", seconds=0.2)
    yield Drop()
    yield Publish("scores", count=3)

    def cut(history: History) -> bool:
        second = history.view(Wire).links.get(2)
        return second is not None and second.let_go_n is not None

    yield Wait(until=cut, what="the replay is broken off")
    yield from comes_back(scene, logins=3)


def passed_over(scene: Scene) -> Steps:
    """Only channels that were not subscribed are named."""
    yield from enter(scene)
    yield from feed(scene, "scores")
    yield from looked_again(scene)
    yield now("snapshot_required", reason="client_backpressure", channels=("weather",))
    yield Publish("scores")
    yield Linger(seconds=scene.timers["verify_after_s"] * 1.5, why="nothing has to happen")
    yield from agree(scene)


def _frame_came(history: History) -> int | None:
    steps = [step.n for step in history.of(Stepped) if step.text.startswith("fault: snapshot")]
    return steps[-1] if steps else None


def one_fixture_missing(scene: Scene) -> Steps:
    """Odds can be replayed; one fixture has its odds and streams, the other has none yet."""
    yield Place(Fault(kind="late", at="on request /fixtures/odds 1", seconds=0.0))
    yield Place(Fault(kind="stall", at="on request /fixtures/odds 2", times=0))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=accepted(1), what="the client logs in", rule="op.login.first")

    def one_good(history: History) -> bool:
        odds = [q for q in history.view(Wire).queries.values() if q.path == "/fixtures/odds"]
        return len(odds) >= len(scene.fixtures) and any(query.good for query in odds)

    yield Wait(until=one_good, what="odds are asked for", rule="op.snapshot.after-login")
    for fixture in scene.fixtures:
        yield Publish("odds", _moved_price(scene, fixture))
    yield Linger(seconds=0.3, why="the entries arrive")
    yield Drop()
    yield Wait(until=accepted(2), what="the client logs in again", rule="op.connect.comes-back")


def _moved_price(scene: Scene, fixture: str) -> dict[str, Any]:
    """The first odds row of a fixture, at another price."""
    for key, row in scene.truth.items():
        parts = key.split("/", 3)
        if parts[0] == "odds" and parts[1] == fixture:
            moved = {**cast("dict[str, Any]", row), "price": 9.5}
            return {"fixtureId": fixture, "odds": {parts[2]: {parts[3]: moved}}}
    raise LookupError(f"{fixture} has no odds")


def storm(scene: Scene) -> Steps:
    """One frame after another, each before the snapshot for the last has been used."""
    yield from enter(scene)
    for _ in range(5):
        yield now("snapshot_required", reason="client_backpressure")
        yield Publish("scores")
    yield Wait(until=whole(scene), what="the last one has been followed", rule=RULE)
    yield from settled(scene, RULE)
    yield from agree(scene)


def _storm_is_bounded(history: History) -> Iterator[Finding]:
    """Five frames at once are no reason for five times as many fetches as one."""
    yield from stays(history)
    wire = history.view(Wire)
    first = first_demand(history)
    if first is None:
        return
    fetches = len({query.n for query in wire.asked_after(first, "scores")})
    yield (
        kept("op.snapshot.waits")
        if fetches <= 60
        else broken("op.snapshot.waits", f"{fetches} requests for one storm")
    )


CASES: Final[tuple[Case, ...]] = (
    *(
        made(
            f"demand/reason-{reason.replace('_', '-')}",
            f"snapshot_required is followed whatever the reason: {reason}",
            _BASE,
            _demanded(lambda reason=reason: now("snapshot_required", reason=reason)),  # type: ignore[misc]
            stays,
            template="demand/reason",
            hazards="HZ-B6 HZ-C12",
        )
        for reason in REASONS
    ),
    *(
        made(
            f"demand/one-{channel}",
            f"snapshot_required for {channel} alone is followed",
            _BASE,
            _demanded(lambda channel=channel: now("snapshot_required", channels=(channel,))),  # type: ignore[misc]
            stays,
            template="demand/one",
            hazards="HZ-B6",
        )
        for channel in ("fixtures", "scores", "odds")
    ),
    *(
        made(
            f"demand/names-{spelling}",
            f"snapshot_required with {words} concerns every channel",
            "op.snapshot.names-lenient op.snapshot.keeps-connection op.state.equals-truth",
            _demanded(strike, "op.snapshot.names-lenient"),
            stays,
            template="demand/names",
            hazards="HZ-C11",
        )
        for spelling, words, strike in (
            ("missing", "no list of channels", _frame()),
            ("empty", "an empty list", _frame(channels=[])),
            ("text", "a text for a list", _frame(channels="scores")),
            ("null", "null for a list", _frame(channels=None)),
        )
    ),
    made(
        "demand/names-mixed",
        "Of a list that is partly nonsense the good names count",
        "op.snapshot.names-lenient op.snapshot.keeps-connection op.state.equals-truth",
        _demanded(_frame(channels=["scores", 7, "nope"]), "op.snapshot.names-lenient"),
        stays,
        hazards="HZ-C11",
    ),
    made(
        "demand/unsubscribed",
        "snapshot_required for channels that were not subscribed costs nothing",
        "op.snapshot.names-lenient op.state.equals-truth",
        passed_over,
        left_alone("op.snapshot.names-lenient", _frame_came),
        hazards="HZ-C11",
    ),
    made(
        "demand/repeated",
        "snapshot_required said three times over",
        _BASE,
        _demanded(lambda: now("snapshot_required", channels=("scores",))),
        stays,
        snapshot_required_repeats=3,
        hazards="HZ-B6",
    ),
    made(
        "demand/without-heads",
        "snapshot_required without serverEntryIds",
        _BASE,
        _demanded(lambda: now("snapshot_required", channels=("scores",))),
        stays,
        snapshot_required_heads=False,
    ),
    made(
        "demand/other-epoch",
        "snapshot_required that names another epoch makes every cursor worthless",
        "op.snapshot.when-required op.state.equals-truth",
        _demanded(_frame(channels=["scores"], serverEpoch="f" * 32)),
        hazards="HZ-A19",
    ),
    made(
        "demand/during-fetch",
        "A snapshot asked for before snapshot_required does not count",
        "op.snapshot.after-login op.state.equals-truth",
        during_fetch,
        hazards="HZ-C3",
    ),
    made(
        "demand/then-lost",
        "No cursor grows back while the base is missing",
        "op.resume.no-cursor-in-doubt op.snapshot.when-required",
        then_lost,
        hazards="HZ-A2",
    ),
    *(
        made(
            f"demand/in-replay-{name}",
            f"One of two resumed channels needs a snapshot, told {at}",
            f"{RULE} op.connect.comes-back op.state.equals-truth op.state.once",
            _in_replay(at),
            template="demand/in-replay",
            hazards="HZ-B5",
        )
        for name, at in (
            ("first", "after login_ok"),
            ("between", "after replayed 1"),
            ("last", "before resume_complete"),
            ("after", "after resume_complete"),
        )
    ),
    made(
        "demand/partial-then-lost",
        "A replay that was broken off leaves no cursor",
        "op.resume.no-cursor-in-doubt op.connect.comes-back op.state.equals-truth",
        partial_then_lost,
        hazards="HZ-B7",
    ),
    made(
        "demand/one-fixture-missing",
        "A channel has no cursor while one of its fixtures has no base",
        "op.resume.no-cursor-in-doubt op.connect.comes-back",
        one_fixture_missing,
        hazards="HZ-A2",
        replay_channels=("fixtures", "scores", "odds"),
    ),
    made(
        "demand/storm",
        "Five snapshot_required in a row are followed once",
        f"{RULE} op.snapshot.keeps-connection op.snapshot.waits op.state.equals-truth",
        storm,
        _storm_is_bounded,
        hazards="HZ-C20",
    ),
)
