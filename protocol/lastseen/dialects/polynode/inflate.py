"""Binary frames: one event each, raw DEFLATE without header or checksum (`facts` §4).

The parameter that asks for them is called `zlib`; zlib's own format is nevertheless not what is
sent. Every frame stands alone. What comes out is capped while it is inflated (HZ-J12).
"""

import zlib
from typing import Any, final

import attrs

from lastseen.errors import ConfigurationError

__all__ = ["InflateLimits", "Oversized", "Undecodable", "deflate", "inflate"]

_RAW = -15
"""Window bits for a bare stream."""

_ZLIB_METHOD = 0x78


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: int) -> None:
    if not value > 0:
        raise ConfigurationError(f"{attribute.name} must be above 0, not {value}")


@final
@attrs.frozen(kw_only=True)
class InflateLimits:
    """How much may come out of one frame, in bytes: the smaller of the two caps holds."""

    bytes_max: int = attrs.field(default=10 << 20, validator=_positive)
    """As large as a text frame may be."""
    ratio_max: int = attrs.field(default=200, validator=_positive)
    """To the deflated size; events shrink by 3 to 10."""
    ratio_from: int = attrs.field(default=64 << 10, validator=_positive)
    """Up to this size no ratio is a danger."""

    def of(self, deflated_bytes: int) -> int:
        """The most that a frame of this size may become."""
        return min(self.bytes_max, max(self.ratio_from, self.ratio_max * deflated_bytes))


@final
@attrs.frozen(kw_only=True)
class Oversized:
    """The frame would become larger than it may; close the connection with 1009."""

    limit_bytes: int


@final
@attrs.frozen(kw_only=True)
class Undecodable:
    """The frame is not one whole raw stream with nothing behind it."""

    detail: str


_LIMITS = InflateLimits()


def inflate(frame: bytes, limits: InflateLimits = _LIMITS) -> bytes | Oversized | Undecodable:
    """Inflates one frame, and never more of it than `limits` allow, plus one byte.

    >>> inflate(deflate(b'{"type":"pong"}'))
    b'{"type":"pong"}'
    """
    limit = limits.of(len(frame))
    stream = zlib.decompressobj(_RAW)
    try:
        inflated = stream.decompress(frame, limit + 1)
    except zlib.error:
        return Undecodable(detail=_explain(frame))
    if len(inflated) > limit:
        return Oversized(limit_bytes=limit)
    if not stream.eof:
        return Undecodable(detail="truncated deflate stream")
    if stream.unused_data:
        return Undecodable(detail="bytes behind the deflate stream")
    return inflated


def deflate(event: bytes) -> bytes:
    """What a sender makes of one event."""
    stream = zlib.compressobj(wbits=_RAW)
    return stream.compress(event) + stream.flush()


def _explain(frame: bytes) -> str:
    head = int.from_bytes(frame[:2], "big")
    if frame[:1] == bytes((_ZLIB_METHOD,)) and head % 31 == 0:
        return "a zlib header where raw deflate is due"
    return "no deflate stream"
