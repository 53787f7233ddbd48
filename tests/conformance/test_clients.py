"""The clients that come with the suite, as programs, in a handful of cases each."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from processes import environment

from lastseen_conformance.cases import CASES
from lastseen_conformance.drivers.sockets import Target, run_over_sockets
from lastseen_conformance.samples import SAMPLES, SOURCES, MissingError, Owner, prepare
from lastseen_conformance.suite import run_suite
from lastseen_conformance.verdicts import Verdict

OURS = [sample.name for sample in SAMPLES.values() if sample.owner is not Owner.VENDOR]
CHOSEN = (
    "oddspapi/resume/replayed-after-drop",
    "oddspapi/restart/after-a-demand",
    "polynode/item/late",
    "polynode/cut/second/inside-snapshot-drop",
)


@pytest.mark.parametrize("name", OURS)
async def test_a_client_is_ok_over_sockets(name: str) -> None:
    try:
        command = await trio.to_thread.run_sync(prepare, name)
    except MissingError as missing:
        pytest.skip(f"skipped: no {missing}")
    cases = [CASES[name] for name in CHOSEN]

    done = await run_suite(
        cases,
        Target(command=command, reported=True),
        mode="reported",
        jobs=4,
        watch=lambda *_: None,
    )

    assert {r.case.id: (r.verdict, r.reason) for r in done.results} == dict.fromkeys(
        CHOSEN, (Verdict.OK, "")
    )


def test_the_core_on_asyncio_needs_no_trio() -> None:
    program = (
        "import sys; sys.modules['trio'] = None; "
        "import lastseen_conformance.clients.asyncio_websockets.driver; "
        "import lastseen_conformance.clients.asyncio_websockets.keeping; "
        "assert not [name for name in sys.modules if name.startswith('lastseen_trio')]"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, env=environment())

    assert done.returncode == 0


def test_the_driver_of_the_core_stays_small() -> None:
    driver = SOURCES / "asyncio_websockets/driver.py"

    assert len(driver.read_text(encoding="utf-8").splitlines()) <= 200


def test_the_independent_client_shares_nothing_with_our_core() -> None:
    own = "lastseen_conformance.clients.python"
    for file in (SOURCES / "python").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            named += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            ours = [name for name in named if name.startswith("lastseen")]
            assert all(name.startswith(own) for name in ours), (file.name, ours)


def test_a_missing_toolchain_is_skipped_and_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lastseen_conformance.samples", "go", "--into", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(PATH=str(tmp_path)),
    )

    assert done.returncode == 0, done.stderr
    assert "skipped: no go" in done.stdout
    assert "1 clients skipped" in done.stdout


def test_lock_files_name_no_host() -> None:
    assert "://" not in (SOURCES / "node/package-lock.json").read_text(encoding="utf-8")


@pytest.mark.soak
@pytest.mark.parametrize("name", OURS)
def test_a_client_is_ok_everywhere(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lastseen_conformance.samples", name, "--into", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "case", "rule"),
    [
        (
            "oddspapi-template",
            "oddspapi/resume/epoch-changed-before-verdict",
            "op.resume.cursor-of-epoch",
        ),
        ("polynode-sdk", "polynode/connect/refuse", "pn.subscribe.again"),
    ],
)
async def test_a_vendors_client_breaks_what_the_page_says(name: str, case: str, rule: str) -> None:
    try:
        command = prepare(name)
    except MissingError as missing:
        pytest.skip(f"skipped: no {missing}")

    result = await run_over_sockets(CASES[case], Target(command=command, reported=False))

    assert rule in {finding.rule for finding in result.broken}
