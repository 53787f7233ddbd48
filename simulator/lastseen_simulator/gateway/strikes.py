"""What each kind of fault does when its place is reached."""

from typing import Any, Final, Protocol

import attrs
import msgspec

from lastseen_simulator.faults import KINDS, VIOLATIONS, Fault
from lastseen_simulator.gateway.alarms import Timer
from lastseen_simulator.gateway.connections import Connection
from lastseen_simulator.gateway.delivery import Delivery
from lastseen_simulator.gateway.effects import HttpResponse, ListenerMode, TransmitRaw

__all__ = [
    "Service",
    "changed_response",
    "concerns_response",
    "concerns_service",
    "strike_connection",
    "strike_service",
]

REORDER_PATIENCE_S: Final = 2.0
"""How long a frame waits to be overtaken before it is sent after all."""

STALL_S: Final = 5.0
REFUSE_S: Final = 2.0
"""Default lengths: long enough to be noticed, short enough to watch."""

_SERVICE_KINDS: Final = ("restart", "refuse", "accept_then_close", "clock_step")


class Service(Protocol):
    """What a fault may ask of the gateway as a whole."""

    def restart(self, *, announce: bool, now: float) -> None:
        """Starts a new epoch, with or without notice."""
        ...

    def begin_epoch(self, cause: str, *, now: float) -> None:
        """Starts a new epoch that nobody is told about."""
        ...

    def notice_reconnect(
        self, *, connection: int | None, reason: str, grace_s: float, now: float
    ) -> None:
        """Tells one connection, or all, to move."""
        ...

    def require_snapshot(
        self, connection: Connection, reason: str, channels: tuple[str, ...], now: float
    ) -> None:
        """Sends `snapshot_required`."""
        ...

    def set_listener(self, mode: ListenerMode, seconds: float, *, now: float) -> None:
        """Switches the listener for a while."""
        ...

    def step_clock(self, offset_ms: int) -> None:
        """Steps the wall clock."""
        ...

    def wake(self, timer: Timer, at: float, connection: Connection) -> None:
        """Sets an alarm for a connection."""
        ...

    @property
    def default_grace_s(self) -> float:
        """Seconds between `reconnect` and the close."""
        ...


def concerns_service(fault: Fault) -> bool:
    """Whether the fault strikes the gateway rather than one connection."""
    return fault.kind in _SERVICE_KINDS


def concerns_response(fault: Fault) -> bool:
    """Whether the fault changes the answer to a request."""
    if fault.position.scene != "request":
        return False
    return KINDS[fault.kind].target in ("request", "both")


def strike_service(fault: Fault, service: Service, *, now: float) -> str:
    """Performs a fault of the gateway as a whole; returns what it did."""
    match fault.kind:
        case "restart" if fault.how == "silent":
            service.begin_epoch("silent", now=now)
            return "new epoch, nobody told"
        case "restart" if fault.how == "notice":
            grace_s = service.default_grace_s if fault.grace_s is None else fault.grace_s
            service.notice_reconnect(
                connection=None, reason="server_upgrade", grace_s=grace_s, now=now
            )
            return f"new epoch, {grace_s:g} s notice"
        case "restart":
            service.restart(announce=False, now=now)
            return "new epoch, everybody dropped"
        case "clock_step":
            offset_ms = fault.offset_ms or 0
            service.step_clock(offset_ms)
            return f"wall clock {offset_ms:+d} ms"
        case _:
            seconds = REFUSE_S if fault.seconds is None else fault.seconds
            mode: ListenerMode = "refuse" if fault.kind == "refuse" else "accept_then_close"
            service.set_listener(mode, seconds, now=now)
            return f"{mode} for {seconds:g} s"


