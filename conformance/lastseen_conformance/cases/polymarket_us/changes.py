"""What changes, and what is told twice, late, in another spelling, or by leaving it out."""

import json
from collections.abc import Iterator
from typing import Any, Final

from lastseen_conformance.case import Case, Scene, Script
from lastseen_conformance.cases.polymarket_us.scripts import (
    ACCOUNT,
    NAMED,
    SYMBOL,
    again,
    agree,
    cancelled,
    change,
    digest,
    enter,
    filled,
    happens,
    made,
    ordered,
    seen,
)
from lastseen_conformance.steps import Drop, Linger, Place, Publish, Step, Steps, now
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

AGREES: Final = "pm.state.agrees"
FORWARD: Final = "pm.state.forward"
ZEROES: Final = "pm.state.zeroes"
NO_NAME: Final = "pm.state.no-name"
BOOK: Final = "pm.state.whole-book"
SPELLINGS: Final = "pm.state.spellings"
TRADE: Final = "pm.trade.identity"
ONCE: Final = "pm.apply.once"


def _twice(stream: str) -> Script:
    """The same change comes twice in a row."""

    def play(scene: Scene) -> Steps:
        yield Place(Fault(kind="duplicate", at="after live 2"))
        yield from enter(scene)
        for number in (1, 2, 3):
            yield from happens(scene, stream, number)
        yield from agree(scene)

    play.__doc__ = _twice.__doc__
    return play


def twice_across(scene: Scene) -> Steps:
    """A stream is lost, and what follows it begins with what was told last; and again."""
    yield from enter(scene)
    yield from happens(scene, "drop_copy", 1)
    for count in (2, 3):
        yield from digest(scene)
        yield Drop()
        (name,) = yield change("drop_copy", count)
        yield from again(count)
        yield from seen(scene, name)


def _execution(name: str, order: str, state: str, filled_: int, left: int) -> Step:
    """A record of an order that nobody has published."""
    told = {
        "id": order, "account": ACCOUNT, "symbol": SYMBOL, "side": "SIDE_BUY", "price": "500",
        "orderQty": "10", "state": f"ORDER_STATE_{state}", "cumQty": str(filled_),
        "leavesQty": str(left),
    }  # fmt: skip
    execution = {"id": name, "type": "EXECUTION_TYPE_PARTIAL_FILL", "order": told}
    return now("send", text=json.dumps({"result": {"update": {"executions": [execution]}}}))


def _back(state: str, filled_: int, left: int, *publish: Publish) -> Script:
    """An order has moved on; then a change is told that says less of it."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        for step in (ordered("o-a"), *publish):
            (name,) = yield step
            yield from seen(scene, name)
        yield _execution("x-late", "o-a", state, filled_, left)
        yield Linger(seconds=0.3, why="nothing has to change")
        yield from happens(scene, "orders", 2)
        yield from agree(scene, FORWARD)

    play.__doc__ = _back.__doc__
    return play


def snapshot_has_it(scene: Scene) -> Steps:
    """After a loss comes a snapshot, and then all the changes that it has already."""
    yield from enter(scene)
    (name,) = yield ordered("o-a")
    yield from seen(scene, name)
    yield Drop()
    for shares in (2, 3, 5):
        yield filled("o-a", shares)
    yield ordered("o-b")
    yield filled("o-b", 4)
    yield from again()
    yield from agree(scene, FORWARD)
    yield from happens(scene, "orders", 9)
    yield from agree(scene, FORWARD)


def unnamed(scene: Scene) -> Steps:
    """Changes without a name come one after another; none of them tells it from the others."""
    yield from enter(scene)
    for held in (4, 7, 4, 9):
        position = {"account": ACCOUNT, "symbol": SYMBOL, "netPosition": held, "cost": held * 500}
        yield Publish("positions", position)
        yield from agree(scene, NO_NAME)
        yield Linger(seconds=0.7, why="heartbeats come, which have no name either")


def traded(scene: Scene) -> Steps:
    """A trade is told new, cleared, once more new, and busted."""
    trade = {"id": "t-a", "symbol": SYMBOL, "px": 500, "qty": 4}
    yield from enter(scene)
    yield Publish("trade_capture", {**trade, "state": "NEW"})
    yield from agree(scene, TRADE)
    yield from digest(scene)
    yield Publish("trade_capture", {**trade, "state": "CLEARED"})
    yield from agree(scene, TRADE)
    yield now("send", text='{"result":{"tradeCaptureReports":[' + _NEW_AGAIN + "]}}")
    yield Linger(seconds=0.3, why="nothing has to change")
    yield from agree(scene, TRADE)
    yield Publish("trade_capture", {**trade, "state": "BUSTED"})
    yield from agree(scene, TRADE)


_NEW_AGAIN: Final = (
    '{"id":"t-a","tradeType":"TRADE_TYPE_REGULAR","state":"TRADE_STATE_NEW",'
    f'"symbol":"{SYMBOL}","px":"500","qty":"4"}}'
)
"""As it was told the first time, to the letter."""


def book_shrinks(scene: Scene) -> Steps:
    """A book loses levels, then a side."""
    yield from enter(scene)
    bids = [{"px": 520 - step, "qty": 10 + step} for step in range(4)]
    offers = [{"px": 530 + step, "qty": 20 + step} for step in range(4)]
    for some_bids, some_offers in ((bids, offers), (bids[1:], offers[:2]), ([], offers[:1])):
        yield Publish("market_data", {"symbol": SYMBOL, "bids": some_bids, "offers": some_offers})
        yield from agree(scene, BOOK)


def _zeroes(stream: str, *published: dict[str, Any]) -> Script:
    """Something comes to be zero, and the member that would say so is left out."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        for members in published:
            yield Publish(stream, members)
            yield from agree(scene, ZEROES)
            yield from digest(scene)

    play.__doc__ = _zeroes.__doc__
    return play


