"""A session with histories, step by step: subscriptions, histories, gaps, and how it ends."""

import itertools
from typing import Any

import pytest
from poly_stage import EPOCH_MS, KEY, Stage, block, settlement, update

from lastseen.dialects.polynode import PLANS, Preset, Subscription
from lastseen.errors import ConfigurationError, LocalProtocolError
from lastseen.events import (
    AnomalyCode,
    Disconnected,
    Entry,
    Failure,
    Gap,
    GapReason,
    ItemCause,
    ItemChanged,
    LoggedIn,
    Source,
    Stopped,
    Subscribed,
    SubscribeRefused,
)
from lastseen.options import HistoryOptions
from lastseen.position import Position
from lastseen.status import SubscriptionState

ONE = Subscription()
TWO = Subscription(preset=Preset.BLOCKS)
THREE = Subscription(preset=Preset.TRADES)
PRICES = Subscription(preset=Preset.CHAINLINK, feeds=("BTC/USD",))


def stage(*subscriptions: Subscription, **options: Any) -> Stage:
    own = {name: options.pop(name) for name in ("greedy", "polite", "lively") if name in options}
    wire: dict[str, Any] = {
        name: options.pop(name) for name in ("plan", "compress") if name in options
    }
    asked = subscriptions or (ONE,)
    return Stage(asked, HistoryOptions(**options), dialect=wire, **own)


def seconds(gap: Gap) -> tuple[float | None, float | None]:
    """A gap's bounds on our clock."""
    since, until = (
        None if moment is None else (moment - EPOCH_MS) / 1000
        for moment in (gap.since_ms, gap.until_ms)
    )
    return since, until


# Subscribing.


def test_the_first_grant_makes_the_connection_count() -> None:
    s = stage()
    number = s.open()
    assert s.sent == [{"action": "subscribe", "type": "settlements"}]
    assert not s.session.status().connected
    assert s.state(ONE) is SubscriptionState.ASKED

    s.hear(number, s.subscribed(warnings=["plan"]))
    assert s.session.status().connected
    assert s.state(ONE) is SubscriptionState.CATCHING_UP
    assert [type(event) for event in s.events] == [LoggedIn, Subscribed]
    (granted,) = s.of(Subscribed)
    assert (granted.id, granted.warnings) == ("c:1", ("plan",))

    s.hear(number, s.snapshot())
    assert s.state(ONE) is SubscriptionState.LIVE
    assert not s.session.status().catching_up


@pytest.mark.parametrize("order", list(itertools.permutations(("grant", "history", "live"))))
def test_grant_history_and_live_events_may_come_in_any_order(order: tuple[str, ...]) -> None:
    s = stage()
    number = s.open()
    frames = {
        "grant": s.subscribed(),
        "history": s.snapshot(settlement("0x1"), update("0x1", at=1), block("b1")),
        "live": settlement("0x2", at=2),
    }
    for name in order:
        s.hear(number, frames[name])

    assert sorted(e.channel for e in s.entries) == [
        "block", "settlement", "settlement", "status_update",
    ]  # fmt: skip
    assert [(h.subscription, h.events, h.new) for h in s.histories] == [(ONE, 3, 3)]
    assert s.state(ONE) is SubscriptionState.LIVE
    assert s.noted(AnomalyCode.UNEXPECTED_FRAME) == 0
    sources = {event.channel: event.source for event in s.entries if event.channel != "settlement"}
    assert set(sources.values()) == {Source.HISTORY}


def test_one_subscribe_is_in_flight_and_the_next_waits_for_its_history() -> None:
    s = stage(ONE, TWO, THREE)
    number = s.open()
    s.hear(number, s.subscribed())
    assert len(s.sent) == 1
    s.hear(number, s.snapshot())
    assert [frame["type"] for frame in s.sent] == ["settlements", "blocks"]
    s.hear(number, s.snapshot())
    assert len(s.sent) == 2
    s.hear(number, s.subscribed())
    assert len(s.sent) == 3
    assert [h.subscription for h in s.histories] == [ONE, TWO]
    assert s.state(THREE) is SubscriptionState.ASKED


def test_a_subscription_that_brings_no_history_is_not_waited_for() -> None:
    s = stage(PRICES, Subscription(snapshot_count=0), TWO)
    number = s.open()
    s.hear(number, s.subscribed())
    s.hear(number, s.subscribed())

    assert len(s.sent) == 3
    assert s.sent[1]["filters"] == {"snapshot_count": 0}


def test_the_messages_of_many_subscriptions_stay_within_the_budget() -> None:
    """HZ-H10."""
    many = [Subscription(slugs=(f"s{n}",)) for n in range(70)]
    s = stage(*many)
    number = s.open()
    for _ in range(20):
        s.grant(number)
        s.wait(0.25)

    assert len(s.sent) == 70
    for moment in s.sent_at:
        assert sum(moment <= other < moment + 1.0 for other in s.sent_at) <= 20


def test_a_subscription_can_be_added_and_ended_while_it_runs() -> None:
    s = stage()
    number = s.join()
    s.session.handle_subscribe(TWO, now=s.now)
    s.drain()
    assert s.sent[-1]["type"] == "blocks"
    s.grant(number, block("b"))
    assert s.of(Subscribed)[-1].subscription == TWO

    s.session.handle_unsubscribe(ONE, now=s.now)
    s.drain()
    assert s.sent[-1] == {"action": "unsubscribe", "subscription_id": "c:1"}
    s.hear(number, s.unsubscribed("c:1"))
    s.drop(number)
    s.join()
    assert [frame["type"] for frame in s.asked("subscribe")] == ["settlements", "blocks", "blocks"]
    assert not s.closes


