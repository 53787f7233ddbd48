"""A case: what is played, and how it is judged."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

import attrs

from lastseen_conformance.history import History
from lastseen_conformance.steps import Steps
from lastseen_simulator.faults import Fault

__all__ = ["Case", "Finding", "Judge", "Scene", "broken", "kept"]


@attrs.frozen(kw_only=True)
class Finding:
    """What a judge saw of one rule: kept or broken, and at which moment it was first broken."""

    rule: str
    kept: bool
    text: str = ""
    n: int | None = None


def broken(rule: str, text: str, n: int | None = None) -> Finding:
    """The client did what the rule forbids, or not what it asks."""
    return Finding(rule=rule, kept=False, text=text, n=n)


def kept(rule: str, text: str = "") -> Finding:
    """The rule was put to the test, and holds."""
    return Finding(rule=rule, kept=True, text=text)


Judge = Callable[[History], Iterable[Finding]]


@final
@attrs.frozen(kw_only=True)
class Scene:
    """What a case may know of the run it is played in."""

    reported: bool
    channels: tuple[str, ...]
    timers: Mapping[str, float]
    fixtures: tuple[str, ...] = ()
    """The fixtures on offer, where there are some."""
    truth: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    """The true state at the beginning, by unit key."""


Script = Callable[[Scene], Steps]


@final
@attrs.frozen(kw_only=True)
class Case:
    """One case. `play` yields the steps, `judge` looks at what came of them.

    `template` names the script that permutations of it share. The rules it cites have to be put to
    the test: a run in which one of them was not shows nothing. `reported_only` cases mean nothing
    for a client that does not report. `knobs` are those of the dialect's gateway.
    """

    id: str
    template: str
    dialect: str
    title: str
    rules: tuple[str, ...]
    play: Script
    judge: Judge
    channels: tuple[str, ...]
    knobs: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    faults: tuple[Fault, ...] = ()
    reported_only: bool = False
    restarts: bool = False
    """It starts the client more than once."""
    hazards: tuple[str, ...] = ()
