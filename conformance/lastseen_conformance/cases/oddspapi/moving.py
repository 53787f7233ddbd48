"""`reconnect`: moving to another connection without losing or doubling anything."""

import json
from collections.abc import Iterator
from typing import Any, Final

from lastseen_conformance.case import Case, Finding, Scene, Script
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
from lastseen_conformance.history import History
from lastseen_conformance.judges.oddspapi_connections import backs_off
from lastseen_conformance.judges.oddspapi_wire import Wire
from lastseen_conformance.steps import Drop, Linger, Notice, Place, Publish, Start, Steps, Wait, now
from lastseen_conformance.timers import TIMERS
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

MOVES: Final = "op.connect.moves-when-told"
LONG_GRACE_S: Final = 60.0
OF_OLD: Final = "4102444800000-1"

_RULES: Final = f"{MOVES} op.connect.one-replacement op.snapshot.after-login op.state.equals-truth"


def _moved(scene: Scene, logins: int = 2) -> Steps:
    yield Wait(until=accepted(logins), what="the client has moved", rule=MOVES)
    yield from settled(scene, logins=logins)


def _told(reason: str, *, grace_s: float = 3.0) -> Script:
    """A reconnect frame on a healthy connection that goes on for a while."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        yield Notice(reason=reason, grace_s=grace_s)
        yield Publish("scores")
        yield from _moved(scene)
        yield Publish("scores")
        yield from agree(scene)

    play.__doc__ = _told.__doc__
    return play


def _odd(text: str) -> Script:
    """A reconnect frame with an odd reason, or none."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        yield now("send", text=text)
        yield Publish("scores")
        yield from _moved(scene)
        yield from agree(scene)

    play.__doc__ = _odd.__doc__
    return play


def never_closed(scene: Scene) -> Steps:
    """The gateway forgets to close the connection it asked to leave."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Notice(grace_s=LONG_GRACE_S)
    yield from _moved(scene)

    def let_go(history: History) -> bool:
        return history.view(Wire).links[1].ended_n is not None

    yield Wait(until=let_go, what="the client closes the old one", rule="op.connect.lets-go")
    yield from agree(scene)


def old_goes_on(scene: Scene) -> Steps:
    """The old connection streams on while the new one logs in, and after it has."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Notice(grace_s=LONG_GRACE_S)
    yield Wait(until=accepted(2), what="the client has moved", rule=MOVES)
    yield Publish("scores", count=4)
    yield from _moved(scene)
    # Whoever applies this has read the new login, before it says so.
    yield from feed(scene, "scores")
    still_there: list[bool] = []

    def let_go(history: History) -> bool:
        still_there[:] = [history.view(Wire).links[1].ended_n is None]
        return not still_there[0]

    yield Linger(seconds=0.5, why="the client may let go of the old one", until=let_go)
    if still_there[0]:
        yield now("send", connection=1, text=_of_old(scene))
        yield Linger(seconds=0.2, why="it may listen to the old one")
    yield from agree(scene)


def _of_old(scene: Scene) -> str:
    """An entry that only the old connection has."""
    payload: dict[str, Any] = {"fixtureId": scene.fixtures[0], "scores": {}}
    entry: dict[str, Any] = {"channel": "scores", "type": "UPDATE", "ts": 1, "entryId": OF_OLD}
    entry["payload"] = payload
    return json.dumps(entry)


def twice(scene: Scene) -> Steps:
    """Told again before the move is done."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Notice()
    yield Notice()
    yield Publish("scores")
    yield from _moved(scene)
    yield from agree(scene)


def on_the_replacement(scene: Scene) -> Steps:
    """The replacement is told to move on as soon as it has logged in."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Place(Fault(kind="reconnect", at="after login_ok", connection=2))
    yield Notice()
    yield Publish("scores")
    yield Wait(until=accepted(3), what="the client has moved twice", rule=MOVES)
    yield from settled(scene, logins=3)
    yield from agree(scene)


def during_fetch(scene: Scene) -> Steps:
    """Told while the first snapshot is under way."""
    yield Place(Fault(kind="reconnect", at="on request /fixtures 1", grace_s=1.0))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Publish("scores")
    yield Wait(until=accepted(2), what="the client has moved", rule=MOVES)
    yield from settled(scene, logins=2)
    yield from agree(scene)


