"""Connections and subscribes that fail, and connections that are merely quiet."""

from typing import Any, Final

from lastseen_conformance.case import Case, Finding, Scene, Script, broken, kept
from lastseen_conformance.cases.polynode.scripts import (
    again,
    agree,
    attempts,
    enter,
    made,
    settle,
    subscribed,
    tx,
)
from lastseen_conformance.history import History, Pinged, Refused, Stepped
from lastseen_conformance.judges.polynode import no_new_connection, slower
from lastseen_conformance.judges.polynode_wire import PnWire
from lastseen_conformance.steps import Drop, Linger, Place, Publish, Start, Steps, Wait, now
from lastseen_conformance.timers import TIMERS
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

SPIN_S: Final = 2.0
TRIES_MAX: Final = 3
SLOW_PATIENCE_S: Final = 120.0
"""For a client that keeps the documented ninety seconds."""

ANSWER_PATIENCE_S: Final = 40.0


def _lost(**fault: Any) -> Script:
    """A healthy connection ends, and something happens meanwhile."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from settle(scene, 1)
        kind = fault["kind"]
        yield now(kind, **{name: value for name, value in fault.items() if name != "kind"})
        yield Publish("settlement", {"tx_hash": tx(2)})
        yield Publish("status_update", {"tx_hash": tx(1)})
        yield from again()
        yield from agree(scene)

    play.__doc__ = _lost.__doc__
    return play


def _away(kind: str) -> Script:
    """Nobody listens for a while."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from settle(scene, 1)
        yield now(kind, seconds=1.0)
        yield Drop()
        yield Publish("status_update", {"tx_hash": tx(1)})
        yield from again()
        yield from agree(scene)

    play.__doc__ = _away.__doc__
    return play


def spins(scene: Scene) -> Steps:
    """For two seconds every connection ends at once."""
    del scene
    yield Place(Fault(kind="drop", at="on open", times=0))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Linger(seconds=SPIN_S, why="every connection ends at once")


def _http(status: int, times: int) -> Script:
    """The upgrade is answered with an HTTP status."""

    def play(scene: Scene) -> Steps:
        yield Place(Fault(kind="status", at="on request /ws 1", status=status, times=times))
        yield Start()
        yield Wait(until=_refused, what="the client asks for an upgrade")
        if times:
            yield Wait(until=subscribed(1), what="the client subscribes", rule="pn.subscribe.again")
            yield from agree(scene)
        else:
            yield Linger(seconds=SPIN_S, why="the client may try again", may_end=True)

    play.__doc__ = _http.__doc__
    return play


def _refused(history: History) -> bool:
    return history.count(Refused) > 0


def _few_tries(history: History) -> list[Finding]:
    tries = list(history.of(Refused))
    rule = "pn.connect.rejected-stops"
    if len(tries) > TRIES_MAX:
        text = f"{len(tries)} attempts in {SPIN_S:g} s with a key that was refused"
        return [broken(rule, text, tries[TRIES_MAX].n)]
    return [kept(rule)] if tries else []


def unanswered(scene: Scene) -> Steps:
    """The first subscribe gets no answer, and no events."""
    del scene
    yield Place(Fault(kind="no_ack", at="on subscribe"))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(
        until=subscribed(1),
        what="a later subscribe is answered",
        rule="pn.subscribe.waits",
        patience_s=ANSWER_PATIENCE_S,
    )


def acked_twice(scene: Scene) -> Steps:
    """A subscribe is acknowledged twice."""
    yield Place(Fault(kind="double_ack", at="on subscribe"))
    yield from enter(scene)
    yield from settle(scene, 1)
    yield Linger(seconds=0.4, why="nothing has to happen")
    yield from agree(scene)


def quiet(scene: Scene) -> Steps:
    """Nothing is traded for a while; pings and heartbeats come."""
    yield from enter(scene)
    yield Linger(seconds=3.0, why="nothing is traded")
    yield from settle(scene, 1)
    yield from agree(scene)


