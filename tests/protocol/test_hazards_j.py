"""Hostile bytes (J1 to J17) as a session meets them, and table O row by row."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen import (
    Anomaly,
    AnomalyCode,
    Entry,
    PayloadError,
    ScopeState,
    SessionOptions,
    StateSnapshot,
    Why,
)

if TYPE_CHECKING:
    from tests.protocol.conftest import Stage

MALFORMED: dict[str, str | bytes] = {
    "J1 cut off": '{"type":',
    "J1 empty": "",
    "J1 two values": '{"type":"reconnect"}{}',
    "J2 list": "[]",
    "J2 null": "null",
    "J2 text": '"x"',
    "J2 number": "7",
    "J2 type of another shape": '{"type":[]}',
    "J2 neither type nor channel": "{}",
    "J3 lists": "[" * 100_000,
    "J3 objects": '{"a":' * 100_000,
    "J3 below a payload": '{"channel":"scores","payload":{"a":' + "[" * 100_000 + "]}}",
    "J3 msgpack": b"\x81\xa1a" * 100_000,
    "J4 digits": '{"type":"x","a":' + "9" * 5000 + "}",
    "J5 NaN": '{"type":"snapshot_required","x":NaN}',
    "J5 Infinity": '{"type":"snapshot_required","x":-Infinity}',
    "J5 too large": '{"type":"snapshot_required","x":1e400}',
    "J7 lone surrogate, escaped": '{"type":"\\ud800"}',
    "J7 lone surrogate": '{"type":"\ud800"}',
    "J8 not UTF-8": b'{"channel":"scores","entryId":"1-\xff","payload":{}}',
    "J9 UTF-16": '{"type":"reconnect"}'.encode("utf-16"),
    "J9 BOM, text": '\ufeff{"type":"reconnect"}',
    "J9 BOM, binary": b'\xef\xbb\xbf{"type":"reconnect"}',
    "J11 trailing bytes": msgspec.msgpack.encode({"type": "reconnect"}) + b"\x00",
    "J11 a map as key": b"\x81\x80\x01",
    "J11 length without bytes": b"\xdf\xff\xff\xff\xff",
    "J11 array length without bytes": b"\x81\xa1a\xdd\xff\xff\xff\xff",
    "J11 not a map": b"\xc0",
    "binary, empty": b"",
    "zstd": b"\x28\xb5\x2f\xfd\x00\x00",
    "J2 channel of another shape": '{"channel":7,"payload":{},"entryId":"1-1"}',
    "table O: control-looking": '{"type":"snapshot_required","channels":["scores"',
}  # fmt: skip
"""Frames of which not even the channel can be read."""


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED.keys())
def test_an_unreadable_frame_costs_a_snapshot_round_and_not_the_connection(
    stage: type[Stage], frame: str | bytes
) -> None:
    """Table O rows 3 and 4: it might have been anything, also a demand."""
    s = stage(channels=("fixtures", "scores"))
    first = s.sync()
    s.hear(first, s.update("100-1"), frame, s.update("100-2"))

    assert s.session.counters()["?"].malformed == 1
    assert s.anomalies(AnomalyCode.UNDECODABLE) == 1
    assert (s.cursor("scores"), s.cursor("fixtures")) == (None, None)
    assert {c.synced_scopes for c in s.session.status().channels} == {0}
    assert not s.closes

    s.settle(1.0)

    assert {c.state for c in s.session.status().channels} == {ScopeState.SYNCED}
    assert s.applied[-1] == "100-2"


def test_three_unreadable_frames_in_a_short_time_end_the_connection(stage: type[Stage]) -> None:
    """Table O row 3: close and come back cold."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-1"))
    s.hear(first, "x", "x")

    assert not s.closes

    s.hear(first, "x", s.update("100-2"))

    assert [close.code for close in s.closes] == [1007]
    assert s.discarded(Why.FENCED) == ["100-2"]

    s.open()

    assert s.sent() is None


