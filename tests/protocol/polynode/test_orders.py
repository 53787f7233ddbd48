"""Frames in every order, live and in histories: one and the same end, each outcome told once.

What a session does with an event is played here in a few lines: identity first, then the item.
"""

import json
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen.dialects.polynode.codec import decode_frame
from lastseen.dialects.polynode.inflate import deflate
from lastseen.history_messages import History, News, WireEvent
from lastseen.identities import Identities, Verdict
from lastseen.lifecycle import Change, ItemKey, ItemState, Lifecycle

PENDING, TIMED_OUT, CONFIRMED = ItemState

AT = 1_790_000_001_000
TIMEOUT_S = 15.0


def settlement(
    transaction: str = "0xaa", token: str = "1", at: int = AT, **extra: Any
) -> dict[str, Any]:
    data = {
        "event_type": "settlement", "tx_hash": transaction, "status": "pending",
        "detected_at": at - 50, "taker_wallet": "0xa1", "taker_token": token, "taker_side": "BUY",
        **extra,
    }  # fmt: skip
    return {"type": "settlement", "timestamp": at, "data": data}


def update(transaction: str = "0xaa", token: str = "1", at: int = AT + 3000) -> dict[str, Any]:
    data = {"event_type": "status_update", "tx_hash": transaction, "token_id": token}
    return {"type": "status_update", "timestamp": at, "data": data}


def text_of(frame: Any) -> str:
    return json.dumps(frame, separators=(",", ":"))


def history(*events: Any) -> str:
    return text_of({"type": "snapshot", "count": len(events), "events": events})


class Listener:
    """Identities and a lifecycle behind the codec, and everything that was told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.identities = Identities()
        self.lifecycle = Lifecycle(timeout_s=TIMEOUT_S)
        self.told: list[Change] = []

    def hear(self, frame: str | bytes) -> None:
        message = decode_frame(frame)
        assert isinstance(message, WireEvent | History)
        events = message.merge_order() if isinstance(message, History) else (message,)
        for event in events:
            if self.identities.admit(event.identity, event.raw) is not Verdict.REPEATED:
                self.apply(event)

    def apply(self, event: WireEvent) -> None:
        if event.news is News.PENDING:
            self.told += self.lifecycle.pending(event.item, now=self.now)
        elif event.news is News.CONFIRMED:
            self.told += self.lifecycle.confirmed(event.item, now=self.now)
        elif event.news is News.UPDATE:
            self.told += self.lifecycle.update(event.item[0], now=self.now)

    def wait(self, by_s: float) -> None:
        self.now += by_s
        self.told += self.lifecycle.expire(now=self.now)

    def outcomes(self) -> list[tuple[ItemKey, ItemState]]:
        return [(change.key, change.state) for change in self.told]

    def check(self) -> None:
        """Each outcome once and upwards, and what was told last is how it stands."""
        outcomes = self.outcomes()
        assert len(outcomes) == len(set(outcomes))
        last: dict[ItemKey, ItemState] = {}
        for change in self.told:
            assert change.before is last.get(change.key)
            assert change.before is None or change.before.rank < change.state.rank
            last[change.key] = change.state
        for key, state in last.items():
            assert self.lifecycle.state(key) is state


DUPLICATES = {
    "the same": settlement(),
    "enriched": settlement(market_title="Demo?"),
    "confirmed": settlement(status="confirmed", block_number=91),
}
WAYS = ("live", "deflated", "history")


def as_frame(event: Any, way: str) -> str | bytes:
    if way == "history":
        return history(event)
    text = text_of(event)
    return deflate(text.encode()) if way == "deflated" else text


@pytest.mark.parametrize("ways", list(product(WAYS, repeat=3)), ids="-".join)
@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_all_24_orders_end_in_one_state(duplicate: str, ways: tuple[str, ...]) -> None:
    """R15, HZ-G1 to HZ-G6, HZ-G13: {settlement, duplicate, status_update, timeout}."""
    events = (settlement(), DUPLICATES[duplicate], update())
    frames = [as_frame(event, way) for event, way in zip(events, ways, strict=True)]
    key = ("0xaa", "0xa1", "1", "BUY")
    for order in permutations((*frames, None)):
        listener = Listener()
        for frame in order:
            if frame is None:
                listener.wait(TIMEOUT_S)
            else:
                listener.hear(frame)
        listener.wait(TIMEOUT_S)

        listener.check()
        assert listener.lifecycle.state(key) is CONFIRMED
        assert listener.outcomes()[-1] == (key, CONFIRMED)
        assert listener.lifecycle.deadline() is None


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_history_that_holds_its_own_confirmation_never_says_pending(order: Any) -> None:
    """HZ-G1: and each of those that follow, which list it pending once more, changes nothing."""
    events = (settlement(), settlement(market_title="Demo?"), update())
    listener = Listener()
    for _ in range(5):
        listener.hear(history(*(events[index] for index in order)))
        listener.wait(TIMEOUT_S)

    assert listener.outcomes() == [(("0xaa", "0xa1", "1", "BUY"), CONFIRMED)]


def test_a_live_confirmation_that_overtakes_the_history_counts() -> None:
    """HZ-G3."""
    listener = Listener()
    listener.hear(text_of(update()))
    listener.hear(history(settlement()))
    listener.wait(TIMEOUT_S)

    assert listener.outcomes() == [(("0xaa", "0xa1", "1", "BUY"), CONFIRMED)]


def test_a_timed_out_item_is_not_brought_back_by_histories() -> None:
    """HZ-G6: not by the same words, and not by others."""
    listener = Listener()
    listener.hear(text_of(settlement()))
    listener.wait(TIMEOUT_S)
    for number in range(5):
        listener.hear(history(settlement(), settlement(outcome=str(number))))
        listener.wait(TIMEOUT_S)

    assert [state for _, state in listener.outcomes()] == [PENDING, TIMED_OUT]
    assert listener.lifecycle.timed_out_total == 1


def test_what_a_history_leaves_out_is_still_there() -> None:
    """HZ-G18: it is history, not state."""
    listener = Listener()
    for number in range(5):
        listener.hear(text_of(settlement(f"0x{number}")))
    listener.hear(history(settlement("0x0"), settlement("0x1"), settlement("0x9")))

    assert listener.lifecycle.counts().pending == 6
    listener.hear(text_of(update("0x3")))
    listener.wait(TIMEOUT_S)
    assert listener.lifecycle.state(("0x3", "0xa1", "1", "BUY")) is CONFIRMED
    assert listener.lifecycle.state(("0x4", "0xa1", "1", "BUY")) is TIMED_OUT


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_settlements_of_one_transaction_are_items_of_their_own(order: Any) -> None:
    """Facts 7: the update names a token that is neither's, or one of them; both are confirmed."""
    frames = [
        settlement(token="1"), settlement(token="2"), update(token="2"), update(token="3")
    ]  # fmt: skip
    listener = Listener()
    for index in order:
        listener.hear(text_of(frames[index]))
    listener.wait(TIMEOUT_S)

    listener.check()
    assert {key for key, state in listener.outcomes() if state is CONFIRMED} == {
        ("0xaa", "0xa1", "1", "BUY"), ("0xaa", "0xa1", "2", "BUY"),
    }  # fmt: skip
    assert TIMED_OUT not in {state for _, state in listener.outcomes()}


