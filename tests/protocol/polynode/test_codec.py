"""Frames, as a peer may send them: as documented, nearly so, and not at all."""

import json
import tracemalloc
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen.dialects.polynode import envelopes
from lastseen.dialects.polynode.codec import decode_frame
from lastseen.dialects.polynode.events import IDENTITY_MEMBERS
from lastseen.dialects.polynode.inflate import InflateLimits, deflate
from lastseen.dialects.polynode.values import duration_ms, epoch_ms
from lastseen.dialects.polynode.wire import (
    ErrorFrame,
    EventFrame,
    Heartbeat,
    Pong,
    Snapshot,
    encode_text,
)
from lastseen.dialects.polynode.wire import Subscribed as SubscribedFrame
from lastseen.dialects.polynode.wire import Unsubscribed as UnsubscribedFrame
from lastseen.events import Source
from lastseen.history_messages import (
    Bomb,
    HeartbeatHeard,
    History,
    Malformed,
    News,
    PeerError,
    PongHeard,
    Subscribed,
    Unsubscribed,
    WireEvent,
)
from lastseen.payload import Encoding

AT = 1_790_000_001_000
TOKEN = "7" * 78
SETTLEMENT = {
    "event_type": "settlement", "tx_hash": "0xaa01", "status": "pending", "detected_at": AT - 50,
    "block_number": None, "taker_wallet": "0xa1", "taker_token": TOKEN, "taker_side": "BUY",
    "taker_price": 0.41, "taker_size": 120.5, "trades": [],
}  # fmt: skip
UPDATE = {
    "event_type": "status_update", "tx_hash": "0xaa01", "token_id": TOKEN, "block_number": 91,
    "confirmed_at": AT + 3000, "pending_detected_at": AT - 50, "latency_ms": 3050,
}  # fmt: skip


def text_of(frame: Any) -> str:
    return json.dumps(frame, separators=(",", ":"))


