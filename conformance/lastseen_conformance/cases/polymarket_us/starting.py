"""How a stream is asked for, and what every one of them brings."""

from typing import Final

from lastseen_conformance.case import Case, Scene, Script
from lastseen_conformance.cases.polymarket_us.scripts import (
    agree,
    cancelled,
    change,
    enter,
    filled,
    happens,
    made,
    ordered,
    seen,
)
from lastseen_conformance.steps import Publish, Steps

__all__ = ["CASES"]

STREAMS: Final = (
    "orders", "positions", "market_data", "instruments", "drop_copy", "trade_capture",
    "position_changes",
)  # fmt: skip
_ASKED: Final = "pm.ask.request pm.ask.bearer pm.limit.messages pm.connect.one-stream"
_EVENTS: Final = ("drop_copy",)
_OF_NOBODY: Final = ("market_data", "instruments")


def _goes_on(stream: str) -> Script:
    """A stream begins, and two things happen."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from happens(scene, stream, 1)
        yield from happens(scene, stream, 2)
        yield from agree(scene)

    play.__doc__ = _goes_on.__doc__
    return play


def _finds(stream: str) -> Script:
    """Something is there before the stream is asked for."""

    def play(scene: Scene) -> Steps:
        yield change(stream, 1)
        yield change(stream, 2)
        yield from enter(scene)
        yield from agree(scene)

    play.__doc__ = _finds.__doc__
    return play


def lives(scene: Scene) -> Steps:
    """An order is taken, filled in two parts, and another one is cancelled."""
    yield from enter(scene)
    for step in (ordered("o-a"), ordered("o-b"), filled("o-a", 4), filled("o-a", 6)):
        (name,) = yield step
        yield from seen(scene, name)
    yield cancelled("o-b")
    yield from agree(scene)


def trades(scene: Scene) -> Steps:
    """A fill becomes a trade and moves a position, on whichever stream is followed."""
    yield from enter(scene)
    yield ordered("o-a")
    yield filled("o-a", 4)
    yield from agree(scene)
    yield Publish("orders", {"type": "FILL", "lastShares": 6, "order": {"id": "o-a"}})
    yield from agree(scene)


def _rules(stream: str, *more: str) -> str:
    named = () if stream in _OF_NOBODY else ("pm.ask.participant",)
    told = ("pm.apply.all", "pm.apply.once") if stream in _EVENTS else ("pm.state.agrees",)
    return " ".join((_ASKED, *named, *told, *more))


CASES: Final[tuple[Case, ...]] = (
    *(
        made(
            f"start/{stream.replace('_', '-')}",
            f"{stream} are asked for and followed",
            _rules(stream),
            _goes_on(stream),
            stream=stream,
            template="start/goes-on",
        )
        for stream in STREAMS
    ),
    *(
        made(
            f"start/finds-{stream.replace('_', '-')}",
            f"{stream} that were there before are brought by the beginning of the stream",
            "pm.state.agrees",
            _finds(stream),
            stream=stream,
            template="start/finds",
            reported_only=True,
        )
        for stream in ("orders", "positions", "market_data", "instruments")
    ),
    made(
        "orders/lives",
        "Orders are followed from their beginning to their end",
        "pm.apply.all pm.apply.once pm.state.agrees",
        lives,
        reported_only=True,
    ),
    *(
        made(
            f"{stream.replace('_', '-')}/from-fills",
            f"What fills do to {stream} is followed",
            "pm.state.agrees",
            trades,
            stream=stream,
            template="fills",
            reported_only=True,
        )
        for stream in ("positions", "trade_capture", "position_changes")
    ),
    made(
        "start/participant",
        "A venue that insists on a participant is told whose stream it is",
        "pm.ask.participant pm.state.agrees",
        _goes_on("orders"),
        participant="required",
    ),
)
