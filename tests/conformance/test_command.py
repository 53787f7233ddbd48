"""The command over real sockets: exit codes, files, lists of known failures."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import attrs
import pytest
from click.testing import CliRunner
from processes import environment

from lastseen_conformance.command import conformance

LASTSEEN = str(Path(sys.executable).with_name("lastseen"))
REFERENCE = (LASTSEEN, "tail", "--report")
IDLE = """
import asyncio, os, websockets
async def main():
    async with websockets.connect(os.environ["LASTSEEN_WS_URL"]) as socket:
        async for _ in socket:
            pass
    await asyncio.sleep(600)
asyncio.run(main())
"""


@attrs.frozen
class Done:
    """What came of a command."""

    returncode: int
    stdout: str


def run(*arguments: str, command: tuple[str, ...]) -> Done:
    """Runs the command in this process, against a program in another."""
    words = ["run", *arguments, "--", *command]
    done = CliRunner().invoke(conformance, words, standalone_mode=False, catch_exceptions=False)
    return Done(returncode=done.return_value, stdout=done.output)


def test_the_reference_client_is_ok_in_a_handful_of_cases(tmp_path: Path) -> None:
    chosen = ("login/cold", "demand/one-scores", "restart/killed-after-1-kept")
    globs = [word for name in chosen for word in ("--case", f"oddspapi/{name}")]

    done = subprocess.run(
        [LASTSEEN, "conformance", "run", *globs, "--mode", "reported", "--report", str(tmp_path),
         "--", *REFERENCE],
        capture_output=True, text=True, check=False, env=environment(), timeout=600,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["counts"]["OK"] == 3
    assert results["mode"] == "reported"
    assert {case["id"] for case in results["cases"]} == {f"oddspapi/{name}" for name in chosen}
    assert ET.parse(tmp_path / "junit.xml").getroot().find("testsuite") is not None
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "oddspapi/login/cold" in page
    assert "http" not in page.split("<body>")[0], "it needs nothing else"


def test_the_reference_client_follows_polynode() -> None:
    done = run("--dialect", "polynode", "--case", "polynode/item/confirmed", command=REFERENCE)

    assert "1 OK  (reported" in done.stdout, "it was found out that it reports"
    assert done.returncode == 0, done.stdout


def test_the_reference_client_follows_polymarket_us() -> None:
    chosen = "polymarket-us/resume/refuses-inside-drop-copy"
    done = run("--dialect", "polymarket-us", "--case", chosen, command=REFERENCE)

    assert done.returncode == 0, done.stdout


def test_a_program_that_connects_and_does_nothing_fails(tmp_path: Path) -> None:
    client = tmp_path / "idle.py"
    client.write_text(IDLE, encoding="utf-8")

    done = run(
        "--case",
        "oddspapi/login/*",
        "--mode",
        "url",
        "--patience",
        "2",
        command=(sys.executable, str(client)),
    )

    assert done.returncode == 1, done.stdout
    assert "OK " not in done.stdout
    assert "op.login.first" in done.stdout
    assert done.stdout.index("(FAILED?)") < done.stdout.index("FAILED  "), "seen, then repeated"
    assert "again: lastseen conformance run" in done.stdout


def test_a_program_that_never_connects_decides_nothing(tmp_path: Path) -> None:
    client = tmp_path / "never.py"
    client.write_text("import time; time.sleep(600)", encoding="utf-8")

    done = run(
        "--case",
        "oddspapi/matrix/*",
        "--mode",
        "url",
        "--patience",
        "1",
        command=(sys.executable, str(client)),
    )

    assert done.returncode == 2, done.stdout
    assert "OK " not in done.stdout
    assert "not tried" in done.stdout


def test_a_program_that_ends_at_once_cannot_be_tested() -> None:
    done = run("--case", "oddspapi/login/*", command=("false",))

    assert done.returncode == 3, done.stdout
    assert "the client ended before it connected: exit code 1" in done.stdout


def test_known_failures_are_forgiven_and_stale_ones_are_not(tmp_path: Path) -> None:
    known = tmp_path / "known.toml"
    text = '[[case]]\nid = "oddspapi/login/cold"\nreason = "to do"\nuntil = {until}\n'
    known.write_text(text.format(until="2999-01-01"), encoding="utf-8")
    arguments = ("--case", "oddspapi/login/cold", "--known-failing", str(known))

    forgiven = run(*arguments, command=("false",))
    known.write_text(text.format(until="2001-01-01"), encoding="utf-8")
    expired = run(*arguments, command=("false",))

    assert forgiven.returncode == 0, forgiven.stdout
    assert expired.returncode == 1
    assert "expired on 2001-01-01" in expired.stdout


def test_programs_get_json_and_nothing_else(tmp_path: Path) -> None:
    chosen = ("--case", "oddspapi/login/*", "--json", "--report", str(tmp_path))
    done = subprocess.run(
        [LASTSEEN, "conformance", "run", *chosen, "--", "false"],
        capture_output=True, text=True, check=False,
        env={**environment(), "GITHUB_ACTIONS": "true"}, timeout=600,
    )  # fmt: skip
    results = json.loads(done.stdout)
    assert done.returncode == results["exit_code"] == 3
    assert results == json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))

    words = ["list", "--dialect", "polynode", "--json"]
    listed = CliRunner().invoke(conformance, words, standalone_mode=False)
    cases = [json.loads(line) for line in listed.stdout.splitlines()]
    assert {each["dialect"] for each in cases} == {"polynode"}
    assert all(each["id"].startswith("polynode/") for each in cases)
    assert "pn.item.outcome" in {rule for each in cases for rule in each["rules"]}

    words = ["validate", "--json", "--", "false"]
    checks = CliRunner().invoke(conformance, words, standalone_mode=False)
    assert not all(json.loads(line)["good"] for line in checks.stdout.splitlines())


def test_validate_explains_what_is_missing() -> None:
    good, bad = (
        CliRunner().invoke(conformance, ["validate", "--", *command], standalone_mode=False)
        for command in (REFERENCE, ("false",))
    )

    assert good.return_value == 0, good.output
    assert bad.return_value == 1
    assert "missing" in bad.output


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_no_client_outlives_the_run(how: signal.Signals, tmp_path: Path) -> None:
    born = tmp_path / "born"
    os.mkfifo(born)
    stubborn = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "while True: time.sleep(1)\n"
    )
    with subprocess.Popen(
        [LASTSEEN, "conformance", "run", "--jobs", "1", "--case", "oddspapi/login/*", "--",
         sys.executable, "-c", stubborn, str(born)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
    ) as harness:  # fmt: skip
        pid = int(born.read_text())
        harness.send_signal(how)
        assert harness.wait(timeout=60) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_client_that_is_started_by_hand_is_waited_for(tmp_path: Path) -> None:
    """Its standard error is where a person reads what to start, and here a test."""
    arguments = ("--case", "oddspapi/login/cold", "--manual", "--report", str(tmp_path))
    with subprocess.Popen(
        [LASTSEEN, "conformance", "run", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as waiting:
        assert waiting.stderr is not None
        told: dict[str, str] = {}
        for line in waiting.stderr:
            name, sign, value = line.strip().partition("=")
            if sign:
                told[name] = value
            if name == "LASTSEEN_CHANNELS":
                break
        with subprocess.Popen(
            [LASTSEEN, "tail", told["LASTSEEN_WS_URL"], "--channels", told["LASTSEEN_CHANNELS"]],
            stdout=subprocess.DEVNULL,
            env={**environment(), "LASTSEEN_API_KEY": told["LASTSEEN_API_KEY"]},
        ) as client:
            out, _ = waiting.communicate(timeout=120)
            client.kill()

    assert waiting.returncode == 0, out
    assert "1 OK  (by URL only" in out


@pytest.mark.soak
def test_a_naive_client_breaks_ten_different_rules(tmp_path: Path) -> None:
    naive = Path(__file__).parents[1] / "clients/naive_client.py"

    done = run("--patience", "5", "--report", str(tmp_path), command=(sys.executable, str(naive)))

    assert done.returncode == 1
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    broken = {
        each["rule"]
        for case in results["cases"]
        for each in case["broken"]
        if each["keyword"] == "MUST"
    }
    assert len(broken) >= 10, broken


@pytest.mark.soak
@pytest.mark.parametrize("dialect", ["oddspapi", "polynode", "polymarket-us"])
def test_the_reference_client_is_ok_everywhere(dialect: str, tmp_path: Path) -> None:
    done = run("--dialect", dialect, "--report", str(tmp_path), command=REFERENCE)

    assert done.returncode == 0, done.stdout