def envelope(kind: str, data: Any, **members: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": AT, **members, "data": data}


def read(frame: Any) -> WireEvent:
    message = decode_frame(text_of(frame))
    assert isinstance(message, WireEvent)
    return message


def parts(event: WireEvent) -> dict[str, Any]:
    """Everything about an event, with its body as bytes."""
    return {**msgspec.structs.asdict(event), "raw": bytes(event.raw)}


# Events as documented ----------------------------------------------------------------------------


def test_a_settlement() -> None:
    event = read(envelope("settlement", SETTLEMENT))

    assert event.channel == "settlement"
    assert event.payload["taker_token"] == TOKEN
    assert bytes(event.raw) == text_of(SETTLEMENT).encode()
    assert event.timestamp_ms == AT
    assert event.identity == ("settlement", "0xaa01", "0xa1", TOKEN, "BUY")
    assert event.news is News.PENDING
    assert event.item == ("0xaa01", "0xa1", TOKEN, "BUY")
    assert event.detected_at_ms == AT - 50
    assert event.latency_ms is None
    assert (event.known, event.oddity, event.source) == (True, None, Source.LIVE)


def test_a_settlement_that_is_confirmed_already() -> None:
    """HZ-G11: the same event and the same item as when it was pending."""
    event = read(envelope("settlement", {**SETTLEMENT, "status": "confirmed"}))

    assert event.news is News.CONFIRMED
    assert event.identity == read(envelope("settlement", SETTLEMENT)).identity


def test_a_status_update_names_the_transaction_and_the_servers_own_latency() -> None:
    """HZ-G15."""
    event = read(envelope("status_update", UPDATE))

    assert event.identity == ("status_update", "0xaa01", TOKEN)
    assert event.news is News.UPDATE
    assert event.item == ("0xaa01",)
    assert event.detected_at_ms == AT - 50
    assert event.latency_ms == 3050


CHAIN = {"tx_hash": "0xaa", "log_index": 17, "block_number": 9, "timestamp": AT}


@pytest.mark.parametrize(
    ("kind", "data", "identity"),
    [
        *[(kind, CHAIN, (kind, "0xaa", "17"))
          for kind, names in IDENTITY_MEMBERS.items() if names == ("tx_hash", "log_index")],
        ("trade", {**CHAIN, "log_index": 0}, ("trade", "0xaa", "0")),
        ("block", {"block_hash": "0xbb", "block_number": 9}, ("block", "0xbb")),
        ("event", {"tx_hash": "0xaa", "order_hash": "0xfe", "user": "0xb2", "timestamp": 1},
         ("event", "0xaa", "0xfe", "0xb2")),
        ("price_feed", {"feed": "BTC/USD", "timestamp": 1790000005},
         ("price_feed", "BTC/USD", "", "1790000005")),
        ("price_feed", {"feed": "BTC/USD", "timestamp": 1790000005, "twap_window_seconds": 30},
         ("price_feed", "BTC/USD", "30", "1790000005")),
    ],
)  # fmt: skip
def test_the_identity_of_each_type(kind: str, data: Any, identity: tuple[str, ...]) -> None:
    """Facts 7."""
    event = read(envelope(kind, data))

    assert event.identity == identity
    assert (event.news, event.item) == (None, ())
    assert event.known


def test_every_known_type_has_a_case_of_its_own() -> None:
    assert len([names for names in IDENTITY_MEMBERS.values() if len(names) == 2]) >= 11
    assert set(IDENTITY_MEMBERS) >= {"settlement", "status_update", "block", "event", "price_feed"}


@pytest.mark.parametrize(
    ("members", "data", "identity"),
    [
        ({"event_id": "e-1"}, {}, ("settlement", "event_id", "e-1")),
        ({}, {"event_id": "e-2"}, ("settlement", "event_id", "e-2")),
        ({"event_id": "e-1"}, {"event_id": "e-2"}, ("settlement", "event_id", "e-2")),
        ({"event_id": ""}, {"event_id": ""}, ("settlement", "0xaa01", "0xa1", TOKEN, "BUY")),
        ({"event_id": None}, {"event_id": 7}, ("settlement", "0xaa01", "0xa1", TOKEN, "BUY")),
        ({"event_id": "x" * 129}, {}, ("settlement", "0xaa01", "0xa1", TOKEN, "BUY")),
    ],
)
def test_an_id_of_the_events_own_comes_first(members: Any, data: Any, identity: Any) -> None:
    event = read(envelope("settlement", {**SETTLEMENT, **data}, **members))

    assert event.identity == identity
    assert event.item == ("0xaa01", "0xa1", TOKEN, "BUY")


def test_the_id_of_an_update_and_of_another_event_comes_first_too() -> None:
    for kind, data in (("status_update", UPDATE), ("trade", CHAIN)):
        assert read(envelope(kind, data, event_id="e")).identity == (kind, "event_id", "e")


def test_token_ids_are_texts_whatever_they_look_like() -> None:
    event = read(envelope("settlement", {**SETTLEMENT, "taker_token": int(TOKEN)}))

    assert event.item == ("0xaa01", "0xa1", TOKEN, "BUY")


# Times -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        (AT, AT),
        (1_790_000_001, AT),
        (1_790_000_001.5, AT + 500),
        (float(AT), AT),
        (1_577_836_800_000, 1_577_836_800_000),
        (1_577_836_800, 1_577_836_800_000),
        (4_102_444_799, 4_102_444_799_000),
        (0, None), (7, None), (-AT, None), (AT * 1000, None), (4_102_444_800, None),
        (4_102_444_800_000, None), (1e300, None), (float("nan"), None), (float("inf"), None),
        ("1790000001000", None), (None, None), (True, None), ([], None),
    ],
)  # fmt: skip
def test_a_moment_is_in_milliseconds_or_seconds_and_sane(stamp: Any, moment: Any) -> None:
    """Facts 9.8."""
    assert epoch_ms(stamp) == moment


@pytest.mark.parametrize(
    ("value", "duration"),
    [(3050, 3050), (0, 0), (2.5, 2.5), (-1, None), ("3", None), (None, None), (True, None)],
)
def test_a_duration_is_a_number_and_not_below_zero(value: Any, duration: Any) -> None:
    assert duration_ms(value) == duration
    event = read(envelope("status_update", {**UPDATE, "latency_ms": value}))
    assert event.latency_ms == duration


@pytest.mark.parametrize(
    ("frame", "moment"),
    [
        ({"type": "price_feed", "feed": "BTC/USD", "timestamp": 1790000005,
          "data": {"feed": "BTC/USD", "timestamp": 1790000005}}, 1_790_000_005_000),
        ({"type": "event", "data": {"tx_hash": "0xaa", "order_hash": "o", "user": "u",
          "timestamp": 1790000000}}, 1_790_000_000_000),
        ({"type": "settlement", "timestamp": 7, "data": SETTLEMENT}, AT - 50),
        ({"type": "status_update", "timestamp": "soon", "data": UPDATE}, AT + 3000),
        ({"type": "block", "timestamp": None, "data": {"block_hash": "0xbb"}}, None),
    ],
)  # fmt: skip
def test_the_first_sane_time_is_the_events(frame: Any, moment: int | None) -> None:
    assert read(frame).timestamp_ms == moment