@pytest.mark.parametrize("when", ["in flight", "waiting for history", "queued"])
def test_a_subscription_ended_at_any_moment_does_not_stay(when: str) -> None:
    s = stage(*((TWO, ONE) if when == "queued" else (ONE, TWO)))
    number = s.open()
    if when == "waiting for history":
        s.hear(number, s.subscribed("first"))
    s.session.handle_unsubscribe(ONE, now=s.now)
    s.drain()
    s.grant(number)
    s.hear(number, s.snapshot())
    s.grant(number)

    ended = [] if when == "queued" else ["first" if when == "waiting for history" else "c:1"]
    assert [frame["subscription_id"] for frame in s.asked("unsubscribe")] == ended
    assert s.state(TWO) is SubscriptionState.LIVE
    with pytest.raises(KeyError):
        s.session.status().subscription(ONE)


def test_a_subscription_ended_and_wanted_again_in_one_breath_stands_once() -> None:
    s = stage(ONE, TWO)
    number = s.open()
    s.session.handle_unsubscribe(ONE, now=s.now)
    s.session.handle_subscribe(ONE, now=s.now)
    s.drain()
    s.grant(number)

    granted = [e.id for e in s.of(Subscribed) if e.subscription == ONE]
    assert len(granted) == 1
    assert [frame["subscription_id"] for frame in s.asked("unsubscribe")] == ["c:1"]
    assert granted != ["c:1"]
    assert s.state(ONE) is SubscriptionState.LIVE


def test_a_grant_without_an_id_is_ended_by_a_new_connection() -> None:
    s = stage(ONE, TWO)
    number = s.open()
    for _ in range(2):
        frame = s.subscribed()
        del frame["subscription_id"]
        s.hear(number, frame, s.snapshot())
    s.session.handle_unsubscribe(ONE, now=s.now)
    s.drain()
    assert s.closes[-1].connection == number
    s.join()

    assert [frame["type"] for frame in s.asked("subscribe")][2:] == ["blocks"]
    assert s.of(Disconnected)[-1].failure is Failure.PLANNED


def test_what_cannot_be_asked_for_is_refused_and_changes_nothing() -> None:
    s = stage(ONE, PRICES)
    s.join()
    before = s.session.status()
    other_prices = Subscription(preset=Preset.CHAINLINK, feeds=("ETH/USD",))
    with pytest.raises(LocalProtocolError, match="already"):
        s.session.handle_subscribe(ONE, now=s.now)
    with pytest.raises(ConfigurationError, match="chainlink"):
        s.session.handle_subscribe(other_prices, now=s.now)
    with pytest.raises(LocalProtocolError, match="not subscribed"):
        s.session.handle_unsubscribe(THREE, now=s.now)
    s.session.handle_unsubscribe(PRICES, now=s.now)
    with pytest.raises(LocalProtocolError, match="last"):
        s.session.handle_unsubscribe(ONE, now=s.now)

    assert before.subscription(ONE) == s.session.status().subscription(ONE)
    s.session.handle_close(now=s.now)
    for verb in (s.session.handle_subscribe, s.session.handle_unsubscribe):
        with pytest.raises(LocalProtocolError, match="after the end"):
            verb(THREE, now=s.now)
    with pytest.raises(LocalProtocolError, match="after the end"):
        s.session.handle_resync(now=s.now)


# Refusals.


@pytest.mark.parametrize("code", ["invalid_message", "invalid_json", "unresolved_slugs"])
def test_a_refused_subscription_is_given_up_and_the_others_go_on(code: str) -> None:
    s = stage(ONE, TWO)
    number = s.open()
    s.hear(number, s.error(code, f"not with {KEY}"))
    s.grant(number)

    (refused,) = s.of(SubscribeRefused)
    assert (refused.subscription, refused.code, refused.message) == (ONE, code, "not with ***")
    assert s.state(ONE) is SubscriptionState.REFUSED
    assert s.state(TWO) is SubscriptionState.LIVE
    s.drop(number)
    s.join()
    assert [frame["type"] for frame in s.asked("subscribe")][2:] == ["blocks"]


def test_a_refused_subscription_can_be_wanted_once_more() -> None:
    s = stage(ONE, TWO)
    number = s.open()
    s.hear(number, s.error("unresolved_slugs"))
    s.grant(number)
    s.session.handle_subscribe(ONE, now=s.now)
    s.drain()
    s.grant(number)

    assert s.state(ONE) is SubscriptionState.LIVE


def test_when_every_subscription_is_refused_the_session_stops_and_says_why() -> None:
    s = stage(ONE, TWO)
    number = s.open()
    s.hear(number, s.error("unresolved_slugs", "nothing of that name"))
    s.hear(number, s.error("invalid_message"))

    (stopped,) = s.of(Stopped)
    assert stopped.failure is Failure.FATAL
    assert "every subscription was refused" in stopped.reason
    assert s.session.finished
    assert s.session.poll_deadline() is None