def during_replay(scene: Scene) -> Steps:
    """Told in the middle of a replay."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Place(Fault(kind="reconnect", at="after replayed 1", connection=2, grace_s=1.0))
    yield now("refuse", seconds=0.2)
    yield Drop()
    yield Publish("scores", count=3)

    def told(history: History) -> bool:
        second = history.view(Wire).links.get(2)
        return second is not None and second.noticed_n is not None

    yield Wait(until=told, what="the second connection is told to move")
    yield Wait(until=accepted(3), what="the client has moved", rule=MOVES)
    yield from settled(scene, logins=3)
    yield from agree(scene)


def no_room(scene: Scene) -> Steps:
    """The key allows one connection only."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Notice(grace_s=0.5)
    yield Publish("scores")
    yield from comes_back(scene)


def always(scene: Scene) -> Steps:
    """Every login is answered by another reconnect, for a while."""
    yield Place(Fault(kind="reconnect_after_login", at="after login_ok", seconds=1.5, grace_s=0.2))
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=accepted(2), what="the client moves", rule=MOVES)
    yield Linger(seconds=1.6, why="every login is told to move on")
    yield from settled(scene, logins=3)


def _slower(history: History) -> Iterator[Finding]:
    """The first move comes at once; from the second on they become slower."""
    judge = backs_off(
        TIMERS["backoff_base_s"],
        TIMERS["backoff_cap_s"],
        6,
        lambda link: link.noticed_n is not None,
    )
    yield from judge(history)


CASES: Final[tuple[Case, ...]] = (
    *(
        made(
            f"move/told-{reason.replace('_', '-') or 'empty'}",
            f"reconnect is followed at once, whatever the reason: {reason or 'an empty text'}",
            _RULES,
            _told(reason),
            template="move/told",
            hazards="HZ-D1 HZ-D2",
        )
        for reason in ("server_upgrade", "rebalance", "")
    ),
    *(
        made(
            f"move/odd-{name}",
            f"reconnect with {words} is followed",
            f"{MOVES} op.connect.one-replacement op.state.equals-truth",
            _odd(text),
            template="move/odd",
            hazards="HZ-D2",
        )
        for name, words, text in (
            ("no-reason", "no reason", '{"type":"reconnect"}'),
            ("null", "a null reason", '{"type":"reconnect","reason":null}'),
            ("number", "a number for a reason", '{"type":"reconnect","reason":7}'),
        )
    ),
    *(
        made(
            f"move/closed-{code}",
            f"The old connection ends with {code} when its grace is over",
            _RULES,
            _told("server_upgrade", grace_s=0.3),
            template="move/closed",
            hazards="HZ-D14",
            reconnect_close_code=code,
        )
        for code in (1006, 4002)
    ),
    made(
        "move/never-closed",
        "The client closes the old connection itself",
        f"{_RULES} op.connect.lets-go",
        never_closed,
        hazards="HZ-D10",
    ),
    made(
        "move/old-goes-on",
        "Nothing from the old connection is applied once the new one has logged in",
        f"{_RULES} op.state.one-owner",
        old_goes_on,
        hazards="HZ-D4",
    ),
    made("move/twice", "reconnect said twice is one move", _RULES, twice, hazards="HZ-D8 HZ-D11"),
    made(
        "move/on-the-replacement",
        "The replacement is told to move on",
        _RULES,
        on_the_replacement,
        hazards="HZ-D8",
    ),
    made(
        "move/during-fetch",
        "Told while a snapshot is under way",
        _RULES,
        during_fetch,
        hazards="HZ-D8",
    ),
    made(
        "move/during-replay",
        "Told in the middle of a replay",
        f"{_RULES} op.state.once",
        during_replay,
        hazards="HZ-D8",
    ),
    made(
        "move/no-room",
        "A move with no second connection to spare",
        "op.connect.comes-back op.snapshot.after-login op.state.equals-truth",
        no_room,
        hazards="HZ-D6",
        connection_limit=1,
    ),
    made(
        "move/always",
        "A gateway that sends every client on does not make it spin",
        f"{MOVES} op.connect.backs-off op.snapshot.after-login",
        always,
        _slower,
        hazards="HZ-D3",
    ),
)
