"""Each rule is there for a reason: without it, a schedule of a few steps goes wrong."""

import pytest

import list_counterexamples
from lastseen_simulator.explore.dialects import DIALECTS, Explored
from lastseen_simulator.explore.search import Search

PAGE = list_counterexamples.PAGE.read_text(encoding="utf-8")

LONG = {"R2", "R3", "R8"}
"""Rules whose shortest counterexample has a great many states before it."""

RULES = [
    pytest.param(
        explored,
        rule,
        id=f"{dialect}-{rule}",
        marks=[pytest.mark.soak] if rule in LONG else [],
    )
    for dialect, explored in DIALECTS.items()
    for rule in explored.shown_in
]


@pytest.mark.parametrize(("explored", "rule"), RULES)
def test_the_page_says_how_soon_a_client_without_a_rule_goes_wrong(
    explored: Explored, rule: str
) -> None:
    assert list_counterexamples.row(explored, rule) in PAGE.splitlines()


LEAST = {"oddspapi": 200_000, "polymarket-us": 200_000, "polynode": 100}
"""Distinct states of each small scope."""


@pytest.mark.soak
@pytest.mark.parametrize("dialect", LEAST)
def test_a_client_with_all_rules_never_goes_wrong(dialect: str) -> None:
    explored = DIALECTS[dialect]
    search = Search(explored.world(explored.scopes["small"]))
    assert search.run() is None
    assert search.progress.complete
    assert search.progress.states >= LEAST[dialect]