def test_an_error_of_another_kind_is_tried_again_with_growing_waits() -> None:
    """HZ-H7: what may pass is no refusal."""
    s = stage(ONE, TWO)
    number = s.open()
    for _ in range(2):
        s.hear(number, s.error("internal"))
        while s.sent[-1].get("type") == "blocks" or s.state(ONE) is not SubscriptionState.ASKED:
            s.grant(number)
            s.wait(0.1)
    s.grant(number)

    assert s.state(ONE) is SubscriptionState.LIVE
    assert not s.of(SubscribeRefused)
    tries = [at for at, f in zip(s.sent_at, s.sent, strict=True) if f.get("type") == "settlements"]
    assert len(tries) == 3
    assert tries[1] - tries[0] >= 0.5
    assert tries[2] - tries[1] >= 1.0


def test_one_that_fails_again_and_again_beside_others_is_given_up() -> None:
    """INV-L3."""
    s = stage(ONE, TWO)
    number = s.open()
    failures = 0
    for _ in range(60):
        if s.sent[-1]["type"] == "settlements" and s.session._subscriptions.asking:  # pyright: ignore[reportPrivateUsage]
            failures += 1
            s.hear(number, s.error("internal"))
        s.grant(number) if s.sent[-1]["type"] == "blocks" else None
        s.hear(number, s.heartbeat())
        s.wait(0.5)
        if s.of(SubscribeRefused):
            break

    assert failures == 3
    assert s.of(SubscribeRefused)[0].code == "internal"
    assert s.session.status().connected


def test_the_only_one_that_fails_again_and_again_is_never_given_up() -> None:
    """HZ-H4: a peer that is in trouble is waited out."""
    s = stage()
    for _ in range(12):
        number = s.open()
        while number in s.sockets:
            if s.session._subscriptions.asking:  # pyright: ignore[reportPrivateUsage]
                s.hear(number, s.error("internal"))
            deadline = s.session.poll_deadline()
            assert deadline is not None
            s.step(deadline.at)
    s.join()

    assert s.state(ONE) is SubscriptionState.LIVE
    assert not s.of(SubscribeRefused)


def test_a_subscribe_without_an_answer_ends_the_connection() -> None:
    """HZ-H8: no later answer on it could be attributed."""
    s = stage()
    s.open()
    s.wait(9.9)
    assert not s.closes
    s.wait(0.2)

    assert (s.closes[0].code, s.closes[0].abandon) == (1008, True)
    assert s.noted(AnomalyCode.SUBSCRIBE_UNANSWERED) == 1
    assert s.of(Disconnected)[0].reason == "a request was not answered"


def test_a_peer_that_answers_no_subscribe_at_all_is_asked_for_ever_and_ever_more_slowly() -> None:
    s = stage()
    for _ in range(20):
        s.open()
    waits = [b - a for (a, _), (b, _) in itertools.pairwise(s.connects)]

    assert not s.of(SubscribeRefused)
    assert all(wait >= 10.5 for wait in waits)
    assert all(wait >= 25.0 for wait in waits[6:])
    s.join()
    assert s.state(ONE) is SubscriptionState.LIVE


def test_one_that_is_never_answered_beside_others_is_asked_last_and_then_given_up() -> None:
    """INV-L3."""
    s = stage(ONE, TWO)
    for _ in range(3):
        number = s.open()
        while s.sent[-1]["type"] == "blocks" and s.session._subscriptions.asking:  # pyright: ignore[reportPrivateUsage]
            s.hear(number, s.subscribed(), s.snapshot())
        s.wait(10.5)
        s.drop(number)
    number = s.join()

    (refused,) = s.of(SubscribeRefused)
    assert (refused.subscription, refused.code) == (ONE, None)
    assert s.state(TWO) is SubscriptionState.LIVE
    s.wait(60 - 30)
    assert number in s.sockets


# Histories and gaps.


def lost_and_back(
    s: Stage, away_s: float, *history: dict[str, Any], warnings: tuple[str, ...] = ()
) -> int:
    """Accepts an event at 100 s, is away, and gets this history after it."""
    number = s.join()
    s.wait(100 - s.now)
    s.hear(number, s.heartbeat(), block("last", at=s.now))
    s.drop(number)
    s.wait(away_s)
    number = s.open()
    s.hear(number, s.subscribed(warnings=list(warnings)), s.snapshot(*history))
    return number


def test_a_lost_connection_asks_for_what_it_missed_with_an_overlap() -> None:
    s = stage(overlap_ms=2000)
    lost_and_back(s, 5, block("last", at=100), block("missed", at=103))

    assert s.filters() == {"since": EPOCH_MS + 98_000}
    assert [(h.events, h.new) for h in s.histories] == [(0, 0), (2, 1)]
    assert s.gaps == []
    assert s.session.counters()["block"].duplicate == 1


def test_the_last_so_many_events_can_be_asked_for_instead() -> None:
    s = stage(history_count=15)
    lost_and_back(s, 5)

    assert s.filters() == {"snapshot_count": 15}


def test_being_away_for_longer_than_the_peer_looks_back_is_a_gap() -> None:
    s = stage(plan=PLANS["free"])
    lost_and_back(s, 60, block("b", at=140))

    (gap,) = s.gaps
    since, until = seconds(gap)
    assert (since, until) == (100.0, 140.0)
    assert gap.reason is GapReason.WINDOW
    assert gap.subscription == ONE
    assert s.session.status().gaps == 1


