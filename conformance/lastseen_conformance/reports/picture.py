"""A history as the rows of a sequence picture: client on the left, gateway on the right."""

import json
from collections.abc import Iterator
from typing import Any, Final, Literal, cast

import attrs

from lastseen_conformance.history import (
    Answered,
    Asked,
    BytesSent,
    ClientFrame,
    CloseSent,
    Compared,
    Connected,
    Dropped,
    Ended,
    Exited,
    Heard,
    History,
    Launched,
    Listening,
    Moment,
    Refused,
    Said,
    ServerFrame,
    Stalled,
    Stepped,
    StreamAsked,
    Struck,
)
from lastseen_conformance.verdicts import Result

__all__ = ["Row", "rows_of"]

ROWS_MAX: Final = 400
TEXT_MAX: Final = 160
DETAIL_MAX: Final = 1200

Way = Literal["up", "down", "client", "gateway", "step", "fault"]


@attrs.frozen(kw_only=True)
class Row:
    """One row: `way` says which lane it is in or which way it goes; `wrong` marks broken rules."""

    n: int
    at: float
    """Seconds since the case began."""
    way: Way
    text: str
    detail: str = ""
    wrong: tuple[str, ...] = ()
    first: bool = False
    """The first wrong step."""


def rows_of(result: Result, *, in_full: bool = True) -> list[Row]:
    """The rows of a run: `ROWS_MAX` of them, up to the end or around the first wrong step.

    Frames and answers are in them only if `in_full`.
    """
    rows = list(_rows(result.history))
    if not in_full:
        rows = [attrs.evolve(row, detail="") for row in rows]
    wrong: dict[int, list[str]] = {}
    for finding in result.broken:
        if finding.n is not None and rows:
            wrong.setdefault(_place(rows, finding.n), []).append(finding.rule)
    for place, names in wrong.items():
        first = place == min(wrong)
        rows[place] = attrs.evolve(rows[place], wrong=tuple(names), first=first)
    start = max(0, len(rows) - ROWS_MAX)
    if wrong:
        start = min(start, max(0, min(wrong) - ROWS_MAX // 2))
    return rows[start : start + ROWS_MAX]


def _place(rows: list[Row], n: int) -> int:
    """The row of a moment, or the last one before it: not every moment is shown."""
    before = [place for place, row in enumerate(rows) if row.n <= n]
    return before[-1] if before else 0


def _rows(history: History) -> Iterator[Row]:
    began = history.moments[0].at if history.moments else 0.0
    for moment in history.moments:
        told = _told(moment)
        if told is not None:
            way, text, detail = told
            yield Row(
                n=moment.n,
                at=moment.at - began,
                way=way,
                text=text[:TEXT_MAX],
                detail=detail[:DETAIL_MAX],
            )


def _told(moment: Moment) -> tuple[Way, str, str] | None:
    match moment:
        case Connected():
            return "up", f"#{moment.connection} connects", ""
        case Refused():
            return "down", f"#{moment.connection} refused: HTTP {moment.status}", ""
        case ClientFrame():
            return "up", f"#{moment.connection} {_short(moment.data)}", _text(moment.data)
        case ServerFrame():
            cut = "" if moment.cut_at is None else f" (cut after {moment.cut_at} bytes)"
            words = f"#{moment.connection} {_short(moment.data)}{cut}"
            return "down", words, _text(moment.data)
        case BytesSent():
            return "down", f"#{moment.connection} {len(moment.data)} raw bytes", moment.data.hex()
        case CloseSent():
            return "down", f"#{moment.connection} close {moment.code} {moment.reason}", ""
        case Dropped():
            return "down", f"#{moment.connection} {'RST' if moment.reset else 'FIN'}", ""
        case Ended():
            return "up", f"#{moment.connection} ends", ""
        case StreamAsked():
            body = _text(moment.body)
            return "up", f"#{moment.connection} {moment.method} {moment.path} {body}", body
        case Asked():
            query = "&".join(f"{name}={value}" for name, value in moment.query)
            return "up", f"{moment.method} {moment.path}?{query}", ""
        case Answered():
            whole = "" if moment.whole else ", not all of it"
            body = moment.body.decode("utf-8", "replace")
            return "down", f"{moment.status}, {len(moment.body)} bytes{whole}", body
        case Said():
            if moment.line is None:
                return "client", f"prints: {moment.text}", ""
            return "client", _said(moment.line), json.dumps(moment.line, default=str)
        case Heard():
            return "client", f"is told: {moment.command}", ""
        case Launched():
            return "client", f"is started (life {moment.run})", ""
        case Exited():
            return "client", f"ends: {moment.how}", ""
        case Struck():
            return "fault", f"{moment.kind}: {moment.detail}", ""
        case Listening():
            return "gateway", f"port: {moment.mode}", ""
        case Stalled():
            return (
                "gateway",
                f"#{moment.connection} {'stalls' if moment.stalled else 'goes on'}",
                "",
            )
        case Compared():
            words = moment.difference or "the states are equal"
            return "step", words, ""
        case Stepped():
            return "step", moment.text, ""
        case _:
            return None


def _said(line: Any) -> str:
    event = str(line.get("event", line.get("schema", "")))
    parts = [
        str(line[name])
        for name in ("channel", "entity", "id", "key", "state", "why", "code")
        if name in line and not isinstance(line[name], dict)
    ]
    return " ".join((event, *parts))


def _short(data: str | bytes) -> str:
    if isinstance(data, bytes):
        text = _text(data)
        return text.strip() if text.isprintable() or text.strip()[:1] == "{" else _size(data)
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        return data[:TEXT_MAX]
    if not isinstance(value, dict):
        return data[:TEXT_MAX]
    frame = cast("dict[str, Any]", value)
    if "channel" in frame:
        return f"{frame['channel']} {frame.get('entryId')}"
    kind = str(frame.get("type", frame.get("action", "")))
    if kind == "login":
        if not frame.get("lastSeenId") and not frame.get("serverEpoch"):
            return "login, cold"
        cursors = json.dumps(frame.get("lastSeenId"))
        return f"login epoch {str(frame.get('serverEpoch'))[:8]} cursors {cursors}"
    if kind == "login_ok":
        resume: Any = frame.get("resume") or {}
        return f"login_ok epoch {str(resume.get('serverEpoch'))[:8]}"
    if kind == "snapshot_required":
        return f"snapshot_required {frame.get('channels')} {frame.get('reason')}"
    data_part: Any = frame.get("data")
    if isinstance(data_part, dict):
        body = cast("dict[str, Any]", data_part)
        return f"{kind} {str(body.get('tx_hash', ''))[:14]} {body.get('status', '')}".strip()
    return f"{kind} {data if len(data) < TEXT_MAX else ''}".strip()


def _size(data: bytes) -> str:
    return f"{len(data)} bytes"


def _text(data: str | bytes) -> str:
    """Text as it is, and bytes that are text as that text."""
    if isinstance(data, str):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.hex()
