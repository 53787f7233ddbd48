"""Programs that are no clients: each gets a verdict, is killed whole, and the run goes on."""

import sys
import uuid
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from lastseen_conformance.case import Scene
from lastseen_conformance.cases import CASES
from lastseen_conformance.drivers import process, sockets
from lastseen_conformance.drivers.process import leftovers
from lastseen_conformance.drivers.sockets import Target, run_over_sockets
from lastseen_conformance.history import Said
from lastseen_conformance.steps import Linger, Start, Steps, Stop
from lastseen_conformance.verdicts import Result, Verdict

CASE = CASES["oddspapi/login/cold"]


async def tried(tmp_path: Path, program: str) -> Result:
    path = tmp_path / "client.py"
    path.write_text(program, encoding="utf-8")
    target = Target(command=(sys.executable, str(path)), reported=False, mark="m" * 32)
    return await run_over_sockets(CASE, target, patience_s=1.0)


async def test_a_command_that_does_not_exist_is_an_error_of_the_harness() -> None:
    target = Target(command=("no-such-command",), reported=False)

    result = await run_over_sockets(CASE, target, patience_s=1.0)

    assert result.verdict is Verdict.HARNESS_ERROR
    assert "no-such-command cannot be started" in result.reason


async def test_a_program_that_ends_at_once_is_an_error_of_the_harness(tmp_path: Path) -> None:
    result = await tried(tmp_path, "raise SystemExit('missing module')")

    assert result.verdict is Verdict.HARNESS_ERROR
    assert result.reason == "the client ended before it connected: exit code 1: missing module"


async def test_a_program_that_never_connects_says_nothing(tmp_path: Path) -> None:
    result = await tried(tmp_path, "import time; time.sleep(600)")

    assert (result.verdict, result.reason) == (
        Verdict.INCONCLUSIVE,
        "not seen: the client connects",
    )


async def test_a_flood_of_output_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "OUTPUT_BYTES_MAX", 1 << 20)

    result = await tried(tmp_path, "while True: print('x' * 1000)")

    assert (result.verdict, result.reason) == (
        Verdict.HARNESS_ERROR,
        "the client printed without end",
    )


async def test_a_flood_of_short_lines_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "LINES_MAX", 20_000)

    result = await tried(tmp_path, "while True: print('y')")

    assert result.verdict is Verdict.HARNESS_ERROR
    assert result.history.count(Said) <= sockets.WORDS_MAX


async def test_one_endless_line_is_stopped_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LINE_BYTES_MAX", 1 << 20)

    result = await tried(tmp_path, "while True: print('x' * 1000, end='')")

    assert result.reason == "the client printed without end"


async def test_children_are_killed_with_it(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "time.sleep(0.3)\n"
    )

    result = await tried(tmp_path, program)

    assert "the client left processes behind; they were killed" in result.history.notes
    assert leftovers("LASTSEEN_RUN=" + "m" * 32) == []


async def test_a_key_that_is_printed_is_noticed(tmp_path: Path) -> None:
    program = (
        "import os, sys, time, asyncio, websockets\n"
        "async def main():\n"
        "    async with websockets.connect(os.environ['LASTSEEN_WS_URL']):\n"
        "        sys.stderr.write('using ' + os.environ['LASTSEEN_API_KEY'] + '\\n')\n"
        "        sys.stderr.flush()\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )

    path = tmp_path / "client.py"
    path.write_text(program, encoding="utf-8")
    target = Target(command=(sys.executable, str(path)), reported=False)
    result = await run_over_sockets(CASE, target, patience_s=8.0)

    assert "all.secret.not-printed" in {finding.rule for finding in result.broken}
    assert result.verdict is Verdict.FAILED


async def test_a_client_that_ignores_stop_is_killed_and_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_PATIENCE_S", 0.3)

    def play(scene: Scene) -> Steps:
        yield Start()
        yield Linger(seconds=0.2, why="it runs")
        yield Stop()

    path = tmp_path / "client.py"
    path.write_text("import time; time.sleep(600)", encoding="utf-8")
    case = attrs.evolve(CASE, play=play)
    target = Target(command=(sys.executable, str(path)), reported=False)
    result = await run_over_sockets(case, target, patience_s=1.0)

    assert result.history.ignored_stop
    assert "the client did not end when it was told to stop" in result.history.notes


async def test_an_interrupt_does_not_wait_for_a_client_that_ignores_stop(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "sys.stdin.readline()\n"
        "open(sys.argv[0] + '.told', 'w').close()\n"
        "time.sleep(600)\n"
    )
    path = tmp_path / "client.py"
    path.write_text(program, encoding="utf-8")
    told = trio.Path(f"{path}.told")
    mark = uuid.uuid4().hex

    def play(scene: Scene) -> Steps:
        yield Start()
        yield Stop()

    case = attrs.evolve(CASE, play=play)
    target = Target(command=(sys.executable, str(path)), reported=False, mark=mark)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(run_over_sockets, case, target, patience_s=1.0))
            while not await told.exists():
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    assert leftovers(mark) == []
