"""Bytes made to confuse, read by a slow reader that has the whole body and shares nothing."""

import io
import struct
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen.deframing import Envelopes, Lines, ServerSentEvents

CAP = 12

Found = tuple[list[bytes], bool, bool]
"""The records; whether the reading broke off, and whether the peer said that it was over."""

Reader = type[Lines] | type[Envelopes] | type[ServerSentEvents]


def lines(body: bytes) -> Found:
    records: list[bytes] = []
    for line in io.BytesIO(body):
        if not line.endswith(b"\n"):
            return records, len(line) > CAP + 1, False
        line = line[:-1]
        if line.endswith(b"\r") and len(line) == CAP + 1:
            line = line[:-1]
        if len(line) > CAP:
            return records, True, False
        if line.strip(b" \t\r"):
            records.append(line.strip(b" \t\r"))
    return records, False, False


def envelopes(body: bytes) -> Found:
    records: list[bytes] = []
    stream = io.BytesIO(body)
    while len(head := stream.read(5)) == 5:
        flags, length = struct.unpack(">BI", head)
        if flags not in (0, 2) or length > CAP:
            return records, True, False
        record = stream.read(length)
        if len(record) < length:
            break
        if flags == 2:
            # Whatever cannot be read as an end without an error may tell one.
            if record not in (b"", b"{}", b'{"error":null}'[:CAP]):
                records.append(record)
            return records, False, True
        records.append(record)
    return records, False, False


def server_sent_events(body: bytes) -> Found:
    """As the standard puts it: byte by byte, with a buffer for data."""
    records: list[bytes] = []
    mark = b"\xef\xbb\xbf" if body.startswith(b"\xef\xbb\xbf") else b""
    data: list[bytes] = []
    line, at = b"", len(mark)
    while at < len(body):
        byte = body[at : at + 1]
        at += 1
        if byte not in (b"\r", b"\n"):
            line += byte
            continue
        if byte == b"\r" and body[at : at + 1] == b"\n":
            at += 1
        mark = b""
        if len(line) > CAP + 6:
            return records, True, False
        if not line:
            if b"\n".join(data).strip():
                records.append(b"\n".join(data))
            data = []
        elif line == b"data" or line.startswith(b"data:"):
            value = line[5:]
            data.append(value[1:] if value[:1] == b" " else value)
            if len(b"\n".join(data)) > CAP:
                return records, True, False
        line = b""
    return records, len(mark + line) > CAP + 6 + 3, False


def of_parts(*parts: bytes) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(parts), max_size=30).map(b"".join)


CASES: list[tuple[Reader, Callable[[bytes], Found], st.SearchStrategy[bytes]]] = [
    (Lines, lines, of_parts(b"\n", b"\r", b"\r\n", b" ", b"{}", b"xxxxx", b"\xc3", b"\x00")),
    (
        ServerSentEvents,
        server_sent_events,
        of_parts(b"\n", b"\r", b"\r\n", b"\n\n", b"data:", b"data", b" ", b":", b"id: 7", b"xxxx",
                 b"\xef\xbb\xbf", b"{", b"}"),
    ),
    (
        Envelopes,
        envelopes,
        of_parts(b"\x00", b"\x00\x00\x00\x00\x02{}", b"\x02\x00\x00\x00\x02{}", b"\x02", b"\x01",
                 b"\x00\x00\x00\x00\x0c" + b"y" * 12, b"\x00\x00\x00\x00\x0d", b"{}", b"\x80",
                 b"\x02\x00\x00\x00\x05error"),
    ),
]  # fmt: skip


def read(reader: Lines | Envelopes | ServerSentEvents, pieces: Sequence[bytes]) -> Found:
    records = [record for piece in pieces for record in reader.feed(piece)]
    return records, reader.fault is not None, reader.ended


@pytest.mark.parametrize(("reader_type", "reference", "bodies"), CASES)
@given(data=st.data())
@settings(max_examples=200)
def test_whatever_comes_and_however_it_is_cut(
    reader_type: Reader,
    reference: Callable[[bytes], Found],
    bodies: st.SearchStrategy[bytes],
    data: st.DataObject,
) -> None:
    body = data.draw(bodies)
    expected = reference(body)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    assert read(reader_type(CAP), pieces) == expected
    assert read(reader_type(CAP), [bytes([byte]) for byte in body]) == expected
