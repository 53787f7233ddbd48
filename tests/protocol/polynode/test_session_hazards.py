"""HZ-G, and what a hostile or broken peer can do to a session with histories."""

import itertools
import json
import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from poly_stage import EPOCH_MS, KEY, Stage, block, settlement, update

from lastseen.dialects.polynode import PLANS, PolyNode, Preset, Subscription
from lastseen.dialects.polynode.inflate import deflate
from lastseen.events import (
    AnomalyCode,
    Disconnected,
    GapReason,
    ItemCause,
    ItemChanged,
    Stopped,
    SubscribeRefused,
)
from lastseen.history_session import HistorySession
from lastseen.options import HistoryOptions
from lastseen.secret import Secret
from lastseen.status import SubscriptionState

ONE = Subscription()
BOTH = (ONE, Subscription(preset=Preset.BLOCKS))


def stage(**options: Any) -> Stage:
    greedy = options.pop("greedy", True)
    return Stage(options=HistoryOptions(**options), greedy=greedy)


def told(s: Stage, state: str) -> list[float]:
    """When items were told to be in a state."""
    pairs = zip(s.events, s.times, strict=True)
    return [at for e, at in pairs if isinstance(e, ItemChanged) and e.state.value == state]


# HZ-G.


@pytest.mark.parametrize("order", [0, 1])
def test_g1_a_snapshot_that_still_says_pending_leaves_nothing_pending(order: int) -> None:
    s = stage()
    both = [settlement("0x1", at=-5), update("0x1", at=-1)]
    s.join(*(both[::-1] if order else both))
    s.wait(60)

    assert s.outcomes("0x1") == ["confirmed"]
    assert s.session.status().items.pending == 0


def test_g2_a_confirmation_that_comes_first_is_remembered() -> None:
    s = stage()
    number = s.join()
    s.hear(number, update("0x1"))
    s.wait(1)
    s.hear(number, settlement("0x1"))
    s.wait(60)

    assert s.outcomes("0x1") == ["confirmed"]


def test_g3_a_live_confirmation_may_overtake_the_snapshot() -> None:
    s = stage()
    number = s.open()
    s.hear(number, s.subscribed(), update("0x1"), s.snapshot(settlement("0x1")))
    s.wait(60)

    assert s.outcomes("0x1") == ["confirmed"]


STEPS = ("settlement", "settlement again", "confirmation", "time")


@pytest.mark.parametrize("live", list(itertools.product((True, False), repeat=3)))
@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)))
def test_every_order_live_or_by_history_ends_in_one_state(
    order: tuple[str, ...], live: tuple[bool, ...]
) -> None:
    """R15: 24 orders, each event live or in a history of its own."""
    s = stage()
    number = s.join()
    ways = dict(zip(STEPS, live, strict=False))
    for step in order:
        if step == "time":
            s.wait(16)
            continue
        event = update("0x1") if step == "confirmation" else settlement("0x1")
        s.hear(number, event if ways[step] else s.snapshot(event))
    key = ("0x1", "0xa1", "1", "BUY")
    end = s.session.item(key)

    assert end is not None
    assert end.value == "confirmed"
    assert s.outcomes("0x1")[-1] == "confirmed"
    assert set(s.outcomes("0x1")) <= {"pending", "timed_out", "confirmed"}
    s.wait(60)
    assert s.session.item(key) is end


def test_g5_a_confirmation_after_the_timeout_still_counts_and_is_told_once() -> None:
    s = stage()
    number = s.join()
    s.hear(number, settlement("0x1"))
    s.wait(16)
    s.hear(number, update("0x1"), update("0x1"), s.snapshot(update("0x1")))

    assert s.outcomes("0x1") == ["pending", "timed_out", "confirmed"]


def test_g6_a_timed_out_item_is_not_raised_again_by_snapshots_that_say_pending() -> None:
    s = stage()
    number = s.join(settlement("0x1"))
    s.wait(16)
    for _ in range(5):
        s.drop(number)
        number = s.join(settlement("0x1"), settlement("0x1", market_title="late enrichment"))
        s.wait(20)

    assert s.outcomes("0x1") == ["pending", "timed_out"]