def test_unreadable_frames_far_apart_do_not_end_the_connection(stage: type[Stage]) -> None:
    s = stage()
    first = s.sync()
    for _ in range(10):
        s.hear(first, "x")
        s.settle(12.0)

    assert not s.closes
    assert s.state() is ScopeState.SYNCED


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"notice","entryId":"9-9","x":{}}',
        '{"type":"heartbeat"}',
        '{"type":"pong","channel_":1}',
        '{"channel":"scores","type":"DELETE","payload":{},"entryId":"9-9"}',
        '{"type":"dict","channel_":"odds","data":"AAECAw==","dictId":4242}',
    ],
)
def test_an_unknown_type_is_ignored_and_counted(stage: type[Stage], frame: str) -> None:
    """Table O row 1, HZ-J15, HZ-I5."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-1"), frame, s.update("100-2"))

    assert s.anomalies(AnomalyCode.UNKNOWN_TYPE) == 1
    assert s.state() is ScopeState.SYNCED
    assert s.cursor() == "100-2"


def test_extra_members_are_ignored(stage: type[Stage]) -> None:
    """Table O row 1."""
    s = stage()
    first = s.sync()
    frame = {**json.loads(s.update("100-1")), "v": 1, "seq": {"p": 1}, "x": [None], "era": 7,
             "size": 9, "raw": 1, "id": 3}  # fmt: skip
    s.hear(first, json.dumps(frame))

    assert s.applied == ["100-1"]
    assert s.cursor() == "100-1"


@pytest.mark.parametrize(
    "frame",
    [
        '{"channel":"scores","payload":[],"entryId":"100-2"}',
        '{"channel":"scores","payload":null,"entryId":"100-2"}',
        '{"channel":"scores","entryId":"100-2"}',
        '{"channel":"scores","payload":7}',
        '{"channel":"scores","payload":"{}","entryId":"100-2"}',
        '{"channel":7,"channel":"scores","payload":{},"entryId":7}',
    ],
)
def test_a_wrong_shape_on_a_known_channel_costs_that_channel_a_snapshot(
    stage: type[Stage], frame: str
) -> None:
    """Table O row 2."""
    s = stage(channels=("fixtures", "scores"))
    first = s.sync()
    s.hear(first, s.update("1-1", "fixtures"), s.update("100-1"), frame)

    assert s.session.counters()["scores"].malformed == 1
    assert s.state("scores") is not ScopeState.SYNCED
    assert s.cursor("scores") is None
    assert s.state("fixtures") is ScopeState.SYNCED
    assert s.cursor("fixtures") == "1-1"
    assert not s.closes


def test_a_wrong_shape_on_a_channel_of_others_costs_nothing(stage: type[Stage]) -> None:
    s = stage()
    first = s.sync()
    s.hear(first, '{"channel":"futures","payload":7,"entryId":"1-1"}')

    assert s.state() is ScopeState.SYNCED
    assert s.session.counters()["?"].malformed == 1


@pytest.mark.parametrize("fixture", ["7", "null", '""', '"' + "x" * 257 + '"', "[]"])
def test_odds_without_a_usable_fixture_are_malformed(stage: type[Stage], fixture: str) -> None:
    """HZ-J17: a fixture's name is remembered, so its length is capped."""
    s = stage(channels=("odds",), odds={"A": 1})
    first = s.sync()
    s.hear(first, f'{{"channel":"odds","payload":{{"fixtureId":{fixture}}},"entryId":"1-1"}}')

    assert s.session.counters()["odds"].malformed == 1
    assert s.state("odds") is not ScopeState.SYNCED