def test_a_history_that_is_full_and_does_not_reach_back_is_a_gap() -> None:
    s = stage(plan=PLANS["free"])
    lost_and_back(s, 10, *(block(f"b{n}", at=105 + n / 10) for n in range(20)))

    (gap,) = s.gaps
    assert gap.reason is GapReason.COUNT
    assert seconds(gap) == (100.0, 105.0)


def test_a_history_that_reaches_back_leaves_no_gap_however_full() -> None:
    s = stage(plan=PLANS["free"])
    lost_and_back(s, 10, *(block(f"b{n}", at=99 + n / 10) for n in range(20)))

    assert s.gaps == []


@pytest.mark.parametrize("history_first", [False, True])
def test_a_warning_about_the_window_is_a_gap(history_first: bool) -> None:
    s = stage()
    number = s.join()
    s.hear(number, block("last", at=s.now))
    s.drop(number)
    number = s.open()
    frames = [
        s.subscribed(warnings=["the history window cannot cover this"]),
        s.snapshot(block("b", at=1)),
    ]
    s.hear(number, *(frames[::-1] if history_first else frames))

    assert [gap.reason for gap in s.gaps] == [GapReason.WARNED]


def test_a_history_that_does_not_come_is_a_gap_and_holds_nobody_up_for_long() -> None:
    s = stage(ONE, TWO)
    number = s.join()
    s.hear(number, block("last", at=s.now))
    s.drop(number)
    number = s.open()
    s.hear(number, s.subscribed())
    assert s.state(ONE) is SubscriptionState.CATCHING_UP
    s.wait(4.9)
    assert s.gaps == []
    s.wait(0.2)
    assert [(gap.reason, gap.subscription) for gap in s.gaps] == [(GapReason.UNANSWERED, ONE)]
    assert s.noted(AnomalyCode.HISTORY_UNANSWERED) == 1

    # From here on nobody can say whose a history is.
    s.hear(number, s.snapshot(block("late", at=1)), s.subscribed())
    assert [(gap.reason, gap.subscription) for gap in s.gaps[1:]] == [(GapReason.UNANSWERED, TWO)]
    assert s.histories[-1].subscription is None
    assert [h.new for h in s.histories][-1] == 1
    assert not s.session.status().catching_up


def test_prices_have_no_history_so_every_loss_is_a_gap_of_theirs() -> None:
    s = stage(PRICES)
    number = s.open()
    s.hear(number, s.subscribed(), s.heartbeat())
    s.wait(20)
    s.drop(number)
    number = s.open()
    s.hear(number, s.subscribed())

    assert [gap.reason for gap in s.gaps] == [GapReason.UNANSWERED]


def test_a_grant_that_is_lost_before_anything_tells_the_time_leaves_an_open_gap() -> None:
    s = stage()
    s.drop(s.join())
    s.wait(3600)
    number = s.open()
    s.hear(number, s.subscribed(), s.snapshot())
    assert s.filters() == {}
    assert [(seconds(gap), gap.subscription) for gap in s.gaps] == [((None, None), ONE)]
    s.drop(number)
    s.join(block("b", at=3600))

    assert [seconds(gap) for gap in s.gaps[1:]] == [(None, 3600.0)]
    assert s.gaps[1].reason is GapReason.WINDOW


@pytest.mark.parametrize(
    ("history", "until"), [((), None), ((100.0, 170.0), 100.0), ((165.0, 170.0), 165.0)]
)
def test_such_a_gap_reaches_as_far_as_any_later_one(
    history: tuple[float, ...], until: float | None
) -> None:
    s = stage(ONE, TWO, plan=PLANS["free"])
    number = s.open()
    s.hear(number, s.subscribed())
    s.drop(number)
    s.wait(100)
    number = s.open()
    s.hear(number, block("b", at=s.now))
    s.drop(number)
    s.wait(60)
    number = s.open()
    s.hear(number, s.subscribed(), s.snapshot(*(block(f"b{at}", at=at) for at in history)))

    (gap,) = (gap for gap in s.gaps if gap.subscription == ONE)
    assert seconds(gap) == (None, until)


@pytest.mark.parametrize(("dropped_at", "since"), [(40, 40), (55, 54)])
def test_a_look_back_reaches_to_the_earliest_of_what_is_doubted(
    dropped_at: int, since: int
) -> None:
    s = stage(greedy=False, delivery_items_max=2, overlap_ms=1000)
    number = s.join()
    s.consume()
    s.hear(number, block("b", at=50))
    s.consume()
    s.hear(number, *(settlement(f"0x{n}", at=dropped_at) for n in range(3)), "{")

    assert len(s.asked("subscribe")) == 2
    assert s.filters() == {"since": EPOCH_MS + since * 1000}


def test_a_history_nobody_asked_for_is_merged_all_the_same() -> None:
    s = stage()
    number = s.join()
    s.hear(number, s.snapshot(settlement("0x1")))

    assert s.histories[-1].subscription is None
    assert s.outcomes("0x1") == ["pending"]
    assert s.noted(AnomalyCode.UNEXPECTED_FRAME) == 1