@pytest.mark.parametrize("clock_ms", [-3_600_000, 3_600_000])
def test_g8_the_peers_clock_and_ours_may_differ_by_anything(clock_ms: int) -> None:
    s = stage()
    number = s.join()
    s.hear(number, settlement("0x1", at=clock_ms / 1000))
    s.wait(14.9)
    assert s.outcomes("0x1") == ["pending"]
    s.wait(0.2)

    assert s.outcomes("0x1") == ["pending", "timed_out"]


def test_g9_more_items_than_there_is_room_for_are_given_up_with_a_word() -> None:
    s = stage(pending_max=100, tombstones_max=100, confirmations_max=100)
    number = s.join()
    for n in range(300):
        s.hear(number, settlement(f"0x{n:03}"))
    assert s.session.status().items.pending == 100
    early = [e for e in s.of(ItemChanged) if e.cause is ItemCause.LIMIT]
    assert [e.key[0] for e in early] == [f"0x{n:03}" for n in range(200)]
    assert {e.state.value for e in early} == {"timed_out"}
    assert s.noted(AnomalyCode.ITEM_LIMIT) == 300
    s.wait(16)

    assert s.session.status().items.pending == 0
    assert all(s.outcomes(f"0x{n:03}") == ["pending", "timed_out"] for n in range(300))


def test_g10_a_confirmation_that_the_snapshot_has_lost_ends_as_unknown_with_a_gap() -> None:
    s = Stage(dialect={"plan": PLANS["starter"]})
    number = s.join()
    s.hear(number, settlement("0x1"))
    s.drop(number)
    s.join(*(block(f"b{n}", at=1 + n / 1000) for n in range(100)))
    s.wait(16)

    assert s.outcomes("0x1") == ["pending", "timed_out"]
    assert [gap.reason for gap in s.gaps] == [GapReason.COUNT]


def test_g11_first_seen_confirmed_needs_no_timer_and_an_unknown_status_gets_one() -> None:
    s = stage()
    number = s.join()
    s.hear(number, settlement("0x1", status="confirmed"), settlement("0x2", status="reorged"))
    s.wait(16)

    assert s.outcomes("0x1") == ["confirmed"]
    assert s.outcomes("0x2") == ["pending", "timed_out"]
    assert s.noted(AnomalyCode.ODD_EVENT) == 1


def test_g13_three_confirmations_are_one() -> None:
    s = stage()
    number = s.join()
    s.hear(number, settlement("0x1"), update("0x1"), s.snapshot(update("0x1")))
    s.hear(number, update("0x1", token="2"))

    assert s.outcomes("0x1") == ["pending", "confirmed"]


def test_g14_a_timeout_is_called_unknown_and_nothing_is_ever_taken_back() -> None:
    s = stage()
    number = s.join()
    s.hear(number, settlement("0x1"))
    s.wait(16)
    s.hear(number, update("0x1"))

    words = repr(s.events).lower()
    assert "fail" not in words.replace("failure", "")
    assert [e.before.value if e.before else None for e in s.of(ItemChanged)] == [
        None, "pending", "timed_out",
    ]  # fmt: skip


def test_g15_latency_is_the_peers_own_and_never_negative() -> None:
    s = stage()
    number = s.join()
    s.hear(number, settlement("0x1", at=100), update("0x1", at=70), settlement("0x2"))
    s.hear(number, update("0x2", latency_ms=-30_000))

    latencies = [e.latency_ms for e in s.of(ItemChanged) if e.state.value == "confirmed"]
    assert latencies == [3050, None]
    assert all(e.waited_s >= 0 for e in s.of(ItemChanged))


def test_g16_a_timeout_comes_when_it_is_due_and_not_at_some_sweep() -> None:
    s = stage()
    number = s.join()
    starts = [0.1, 0.2, 3.3, 4.9, 5.0, 7.77]
    for at in starts:
        s.wait(at - s.now)
        s.hear(number, settlement(f"0x{at}"))
    s.wait(60)

    assert told(s, "timed_out") == pytest.approx([at + 15.0 for at in starts], abs=1e-9)


