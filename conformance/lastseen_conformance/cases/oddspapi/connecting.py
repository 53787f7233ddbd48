"""Connections that are refused, closed, left unanswered, or die without a word."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from lastseen_conformance.case import Case, Finding, Judge, Scene, Script, broken, kept
from lastseen_conformance.cases.oddspapi.scripts import (
    accepted,
    agree,
    attempts,
    comes_back,
    enter,
    feed,
    made,
    resumes,
    settled,
)
from lastseen_conformance.history import History, Stepped
from lastseen_conformance.judges.oddspapi_connections import backs_off, no_new_connection
from lastseen_conformance.judges.oddspapi_wire import Link, Wire
from lastseen_conformance.steps import Drop, Linger, Place, Publish, Start, Steps, Wait, now
from lastseen_conformance.timers import TIMERS
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

SPIN_S: Final = 2.0
SLOW_PATIENCE_S: Final = 60.0
"""For a client that keeps the vendor's own 20 s between pings and 20 s for an answer."""

LOGIN_PATIENCE_S: Final = 40.0
TRIES_MAX: Final = 3
"""How often a refused key may be tried in two seconds; a hazard names two confirmations."""

_RULES: Final = "op.connect.comes-back op.snapshot.after-login op.state.equals-truth"


def _slower(ends: Callable[[Link], bool]) -> Judge:
    return backs_off(TIMERS["backoff_base_s"], TIMERS["backoff_cap_s"], 5, ends)


def _fails_at_first(**fault: Any) -> Script:
    """The first attempts come to nothing; then the gateway is well."""

    def play(scene: Scene) -> Steps:
        yield Place(Fault(**fault))
        yield Start()
        yield Wait(until=attempts(1), what="the client connects")
        yield Wait(until=accepted(1), what="the client logs in", rule="op.connect.comes-back")
        yield from settled(scene)
        yield from agree(scene)

    play.__doc__ = _fails_at_first.__doc__
    return play


def _lost(**fault: Any) -> Script:
    """A healthy connection ends, and entries are published before the client is back."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        kind = fault["kind"]
        yield now(kind, **{name: value for name, value in fault.items() if name != "kind"})
        yield Publish("scores")
        yield Publish("odds")
        yield from comes_back(scene)

    play.__doc__ = _lost.__doc__
    return play


def _away(kind: str, seconds: float) -> Script:
    """Nobody listens for a while."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        yield now(kind, seconds=seconds)
        yield Drop()
        yield Publish("scores", count=2)
        yield Publish("odds")
        yield from comes_back(scene)

    play.__doc__ = _away.__doc__
    return play


def _spins(kind: str, at: str, **parameters: Any) -> Script:
    """For two seconds every connection ends at once; then the gateway is well."""

    def play(scene: Scene) -> Steps:
        del scene
        yield Place(Fault(kind=kind, at=at, times=0, **parameters))
        yield Start()
        yield Wait(until=attempts(1), what="the client connects")
        yield Linger(seconds=SPIN_S, why="every connection ends at once")

    play.__doc__ = _spins.__doc__
    return play


def spins_after_login(scene: Scene) -> Steps:
    """For a while every login is accepted and closed at once."""
    yield Place(
        Fault(kind="clean_close_after_login", at="after login_ok", seconds=SPIN_S, code=1000)
    )
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=accepted(1), what="the client logs in", rule="op.login.first")
    yield Linger(seconds=SPIN_S, why="every login is closed at once")
    yield from settled(scene, "op.connect.comes-back")


def _rejected(**fault: Any) -> Script:
    """The key is refused, each time."""

    def play(scene: Scene) -> Steps:
        del scene
        yield Place(Fault(at="on login", times=0, **fault))
        yield Start()
        yield Wait(until=attempts(1), what="the client connects")
        yield Linger(seconds=SPIN_S, why="the client may try again", may_end=True)

    play.__doc__ = _rejected.__doc__
    return play


def _few_tries(history: History) -> Iterator[Finding]:
    rule = "op.connect.rejected-stops"
    tries = [link for link in history.view(Wire).links.values() if link.frames]
    if len(tries) > TRIES_MAX:
        text = f"{len(tries)} logins in {SPIN_S:g} s with a key that was refused"
        yield broken(rule, text, tries[TRIES_MAX].n)
    elif tries:
        yield kept(rule)


def unanswered(scene: Scene) -> Steps:
    """The socket opens, and the login gets no answer."""
    yield Place(Fault(kind="half_open", at="on login", connection=1))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(
        until=accepted(1),
        what="another connection logs in",
        rule="op.login.waits",
        patience_s=LOGIN_PATIENCE_S,
    )
    yield from settled(scene)


