"""Any records, in any framing, cut anywhere, come out as they went in."""

import itertools
import json
import tracemalloc
from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen.deframing import Deframer, Envelopes, Lines, ServerSentEvents, is_too_deep

CAP = 1 << 16


def lines(records: Sequence[bytes], end: bytes = b"\n") -> bytes:
    return b"".join(record + end for record in records)


def envelope(record: bytes, flags: int = 0) -> bytes:
    return bytes([flags]) + len(record).to_bytes(4, "big") + record


def envelopes(records: Sequence[bytes]) -> bytes:
    return b"".join(map(envelope, records))


def events(records: Sequence[bytes], end: bytes = b"\n") -> bytes:
    return b"".join(b"data: " + record + end + end for record in records)


FRAMINGS: dict[str, tuple[str, Callable[[Sequence[bytes]], bytes]]] = {
    "lines": ("application/json", lines),
    "lines with CRLF": ("application/x-ndjson", lambda records: lines(records, b"\r\n")),
    "envelopes": ("application/connect+json", envelopes),
    "events": ("text/event-stream; charset=utf-8", events),
    "events with CRLF": ("text/event-stream", lambda records: events(records, b"\r\n")),
    "events with CR": ("text/event-stream", lambda records: events(records, b"\r")),
}

each_framing = pytest.mark.parametrize("name", FRAMINGS)


def _types() -> list[str]:
    return [content_type for content_type, _ in FRAMINGS.values()]


def _declares(name: str) -> tuple[str | None, ...]:
    """The content types, of those tried, that tell the truth about a framing."""
    if name.startswith("lines"):
        return (None, "application/json")
    return ("application/connect+json",) if name == "envelopes" else ("text/event-stream",)


RECORDS = [b'{"a":1}', '{"name":"Zoë 株"}'.encode(), b'{"deep":{"er":[1,[2]]}}', b'{"last":"x"}']

values = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=20), max_size=4)
records = st.lists(values.map(lambda value: json.dumps(value).encode()), max_size=8)


def read(reader: Deframer, pieces: Iterable[bytes]) -> list[bytes]:
    return [record for piece in pieces for record in reader.feed(piece)]


@each_framing
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_pieces_of_any_size_give_the_same_records(name: str, size: int) -> None:
    content_type, frame = FRAMINGS[name]
    body = frame(RECORDS)
    reader = Deframer(content_type, CAP)

    found = read(reader, [body[at : at + size] for at in range(0, len(body), size)])

    assert found == RECORDS
    assert (reader.fault, reader.mistaken, reader.ended) == (None, False, False)


@each_framing
def test_a_cut_at_every_offset_gives_the_records_before_it_and_no_other(name: str) -> None:
    content_type, frame = FRAMINGS[name]
    body = frame(RECORDS)
    # By an independent count: a record is there once all of its frame is.
    ends = [len(frame(RECORDS[: number + 1])) for number in range(len(RECORDS))]
    for at in range(len(body)):
        reader = Deframer(content_type, CAP)
        found = list(reader.feed(body[:at]))
        # A CR alone ends a line as well as a CRLF does.
        whole = [end for end in ends if end <= at + (name == "events with CRLF")]
        assert found == RECORDS[: len(whole)]
        assert found + read(reader, [body[at:]]) == RECORDS


@each_framing
@given(given_records=records, data=st.data())
def test_any_records_cut_anywhere(
    name: str, given_records: list[bytes], data: st.DataObject
) -> None:
    content_type, frame = FRAMINGS[name]
    body = frame(given_records)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    bounds = [0, *cuts, len(body)]
    pieces = [body[a:b] for a, b in itertools.pairwise(bounds)]

    assert read(Deframer(content_type, CAP), pieces) == given_records


@given(body=st.binary(max_size=300), content_type=st.sampled_from([None, "x", *_types()]))
@settings(max_examples=300)
def test_no_bytes_make_it_raise(body: bytes, content_type: str | None) -> None:
    reader = Deframer(content_type, 64)
    for byte in body:
        for record in reader.feed(bytes([byte])):
            assert len(record) <= 64


@each_framing
def test_a_content_type_that_lies_is_found_out(name: str) -> None:
    _, frame = FRAMINGS[name]
    for content_type in (None, "application/json", "application/connect+json", "text/event-stream"):
        reader = Deframer(content_type, CAP)
        assert read(reader, [frame(RECORDS)]) == RECORDS
        assert reader.mistaken == (content_type not in _declares(name))


def test_blank_lines_before_the_first_record_give_nothing_away() -> None:
    assert read(Deframer("application/json", CAP), [b"\n", b"\r\n", b'{"a":1}\n']) == [b'{"a":1}']


