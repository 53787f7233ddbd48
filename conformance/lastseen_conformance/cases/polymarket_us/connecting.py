"""Streams that fail, are refused or end, and streams that are merely quiet."""

import itertools
from collections.abc import Iterator
from typing import Any, Final

from lastseen_conformance.case import Case, Finding, Judge, Scene, Script, broken, kept
from lastseen_conformance.cases.polymarket_us.scripts import (
    again,
    agree,
    asked,
    change,
    digest,
    enter,
    granted,
    happens,
    made,
    path,
)
from lastseen_conformance.history import History, StreamAsked
from lastseen_conformance.judges import pauses
from lastseen_conformance.judges.polymarket_us import granted_first, last_status, no_new_request
from lastseen_conformance.judges.polymarket_us_wire import PmWire
from lastseen_conformance.steps import Drop, Linger, Place, Start, Steps, Wait, now
from lastseen_conformance.timers import TIMERS
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

SPIN_S: Final = 2.0
TRIES_MAX: Final = 3
QUIET_S: Final = 3.5
"""Longer than the silence limit that clients are asked to keep."""

SLOW_PATIENCE_S: Final = 240.0
"""For a client that keeps the documented three minutes."""

ANSWER_PATIENCE_S: Final = 40.0
ORDERS: Final = path("orders")
COMES_BACK: Final = "pm.connect.comes-back"
BACKS_OFF: Final = "pm.connect.backs-off"
FAILED_OPEN: Final = "pm.connect.failed-open"
LIMIT: Final = "pm.connect.limit-waits"
LIMIT_LEAST_S: Final = TIMERS["limit_backoff_s"] / 2 - 0.03
"""What jitter leaves of the wait, and a little less: the client's clock is not ours."""

AFTER_S: Final = 1


def _lost(**fault: Any) -> Script:
    """A healthy stream ends, and something happens meanwhile."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from happens(scene, "orders", 1)
        yield now(**fault)
        yield change("orders", 2)
        yield from again()
        yield from agree(scene)

    play.__doc__ = _lost.__doc__
    return play


def _away(kind: str) -> Script:
    """Nobody listens for a while."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from happens(scene, "orders", 1)
        yield now(kind, seconds=0.8)
        yield Drop()
        yield change("orders", 2)
        yield from again()
        yield from agree(scene)

    play.__doc__ = _away.__doc__
    return play


def _spins(kind: str, at: str, **parameters: Any) -> Script:
    """For two seconds every stream ends at one and the same place."""

    def play(scene: Scene) -> Steps:
        del scene
        yield Place(Fault(kind=kind, at=at, times=0, **parameters))
        yield Start()
        yield Wait(until=asked(1), what="the client asks for its stream")
        yield Linger(seconds=SPIN_S, why="every stream ends at once")

    play.__doc__ = _spins.__doc__
    return play


def _slower(rule: str) -> Judge:
    base_s, cap_s = TIMERS["backoff_base_s"], TIMERS["backoff_cap_s"]
    return pauses.slower(rule, StreamAsked, base_s=base_s, cap_s=cap_s, attempts_min=5)


def _refused_twice(fault: Fault) -> Script:
    """The first two requests are refused."""

    def play(scene: Scene) -> Steps:
        yield Place(fault)
        yield Start()
        yield Wait(until=asked(1), what="the client asks for its stream")
        yield Wait(
            until=lambda history: _fed(history), what="a later request succeeds", rule=COMES_BACK
        )
        yield from happens(scene, "orders", 1)
        yield from agree(scene)

    play.__doc__ = _refused_twice.__doc__
    return play


def _fed(history: History) -> bool:
    owner = history.view(PmWire).owner
    return owner is not None and any(record.kind == "snapshot" for record in owner.records)


def _status(status: int, times: int = 2, **more: Any) -> Fault:
    at = f"on request {ORDERS} 1"
    return Fault(kind="status", at=at, status=status, times=times, **more)


def _waits(rule: str, least_s: float) -> Judge:
    """After each refusal or error the next request comes no sooner than this."""

    def judge(history: History) -> Iterator[Finding]:
        asks = history.view(PmWire).asks
        for before, after in itertools.pairwise(asks):
            failed = [record.n for record in before.records if record.kind == "error"]
            if before.refused_n is None and not failed:
                continue
            at = before.refused_at if before.refused_at is not None else before.at
            if after.at - at < least_s:
                text = f"the next request came after {after.at - at:.2f} s"
                yield broken(rule, text, after.n)
            else:
                yield kept(rule)

    return judge


def _rejected(fault: Fault) -> Script:
    """Every request is refused, for a reason that does not go away."""

    def play(scene: Scene) -> Steps:
        del scene
        yield Place(fault)
        yield Start()
        yield Wait(until=asked(1), what="the client asks for its stream")
        yield Linger(seconds=SPIN_S, why="the client may try again", may_end=True)

    play.__doc__ = _rejected.__doc__
    return play


