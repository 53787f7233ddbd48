"""Raw DEFLATE: one whole stream a frame, and never more out of it than allowed."""

import random
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastseen.dialects.polynode.inflate import (
    InflateLimits,
    Oversized,
    Undecodable,
    deflate,
    inflate,
)
from lastseen.errors import ConfigurationError

EVENT = b'{"type":"settlement","timestamp":1790000001000,"data":{}}' * 20


@given(st.binary(max_size=2000))
def test_what_was_deflated_comes_out_again(event: bytes) -> None:
    assert inflate(deflate(event)) == event


def test_there_is_no_header_and_no_checksum() -> None:
    """Facts 4: the name of the parameter misleads."""
    assert zlib.decompress(deflate(EVENT), -15) == EVENT
    with pytest.raises(zlib.error):
        zlib.decompress(deflate(EVENT))


@pytest.mark.parametrize("level", range(10))
def test_zlibs_own_format_is_named_as_what_it_is(level: int) -> None:
    assert inflate(zlib.compress(EVENT, level)) == Undecodable(
        detail="a zlib header where raw deflate is due"
    )


@pytest.mark.parametrize(
    "frame", [b"\xff", b"\x07", b"\x07\x06", b"{}", EVENT, b"\x78", b"\x78\x9d\x00\x00"]
)
def test_what_is_no_deflate_stream_at_all(frame: bytes) -> None:
    judged = inflate(frame)

    assert isinstance(judged, Undecodable)
    assert "zlib header" not in judged.detail


def test_every_truncation_is_noticed() -> None:
    deflated = deflate(EVENT)
    for length in range(len(deflated)):
        assert inflate(deflated[:length]) == Undecodable(detail="truncated deflate stream")


def test_an_empty_frame_is_truncated_and_an_empty_stream_is_empty() -> None:
    assert inflate(b"") == Undecodable(detail="truncated deflate stream")
    assert inflate(deflate(b"")) == b""


@pytest.mark.parametrize("tail", [b"\x00", b"tail", deflate(EVENT)])
def test_bytes_behind_the_stream_are_noticed(tail: bytes) -> None:
    assert inflate(deflate(EVENT) + tail) == Undecodable(detail="bytes behind the deflate stream")


# Limits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "deflated_bytes", "limit"),
    [
        ({}, 0, 64 << 10),
        ({}, 327, 64 << 10),
        ({}, 328, 65_600),
        ({}, 10_000, 2_000_000),
        ({}, 52_429, 10 << 20),
        ({}, 10 << 20, 10 << 20),
        ({"bytes_max": 1000}, 10_000, 1000),
        ({"ratio_from": 10, "ratio_max": 2}, 100, 200),
        ({"ratio_from": 10, "ratio_max": 2}, 1, 10),
    ],
)
def test_the_smaller_of_the_two_caps_holds(
    options: dict[str, int], deflated_bytes: int, limit: int
) -> None:
    assert InflateLimits(**options).of(deflated_bytes) == limit


@pytest.mark.parametrize(
    "options", [{"bytes_max": 1000}, {"ratio_from": 1000, "ratio_max": 1}, {"ratio_from": 1000}]
)
def test_a_frame_may_be_as_large_as_the_limit_and_no_larger(options: dict[str, Any]) -> None:
    """HZ-J12."""
    limits = InflateLimits(**{"ratio_max": 1, **options})
    fits, too_large = deflate(b"a" * 1000), deflate(b"a" * 1001)

    assert inflate(fits, limits) == b"a" * 1000
    assert inflate(too_large, limits) == Oversized(limit_bytes=1000)


def test_a_bomb_by_ratio_is_stopped_far_below_the_absolute_cap() -> None:
    bomb = deflate(b"\0" * (5 << 20))

    assert len(bomb) < 6000
    assert inflate(bomb) == Oversized(limit_bytes=200 * len(bomb))


def test_a_bomb_of_many_blocks_is_stopped_too() -> None:
    """The same when the sender flushes on the way, so that no single block is remarkable."""
    stream = zlib.compressobj(wbits=-15)
    pieces = [
        stream.compress(b"\0" * 100_000) + stream.flush(zlib.Z_FULL_FLUSH) for _ in range(300)
    ]
    bomb = b"".join(pieces) + stream.flush()

    assert type(inflate(bomb)) is Oversized


def test_an_absolute_bomb_is_stopped_whatever_its_ratio() -> None:
    noise = random.Random(1).randbytes(11 << 20)
    limit = InflateLimits().bytes_max

    assert inflate(deflate(noise)) == Oversized(limit_bytes=limit)


def test_a_bomb_takes_no_more_memory_than_its_limit_allows() -> None:
    bomb = deflate(b"\0" * (50 << 20))
    tracemalloc.start()
    try:
        inflate(bomb, InflateLimits(bytes_max=1 << 20))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 << 20


@pytest.mark.parametrize("name", ["bytes_max", "ratio_max", "ratio_from"])
def test_limits_that_cannot_work_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be above 0"):
        InflateLimits(**{name: 0})


@given(st.binary(max_size=200) | st.binary(max_size=60).map(deflate), st.binary(max_size=4))
def test_any_bytes_are_judged(frame: bytes, tail: bytes) -> None:
    judged = inflate(frame + tail)

    assert isinstance(judged, bytes | Oversized | Undecodable)
