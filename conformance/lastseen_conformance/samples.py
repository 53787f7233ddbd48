"""The clients that come with the suite: what each is, how it is made ready, how it is run.

`python -m lastseen_conformance.samples node` installs what the client needs into a folder of its
own, plays the suite against it in every dialect that it speaks, and ends with the worst exit code.
A client whose toolchain is not there says so, counts as skipped and fails nothing.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final, final

import attrs
import click

from lastseen_conformance.cases import CASES

__all__ = ["SAMPLES", "MissingError", "Owner", "Sample", "main", "prepare", "results_folder"]

SOURCES: Final = Path(__file__).parent / "clients"
SEEDS_VARIABLE: Final = "LASTSEEN_SEEDS"
DEFAULT_FOLDER: Final = Path(sys.prefix) / "clients"

DIALECTS: Final = ("oddspapi", "polynode")
"""What each of them speaks."""

TEMPLATES: Final = frozenset(case.template for case in CASES.values())

LASTSEEN: Final = (
    sys.executable,
    "-c",
    "from lastseen_simulator.command import main; main()",
)


class MissingError(Exception):
    """A toolchain is not there; the text is its name."""


class Owner(Enum):
    """Whose a client is."""

    CORE = "our core"
    NOBODY = "shares nothing with our core"
    VENDOR = "the vendor's"


@final
@attrs.frozen(kw_only=True)
class Sample:
    """One client."""

    name: str
    title: str
    owner: Owner
    make: Callable[[Path], tuple[str, ...]]
    """Makes it ready in this folder and returns its command; raises `MissingError`."""
    folder: str
    """Of its sources."""
    suffixes: tuple[str, ...]
    dialects: tuple[str, ...] = DIALECTS
    left_out: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Templates that would be no fair judgement of it, and why."""
    every_case: bool = True
    """A client whose timers cannot be shrunk is played one case of each template."""

    def patterns(self, dialect: str) -> list[str]:
        """Which cases are played against it, as `--case` takes them; none is all."""
        if self.every_case:
            return []
        first: dict[str, str] = {}
        for case in CASES.values():
            if case.dialect == dialect and case.template not in self.left_out:
                first.setdefault(case.template, case.id)
        return list(first.values())

    @property
    def lines(self) -> int:
        """Of its sources, without blank ones."""
        files = [p for p in (SOURCES / self.folder).iterdir() if p.suffix in self.suffixes]
        return sum(bool(line.strip()) for p in files for line in p.read_text("utf-8").splitlines())


def _module(name: str) -> Callable[[Path], tuple[str, ...]]:
    def make(folder: Path) -> tuple[str, ...]:
        del folder
        if importlib.util.find_spec("websockets") is None:
            raise MissingError("websockets (a Python package)")
        return (sys.executable, "-m", f"lastseen_conformance.clients.{name}")

    return make


def _node(folder: Path) -> tuple[str, ...]:
    node, npm = _tool("node"), _tool("npm")
    changed = _copy("node", folder)
    if changed or not (folder / "node_modules").is_dir():
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], folder)
    return (node, str(folder / "client.js"))


def _go(folder: Path) -> tuple[str, ...]:
    go, program = _tool("go"), folder / "client"
    # Without cgo no C compiler is needed; the modules stay in this folder and can be deleted.
    settings = {"CGO_ENABLED": "0", "GOMODCACHE": str(folder / "modules")}
    flags = {"GOFLAGS": "-modcacherw -buildvcs=false", "GOTOOLCHAIN": "local"}
    _run([go, "build", "-o", str(program), "."], SOURCES / "go", {**settings, **flags})
    return (str(program),)


def _template(folder: Path) -> tuple[str, ...]:
    del folder
    pages = sorted(Path(os.environ.get(SEEDS_VARIABLE) or os.devnull).glob("003_*.txt"))
    if not pages:
        raise MissingError(f"page of the vendor: {SEEDS_VARIABLE} names the folder it is in")
    return (sys.executable, str(SOURCES / "vendors/oddspapi_template.py"), str(pages[0]))


def _sdk(folder: Path) -> tuple[str, ...]:
    del folder
    python = Path(sys.prefix) / "polynode-sdk/bin/python"
    if not python.exists():
        raise MissingError("polynode package: make sdk installs it")
    return (str(python), str(SOURCES / "vendors/polynode_sdk.py"))


