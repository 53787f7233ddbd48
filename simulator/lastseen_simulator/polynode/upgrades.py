"""Who may connect: the key in the query, its plan, and how a refusal is told (§1)."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from lastseen_simulator.effects import HttpRequest, HttpResponse
from lastseen_simulator.faults import Fault
from lastseen_simulator.polynode.connections import Connection, Grant
from lastseen_simulator.polynode.options import KeyGrant, PolyNodeOptions
from lastseen_simulator.strikes import html_page

__all__ = ["changed_upgrade", "judge_upgrade", "refusal"]

_WELL_FORMED: Final = re.compile(r"(?:pn_live_|qm_live_)[A-Za-z0-9_]+", re.ASCII)

_UNAUTHORIZED: Final = 4401
_LIMITED: Final = 4429
_CLOSE_CODES: Final = {401: _UNAUTHORIZED, 403: _UNAUTHORIZED, 429: _LIMITED}

_TEXTS: Final = {
    401: "API key is missing or malformed",
    403: "API key is invalid or inactive",
    500: "internal error",
    503: "service unavailable",
}


def judge_upgrade(
    http: HttpRequest, others: Iterable[Connection], options: PolyNodeOptions, *, wall_ms: int
) -> Grant | HttpResponse:
    """Grants an upgrade, or says why not; with `refusal` `close` a refusal is a grant too."""
    query = dict(reversed(http.query))
    key = query.get("key", "")
    known = next((each for each in options.keys if each.key == key), None)
    status = 0
    if known is None and not _WELL_FORMED.fullmatch(key):
        status = 401
    elif known is None or not known.active:
        status = 403
    grant = Grant(
        key=known or KeyGrant(key=key),
        plan=options.allowance(known or KeyGrant(key=key)),
        compressed=query.get("compress") == "zlib",
    )
    limit = grant.plan.connections
    if not status and limit is not None and _used(key, others) >= limit:
        status = 429
    if not status:
        return grant
    response = refusal(status, options.retry_after_s, wall_ms=wall_ms)
    if options.refusal == "http":
        return response
    return Grant(
        key=grant.key,
        plan=grant.plan,
        compressed=grant.compressed,
        close=(_CLOSE_CODES[status], _text(status, options.retry_after_s, wall_ms)),
    )


def refusal(
    status: int, retry_after_s: float, *, wall_ms: int, message: str | None = None
) -> HttpResponse:
    """An answer of the vendor's shape: one `error` text, and of a 429 the second to come back."""
    text = _text(status, retry_after_s, wall_ms) if message is None else message
    return HttpResponse(
        status=status,
        headers=(("Content-Type", "application/json"),),
        body=msgspec.json.encode({"error": text}),
    )


def changed_upgrade(
    fault: Fault, options: PolyNodeOptions, *, wall_ms: int
) -> tuple[HttpResponse, str]:
    """What a fault answers to an upgrade, and in words."""
    match fault.kind:
        case "status":
            status = fault.status or 503
            after_s = options.retry_after_s if fault.retry_after_s is None else fault.retry_after_s
            response = refusal(status, after_s, wall_ms=wall_ms, message=fault.message)
            return response, f"answered {status}"
        case "stall":
            return HttpResponse(status=101, headers=(), body=b"", silent=True), "no answer"
        case _:
            return html_page(), "answered HTML"


def _used(key: str, others: Iterable[Connection]) -> int:
    """A half-open connection counts until it has been noticed."""
    return sum(each.grant.key.key == key and not each.line.ended for each in others)


def _text(status: int, retry_after_s: float, wall_ms: int) -> str:
    if status == 429:
        return (
            f"Too many connections for this key. Retry at {wall_ms // 1000 + round(retry_after_s)}."
        )
    return _TEXTS.get(status, f"status {status}")