EVENTS = st.one_of(
    st.builds(
        settlement, st.sampled_from(["0x1", "0x2", "0x3"]), st.sampled_from(["1", "2"]),
        st.integers(AT, AT + 2000), outcome=st.sampled_from(["Yes", "No"]),
        status=st.sampled_from(["pending", "pending", "confirmed", "odd"]),
    ),
    st.builds(update, st.sampled_from(["0x1", "0x2", "0x3"]), st.sampled_from(["1", "2"])),
)  # fmt: skip


def expected_states(events: list[Any]) -> dict[ItemKey, ItemState]:
    """The end, read off the set of events: no order, no time."""
    updated = {event["data"]["tx_hash"] for event in events if event["type"] == "status_update"}
    ends: dict[ItemKey, ItemState] = {}
    for event in events:
        data = event["data"]
        if event["type"] == "settlement":
            key = (data["tx_hash"], "0xa1", data["taker_token"], "BUY")
            confirmed = data["status"] == "confirmed" or data["tx_hash"] in updated
            ends[key] = CONFIRMED if confirmed else ends.get(key, TIMED_OUT)
    return ends


@settings(max_examples=300)
@given(st.lists(EVENTS, max_size=10), st.data())
def test_any_order_and_any_grouping_ends_in_what_the_set_of_events_says(
    events: list[Any], data: st.DataObject
) -> None:
    listener = Listener()
    rest = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events)))
                                     if events else []))  # fmt: skip
    while rest:
        count = data.draw(st.integers(1, len(rest)))
        taken, rest = rest[:count], rest[count:]
        if data.draw(st.booleans()):
            listener.hear(history(*taken))
        else:
            for event in taken:
                listener.hear(as_frame(event, data.draw(st.sampled_from(WAYS))))
        listener.wait(data.draw(st.sampled_from([0.0, 1.0, TIMEOUT_S])))
    listener.wait(TIMEOUT_S)

    listener.check()
    ends = expected_states(events)
    assert {change.key for change in listener.told} == set(ends)
    for key, state in ends.items():
        assert listener.lifecycle.state(key) is state
    assert listener.lifecycle.deadline() is None
