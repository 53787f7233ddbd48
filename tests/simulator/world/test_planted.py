"""Bugs planted in mechanisms: a few seeds find each, and its plan shrinks to a page."""

import pytest
from planted import PLANTED

from lastseen_simulator.broken import WITHOUT
from lastseen_simulator.world.plan import Plan
from lastseen_simulator.world.plans import draw
from lastseen_simulator.world.shrink import shrink
from lastseen_simulator.world.world import play

SEEDS = 100
RARE = {
    "asks wait for ever": 466,
    "cursor without its state": 253,
    "failed commit forgotten": 183,
    "held without a cap": 235,
    "one execution remembered": 180,
    "token resumed in vain": 292,
    "units go back": 281,
}
"""What a hundred seeds need not find, by the first seed that does; a sweep has two thousand."""

ACTIONS_MAX = 20


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found_and_its_plan_shrinks(name: str) -> None:
    dialect, broken = PLANTED[name]
    first = RARE.get(name, 0)
    plans = (draw(dialect, seed) for seed in range(first, first + SEEDS))
    failing = next(plan for plan in plans if play(plan, mechanisms=broken).violation)

    plan, outcome = shrink(failing, mechanisms=broken)

    assert outcome.violation is not None
    assert len(plan.actions) <= ACTIONS_MAX
    assert play(Plan.from_json(plan.to_json()), mechanisms=broken).digest == outcome.digest
    assert play(plan).violation is None


def test_a_plan_of_two_clients_shrinks_to_one() -> None:
    """Seed 50: the second client is the one that goes wrong, and what befalls it is its own."""
    broken = WITHOUT["R5"]
    failing = draw("oddspapi", 50)
    assert failing.clients == 2
    assert {"reject", "resync"} <= {each.what for each in failing.actions if each.client == 1}

    plan, outcome = shrink(failing, mechanisms=broken)

    assert outcome.violation is not None
    assert (plan.clients, {action.client for action in plan.actions}) == (1, {0})
    assert play(plan, mechanisms=broken).digest == outcome.digest
