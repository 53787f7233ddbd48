"""What a running gateway tells its user: one line a happening, for people or for programs.

Happenings are read off the truth log; nothing here looks at the wire. Keys are redacted there
already.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, cast

import attrs
import msgspec
import trio

from lastseen_simulator.server import GatewayServer
from lastseen_simulator.truth import Record, to_jsonl

__all__ = ["TruthFile", "follow", "happening", "human_line", "json_line", "write_line"]

PAUSE_S: Final = 0.05
"""Between two looks at the log, so that a fast feed costs few of them."""

LAST_WORDS_S: Final = 1.0
"""How long the last lines may take when whoever reads them does not."""

_NAMES: Final[Mapping[str, str]] = {
    "opened": "connected",
    "login": "login",
    "closed": "closed",
    "fault": "fault",
    "epoch": "restart",
    "request": "request_error",
    "upgrade": "upgrade_refused",
    "subscribe": "subscribe",
    "unsubscribe": "unsubscribe",
    "restart": "restart",
    "asked": "stream",
}
"""Kinds of truth records that are happenings, and what they are called."""


def happening(record: Record) -> dict[str, Any] | None:
    """Turns a truth record into a happening, `{"event", "at", …}`; None when it is none."""
    name = _NAMES.get(record["kind"])
    if name is None:
        return None
    if name in ("request_error", "upgrade_refused") and record["status"] < 400:
        return None
    if name == "restart" and record.get("cause") == "start":
        return None
    members = {key: value for key, value in record.items() if key not in ("n", "at", "kind")}
    return {"event": name, "at": round(record["at"], 3), **members}


def json_line(event: Mapping[str, Any]) -> str:
    """One happening as one line of JSON."""
    return msgspec.json.encode(event).decode()


def human_line(event: Mapping[str, Any]) -> str:
    """One happening as one line for people."""
    said = {
        "connected": lambda: f"connection {event['connection']} opened",
        "login": lambda: _login(event),
        "closed": lambda: _closed(event),
        "fault": lambda: f"fault {event['fault']} fired: {event['fault_kind']} {event['detail']}",
        "restart": lambda: _restart(event),
        "upgrade_refused": lambda: f"upgrade refused with {event['status']}",
        "subscribe": lambda: _subscribe(event),
        "stream": lambda: _stream(event),
        "unsubscribe": lambda: f"connection {event['connection']} unsubscribe: {event['verdict']}",
        "request_error": lambda: f"{event['method']} {event['path']} answered {event['status']}",
    }[event["event"]]()
    return f"{event['at']:9.3f}  {said.rstrip()}"


def _login(event: Mapping[str, Any]) -> str:
    asked = event.get("login")
    login = cast("Mapping[str, Any]", asked if isinstance(asked, Mapping) else {})
    channels = cast("Iterable[Any] | None", login.get("channels"))
    wanted = ",".join(str(each) for each in channels) if channels else "all"
    how = ", resuming" if login.get("lastSeenId") else ""
    return f"connection {event['connection']} login: {event['verdict']} ({wanted}{how})"


def _subscribe(event: Mapping[str, Any]) -> str:
    wanted = event["type"] or "settlements"
    filtered = f" with {', '.join(event['filters'])}" if event["filters"] else ""
    return f"connection {event['connection']} subscribe: {event['verdict']} ({wanted}{filtered})"


def _stream(event: Mapping[str, Any]) -> str:
    how = ", resuming" if event["resumes"] else ""
    return f"connection {event['connection']} asked for {event['channel']}{how}: {event['verdict']}"


def _restart(event: Mapping[str, Any]) -> str:
    epoch = event.get("epoch")
    return (
        f"restart ({event['cause']})" if epoch is None else f"epoch {epoch[:8]} ({event['cause']})"
    )


def _closed(event: Mapping[str, Any]) -> str:
    code = event.get("code")
    reason = f" {event['reason']}" if event.get("reason") else ""
    text = "" if code is None else f" with {code}{reason}"
    return f"connection {event['connection']} closed by {event['by']}{text}"


@attrs.define(eq=False)
class TruthFile:
    """The truth log in a file, written as it grows. Raises OSError when it cannot be."""

    _path: str
    _fd: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def append(self, records: tuple[Record, ...]) -> None:
        """Writes records, unbuffered."""
        _write_all(self._fd, to_jsonl(records).encode())

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)


async def follow(
    server: GatewayServer,
    *,
    line: Callable[[Mapping[str, Any]], str] | None,
    truth: TruthFile | None,
) -> None:
    """Writes happenings to stdout and records to the truth file until cancelled, and the rest then.

    Somebody who stops reading stdout holds up these lines, never the gateway.
    """
    seen = 0
    lines_in, lines_out = trio.open_memory_channel[str](100_000)

    def look() -> None:
        nonlocal seen
        records = server.core.truth.records_after(seen)
        if not records:
            return
        seen = records[-1]["n"]
        if truth is not None:
            truth.append(records)
        for record in records if line is not None else ():
            event = happening(record)
            if event is not None and line is not None:
                with suppress(trio.WouldBlock):
                    lines_in.send_nowait(line(event))

    async with trio.open_nursery() as nursery:
        writer_scope = trio.CancelScope(shield=True)
        nursery.start_soon(_write_lines, lines_out, writer_scope)
        try:
            while True:
                look()
                await server.wait_step()
                await trio.sleep(PAUSE_S)
        finally:
            try:
                look()
            finally:
                lines_in.close()
                writer_scope.deadline = trio.current_time() + LAST_WORDS_S


async def _write_lines(lines: trio.MemoryReceiveChannel[str], scope: trio.CancelScope) -> None:
    with scope:
        async for text in lines:
            # Nobody reads any more: no reason for the gateway to stop.
            with suppress(BrokenPipeError):
                await trio.to_thread.run_sync(write_line, text, abandon_on_cancel=True)


def write_line(text: str) -> None:
    """Writes one line to stdout past its buffer, whose lock a blocked write would hold at exit."""
    sys.stdout.flush()
    try:
        fd = sys.stdout.fileno()
    except OSError:
        sys.stdout.write(text + "\n")
        return
    _write_all(fd, text.encode() + b"\n")


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