@pytest.mark.parametrize("end", [b"", b"{}", b'{"metadata":{}}'])
def test_a_stream_of_envelopes_ends_well_with_an_end_that_says_so(end: bytes) -> None:
    reader = Envelopes(CAP)

    assert list(reader.feed(envelope(b"{}") + envelope(end, 2) + b"garbage")) == [b"{}"]
    assert (reader.ended, reader.fault) == (True, None)
    assert reader.feed(envelope(b"{}")) == ()


def test_an_end_that_tells_an_error_is_a_record() -> None:
    end = b'{"error":{"code":"unavailable","message":"bye"}}'
    reader = Envelopes(CAP)

    assert list(reader.feed(envelope(end, 2))) == [end]
    assert reader.ended


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        (envelope(b"{}", 1), "a compressed envelope, which was not asked for"),
        (envelope(b"{}", 4), "an envelope with unknown flags 0x04"),
        (b"\x00\x00\x01\x00\x01", "a record of more than 65536 bytes"),
    ],
)
def test_an_envelope_that_cannot_be_read_ends_the_reading_at_once(head: bytes, fault: str) -> None:
    reader = Envelopes(CAP)

    assert list(reader.feed(envelope(b"{}") + head)) == [b"{}"]
    assert reader.fault == fault
    assert reader.feed(envelope(b"{}")) == ()


@pytest.mark.parametrize("reader_type", [Lines, ServerSentEvents])
def test_a_record_without_an_end_is_given_up_at_the_cap(
    reader_type: type[Lines] | type[ServerSentEvents],
) -> None:
    reader = reader_type(1000)
    for _ in range(1000):
        assert not reader.feed(b"data:{{{{")
        if reader.fault:
            break

    assert reader.fault == "a record of more than 1000 bytes"
    assert not reader.feed(b"\n\n")


@pytest.mark.parametrize(
    ("reader_type", "begin", "drop", "end"),
    [
        (Lines, b"", b"xy", b"\n"),
        (ServerSentEvents, b"data:", b"xy", b"\n\n"),
        # A line of no data costs a byte of the record, and no more than that here.
        (ServerSentEvents, b"data:x", b"\ndata:", b"y\n\n"),
        (Envelopes, b"\0" + (40_000).to_bytes(4, "big"), b"xy", b""),
    ],
)
def test_a_drip_costs_no_more_memory_than_what_it_brings(
    reader_type: type[Lines] | type[ServerSentEvents] | type[Envelopes],
    begin: bytes,
    drop: bytes,
    end: bytes,
) -> None:
    reader = reader_type(1 << 20)
    tracemalloc.start()
    found = list(reader.feed(begin))
    for _ in range(20_000):
        found += reader.feed(drop)
    found += reader.feed(end)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    (record,) = found
    assert 20_000 <= len(record) <= 40_002
    assert peak < 5 * 40_000


@pytest.mark.parametrize("framing", ["lines", "events"])
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("over", [0, 1])
def test_the_cap_is_the_same_however_a_record_comes(framing: str, piece: int, over: int) -> None:
    record = b"x" * (100 + over)
    body = FRAMINGS[f"{framing} with CRLF"][1]([b'"first"', record, b"{}"])
    content_type = FRAMINGS[framing][0]
    reader = Deframer(content_type, 100)

    found = read(reader, [body[at : at + piece] for at in range(0, len(body), piece)])

    assert found == ([b'"first"'] if over else [b'"first"', record, b"{}"])
    assert (reader.fault is not None) == bool(over)


def test_a_byte_order_mark_belongs_to_an_event_stream_and_is_no_json() -> None:
    mark = b"\xef\xbb\xbf"

    assert Deframer("text/event-stream", CAP).feed(mark + b"data: {}\n\n") == [b"{}"]
    assert Deframer("application/json", CAP).feed(mark + b"{}\n") == [mark + b"{}"]


def test_an_event_of_nothing_is_no_record() -> None:
    assert ServerSentEvents(CAP).feed(b"data\n\ndata:\n\ndata: \ndata:\n\ndata:1\n\n") == [b"1"]


@given(st.recursive(st.integers() | st.text(max_size=6), lambda inner: st.lists(inner, max_size=3)))
def test_depth_is_what_a_parser_would_find(value: object) -> None:
    def depth(each: object) -> int:
        return 1 + max(map(depth, each), default=0) if isinstance(each, list) else 0

    record = json.dumps(value).encode()
    for limit in (0, 1, 2, 3):
        assert is_too_deep(record, limit) == (depth(value) > limit)


@pytest.mark.parametrize("filler", [b'"%s",' % (b"[" * 99), b'"\\\\",', b'"\\"[",', b"[],{},"])
def test_depth_of_a_record_that_is_taken_apart_in_pieces(filler: bytes) -> None:
    times = 200_000 // len(filler)

    assert not is_too_deep(b"[" * 2 + filler * times + b"0]]", 3)
    assert is_too_deep(b"[" * 2 + filler * times + b"[[0]]]]", 3)
