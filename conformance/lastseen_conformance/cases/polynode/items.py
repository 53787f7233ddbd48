"""Settlements from pending to confirmed, in every order that the wire may bring."""

from collections.abc import Iterator
from typing import Any, Final

from lastseen_conformance.case import Case, Finding, Scene, broken, kept
from lastseen_conformance.cases.polynode.scripts import (
    again,
    agree,
    confirm,
    enter,
    item_is,
    made,
    settle,
    subscribed,
    tx,
)
from lastseen_conformance.history import History, Said
from lastseen_conformance.judges.polynode import outcomes
from lastseen_conformance.judges.polynode_wire import PnWire
from lastseen_conformance.steps import (
    Drop,
    Linger,
    Place,
    Publish,
    Start,
    Steps,
    Tell,
    Wait,
    now,
)
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

TIMEOUT_PATIENCE_S: Final = 25.0
"""For a client that keeps the documented fifteen seconds."""

_OUTCOME: Final = "pn.item.outcome pn.item.once pn.item.forward"


def confirmed(scene: Scene) -> Steps:
    """Pending, then confirmed, both live."""
    yield from enter(scene)
    for number in range(1, 4):
        key = yield from settle(scene, number)
        yield from confirm(scene, number, key)
    yield from agree(scene)


def ordered(scene: Scene) -> Steps:
    """Things happen before the client subscribes, while it does, and after."""
    yield Publish("settlement", {"tx_hash": tx(1)})
    yield Publish("status_update", {"tx_hash": tx(1)})
    yield Publish("settlement", {"tx_hash": tx(2)})
    yield Start()
    yield Linger(seconds=5.0, why="it may subscribe", until=_spoken)
    yield Publish("status_update", {"tx_hash": tx(2)})
    yield Wait(until=subscribed(1), what="the client subscribes", rule="pn.subscribe.asks")
    yield Publish("settlement", {"tx_hash": tx(3)})
    yield from agree(scene)


def _spoken(history: History) -> bool:
    return any(link.subscribes for link in history.view(PnWire).links.values())


def update_first(scene: Scene) -> Steps:
    """The confirmation comes before its settlement."""
    yield from enter(scene)
    yield Publish("status_update", {"tx_hash": tx(1)})
    yield Linger(seconds=0.1, why="the confirmation waits")
    (key,) = yield Publish("settlement", {"tx_hash": tx(1)})
    yield Wait(until=item_is(key, "confirmed"), what="it is confirmed", rule="pn.item.outcome")
    yield from agree(scene)


def confirmed_meanwhile(scene: Scene) -> Steps:
    """Confirmed while the client is away; the history has both, the settlement still as pending."""
    yield from enter(scene)
    yield from settle(scene, 1)
    yield now("refuse", seconds=0.3)
    yield Drop()
    yield Publish("status_update", {"tx_hash": tx(1)})
    yield Publish("settlement", {"tx_hash": tx(2)})
    yield Publish("status_update", {"tx_hash": tx(2)})
    yield Publish("settlement", {"tx_hash": tx(3)})
    yield from again()
    yield from agree(scene)


def only_in_history(scene: Scene) -> Steps:
    """The confirmation is published to nobody who is connected, and is in the next history."""
    yield from enter(scene)
    yield from settle(scene, 1)
    yield now("confirmation_in_snapshot_only")
    yield Publish("status_update", {"tx_hash": tx(1)})
    yield Drop()
    yield from again()
    yield from agree(scene)


def never(scene: Scene) -> Steps:
    """The confirmation never comes."""
    yield from enter(scene)
    key = yield from settle(scene, 1)
    yield Wait(
        until=item_is(key, "timed_out"),
        what="it is timed out",
        rule="pn.item.times-out",
        patience_s=TIMEOUT_PATIENCE_S,
    )


def late(scene: Scene) -> Steps:
    """The confirmation comes after the timeout."""
    yield from never(scene)
    yield Publish("status_update", {"tx_hash": tx(1)})
    yield from agree(scene, "pn.item.late-counts")


def resurrected(scene: Scene) -> Steps:
    """Timed out; then every new history lists it as pending once more."""
    yield from never(scene)
    for count in (2, 3):
        yield Drop()
        yield from again(count)
        yield Linger(seconds=0.3, why="the history lists it as pending")
    yield Publish("status_update", {"tx_hash": tx(1)})
    yield from agree(scene, "pn.item.late-counts")


def repeated(scene: Scene) -> Steps:
    """Settlement and confirmation come twice, and again in a history."""
    yield from enter(scene)
    yield Place(Fault(kind="duplicate", at="before live 1"))
    yield Place(Fault(kind="duplicate", at="before live 3"))
    key = yield from settle(scene, 1)
    yield from confirm(scene, 1, key)
    yield Publish("status_update", {"tx_hash": tx(1)})
    yield Drop()
    yield from again()
    yield Linger(seconds=0.3, why="the history repeats it all")
    yield from agree(scene)


def born_confirmed(scene: Scene) -> Steps:
    """The first that is heard of a settlement is that it is confirmed."""
    yield from enter(scene)
    (key,) = yield Publish("settlement", {"tx_hash": tx(1), "status": "confirmed"})
    yield Wait(until=item_is(key, "confirmed"), what="it is confirmed", rule="pn.item.outcome")
    yield Linger(seconds=2.0, why="no timeout may come")
    yield from agree(scene)


