"""What faults do to one stream, beside what they do to any connection."""

from collections.abc import Callable, Mapping
from typing import Final

import attrs

from lastseen_simulator.delivery import Delivery
from lastseen_simulator.effects import TransmitRaw
from lastseen_simulator.faults import Fault
from lastseen_simulator.lines import Line
from lastseen_simulator.polymarket_us.connections import Connection
from lastseen_simulator.polymarket_us.sessions import ENDED, UNAVAILABLE, Sessions
from lastseen_simulator.polymarket_us.spoiling import padding

__all__ = ["Misbehaviour"]

SILENCE_S: Final = 400.0
"""Default length of a silence: longer than anybody should wait (§6)."""

_GARBAGE: Final = b"<html>502 Bad Gateway</html>\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"


@attrs.define(eq=False)
class Misbehaviour:
    """Strikes one stream at a time; `sessions` is handed in later, for it knows the strikes."""

    delivery: Delivery
    connections: Mapping[int, Connection]
    sessions: Sessions = attrs.field(init=False)

    def kinds(self) -> Mapping[str, Callable[[Fault, Line, float], str | None]]:
        """By the kind of fault."""
        return {
            "silence_heartbeat": self._silence,
            "error": self._error,
            "old_snapshot": self._old_snapshot,
            "end": self._end,
            "garbage": self._garbage,
            "send": self._send,
            "oversize": self._oversize,
        }

    def _silence(self, fault: Fault, line: Line, now: float) -> str:
        seconds = SILENCE_S if fault.seconds is None else fault.seconds
        self.connections[line.number].silent_until = now + seconds
        return f"no heartbeat for {seconds:g} s"

    def _error(self, fault: Fault, line: Line, now: float) -> str:
        code = fault.code if isinstance(fault.code, int) else UNAVAILABLE
        message = fault.message or "unavailable"
        self.sessions.error(self.connections[line.number], code, message, now=now)
        return f"error {code}"

    def _old_snapshot(self, _: Fault, line: Line, now: float) -> str | None:
        connection = self.connections[line.number]
        if not connection.snapshots:
            return None
        data = self.sessions.wire.framed(connection.asked, connection.snapshots[0])
        self.delivery.odd(line, data, "old snapshot", now=now)
        return "sent an older snapshot once more"

    def _end(self, fault: Fault, line: Line, now: float) -> str:
        # Inside a record nothing can be said any more: the body just ends.
        if fault.how == "bare" or fault.position.side == "inside":
            self.delivery.close(line, ENDED, "ended", now=now)
            return "ended the body"
        self.sessions.end(self.connections[line.number], "ended", now=now)
        return "ended well"

    def _garbage(self, fault: Fault, line: Line, now: float) -> str:
        garbage = bytes.fromhex(fault.data_hex) if fault.data_hex is not None else _GARBAGE
        if fault.text is not None:
            garbage = fault.text.encode()
        end = self.sessions.wire.end(self.connections[line.number].asked)
        if end:
            self.delivery.odd(line, end, "end", now=now)
        self.delivery.effects.append(
            TransmitRaw(connection=line.number, data=_LAST_CHUNK + garbage)
        )
        self.delivery.abort(line, reset=False, now=now)
        return f"put {len(garbage)} bytes after the end of the body"

    def _send(self, fault: Fault, line: Line, now: float) -> str:
        if fault.text is None:
            data = bytes.fromhex(fault.data_hex or "")
            self.delivery.odd(line, data, "bytes", now=now)
            return f"put {len(data)} bytes into the body"
        record = fault.text.encode()
        data = self.sessions.wire.framed(self.connections[line.number].asked, record)
        self.delivery.odd(line, data, "text", now=now)
        return f"sent a record of {len(record)} bytes"

    def _oversize(self, fault: Fault, line: Line, now: float) -> str:
        record = padding(fault.size_bytes or 0)
        data = self.sessions.wire.framed(self.connections[line.number].asked, record)
        self.delivery.odd(line, data, "oversize", now=now)
        return f"sent a record of {len(record)} bytes"