def test_a_second_loss_before_catching_up_still_misses_everything_since_the_first() -> None:
    s = stage(plan=PLANS["growth"])
    number = s.join()
    s.wait(50)
    s.hear(number, s.heartbeat(), block("last", at=50))
    s.drop(number)
    number = s.open()
    s.hear(number, s.subscribed(), block("live", at=s.now))
    s.wait(3)
    s.drop(number)
    s.open()

    assert s.filters() == {"since": EPOCH_MS + 45_000}


def test_resync_looks_back_beside_what_stands_and_ends_the_old_grant_afterwards() -> None:
    s = stage(ONE, PRICES)
    number = s.open()
    s.hear(number, s.subscribed("one"), s.snapshot())
    s.hear(number, s.subscribed("prices"))
    s.wait(40)
    s.hear(number, s.heartbeat())
    s.sent.clear()
    s.session.handle_resync(now=s.now)
    s.drain()
    assert s.sent == [
        {"action": "subscribe", "type": "settlements", "filters": {"since": EPOCH_MS + 10_000}}
    ]
    s.hear(number, s.subscribed("one again"), s.snapshot(settlement("0x1", at=39)))
    assert s.sent[-1] == {"action": "unsubscribe", "subscription_id": "one"}
    s.hear(number, s.unsubscribed("one"))

    assert s.outcomes("0x1") == ["pending"]
    assert s.session.status().subscription(ONE).id == "one again"
    assert s.gaps == []
    assert not s.closes


def test_looking_back_is_rationed() -> None:
    s = stage()
    number = s.join()
    s.sent.clear()
    for _ in range(29):
        s.session.handle_resync(now=s.now)
        s.drain()
        s.grant(number)
        s.wait(1)

    # At 0, 10 and 20 s, each with the end of the grant before.
    assert len(s.asked("subscribe")) == 3
    assert len(s.asked("unsubscribe")) == 3


def test_a_look_back_that_is_refused_leaves_the_subscription_standing() -> None:
    s = stage()
    number = s.join(block("b"))
    s.hear(number, "{")
    s.hear(number, s.error("invalid_message", "too many subscriptions"))

    assert s.state(ONE) is SubscriptionState.LIVE
    assert [gap.reason for gap in s.gaps] == [GapReason.UNANSWERED]
    s.hear(number, settlement("0x1"))
    assert s.outcomes("0x1") == ["pending"]


def test_a_look_back_without_an_answer_ends_the_connection_and_nothing_else() -> None:
    s = stage()
    s.join(block("b"))
    s.session.handle_resync(now=s.now)
    s.drain()
    s.wait(10)
    assert [close.code for close in s.closes] == [1008]
    s.join(block("b"))

    assert s.state(ONE) is SubscriptionState.LIVE
    assert not s.of(SubscribeRefused)


def test_a_subscription_ended_during_a_look_back_does_not_stay() -> None:
    s = stage(ONE, TWO)
    number = s.join()
    s.session.handle_resync(now=s.now)
    s.drain()
    s.session.handle_unsubscribe(ONE, now=s.now)
    s.drain()
    s.grant(number)

    ended = [frame["subscription_id"] for frame in s.asked("unsubscribe")]
    # The first grant, that of its look back, and what the look back of the other replaced.
    assert sorted(ended) == ["c:1", "c:2", "c:3"]
    assert s.session.status().subscription(TWO).id == "c:4"


# Events.


def test_an_event_with_another_body_amends_and_a_repeated_one_is_counted() -> None:
    s = stage()
    number = s.join()
    first, richer = settlement("0x1"), settlement("0x1", market_title="Demo?")
    s.hear(number, first, first, richer, first)

    told: list[Any] = s.entries
    assert [event.amends for event in told] == [False, True]
    assert "Demo?" in told[1].payload["market_title"]
    row = s.session.counters()["settlement"]
    assert (row.received, row.applied, row.duplicate) == (4, 2, 2)
    assert s.outcomes("0x1") == ["pending"]


def test_the_entry_comes_before_what_it_says_about_items() -> None:
    s = stage()
    number = s.join()
    s.events.clear()
    s.hear(number, settlement("0x1", at=1), update("0x1", at=4))

    kinds = [type(event) for event in s.events]
    assert [issubclass(kind, Entry) for kind in kinds] == [True, False, True, False]
    pending, confirmed = s.of(ItemChanged)
    assert pending.entry is s.events[0]
    assert confirmed.entry is s.events[2]
    assert (pending.cause, pending.detected_at_ms) == (ItemCause.LIVE, EPOCH_MS + 1000)
    assert (confirmed.latency_ms, confirmed.before) == (3050, pending.state)
    assert s.session.item(("0x1", "0xa1", "1", "BUY")) is confirmed.state


def test_deflated_and_plain_events_are_the_same_events() -> None:
    s = stage()
    number = s.join()
    s.hear_deflated(number, settlement("0x1"))
    s.hear(number, settlement("0x1"))

    assert s.session.counters()["settlement"].duplicate == 1


def test_an_event_of_an_unknown_type_is_handed_on_whole() -> None:
    s = stage()
    number = s.join()
    s.hear(number, {"type": "novelty", "timestamp": EPOCH_MS, "data": {"x": 1.50}})

    (entry,) = s.entries
    assert entry.channel == "novelty"
    assert str(entry.payload["data"]["x"]) == "1.5"
    assert s.noted(AnomalyCode.UNKNOWN_TYPE) == 1
    assert s.session.counters()["novelty"].applied == 1


