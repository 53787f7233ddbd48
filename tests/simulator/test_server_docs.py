"""The pages about the gateway say what the code does."""

import re
from pathlib import Path

import click
import pytest

from lastseen_simulator import control
from lastseen_simulator.command.gateway import gateway
from lastseen_simulator.faults import CHUNK_VIOLATIONS, KINDS, VIOLATIONS, Fault, load_faults
from lastseen_simulator.positions import parse_position
from lastseen_simulator.profiles import POLYMARKET_US_PROFILES, POLYNODE_PROFILES, PROFILES

DOCS = Path(__file__).parents[2] / "docs"
FAULTS = (DOCS / "reference/faults.md").read_text()
CONTROL = (DOCS / "reference/control-api.md").read_text()
HOW_TO = (DOCS / "how-to/run-the-gateway.md").read_text()


def section(page: str, title: str) -> str:
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_has_a_row_with_what_it_does_and_takes(kind: str) -> None:
    (row,) = re.findall(rf"^\| `{kind}` \|.*$", section(FAULTS, "Kinds"), re.MULTILINE)
    _, _, does, _, parameters, _ = row.split("|")

    assert does.strip() == KINDS[kind].does
    assert re.findall(r"`(\w+)`", parameters) == list(KINDS[kind].takes)
    assert re.findall(r"\*\*`(\w+)`\*\*", parameters) == list(KINDS[kind].needs)


def test_every_parameter_and_violation_is_explained() -> None:
    kinds = section(FAULTS, "Kinds")
    for kind in KINDS.values():
        for name in kind.takes:
            assert f"`{name}`" in kinds
    for name in (*VIOLATIONS, *CHUNK_VIOLATIONS):
        assert f"`{name}`" in kinds


def test_every_position_on_the_page_is_one() -> None:
    rows = re.findall(r"^\| (`.*?) \|", section(FAULTS, "Positions"), re.MULTILINE)
    positions = [text for row in rows for text in re.findall(r"`([^`]+)`", row)]

    assert len(positions) > 15
    for text in positions:
        parse_position(text)


def test_every_profile_is_on_the_page_with_its_size() -> None:
    pattern = r"^\| `(\w+)` \| (\d+) \| (\d+) \| (\d+) \|"
    rows = re.findall(pattern, section(FAULTS, "Profiles"), re.MULTILINE)

    assert {name: tuple(map(int, sizes)) for name, *sizes in rows} == {
        name: (len(faults), len(POLYNODE_PROFILES[name]), len(POLYMARKET_US_PROFILES[name]))
        for name, faults in PROFILES.items()
    }


@pytest.mark.parametrize("page", [FAULTS, HOW_TO], ids=["faults", "how-to"])
def test_the_toml_on_a_page_is_a_fault_file(page: str) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)

    assert blocks
    for block in blocks:
        assert all(isinstance(fault, Fault) for fault in load_faults(block))


def test_every_endpoint_is_on_the_page_with_its_method() -> None:
    rows = re.findall(r"^\| `(GET|POST) ([a-z/]+)` \|", CONTROL, re.MULTILINE)

    assert {name: method for method, name in rows} == control.METHODS


def test_every_option_of_the_command_is_on_the_page() -> None:
    rows = set(re.findall(r"^\| `(--[a-z-]+)` \|", HOW_TO, re.MULTILINE))
    options = {option.opts[0] for option in gateway.params if isinstance(option, click.Option)}

    # --allow-remote is explained with --host.
    assert rows == options - {"--allow-remote"}
