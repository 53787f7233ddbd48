"""As much of OddsPapi's wire as a watch needs to know, read without the client's code."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

__all__ = ["BY_ENTITY", "PATHS", "STAMPED", "Frame", "Scope", "read_frame", "reaches"]

Scope = tuple[str, str | None]
"""Channel, and the fixture or future where a snapshot covers one of them only."""

BY_ENTITY: Final = ("odds", "bookmakers", "oddsFutures", "bookmakersFutures")
"""Channels whose snapshots come one fixture or future a request (`facts/oddspapi.md` §5)."""

PATHS: Final[Mapping[str, str]] = {
    "fixtures": "/fixtures",
    "scores": "/fixtures",
    "clocks": "/fixtures",
    "odds": "/fixtures/odds",
    "bookmakers": "/fixtures/odds",
    "futures": "/futures",
    "oddsFutures": "/futures/odds",
    "bookmakersFutures": "/futures/odds",
    "currencies": "/currencies",
}
"""Which request restores a channel (§5); channels that none restores are missing."""


STAMPED: Final = ("scores", "odds", "bookmakers", "oddsFutures", "bookmakersFutures", "currencies")
"""Channels whose units say when they were so (`facts/oddspapi.md` §6)."""


class Frame(msgspec.Struct):
    """The members that matter, whatever they are."""

    type: Any = None
    channel: Any = None
    entryId: Any = None  # noqa: N815 - the wire's spelling
    channels: Any = None
    reason: Any = None
    serverEpoch: Any = None  # noqa: N815
    resume: Any = None

    @property
    def is_entry(self) -> bool:
        """Whether it is data and no control."""
        return isinstance(self.channel, str) and self.type in ("UPDATE", None)


_text = msgspec.json.Decoder(Frame).decode
_binary = msgspec.msgpack.Decoder(Frame).decode


def read_frame(frame: str | bytes) -> Frame | None:
    """Reads a frame; None for what is none.

    >>> read_frame('{"type":"resume_complete","serverEpoch":"e1"}').type
    'resume_complete'
    """
    try:
        if isinstance(frame, str) or frame[:1] == b"{":
            return _text(frame)
        return _binary(frame)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def reaches(limit: str, entry_id: str) -> bool:
    """Whether both halves of an id are at or below those of another.

    >>> reaches("20-4", "20-4"), reaches("20-4", "19-5")
    (True, False)
    """
    try:
        high, low = (int(half) for half in limit.split("-"))
        ours, seq = (int(half) for half in entry_id.split("-"))
    except ValueError:
        return False
    return ours <= high and seq <= low
