"""The world in a box: one seed is one run, and what is planted is found, shrunk and replayed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lastseen_simulator.command import CommandError
from lastseen_simulator.command.simulate import simulate
from lastseen_simulator.world.plan import Plan, PlanError
from lastseen_simulator.world.plans import DRAWS, draw
from lastseen_simulator.world.sweep import sweep
from lastseen_simulator.world.world import play

PROGRAM = """
from lastseen_simulator.world.plans import DRAWS, draw
from lastseen_simulator.world.world import play
print(*(play(draw(dialect, seed)).digest for dialect in DRAWS for seed in (0, 1, 19)))
"""


def digests(hash_seed: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.split()


def test_the_same_seeds_give_the_same_runs_in_any_process() -> None:
    """INV-S18; in the last a client comes back with the bases of several fixtures, as a set."""
    here = [play(draw(dialect, seed)).digest for dialect in DRAWS for seed in (0, 1, 19)]

    assert digests("5") == digests("77") == here
    assert len(set(here)) == len(here)


@pytest.mark.parametrize("dialect", DRAWS)
def test_every_invariant_holds(dialect: str) -> None:
    outcomes = [play(draw(dialect, seed)) for seed in range(25)]

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


def spoiled(**members: Any) -> str:
    plan = Plan(dialect="oddspapi", seed=1, channels=("scores",), heal_at=3.0)
    return json.dumps({**json.loads(plan.to_json()), **members})


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"clients": 1_000_000}, "clients must be 1 to 16"),
        ({"clients": "two"}, "Expected `int`, got `str`"),
        ({"heal_at": 1e12}, "heal_at must be 0 to 3600"),
        ({"latency_s": -1.0}, "latency_s must be 0 to 3600"),
        ({"surprise": 1}, "unknown member surprise"),
        ({"actions": [{"at": 1.0, "what": "crash", "client": 1}]}, "there is no client 1"),
        ({"actions": [{"at": -1.0, "what": "crash"}]}, "at must be 0 to 3600"),
        ({"actions": [{"at": 1.0, "what": "crash", "who": 1}]}, "action 1: unknown member who"),
        (
            {"actions": [{"at": 1.0, "what": "publish", "values": {"times": 10**9}}]},
            "times must be 0 to 1000",
        ),
        (
            {"permanent": {"at": 1.0, "what": "stall", "values": {"seconds": "long"}}},
            "seconds must be 0 to 3600",
        ),
    ],
)
def test_a_plan_that_asks_for_too_much_is_refused(members: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        Plan.from_json(spoiled(**members))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"dialect": "morse"}, "no such dialect: morse"),
        ({"channels": ["nope"]}, "channel nope: .*no such channel"),
        ({"options": {"nope": 1}}, "options, knobs or settings: .*nope"),
        ({"knobs": {"nope": 1}}, "options, knobs or settings: .*nope"),
        ({"options": {"hold_items_max": -1}}, "options, knobs or settings: .*hold_items_max"),
        ({"actions": [{"at": 1.0, "what": "explode"}]}, "no such action: explode"),
        ({"permanent": {"at": 1.0, "what": "explode"}}, "no such action: explode"),
        ({"actions": [{"at": 1.0, "what": "publish"}]}, "action publish at 1.0: KeyError"),
        (
            {"actions": [{"at": 1.0, "what": "publish", "values": {"channel": "nope"}}]},
            "no such channel: nope",
        ),
        (
            {"actions": [{"at": 1.0, "what": "fault", "values": {"kind": "drop", "at": "x"}}]},
            "no such position: 'x'",
        ),
    ],
)
def test_a_plan_that_names_what_there_is_not_is_told_so(
    members: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(spoiled(**members))

    done = CliRunner().invoke(simulate, ["--replay", str(path)], standalone_mode=False)

    assert isinstance(done.exception, CommandError)
    assert done.exception.code == 2
    assert re.search(words, done.exception.format_message())


@pytest.mark.soak
@pytest.mark.parametrize("dialect", DRAWS)
def test_a_long_sweep_is_green_and_hits_every_mark(dialect: str) -> None:
    *_, total = sweep((dialect,), range(2000), jobs=2)

    assert [str(each.violation) for each in total.failures] == []
    assert total.missed == []
