"""Connect's envelopes: a flag byte, a length of four bytes, and so many bytes (`facts` §0).

The last envelope says whether the stream has ended well; a body that stops without it was cut.
"""

from collections.abc import Sequence
from typing import Any, Final, final

import attrs
import msgspec

from lastseen.deframing.pending import Pending

__all__ = ["Envelopes"]

_HEAD_BYTES: Final = 5
_COMPRESSED: Final = 0x01
_END: Final = 0x02


class _Trailer(msgspec.Struct):
    error: Any = None


_trailer = msgspec.json.Decoder(_Trailer).decode


@final
@attrs.define(eq=False, repr=False)
class Envelopes:
    r"""The end is given out as a record when it says what went wrong, and only then.

    >>> reader = Envelopes(record_bytes_max=100)
    >>> reader.feed(b"\x00\x00\x00\x00\x02{}\x02\x00\x00\x00\x02{}"), reader.ended
    ([b'{}'], True)
    """

    record_bytes_max: int
    fault: str | None = attrs.field(init=False, default=None)
    ended: bool = attrs.field(init=False, default=False)
    _pending: Pending = attrs.field(init=False, factory=Pending)
    _needed: int = attrs.field(init=False, default=_HEAD_BYTES)
    """How many bytes there have to be before it is worth looking at them again."""

    def feed(self, data: bytes) -> Sequence[bytes]:
        """The records that these bytes complete; what comes after the end means nothing."""
        if self.fault is not None or self.ended:
            return ()
        if self._pending.size:
            self._pending.put(data)
            if self._pending.size < self._needed:
                return ()
            data = self._pending.take()
        records: list[bytes] = []
        at, size = 0, len(data)
        while (start := at + _HEAD_BYTES) <= size:
            flags = data[at]
            length = int.from_bytes(data[at + 1 : start], "big")
            if (fault := self._fault_of(flags, length)) is not None:
                self.fault = fault
                return records
            end = start + length
            if end > size:
                break
            record = data[start:end]
            at = end
            if flags & _END:
                self.ended = True
                if _has_error(record):
                    records.append(record)
                return records
            records.append(record)
        self._keep(data[at:])
        return records

    def _keep(self, rest: bytes) -> None:
        self._pending.put(rest)
        self._needed = _HEAD_BYTES
        if len(rest) >= _HEAD_BYTES:
            self._needed += int.from_bytes(rest[1:_HEAD_BYTES], "big")

    def _fault_of(self, flags: int, length: int) -> str | None:
        if flags & _COMPRESSED:
            return "a compressed envelope, which was not asked for"
        if flags & ~_END:
            return f"an envelope with unknown flags {flags:#04x}"
        if length > self.record_bytes_max:
            return f"a record of more than {self.record_bytes_max} bytes"
        return None


def _has_error(record: bytes) -> bool:
    """Whether the end tells of an error; one that cannot be read may."""
    if not record:
        return False
    try:
        return _trailer(record).error is not None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return True
