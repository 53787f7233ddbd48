"""Our chunk decoder says what h11 says, for any bytes and any cuts."""

import random
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen_trio.chunks import ChunkDecoder

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def theirs(pieces: list[bytes]) -> tuple[bytes, str]:
    """The body by h11, and how it stands: more, ended or broken."""
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    http.send(h11.EndOfMessage())
    body = b""
    try:
        for piece in (HEAD, *pieces):
            http.receive_data(piece)
            while True:
                event = http.next_event()
                if isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    return body, "ended"
                elif event is h11.NEED_DATA:
                    break
    except h11.RemoteProtocolError:
        return body, "broken"
    return body, "more"


def ours(pieces: list[bytes]) -> tuple[bytes, str]:
    decoder = ChunkDecoder()
    parts = [part for piece in pieces for part in decoder.feed(piece)]
    assert all(parts)
    standing = "broken" if decoder.fault else "ended" if decoder.ended else "more"
    assert not decoder.feed(b"5\r\nafter\r\n") or standing == "more"
    return b"".join(parts), standing


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x" % len(data) + extension + b"\r\n" + data + b"\r\n"


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({min(place, len(data)) for place in at})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if b > a]


bodies = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
extensions = st.sampled_from([b"", b";a=b", b" ", b'; x="y"', b"\t"])
trailers = st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC: d\r\n"])
cuts = st.lists(st.integers(0, 300), max_size=12)


@given(bodies, extensions, trailers, cuts)
def test_a_whole_body_is_read_alike_however_it_is_cut(
    chunks: list[bytes], extension: bytes, trailer: bytes, at: list[int]
) -> None:
    wire = b"".join(chunk(part, extension) for part in chunks) + b"0\r\n" + trailer + b"\r\n"
    assert ours(cut(wire, at)) == (b"".join(chunks), "ended") == theirs(cut(wire, at))


def test_every_single_cut() -> None:
    wire = chunk(b"hello", b";q") + chunk(b"\r\n0\r\n") + b"0\r\nA: b\r\n\r\n"
    for first in range(len(wire) + 1):
        for second in range(first, len(wire) + 1):
            pieces = [part for part in (wire[:first], wire[first:second], wire[second:]) if part]
            assert ours(pieces) == (b"hello\r\n0\r\n", "ended")


@settings(max_examples=600)
@given(bodies, cuts, st.integers(0, 400), st.binary(min_size=1, max_size=3), st.booleans())
def test_a_broken_body_is_never_believed_for_longer_than_h11_does(
    chunks: list[bytes], at: list[int], place: int, noise: bytes, inserted: bool
) -> None:
    wire = b"".join(map(chunk, chunks)) + b"0\r\n\r\n"
    place %= len(wire)
    broken = wire[:place] + noise + wire[place + (0 if inserted else len(noise)) :]
    mine, standing = ours(cut(broken, at))
    body, verdict = theirs(cut(broken, at))
    if standing == "ended":
        assert (mine, standing) == (body, verdict)
    else:
        # Of a body that is not whole no reader keeps the end, so only the start must agree.
        assert mine.startswith(body) or body.startswith(mine)
    if verdict == "ended":
        # Bare line feeds pass for the end of a line with h11 in some places, not here.
        assert standing == "ended" or b"\n" in noise or b"\r" in noise or b"0\r\n" in broken


@pytest.mark.parametrize(
    "wire",
    [
        b"5\r\nhelloX\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b"\r\n",
        b"5\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"G\r\n",
        b"5" * 21 + b"\r\n",
        b"1;" + b"x" * 5000,
        b"0\r\n" + b"A: b\r\n" * 1000,
        b"0\r\nnot a trailer\r\n\r\n",
    ],
)
def test_what_is_no_chunk_is_a_fault(wire: bytes) -> None:
    assert ours([wire])[1] == "broken"


def test_a_body_of_endless_size_is_taken_as_it_comes() -> None:
    decoder = ChunkDecoder()
    decoder.feed(b"f" * 16 + b"\r\n")
    for _ in range(100):
        assert decoder.feed(b"x" * 1000) == [b"x" * 1000]
    assert not decoder._rest


def test_any_bytes_at_all_return(tell: Any) -> None:
    rng = random.Random(7)
    for _ in range(2000):
        wire = bytes(rng.choice(b"0123aF;\r\n: x") for _ in range(rng.randrange(60)))
        ours(cut(wire, [rng.randrange(60) for _ in range(4)]))
    del tell
