"""What a stranger has who installs the wheel: a project of its own, outside this repository."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from processes import environment

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/use-the-gateway-in-your-tests.md"
STYLES = {"plain": "In plain Python", "asyncio": "In asyncio", "trio": "In trio"}

BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]

PATIENCE_S = 600.0
"""How long a package index may take to serve a dozen packages."""


def pip(python: str | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs pip as its user has set it up, asking each question once."""
    return subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", "--retries", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel; skips when what builds it cannot be had."""
    folder = tmp_path_factory.mktemp("wheel")
    asked = pip(
        sys.executable,
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        *BUILD["requires"],
    )
    if asked.returncode != 0:
        pytest.skip("no package index")
    dist = folder / "dist"
    built = pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(dist), str(ROOT))
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = dist.glob("lastseen-*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, pytest, a WebSocket client, no more."""
    folder = tmp_path_factory.mktemp("environment")
    bare = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(bare, check=True, timeout=PATIENCE_S)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    locks = [ROOT / ".ci" / name for name in ("lock-run.txt", "lock-dev.txt")]
    pinned = [line for lock in locks for line in lock.read_text().splitlines() if "[" not in line]
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pinned) + "\n")
    wanted = [f"lastseen[pytest] @ {wheel.as_uri()}", "websockets"]
    options = ("--quiet", "--no-compile", "--constraint", str(constraints))
    done = pip(sys.executable, "--python", str(python), "install", *options, *wanted)
    assert done.returncode == 0, done.stdout + done.stderr
    return python


def test_the_examples_run_in_a_project_that_has_only_the_wheel(
    python: Path, tmp_path: Path
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, title in STYLES.items():
        section = page.partition(f"### {title}\n")[2].partition("\n#")[0]
        (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        (tmp_path / f"test_{name}.py").write_text(example)
    run = subprocess.run(
        [str(python), "-m", "pytest", "-v", "-W", "error", "--strict-markers", str(tmp_path)],
        cwd=tmp_path,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"=+ 3 passed in ", run.stdout)
    assert "plugins: lastseen-" in run.stdout


def test_nothing_of_this_repository_is_in_that_environment(python: Path, tmp_path: Path) -> None:
    code = (
        "import lastseen, lastseen_trio, lastseen_simulator.running as running, sys;"
        "print(lastseen.__file__, running.__file__, *sys.path, sep='\\n')"
    )
    told = subprocess.run(
        [str(python), "-c", code],
        cwd=tmp_path,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    ).stdout

    assert str(python.parents[1]) in told.splitlines()[0]
    assert str(ROOT) + os.sep not in told.replace(str(python.parents[1]), "")


def bare_environment() -> dict[str, str]:
    """This environment without what points Python or pytest somewhere."""
    return {
        name: value
        for name, value in environment().items()
        if not name.startswith(("PYTHON", "PYTEST", "COV", "VIRTUAL_ENV"))
    }
