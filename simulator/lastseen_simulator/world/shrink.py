"""The smallest plan that still fails: actions are left out, one part after another, then words.

Delta debugging on the list of actions: a part that is not needed is left out for good, and parts
become smaller until single actions are tried. A plan counts as failing alike when it breaks the
same invariant.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from lastseen.mechanisms import Mechanisms
from lastseen_simulator.world.outcome import Outcome
from lastseen_simulator.world.plan import Plan
from lastseen_simulator.world.world import play

__all__ = ["shrink"]

RUNS_MAX: Final = 1500
"""Plays of one shrinking; by far more than a plan of sixty actions takes."""

_NEEDED: Final = frozenset({"heartbeat_s"})
"""As it comes, it is rarer than clients of a plan have patience for."""

_CALM: Final[tuple[tuple[str, Any], ...]] = (
    ("jitter_s", 0.0),
    ("latency_s", 0.005),
    ("disk_s", 0.01),
)


def shrink(
    plan: Plan,
    *,
    mechanisms: Mechanisms | None = None,
    progress: Callable[[int, Plan], None] = lambda _, __: None,
) -> tuple[Plan, Outcome]:
    """The smallest plan found that breaks the same invariant, and what comes of it.

    A plan that does not fail comes back as it is. `progress` is told how many plays there were, and
    the smallest plan so far.
    """
    best, outcome = plan, play(plan, mechanisms=mechanisms)
    violation = outcome.violation
    if violation is None:
        return best, outcome
    invariant = violation.invariant
    runs, played = 0, set[str]()

    def fails(candidate: Plan) -> bool:
        nonlocal best, outcome, violation, runs
        told = candidate.to_json()
        if told in played:
            # The last round finds nothing to leave out, and most of it was tried before.
            return False
        played.add(told)
        runs += 1
        found = play(candidate, mechanisms=mechanisms)
        if found.violation is None or found.violation.invariant != invariant:
            return False
        best, outcome, violation = candidate, found, found.violation
        progress(runs, best)
        return True

    before = None
    while before != best and runs < RUNS_MAX:
        before = best
        if invariant != "L1":
            # What comes after the failure cannot matter.
            at = violation.at
            fails(attrs.evolve(best, actions=tuple(a for a in best.actions if a.at <= at)))
        _fewer_actions(lambda: best, fails)
        for simpler in _simpler(lambda: best):
            if runs < RUNS_MAX:
                fails(simpler)
    return best, outcome


def _fewer_actions(best: Callable[[], Plan], fails: Callable[[Plan], bool]) -> None:
    size = max(1, len(best().actions) // 2)
    while size >= 1:
        start = 0
        while start < len(best().actions):
            actions = best().actions
            left = (*actions[:start], *actions[start + size :])
            if not fails(attrs.evolve(best(), actions=left)):
                start += size
        size //= 2


def _simpler(best: Callable[[], Plan]) -> Iterator[Plan]:
    """Plans with calmer circumstances: nothing special is set, nothing happens more than once."""
    if best().clients > 1:
        # What befell the others befalls the one that is left.
        alone = tuple(attrs.evolve(each, client=0) for each in best().actions)
        yield attrs.evolve(best(), clients=1, actions=alone)
    for name, value in _CALM:
        if getattr(best(), name) != value:
            yield attrs.evolve(best(), **{name: value})
    for group in ("knobs", "options", "settings"):
        for name in list(getattr(best(), group)):
            values: dict[str, Any] = getattr(best(), group)
            rest: Any = {key: value for key, value in values.items() if key != name}
            if name in values and name not in _NEEDED:
                yield attrs.evolve(best(), **{group: rest})
    for index in range(len(best().actions)):
        if index < len(best().actions) and "times" in best().actions[index].values:
            actions = list(best().actions)
            values = {**actions[index].values, "times": 1}
            if values != actions[index].values:
                actions[index] = attrs.evolve(actions[index], values=values)
                yield attrs.evolve(best(), actions=tuple(actions))
    if best().permanent is not None:
        yield attrs.evolve(best(), permanent=None)
