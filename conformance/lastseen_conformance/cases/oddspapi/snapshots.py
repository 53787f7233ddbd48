"""Snapshots that fail, lie, come late, or meet live entries."""

from collections.abc import Callable, Iterator
from typing import Any, Final, cast

from lastseen_conformance.case import Case, Finding, Scene, Script, broken, kept
from lastseen_conformance.cases.oddspapi.scripts import (
    accepted,
    agree,
    attempts,
    enter,
    feed,
    made,
    settled,
)
from lastseen_conformance.history import Connected, Ended, History
from lastseen_conformance.judges.oddspapi_reports import last_claim
from lastseen_conformance.judges.oddspapi_wire import Wire
from lastseen_conformance.steps import Linger, Place, Publish, Restart, Start, Steps, Wait
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

PAUSE_LEAST_S: Final = 0.02
"""What may pass for a pause between a failed snapshot and the next one."""

_RULES: Final = (
    "op.snapshot.retries op.snapshot.waits op.snapshot.keeps-connection op.state.equals-truth"
)


def _fails_first(fault: Fault) -> Script:
    """The first answers are no snapshot; the later ones are."""

    def play(scene: Scene) -> Steps:
        yield Place(fault)
        yield Start()
        yield Wait(until=attempts(1), what="the client connects")
        yield Wait(until=accepted(1), what="the client logs in", rule="op.login.first")
        yield Publish("scores")
        yield from settled(scene, "op.snapshot.retries")
        yield from agree(scene)

    play.__doc__ = _fails_first.__doc__
    return play


def _patient(path: str, least_s: float = PAUSE_LEAST_S) -> Callable[[History], Iterator[Finding]]:
    """The next request to the same path comes after a pause, and the connection stays."""

    def judge(history: History) -> Iterator[Finding]:
        queries = [
            query for query in history.view(Wire).queries.values() if path in ("*", query.path)
        ]
        failed = [query for query in queries if not query.good and query.answered_at is not None]
        paused = False
        for query in failed:
            later = [other for other in queries if other.n > query.n and other.query == query.query]
            if not later or query.answered_at is None:
                continue
            pause = later[0].at - query.answered_at
            if pause < least_s:
                text = f"asked again after {pause * 1000:.0f} ms, {least_s:g} s were due"
                yield broken("op.snapshot.waits", text, later[0].n)
                return
            paused = True
        if paused:
            yield kept("op.snapshot.waits")
        if history.count(Connected) > 1 or history.count(Ended):
            lost = [*history.of(Ended), *list(history.of(Connected))[1:]]
            yield broken("op.snapshot.keeps-connection", "it left the connection", lost[0].n)
        else:
            yield kept("op.snapshot.keeps-connection")

    return judge


def _status(status: int, path: str, *, retry_after_s: int | None = None) -> Case:
    name = f"{status}-{path.rpartition('/')[2]}"
    fault = Fault(
        kind="status", at=f"on request {path} 1", status=status, retry_after_s=retry_after_s
    )
    least_s = PAUSE_LEAST_S if retry_after_s is None else retry_after_s * 0.95
    return made(
        f"snapshot/status-{name}" + ("" if retry_after_s is None else "-retry-after"),
        f"A snapshot answered with {status} is asked for again, after a pause",
        _RULES,
        _fails_first(fault),
        _patient(path, least_s),
        template="snapshot/status" if retry_after_s is None else "snapshot/retry-after",
        hazards="HZ-C13",
    )


def _spoilt(kind: str, path: str, words: str) -> Case:
    return made(
        f"snapshot/{kind}-{path.rpartition('/')[2]}",
        f"A snapshot that is {words} does not count",
        "op.snapshot.retries op.snapshot.keeps-connection op.state.equals-truth",
        _fails_first(Fault(kind=kind, at=f"on request {path} 1")),
        _patient(path, 0.0),
        template=f"snapshot/{kind}",
        hazards="HZ-C16",
    )


def one_dead(scene: Scene) -> Steps:
    """Odds cannot be fetched at all; everything else can."""
    yield Place(Fault(kind="status", at="on request /fixtures/odds 1", status=503, times=0))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=accepted(1), what="the client logs in", rule="op.login.first")

    def others(history: History) -> bool:
        wire = history.view(Wire)
        return wire.settled(("fixtures", "scores"))

    yield Wait(until=others, what="the other channels are fetched", rule="op.snapshot.after-login")
    yield from feed(scene, "scores", count=2)
    yield Linger(seconds=1.0, why="the dead one is tried again")