def filled_whole(scene: Scene) -> Steps:
    """An order is filled until nothing is left, and what is left is left out."""
    yield from enter(scene)
    for step in (ordered("o-a"), filled("o-a", 4), filled("o-a", 6), ordered("o-b")):
        yield step
        yield from agree(scene, ZEROES)


def spelled(scene: Scene) -> Steps:
    """Orders are found, taken, filled and cancelled, in whatever spelling."""
    yield ordered("o-old")
    yield from enter(scene)
    yield from agree(scene, SPELLINGS)
    for step in (ordered("o-a"), filled("o-a", 4), ordered("o-b"), cancelled("o-old")):
        yield step
        yield from agree(scene, SPELLINGS)
    yield Drop()
    yield filled("o-a", 1)
    yield from again()
    yield from agree(scene, SPELLINGS)


def unknown_state(scene: Scene) -> Steps:
    """An order comes to be in a state that no page has."""
    yield from enter(scene)
    yield from happens(scene, "orders", 1)
    (name,) = yield ordered("o-a", state="QUANTUM")
    yield from seen(scene, name)
    yield from happens(scene, "orders", 2)
    yield from agree(scene, "pm.input.ignores-unknown")


def numbered(scene: Scene) -> Steps:
    """States are numbers, of which two pages say different things."""
    yield ordered("o-old")
    yield from enter(scene)
    for step in (ordered("o-a"), filled("o-a", 4), cancelled("o-old")):
        (name,) = yield step
        yield from seen(scene, name)
    yield from agree(scene, "pm.input.ignores-unknown")


def _begins(stream: str) -> Script:
    """A stream of events begins with what happened before; it is lost, and begins so again."""

    def play(scene: Scene) -> Steps:
        (name,) = yield change(stream, 1)
        yield from enter(scene)
        if stream in NAMED:
            yield from seen(scene, name.split("/")[0])
        yield from agree(scene)
        yield from happens(scene, stream, 2)
        yield from digest(scene)
        yield Drop()
        yield change(stream, 3)
        yield from again()
        yield from happens(scene, stream, 4)
        yield from agree(scene)

    play.__doc__ = _begins.__doc__
    return play


_POSITION: Final = {"account": ACCOUNT, "symbol": SYMBOL}

_ZERO_CASES: Final[tuple[tuple[str, str, tuple[dict[str, Any], ...]], ...]] = (
    (
        "positions",
        "a position that goes flat",
        ({**_POSITION, "netPosition": 4, "cost": 2000}, {**_POSITION, "netPosition": 0, "cost": 7}),
    ),
    (
        "position_changes",
        "a change that leaves nothing",
        ({**_POSITION, "netPosition": 4, "cost": 2000}, {**_POSITION, "netPosition": 0, "cost": 7}),
    ),
    (
        "instruments",
        "an instrument that closes",
        ({"symbol": SYMBOL, "state": "HALTED"}, {"symbol": SYMBOL, "state": "CLOSED"}),
    ),
    (
        "market_data",
        "a book that closes",
        ({"symbol": SYMBOL, "state": "OPEN"}, {"symbol": SYMBOL, "state": "CLOSED"}),
    ),
)

