"""The command over real sockets: exit codes, files, lists of known failures."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from processes import environment

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


def run(*arguments: str, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LASTSEEN, "conformance", "run", *arguments, "--", *command],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=600,
    )


def test_the_reference_client_is_ok_in_a_handful_of_cases(tmp_path: Path) -> None:
    chosen = ("login/cold", "demand/one-scores", "restart/killed-after-1-kept")
    globs = [word for name in chosen for word in ("--case", f"oddspapi/{name}")]

    done = run(*globs, "--report", str(tmp_path), command=REFERENCE)

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

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_reference_client_follows_polymarket_us() -> None:
    chosen = "polymarket-us/resume/refuses-inside-drop-copy"
    done = run("--dialect", "polymarket-us", "--case", chosen, command=REFERENCE)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_that_connects_and_does_nothing_fails(tmp_path: Path) -> None:
    client = tmp_path / "idle.py"
    client.write_text(IDLE, encoding="utf-8")

    done = run(
        "--case", "oddspapi/resume/*", "--patience", "4", command=(sys.executable, str(client))
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert "OK " not in done.stdout
    assert "op.login.first" in done.stdout
    assert "again: lastseen conformance run" in done.stdout


def test_a_program_that_never_connects_decides_nothing(tmp_path: Path) -> None:
    client = tmp_path / "never.py"
    client.write_text("import time; time.sleep(600)", encoding="utf-8")

    done = run(
        "--case", "oddspapi/matrix/*", "--patience", "1", command=(sys.executable, str(client))
    )

    assert done.returncode == 2, done.stdout + done.stderr
    assert "OK " not in done.stdout
    assert "not tried" in done.stdout


def test_a_program_that_ends_at_once_cannot_be_tested() -> None:
    done = run("--case", "oddspapi/login/*", command=("false",))

    assert done.returncode == 3, done.stdout + done.stderr
    assert "the client ended before it connected: exit code 1" in done.stdout


def test_known_failures_are_forgiven_and_stale_ones_are_not(tmp_path: Path) -> None:
    known = tmp_path / "known.toml"
    text = '[[case]]\nid = "oddspapi/login/cold"\nreason = "to do"\nuntil = {until}\n'
    known.write_text(text.format(until="2999-01-01"), encoding="utf-8")
    arguments = ("--case", "oddspapi/login/cold", "--known-failing", str(known))

    forgiven = run(*arguments, command=("false",))
    passing = run(*arguments, command=REFERENCE)
    known.write_text(text.format(until="2001-01-01"), encoding="utf-8")
    expired = run(*arguments, command=("false",))

    assert forgiven.returncode == 0, forgiven.stdout
    assert passing.returncode == 1
    assert "is listed as failing, and passes" in passing.stdout
    assert expired.returncode == 1
    assert "expired on 2001-01-01" in expired.stdout


def test_validate_explains_what_is_missing() -> None:
    good = subprocess.run(
        [LASTSEEN, "conformance", "validate", "--", *REFERENCE],
        capture_output=True, text=True, check=False, env=environment(), timeout=120,
    )  # fmt: skip
    bad = subprocess.run(
        [LASTSEEN, "conformance", "validate", "--", "false"],
        capture_output=True, text=True, check=False, env=environment(), timeout=120,
    )  # fmt: skip

    assert good.returncode == 0, good.stdout
    assert bad.returncode == 1
    assert "missing" in bad.stdout


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
