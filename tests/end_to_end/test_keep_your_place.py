"""The how-to page about restarts: its programs run as they stand there, and are killed."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from processes import PATIENCE_S, GatewayProcess, environment, eventually, gateway_process
from truth_file import Truth, plain

from lastseen_simulator.gateway.options import DEMO_KEY, GatewayOptions
from lastseen_simulator.server import open_gateway

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/keep-your-place-across-restarts.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
ENTRIES = 50
KILLS = 2
LOOKS = 5

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

_Key = tuple[str, str, str]


async def test_the_library_goes_on_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(PROGRAMS[0], "page", "exec"), names)
    printed: list[str] = []
    async with open_gateway(GatewayOptions(as_of=True), seed=3) as gateway:
        with trio.fail_after(PATIENCE_S):
            # On a busy machine a life may be over before a cursor was durable.
            while len(printed) < 2 or printed[-1].startswith("resuming nothing"):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(names["follow"], gateway.ws_url, DEMO_KEY)
                    printed.append("")
                    while printed[-1].count(" units") < LOOKS:
                        await gateway.wait_step()
                        printed[-1] += capsys.readouterr().out
                    nursery.cancel_scope.cancel()

    assert printed[0].startswith("resuming nothing\n")
    assert printed[-1].startswith("resuming {'")


@contextmanager
def application(url: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """The page's program, as a process that is killed in the end."""
    program = path.with_name("program.py")
    program.write_text(PROGRAMS[1], encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(program), url, DEMO_KEY, str(path)],
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def asked(path: Path, query: str) -> list[Any]:
    """Rows of the application's own database; none while there are no tables."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=PATIENCE_S)) as database:
        try:
            return database.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


def journal(path: Path) -> list[_Key]:
    return asked(path, "SELECT epoch, channel, id FROM journal ORDER BY rowid")


def test_an_application_with_its_own_database_loses_nothing_and_does_nothing_twice(
    tmp_path: Path,
) -> None:
    path, log = tmp_path / "application.db", tmp_path / "truth.jsonl"
    path.touch()
    positions: list[dict[str, Any]] = []
    arguments = ("--rate", "20", "--fixtures", "3", "--as-of", "--truth", str(log))
    with gateway_process(*arguments) as gateway:
        for life in range(KILLS + 1):
            goal = len(journal(path)) + ENTRIES
            with application(gateway.ready["ws_url"], path) as process:
                eventually("entries arrive", partial(has_entries, gateway, process, path, goal))
                if life == KILLS:
                    come_to_rest(gateway, path)
                assert process.poll() is None
            # It did not end by itself, over an entry that was there already.
            assert process.returncode == -signal.SIGKILL
            positions.append(json.loads(asked(path, "SELECT position FROM place")[0][0]))
        gateway.process.terminate()
        assert gateway.process.wait(PATIENCE_S) == 0
    truth = Truth.read(log)

    assert [login.cursors for login in truth.logins] == [
        {}, *(position["cursors"] for position in positions[:KILLS])
    ]  # fmt: skip
    assert sum(truth.replays.values()) > 0
    sent = {each[1:] for each in truth.sent}
    for channel in ("fixtures", "scores"):
        written = [each for each in journal(path) if each[1] == channel]
        due = [each for each in truth.entries if each[1] == channel and each[1:] in sent]
        assert written == due[due.index(written[0]) :]
    last = truth.newest_at(float("inf"))
    keys = [*truth.keys_of("fixtures"), *truth.keys_of("scores")]
    assert units(path) == {
        key: truth.values(key, last, last)[0] for key in keys if truth.sport_of(key) == 10
    }


def has_entries(
    gateway: GatewayProcess, process: subprocess.Popen[str], path: Path, count: int
) -> bool:
    """Whether so many have been written; some more are published, also before it is there."""
    assert process.poll() is None, "the application has ended"
    for channel in ("scores", "fixtures"):
        gateway.ask("publish", {"channel": channel, "count": 5})
    return len(journal(path)) >= count


def come_to_rest(gateway: GatewayProcess, path: Path) -> None:
    """Stops the market, and waits until what is published last has arrived."""
    gateway.ask("pause", {})
    state = gateway.truth_state(("fixtures", "scores"), (10,))
    for channel, key in (("fixtures", "fixtures/"), ("scores", "scores/")):
        name, value = next((name, value) for name, value in state.items() if name.startswith(key))
        _, fixture, *period = name.split("/")
        payload = {"fixtureId": fixture, "scores": {period[0]: value}} if period else value
        entry = gateway.ask("publish", {"channel": channel, "payload": payload})["entryId"]
        eventually("the last entry arrives", partial(has_entry, path, entry))


def has_entry(path: Path, entry: str) -> bool:
    return entry in {each[2] for each in journal(path)}


def units(path: Path) -> dict[str, Any]:
    rows = asked(path, "SELECT key, value FROM units")
    return {key: plain(json.loads(value, parse_float=Decimal)) for key, value in rows}