def _since_quiet(history: History) -> int | None:
    steps = [step.n for step in history.of(Stepped) if step.text.startswith("linger 3 s")]
    return steps[0] if steps else None


def pinged(scene: Scene) -> Steps:
    """The server pings, five times at least."""
    yield from enter(scene)
    yield Wait(until=lambda history: history.count(Pinged) >= 5, what="five pings are sent")
    yield from settle(scene, 1)


def half_open(scene: Scene) -> Steps:
    """The connection is dead, and nobody says so."""
    yield from enter(scene)
    yield from settle(scene, 1)
    yield now("half_open")
    yield Publish("status_update", {"tx_hash": tx(1)})
    yield Wait(
        until=subscribed(2),
        what="another connection subscribes",
        rule="pn.alive.notices-silence",
        patience_s=SLOW_PATIENCE_S,
    )
    yield from agree(scene)


def _stays(history: History) -> list[Finding]:
    wire = history.view(PnWire)
    first = next((link.acked_n for link in wire.links.values() if link.acked_n), None)
    return list(no_new_connection("pn.input.survives", lambda _: first)(history))


_LOST: Final = "pn.subscribe.again pn.history.reaches-back pn.item.outcome"

CASES: Final[tuple[Case, ...]] = (
    *(
        made(
            f"connect/closed-{code}",
            f"A connection closed with {code} is replaced",
            _LOST,
            _lost(kind="close", code=code),
            template="connect/closed",
            hazards="HZ-H7",
        )
        for code in (1000, 1001, 1011, 1012, 1013)
    ),
    *(
        made(
            f"connect/{kind}",
            f"A connection that ends by {words} is replaced",
            _LOST,
            _lost(kind=kind),
            template="connect/cut",
            hazards="HZ-H7",
        )
        for kind, words in (("drop", "a FIN"), ("reset", "an RST"))
    ),
    *(
        made(
            f"connect/{kind.replace('_', '-')}",
            f"A server that is away ({kind.replace('_', ' ')}) is tried until it is back",
            _LOST,
            _away(kind),
            template="connect/away",
            hazards="HZ-H4",
        )
        for kind in ("refuse", "accept_then_close")
    ),
    made(
        "connect/spins",
        "Connections that are dropped at once do not make the client spin",
        "pn.connect.backs-off",
        spins,
        slower(TIMERS["backoff_base_s"], TIMERS["backoff_cap_s"], 5),
        hazards="HZ-H1",
    ),
    *(
        made(
            f"connect/http-{status}",
            f"An upgrade answered with {status} is tried again",
            "pn.subscribe.again",
            _http(status, 2),
            template="connect/http-again",
            hazards="HZ-H7",
        )
        for status in (500, 503)
    ),
    *(
        made(
            f"connect/http-{status}",
            f"An upgrade answered with {status} is not tried for ever",
            "pn.connect.rejected-stops",
            _http(status, 0),
            _few_tries,
            template="connect/http-rejected",
            hazards="HZ-H6",
        )
        for status in (401, 403)
    ),
    made(
        "subscribe/unanswered",
        "A subscribe without an answer is repeated",
        "pn.subscribe.waits",
        unanswered,
        hazards="HZ-H8",
    ),
    made(
        "subscribe/acked-twice",
        "An acknowledgement that comes twice is borne",
        "pn.input.survives pn.item.outcome",
        acked_twice,
        _stays,
    ),
    made(
        "alive/quiet",
        "A quiet connection is kept",
        "pn.alive.quiet-is-alive pn.alive.pongs pn.item.outcome",
        quiet,
        no_new_connection("pn.alive.quiet-is-alive", _since_quiet),
        hazards="HZ-I4 HZ-I5",
    ),
    made("alive/pinged", "Pings are answered", "pn.alive.pongs", pinged, hazards="HZ-I1"),
    made(
        "alive/half-open",
        "A dead connection is noticed",
        "pn.alive.notices-silence pn.item.outcome",
        half_open,
        hazards="HZ-I3",
    ),
)