def test_types_made_up_by_the_peer_share_one_row_after_a_while() -> None:
    """HZ-J17."""
    s = stage()
    number = s.join()
    for n in range(1000):
        s.hear(number, {"type": f"t{n}", "timestamp": EPOCH_MS + n, "data": {"n": n}})
    s.hear(number, {"type": "", "event_type": "", "timestamp": EPOCH_MS, "data": {}})
    counters = s.session.counters()

    assert len(counters) <= 66
    assert sum(row.received for row in counters.values()) == 1001
    assert {entry.channel for entry in s.entries} == set(counters)
    assert counters["?"].applied >= 900


def test_an_odd_event_counts_and_is_told_as_odd() -> None:
    s = stage()
    number = s.join()
    s.hear(number, settlement("0x1", status="reverted"), settlement("", status="pending"))

    assert s.session.counters()["settlement"].applied == 2
    assert s.noted(AnomalyCode.ODD_EVENT) == 2
    assert s.outcomes("0x1") == ["pending"]


def test_an_event_time_far_ahead_is_not_believed() -> None:
    s = stage()
    number = s.join()
    s.hear(number, s.heartbeat(), block("b", at=1), block("wild", at=1_000_000))
    s.drop(number)
    s.open()

    assert s.filters() == {"since": EPOCH_MS - 4000}
    assert s.noted(AnomalyCode.IMPLAUSIBLE_TIME) == 1


def test_nothing_of_an_ended_connection_counts() -> None:
    """R10."""
    s = stage(polite=False)
    number = s.join()
    for _ in range(3):
        s.hear(number, "{")
    assert s.closes
    s.hear(number, settlement("0x1"), s.snapshot(settlement("0x2")), s.heartbeat(), s.subscribed())

    assert s.outcomes("0x1") == s.outcomes("0x2") == []
    row = s.session.counters()["settlement"]
    assert (row.received, row.discarded) == (2, 2)
    assert s.noted(AnomalyCode.FENCED) == 2


def test_frames_of_a_connection_that_is_over_are_ignored() -> None:
    s = stage()
    number = s.join()
    s.drop(number)
    s.session.handle_alive(number, now=s.now)
    s.hear(number, settlement("0x1"))

    assert "settlement" not in s.session.counters()


# A slow application.


def test_what_is_dropped_for_a_slow_application_is_told_as_a_gap_and_looked_back_for() -> None:
    """R14."""
    s = stage(greedy=False, delivery_items_max=10)
    number = s.join()
    s.take()
    for n in range(11):
        s.hear(number, block(f"b{n}", at=n))
    assert s.session.counters()["block"].dropped == 11
    assert s.filters() == {"since": EPOCH_MS}
    s.grant(number, *(block(f"b{n}", at=n) for n in range(5, 11)))
    s.consume()

    (gap,) = s.gaps
    assert (gap.reason, seconds(gap)) == (GapReason.OVERFLOW, (0.0, 10.0))
    # What the history still had was not lost.
    assert [e.payload["block_hash"] for e in s.entries] == [f"b{n}" for n in range(5, 11)]
    assert s.noted(AnomalyCode.DELIVERY_OVERFLOW) == 1


def test_gaps_of_a_stalled_application_become_one() -> None:
    s = stage(greedy=False, delivery_items_max=10)
    number = s.join()
    for n in range(55):
        s.hear(number, block(f"b{n}", at=n))
    s.take()

    assert [seconds(gap) for gap in s.gaps] == [(0.0, 54.0)]
    assert s.session.status().gaps == 5


def test_a_bound_that_nobody_knows_makes_a_joint_gap_without_it() -> None:
    s = stage(greedy=False, delivery_items_max=1)
    number = s.join()
    for n in range(2):
        s.hear(number, {"type": "novelty", "data": {"n": n}})
    for n in range(2):
        s.hear(number, block(f"b{n}", at=n))
    s.take()

    assert [seconds(gap) for gap in s.gaps] == [(None, None)]


def test_an_item_the_application_has_heard_of_keeps_its_outcome_through_an_overflow() -> None:
    s = stage(greedy=False, delivery_items_max=10)
    number = s.join()
    s.hear(number, settlement("0xknown"))
    s.consume()
    assert s.outcomes("0xknown") == ["pending"]
    s.wait(16)
    for n in range(11):
        s.hear(number, settlement(f"0x{n}", at=n))
    s.hear(number, update("0xknown", at=12))
    s.consume()

    assert s.outcomes("0xknown") == ["pending", "timed_out", "confirmed"]
    assert s.outcomes("0x3") == []
    assert [gap.reason for gap in s.gaps] == [GapReason.OVERFLOW]
    late = [e for e in s.of(ItemChanged) if e.cause is ItemCause.DEADLINE]
    assert [e.entry for e in late] == [None]


def test_an_outcome_given_up_twice_is_told_once_as_the_last_one() -> None:
    s = stage(greedy=False, delivery_items_max=3)
    number = s.join()
    s.hear(number, settlement("0xknown"))
    s.consume()
    s.wait(16)
    s.hear(number, update("0xknown"))
    for n in range(20):
        s.hear(number, settlement(f"0x{n}"), update(f"0x{n}", token="2"))
    s.consume()

    assert s.outcomes("0xknown") == ["pending", "confirmed"]


