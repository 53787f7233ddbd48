"""Pieces that scripts are made of: what comes before the interesting part, and after it."""

from collections.abc import Iterable
from typing import Any, Final

from lastseen_conformance.case import Case, Finding, Judge, Scene, Script
from lastseen_conformance.history import History
from lastseen_conformance.judges.polymarket_us import applied
from lastseen_conformance.judges.polymarket_us_wire import PmWire
from lastseen_conformance.steps import Compare, Condition, Linger, Publish, Start, Steps, Wait
from lastseen_simulator.polymarket_us.channels import CHANNELS

__all__ = [
    "ACCOUNT",
    "NAMED",
    "SYMBOL",
    "again",
    "agree",
    "asked",
    "cancelled",
    "change",
    "digest",
    "enter",
    "filled",
    "granted",
    "happens",
    "made",
    "nothing",
    "ordered",
    "path",
    "seen",
]

ACCOUNT: Final = "acct-demo"
SYMBOL: Final = "demo-aaa"
DIGEST_S: Final = 0.3
COMES_BACK: Final = "pm.connect.comes-back"


def nothing(history: History) -> Iterable[Finding]:
    """No judgement beyond what always holds and what was waited for."""
    del history
    return ()


def made(
    name: str,
    title: str,
    rules: str,
    play: Script,
    judge: Judge = nothing,
    *,
    stream: str = "orders",
    template: str | None = None,
    hazards: str = "",
    reported_only: bool = False,
    restarts: bool = False,
    **knobs: Any,
) -> Case:
    """A case of this dialect, of one stream; rules and hazards are lists with blanks between."""
    return Case(
        id=f"polymarket-us/{name}",
        template=f"polymarket-us/{template or name}",
        dialect="polymarket-us",
        title=title,
        rules=tuple(rules.split()),
        play=play,
        judge=judge,
        channels=(stream,),
        knobs=knobs,
        hazards=tuple(hazards.split()),
        reported_only=reported_only,
        restarts=restarts,
    )


def path(stream: str) -> str:
    """Where a stream is, on the oldest page."""
    return CHANNELS[stream].path


# What happens at the venue.


def ordered(name: str, **members: Any) -> Publish:
    """An order is taken."""
    order = {"id": name, "account": ACCOUNT, "symbol": SYMBOL, "side": "BUY", "orderQty": 10}
    return Publish("orders", {"type": "NEW", "order": {**order, "price": 500, **members}})


def filled(name: str, shares: int) -> Publish:
    """A part of an order, or what is left of it, is filled."""
    return Publish("orders", {"type": "FILL", "lastShares": shares, "order": {"id": name}})


def cancelled(name: str) -> Publish:
    """An order is over."""
    return Publish("orders", {"type": "CANCELED", "order": {"id": name}})


def change(stream: str, number: int) -> Publish:
    """Something happens on a stream; what happens differs with the number, whatever the stream."""
    match stream:
        case "orders":
            return ordered(f"o-{number}a")
        case "drop_copy":
            order = {"id": f"o-{number}a", "account": ACCOUNT, "symbol": SYMBOL}
            return Publish("drop_copy", {"type": "NEW", "order": order})
        case "trade_capture":
            trade = {"id": f"t-{number}a", "state": "NEW", "symbol": SYMBOL, "px": 500}
            return Publish("trade_capture", {**trade, "qty": number})
        case "positions" | "position_changes":
            held = {"account": ACCOUNT, "symbol": SYMBOL, "netPosition": number}
            return Publish(stream, {**held, "cost": number * 500})
        case _:
            return Publish(stream, {"symbol": SYMBOL})


# What the client does.


def asked(count: int) -> Condition:
    """So many requests for a stream have come."""
    return lambda history: len(history.view(PmWire).asks) >= count


def granted(count: int) -> Condition:
    """So many streams have been granted."""
    return lambda history: len(history.view(PmWire).granted) >= count


def enter(scene: Scene) -> Steps:
    """Starts the client and waits until it has its stream."""
    del scene
    yield Start()
    yield Wait(until=asked(1), what="the client asks for its stream")
    yield Wait(until=granted(1), what="the stream is granted", rule="pm.ask.request")


def again(count: int = 2, rule: str = COMES_BACK) -> Steps:
    """Waits until the client has got another stream."""
    yield Wait(until=granted(count), what="the client asks for the stream again", rule=rule)


def digest(scene: Scene) -> Steps:
    """Lets the client process what it got."""
    del scene
    yield Linger(seconds=DIGEST_S, why="the client may process what it got")


def seen(scene: Scene, name: str, rule: str = "pm.apply.all") -> Steps:
    """Waits until the client says that it has applied an entry, when it says such things."""
    if scene.reported:
        yield Wait(
            until=lambda history: bool(applied(history, name)),
            what=f"the client applies {name}",
            rule=rule,
        )
    else:
        yield from digest(scene)


def happens(scene: Scene, stream: str, number: int) -> Steps:
    """Something happens, and the client has applied it; answered with its name."""
    (name,) = yield change(stream, number)
    if stream in NAMED:
        yield from seen(scene, name.split("/")[0])
    else:
        yield from agree(scene)
        yield from digest(scene)
    return name


NAMED: Final = ("orders", "drop_copy", "trade_capture")
"""The streams whose entries have names."""


def agree(scene: Scene, rule: str = "pm.state.agrees") -> Steps:
    """The client's state, when it reports, has to come to be the true one."""
    del scene
    yield Compare(rule=rule)