def test_g17_when_most_items_time_out_that_is_told_once() -> None:
    s = stage()
    number = s.join()
    for n in range(60):
        s.hear(number, settlement(f"0x{n}"))
        if n % 3 == 0:
            s.hear(number, update(f"0x{n}"))
        s.wait(1)
    s.wait(20)

    assert len(s.anomaly(AnomalyCode.UNCONFIRMED)) == 1
    assert "subscribed" in s.anomaly(AnomalyCode.UNCONFIRMED)[0].detail


def test_g17_items_that_are_confirmed_raise_no_suspicion() -> None:
    s = stage()
    number = s.join()
    for n in range(100):
        s.hear(number, settlement(f"0x{n}"))
        if n % 3:
            s.hear(number, update(f"0x{n}"))
    s.wait(20)

    assert s.noted(AnomalyCode.UNCONFIRMED) == 0


def test_g18_a_snapshot_takes_nothing_away() -> None:
    s = stage()
    number = s.join()
    s.hear(number, *(settlement(f"0x{n}") for n in range(5)))
    s.drop(number)
    number = s.join(settlement("0x0"), settlement("0x1"), settlement("0x9"))
    assert s.session.status().items.pending == 6
    s.hear(number, update("0x3"), update("0x4"))
    s.wait(16)

    assert [s.outcomes(f"0x{n}")[-1] for n in range(5)] == [
        "timed_out", "timed_out", "timed_out", "confirmed", "confirmed",
    ]  # fmt: skip


def test_several_settlements_of_one_transaction_are_separate_items() -> None:
    s = stage()
    number = s.join()
    s.hear(number, settlement("0x1"), settlement("0x1", token="2"), settlement("0x1", wallet="b"))
    assert s.outcomes("0x1") == ["pending"] * 3
    s.hear(number, update("0x1", token="2"))

    assert s.outcomes("0x1") == ["pending"] * 3 + ["confirmed"] * 3


# HZ-J and the rest of the bad input.


def test_a_frame_that_cannot_be_understood_is_looked_back_for() -> None:
    s = stage()
    number = s.join(settlement("0x1"))
    s.hear(number, '{"type": "settlement", "data": {"tx_ha')
    assert s.noted(AnomalyCode.UNDECODABLE) == 1
    assert s.session.counters()["?"].malformed == 1
    assert len(s.asked("subscribe")) == 2
    s.grant(number, settlement("0x1"), settlement("0x2"))

    assert s.outcomes("0x2") == ["pending"]
    assert s.gaps == []
    assert not s.closes


@pytest.mark.parametrize("spread_s", [0.0, 4.9])
def test_three_of_them_in_ten_seconds_end_the_connection(spread_s: float) -> None:
    s = stage()
    number = s.join()
    for _ in range(3):
        assert not s.closes
        s.hear(number, "{")
        s.grant(number)
        s.wait(spread_s)

    assert [close.code for close in s.closes] == [1007]


def test_fewer_than_that_do_not() -> None:
    s = stage()
    number = s.join()
    for _ in range(20):
        s.hear(number, "{", s.heartbeat())
        s.grant(number)
        s.wait(5.1)

    assert not s.closes
    assert s.session.counters()["?"].malformed == 20


def test_j12_a_bomb_ends_the_connection_with_1009() -> None:
    s = stage()
    number = s.join()
    s.hear(number, deflate(b"0" * (11 << 20)), deflate(json.dumps(settlement("0x1")).encode()))

    assert [close.code for close in s.closes] == [1009]
    assert s.session.counters()["?"].malformed == 1
    assert s.session.counters()["settlement"].discarded == 1
    s.join(settlement("0x1"))
    assert s.outcomes("0x1") == ["pending"]