_SPELLINGS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("snake-case", "members in snake_case", {"case": "snake"}),
    ("numbers", "numbers that are no texts", {"numbers": "number"}),
    ("status", "orderStatus and ORDER_STATUS_NEW", {"state_names": "status"}),
    ("bare-state", "names of states without a prefix", {"state_names": "bare"}),
    ("unwrapped", "records that are not wrapped in result", {"wrapped": False}),
    ("guide", "the records of the oldest guide", {"style": "guide"}),
)


def _cases() -> Iterator[Case]:
    for stream in ("orders", "drop_copy", "trade_capture", "position_changes"):
        state = "" if stream == "drop_copy" else f" {AGREES}"
        once = f"{ONCE} pm.apply.all" if stream in ("orders", "drop_copy") else ""
        yield made(
            f"twice/{stream.replace('_', '-')}",
            f"{stream}: a change that comes twice is applied once",
            once + state,
            _twice(stream),
            stream=stream,
            template="twice/in-a-row",
            hazards="HZ-F4 HZ-E2",
            reported_only=True,
        )
    yield made(
        "twice/across-streams",
        "What was told before the stream was lost is not applied once more",
        f"{ONCE} pm.apply.all",
        twice_across,
        stream="drop_copy",
        hazards="HZ-F3 HZ-E2",
        reported_only=True,
        resume_inclusive=True,
    )
    for slug, state, filled_, left, steps in (
        ("filled", "PARTIALLY_FILLED", 4, 6, (filled("o-a", 4), filled("o-a", 6))),
        ("cancelled", "PARTIALLY_FILLED", 4, 6, (filled("o-a", 4), cancelled("o-a"))),
        ("partly-filled", "PARTIALLY_FILLED", 2, 8, (filled("o-a", 2), filled("o-a", 4))),
    ):
        yield made(
            f"back/{slug}",
            f"An order that is {slug.replace('-', ' ')} is not set back by a late change",
            FORWARD,
            _back(state, filled_, left, *steps),
            template="back/late-change",
            hazards="HZ-F5",
            reported_only=True,
        )
    yield made(
        "back/snapshot-has-it",
        "Changes that come after a snapshot that has them do not set it back",
        FORWARD,
        snapshot_has_it,
        hazards="HZ-C6 HZ-F5",
        reported_only=True,
        resume_snapshot=True,
    )
    yield made(
        "positions/unnamed",
        "Changes without a name are never duplicates",
        NO_NAME,
        unnamed,
        stream="positions",
        hazards="HZ-F2",
        reported_only=True,
    )
    yield made(
        "trade-capture/states",
        "A trade goes through its states, and not back",
        TRADE,
        traded,
        stream="trade_capture",
        hazards="HZ-F5",
        reported_only=True,
    )
    yield made(
        "book/shrinks",
        "Levels that a book leaves out are gone",
        BOOK,
        book_shrinks,
        stream="market_data",
        hazards="HZ-C7",
        reported_only=True,
    )
    for stream, words, published in _ZERO_CASES:
        yield made(
            f"zeroes/{stream.replace('_', '-')}",
            f"{stream}: {words} is not what it was",
            ZEROES,
            _zeroes(stream, *published),
            stream=stream,
            template="zeroes/left-out",
            reported_only=True,
            omit_zeroes=True,
        )
    yield made(
        "zeroes/orders",
        "An order of which nothing is left is not what it was",
        ZEROES,
        filled_whole,
        reported_only=True,
        omit_zeroes=True,
    )
    for slug, words, knobs in _SPELLINGS:
        yield made(
            f"spelling/{slug}",
            f"Orders are followed through {words}",
            SPELLINGS,
            spelled,
            template="spelling",
            reported_only=True,
            **knobs,
        )
    yield made(
        "orders/unknown-state",
        "A state that nobody knows is borne",
        "pm.input.ignores-unknown pm.apply.all",
        unknown_state,
        reported_only=True,
    )
    for slug, enums in (("order-page", "order_page"), ("proto-page", "proto_page")):
        yield made(
            f"numbered/{slug}",
            f"Orders whose states are numbers are borne ({enums.replace('_', ' ')})",
            "pm.input.ignores-unknown pm.apply.all",
            numbered,
            template="orders/numbered-state",
            hazards="HZ-J15",
            reported_only=True,
            enums=enums,
        )
    for stream in ("drop_copy", "trade_capture", "position_changes"):
        yield made(
            f"events/begin-with-snapshot-{stream.replace('_', '-')}",
            f"{stream}: a first message like a snapshot is borne",
            "pm.apply.all" if stream == "drop_copy" else "pm.state.agrees",
            _begins(stream),
            stream=stream,
            template="events/begin-with-snapshot",
            reported_only=True,
            events_snapshot=True,
        )


CASES: Final[tuple[Case, ...]] = tuple(_cases())