SAMPLES: Final[Mapping[str, Sample]] = {
    sample.name: sample
    for sample in (
        Sample(
            name="asyncio",
            title="our core, driven by asyncio and `websockets`",
            owner=Owner.CORE,
            make=_module("asyncio_websockets"),
            folder="asyncio_websockets",
            suffixes=(".py",),
        ),
        Sample(
            name="python",
            title="Python: asyncio, `websockets` and the standard library",
            owner=Owner.NOBODY,
            make=_module("python"),
            folder="python",
            suffixes=(".py",),
        ),
        Sample(
            name="node",
            title="JavaScript: Node with `ws`",
            owner=Owner.NOBODY,
            make=_node,
            folder="node",
            suffixes=(".js",),
        ),
        Sample(
            name="go",
            title="Go: `gorilla/websocket` and the standard library",
            owner=Owner.NOBODY,
            make=_go,
            folder="go",
            suffixes=(".go",),
        ),
        Sample(
            name="oddspapi-template",
            title="OddsPapi's reconnect template, as its page has it",
            owner=Owner.VENDOR,
            make=_template,
            folder="vendors",
            suffixes=(),
            dialects=("oddspapi",),
            every_case=False,
            left_out={
                "oddspapi/alive/half-open": "its pings come every twenty seconds and wait as long",
                **dict.fromkeys(
                    (
                        template
                        for template in TEMPLATES
                        if template.startswith("oddspapi/snapshot/")
                    ),
                    "the fetch is its reader's",
                ),
            },
        ),
        Sample(
            name="polynode-sdk",
            title="PolyNode's package `polynode`, as PyPI has it",
            owner=Owner.VENDOR,
            make=_sdk,
            folder="vendors",
            suffixes=(),
            dialects=("polynode",),
            every_case=False,
            left_out={
                "polynode/alive/half-open": "its pings come every twenty seconds and wait as long",
            },
        ),
    )
}


def prepare(name: str, folder: Path = DEFAULT_FOLDER) -> tuple[str, ...]:
    """Makes a client ready below this folder and returns its command.

    Raises `MissingError` for a toolchain that is not there, and `CalledProcessError` for one that
    fails.
    """
    mine = folder / name
    mine.mkdir(parents=True, exist_ok=True)
    return SAMPLES[name].make(mine)


def results_folder(name: str, dialect: str, folder: Path = DEFAULT_FOLDER) -> Path:
    """Where a whole run leaves its report."""
    return folder / "results" / f"{name}-{dialect}"


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingError(name)
    return path


def _copy(source: str, folder: Path) -> bool:
    """Brings the sources there; True when what they depend on has changed."""
    lock = folder / "package-lock.json"
    before = lock.read_bytes() if lock.exists() else b""
    shutil.copytree(SOURCES / source, folder, dirs_exist_ok=True)
    return lock.read_bytes() != before


def _run(command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> None:
    environment = {**os.environ, **(more or {})}
    subprocess.run(command, cwd=folder, env=environment, check=True)


@click.command(epilog="Example: python -m lastseen_conformance.samples node --dialect polynode")
@click.argument("names", nargs=-1, type=click.Choice(tuple(SAMPLES)))
@click.option("--dialect", "dialects", multiple=True, type=click.Choice(DIALECTS))
@click.option("--case", "patterns", multiple=True, metavar="GLOB", help="Only such cases.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), default=DEFAULT_FOLDER)
@click.option("--quiet", is_flag=True, help="Only the summary of each run.")
def main(
    names: tuple[str, ...],
    dialects: tuple[str, ...],
    patterns: tuple[str, ...],
    into: Path,
    quiet: bool,
) -> None:
    """Play the suite against clients that come with it; all of them when none is named."""
    codes: list[int] = []
    skipped = 0
    for name in names or tuple(SAMPLES):
        try:
            command = prepare(name, into)
        except MissingError as missing:
            click.echo(f"skipped: no {missing}")
            skipped += 1
            continue
        except subprocess.CalledProcessError as error:
            raise click.ClickException(f"{name} could not be made: {error}") from error
        sample = SAMPLES[name]
        for dialect in [each for each in sample.dialects if each in (dialects or DIALECTS)]:
            click.echo(f"{name} speaks {dialect}")
            run = [*LASTSEEN, "conformance", "run", "--dialect", dialect]
            for pattern in patterns or sample.patterns(dialect):
                run += ["--case", pattern]
            if not patterns:
                run += ["--report", str(results_folder(name, dialect, into))]
            run += ["--quiet"] if quiet else []
            codes.append(subprocess.run([*run, "--", *command], check=False).returncode)
    click.echo(f"{len(codes)} runs, {sum(map(bool, codes))} not clean, {skipped} clients skipped")
    sys.exit(max(codes, default=0))


if __name__ == "__main__":
    main()