@pytest.mark.parametrize(("code", "sent"), [(1002, 1), (1007, 1), (1009, 1)])
def test_a_broken_transport_keeps_the_cursor_once_and_then_gives_it_up(
    stage: type[Stage], code: int, sent: int
) -> None:
    """Table O row 5, R13."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-1"))
    s.drop(first, code)
    for _ in range(3):
        s.drop(s.log_in(heads={"scores": "100-2"}), code)
    s.open()

    assert s.sent(sent) == {"scores": "100-1"}
    assert s.sent() is None


def test_a_payload_that_cannot_be_read_is_rejected_and_told_apart(stage: type[Stage]) -> None:
    """Table O row 6, HZ-J4, HZ-J5: each fails when it is touched and not before."""
    for member in ('"x":1e400', '"x":' + "9" * 5000, '"scores":7', '"scores":{"p1":7}'):
        s = stage(greedy=False)
        first = s.log_in()
        s.settle(30.0)
        s.consume()
        payload = f'{{"fixtureId":"A",{member}}}'
        s.hear(first, f'{{"channel":"scores","payload":{payload},"entryId":"100-1"}}')
        events = s.take()
        if not events or not isinstance(events[0], Entry):
            # The envelope's own decoder saw it already: then it counts as malformed.
            assert sum(row.malformed for row in s.session.counters().values()) == 1
            continue
        with pytest.raises(PayloadError):
            s.replica.apply(events[0])
        s.session.handle_rejected(events[0], now=s.now)
        s.drain()

        assert s.session.counters()["scores"].quarantined == 1


def test_control_text_is_heard_in_binary_mode_and_both_forms_of_data_too(
    stage: type[Stage],
) -> None:
    """HZ-J10, OP-A13."""
    s = stage()
    first = s.sync()
    data = json.loads(s.update("100-1"))
    s.hear(
        first,
        msgspec.msgpack.encode(data),
        s.update("100-2").encode(),
        s.update("100-3"),
        msgspec.msgpack.encode({**data, "entryId": "100-4"}),
    )

    assert s.applied == ["100-1", "100-2", "100-3", "100-4"]

    s.hear(first, s.sr())

    assert s.state() is not ScopeState.SYNCED

    s.hear(first, s.move())
    s.dial(within=1.0)


@pytest.mark.parametrize("entry_id", ["100-2", None, 7, "x"])
@pytest.mark.parametrize("payload", [{"fixtureId": "A", "scores": {}}, 7, None, []])
@pytest.mark.parametrize("channel", ["scores", "futures", 7])
def test_json_and_messagepack_twins_are_judged_alike(
    stage: type[Stage], channel: Any, payload: Any, entry_id: Any
) -> None:
    """HZ-J11."""
    frame = {"channel": channel, "type": "UPDATE", "payload": payload, "entryId": entry_id}
    outcomes: list[Any] = []
    for encoded in (json.dumps(frame), msgspec.msgpack.encode(frame)):
        s = stage()
        first = s.sync()
        s.hear(first, encoded)
        outcomes.append((s.session.counters(), s.state(), s.applied, s.session.anomalies()))

    assert outcomes[0] == outcomes[1]


def test_names_the_peer_chose_are_told_in_printable_characters(stage: type[Stage]) -> None:
    """HZ-J7, HZ-K12."""
    s = stage()
    first = s.sync()
    s.hear(first, '{"type":"\\u001b]0;x\\u0007\\n\\u0000"}', s.sr(reason="\x1b[31m\n"))
    told = [event.detail for event in s.events if isinstance(event, Anomaly)]

    assert len(told) == 2
    assert all(text.isprintable() for text in told)


def test_names_the_peer_chose_do_not_pile_up(stage: type[Stage]) -> None:
    """HZ-J17: channels, types, reasons, heads."""
    s = stage()
    first = s.sync()
    for n in range(2000):
        s.hear(first, f'{{"type":"t{n}"}}', s.update("1-1", f"c{n}"))
    s.hear(first, s.sr(heads={f"c{n}": "1-1" for n in range(1000)}))

    assert len(s.session.anomalies()) < 20
    assert set(s.session.counters()) == {"scores", "?"}
    assert s.session.position.cursors == ()


def test_bookmakers_the_peer_chose_do_not_become_endless_requests(stage: type[Stage]) -> None:
    """HZ-J17, INV-S14: a login_ok with ten thousand of them."""
    s = stage(channels=("odds",), odds={"A": 1})
    s.log_in(bookmakers=[f"b{n}" for n in range(10_000)])
    s.wait(0.3)
    s.serve_roster()

    assert all(len(fetch.requests) <= 20 for fetch in s.fetches.values())


def test_a_gap_a_duplicate_and_an_overflow_cost_what_the_table_says(stage: type[Stage]) -> None:
    """Table O, the last rows."""
    s = stage(options=SessionOptions(delivery_items_max=5, report_discarded=True))
    first = s.sync()
    s.hear(first, s.update("100-1"), s.update("100-1"), s.update("100-5"))

    assert s.cursor() == "100-5"
    assert s.discarded(Why.DUPLICATE) == ["100-1"]
    assert s.state() is ScopeState.SYNCED

    s.hear(first, *[s.update(f"100-{n}") for n in range(6, 20)])

    assert s.cursor() is None
    assert s.anomalies(AnomalyCode.DELIVERY_OVERFLOW) == 1
    assert not s.closes


# Nearly legal frames.

_LEGAL = [
    ('{"type":"login_ok","channels":["scores"],"resume":{"serverEpoch":"E1","resumeWindowMs":1,'
    '"replayChannels":["scores"],"serverEntryIds":{"scores":"100-9"}}}'),
    '{"type":"resume_complete","serverEpoch":"E1"}',
    ('{"type":"snapshot_required","reason":"server_restarted","channels":["scores"],'
    '"serverEpoch":"E1"}'),
    '{"type":"reconnect","reason":"server_upgrade"}',
    '{"type":"error","error":"oops","message":"x"}',
    ('{"channel":"scores","type":"UPDATE","ts":1,"payload":{"fixtureId":"A","scores":{"p1":'
    '{"period":"p1"}}},"entryId":"100-10"}'),
    ('{"channel":"odds","type":"UPDATE","ts":1,"payload":{"fixtureId":"A","odds":{"pin":{"k":'
    '{"price":1.5}}}},"entryId":"100-11"}'),
]  # fmt: skip

_junk = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=8),
    st.lists(st.integers(0, 9), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2),
)  # fmt: skip


@st.composite
def nearly_legal(draw: st.DrawFn) -> str | bytes:
    """A legal frame with a random tail, a cut, an edit, or a member replaced or repeated."""
    text = draw(st.sampled_from(_LEGAL))
    how = draw(st.integers(0, 6))
    if how == 0:
        return text + draw(st.text(max_size=10))
    if how == 1:
        return text[: draw(st.integers(0, len(text)))]
    if how == 2:
        at = draw(st.integers(0, len(text)))
        return text[:at] + draw(st.text(max_size=4)) + text[at + draw(st.integers(0, 3)) :]
    value = json.loads(text)
    member = draw(st.sampled_from(sorted(value)))
    value[member] = draw(_junk)
    if how == 3:
        return json.dumps(value)
    if how == 4:
        encoded = msgspec.msgpack.encode(value)
        return encoded + draw(st.binary(max_size=3))
    if how == 5:
        edited = bytearray(msgspec.msgpack.encode(json.loads(text)))
        edited[draw(st.integers(0, len(edited) - 1))] = draw(st.integers(0, 255))
        return bytes(edited)
    # The same key twice, with another value first.
    return "{" + json.dumps({member: draw(_junk)})[1:-1] + "," + text[1:]


@settings(max_examples=400)
@given(frames=st.lists(nearly_legal(), max_size=6), seed=st.integers(0, 99), when=st.integers(0, 3))
def test_nearly_legal_frames_never_raise_and_are_all_accounted_for(
    stage: type[Stage], frames: list[str | bytes], seed: int, when: int
) -> None:
    """INV-S13, INV-S17, INV-S21, in every phase of a connection."""
    s = stage(
        channels=("scores", "odds"), scores={"A": 1}, odds={"A": 1}, seed=seed, greedy=False,
        options=SessionOptions(hold_items_max=3, delivery_items_max=4, scopes_max=3),
    )  # fmt: skip
    number = s.open() if when == 0 else s.log_in()
    if when >= 2:
        s.settle(15.0)
    if when == 3:
        s.hear(number, s.update("100-1"))
        _read_all(s)
        s.drop(number)
        number = s.log_in(heads={"scores": "100-3"})
    for frame in frames:
        s.hear(number, frame)
    s.hear(number, *frames)
    _read_all(s)
    s.settle(1.0)
    _read_all(s)
    s.replica.state()

    if s.stopped is None:
        s.greedy = True
        number = s.log_in("E2") if s.session.status().connected is False else number
        s.hear(number, s.sr(None, epoch="E2"))
        s.settle(200.0)
        assert s.session.status().stopped or s.session.poll_deadline()


def _read_all(s: Stage) -> None:
    for event in s.take():
        if isinstance(event, StateSnapshot):
            s.replica.apply(event)
        elif isinstance(event, Entry):
            try:
                s.replica.apply(event)
            except PayloadError:
                s.session.handle_rejected(event, now=s.now)
                continue
        s.session.handle_processed(event, now=s.now)
    s.drain()


def test_a_flood_of_mutants_leaves_a_session_that_still_works(stage: type[Stage]) -> None:
    """HZ-J2: many thousand mutants, one session, and then a healthy peer."""
    rng = random.Random(5)
    s = stage(scores={"A": 7})
    number = s.log_in()
    for _ in range(6000):
        text = list(rng.choice(_LEGAL))
        for _ in range(rng.randint(1, 3)):
            text[rng.randrange(len(text))] = chr(rng.choice([0, 34, 44, 58, 91, 93, 123, 125, 57]))
        if number not in s.sockets:
            number = s.log_in("E1")
        s.session.handle_frames(number, ["".join(text)], now=s.now)
        for event in s.session.poll_events():
            s.session.handle_processed(event, now=s.now)
        s.drain()
        s.now += 0.05
        if s.stopped is not None:
            raise AssertionError(s.stopped)
    s.drop(number)
    s.sync("E9")

    assert s.score() == 7
