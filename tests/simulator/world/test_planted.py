"""Bugs planted in mechanisms: a few seeds find each, and its plan shrinks to a page."""

import pytest
from planted import PLANTED

from lastseen_simulator.world.plan import Plan
from lastseen_simulator.world.plans import draw
from lastseen_simulator.world.shrink import shrink
from lastseen_simulator.world.world import play

SEEDS = 60
ACTIONS_MAX = 20


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found_and_its_plan_shrinks(name: str) -> None:
    dialect, broken = PLANTED[name]
    plans = (draw(dialect, seed) for seed in range(SEEDS))
    failing = next(plan for plan in plans if play(plan, mechanisms=broken).violation)

    plan, outcome = shrink(failing, mechanisms=broken)

    assert outcome.violation is not None
    assert len(plan.actions) <= ACTIONS_MAX
    assert play(Plan.from_json(plan.to_json()), mechanisms=broken).digest == outcome.digest
    assert play(plan).violation is None
