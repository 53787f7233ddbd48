"""The world in a box: one seed is one run, and what is planted is found, shrunk and replayed."""

import os
import subprocess
import sys

import pytest

from lastseen import SessionOptions
from lastseen.mechanisms import Mechanisms
from lastseen_simulator.broken import WITHOUT
from lastseen_simulator.world.plan import Plan, PlanError
from lastseen_simulator.world.plans import DRAWS, draw
from lastseen_simulator.world.shrink import shrink
from lastseen_simulator.world.world import World, play

PROGRAM = """
from lastseen_simulator.world.plans import draw
from lastseen_simulator.world.world import play
print(*(play(draw({dialect!r}, seed)).digest for seed in range({seeds})))
"""


def digests(dialect: str, seeds: int, hash_seed: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(dialect=dialect, seeds=seeds)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.split()


@pytest.mark.parametrize("dialect", DRAWS)
def test_the_same_seeds_give_the_same_runs_in_any_process(dialect: str) -> None:
    here = [play(draw(dialect, seed)).digest for seed in range(2)]

    assert digests(dialect, 2, "1") == digests(dialect, 2, "2") == here
    assert len(set(here)) == len(here)


@pytest.mark.parametrize("dialect", DRAWS)
def test_every_invariant_holds(dialect: str) -> None:
    outcomes = [play(draw(dialect, seed)) for seed in range(20)]

    assert [str(each.violation) for each in outcomes if each.violation is not None] == []
    assert all(each.recovered_s is not None for each in outcomes)


def test_a_plan_survives_being_written_down() -> None:
    plan = draw("oddspapi", 7)

    read = Plan.from_json(plan.to_json())

    assert read.to_json() == plan.to_json()
    assert play(read).digest == play(plan).digest


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema":"lastseen.plan/1","what":1}'])
def test_what_is_no_plan_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(PlanError, match=r"not a plan: .+"):
        Plan.from_json(text)


PLANTED = {"R1": "S4", "R4": "S1", "R5": "S3", "R12": "S14"}


@pytest.mark.parametrize("rule", PLANTED)
def test_a_broken_mechanism_is_found_and_its_plan_shrinks(rule: str) -> None:
    broken = WITHOUT[rule]
    seed = next(
        seed for seed in range(40) if play(draw("oddspapi", seed), mechanisms=broken).violation
    )

    plan, outcome = shrink(draw("oddspapi", seed), mechanisms=broken)

    assert outcome.violation is not None
    assert outcome.violation.invariant == PLANTED[rule]
    assert len(plan.actions) <= 20
    again = World(Plan.from_json(plan.to_json()), broken)
    assert again.run().violation == outcome.violation
    assert play(plan, mechanisms=Mechanisms()).violation is None
    SessionOptions(**plan.options)