def test_an_item_dropped_before_anybody_heard_of_it_is_born_by_the_history() -> None:
    s = stage(greedy=False, delivery_items_max=4, tombstones_max=5)
    number = s.join()
    s.consume()
    s.hear(number, *(settlement(f"0x{n}", at=n) for n in range(2)), update("0x0"))
    s.hear(number, *(settlement(f"0x{n}", at=n) for n in range(2, 5)))
    assert s.session.status().items.pending == 0
    s.grant(number, update("0x0"), settlement("0x0"), settlement("0x4", at=4))
    s.consume()
    s.greedy = True
    s.wait(16)
    for n in range(10, 20):
        s.hear(number, settlement(f"0x{n}", status="confirmed"))

    assert s.outcomes("0x0") == ["confirmed"]
    assert s.outcomes("0x1") == s.outcomes("0x2") == []
    assert s.outcomes("0x4") == ["pending", "timed_out"]


def test_settlements_and_confirmations_overflow_together() -> None:
    s = stage(greedy=False, delivery_items_max=4)
    number = s.join()
    s.consume()
    s.hear(number, settlement("0x1"), *(update(f"0x{n}") for n in range(10, 15)))
    s.consume()

    counters = s.session.counters()
    assert (counters["settlement"].dropped, counters["status_update"].dropped) == (1, 5)
    assert s.outcomes("0x1") == []


def test_an_item_whose_event_was_taken_is_told_although_the_rest_was_dropped() -> None:
    s = stage(greedy=False, delivery_items_max=4)
    number = s.join()
    s.consume()
    s.hear(number, settlement("0x1"))
    (entry,) = s.take(limit=1)
    assert isinstance(entry, Entry)
    s.hear(number, update("0x1"), *(settlement(f"0x{n}") for n in range(10, 15)))
    s.consume()

    assert s.outcomes("0x1") == ["confirmed"]
    assert [event.before for event in s.of(ItemChanged) if event.key[0] == "0x1"] == [None]


def test_an_overflow_of_other_events_leaves_items_alone() -> None:
    s = stage(greedy=False, delivery_items_max=10)
    number = s.join()
    s.hear(number, settlement("0x1"))
    for n in range(11):
        s.hear(number, block(f"b{n}"))
    s.consume()

    assert s.outcomes("0x1") == ["pending"]


def test_both_outcomes_are_told_in_order_when_neither_was_taken() -> None:
    s = stage(greedy=False)
    number = s.join()
    s.hear(number, settlement("0x1"), update("0x1"))
    s.consume()

    assert s.outcomes("0x1") == ["pending", "confirmed"]


def test_a_rejected_event_is_quarantined_and_what_it_says_of_items_stands() -> None:
    s = stage(greedy=False)
    number = s.join()
    s.consume()
    s.hear(number, block("b"), settlement("0x1"), block("c"))
    events = s.take()
    rejected = events[1]
    assert isinstance(rejected, Entry)
    assert s.session.position_after(rejected) == Position() == s.session.position
    s.session.handle_rejected(rejected, now=s.now)
    s.drain()

    counters = s.session.counters()
    assert (counters["settlement"].quarantined, counters["block"].applied) == (1, 1)
    assert s.noted(AnomalyCode.ENTRY_REJECTED) == 1
    assert s.outcomes("0x1") == ["pending"]
    s.session.handle_processed(events[-1], now=s.now)
    s.drain()
    assert s.session.counters()["block"].applied == 2


def test_misuse_by_the_caller_is_told_as_such() -> None:
    s = stage(greedy=False)
    number = s.join()
    s.hear(number, block("b"))
    (entry,) = [event for event in s.consume() if isinstance(event, Entry)]
    for verb in (s.session.handle_processed, s.session.handle_rejected):
        with pytest.raises(LocalProtocolError):
            verb(entry, now=s.now)
    with pytest.raises(LocalProtocolError):
        s.session.position_after(entry)
    with pytest.raises(LocalProtocolError):
        s.session.handle_begin(now=s.now)


def test_a_loop_that_stood_still_is_told_with_how_long() -> None:
    s = stage()
    s.session.handle_blocked(3.21, now=s.now)
    s.drain()

    assert "3.2 s" in s.anomaly(AnomalyCode.EVENT_LOOP_BLOCKED)[0].detail


# Staying alive.


def test_the_applications_ping_goes_every_half_minute_and_its_pong_is_life() -> None:
    s = stage()
    number = s.join()
    for _ in range(12):
        s.wait(10)
        s.hear(number, {"type": "pong", "ts": s.server_ms})

    pings = [at for at, frame in zip(s.sent_at, s.sent, strict=True) if frame["action"] == "ping"]
    assert pings == [30.0, 60.0, 90.0, 120.0]
    assert s.pings == []


def test_an_error_after_a_ping_answers_the_ping_and_ends_the_pinging() -> None:
    s = stage()
    number = s.join()
    s.wait(30)
    assert s.sent[-1] == {"action": "ping"}
    s.session.handle_subscribe(TWO, now=s.now)
    s.drain()
    s.hear(number, s.error("invalid_message", "unknown action"))
    s.grant(number)

    assert s.state(TWO) is SubscriptionState.LIVE
    assert s.noted(AnomalyCode.PEER_ERROR) == 1
    s.wait(60)
    assert len(s.asked("ping")) == 1