# Events that are not as documented ---------------------------------------------------------------


@pytest.mark.parametrize("status", ["settled", "", None, 7, ["pending"]])
def test_an_unknown_status_is_odd_and_counts_as_pending(status: Any) -> None:
    """HZ-G11."""
    event = read(envelope("settlement", {**SETTLEMENT, "status": status}))

    assert event.news is News.PENDING
    assert event.item == ("0xaa01", "0xa1", TOKEN, "BUY")
    assert event.oddity is not None
    assert "unknown status" in event.oddity


def test_a_settlement_needs_no_more_than_its_transaction() -> None:
    event = read(envelope("settlement", {"tx_hash": "0xaa01", "status": "pending"}))

    assert event.item == ("0xaa01", "", "", "")
    assert event.identity == ("settlement", "0xaa01", "", "", "")
    assert event.oddity is None


@pytest.mark.parametrize("transaction", [None, "", True, [], "x" * 129])
@pytest.mark.parametrize(("kind", "data"), [("settlement", SETTLEMENT), ("status_update", UPDATE)])
def test_without_a_usable_transaction_it_is_an_odd_event_and_no_item(
    kind: str, data: Any, transaction: Any
) -> None:
    event = read(envelope(kind, {**data, "tx_hash": transaction}))

    assert (event.news, event.item) == (None, ())
    assert event.oddity == f"{kind} without a usable tx_hash"
    assert event.identity[:3] == (kind, "content", str(AT))


def test_parts_of_a_key_have_a_limit() -> None:
    """HZ-J17."""
    event = read(envelope("settlement", {**SETTLEMENT, "taker_wallet": "x" * 129}))

    assert event.item == ()
    assert max(map(len, event.identity)) <= 128


@pytest.mark.parametrize("status", ["pending", "odd"])
def test_parts_as_long_as_the_limit_are_parts(status: str) -> None:
    """By the short way and by the careful one."""
    longest = "x" * 128
    data = {**SETTLEMENT, "status": status, "taker_wallet": longest}
    event = read(envelope("settlement", data))
    named = read(envelope("settlement", data, event_id=longest))

    assert event.item[1] == longest
    assert event.identity == ("settlement", *event.item)
    assert named.identity == ("settlement", "event_id", longest)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("trade", {"tx_hash": "0xaa"}),
        ("trade", {"log_index": 17}),
        ("event", {"tx_hash": "0xaa", "order_hash": "0xfe"}),
        ("price_feed", {"feed": "BTC/USD"}),
    ],
)
def test_half_a_name_is_none_and_the_content_counts(kind: str, data: dict[str, Any]) -> None:
    """Else two trades of one transaction would be taken for one."""
    one, other = read(envelope(kind, data)), read(envelope(kind, {**data, "size": 2}))

    assert one.identity[:3] == (kind, "content", str(AT))
    assert one.identity != other.identity


@pytest.mark.parametrize("kind", ["nova", "combo_something", "ping", "x" * 256])
def test_an_unknown_type_is_kept_whole(kind: str) -> None:
    """Facts 3: unknown types are preserved raw, never fatal."""
    frame = {"type": kind, "timestamp": AT, "extra": [1], "data": {"a": 1}}
    event = read(frame)

    assert event.channel == kind
    assert not event.known
    assert read({**frame, "event_id": "e"}).identity == (kind, "event_id", "e")
    assert bytes(event.raw) == text_of(frame).encode()
    assert event.payload == frame
    assert event.identity[:3] == (kind, "content", str(AT))


def test_two_unknown_events_are_the_same_only_with_time_and_content() -> None:
    """HZ-F2."""
    frame = {"type": "nova", "timestamp": AT, "data": {"a": 1}}

    assert read(frame).identity == read(frame).identity
    assert read({**frame, "data": {"a": 2}}).identity != read(frame).identity
    assert read({"type": "nova", "data": {"a": 1}}).identity == ()


