"""The clients that come with the suite, as programs, in a handful of cases each."""

import subprocess
import sys
from pathlib import Path

import pytest
from processes import environment

LASTSEEN = str(Path(sys.executable).with_name("lastseen"))
ON_ASYNCIO = (sys.executable, "-m", "lastseen_conformance.clients.asyncio_websockets")


def verdict(dialect: str, cases: tuple[str, ...], command: tuple[str, ...]) -> None:
    globs = [word for case in cases for word in ("--case", f"{dialect}/{case}")]
    done = subprocess.run(
        [LASTSEEN, "conformance", "run", "--dialect", dialect, *globs, "--", *command],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(cases)} OK" in done.stdout


@pytest.mark.parametrize(
    ("dialect", "cases"),
    [
        ("oddspapi", ("resume/replayed-after-drop", "demand/one-scores", "restart/mid-replay")),
        ("polynode", ("item/confirmed", "connect/closed-1011")),
    ],
)
def test_the_core_runs_on_asyncio(dialect: str, cases: tuple[str, ...]) -> None:
    verdict(dialect, cases, ON_ASYNCIO)


def test_the_core_on_asyncio_needs_no_trio() -> None:
    program = (
        "import sys; sys.modules['trio'] = None; "
        "import lastseen_conformance.clients.asyncio_websockets.driver; "
        "import lastseen_conformance.clients.asyncio_websockets.keeping; "
        "assert not [name for name in sys.modules if name.startswith('lastseen_trio')]"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, env=environment())

    assert done.returncode == 0


def test_the_driver_stays_small() -> None:
    import lastseen_conformance.clients

    driver = Path(lastseen_conformance.clients.__file__).parent / "asyncio_websockets/driver.py"

    assert len(driver.read_text(encoding="utf-8").splitlines()) <= 200
