"""What is sent, what an end means, and that the key shows nowhere."""

import pickle
from typing import Any

import attrs
import msgspec
import pytest

from lastseen.coverage import HistoryRequest
from lastseen.dialect import End
from lastseen.dialects.polynode import PLANS, PolyNode, Preset, Subscription
from lastseen.dialects.polynode.dialect import CLOSES, retry_wait_s
from lastseen.dialects.polynode.inflate import InflateLimits, deflate
from lastseen.errors import ConfigurationError
from lastseen.events import Failure
from lastseen.history_messages import Bomb, PeerError, PongHeard
from lastseen.secret import Secret

KEY = "pn_live_00112233445566778899aabbccddeeff"
PRICES = Subscription(preset=Preset.CHAINLINK, feeds=("BTC/USD",))


def said(secret: Secret) -> Any:
    return msgspec.json.decode(secret.reveal())


def test_the_frames_of_a_client() -> None:
    """Facts 2."""
    dialect = PolyNode()

    assert said(dialect.subscribe(Subscription(), HistoryRequest(since_ms=2499))) == {
        "action": "subscribe", "type": "settlements", "filters": {"since": 2499},
    }  # fmt: skip
    assert said(dialect.unsubscribe("conn-7:0")) == {
        "action": "unsubscribe", "subscription_id": "conn-7:0",
    }  # fmt: skip
    assert said(dialect.unsubscribe()) == {"action": "unsubscribe"}
    assert said(dialect.ping()) == {"action": "ping"}


def test_the_key_and_the_wish_for_compression_travel_in_the_query() -> None:
    """Facts 1."""
    key = Secret(KEY)

    assert PolyNode(key=key).query == (("key", key),)
    assert PolyNode(key=key, compress=True).query == (("key", key), ("compress", "zlib"))


def test_no_way_of_showing_the_dialect_shows_the_key() -> None:
    """HZ-K3, HZ-K5."""
    dialect = PolyNode(key=Secret(KEY), compress=True)
    frame = dialect.subscribe(Subscription(), HistoryRequest())
    shown = [repr(dialect), str(dialect), repr(dialect.query), repr(attrs.asdict(dialect)),
             dialect.identity, repr(frame)]  # fmt: skip

    assert not [text for text in shown if KEY in text]
    with pytest.raises(TypeError):
        pickle.dumps(dialect)


@pytest.mark.parametrize("key", ["has space ", "line\n", "ключ", "\x00"])
def test_an_unusable_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PolyNode(key=Secret(key))

    assert key not in str(caught.value)
    assert "printable ASCII" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "words", "redacted"),
    [
        (KEY, f"403 for wss://host/ws?key={KEY}&compress=zlib", "403 for wss://host/ws?key=***&compress=zlib"),
        ("a+b/c", "a+b/c and a%2Bb%2Fc", "*** and ***"),
        ("", "no key at all", "no key at all"),
    ],
)  # fmt: skip
def test_a_peers_words_are_passed_on_without_the_key(key: str, words: str, redacted: str) -> None:
    assert PolyNode(key=Secret(key)).redact(words) == redacted


# Ends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "failure"),
    [
        (End(http_status=401), Failure.FATAL),
        (End(http_status=403), Failure.FATAL),
        (End(http_status=429), Failure.LIMIT),
        (End(http_status=408), Failure.TRANSIENT),
        (End(http_status=425), Failure.TRANSIENT),
        (End(http_status=500), Failure.TRANSIENT),
        (End(http_status=503), Failure.TRANSIENT),
        (End(http_status=404), Failure.NOT_A_FEED),
        (End(http_status=200), Failure.NOT_A_FEED),
        (End(code=4401), Failure.FATAL),
        (End(code=4429), Failure.LIMIT),
        *[(End(code=code), Failure.TRANSIENT)
          for code in (1000, 1001, 1005, 1006, 1008, 1009, 1011, 1012, 1013, 3000, 4000, 4400)],
        (End(), Failure.TRANSIENT),
    ],
)  # fmt: skip
def test_what_an_end_means(end: End, failure: Failure) -> None:
    """Facts 1, 5."""
    assert PolyNode().classify(end) is failure


def test_every_listed_code_has_a_case() -> None:
    assert set(CLOSES) == {4401, 4429}


@pytest.mark.parametrize(
    ("words", "wait_s"),
    [
        ("Rate limited. Retry at 1790000060", 60.0),
        ("retry_at=1790000060, limit 3", 60.0),
        ('{"error":"too many connections, retry after 1790000005."}', 5.0),
        ("from 1790000010 until 1790000060", 60.0),
        ("retry at 1789999999", 0.0),
        ("retry at 1790000000", 0.0),
        ("retry at 1790090000", 3600.0),
        ("retry at 9999999999", 3600.0),
        ("retry in 60 seconds", None),
        ("at 1790000060123 ms", None),
        ("at ١٧٩٠٠٠٠٠٦٠", None),
        ("", None),
        ("9" * 100_000, None),
    ],
)
def test_the_moment_of_return_is_found_in_the_prose_and_clamped(
    words: str, wait_s: float | None
) -> None:
    assert retry_wait_s(words, wall_s=1_790_000_000.0) == wait_s


