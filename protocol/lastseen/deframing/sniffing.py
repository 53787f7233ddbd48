"""Which framing a body has: what its content type says, unless its first bytes say otherwise."""

from collections.abc import Sequence
from typing import Final, final

import attrs

from lastseen.deframing.envelopes import Envelopes
from lastseen.deframing.lines import Lines
from lastseen.deframing.server_sent import ServerSentEvents

__all__ = ["Deframer"]

_Framing = type[Lines] | type[Envelopes] | type[ServerSentEvents]

_BY_TYPE: Final[dict[str, _Framing]] = {
    "application/connect+json": Envelopes,
    "text/event-stream": ServerSentEvents,
}
"""Everything else is lines (`facts/polymarket_us.md` §0)."""

_BY_BYTE: Final[dict[int, _Framing]] = {
    **dict.fromkeys((0x00, 0x01, 0x02, 0x03), Envelopes),
    **dict.fromkeys(b'{["', Lines),
    **dict.fromkeys(b":deir", ServerSentEvents),
}
"""What a first byte gives away: an envelope's flags, JSON, a comment, a field's name.

A byte order mark gives nothing away: it belongs to an event stream, and to no JSON (HZ-J9).
"""

_BLANKS: Final = b"\r\n\t "


@final
@attrs.define(eq=False, repr=False)
class Deframer:
    r"""The reader of one body; it decides at the first byte that is not blank.

    >>> liar = Deframer(content_type="text/event-stream", record_bytes_max=100)
    >>> liar.feed(b'{"a":1}\n'), liar.mistaken
    ([b'{"a":1}'], True)
    """

    content_type: str | None
    record_bytes_max: int
    mistaken: bool = attrs.field(init=False, default=False)
    """The content type says something else than the bytes do."""
    _reader: Lines | Envelopes | ServerSentEvents | None = attrs.field(init=False, default=None)

    @property
    def fault(self) -> str | None:
        """Why nothing more can be read."""
        return self._reader.fault if self._reader is not None else None

    @property
    def ended(self) -> bool:
        """The peer said that the stream is over."""
        return self._reader is not None and self._reader.ended

    def feed(self, data: bytes) -> Sequence[bytes]:
        """The records that these bytes complete, without their framing."""
        if self._reader is None:
            # Blank lines before the first record mean nothing in any framing that has lines.
            data = data.lstrip(_BLANKS)
            if not data:
                return ()
            self._reader = self._framing(data[0])(record_bytes_max=self.record_bytes_max)
        return self._reader.feed(data)

    def _framing(self, first: int) -> _Framing:
        name = (self.content_type or "").partition(";")[0].strip().lower()
        declared = _BY_TYPE.get(name, Lines)
        seen = _BY_BYTE.get(first, declared)
        self.mistaken = seen is not declared
        return seen
