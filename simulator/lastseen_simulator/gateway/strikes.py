"""What only this gateway's faults can do: to its epochs, and to the answers of REST."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import attrs
import msgspec

from lastseen_simulator.delivery import Delivery
from lastseen_simulator.effects import HttpResponse
from lastseen_simulator.faults import Fault
from lastseen_simulator.lines import Line
from lastseen_simulator.mischief import Placed
from lastseen_simulator.strikes import StrikeAll, StrikeOne, html_page

__all__ = ["EpochStrikes", "Service", "changed_response"]


class Service(Protocol):
    """What a fault may ask of the gateway."""

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
        self, connection: int, reason: str, channels: tuple[str, ...] | None, *, now: float
    ) -> tuple[str, ...]:
        """Sends `snapshot_required` for channels, or for all subscribed; returns which."""
        ...

    def step_clock(self, offset_ms: int) -> None:
        """Steps the wall clock."""
        ...

    @property
    def default_grace_s(self) -> float:
        """Seconds between `reconnect` and the close."""
        ...


@attrs.define(eq=False)
class EpochStrikes:
    """The kinds that this gateway adds to those every gateway knows."""

    service: Service
    delivery: Delivery

    def all_kinds(self) -> Mapping[str, StrikeAll]:
        """Those that strike the gateway as a whole."""
        return {"restart": self._restart, "clock_step": self._step_clock}

    def one_kinds(self) -> Mapping[str, StrikeOne]:
        """Those that strike one connection."""
        return {
            "clean_close_after_login": self._close,
            "reconnect": self._reconnect,
            "reconnect_after_login": self._reconnect,
            "backpressure": self._require_snapshot,
            "snapshot_required": self._require_snapshot,
        }

    def _restart(self, placed: Placed, now: float) -> str:
        match placed.fault.how:
            case "silent":
                self.service.begin_epoch("silent", now=now)
                return "new epoch, nobody told"
            case "notice":
                grace_s = self._grace_s(placed.fault)
                self.service.notice_reconnect(
                    connection=None, reason="server_upgrade", grace_s=grace_s, now=now
                )
                return f"new epoch, {grace_s:g} s notice"
            case _:
                self.service.restart(announce=False, now=now)
                return "new epoch, everybody dropped"

    def _step_clock(self, placed: Placed, _: float) -> str:
        offset_ms = placed.fault.offset_ms or 0
        self.service.step_clock(offset_ms)
        return f"wall clock {offset_ms:+d} ms"

    def _close(self, fault: Fault, line: Line, now: float) -> str:
        code = fault.code if isinstance(fault.code, int) else 1000
        self.delivery.close(line, code, fault.reason or "", now=now)
        return f"closed with {code}"

    def _reconnect(self, fault: Fault, line: Line, now: float) -> str:
        grace_s = self._grace_s(fault)
        self.service.notice_reconnect(
            connection=line.number,
            reason=fault.reason or "server_upgrade",
            grace_s=grace_s,
            now=now,
        )
        return f"reconnect, {grace_s:g} s grace"

    def _require_snapshot(self, fault: Fault, line: Line, now: float) -> str:
        if fault.text is not None:
            self.delivery.odd(line, fault.text, "snapshot_required", now=now)
            return "snapshot_required in an odd shape"
        reason = fault.reason or "client_backpressure"
        channels = self.service.require_snapshot(line.number, reason, fault.channels, now=now)
        return f"{reason} for {', '.join(channels) or 'no channel'}"

    def _grace_s(self, fault: Fault) -> float:
        return self.service.default_grace_s if fault.grace_s is None else fault.grace_s


_STATUS_CODES: Final[Mapping[int, str]] = {
    400: "invalid_filters",
    401: "invalid_api_key",
    403: "channel_not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    422: "validation_error",
    429: "rate_limited",
    503: "rate_limiter_error",
}


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
        case "late":
            return response, f"answered {fault.seconds or 0.0:g} s late"
        case "empty":
            # It covers nothing, so it names no position either (R11).
            headers = tuple(each for each in response.headers if each[0] != "X-As-Of")
            return attrs.evolve(response, status=200, headers=headers, body=b"[]"), "answered []"
        case _:
            return html_page(), "answered HTML"


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