@pytest.mark.parametrize(("kind", "data"), [("settlement", SETTLEMENT), ("status_update", UPDATE)])
@pytest.mark.parametrize("named", [True, False])
def test_a_flat_event_is_read_like_a_wrapped_one(kind: str, data: Any, named: bool) -> None:
    """Facts 9.6."""
    flat = {**({"type": kind} if named else {}), **data, "timestamp": AT}
    event, wrapped = read(flat), read(envelope(kind, data))

    assert bytes(event.raw) == text_of(flat).encode()
    for name in ("channel", "timestamp_ms", "identity", "news", "item", "latency_ms", "known"):
        assert getattr(event, name) == getattr(wrapped, name)


@pytest.mark.parametrize(
    "frame",
    [
        [], "x", None, 7, {}, {"type": 7}, {"type": []}, {"type": ""}, {"type": "x" * 257},
        {"type": "settlement", "data": None}, {"type": "settlement", "data": [SETTLEMENT]},
        {"type": "trade", "timestamp": AT, "data": "x"}, {"data": SETTLEMENT},
    ],
)  # fmt: skip
def test_frames_that_say_nothing(frame: Any) -> None:
    assert type(decode_frame(text_of(frame))) is Malformed


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"type":', "NaN", '{"type":"trade","data":{"price":NaN}}', "[" * 100_000,
     '{"a":' * 100_000, '{"type":"trade","data":' + "[" * 100_000, "\ud800", "\x00",
     '{"type":"\\ud800"}', '{"type":"x","data":' + "9" * 5000 + "}"],
)  # fmt: skip
def test_hostile_text_is_malformed(text: str) -> None:
    """HZ-J1 to HZ-J5, HZ-J7."""
    assert type(decode_frame(text)) is Malformed


@pytest.mark.parametrize(
    "member",
    ["identity", "news", "item", "known", "oddity", "latency_ms", "detected_at_ms", "entity",
     "id", "encoding", "source", "raw", "channel", "timestamp_ms", "amends"],
)  # fmt: skip
@pytest.mark.parametrize("value", ["json", "live", "x", None, True, ["a"], 1])
def test_a_peer_cannot_set_what_is_ours(member: str, value: Any) -> None:
    plain = read(envelope("settlement", SETTLEMENT))
    event = read(envelope("settlement", SETTLEMENT, **{member: value}))

    assert parts(event) == parts(plain)


def test_members_may_come_in_any_order_and_with_spaces() -> None:
    members = list(envelope("settlement", SETTLEMENT, event_id=None).items())
    frames = [json.dumps(dict(members), indent=1), text_of(dict(reversed(members)))]
    plain = read(envelope("settlement", SETTLEMENT))

    for frame in frames:
        event = decode_frame(frame)
        assert isinstance(event, WireEvent)
        assert event.identity == plain.identity
        assert event.payload == plain.payload


# Control frames ----------------------------------------------------------------------------------


def test_an_acknowledgement() -> None:
    frame = SubscribedFrame(
        subscriber_id="conn-7", subscription_id="conn-7:0", subscription_type="settlements",
        warnings=["a", "b"], price_source="both", twap_windows=[30, 60],
    )  # fmt: skip

    assert decode_frame(encode_text(frame)) == Subscribed(
        subscription_id="conn-7:0", subscription_type="settlements", warnings=("a", "b")
    )
    assert decode_frame('{"type":"subscribed"}') == Subscribed(
        subscription_id=None, subscription_type=None
    )
    odd = {"type": "subscribed", "subscription_id": "x" * 257, "warnings": ["a", 7]}
    assert decode_frame(text_of(odd)) == Subscribed(
        subscription_id=None, subscription_type=None, warnings=("a",)
    )


@pytest.mark.parametrize(
    ("warning", "warns"),
    [
        ("History window cannot cover the requested range", True),
        ("requested lookback was clamped", True),
        ("slug not found: demo", False),
    ],
)
def test_a_warning_about_history_is_told_from_others(warning: str, warns: bool) -> None:
    acknowledged = Subscribed(subscription_id="0", subscription_type=None, warnings=(warning,))

    assert acknowledged.warns_of_gap == warns


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (UnsubscribedFrame(subscriber_id="c"), Unsubscribed(subscription_id=None)),
        (UnsubscribedFrame(subscriber_id="c", subscription_id="c:1"),
         Unsubscribed(subscription_id="c:1")),
        (Heartbeat(ts=AT), HeartbeatHeard(timestamp_ms=AT)),
        (Heartbeat(ts=7), HeartbeatHeard(timestamp_ms=None)),
        (Pong(), PongHeard(timestamp_ms=None)),
        (Pong(ts=AT), PongHeard(timestamp_ms=AT)),
        (ErrorFrame(code="invalid_json", message="no"),
         PeerError(code="invalid_json", message="no")),
        (ErrorFrame(message="no"), PeerError(code=None, message="no")),
    ],
)  # fmt: skip
def test_the_other_control_frames(frame: Any, message: Any) -> None:
    assert decode_frame(encode_text(frame)) == message
    # They are text, and nevertheless taken as they come.
    assert decode_frame(deflate(encode_text(frame).encode())) == message


