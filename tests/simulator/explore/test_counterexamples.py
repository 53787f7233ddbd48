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


@pytest.mark.soak
@pytest.mark.parametrize(
    ("situation", "explored"),
    [
        pytest.param(situation, explored, id=f"{dialect}: {situation.name}")
        for dialect, explored in DIALECTS.items()
        for situation in explored.scopes["small"]
    ],
)
def test_a_client_with_all_rules_never_goes_wrong(situation: object, explored: Explored) -> None:
    small = tuple(each for each in explored.scopes["small"] if each is situation)
    search = Search(explored.world(small))
    assert search.run() is None
    assert search.progress.complete
