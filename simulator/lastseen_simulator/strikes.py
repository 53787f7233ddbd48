"""What placed faults do when their place is reached, as far as every gateway can do it.

A dialect adds its own kinds as two tables: those that strike the gateway as a whole, and those that
strike one connection.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

from lastseen_simulator.alarms import Alarm, Alarms, Rhythm, Timer
from lastseen_simulator.delivery import Delivery
from lastseen_simulator.effects import (
    HttpResponse,
    ListenerMode,
    RefuseConnections,
    TransmitRaw,
)
from lastseen_simulator.fault_kinds import CHUNK_VIOLATIONS
from lastseen_simulator.faults import KINDS, VIOLATIONS, Fault, Receipt, check_dialect
from lastseen_simulator.lines import Line
from lastseen_simulator.mischief import Mischief, Placed

__all__ = ["StrikeAll", "StrikeOne", "Strikes", "concerns_response", "html_page"]

REORDER_PATIENCE_S: Final = 2.0
"""How long a frame waits to be overtaken before it is sent after all."""

STALL_S: Final = 5.0
REFUSE_S: Final = 2.0
"""Default lengths: long enough to be noticed, short enough to watch."""

_LISTENER_MODES: Final[Mapping[str, ListenerMode]] = {
    "refuse": "refuse",
    "accept_then_close": "accept_then_close",
}

StrikeAll = Callable[[Placed, float], str | None]
"""Strikes the gateway; says what it did, None when whoever strikes will say so later."""

StrikeOne = Callable[[Fault, Line, float], str | None]
"""Strikes one connection; says what it did, None when that is yet to happen."""


_PAGE: Final = b"<!doctype html><title>Just a moment</title><p>Checking your browser.</p>\n"


def concerns_response(fault: Fault) -> bool:
    """Whether the fault changes the answer to a request."""
    if fault.position.scene != "request":
        return False
    return KINDS[fault.kind].target in ("request", "both")


def html_page() -> HttpResponse:
    """What something in between answers that is no gateway."""
    headers = (("Content-Type", "text/html; charset=utf-8"),)
    return HttpResponse(status=200, headers=headers, body=_PAGE)


@attrs.define(eq=False)
class Strikes:
    """Places faults, performs them, and writes down what they did.

    `meant` are the connections of a fault that does not say which, or that says one by its number.
    """

    dialect: str
    mischief: Mischief
    delivery: Delivery
    alarms: Alarms
    meant: Callable[[Fault], Iterable[Line]]
    all_kinds: Mapping[str, StrikeAll]
    one_kinds: Mapping[str, StrikeOne]
    started_at: float | None = attrs.field(init=False, default=None)
    _listener_until: float = attrs.field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        switch = dict.fromkeys(_LISTENER_MODES, self._switch_listener)
        self.all_kinds = {**switch, **self.all_kinds}
        self.one_kinds = {
            "drop": self._abort,
            "reset": self._abort,
            "half_open": self._mute,
            "stall": self._stall,
            "close": self._close,
            "reorder": self._reorder,
            "oversize": self._oversize,
            "send": self._send,
            "raw": self._raw,
            **self.one_kinds,
        }

    def place(self, fault: Fault) -> int:
        """Places a fault and returns its number; raises `FaultError` for one of other dialects."""
        check_dialect(fault, self.dialect)
        return self.mischief.place(fault).number

    def receipts(self) -> tuple[Receipt, ...]:
        """What became of each fault, in the order of their numbers."""
        return self.mischief.receipts()

    def rhythm(self) -> Rhythm:
        """The faults that strike at a time of their own."""
        return Rhythm(timer=Timer.FAULT, next_at=self._next_at, happen=self._strike_by_time)

    def strike(self, placed: Placed, line: Line | None, now: float) -> None:
        """Performs a fault on its connection, or on all that are meant when it has none."""
        fault = placed.fault
        strike_all = self.all_kinds.get(fault.kind)
        if strike_all is not None:
            done = strike_all(placed, now)
            if done is not None:
                self.fired(placed, done, now)
            return
        strike_one = self.one_kinds[fault.kind]
        details = [
            f"connection {each.ordinal}: {detail}"
            for each in (list(self.meant(fault)) if line is None else [line])
            if not each.is_gone() and (detail := strike_one(fault, each, now)) is not None
        ]
        if details:
            self.fired(placed, "; ".join(details), now)
        elif fault.kind != "reorder":
            placed.miss("no connection to strike")

    def strike_each(self, strikes: Iterable[Placed], line: Line | None, now: float) -> None:
        """Performs several, in order."""
        for placed in strikes:
            self.strike(placed, line, now)

    def fired(self, placed: Placed, detail: str, now: float) -> None:
        """Writes down that a fault took effect."""
        placed.fire(detail, now=now)
        self.delivery.truth.write(
            "fault", now=now, fault=placed.number, fault_kind=placed.fault.kind, detail=detail
        )

    def ring(self, alarm: Alarm, line: Line | None, now: float) -> None:
        """Ends what a fault began for a while; other alarms are none of its business."""
        if alarm.timer is Timer.LISTENER and now >= self._listener_until:
            self.delivery.effects.append(RefuseConnections(mode="accept"))
        if line is None or line.is_gone():
            return
        if alarm.timer is Timer.STALL_ENDS:
            self.delivery.stall(line, stalled=False)
        elif alarm.timer is Timer.REORDER_ENDS:
            self.delivery.release(line, now=now)

    def _next_at(self) -> float | None:
        moment = self.mischief.next_moment()
        return None if moment is None or self.started_at is None else self.started_at + moment

    def _strike_by_time(self, now: float) -> None:
        elapsed_s = now - (self.started_at or 0.0)
        self.strike_each(self.mischief.at_moment(elapsed_s, now=now), None, now)

    def _switch_listener(self, placed: Placed, now: float) -> str:
        fault = placed.fault
        seconds = REFUSE_S if fault.seconds is None else fault.seconds
        mode = _LISTENER_MODES[fault.kind]
        self.delivery.effects.append(RefuseConnections(mode=mode))
        self._listener_until = max(self._listener_until, now + seconds)
        self.alarms.set(Timer.LISTENER, now + seconds)
        return f"{mode} for {seconds:g} s"

    def _abort(self, fault: Fault, line: Line, now: float) -> str:
        reset = fault.kind == "reset"
        self.delivery.abort(line, reset=reset, now=now)
        return "RST" if reset else "FIN"

    def _mute(self, _: Fault, line: Line, __: float) -> str:
        self.delivery.mute(line)
        return "silent from here on"

    def _stall(self, fault: Fault, line: Line, now: float) -> str:
        seconds = STALL_S if fault.seconds is None else fault.seconds
        self.delivery.stall(line, stalled=True)
        self.alarms.set(Timer.STALL_ENDS, now + seconds, connection=line.number)
        return f"stalled for {seconds:g} s"

    def _close(self, fault: Fault, line: Line, now: float) -> str:
        code = fault.code if isinstance(fault.code, int) else 1000
        self.delivery.close(line, code, fault.reason or "", now=now)
        return f"closed with {code}"

    def _reorder(self, _: Fault, line: Line, now: float) -> None:
        self.alarms.set(Timer.REORDER_ENDS, now + REORDER_PATIENCE_S, connection=line.number)

    def _oversize(self, fault: Fault, line: Line, now: float) -> str:
        size = fault.size_bytes or 0
        shell = '{"type":"padding","padding":""}'
        padding = "x" * (size - len(shell))
        self.delivery.odd(line, f"{shell[:-2]}{padding}{shell[-2:]}", "oversize", now=now)
        return f"sent {max(size, len(shell))} bytes"

    def _send(self, fault: Fault, line: Line, now: float) -> str:
        if fault.text is not None:
            self.delivery.odd(line, fault.text, "text", now=now)
            return f"sent {len(fault.text)} characters"
        data = bytes.fromhex(fault.data_hex or "")
        self.delivery.odd(line, data, "bytes", now=now)
        return f"sent {len(data)} bytes"

    def _raw(self, fault: Fault, line: Line, _: float) -> str:
        known = {**VIOLATIONS, **CHUNK_VIOLATIONS}
        named = fault.violation is not None
        data = known[fault.violation or ""] if named else bytes.fromhex(fault.data_hex or "")
        self.delivery.effects.append(TransmitRaw(connection=line.number, data=data))
        return f"put {len(data)} raw bytes on the stream"
