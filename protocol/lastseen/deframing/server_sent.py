"""Server-sent events: `data:` lines up to a blank one make a record (WHATWG HTML §9.2).

Lines end with LF, CRLF or CR, wherever the bytes are cut; comments and other fields mean nothing.
"""

from collections.abc import Sequence
from typing import Final, final

import attrs

from lastseen.deframing.pending import Pending

__all__ = ["ServerSentEvents"]

_MARK: Final = b"\xef\xbb\xbf"
_DATA: Final = b"data"


@final
@attrs.define(eq=False, repr=False)
class ServerSentEvents:
    r"""An event that no blank line has ended is no record.

    >>> reader = ServerSentEvents(record_bytes_max=100)
    >>> reader.feed(b"id: 1\ndata: {\ndata:}\n\n: quiet\n\n")
    [b'{\n}']
    """

    record_bytes_max: int
    fault: str | None = attrs.field(init=False, default=None)
    ended: bool = attrs.field(init=False, default=False)
    """Never: an event stream has no last event."""
    _pending: Pending = attrs.field(init=False, factory=Pending)
    _data: list[bytes] = attrs.field(init=False, factory=list[bytes])
    _size: int = attrs.field(init=False, default=0)
    _after_cr: bool = attrs.field(init=False, default=False)
    """The last byte was a CR: an LF now belongs to it."""
    _begun: bool = attrs.field(init=False, default=False)

    def feed(self, data: bytes) -> Sequence[bytes]:
        """The records that these bytes complete."""
        if self.fault is not None or not data:
            return ()
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
            if not data:
                return ()
        self._after_cr = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = self._pending.take() + lines[0]
        self._pending.put(rest)
        records = self._read(lines)
        if self._pending.size + self._size > self.record_bytes_max + len(_DATA) + 2:
            self.fault = f"a record of more than {self.record_bytes_max} bytes"
        return records

    def _read(self, lines: Sequence[bytes]) -> list[bytes]:
        records: list[bytes] = []
        for line in lines:
            if not self._begun:
                self._begun = True
                line = line.removeprefix(_MARK)
            if not line:
                if self._data:
                    records.append(b"\n".join(self._data))
                self._data = []
                self._size = 0
                continue
            name, _, value = line.partition(b":")
            if name != _DATA:
                continue
            self._data.append(value.removeprefix(b" "))
            self._size += len(self._data[-1]) + 1
            if self._size > self.record_bytes_max + 1:
                self.fault = f"a record of more than {self.record_bytes_max} bytes"
                break
        return records