def several(scene: Scene) -> Steps:
    """One transaction has several settlements; it is mined whole."""
    yield from enter(scene)
    for number in range(3):
        yield Publish("settlement", {"tx_hash": tx(1), "taker_wallet": f"0x{number:040x}"})
    yield Publish("status_update", {"tx_hash": tx(1)})
    yield from agree(scene)


def omitted(scene: Scene) -> Steps:
    """Five are pending; the next history lists the newest two only."""
    yield from enter(scene)
    for number in range(1, 6):
        yield from settle(scene, number)
    yield Drop()
    yield from again()
    yield Publish("settlement", {"tx_hash": tx(6)})
    yield Tell("state")
    yield Linger(seconds=0.3, why="the answer to 'state'")
    for number in range(1, 7):
        yield Publish("status_update", {"tx_hash": tx(number)})
    yield from agree(scene, "pn.item.history-merges")


def _nothing_vanished(history: History) -> Iterator[Finding]:
    """What the client has told of is in every state that it shows later."""
    told: set[str] = set()
    for said in history.of(Said):
        line = said.line or {}
        if line.get("event") == "item":
            told.add(str(line.get("key")))
        if line.get("event") == "state":
            state: Any = line.get("state")
            missing = sorted(name for name in told if name not in (state or {}))
            if missing:
                yield broken("pn.item.history-merges", f"{missing[0]} has vanished", said.n)
                return
    if told:
        yield kept("pn.item.history-merges")


def _told_timed_out(history: History) -> Iterator[Finding]:
    """The word is timed out; failure would be a claim that nobody has made."""
    wrong = [
        (said, state)
        for lines in outcomes(history).values()
        for said, state in lines
        if state not in ("unknown", "pending", "timed_out", "confirmed")
    ]
    if wrong:
        yield broken("pn.item.times-out", f"an item is called {wrong[0][1]}", wrong[0][0].n)


_REPORTED: Final[dict[str, Any]] = {"reported_only": True}

CASES: Final[tuple[Case, ...]] = (
    made(
        "item/confirmed",
        "Pending, then confirmed",
        f"{_OUTCOME} pn.subscribe.one-at-a-time",
        confirmed,
        hazards="HZ-G13",
    ),
    *(
        made(
            f"item/order-{order.replace('_', '-')}-{sort.replace('_', '-')}",
            f"Ack, snapshot and live events come {order.replace('_', ' ')}, {sort}",
            "pn.subscribe.asks pn.item.outcome pn.item.forward",
            ordered,
            template="item/order",
            hazards="HZ-G1 HZ-G3",
            order=order,
            snapshot_order=sort,
            live_first_patience_s=1.0,
        )
        for order in ("ack_first", "snapshot_first", "live_first")
        for sort in ("oldest_first", "newest_first")
    ),
    made(
        "item/update-first",
        "A confirmation before its settlement is remembered",
        _OUTCOME,
        update_first,
        hazards="HZ-G2",
        reported_only=True,
    ),
    *(
        made(
            f"item/meanwhile-{shape}-{sort.replace('_', '-')}",
            f"Confirmed while the client was away; the history is {shape} and {sort}",
            f"pn.subscribe.again pn.history.reaches-back {_OUTCOME}",
            confirmed_meanwhile,
            template="item/meanwhile",
            hazards="HZ-G1",
            snapshot_shape=shape,
            snapshot_order=sort,
        )
        for shape in ("wrapped", "flat")
        for sort in ("oldest_first", "newest_first")
    ),
    made(
        "item/only-in-history",
        "A confirmation that only the history has",
        f"pn.subscribe.again {_OUTCOME}",
        only_in_history,
        hazards="HZ-G1 HZ-G10",
    ),
    made(
        "item/never",
        "A confirmation that never comes is a timeout",
        "pn.item.times-out pn.item.once",
        never,
        _told_timed_out,
        hazards="HZ-G10 HZ-G14",
        **_REPORTED,
    ),
    made(
        "item/late",
        "A late confirmation still counts",
        "pn.item.times-out pn.item.late-counts pn.item.once pn.item.forward",
        late,
        _told_timed_out,
        hazards="HZ-G5",
        **_REPORTED,
    ),
    made(
        "item/not-resurrected",
        "What has timed out is not pending again",
        "pn.item.times-out pn.item.late-counts pn.item.once pn.item.forward",
        resurrected,
        hazards="HZ-G6",
        **_REPORTED,
    ),
    made(
        "item/repeated",
        "What is said again changes nothing",
        f"pn.subscribe.again {_OUTCOME}",
        repeated,
        hazards="HZ-G13",
        **_REPORTED,
    ),
    made(
        "item/born-confirmed",
        "A settlement that is confirmed from the beginning",
        _OUTCOME,
        born_confirmed,
        hazards="HZ-G11",
        **_REPORTED,
    ),
    made(
        "item/several",
        "Several settlements of one transaction are confirmed together",
        _OUTCOME,
        several,
        **_REPORTED,
    ),
    made(
        "item/omitted",
        "A history is merged: what it omits stays",
        "pn.subscribe.again pn.item.history-merges pn.item.once",
        omitted,
        _nothing_vanished,
        hazards="HZ-G18",
        buffer_events=2,
        **_REPORTED,
    ),
)