def stuck(scene: Scene) -> Steps:
    """Every login ends in a close, as if the position could not be served."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    for number in range(2, 8):
        yield Place(Fault(kind="drop", at="on login", connection=number))
    yield Drop()
    yield Wait(until=accepted(2), what="the client logs in again", rule="op.connect.comes-back")
    yield from settled(scene, logins=2)
    yield from agree(scene)


def _gives_up(history: History) -> Iterator[Finding]:
    rule = "op.resume.gives-up-stuck"
    later = history.view(Wire).logins[1:]
    if len(later) < 6 or not later[0].resumes:
        return
    if all(login.resumes for login in later[:6]):
        yield broken(rule, "six logins with the same cursors, none without", later[5].n)
    else:
        yield kept(rule)


def quiet(scene: Scene) -> Steps:
    """Nothing is published for a while; pings are answered."""
    yield from enter(scene)
    yield Linger(seconds=3.0, why="nothing is published")
    yield from feed(scene, "scores")
    yield from agree(scene)


def _since_quiet(history: History) -> int | None:
    quiet_steps = [step.n for step in history.of(Stepped) if step.text.startswith("linger 3 s")]
    return quiet_steps[0] if quiet_steps else None


def half_open(scene: Scene) -> Steps:
    """The connection is dead, and nobody says so."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield now("half_open")
    yield Publish("scores")
    yield Wait(
        until=accepted(2),
        what="another connection logs in",
        rule="op.connect.notices-silence",
        patience_s=SLOW_PATIENCE_S,
    )
    yield from settled(scene, logins=2)
    yield from agree(scene)


def no_slot(scene: Scene) -> Steps:
    """The gateway says that there are too many connections, a few times."""
    for number in (1, 2):
        yield Place(Fault(kind="close", at="on login", connection=number, code=4003))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=accepted(1), what="the client logs in", rule="op.connect.comes-back")
    yield from settled(scene)


def _all(link: Link) -> bool:
    del link
    return True


CASES: Final[tuple[Case, ...]] = (
    *(
        made(
            f"connect/closed-{code}",
            f"A connection closed with {code} is replaced",
            _RULES + " op.resume.sent-when-valid",
            _lost(kind="close", code=code),
            resumes,
            template="connect/closed",
            hazards="HZ-H7 HZ-D14",
        )
        for code in (1000, 1001, 1011, 1012, 1013, 4002)
    ),
    *(
        made(
            f"connect/{kind}",
            f"A connection that ends by {words} is replaced",
            _RULES + " op.resume.sent-when-valid",
            _lost(kind=kind),
            resumes,
            template="connect/cut",
            hazards="HZ-H7",
        )
        for kind, words in (("drop", "a FIN"), ("reset", "an RST"))
    ),
    *(
        made(
            f"connect/at-first-{name}",
            f"A first connection that is {words} is tried again",
            _RULES,
            _fails_at_first(**fault),
            template="connect/at-first",
            hazards="HZ-H7",
        )
        for name, words, fault in (
            ("dropped", "dropped on opening", {"kind": "drop", "at": "on open", "connection": 1}),
            ("reset", "reset on opening", {"kind": "reset", "at": "on open", "connection": 1}),
            (
                "closed-1013",
                "closed with 1013 on login",
                {"kind": "close", "at": "on login", "connection": 1, "code": 1013},
            ),
            (
                "closed-1011",
                "closed with 1011 on login",
                {"kind": "close", "at": "on login", "connection": 1, "code": 1011},
            ),
        )
    ),
    *(
        made(
            f"connect/{kind.replace('_', '-')}",
            f"A gateway that is away ({kind.replace('_', ' ')}) is tried until it is back",
            _RULES,
            _away(kind, 1.0),
            template="connect/away",
            hazards="HZ-H4 HZ-H7",
        )
        for kind in ("refuse", "accept_then_close")
    ),
    *(
        made(
            f"connect/spins-{name}",
            f"Connections that {words} do not make the client spin",
            "op.connect.backs-off",
            _spins(kind, at, **parameters),
            _slower(_all),
            template="connect/spins",
            hazards="HZ-H1",
        )
        for name, words, kind, at, parameters in (
            ("dropped", "are dropped on opening", "drop", "on open", {}),
            ("closed-1011", "are closed before login_ok", "close", "on login", {"code": 1011}),
            ("closed-1000", "are closed cleanly on login", "close", "on login", {"code": 1000}),
        )
    ),
    made(
        "connect/spins-after-login",
        "Logins that are closed at once do not make the client spin",
        "op.connect.backs-off op.connect.comes-back",
        spins_after_login,
        _slower(_all),
        hazards="HZ-H2",
    ),
    *(
        made(
            f"connect/rejected-{name}",
            f"A key that is refused ({words}) is not tried for ever",
            "op.connect.rejected-stops",
            _rejected(**fault),
            _few_tries,
            template="connect/rejected",
            hazards="HZ-H6",
        )
        for name, words, fault in (
            ("4001", "close 4001", {"kind": "close", "code": 4001, "reason": "api_key_revoked"}),
        )
    ),
    made(
        "connect/no-slot",
        "Too many connections, and later room again",
        "op.connect.comes-back op.snapshot.after-login",
        no_slot,
        hazards="HZ-H9",
    ),
    made(
        "connect/login-unanswered",
        "A login without an answer is given up",
        "op.login.waits op.snapshot.after-login",
        unanswered,
        hazards="HZ-H8",
    ),
    made(
        "connect/stuck",
        "A position that leads nowhere is dropped",
        "op.connect.comes-back op.resume.gives-up-stuck op.state.equals-truth",
        stuck,
        _gives_up,
        hazards="HZ-H5",
    ),
    made(
        "alive/quiet",
        "A quiet connection is kept",
        "op.connect.quiet-is-alive op.state.equals-truth",
        quiet,
        no_new_connection("op.connect.quiet-is-alive", _since_quiet),
        hazards="HZ-I4",
    ),
    made(
        "alive/half-open",
        "A dead connection is noticed",
        "op.connect.notices-silence op.snapshot.after-login op.state.equals-truth",
        half_open,
        hazards="HZ-I3",
    ),
)