def test_control_frames_with_nothing_in_them() -> None:
    assert decode_frame('{"type":"error"}') == PeerError(code=None, message="")
    assert decode_frame('{"type":"heartbeat"}') == HeartbeatHeard(timestamp_ms=None)
    assert decode_frame('{"type":"heartbeat","data":{},"timestamp":1790000001000}') == (
        HeartbeatHeard(timestamp_ms=None)
    )


# Histories ---------------------------------------------------------------------------------------


def history(*events: Any, count: Any = 2) -> History:
    message = decode_frame(text_of({"type": "snapshot", "count": count, "events": events}))
    assert isinstance(message, History)
    return message


def test_a_history_is_its_events() -> None:
    events = [envelope("settlement", SETTLEMENT), envelope("status_update", UPDATE)]
    got = history(*events)

    assert [parts(event) for event in got.events] == [parts(read(event)) for event in events]
    assert (got.count, got.malformed) == (2, 0)
    frame = Snapshot(count=2, events=[EventFrame(type="block", timestamp=AT, data={})])
    assert isinstance(decode_frame(encode_text(frame)), History)


def test_the_list_counts_and_not_what_the_peer_says() -> None:
    """Facts 9.10."""
    assert len(history(envelope("trade", CHAIN), count=200).events) == 1
    assert history(count="many").count is None


def test_a_members_fault_is_its_own() -> None:
    good = envelope("trade", CHAIN)
    nested = {"type": "snapshot", "events": [good]}
    got = history(good, 7, [], {}, nested, {"type": "heartbeat"}, {"type": "nova"}, good)

    assert [event.channel for event in got.events] == ["trade", "nova", "trade"]
    assert got.malformed == 5


def test_a_member_that_cannot_be_decoded_does_not_take_the_others_with_it() -> None:
    big = '{"type":"nova","data":' + "9" * 5000 + "}"
    text = '{"type":"snapshot","count":2,"events":[' + big + "," + text_of(
        envelope("trade", CHAIN)
    ) + "]}"  # fmt: skip
    got = decode_frame(text)

    assert isinstance(got, History)
    assert [event.channel for event in got.events] == ["trade"]
    assert got.malformed == 1


def test_a_flat_member_is_an_event() -> None:
    """Facts 9.6."""
    (event,) = history({**SETTLEMENT, "timestamp": AT}).events

    assert event.item == ("0xaa01", "0xa1", TOKEN, "BUY")


@pytest.mark.parametrize("events", [None, {}, "x", 7])
def test_a_history_without_a_list_is_malformed(events: Any) -> None:
    assert type(decode_frame(text_of({"type": "snapshot", "events": events}))) is Malformed
    assert type(decode_frame('{"type":"snapshot"}')) is Malformed


def test_an_event_of_a_history_does_not_keep_the_rest_of_it() -> None:
    padding = {"type": "nova", "timestamp": AT, "data": {"x": "y" * 5_000_000}}
    tracemalloc.start()
    try:
        kept = [history(envelope("trade", CHAIN), {**SETTLEMENT, "a": 1}, padding).events[:2]]
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(kept[0]) == 2
    assert used < 1_000_000


def test_confirmations_are_merged_first_and_then_the_oldest() -> None:
    """HZ-G1: an item that the same history confirms is never told as pending."""
    events = [
        envelope("settlement", SETTLEMENT, timestamp=AT + 2),
        envelope("trade", CHAIN, timestamp=AT + 1),
        envelope("status_update", UPDATE, timestamp=AT + 3),
        {"type": "nova"},
    ]

    for order in (events, events[::-1]):
        kinds = [event.channel for event in history(*order).merge_order()]
        assert kinds == ["status_update", "nova", "trade", "settlement"]


def test_showing_a_history_does_not_show_its_events() -> None:
    shown = repr(history(envelope("settlement", SETTLEMENT)))

    assert shown == "History(events=<1 events>, count=2, malformed=0)"