def _few_tries(history: History) -> Iterator[Finding]:
    tries = history.view(PmWire).asks
    rule = "pm.connect.rejected-stops"
    if len(tries) > TRIES_MAX:
        text = f"{len(tries)} requests in {SPIN_S:g} s, and each was refused for good"
        yield broken(rule, text, tries[TRIES_MAX].n)
    elif tries:
        yield kept(rule)


def unanswered(scene: Scene) -> Steps:
    """The first request gets no answer at all."""
    yield Place(Fault(kind="stall", at=f"on request {ORDERS} 1"))
    yield Start()
    yield Wait(until=asked(1), what="the client asks for its stream")
    yield Wait(
        until=granted(1),
        what="the client asks once more",
        rule="pm.connect.answer-waits",
        patience_s=ANSWER_PATIENCE_S,
    )
    yield from agree(scene)


def quiet(scene: Scene) -> Steps:
    """Nothing happens for a while but heartbeats."""
    yield from enter(scene)
    yield Linger(seconds=QUIET_S, why="nothing happens")
    yield from happens(scene, "orders", 1)
    yield from agree(scene)


def _silent(**fault: Any) -> Script:
    """Nothing comes any more, and nobody says so."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from happens(scene, "orders", 1)
        yield now(**fault)
        yield Wait(
            until=asked(2),
            what="the client asks for the stream again",
            rule="pm.alive.notices-silence",
            patience_s=SLOW_PATIENCE_S,
        )
        yield from again()
        yield from happens(scene, "orders", 2)
        yield from agree(scene)

    play.__doc__ = _silent.__doc__
    return play


def session_changes(scene: Scene) -> Steps:
    """A heartbeat tells of another session, and no snapshot follows it."""
    yield from enter(scene)
    yield from happens(scene, "orders", 1)
    yield now("send", text='{"result":{"sessionId":"s-99-1","heartbeat":{}}}')
    yield Wait(
        until=asked(2),
        what="the client asks for the stream anew",
        rule="pm.session.changed",
        patience_s=ANSWER_PATIENCE_S,
    )
    yield from again()
    yield from happens(scene, "orders", 2)
    yield from agree(scene)


def session_goes_on(scene: Scene) -> Steps:
    """The venue begins anew inside the same answer, with a snapshot, and tells of an order."""
    yield from enter(scene)
    yield from happens(scene, "orders", 1)
    yield now("restart", how="silent")
    yield change("orders", 2)
    yield from agree(scene)


def falls(scene: Scene) -> Steps:
    """A stream ends, and there is nobody to ask for another."""
    yield from enter(scene)
    yield from happens(scene, "orders", 1)
    if scene.reported:
        yield Wait(
            until=lambda history: last_status(history) == "synced",
            what="the client calls its stream synced",
        )
    yield now("refuse", seconds=1.5)
    yield Drop()
    yield Wait(
        until=lambda history: last_status(history) != "synced",
        what="the client does not call its stream synced any more",
        rule="pm.status.falls",
    )
    yield from again()
    yield from agree(scene)


def restarts(scene: Scene) -> Steps:
    """The venue ends every stream well, and knows no token any more."""
    yield from enter(scene)
    yield from happens(scene, "orders", 1)
    yield now("restart", how="notice")
    yield change("orders", 2)
    yield from again()
    yield from agree(scene)
    yield from digest(scene)


_ENDS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("fin", "a FIN inside the body", {"kind": "drop"}),
    ("rst", "an RST", {"kind": "reset"}),
    ("ended", "the end of the body", {"kind": "end"}),
    ("garbage", "bytes after the end of the body", {"kind": "garbage"}),
    ("unavailable", "an error 14 in the body", {"kind": "error", "code": 14}),
    ("internal", "an error 13 in the body", {"kind": "error", "code": 13}),
    ("bad-chunk", "a chunk without a size", {"kind": "raw", "violation": "bad_chunk_size"}),
    ("second-head", "the head of another answer", {"kind": "raw", "violation": "second_head"}),
)

_REFUSALS: Final[tuple[tuple[str, Fault], ...]] = (
    *((f"http-{status}", _status(status, times=0)) for status in (400, 401, 403, 464)),
    *(
        (f"error-{code}", Fault(kind="error", at="on open", code=code, times=0))
        for code in (3, 7, 16)
    ),
)

CASES: Final[tuple[Case, ...]] = (
    *(
        made(
            f"connect/{slug}",
            f"A stream that ends by {words} is asked for again",
            f"{COMES_BACK} pm.state.agrees",
            _lost(**fault),
            template="connect/ends",
            hazards="HZ-H7",
        )
        for slug, words, fault in _ENDS
    ),
    *(
        made(
            f"connect/{kind.replace('_', '-')}",
            f"A venue that is away ({kind.replace('_', ' ')}) is tried until it is back",
            f"{COMES_BACK} pm.state.agrees",
            _away(kind),
            template="connect/away",
            hazards="HZ-H4",
        )
        for kind in ("refuse", "accept_then_close")
    ),
    made(
        "connect/restarts",
        "A venue that restarts is asked again",
        f"{COMES_BACK} pm.state.agrees",
        restarts,
    ),
    made(
        "connect/spins-refused",
        "Refusals do not make the client spin",
        BACKS_OFF,
        _spins("status", f"on request {ORDERS} 1", status=503),
        _slower(BACKS_OFF),
        template="connect/spins",
        hazards="HZ-H1",
    ),
    made(
        "connect/spins-dropped",
        "Streams that are dropped at once do not make the client spin",
        BACKS_OFF,
        _spins("drop", "on open"),
        _slower(BACKS_OFF),
        template="connect/spins",
        hazards="HZ-H1",
    ),
    made(
        "connect/spins-error",
        "Answers that begin well and end in an error do not make the client spin",
        FAILED_OPEN,
        _spins("error", "on open", code=14),
        _slower(FAILED_OPEN),
        template="connect/spins-inside",
        hazards="HZ-H1",
    ),
    made(
        "connect/spins-after-heartbeat",
        "Answers that end after a heartbeat do not make the client spin",
        FAILED_OPEN,
        _spins("drop", "before snapshot 1"),
        _slower(FAILED_OPEN),
        template="connect/spins-inside",
        hazards="HZ-H1",
        heartbeat_first=True,
    ),
    made(
        "connect/spins-after-snapshot",
        "Streams that end right after their snapshot do not make the client spin",
        FAILED_OPEN,
        _spins("end", "after snapshot 1"),
        _slower(FAILED_OPEN),
        template="connect/spins-inside",
        hazards="HZ-H2",
        order_tokens=False,
    ),
    *(
        made(
            f"connect/http-{status}",
            f"A request answered with {status} is made again",
            f"{COMES_BACK} pm.state.agrees",
            _refused_twice(_status(status)),
            template="connect/http-again",
            hazards="HZ-H7",
        )
        for status in (500, 503)
    ),
    made(
        "connect/html",
        "A page of HTML with status 200 is no stream",
        f"{COMES_BACK} pm.state.agrees",
        _refused_twice(Fault(kind="html", at=f"on request {ORDERS} 1", times=2)),
        hazards="HZ-C16",
    ),
    made(
        "connect/http-429",
        "A request answered with 429 is not made again at once",
        f"{COMES_BACK} {LIMIT}",
        _refused_twice(_status(429, code=8)),
        _waits(LIMIT, LIMIT_LEAST_S),
        template="connect/limit",
        hazards="HZ-H9 HZ-H10",
    ),
    made(
        "connect/error-8",
        "A stream too many, which is said inside the answer, is not asked for again at once",
        f"{COMES_BACK} {LIMIT}",
        _refused_twice(Fault(kind="error", at="on open", code=8, times=2)),
        _waits(LIMIT, LIMIT_LEAST_S),
        template="connect/limit",
        hazards="HZ-H9",
    ),
    made(
        "connect/retry-after",
        "A refusal says when to come back",
        f"{COMES_BACK} pm.connect.retry-after",
        _refused_twice(_status(429, code=8, retry_after_s=AFTER_S + 1)),
        _waits("pm.connect.retry-after", AFTER_S + 1 - 0.05),
        hazards="HZ-H9",
    ),
    *(
        made(
            f"connect/rejected-{slug}",
            f"A request that is refused for good ({slug.replace('-', ' ')}) is not made for ever",
            "pm.connect.rejected-stops",
            _rejected(fault),
            _few_tries,
            template="connect/rejected",
            hazards="HZ-H6",
        )
        for slug, fault in _REFUSALS
    ),
    made(
        "connect/unanswered",
        "A request without an answer is made again",
        "pm.connect.answer-waits pm.state.agrees",
        unanswered,
        hazards="HZ-K9",
    ),
    made(
        "alive/quiet",
        "A quiet stream is kept",
        "pm.alive.quiet-is-alive pm.state.agrees",
        quiet,
        no_new_request("pm.alive.quiet-is-alive", granted_first),
        hazards="HZ-I4",
    ),
    *(
        made(
            f"alive/{slug}",
            f"{words} is noticed",
            "pm.alive.notices-silence pm.state.agrees",
            _silent(**fault),
            template="alive/silent",
            hazards="HZ-I3",
        )
        for slug, words, fault in (
            ("half-open", "A dead connection", {"kind": "half_open"}),
            (
                "no-heartbeats",
                "A stream in which nothing comes",
                {"kind": "silence_heartbeat", "seconds": 600.0},
            ),
        )
    ),
    made(
        "session/changes",
        "A session that changes without a word is noticed",
        "pm.session.changed pm.state.agrees",
        session_changes,
    ),
    made(
        "session/goes-on",
        "A session that begins anew with a snapshot is followed",
        "pm.state.agrees",
        session_goes_on,
        reported_only=True,
    ),
    made(
        "status/falls",
        "A stream that has ended is not called synced",
        "pm.status.falls pm.status.no-base-no-claim pm.state.agrees",
        falls,
        reported_only=True,
    ),
)
