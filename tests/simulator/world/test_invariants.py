"""The table of invariants says where each is looked at, and the watches agree."""

import re
from pathlib import Path

import pytest

import lastseen_simulator.world as package
import list_invariants
from lastseen_simulator.world.invariants import INVARIANTS
from lastseen_simulator.world.plans import DRAWS

FOLDER = Path(package.__file__ or "").parent
SHARED = ("world", "calm")
"""They play every dialect, so what they import says nothing."""


def blamed(dialect: str) -> set[str]:
    """The invariants that the modules of a dialect blame, and those which they import."""
    waiting, met = [f"{dialect.replace('-', '_')}_world", *SHARED], set[str]()
    names = set[str]()
    while waiting:
        module = waiting.pop()
        if module in met:
            continue
        met.add(module)
        text = (FOLDER / f"{module}.py").read_text(encoding="utf-8")
        names |= set(re.findall(r'blame\(\s*"([SL][0-9]+)"', text))
        if module not in SHARED:
            waiting += re.findall(r"^from lastseen_simulator\.world\.(\w+) import", text, re.M)
    return names


@pytest.mark.parametrize("dialect", DRAWS)
def test_a_dialect_blames_what_the_table_says(dialect: str) -> None:
    assert blamed(dialect) == {name for name, each in INVARIANTS.items() if dialect in each.world}


def test_every_invariant_has_a_row_and_what_no_run_blames_has_a_reason() -> None:
    wanted = [*(f"S{number}" for number in range(1, 23)), *(f"L{number}" for number in range(1, 9))]

    assert list(INVARIANTS) == wanted
    assert [
        name for name, each in INVARIANTS.items() if len(each.world) < 3 and not each.note
    ] == []


def test_the_page_has_the_table() -> None:
    text = list_invariants.PAGE.read_text(encoding="utf-8")

    assert list_invariants.page(text) == text


@pytest.mark.parametrize("name", INVARIANTS)
def test_the_tests_that_are_named_exist(name: str) -> None:
    tests = Path(__file__).parents[2]
    folder = "protocol"
    for path in re.findall(r"`([\w/]+\.py)`", INVARIANTS[name].elsewhere):
        folder = path.rpartition("/")[0] or folder
        assert (tests / folder / path.rpartition("/")[2]).is_file(), path