# Binary frames -----------------------------------------------------------------------------------


def test_a_binary_frame_is_the_same_event_deflated() -> None:
    text = text_of(envelope("settlement", SETTLEMENT))
    event = decode_frame(deflate(text.encode()))

    assert isinstance(event, WireEvent)
    assert parts(event) == parts(read(envelope("settlement", SETTLEMENT)))


def test_binary_is_deflate_and_nothing_else() -> None:
    """Facts 4: the opcode decides."""
    text = text_of(envelope("settlement", SETTLEMENT))

    assert type(decode_frame(text.encode())) is Malformed
    assert decode_frame(deflate(b"\xff{}")) == Malformed(detail="an event that is not UTF-8")


def test_a_bomb_is_no_mere_malformed_frame() -> None:
    """HZ-J12."""
    limits = InflateLimits(bytes_max=1000)

    assert decode_frame(deflate(b" " * 1001), limits) == Bomb(detail="inflates beyond 1000 bytes")
    assert type(decode_frame(deflate(b" " * 1000), limits)) is Malformed


# Any bytes ---------------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["pending", "0xaa", "settlement", "snapshot", ""]) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["tx_hash", "data", "type", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip
datas = st.fixed_dictionaries(
    {},
    optional={
        "tx_hash": st.sampled_from(["0xaa", "0xbb"]) | values,
        "status": st.sampled_from(["pending", "confirmed"]) | values,
        **{name: st.sampled_from(["a", "b"]) | values for name in (
            "taker_wallet", "taker_token", "taker_side", "token_id", "order_hash", "user",
            "block_hash", "feed", "event_id")},
        **{name: st.integers(0, 3) | st.just(AT) | values for name in (
            "log_index", "latency_ms", "detected_at", "pending_detected_at", "timestamp",
            "twap_window_seconds")},
    },
)  # fmt: skip
frames = st.fixed_dictionaries(
    {"type": st.sampled_from([*IDENTITY_MEMBERS, "nova", "snapshot", "subscribed"]) | values},
    optional={
        "timestamp": st.just(AT) | st.integers(1_577_836_800, 4_102_444_800) | values,
        "data": datas | values,
        "event_id": st.just("e") | values,
        "events": st.lists(values | st.builds(envelope, st.just("trade"), datas), max_size=3)
        | values,
        "known": values,
    },
)


@settings(max_examples=150)
@given(frames)
def test_the_short_way_and_the_careful_way_read_alike(frame: dict[str, Any]) -> None:
    text = text_of(frame)
    quick = decode_frame(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lastseen.dialects.polynode.codec.read_documented", lambda _: None)
        careful = decode_frame(text)

    if isinstance(quick, WireEvent):
        assert isinstance(careful, WireEvent)
        assert parts(quick) == parts(careful)
    elif isinstance(quick, History):
        assert isinstance(careful, History)
        assert list(map(parts, quick.events)) == list(map(parts, careful.events))
        assert (quick.count, quick.malformed) == (careful.count, careful.malformed)
    else:
        assert quick == careful


@given(st.binary(max_size=80) | st.text(max_size=80) | st.binary(max_size=80).map(deflate))
def test_any_bytes_are_a_message(frame: str | bytes) -> None:
    """INV-S17."""
    decode_frame(frame)


@given(frames, st.integers(0, 60), st.binary(max_size=3))
def test_a_frame_that_is_cut_or_has_a_tail_is_a_message(
    frame: dict[str, Any], cut: int, tail: bytes
) -> None:
    text = text_of(frame)
    decode_frame(text[:cut])
    decode_frame(text + tail.decode("latin-1"))
    deflated = deflate(text.encode())
    decode_frame(deflated[:cut])
    decode_frame(deflated + tail)


@given(datas)
def test_an_event_that_is_read_can_be_touched(data: dict[str, Any]) -> None:
    event = read(envelope("settlement", data))

    assert event.encoding is Encoding.JSON
    assert set(event.payload) == set(data)


def test_messages_are_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        PongHeard(timestamp_ms=None).timestamp_ms = 1  # type: ignore[misc] # the point


def test_the_short_way_is_taken_for_what_is_documented() -> None:
    """Else all of the above would say nothing about it."""
    for kind, data in (("settlement", SETTLEMENT), ("status_update", UPDATE), ("trade", CHAIN)):
        assert envelopes.read_documented(text_of(envelope(kind, data))) is not None
