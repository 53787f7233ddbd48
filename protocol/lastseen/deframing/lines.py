"""Newline-delimited records: one a line, LF or CRLF, blank lines mean nothing."""

from collections.abc import Sequence
from typing import final

import attrs

from lastseen.deframing.pending import Pending

__all__ = ["Lines"]


@final
@attrs.define(eq=False, repr=False)
class Lines:
    r"""What a body ends with after its last line end is no record: it may have been cut.

    >>> reader = Lines(record_bytes_max=100)
    >>> reader.feed(b'{"a":1}\r\n\n{"b"'), reader.feed(b":2}\n")
    ([b'{"a":1}'], [b'{"b":2}'])
    """

    record_bytes_max: int
    fault: str | None = attrs.field(init=False, default=None)
    ended: bool = attrs.field(init=False, default=False)
    """Never: lines have no last one."""
    _pending: Pending = attrs.field(init=False, factory=Pending)

    def feed(self, data: bytes) -> Sequence[bytes]:
        """The records that these bytes complete."""
        if self.fault is not None:
            return ()
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = self._pending.take() + lines[0]
        self._pending.put(rest)
        records = [line for line in (line.strip(b"\r \t") for line in lines) if line]
        for index, record in enumerate(records):
            if len(record) > self.record_bytes_max:
                self._give_up()
                return records[:index]
        if self._pending.size > self.record_bytes_max:
            self._give_up()
        return records

    def _give_up(self) -> None:
        self._pending.take()
        self.fault = f"a record of more than {self.record_bytes_max} bytes"
