"""The house rules that a machine can judge."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "lastseen": ROOT / "protocol/lastseen",
    "lastseen_trio": ROOT / "protocol/lastseen_trio",
    "lastseen_simulator": ROOT / "simulator/lastseen_simulator",
    "lastseen_conformance": ROOT / "conformance/lastseen_conformance",
}
CORE_MAY_IMPORT = {
    "attrs", "msgspec", "lastseen",
    "collections", "decimal", "enum", "functools", "hashlib", "heapq", "importlib",
    "itertools", "math", "operator", "types", "typing", "zlib",
}  # fmt: skip
"""Beside its two dependencies only the quiet corners of the standard library."""

LOUD = {
    "asyncio", "trio", "anyio", "socket", "_socket", "ssl", "_ssl", "selectors", "select",
    "subprocess", "multiprocessing", "logging", "random", "secrets", "uuid", "http", "urllib",
}  # fmt: skip
"""What importing the core must not load, not even by way of something else."""

LINES_MAX = 500
_UNFINISHED = ("TO" + "DO", "FIX" + "ME", "XX" + "X")


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """The top-level packages a module imports, and how many dots it used."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], 0
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0], node.level


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    listed = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert listed == {
        "protocol", "simulator", "conformance", "tests", "docs",
        "pyproject.toml", "README.md", "Makefile", "LICENSE",
    }  # fmt: skip


@pytest.mark.parametrize("path", list(modules("protocol/lastseen")), ids=lambda path: path.name)
def test_the_core_imports_only_quiet_things(path: Path) -> None:
    assert {name for name, _ in imports(path)} <= CORE_MAY_IMPORT


def test_importing_the_core_loads_nothing_loud() -> None:
    program = (
        "import sys; before = set(sys.modules); from lastseen import *; "
        "import lastseen.dialects.oddspapi, lastseen.dialects.polynode; "
        "print(*sorted(set(sys.modules) - before))"
    )
    # -S and -I: what site and the environment load is not ours to answer for.
    paths = [str(ROOT / "protocol"), *(path for path in sys.path if "site-packages" in path)]
    code = f"import sys; sys.path += {paths!r}; {program}"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in run.stdout.split()}

    assert "lastseen" in loaded
    assert loaded & (LOUD - loaded_by_dependencies(paths)) == set()


def loaded_by_dependencies(paths: list[str]) -> set[str]:
    """What attrs and msgspec load by themselves."""
    code = f"import sys; sys.path += {paths!r}; import attrs, msgspec; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in run.stdout.split()}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_too_long(package: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in PACKAGES[package].rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX
    }

    assert long == {}


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in modules("protocol", "simulator", "conformance", "tests", "docs")
        for word in _UNFINISHED
        if word in path.read_text(encoding="utf-8")
    ]

    assert found == []


def test_packages_import_only_downwards() -> None:
    order = list(PACKAGES)
    for height, package in enumerate(order):
        above = set(order[height + 1 :])
        for path in PACKAGES[package].rglob("*.py"):
            assert not above & {name for name, _ in imports(path)}, path


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_that_is_exported_exists_and_once(package: str) -> None:
    for path in PACKAGES[package].rglob("*.py"):
        parts = path.relative_to(PACKAGES[package].parent).with_suffix("").parts
        if parts[-1] == "__main__" or "clients" in parts:
            continue  # programs, which do what they do when they are imported
        module = importlib.import_module(".".join(p for p in parts if p != "__init__"))
        names = getattr(module, "__all__", [])
        assert len(names) == len(set(names)), path
        assert not [name for name in names if not hasattr(module, name)], path


def test_the_public_names_are_few_enough_for_a_screen_and_documented() -> None:
    lastseen = importlib.import_module("lastseen")
    undocumented = [
        name for name in lastseen.__all__
        if isinstance(value := getattr(lastseen, name), type) and not value.__doc__
    ]  # fmt: skip

    assert undocumented == []


def test_the_pictures_of_the_states_are_in_step_with_the_tables() -> None:
    draw_states = importlib.import_module("draw_states")

    assert draw_states.main(["--check"]) == 0


def test_a_picture_out_of_step_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_states = importlib.import_module("draw_states")
    monkeypatch.setattr(draw_states, "REFERENCE", tmp_path)

    assert draw_states.main(["--check"]) == 1
    assert "states.md" in capsys.readouterr().err
    assert draw_states.main([]) == 0
    assert draw_states.main(["--check"]) == 0
