"""Breadth first over all states, so that the first violation found is a shortest one."""

import time
from collections.abc import Callable, Iterator
from typing import Final, final

import attrs

from lastseen_simulator.explore.worlds import Action, State, Step, World

__all__ = ["Finding", "Progress", "Search"]

FAIR_STEPS_MAX: Final = 1000
"""A fault-free schedule that has not converged after so many steps never will."""

_REPORT_EVERY: Final = 1000


@final
@attrs.frozen(kw_only=True)
class Finding:
    """A violation and the shortest schedule that leads to it, from one situation's beginning."""

    situation: str
    steps: tuple[Step, ...]
    root: State
    problems: tuple[str, ...]


@final
@attrs.define
class Progress:
    """How far a search has come; `seconds` of processor time."""

    states: int = 0
    transitions: int = 0
    depth: int = 0
    frontier: int = 0
    seconds: float = 0.0
    converged: int = 0
    longest_recovery: int = 0
    complete: bool = False

    @property
    def rate(self) -> float:
        """Distinct states a second."""
        return self.states / self.seconds if self.seconds else 0.0


@final
class Search:
    """One search. `run` may be interrupted by whatever `report` raises; `progress` stays true."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.progress = Progress()
        self._parents: dict[State, tuple[State, Action] | None] = {}
        self._recovers: dict[State, int] = {}
        self._began = 0.0

    def run(
        self,
        report: Callable[[Progress], None] = lambda _: None,
        *,
        states_max: int | None = None,
    ) -> Finding | None:
        """Looks at every state; ends at the first violation, or when there are no more states."""
        self._began = time.process_time()
        level: list[State] = []
        for root in self.world.roots():
            if root not in self._parents:
                self._parents[root] = None
                level.append(root)
                if found := self._never_recovers(root):
                    return self._finding(root, None, found)
        while level:
            following: list[State] = []
            for index, state in enumerate(level):
                for step in self.world.steps(state):
                    self.progress.transitions += 1
                    if step.problems:
                        return self._finding(state, step, step.problems)
                    if step.state in self._parents:
                        continue
                    self._parents[step.state] = state, step.action
                    following.append(step.state)
                    if problem := self._never_recovers(step.state):
                        return self._finding(state, step, problem)
                if index % _REPORT_EVERY == 0:
                    self._note(len(level) - index + len(following))
                    report(self.progress)
                    if states_max is not None and len(self._parents) >= states_max:
                        return None
            self.progress.depth += bool(following)
            level = following
        self._note(0)
        self.progress.complete = True
        return None

    def stop(self) -> None:
        """After an interruption: brings `progress` up to date."""
        self._note(self.progress.frontier)

    def _note(self, frontier: int) -> None:
        progress = self.progress
        progress.states = len(self._parents)
        progress.frontier = frontier
        progress.seconds = time.process_time() - self._began
        progress.converged = len(self._recovers)

    def _never_recovers(self, state: State) -> tuple[str, ...]:
        """Follows the fault-free schedule until it meets a state that is known to recover."""
        recovers, path = self._recovers, list[State]()
        met: set[State] = set()
        while (known := recovers.get(state)) is None:
            if self.world.is_converged(state):
                known = recovers[state] = 0
                break
            if state in met or len(path) > FAIR_STEPS_MAX:
                return ("INV-L1: without any further fault this never comes to rest in sync",)
            path.append(state)
            met.add(state)
            step = self.world.fair_step(state)
            if step is None:
                return ("INV-S20: nothing can happen any more, and the client is not in sync",)
            if step.problems:
                return step.problems
            state = step.state
        for distance, passed in enumerate(reversed(path), known + 1):
            recovers[passed] = distance
        longest = known + len(path)
        if longest > self.progress.longest_recovery:
            self.progress.longest_recovery = longest
        return ()

    def _finding(self, state: State, last: Step | None, problems: tuple[str, ...]) -> Finding:
        self._note(0)
        path = list(self._way_to(state))[::-1]
        root = path[0][0]
        steps: list[Step] = []
        steps += [Step(action, after, ()) for after, action in path[1:]]
        if last is not None:
            steps.append(last)
        name = self.world.situations[root.situation].name
        return Finding(situation=name, steps=tuple(steps), root=root, problems=problems)

    def _way_to(self, state: State) -> Iterator[tuple[State, Action]]:
        """Backwards; the action is the one that led there."""
        while True:
            parent = self._parents[state]
            yield state, parent[1] if parent is not None else ()
            if parent is None:
                return
            state = parent[0]