def strike_connection(
    fault: Fault, connection: Connection, service: Service, delivery: Delivery, *, now: float
) -> str | None:
    """Performs a fault of one connection; returns what it did, None when it is yet to happen."""
    match fault.kind:
        case "drop" | "reset":
            delivery.abort(connection, reset=fault.kind == "reset", now=now)
            return "RST" if fault.kind == "reset" else "FIN"
        case "half_open":
            delivery.mute(connection)
            return "silent from here on"
        case "stall":
            seconds = STALL_S if fault.seconds is None else fault.seconds
            delivery.stall(connection, stalled=True)
            service.wake(Timer.STALL_ENDS, now + seconds, connection)
            return f"stalled for {seconds:g} s"
        case "close" | "clean_close_after_login":
            code = fault.code if isinstance(fault.code, int) else 1000
            delivery.close(connection, code, fault.reason or "", now=now)
            return f"closed with {code}"
        case "reconnect" | "reconnect_after_login":
            grace_s = service.default_grace_s if fault.grace_s is None else fault.grace_s
            service.notice_reconnect(
                connection=connection.number,
                reason=fault.reason or "server_upgrade",
                grace_s=grace_s,
                now=now,
            )
            return f"reconnect, {grace_s:g} s grace"
        case "reorder":
            service.wake(Timer.REORDER_ENDS, now + REORDER_PATIENCE_S, connection)
            return None
        case "backpressure" | "snapshot_required":
            return _require_snapshot(fault, connection, service, delivery, now)
        case _:
            return _send_odd(fault, connection, delivery, now)


def _require_snapshot(
    fault: Fault, connection: Connection, service: Service, delivery: Delivery, now: float
) -> str:
    if fault.text is not None:
        delivery.odd(connection, fault.text, "snapshot_required", now=now)
        return "snapshot_required in an odd shape"
    reason = fault.reason or "client_backpressure"
    channels = fault.channels
    if channels is None:
        channels = () if connection.login is None else connection.login.subscription.channels
    service.require_snapshot(connection, reason, channels, now)
    return f"{reason} for {', '.join(channels) or 'no channel'}"


def _send_odd(fault: Fault, connection: Connection, delivery: Delivery, now: float) -> str:
    if fault.kind == "oversize":
        size = fault.size_bytes or 0
        shell = '{"type":"padding","padding":""}'
        padding = "x" * (size - len(shell))
        delivery.odd(connection, f"{shell[:-2]}{padding}{shell[-2:]}", "oversize", now=now)
        return f"sent {max(size, len(shell))} bytes"
    if fault.kind == "send" and fault.text is not None:
        delivery.odd(connection, fault.text, "text", now=now)
        return f"sent {len(fault.text)} characters"
    data = bytes.fromhex(fault.data_hex or "")
    if fault.kind == "send":
        delivery.odd(connection, data, "bytes", now=now)
        return f"sent {len(data)} bytes"
    data = VIOLATIONS[fault.violation] if fault.violation is not None else data
    delivery.effects.append(TransmitRaw(connection=connection.number, data=data))
    return f"put {len(data)} raw bytes on the stream"


_STATUS_CODES: Final = {
    400: "invalid_filters",
    401: "invalid_api_key",
    403: "channel_not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    422: "validation_error",
    429: "rate_limited",
    503: "rate_limiter_error",
}

_PAGE: Final = b"<!doctype html><title>Just a moment</title><p>Checking your browser.</p>\n"


def changed_response(fault: Fault, response: HttpResponse, path: str) -> tuple[HttpResponse, str]:
    """The answer a REST fault makes of an answer, and what it did."""
    match fault.kind:
        case "status":
            return _status(fault, path), f"answered {fault.status}"
        case "truncate":
            size = len(response.body)
            cut_at = size // 2 if fault.cut_at is None else min(fault.cut_at, size)
            return attrs.evolve(response, cut_at=cut_at), f"cut after {cut_at} of {size} bytes"
        case "stall":
            return attrs.evolve(response, stall=True), "head only"
        case "empty":
            return attrs.evolve(response, status=200, body=b"[]"), "answered []"
        case _:
            headers = (("Content-Type", "text/html; charset=utf-8"),)
            return HttpResponse(status=200, headers=headers, body=_PAGE), "answered HTML"


def _status(fault: Fault, path: str) -> HttpResponse:
    status = fault.status or 503
    code = fault.code or _STATUS_CODES.get(status, "error")
    members: dict[str, Any] = {
        "error": status,
        "message": fault.message or str(code).replace("_", " "),
        "code": code,
    }
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    if fault.retry_after_s is not None:
        headers.append(("Retry-After", str(fault.retry_after_s)))
    if status == 429:
        members |= {"limit": 0, "windowSec": 1, "retryAfterSec": fault.retry_after_s or 1}
        members |= {"endpoint": path, "method": "GET"}
    return HttpResponse(status=status, headers=tuple(headers), body=msgspec.json.encode(members))
