"""Newline-delimited records: one a line, LF or CRLF, blank lines mean nothing."""

from collections.abc import Sequence
from typing import Final, final

import attrs

from lastseen.deframing.pending import Pending

__all__ = ["Lines"]

_BLANKS: Final = b"\r \t"


@final
@attrs.define(eq=False, repr=False)
class Lines:
    r"""What a body ends with after its last line end is no record: it may have been cut.

    >>> reader = Lines(record_bytes_max=100)
    >>> reader.feed(b'{"a":1}\r\n\n{"b"'), reader.feed(b":2}\n")
    ([b'{"a":1}'], [b'{"b":2}'])
    """

    record_bytes_max: int
    """What a line may have, its end aside but with its blanks."""
    fault: str | None = attrs.field(init=False, default=None)
    ended: bool = attrs.field(init=False, default=False)
    """Never: lines have no last one."""
    _pending: Pending = attrs.field(init=False, factory=Pending)

    def feed(self, data: bytes) -> Sequence[bytes]:
        """The records that these bytes complete."""
        if self.fault is not None:
            return ()
        *lines, rest = data.split(b"\n")
        if lines and self._pending.size:
            self._pending.put(lines[0])
            lines[0] = self._pending.take()
        self._pending.put(rest)
        if lines and len(max(lines, key=len)) > self.record_bytes_max:
            lines = self._up_to_fault(lines)
        if self._pending.size > self.record_bytes_max + 1:
            # One more than that may be the CR of a line end.
            self._give_up()
        return [record for line in lines if (record := line.strip(_BLANKS))]

    def _up_to_fault(self, lines: list[bytes]) -> list[bytes]:
        for index, line in enumerate(lines):
            if len(line) - line.endswith(b"\r") > self.record_bytes_max:
                self._give_up()
                return lines[:index]
        return lines

    def _give_up(self) -> None:
        self._pending.take()
        self.fault = f"a record of more than {self.record_bytes_max} bytes"
