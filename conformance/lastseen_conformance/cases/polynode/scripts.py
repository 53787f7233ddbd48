"""Pieces that scripts are made of: what comes before the interesting part, and after it."""

from collections.abc import Iterable
from typing import Any, Final

from lastseen_conformance.case import Case, Finding, Judge, Scene, Script
from lastseen_conformance.history import Connected, History
from lastseen_conformance.judges.polynode import outcomes
from lastseen_conformance.judges.polynode_wire import PnWire
from lastseen_conformance.steps import Compare, Condition, Linger, Publish, Start, Steps, Wait

__all__ = [
    "agree",
    "again",
    "attempts",
    "confirm",
    "enter",
    "item_is",
    "made",
    "nothing",
    "settle",
    "subscribed",
    "tx",
]

DIGEST_S: Final = 0.3


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
    template: str | None = None,
    hazards: str = "",
    reported_only: bool = False,
    restarts: bool = False,
    **knobs: Any,
) -> Case:
    """A case of this dialect; rules and hazards are lists with blanks between."""
    return Case(
        id=f"polynode/{name}",
        template=f"polynode/{template or name}",
        dialect="polynode",
        title=title,
        rules=tuple(rules.split()),
        play=play,
        judge=judge,
        channels=("settlements",),
        knobs=knobs,
        hazards=tuple(hazards.split()),
        reported_only=reported_only,
        restarts=restarts,
    )


def tx(number: int) -> str:
    """The hash of an invented transaction."""
    return f"0x{number:064x}"


def attempts(count: int) -> Condition:
    """So many connections have been opened."""
    return lambda history: history.count(Connected) >= count


def subscribed(count: int) -> Condition:
    """So many connections have had a subscribe answered."""
    return lambda history: history.view(PnWire).subscribed >= count


def item_is(key: str, *states: str) -> Condition:
    """The client's last word on an item is one of these."""

    def met(history: History) -> bool:
        told = outcomes(history).get(key)
        return told is not None and told[-1][1] in states

    return met


def enter(scene: Scene) -> Steps:
    """Starts the client and waits until it is subscribed."""
    del scene
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=subscribed(1), what="the client subscribes", rule="pn.subscribe.asks")


def again(count: int = 2) -> Steps:
    """Waits until the client has subscribed on another connection."""
    yield Wait(
        until=subscribed(count), what="the client subscribes again", rule="pn.subscribe.again"
    )


def settle(scene: Scene, number: int, **members: Any) -> Steps:
    """Publishes a pending settlement; answered with its key, once the client has told of it."""
    (key,) = yield Publish("settlement", {"tx_hash": tx(number), **members})
    yield from _digest(scene, key, "pending", "timed_out", "confirmed")
    return key


def confirm(scene: Scene, number: int, key: str) -> Steps:
    """Publishes the confirmation of a transaction, and lets the client tell of it."""
    yield Publish("status_update", {"tx_hash": tx(number)})
    yield from _digest(scene, key, "confirmed")


def _digest(scene: Scene, key: str, *states: str) -> Steps:
    if scene.reported:
        what = f"the client calls the settlement {' or '.join(states)}"
        yield Wait(until=item_is(key, *states), what=what, rule="pn.item.outcome")
    else:
        yield Linger(seconds=DIGEST_S, why="the client may process what it got")


def agree(scene: Scene, rule: str = "pn.item.outcome") -> Steps:
    """The client's items, when it reports them, have to come to be the true ones."""
    del scene
    yield Compare(rule=rule, what="the client's items are what was sent")
