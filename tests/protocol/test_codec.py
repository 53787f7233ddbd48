"""Frames of facts 2, field by field, and every odd form of them."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen import Entry, Failure
from lastseen.dialects.oddspapi.codec import decode_entries, decode_frame
from lastseen.dialects.oddspapi.wire import (
    Access,
    ErrorFrame,
    LoginOk,
    Reconnect,
    Resume,
    ResumeComplete,
    SnapshotRequired,
    Update,
    encode_binary,
    encode_text,
)
from lastseen.messages import (
    LoginAccepted,
    LoginRefused,
    Malformed,
    MoveRequested,
    ReplayCompleted,
    SnapshotDemanded,
    Unknown,
)
from lastseen.payload import Encoding

EPOCH = "5f1c0e9ab27d4c3386f0d1e2a3b4c5d6"


def read(frame: dict[str, Any]) -> Any:
    return decode_frame(json.dumps(frame))


def encode_json_bytes(frame: Update) -> bytes:
    return encode_text(frame).encode()


def login_ok(**resume: Any) -> Any:
    return read({"type": "login_ok", "resume": {"serverEpoch": EPOCH, **resume}})


def test_a_whole_login_ok() -> None:
    frame = LoginOk(
        region="sim-1", connId="c-1", userId="u-1", clientName="ref", lang="en",
        receiveType="json", channels=["fixtures", "odds"], sportIds=[10], tournamentIds=None,
        fixtureIds=None, futureIds=None, bookmakers=["pinnacle"], access=Access(),
        resume=Resume(
            serverEpoch=EPOCH, resumeWindowMs=60000, replayChannels=["fixtures"], enabled=True,
            serverEntryIds={"fixtures": "1790000004100-48830", "odds": None},
            serverCursors={"fixtures": 48830},
        ),
    )  # fmt: skip
    message = decode_frame(encode_text(frame))

    assert isinstance(message, LoginAccepted)
    assert message.epoch == EPOCH
    assert message.channels == ("fixtures", "odds")
    assert message.replayable == frozenset({"fixtures"})
    assert message.heads == {"fixtures": (1790000004100, 48830)}
    assert message.echo["receiveType"] == "json"
    assert message.oddities == ()


@pytest.mark.parametrize("resume", [None, [], "x", 7])
def test_a_resume_block_of_another_shape_is_an_oddity(resume: Any) -> None:
    message = read({"type": "login_ok", "resume": resume})

    assert isinstance(message, LoginAccepted)
    assert (message.epoch, message.replayable, message.heads) == (None, None, {})
    assert len(message.oddities) == 1


def test_an_absent_resume_block_is_an_oddity() -> None:
    message = decode_frame('{"type":"login_ok"}')

    assert isinstance(message, LoginAccepted)
    assert (message.epoch, message.channels, len(message.oddities)) == (None, None, 1)


@pytest.mark.parametrize("epoch", [None, 7, "", [], "x" * 257])
def test_an_epoch_that_cannot_be_used_is_none(epoch: Any) -> None:
    assert login_ok(serverEpoch=epoch).epoch is None
    assert read({"type": "resume_complete", "serverEpoch": epoch}).epoch is None
    assert read({"type": "snapshot_required", "serverEpoch": epoch}).epoch is None


@pytest.mark.parametrize(
    ("value", "names", "odd"),
    [
        ([], "", 0),
        (["a", 5], "a", 1),
        ("a", "", 1),
        (None, "", 1),
        ({}, "", 1),
        (["a", "a"], "a", 0),
    ],
)
def test_replay_channels_of_any_shape(value: Any, names: str, odd: int) -> None:
    """HZ-A13."""
    message = login_ok(replayChannels=value)

    assert message.replayable == frozenset(names)
    assert len(message.oddities) == odd


@pytest.mark.parametrize("ids", [None, [], "x", {"a": None, "b": "x", "c": 7, "d": "1,2"}])
def test_heads_that_cannot_be_read_are_left_out(ids: Any) -> None:
    assert login_ok(serverEntryIds=ids).heads == {}
    assert login_ok(serverEntryIds={"ok": "1-2", "no": ids}).heads == {"ok": (1, 2)}


@pytest.mark.parametrize("channels", ["x", None, {}, 7])
def test_an_effective_subscription_of_another_shape_is_an_oddity(channels: Any) -> None:
    message = read({"type": "login_ok", "channels": channels, "resume": {"serverEpoch": EPOCH}})

    assert message.channels is None
    assert len(message.oddities) == 1


@pytest.mark.parametrize(
    ("error", "text", "failure", "reason"),
    [
        ("login_failed", "apiKey not accepted", Failure.FATAL, "login_failed: apiKey not accepted"),
        ("first message must be login", "", Failure.FATAL, "first message must be login"),
        ("x", "first message must be login", Failure.FATAL, "x: first message must be login"),
        ("too_many_connections", "five", Failure.LIMIT, "too_many_connections: five"),
        ("api_key_revoked", "", Failure.FATAL, "api_key_revoked"),
        ("surprise", "", Failure.UNKNOWN, "surprise"),
        (7, None, Failure.UNKNOWN, "error"),
        ([], {}, Failure.UNKNOWN, "error"),
    ],
)
def test_an_error_frame(error: Any, text: Any, failure: Failure, reason: str) -> None:
    message = read({"type": "error", "error": error, "message": text})

    assert message == LoginRefused(failure=failure, reason=reason)
    if isinstance(error, str) and isinstance(text, str):
        assert decode_frame(encode_text(ErrorFrame(error, text))) == message


def test_the_other_control_frames() -> None:
    demanded = SnapshotRequired(
        reason="server_restarted", channels=["scores"], serverEpoch=EPOCH, resumeWindowMs=1,
        serverEntryIds={"scores": "1-2"},
    )  # fmt: skip

    assert decode_frame(encode_text(ResumeComplete(EPOCH))) == ReplayCompleted(epoch=EPOCH)
    assert decode_frame(encode_text(Reconnect("server_upgrade"))) == MoveRequested(
        reason="server_upgrade"
    )
    assert decode_frame(encode_text(demanded)) == SnapshotDemanded(
        channels=("scores",), epoch=EPOCH, reason="server_restarted", expected=True,
        heads={"scores": (1, 2)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("channels", "named"),
    [(None, None), ([], None), ("scores", None), ([7], None), (["scores", 7], ("scores",)),
     (["nope"], ("nope",))],
)  # fmt: skip
def test_channels_of_a_demand(channels: Any, named: Any) -> None:
    """HZ-C11: None is every channel."""
    assert read({"type": "snapshot_required", "channels": channels}).channels == named


@pytest.mark.parametrize("encode", [encode_text, encode_binary, encode_json_bytes])
@pytest.mark.parametrize(
    ("channel", "entity"),
    [("fixtures", None), ("scores", None), ("clocks", None), ("odds", "A"), ("bookmakers", "A"),
     ("futures", None), ("oddsFutures", "F"), ("bookmakersFutures", "F"), ("currencies", None),
     ("events", None), ("stats", None), ("injuries", None), ("lineups", None), ("nope", None)],
)  # fmt: skip
def test_an_update_in_each_encoding(encode: Any, channel: str, entity: str | None) -> None:
    """OP-A13: text, MessagePack, and JSON bytes in a binary frame."""
    payload: dict[str, Any] = {"fixtureId": "A", channel: {}, "futureId": "F"}
    frame = encode(
        Update(channel=channel, ts=1790000005210, entryId="1790000005210-7", payload=payload)
    )
    entry = decode_frame(frame)

    assert isinstance(entry, Entry)
    assert (entry.channel, entry.id) == (channel, "1790000005210-7")
    assert entry.cursor == (1790000005210, 7)
    assert entry.entity == entity
    assert entry.payload == payload
    assert (entry.encoding is Encoding.MSGPACK) == (encode is encode_binary)


def test_members_may_come_in_any_order_and_with_spaces() -> None:
    entry = decode_frame(
        '{ "payload" : { "odds": {}, "fixtureId" : "A" } , "entryId" : "1-2",\n"channel":"odds"}'
    )

    assert isinstance(entry, Entry)
    assert (entry.entity, entry.id) == ("A", "1-2")


@pytest.mark.parametrize("entry_id", [7, None, [], {}, True, 1.5])
@pytest.mark.parametrize("encode", [json.dumps, msgspec.msgpack.encode])
def test_an_entry_with_an_odd_id_is_an_entry_without_one(encode: Any, entry_id: Any) -> None:
    """OP-A24."""
    entry = decode_frame(encode({"channel": "scores", "payload": {}, "entryId": entry_id}))

    assert isinstance(entry, Entry)
    assert entry.id is None


@pytest.mark.parametrize("encode", [json.dumps, msgspec.msgpack.encode])
@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"channel": "scores", "type": "DELETE", "payload": {}}, Unknown),
        ({"channel": "scores", "payload": 7}, Malformed),
        ({"channel": "scores"}, Malformed),
        ({"channel": 7, "payload": {}}, Malformed),
        ({"channel": "odds", "payload": {}}, Malformed),
        ({"channel": "odds", "payload": {"fixtureId": ""}}, Malformed),
        ({"channel": "odds", "payload": {"fixtureId": "x" * 257}}, Malformed),
        ({"channel": "odds", "payload": {"futureId": "F"}}, Malformed),
        ({"channel": "oddsFutures", "payload": {"fixtureId": "A"}}, Malformed),
        ({"channel": "bookmakersFutures", "payload": {"futureId": 7}}, Malformed),
        ({"type": "notice"}, Unknown),
        ({"type": "dict", "data": "AA=="}, Unknown),
        ({"type": 7}, Malformed),
        ({}, Malformed),
        ([], Malformed),
        ("x", Malformed),
        (None, Malformed),
    ],
)
def test_other_frames(encode: Any, frame: Any, expected: type) -> None:
    assert type(decode_frame(encode(frame))) is expected


def test_a_frame_that_contradicts_itself_is_malformed() -> None:
    """HZ-J11: a key that stands twice, first with another type."""
    message = decode_frame('{"channel":5,"channel":"scores","payload":{},"entryId":7}')

    assert type(message) is Malformed


def test_a_channel_is_seen_before_a_type() -> None:
    """Facts 2.3: an update that calls itself a control frame is none."""
    assert type(decode_frame('{"channel":"scores","type":"login_ok","payload":{}}')) is Unknown


members = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["fixtureId", "futureId", "scores", "payload", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "channel": st.sampled_from(["scores", "odds", "oddsFutures", "currencies"]) | members,
        "type": st.sampled_from(
            ["UPDATE", "login_ok", "error", "snapshot_required", "resume_complete", "reconnect"]
        )
        | members,
        "payload": members,
        "entryId": st.sampled_from(["1-1", "x"]) | members,
        "resume": members,
        "channels": members,
        "serverEpoch": members,
        "reason": members,
        "error": members,
        "message": members,
        "source": members,
        "encoding": members,
        "entity": members,
    },
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Entry) and isinstance(other, Entry):
        return (one.channel, one.entity, one.id) == (other.channel, other.entity, other.id)
    return type(one) is type(other)


@settings(max_examples=600)
@given(envelopes)
def test_any_envelope_is_read_alike_in_both_encodings(frame: dict[str, Any]) -> None:
    """HZ-J11, INV-S17."""
    text = json.dumps(frame)
    one = decode_frame(text)
    if "NaN" in text or "Infinity" in text:
        # JSON has no such numbers; MessagePack has, and they fail when they are touched.
        return
    assert same(one, decode_frame(msgspec.msgpack.encode(frame)))
    assert same(one, decode_frame(text.encode()))


plain_updates = st.builds(
    lambda channel, members: {"channel": channel, "payload": dict(members)},
    st.sampled_from(["odds", "oddsFutures", "scores", "currencies", "events"]),
    st.permutations([("fixtureId", "A"), ("futureId", "F"), ("rates", {})]),
)


@settings(max_examples=300)
@given(st.lists(envelopes | plain_updates, max_size=4))
def test_a_batch_is_read_as_its_frames_or_not_at_all(frames: list[dict[str, Any]]) -> None:
    texts = [json.dumps(frame, separators=(",", ":")) for frame in frames]
    batch = decode_entries(texts)
    if batch is not None:
        singles = [decode_frame(text) for text in texts]
        assert all(same(one, other) for one, other in zip(batch, singles, strict=True))


def test_a_batch_finds_the_fixture_or_future_of_each_update() -> None:
    texts = [
        '{"channel":"odds","payload":{"fixtureId":"A","futureId":"F"}}',
        '{"channel":"oddsFutures","payload":{"futureId":"F","fixtureId":"A"}}',
        '{"channel":"bookmakersFutures","payload":{"futureId":"G"}}',
        '{"channel":"futures","payload":{"futureId":"G"}}',
        '{"channel":"currencies","payload":{"rates":{}}}',
    ]
    batch = decode_entries(texts)

    assert batch is not None
    assert [entry.entity for entry in batch] == ["A", "F", "G", None, None]


@pytest.mark.parametrize(
    "text",
    [
        '{"channel":"oddsFutures","payload":{"fixtureId":"A","futureId":"F"}}',
        '{"channel":"oddsFutures","payload":{"futureId":""}}',
        '{"channel":"oddsFutures","payload":{"futureId":"a\\u0041"}}',
    ],
)
def test_a_batch_with_a_future_that_is_not_found_at_once_gets_a_closer_look(text: str) -> None:
    assert decode_entries([text]) is None


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_are_a_message(frame: str | bytes) -> None:
    decode_frame(frame)
    decode_entries([frame])
