"""Steps of the world in a box per second, as a ratio to the bare event loop in the same run.

The peer is what any discrete-event simulation has to do at least: pop the next thing that is due
from a heap, call it, and push another. A step of ours is the same, with a real session, a real
gateway, a network and a disk behind it, and every invariant looked at after it.

Two loads for each dialect. `hostile` is what sweeps play: many faults, few entries, and much of the
time goes into beginning and recovering. `busy` is one quiet connection with entries in a row, which
says what an entry costs with the invariants on; `of that watching` is the share of its time spent
in the watches. Rounds run each variant once in shuffled order, and the median of the in-round
ratios counts. Run it with `python tests/benchmarks/world.py`.
"""

import cProfile
import gc
import heapq
import pstats
import random
import statistics
import time
from collections.abc import Callable
from functools import partial

import attrs

from lastseen.mechanisms import Mechanisms
from lastseen_simulator.world.plan import Action, Plan
from lastseen_simulator.world.plans import DRAWS, draw
from lastseen_simulator.world.world import World

ROUNDS = 5
SEEDS = 10
BURSTS = 40
ENTRIES = 25
CHANNELS = {"oddspapi": "scores", "polynode": "settlement", "polymarket-us": "orders"}
PRESETS = {"oddspapi": "scores", "polynode": "settlements", "polymarket-us": "orders"}

Run = Callable[[], tuple[int, int]]
"""Plays something; returns steps and protocol events."""


def bare(steps: int = 50_000) -> tuple[int, int]:
    """The event loop that does nothing."""
    due: list[tuple[float, int, Callable[[], None]]] = []
    count = 0

    def act() -> None:
        nonlocal count
        count += 1
        heapq.heappush(due, (now + 1.0, count, act))

    now = 0.0
    for _ in range(10):
        act()
    for _ in range(steps):
        now, _, call = heapq.heappop(due)
        call()
    return steps, steps


def busy_plan(dialect: str) -> Plan:
    """Entries in a row on one connection, and nothing else."""
    values = {"channel": CHANNELS[dialect], "times": ENTRIES}
    actions = tuple(
        Action(at=round(1.0 + number * 0.2, 3), what="publish", values=values)
        for number in range(BURSTS)
    )
    plan = Plan(
        dialect=dialect,
        seed=1,
        channels=(PRESETS[dialect],),
        heal_at=1.0 + BURSTS * 0.2,
        actions=actions,
    )
    if dialect == "polynode":
        return attrs.evolve(plan, options={"pending_timeout_s": 0.5})
    return plan


def played(plan: Plan) -> tuple[int, int]:
    world = World(plan, Mechanisms())
    outcome = world.run()
    assert outcome.violation is None, outcome.violation
    return outcome.steps, outcome.events + sum(outcome.verdicts.values())


def hostile(dialect: str) -> tuple[int, int]:
    played_ = [played(draw(dialect, seed)) for seed in range(SEEDS)]
    return sum(steps for steps, _ in played_), sum(events for _, events in played_)


def watching_share(dialect: str) -> float:
    """The part of a busy run that is spent in the watches, going by the profiler."""
    profile = cProfile.Profile()
    profile.runcall(played, busy_plan(dialect))
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    watches = ("_watch.py", "_cursors.py", "_marks.py", "_frames.py", "watching.py", "ledger.py")
    ours = sum(row[2] for key, row in stats.items() if key[0].endswith(watches))
    return float(ours / sum(row[2] for row in stats.values()))


def measure(runs: dict[str, Run]) -> dict[str, list[tuple[float, float]]]:
    """Steps and events a second of each variant, round by round."""
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(ROUNDS):
        order = list(runs)
        random.Random(number).shuffle(order)
        for name in order:
            gc.collect()
            began = time.process_time()
            steps, events = runs[name]()
            took = time.process_time() - began
            rates[name].append((steps / took, events / took))
    return rates


def main() -> None:
    runs: dict[str, Run] = {"bare loop": bare}
    for dialect in DRAWS:
        runs[f"{dialect} busy"] = partial(played, busy_plan(dialect))
        runs[f"{dialect} hostile"] = partial(hostile, dialect)
    rates = measure(runs)
    base = [steps for steps, _ in rates["bare loop"]]
    print(f"{'variant':<24}{'steps/s':>12}{'of bare':>10}{'events/s':>12}")
    for name, each in rates.items():
        steps = statistics.median(rate for rate, _ in each)
        events = statistics.median(rate for _, rate in each)
        ratio = statistics.median(rate / bare_ for (rate, _), bare_ in zip(each, base, strict=True))
        print(f"{name:<24}{steps:>12,.0f}{ratio:>10.4f}{events:>12,.0f}")
    for dialect in DRAWS:
        print(f"{dialect}: {watching_share(dialect):.0%} of a busy run is watching")


if __name__ == "__main__":
    main()
