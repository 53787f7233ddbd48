"""What records say, in every spelling that the pages have."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen.events import Source
from lastseen.replica import Replica
from lastseen.stream_messages import (
    Heartbeat,
    Malformed,
    PeerError,
    StreamEntry,
    StreamMessage,
    StreamSnapshot,
    StreamUpdate,
)


def read(value: Any, stream: Stream = Stream.ORDERS) -> StreamMessage:
    return PolymarketUS(subscription=Subscription(stream=stream)).decode(json.dumps(value).encode())


def units(value: Any, stream: Stream = Stream.ORDERS) -> dict[str, Any]:
    """The units of all entries of an update, the later on top."""
    dialect = PolymarketUS(subscription=Subscription(stream=stream))
    body = dialect.decode(json.dumps(value).encode()).body
    assert isinstance(body, StreamUpdate), body
    return {key: each for entry in body.entries for key, each in dialect.units(entry).items()}


def entries(message: StreamMessage) -> tuple[StreamEntry, ...]:
    assert isinstance(message.body, StreamUpdate), message.body
    return message.body.entries


ORDER = {"id": "o-1", "symbol": "s", "state": "ORDER_STATE_PARTIALLY_FILLED", "cumQty": "4",
         "leavesQty": "6"}  # fmt: skip
SPELLED = {"id": "o-1", "symbol": "s", "state": "PARTIALLY_FILLED", "cumQty": 4, "leavesQty": 6}


@pytest.mark.parametrize("wrap", [lambda each: each, lambda each: {"result": each}])
@pytest.mark.parametrize(
    "order",
    [
        ORDER,
        {"id": "o-1", "symbol": "s", "state": "PARTIALLY_FILLED", "cum_qty": 4, "leaves_qty": 6},
        {"orderId": "o-1", "symbol": "s", "orderStatus": "ORDER_STATUS_PARTIALLY_FILLED",
         "cumQty": 4, "leavesQty": 6},
    ],
)  # fmt: skip
def test_every_spelling_of_an_order_is_one(wrap: Any, order: dict[str, Any]) -> None:
    execution = {"id": "x-1", "type": "EXECUTION_TYPE_PARTIAL_FILL", "order": order}
    update = wrap({"update": {"executions": [execution]}})
    snapshot = read(wrap({"snapshot": {"orders": [order]}})).body

    assert units(update) == {"orders/o-1": SPELLED}
    (entry,) = entries(read(update))
    assert (entry.id, entry.identity) == ("x-1", ("orders", "x-1"))
    assert (entry.unit, entry.progress) == ("orders/o-1", (0, 4))
    assert snapshot == StreamSnapshot(rows={"orders/o-1": SPELLED}, progress={"orders/o-1": (0, 4)})


def test_what_a_whole_order_leaves_out_is_zero_and_what_a_delta_does_is_not_said() -> None:
    whole = {"update": {"executions": [{"id": "x", "order": {"id": "o-1", "cumQty": 10}}]}}
    delta = {"id": "m-17", "type": "delta", "orderId": "o-1", "execId": "x-1", "status": "FILLED",
             "resumeToken": "dG9rMTM="}  # fmt: skip

    assert units(whole)["orders/o-1"] == {
        "id": "o-1", "cumQty": 10, "state": "NEW", "leavesQty": 0,
    }  # fmt: skip
    assert units(delta) == {"orders/o-1": {"id": "o-1", "state": "FILLED"}}
    (entry,) = entries(read(delta))
    assert (entry.id, entry.identity, entry.progress) == ("x-1", ("orders", "x-1"), None)
    token = read(delta).token
    assert token is not None
    assert token.reveal() == "dG9rMTM="


@pytest.mark.parametrize(
    ("stream", "before", "after", "changed"),
    [
        (Stream.MARKET_DATA,
         {"update": {"symbol": "s", "state": "INSTRUMENT_STATE_OPEN", "bookHidden": True,
                     "bids": [{"px": "520", "qty": "100"}], "offers": [{"px": "530", "qty": "1"}]}},
         {"update": {"symbol": "s", "offers": [{"px": "530", "qty": "1"}]}},
         {"state": "CLOSED", "bookHidden": False, "bids": ()}),
        (Stream.INSTRUMENTS, {"instruments": [{"symbol": "s", "state": "INSTRUMENT_STATE_OPEN"}]},
         {"instruments": [{"symbol": "s"}]}, {"state": "CLOSED"}),
        (Stream.POSITIONS,
         {"update": {"positions": [{"account": "a", "symbol": "s", "netPosition": "4",
                                    "cost": "7"}]}},
         {"update": {"positions": [{"account": "a", "symbol": "s", "cost": "7"}]}},
         {"netPosition": 0}),
        (Stream.POSITION_CHANGES,
         {"positionChanges": [{"position": {"account": "a", "symbol": "s", "netPosition": "4"}}]},
         {"positionChanges": [{"position": {"account": "a", "symbol": "s"}}]},
         {"netPosition": 0}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("keep_omitted", [False, True])
def test_what_a_whole_object_leaves_out_is_zero_and_not_what_it_was(
    stream: Stream, before: Any, after: Any, changed: dict[str, Any], keep_omitted: bool
) -> None:
    dialect = PolymarketUS(subscription=Subscription(stream=stream))
    replica = Replica(dialect, keep_omitted=keep_omitted)

    def state() -> dict[str, Any]:
        (unit,) = replica.state().values()
        return {name: unit.get(name) for name in changed}

    for entry in entries(read(before, stream)):
        replica.apply(entry)
    was = state()
    for entry in entries(read(after, stream)):
        replica.apply(entry)

    assert was != changed
    assert state() == changed


def test_a_row_of_a_snapshot_has_the_zeroes_that_it_leaves_out() -> None:
    flat = {"snapshot": {"positions": [{"account": "a", "symbol": "s"}]}}

    body = read(flat, Stream.POSITIONS).body

    assert isinstance(body, StreamSnapshot)
    assert body.rows["positions/a/s"]["netPosition"] == 0


@pytest.mark.parametrize(
    ("stream", "items"),
    [
        (Stream.DROP_COPY, {"executions": [{"id": "x-1"}, {"id": "x-2"}]}),
        (Stream.TRADE_CAPTURE, {"tradeCaptureReports": [{"id": "t-1", "state": "NEW"}]}),
        (Stream.POSITION_CHANGES,
         {"positionChanges": [{"position": {"account": "a", "symbol": "s"}}], "eof": True}),
        (Stream.DROP_COPY, {}),
        (Stream.DROP_COPY, {"eof": False}),
    ],
)  # fmt: skip
def test_events_that_begin_with_a_snapshot_begin_with_what_happened(
    stream: Stream, items: dict[str, Any]
) -> None:
    listed = [each for each in items.values() if isinstance(each, list)]

    message = read({"snapshot": items, "resumeToken": "t"}, stream)

    assert [entry.source for entry in entries(message)] == [Source.HISTORY] * sum(map(len, listed))
    live = {"resumeToken": "t", "executions": [], **items}
    told = entries(read(live, stream))
    assert [e.identity for e in entries(message)] == [e.identity for e in told]
    assert message.token is not None
    assert isinstance(read({"snapshot": {"books": []}}, stream).body, Malformed)


def test_a_finished_order_is_further_along_than_any_that_is_not() -> None:
    def progress(**order: Any) -> Any:
        value = {"update": {"executions": [{"id": "x", "order": {"id": "o", **order}}]}}
        return entries(read(value))[0].progress

    assert progress(state="CANCELED", cumQty=4) > progress(state="PARTIALLY_FILLED", cumQty=6)
    assert progress(state="FILLED", cumQty=9) > progress(state="PARTIALLY_FILLED", cumQty=8)
    assert progress(state="QUANTUM", cumQty=1) > progress(state=7, cumQty=0)


def test_a_reject_changes_no_order_and_is_never_a_duplicate() -> None:
    reject = {"update": {"cancelReject": {"orderId": "o-9", "text": "no such order"}}}

    (entry,) = entries(read(reject))

    assert (entry.identity, entry.unit, entry.id) == ((), None, None)
    assert units(reject) == {}


def test_a_book_is_a_unit_that_time_guards() -> None:
    book = {"update": {"symbol": "s", "bids": [{"px": "520", "qty": "100"}], "offers": [],
                       "state": "INSTRUMENT_STATE_OPEN",
                       "transactTime": "2026-11-20T00:00:03Z"}}  # fmt: skip

    (entry,) = entries(read(book, Stream.MARKET_DATA))

    assert units(book, Stream.MARKET_DATA)["market_data/s"]["bids"] == [{"px": 520, "qty": 100}]
    assert (entry.unit, entry.identity) == ("market_data/s", ())
    assert entry.progress == (2026, 11, 20, 0, 0, 3, 0)


@pytest.mark.parametrize(
    ("stream", "value", "unit", "identity"),
    [
        (Stream.POSITIONS, {"update": {"positions": [{"account": "a", "symbol": "s"}]}},
         "positions/a/s", ()),
        (Stream.DROP_COPY, {"executions": [{"id": "x-1"}], "resumeToken": "t"}, None,
         ("drop_copy", "x-1")),
        (Stream.TRADE_CAPTURE,
         {"trade_capture_reports": [{"id": "t-2", "state": "TRADE_STATE_BUSTED"}]},
         "trade_capture/t-2", ("trade_capture", "t-2", "TRADE_STATE_BUSTED")),
        (Stream.POSITION_CHANGES,
         {"positionChanges": [{"position": {"account": "a", "symbol": "s"},
                               "changeTime": "2026-11-20T00:00:03Z"}]},
         "position_changes/a/s", ()),
        (Stream.INSTRUMENTS, {"instruments": [{"symbol": "s"}]}, "instruments/s", ()),
    ],
)  # fmt: skip
def test_each_stream_has_its_units_and_names(
    stream: Stream, value: Any, unit: str | None, identity: tuple[str, ...]
) -> None:
    (entry,) = entries(read({"result": value}, stream))

    assert (entry.channel, entry.unit) == (stream.value, unit)
    assert [part.removeprefix("TRADE_STATE_") for part in entry.identity] == [
        part.removeprefix("TRADE_STATE_") for part in identity
    ]


def test_pages_of_a_snapshot_say_whether_more_come() -> None:
    def last(**members: Any) -> bool:
        body = read({"snapshot": {"orders": [], **members}}).body
        assert isinstance(body, StreamSnapshot)
        return body.last

    assert (last(), last(eof=False), last(eof=True)) == (True, False, True)


def test_the_peer_says_that_it_is_there_and_nothing_else() -> None:
    assert read({"heartbeat": {}}).body == Heartbeat()
    assert read({"type": "heartbeat"}).body == Heartbeat()
    beside = read({"result": {"sessionId": "s-1", "resumeToken": "t"}})
    assert (beside.body, beside.session_id) == (Heartbeat(), "s-1")


def test_errors_are_found_wherever_they_stand() -> None:
    error = {"code": 8, "message": "too many concurrent streams", "details": []}

    assert read({"error": error}).body == PeerError(code=8, message="too many concurrent streams")
    assert read({"error": "odd"}).body == PeerError(code=None, message="odd")
    assert not isinstance(read({"error": None, "heartbeat": {}}).body, PeerError)


def test_a_token_is_kept_to_the_letter_and_an_odd_one_is_told() -> None:
    odd = "00==é" + "x" * 4096
    kept = read({"executions": [], "resumeToken": odd}, Stream.DROP_COPY)

    assert kept.token is not None
    assert kept.token.reveal() == odd
    wrong = read({"executions": [], "resumeToken": 7}, Stream.DROP_COPY)
    assert (wrong.token, wrong.oddity) == (None, "a resume token that is no text")


@pytest.mark.parametrize(
    "record",
    [b"", b"[]", b"7", b"{", b'{"snapshot":7}', b'{"snapshot":{"orders":[7]}}', b'{"surprise":1}',
     b'{"update":[]}', b'{"snapshot":{"orders":[{}]}}', b'{"result":[]}', b'{"a":"\xff"}',
     b"[" * 100_000, b'{"a":' * 100_000, b'{"type":"delta","orderId":{}', b'{"snapshot":{"x":1}}'],
)  # fmt: skip
def test_what_cannot_be_understood_is_malformed(record: bytes) -> None:
    assert isinstance(PolymarketUS().decode(record).body, Malformed)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(
            ["result", "error", "snapshot", "update", "orders", "executions", "order", "id",
             "resumeToken", "resume_token", "type", "symbol", "state", "cumQty", "positions"]
        ), inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip


@given(value=json_values, stream=st.sampled_from(Stream))
def test_no_record_makes_it_raise(value: Any, stream: Stream) -> None:
    dialect = PolymarketUS(subscription=Subscription(stream=stream))
    body = dialect.decode(json.dumps(value).encode()).body
    if isinstance(body, StreamUpdate):
        for entry in body.entries:
            dialect.units(entry)