def _one_dead(history: History) -> Iterator[Finding]:
    yield from _patient("/fixtures/odds")(history)
    claim = last_claim(history, "odds")
    if claim == "synced":
        yield broken("op.status.no-base-no-claim", "odds is called synced without a base")


def crosses_reconnect(scene: Scene) -> Steps:
    """The connection drops while its snapshot is under way."""
    yield Place(Fault(kind="drop", at="on request /fixtures 1"))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=accepted(2), what="a second login", rule="op.connect.comes-back")
    yield Publish("scores")
    yield from settled(scene, logins=2)
    yield from agree(scene)


def live_meanwhile(scene: Scene) -> Steps:
    """Entries arrive while snapshots are being fetched."""
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=accepted(1), what="the client logs in", rule="op.login.first")
    for count in range(1, 4):
        asked = _asked(count)
        yield Linger(seconds=0.5, why="requests are under way", until=asked)
        yield Publish("scores")
        yield Publish("odds")
    yield from settled(scene)
    yield from agree(scene)


def dated_too_old(scene: Scene) -> Steps:
    """The first snapshots say how old they are: older than the login."""
    yield Publish("scores", count=2)
    yield Place(Fault(kind="stale", at="on request /fixtures 1", entries=1, times=2))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=accepted(1), what="the client logs in", rule="op.login.first")

    def asked_again(history: History) -> bool:
        queries = [q for q in history.view(Wire).queries.values() if q.path == "/fixtures"]
        return len(queries) > 2

    yield Wait(until=asked_again, what="a newer one is asked for", rule="op.snapshot.verified")
    yield from settled(scene)
    yield from agree(scene)


def _asked(count: int) -> Callable[[History], bool]:
    return lambda history: len(history.view(Wire).queries) >= count


def replaced(scene: Scene) -> Steps:
    """An odds row is withdrawn while the client is away; the next snapshot does not have it."""
    yield from enter(scene)
    yield Restart()
    for payload in _withdrawals(scene):
        yield Publish("odds", payload)
    yield Wait(until=accepted(2), what="the client logs in again", rule="op.connect.comes-back")
    yield from settled(scene, logins=2)
    yield from agree(scene)


def _withdrawals(scene: Scene) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for fixture in scene.fixtures:
        for key, row in scene.truth.items():
            parts = key.split("/", 3)
            if parts[0] == "odds" and parts[1] == fixture:
                gone = {**cast("dict[str, Any]", row), "active": False}
                found.append({"fixtureId": fixture, "odds": {parts[2]: {parts[3]: gone}}})
                break
    return found


CASES: Final[tuple[Case, ...]] = (
    *(
        _status(status, path)
        for status in (500, 502, 503)
        for path in ("/fixtures", "/fixtures/odds")
    ),
    _status(429, "/fixtures", retry_after_s=1),
    _status(503, "/fixtures/odds", retry_after_s=1),
    *(
        _spoilt(kind, path, words)
        for kind, words in (("truncate", "cut short"), ("html", "a page of HTML"))
        for path in ("/fixtures", "/fixtures/odds")
    ),
    _spoilt("empty", "/fixtures/odds", "an empty list"),
    _spoilt("stall", "/fixtures", "never finished"),
    made(
        "snapshot/one-dead",
        "A channel that cannot be fetched does not stop the others",
        "op.snapshot.after-login op.snapshot.waits op.snapshot.keeps-connection "
        "op.state.nothing-skipped",
        one_dead,
        _one_dead,
        hazards="HZ-C14",
    ),
    made(
        "snapshot/crosses-reconnect",
        "A snapshot asked for over a connection that is gone does not count",
        "op.connect.comes-back op.snapshot.after-login op.state.equals-truth",
        crosses_reconnect,
        hazards="HZ-C3",
    ),
    made(
        "snapshot/live-meanwhile",
        "Entries that arrive during the fetch go on top of it",
        "op.snapshot.after-login op.state.equals-truth op.state.once",
        live_meanwhile,
        hazards="HZ-C2 HZ-C6",
    ),
    made(
        "snapshot/dated-too-old",
        "A snapshot that says that it is older than the login is no base",
        "op.snapshot.verified op.state.equals-truth",
        dated_too_old,
        reported_only=True,
        hazards="HZ-C5",
        as_of=True,
    ),
    made(
        "snapshot/replaces",
        "What a snapshot does not have is gone",
        "op.connect.comes-back op.snapshot.after-login op.state.equals-truth",
        replaced,
        hazards="HZ-C7",
    ),
)