def test_a_refusal_without_a_wall_clock_says_nothing_of_when() -> None:
    dialect = PolyNode()

    assert dialect.retry_after_s(End(http_status=429)) is None
    assert dialect.retry_after_s(End(http_status=429, words="at 1790000060")) is None


def test_a_header_goes_before_the_prose() -> None:
    end = End(http_status=429, words="retry at 1790000060", wall_s=1_790_000_000.0)

    assert PolyNode().retry_after_s(end) == 60.0
    assert PolyNode().retry_after_s(attrs.evolve(end, retry_after_s=7.0)) == 7.0


@pytest.mark.parametrize(
    ("code", "final"),
    [
        ("invalid_json", True), ("invalid_message", True), ("unresolved_slugs", True),
        ("unresolved_condition_ids", True), ("rate_limited", False), (None, False),
    ],
)  # fmt: skip
def test_which_errors_are_about_the_request_itself(code: str | None, final: bool) -> None:
    assert PolyNode().is_final(PeerError(code=code, message="")) == final


# The rest ----------------------------------------------------------------------------------------


def test_frames_are_read_with_the_dialects_own_limits() -> None:
    dialect = PolyNode(inflate_limits=InflateLimits(bytes_max=100))

    assert dialect.decode('{"type":"pong"}') == PongHeard(timestamp_ms=None)
    assert type(dialect.decode(deflate(b" " * 101))) is Bomb


def test_the_name_and_the_identity_say_what_is_asked_for_and_not_how_it_travels() -> None:
    one = PolyNode(key=Secret(KEY), compress=True)

    assert one.name == "polynode"
    assert one.identity == PolyNode().identity
    assert one.identity != PolyNode(subscriptions=(Subscription(side="BUY"),)).identity


def test_the_plans_say_how_far_a_history_reaches() -> None:
    """Facts 6; who does not know theirs is safe with the smallest."""
    assert (PolyNode().lookback_ms, PolyNode().history_events_max) == (30_000, 20)
    growth = PolyNode(plan=PLANS["growth"])
    assert (growth.lookback_ms, growth.history_events_max) == (300_000, 200)
    assert [plan.snapshot_count_max for plan in PLANS.values()] == [20, 100, 200, 500]


@pytest.mark.parametrize(
    ("subscription", "request_", "expects"),
    [
        (Subscription(), HistoryRequest(), True),
        (Subscription(snapshot_count=0), HistoryRequest(), False),
        (Subscription(snapshot_count=0), HistoryRequest(since_ms=5), True),
        (Subscription(snapshot_count=0, since_ms=5), HistoryRequest(), True),
        (PRICES, HistoryRequest(), False),
        (PRICES, HistoryRequest(since_ms=5), False),
    ],
)
def test_when_a_history_is_to_be_expected(
    subscription: Subscription, request_: HistoryRequest, expects: bool
) -> None:
    assert PolyNode().expects_history(subscription, request_) == expects


def test_prices_are_in_no_history() -> None:
    assert not PolyNode().is_recorded("price_feed")
    assert PolyNode().is_recorded("settlement")


def test_subscriptions_that_bring_no_confirmations_are_named() -> None:
    """HZ-G17."""
    lonely = Subscription(preset=Preset.LARGE_TRADES)

    assert PolyNode(subscriptions=(Subscription(), lonely)).without_confirmations == (lonely,)


@pytest.mark.parametrize(
    "asked",
    [(PRICES,), (Subscription(), PRICES), tuple(Subscription(since_ms=n) for n in range(256))],
)
def test_subscriptions_that_one_socket_can_have_are_taken(asked: Any) -> None:
    assert PolyNode(subscriptions=asked).subscriptions == asked
    PolyNode().check(asked)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((), "must be a tuple of 1 to 256"),
        ([Subscription()], "must be a tuple of 1 to 256"),
        (None, "must be a tuple of 1 to 256"),
        (("settlements",), "must be of type Subscription"),
        ((Subscription(), Subscription()), "without repeats"),
        ((PRICES, attrs.evolve(PRICES, feeds=("ETH/USD",))), "at most one of them"),
        (tuple(Subscription(since_ms=n) for n in range(257)), "must be a tuple of 1 to 256"),
    ],
)
def test_subscriptions_that_one_socket_cannot_have_are_refused(asked: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        PolyNode(subscriptions=asked)
    if type(asked) is tuple:
        with pytest.raises(ConfigurationError, match=words):
            PolyNode().check(asked)