@pytest.mark.parametrize("answered", [False, True])
def test_an_error_after_the_pings_own_answer_or_much_later_is_not_the_pings(answered: bool) -> None:
    s = stage()
    number = s.join()
    s.wait(30)
    if answered:
        s.hear(number, {"type": "pong"})
    else:
        s.wait(10)
    s.session.handle_subscribe(TWO, now=s.now)
    s.drain()
    s.hear(number, s.error("invalid_message"))

    assert s.state(TWO) is SubscriptionState.REFUSED


def test_no_ping_goes_while_a_request_is_in_flight() -> None:
    s = stage()
    number = s.join()
    s.wait(29)
    s.session.handle_subscribe(TWO, now=s.now)
    s.drain()
    s.wait(5)
    assert s.asked("ping") == []
    s.grant(number)
    assert len(s.asked("ping")) == 1


def test_heartbeats_alone_keep_a_connection() -> None:
    """HZ-I4, HZ-I5."""
    s = stage(lively=False)
    number = s.join()
    for _ in range(20):
        s.wait(30)
        s.hear(number, s.heartbeat())

    assert number in s.sockets
    assert s.session.anomalies() == {}


def test_ninety_seconds_without_any_frame_are_the_end() -> None:
    """HZ-I3."""
    s = stage(lively=False)
    number = s.join()
    s.wait(89)
    assert number in s.sockets
    s.wait(2)

    assert (s.closes[0].code, s.closes[0].reason) == (1008, "no sign of life")
    assert s.pings == [30.0]


def test_a_lost_connection_is_replaced_only_after_it_has_ended() -> None:
    """The smallest plan has one socket."""
    s = stage(polite=False)
    number = s.join()
    for _ in range(3):
        s.hear(number, "{")
    s.wait(4)
    assert s.connects[1:] == []
    s.drop(number)
    s.open()
    assert len(s.connects) == 2


def test_a_grant_that_lasts_resets_the_backoff_and_one_that_does_not_does_not() -> None:
    """R12."""
    s = stage()
    for _ in range(8):
        s.drop(s.join())
    assert s.of(Disconnected)[-1].retry_in_s >= 15.0
    number = s.join()
    s.wait(10)
    s.drop(number)

    assert s.of(Disconnected)[-1].retry_in_s <= 1.0


# Ends.


@pytest.mark.parametrize("end", [{"http_status": 401}, {"http_status": 403}, {"code": 4401}])
def test_a_bad_key_ends_it_at_once(end: dict[str, int]) -> None:
    s = stage()
    s.drop(1, **{"code": None, **end})

    assert s.of(Stopped)[0].failure is Failure.FATAL
    assert s.session.finished


@pytest.mark.parametrize("end", [{"http_status": 429}, {"code": 4429}])
def test_a_limit_waits_long(end: dict[str, int]) -> None:
    s = stage()
    s.drop(1, **{"code": None, **end})

    (lost,) = s.of(Disconnected)
    assert lost.failure is Failure.LIMIT
    assert lost.retry_in_s >= 10.0


@pytest.mark.parametrize(
    ("words", "wait_s"),
    [
        ('{"error":"Rate limit exceeded, retry at 1790000060"}', 60.0),
        ('{"error":"retry at 1790000003 please"}', 10.0),
        ('{"error":"retry at 1700000000"}', 10.0),
        ('{"error":"retry at 9999999999"}', 3600.0),
        ("no number at all", 10.0),
    ],
)
def test_the_moment_in_a_refusals_prose_is_waited_for_within_limits(
    words: str, wait_s: float
) -> None:
    s = stage()
    s.drop(1, None, http_status=429, words=words, wall_s=1_790_000_000.0)

    assert s.of(Disconnected)[0].retry_in_s == wait_s


@pytest.mark.parametrize(
    "end", [{"http_status": 500}, {"http_status": 503}, {"code": 1001}, {"code": 1011}, {}]
)
def test_anything_else_is_tried_again(end: dict[str, int]) -> None:
    s = stage()
    for number in range(1, 6):
        s.drop(number, **{"code": None, **end})
        deadline = s.session.poll_deadline()
        assert deadline is not None
        s.step(deadline.at)

    assert not s.of(Stopped)
    assert len(s.connects) == 6


def test_the_key_goes_with_the_address_and_is_shown_nowhere() -> None:
    """HZ-K3, HZ-K5."""
    s = stage(compress=True)
    number = s.join()
    s.hear(number, s.error(None, f"bad {KEY}"), s.subscribed(warnings=[]))
    s.drop(number, 1011, reason=f"bye {KEY}", words=f"no {KEY}")

    told = repr(s.events) + repr(s.session.status()) + repr(s.session.anomalies())
    assert KEY not in told
    assert "bye ***" in told


def test_closing_ends_the_socket_and_nothing_is_told_after_that() -> None:
    s = stage()
    number = s.join()
    s.hear(number, settlement("0x1"))
    s.session.handle_close(now=s.now)
    s.drain()

    assert [close.code for close in s.closes] == [1001]
    assert s.session.finished
    assert s.session.stopped == "closed by the application"
    assert s.session.poll_deadline() is None
    s.wait(30)
    assert isinstance([e for e in s.events if not isinstance(e, Disconnected)][-1], Stopped)
    assert s.outcomes("0x1") == ["pending"]
