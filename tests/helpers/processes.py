"""The command as processes: a gateway to be killed, a tail to be questioned."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

__all__ = [
    "PATIENCE_S",
    "GatewayProcess",
    "TailProcess",
    "command",
    "environment",
    "eventually",
    "fetch",
    "gateway_process",
    "seeds_folder",
    "tail_process",
]

PATIENCE_S = 60.0
"""How long anything may take before a test gives it up; nothing is judged by its speed."""

_PAUSE_S = 0.05


def seeds_folder() -> Path:
    """Where the vendors' own pages lie, which are no part of this repository."""
    beside = Path(__file__).parents[3] / "shared" / "seeds"
    return Path(os.environ.get("LASTSEEN_SEEDS") or beside)


def environment(**extra: str) -> dict[str, str]:
    """This environment without our own variables and without proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LASTSEEN_") and not name.lower().endswith("_proxy")
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **extra}


def command(*arguments: str) -> list[str]:
    """The command line of `lastseen …` under this interpreter."""
    return [sys.executable, "-c", "from lastseen_simulator.command import main; main()", *arguments]


def fetch(url: str, data: bytes | None = None) -> Any:
    """GETs JSON, or POSTs it; numbers keep their digits."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, data=data, timeout=PATIENCE_S) as answer:
        return json.loads(answer.read(), parse_float=Decimal)


def eventually(what: str, condition: Callable[[], bool]) -> None:
    """Waits until the condition holds; fails after our patience."""
    ends_at = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > ends_at:
            raise AssertionError(f"not in {PATIENCE_S:g} s: {what}")
        time.sleep(_PAUSE_S)


@attrs.define(eq=False)
class GatewayProcess:
    """A gateway in a process of its own."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def port(self) -> int:
        port: int = self.ready["port"]
        return port

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Asks the control API; with a body it is a POST."""
        data = None if body is None else json.dumps(body).encode()
        return fetch(f"{self.ready['control_url']}/{path}", data)

    def truth_state(self, channels: tuple[str, ...], sport_ids: tuple[int, ...]) -> dict[str, Any]:
        sports = ",".join(map(str, sport_ids))
        state: dict[str, Any] = self.ask(
            f"truth/state?channels={','.join(channels)}&sportIds={sports}"
        )
        return state

    def kill(self) -> None:
        """The end without a word (SIGKILL)."""
        self.process.kill()
        self.process.wait()


@contextmanager
def gateway_process(*arguments: str, port: int = 0) -> Generator[GatewayProcess]:
    """A gateway that has said it is ready; killed at the end if it still lives."""
    process = subprocess.Popen(
        command("gateway", "--json", "--port", str(port), *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate()[1])
        # Nobody needs its other lines, but the pipe must not fill up.
        drain = threading.Thread(target=process.stdout.read)
        drain.start()
        try:
            yield GatewayProcess(process, json.loads(line))
        finally:
            process.kill()
            drain.join()


@attrs.define(eq=False)
class TailProcess:
    """`lastseen tail --report` with everything it has said, and what it claims now."""

    process: subprocess.Popen[str]
    said: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    claims: dict[str, str] = attrs.field(factory=dict[str, str])
    _states: "queue.SimpleQueue[dict[str, Any] | None]" = attrs.field(
        factory=lambda: queue.SimpleQueue[dict[str, Any] | None]()
    )

    def listen(self) -> None:
        """Reads lines until there are no more."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line, parse_float=Decimal)
            if event.get("event") == "state":
                self._states.put(event["state"])
                continue
            if event.get("event") == "status":
                self.claims[event["channel"]] = event["state"]
            self.said.append(event)
        self._states.put(None)

    def synced(self, channels: tuple[str, ...]) -> bool:
        """Whether it claims every channel synced; fails when it has ended."""
        assert self.process.poll() is None, "the tail has ended"
        return all(self.claims.get(channel) == "synced" for channel in channels)

    def epochs(self) -> set[str]:
        """The epochs of all it has applied."""
        return {event["epoch"] for event in list(self.said) if event.get("event") == "applied"}

    def state(self) -> dict[str, Any]:
        """Its state, asked for now."""
        assert self.process.stdin is not None
        self.process.stdin.write("state\n")
        self.process.stdin.flush()
        state = self._states.get(timeout=PATIENCE_S)
        assert state is not None, "the tail has ended"
        return state


@contextmanager
def tail_process(ws_url: str, *arguments: str) -> Generator[TailProcess]:
    """A tail that reports; killed at the end."""
    process = subprocess.Popen(
        command("tail", ws_url, "--report", *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    tail = TailProcess(process)
    with process:
        listener = threading.Thread(target=tail.listen)
        listener.start()
        try:
            yield tail
        finally:
            process.kill()
            listener.join()
