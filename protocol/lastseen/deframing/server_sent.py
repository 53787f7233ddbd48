"""Server-sent events: `data:` lines up to a blank one make a record (WHATWG HTML §9.2).

Lines end with LF, CRLF or CR, wherever the bytes are cut; comments and other fields mean nothing,
and neither does an event whose data is blank.
"""

from collections.abc import Sequence
from typing import Final, final

import attrs

from lastseen.deframing.pending import Pending

__all__ = ["ServerSentEvents"]

_MARK: Final = b"\xef\xbb\xbf"
_DATA: Final = b"data"
_FIELD_BYTES: Final = len(b"data: ")


@final
@attrs.define(eq=False, repr=False)
class ServerSentEvents:
    r"""An event that no blank line has ended is no record.

    >>> reader = ServerSentEvents(record_bytes_max=100)
    >>> reader.feed(b"id: 1\ndata: {\ndata:}\n\n: quiet\n\n")
    [b'{\n}']
    """

    record_bytes_max: int
    """No line may be longer either, the name of its field aside."""
    fault: str | None = attrs.field(init=False, default=None)
    ended: bool = attrs.field(init=False, default=False)
    """Never: an event stream has no last event."""
    _pending: Pending = attrs.field(init=False, factory=Pending)
    _data: Pending = attrs.field(init=False, factory=Pending)
    """The data of the event so far, each line of it with an LF."""
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
        if lines and self._pending.size:
            self._pending.put(lines[0])
            lines[0] = self._pending.take()
        self._pending.put(rest)
        records = self._read(lines)
        if self._pending.size > self.record_bytes_max + _FIELD_BYTES + len(_MARK):
            self._give_up()
        return records

    def _read(self, lines: Sequence[bytes]) -> list[bytes]:
        records: list[bytes] = []
        line_bytes_max, pending = self.record_bytes_max + _FIELD_BYTES, self._data
        for line in lines:
            if not self._begun:
                self._begun = True
                line = line.removeprefix(_MARK)
            if not line:
                if pending.size and (record := pending.take()[:-1]).strip():
                    records.append(record)
                continue
            if len(line) > line_bytes_max:
                self._give_up()
                break
            name, _, value = line.partition(b":")
            if name != _DATA:
                continue
            pending.put(value.removeprefix(b" "))
            pending.put(b"\n")
            if pending.size > self.record_bytes_max + 1:
                self._give_up()
                break
        return records

    def _give_up(self) -> None:
        self._pending.take()
        self._data.take()
        self.fault = f"a record of more than {self.record_bytes_max} bytes"
