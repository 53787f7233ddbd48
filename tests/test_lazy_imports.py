"""What is imported when: a program pays for what it uses, and every public name is there."""

import ast
import importlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastseen.dialects.oddspapi import DEFAULT_CHANNELS
from lastseen.lazy_names import lazy_names

PACKAGES = ("lastseen", "lastseen.dialects.oddspapi", "lastseen_trio")
DIALECTS = {
    "oddspapi": "lastseen.dialects.oddspapi",
    "polynode": "lastseen.dialects.polynode",
    "polymarket-us": "lastseen.dialects.polymarket_us",
}


def loaded_by(program: str, *arguments: str) -> set[str]:
    """The modules that are loaded when a program has ended, in an interpreter of its own."""
    code = f"import sys\ntry:\n    {program}\nfinally:\n    print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
    )
    return set(run.stdout.split())


def typed_imports(package: str) -> Iterator[tuple[str, str]]:
    """Module and name of what a checker sees in a package."""
    path = importlib.import_module(package).__file__
    assert path is not None
    for node in ast.walk(ast.parse(Path(path).read_text("utf-8"))):
        if isinstance(node, ast.If):
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                assert statement.module is not None
                yield from ((statement.module, alias.name) for alias in statement.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_loaded_on_demand_is_what_checkers_see(package: str) -> None:
    module = importlib.import_module(package)
    typed = {name: home for home, name in typed_imports(package)}

    assert set(typed) == set(module.__all__)
    for name, home in typed.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)
        assert name in dir(module)


def test_a_name_that_no_module_defines_is_missed_as_in_any_module() -> None:
    load, listed = lazy_names("lastseen", {"secret": "Secret"})

    with pytest.raises(AttributeError, match="module 'lastseen' has no attribute 'Sekret'"):
        load("Sekret")
    assert "Secret" in listed()
    with pytest.raises(ImportError, match="Sekret"):
        exec("from lastseen import Sekret")


def test_importing_the_packages_loads_no_dialect_and_no_adapter() -> None:
    core, adapters = loaded_by("import lastseen"), loaded_by("import lastseen_trio")

    assert "lastseen" in core
    assert not [name for name in core if name.startswith(("lastseen.dialects", "lastseen_trio"))]
    assert "lastseen_trio" in adapters
    assert not [name for name in adapters if name.startswith("lastseen.dialects")]
    assert "trio" not in adapters


def test_a_gateway_loads_the_wire_and_no_client() -> None:
    loaded = loaded_by("import lastseen_simulator.gateway.core")

    assert "lastseen.dialects.oddspapi.wire" in loaded
    assert not loaded & {"lastseen.dialects.oddspapi.dialect", "lastseen.dialects.oddspapi.codec"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_tail_loads_the_dialect_it_speaks_and_nothing_that_draws(dialect: str) -> None:
    scheme = "http" if dialect == "polymarket-us" else "ws"
    with socket.socket() as deaf:
        # Bound and not listening: whoever connects is refused.
        deaf.bind(("127.0.0.1", 0))
        loaded = loaded_by(
            "from lastseen_simulator.command import main; main()",
            *("tail", f"{scheme}://127.0.0.1:{deaf.getsockname()[1]}", "--dialect", dialect),
            *("--json", "--attempts", "1"),
        )

    assert {package for package in DIALECTS.values() if package in loaded} == {DIALECTS[dialect]}
    assert "lastseen_trio.driver" in loaded
    assert not [name for name in loaded if name.partition(".")[0] == "rich"]


def test_a_tail_asks_for_what_a_subscription_asks_for() -> None:
    tail = importlib.import_module("lastseen_simulator.command.tail")
    (channels,) = (option for option in tail.tail.params if option.name == "channels")

    assert f"[default: {','.join(DEFAULT_CHANNELS)};" in channels.help