@pytest.mark.parametrize(
    "frame",
    [
        zlib.compress(json.dumps(settlement("0x1")).encode()),
        deflate(json.dumps(settlement("0x1")).encode())[:-4],
        deflate(json.dumps(settlement("0x1")).encode()) + b"more",
        b"",
        b"\xff\xfe",
        "",
        "null",
        "[]",
        '"x"',
        '{"type":[]}',
        '{"type":"settlement","data":[]}',
        '{"type":"snapshot"}',
        '{"type":"snapshot","events":7}',
        '{"type":"settlement","data":{"tx_hash":"\ud800"}}',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_a_malformed_frame_costs_a_count_and_a_look_back(frame: str | bytes) -> None:
    s = stage()
    number = s.join(block("b"))
    s.hear(number, frame)

    assert s.session.counters()["?"].malformed == 1
    assert number in s.sockets
    assert len(s.asked("subscribe")) == 2


def test_members_of_a_history_that_are_no_events_are_counted_and_the_others_stand() -> None:
    s = stage()
    number = s.open()
    frame = {"type": "snapshot", "events": [7, settlement("0x1"), {"type": "pong"}, None]}
    s.hear(number, s.subscribed(), frame)

    assert s.outcomes("0x1") == ["pending"]
    assert s.session.counters()["?"].malformed == 3
    assert s.noted(AnomalyCode.MALFORMED) == 1


def test_a_subscribe_answered_twice_is_answered_once() -> None:
    s = Stage(BOTH)
    number = s.open()
    grant = s.subscribed()
    s.hear(number, grant, s.snapshot())
    assert s.state(BOTH[1]) is SubscriptionState.ASKED
    s.hear(number, grant)
    assert s.state(BOTH[1]) is SubscriptionState.ASKED
    assert s.noted(AnomalyCode.UNEXPECTED_FRAME) == 1
    s.grant(number)
    s.hear(number, grant)

    assert s.session.status().subscription(ONE).id == "c:1"
    assert s.noted(AnomalyCode.UNEXPECTED_FRAME) == 2


def test_an_error_out_of_nowhere_is_told_and_changes_nothing() -> None:
    s = stage()
    number = s.join()
    s.hear(number, s.error("invalid_message", f"what is {KEY}"), s.error(None))

    assert s.noted(AnomalyCode.PEER_ERROR) == 2
    assert KEY not in repr(s.events)
    assert s.state(ONE) is SubscriptionState.LIVE


def test_events_of_no_subscription_are_handed_on_all_the_same() -> None:
    s = Stage((Subscription(preset=Preset.BLOCKS),))
    number = s.open()
    s.hear(number, settlement("0x1"), s.subscribed(), settlement("0x2"), s.snapshot())
    s.wait(16)

    assert s.outcomes("0x1") == s.outcomes("0x2") == ["pending", "timed_out"]


@pytest.mark.parametrize("named", [True, False])
def test_a_peer_that_ends_a_subscription_by_itself_is_asked_anew(named: bool) -> None:
    s = stage()
    number = s.join()
    s.hear(number, s.unsubscribed("c:9"))
    assert not s.closes
    s.hear(number, s.unsubscribed("c:1" if named else None))
    assert [close.code for close in s.closes] == [1000]
    s.join()

    assert s.state(ONE) is SubscriptionState.LIVE
    assert s.of(Disconnected)[0].reason == "the peer ended a subscription"


def test_an_answer_that_names_another_subscription_does_not_answer_an_unsubscribe() -> None:
    s = Stage((*BOTH, Subscription(preset=Preset.TRADES)))
    number = s.join()
    s.session.handle_unsubscribe(ONE, now=s.now)
    s.drain()
    s.hear(number, s.unsubscribed("c:2"))
    assert s.closes
    s.join()

    assert len(s.session.status().subscriptions) == 2


def test_an_unsubscribe_refused_or_unanswered_hurts_nobody() -> None:
    s = Stage(BOTH)
    number = s.join()
    s.session.handle_unsubscribe(ONE, now=s.now)
    s.drain()
    s.hear(number, s.error("invalid_message", "no such subscription"))
    assert s.state(BOTH[1]) is SubscriptionState.LIVE
    assert not s.of(SubscribeRefused)
    assert s.noted(AnomalyCode.PEER_ERROR) == 1


def test_confirmations_of_unknown_transactions_without_end_are_bounded_and_counted() -> None:
    """HZ-G9: what is remembered stays within its caps, and what is forgotten is counted."""
    caps = {"confirmations_max": 1000, "identities_max": 500}
    session = HistorySession(PolyNode(key=Secret(KEY)), random.Random(1), HistoryOptions(**caps))
    session.handle_begin(now=0.0)
    session.handle_opened(1, now=0.0)
    session.handle_frames(1, ['{"type":"subscribed","subscription_id":"c"}'], now=0.0)
    total, batch = 30_000, 1000
    for start in range(0, total, batch):
        frames = [json.dumps(update(f"0x{n}")) for n in range(start, start + batch)]
        session.handle_frames(1, frames, now=1.0)
        session.handle_processed(session.poll_events()[-1], now=1.0)
        while events := session.poll_events():
            session.handle_processed(events[-1], now=1.0)
        session.poll_effects()

    lifecycle = session._items.lifecycle  # pyright: ignore[reportPrivateUsage]
    assert lifecycle.counts().confirmations == 1000
    assert len(session._merge.identities) <= 500  # pyright: ignore[reportPrivateUsage]
    assert session.anomalies()[AnomalyCode.ITEM_LIMIT, None] == total - 1000
    assert session.counters()["status_update"].applied == total


def test_a_peer_without_end_and_an_application_that_never_comes_stay_within_bounds() -> None:
    """HZ-I6: nothing grows with what is sent, and the gaps say so."""
    s = stage(greedy=False, delivery_items_max=100, pending_max=200, tombstones_max=200)
    number = s.join()
    for n in range(3000):
        s.hear(number, settlement(f"0x{n}", at=n / 1000))
        if n % 500 == 0:
            s.wait(20)
            if number not in s.sockets:
                # Nobody answered its look back.
                number = s.join()

    assert s.session.waiting <= 100 + 100 + 50
    assert s.session.counters()["settlement"].dropped >= 2900
    s.consume()
    assert [gap.reason for gap in s.gaps] == [GapReason.OVERFLOW]


def test_h16_time_alone_leaves_no_dead_state() -> None:
    """INV-S20, and one reconnect after a machine was suspended (HZ-H17)."""
    s = stage()
    number = s.join()
    s.hear(number, settlement("0x1"))
    s.step(8 * 3600.0)
    assert [close.connection for close in s.closes] == [number]
    assert s.outcomes("0x1") == ["pending", "timed_out"]
    s.join()

    assert len(s.connects) == 2
    assert s.session.status().connected


FRAMES = st.one_of(
    st.sampled_from(["{", "null", "", b"\x00"]),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.builds(
        lambda kind, extra: {"type": kind, **extra},
        st.sampled_from(
            ["subscribed", "unsubscribed", "snapshot", "heartbeat", "pong", "error", "settlement"]
        ),
        st.dictionaries(
            st.sampled_from(
                ["subscription_id", "events", "code", "message", "ts", "data", "warnings", "count"]
            ),
            st.one_of(
                st.none(), st.integers(), st.text(max_size=5), st.lists(st.none(), max_size=2),
                st.just([settlement("0x1")]), st.just({"tx_hash": "0x1"}),
                st.just(EPOCH_MS), st.sampled_from(["c:1", "invalid_x"]),
            ),
            max_size=3,
        ),
    ),
)  # fmt: skip
STEP = st.one_of(
    FRAMES,
    st.sampled_from(["open", "drop", "refuse", "wait", "long wait", "alive", "close"]).map(
        lambda name: ("step", name)
    ),
)


@given(steps=st.lists(STEP, max_size=30), seed=st.integers(0, 3))
def test_nothing_a_peer_does_in_any_order_raises_or_breaks_a_law(
    steps: list[Any], seed: int
) -> None:
    """INV-S17; the stage checks conservation, single flight and life after every step."""
    s = Stage(BOTH, HistoryOptions(delivery_items_max=5), greedy=bool(seed % 2), polite=seed < 2)
    for step in steps:
        number = len(s.connects)
        if not isinstance(step, tuple):
            s.hear(number, step)
        elif step[1] == "open" and s.dialling is not None:
            s.open()
        elif step[1] in ("drop", "refuse") and number in s.sockets:
            s.drop(number, 1011) if step[1] == "drop" else s.drop(number, None, http_status=503)
        elif step[1] == "close":
            s.session.handle_close(now=s.now)
            s.drain()
        elif step[1] == "alive":
            s.session.handle_alive(number, now=s.now)
        else:
            s.wait(7.0 if step[1] == "wait" else 100.0)
    s.consume()
    assert s.session.stopped is None or s.of(Stopped)
