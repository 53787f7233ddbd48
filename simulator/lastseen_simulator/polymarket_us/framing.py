"""Records in a body: one a line, in Connect's envelopes, or as server-sent events (§0)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["COMPRESSED", "CONTENT_TYPES", "Framing", "framed", "framing_for", "reframed"]

Framing = Literal["lines", "connect", "sse"]

CONTENT_TYPES: Final[Mapping[Framing, str]] = MappingProxyType(
    {
        "lines": "application/json",
        "connect": "application/connect+json",
        "sse": "text/event-stream",
    }
)

COMPRESSED: Final = 0x01
END: Final = 0x02
"""The flags of an envelope."""

_PREFIX_BYTES: Final = 5
_DATA: Final = b"data: "


def framing_for(accept: str, default: Framing) -> Framing:
    """What `Accept` asks for; the default where it asks for nothing in particular."""
    for framing in ("connect", "sse"):
        if CONTENT_TYPES[framing] in accept.lower():
            return framing
    return default


def framed(record: bytes, framing: Framing, *, flags: int = 0, line_end: bytes = b"\n") -> bytes:
    r"""A record as the body has it; `flags` are Connect's.

    >>> framed(b"{}", "lines"), framed(b"{}", "connect", flags=2), framed(b"{}", "sse")
    (b'{}\n', b'\x02\x00\x00\x00\x02{}', b'data: {}\n\n')
    """
    match framing:
        case "lines":
            return record + line_end
        case "sse":
            return _DATA + record + line_end * 2
        case "connect":
            return bytes([flags]) + len(record).to_bytes(4, "big") + record


def reframed(data: bytes, change: Callable[[bytes], bytes], *, flag: int = 0) -> bytes:
    r"""The same frame with another record in it, however it is framed.

    Only for what `framed` has made: a record begins with neither a flag nor `data`.

    >>> reframed(b"data: {}\r\n\r\n", lambda record: b"[]")
    b'data: []\r\n\r\n'
    """
    if data[:1] in (b"\x00", b"\x01", b"\x02"):
        return framed(change(data[_PREFIX_BYTES:]), "connect", flags=data[0] | flag)
    head = _DATA if data.startswith(_DATA) else b""
    record = data.removeprefix(head).rstrip(b"\r\n")
    return head + change(record) + data[len(head) + len(record) :]
