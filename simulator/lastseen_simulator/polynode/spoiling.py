"""Frames that a compressed stream should never have (§4)."""

import zlib
from collections.abc import Callable, Mapping
from typing import Final

from lastseen_simulator.faults import Fault
from lastseen_simulator.lines import Outgoing
from lastseen_simulator.polynode.events import Event, deflated

__all__ = ["REWRITES"]

BOMB_BYTES: Final = 16 << 20
"""Default size of a bomb: above any frame of the vendor's, small enough for a test."""

_CHUNK: Final = b" " * (64 << 10)


def _text_of(out: Outgoing) -> str:
    assert isinstance(out.entry, Event)
    return out.entry.text


def _malformed(_: Fault, out: Outgoing) -> tuple[str | bytes, str]:
    text = _text_of(out)
    half = text[: len(text) // 2]
    data = half if isinstance(out.data, str) else deflated(half)
    return data, f"sent {len(half)} of {len(text)} characters"


def _zlib_wrapped(_: Fault, out: Outgoing) -> tuple[str | bytes, str]:
    data = zlib.compress(_text_of(out).encode())
    return data, f"sent {len(data)} bytes with header and checksum"


def _truncated(_: Fault, out: Outgoing) -> tuple[str | bytes, str]:
    whole = deflated(_text_of(out))
    half = whole[: len(whole) // 2]
    return half, f"sent {len(half)} of {len(whole)} compressed bytes"


def _bomb(fault: Fault, out: Outgoing) -> tuple[str | bytes, str]:
    size = BOMB_BYTES if fault.size_bytes is None else fault.size_bytes
    data = _inflating_to(_text_of(out).encode(), size)
    return data, f"sent {len(data)} bytes that inflate to {size}"


def _inflating_to(text: bytes, size: int) -> bytes:
    """A text and blanks after it, compressed without ever being there as a whole."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [packer.compress(text)]
    missing = size - len(text)
    while missing > 0:
        parts.append(packer.compress(_CHUNK[:missing]))
        missing -= len(_CHUNK)
    return b"".join([*parts, packer.flush()])


REWRITES: Final[Mapping[str, Callable[[Fault, Outgoing], tuple[str | bytes, str]]]] = {
    "malformed": _malformed,
    "zlib_wrapped": _zlib_wrapped,
    "truncated_deflate": _truncated,
    "bomb": _bomb,
}
"""What faults make of a data frame, and in words."""
