"""Breadth first over all states, so that the first violation found is a shortest one."""

import gc
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Final, final

import attrs

from lastseen_simulator.explore.states import Action, State, Step
from lastseen_simulator.explore.worlds import World

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


@contextmanager
def _kept_for_good() -> Generator[None]:
    """Nearly all that a search makes it keeps, so looking through that for garbage is in vain.

    Copies that turned out to be known and lead to themselves are a fiftieth of it.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # What was made counts as old from here on, and is not looked through at once.
        gc.freeze()
        gc.unfreeze()
        if was_enabled:
            gc.enable()


@final
class Search:
    """One search. `run` may be interrupted by whatever `report` raises; `progress` stays true."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.progress = Progress()
        self._parents: dict[State, tuple[State, Action] | None] = {}
        self._begins: dict[State, Action] = {}
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
        with _kept_for_good():
            return self._run(report, states_max)

    def _run(self, report: Callable[[Progress], None], states_max: int | None) -> Finding | None:
        level: list[State] = []
        for root in self.world.roots():
            self._parents[root.state] = None
            self._begins[root.state] = root.action
            level.append(root.state)
            if problems := root.problems or self._never_recovers(root.state):
                return self._finding(root, problems)
        while level:
            following: list[State] = []
            for index, state in enumerate(level):
                for step in self.world.steps(state):
                    self.progress.transitions += 1
                    if step.state in self._parents and not step.problems:
                        continue
                    self._parents.setdefault(step.state, (state, step.action))
                    following.append(step.state)
                    if problems := step.problems or self._never_recovers(step.state):
                        return self._finding(step, problems, state)
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
                # The search comes to this by itself, and by a shortest way.
                recovers.update(dict.fromkeys(path, 0))
                return ()
            state = step.state
        for distance, passed in enumerate(reversed(path), known + 1):
            recovers[passed] = distance
        self.progress.longest_recovery = max(self.progress.longest_recovery, known + len(path))
        return ()

    def _finding(
        self, last: Step, problems: tuple[str, ...], before: State | None = None
    ) -> Finding:
        self._note(0)
        way = self.way_to(before) if before is not None else ()
        return Finding(
            situation=self.world.situations[last.state.situation].name,
            steps=(*way, last),
            problems=problems,
        )

    def states(self) -> Iterator[State]:
        """Every state there was, nearest first."""
        return iter(self._parents)

    def way_to(self, state: State) -> tuple[Step, ...]:
        """A shortest schedule, the beginning included."""
        return tuple(self._backwards(state))[::-1]

    def _backwards(self, state: State) -> Iterator[Step]:
        while (parent := self._parents[state]) is not None:
            yield Step(parent[1], state, ())
            state = parent[0]
        yield Step(self._begins[state], state, ())
