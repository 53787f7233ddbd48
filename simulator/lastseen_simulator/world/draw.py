"""Plans from seeds: each draws its own circumstances, and a subset of the faults (swarm)."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, final

import attrs

from lastseen_simulator.world.plan import Action

__all__ = ["Dice", "Menu", "draw_actions", "draw_permanent", "fault"]

T = TypeVar("T")

_SINGLE: Final = 0.25
"""The share of runs with one kind of fault only."""

_PART: Final = 0.3
"""How likely each kind of fault is in the others."""


@final
@attrs.frozen
class Dice:
    """What a plan is drawn with."""

    rng: random.Random

    def chance(self, share: float) -> bool:
        """True so often."""
        return self.rng.random() < share

    def between(self, low: float, high: float) -> float:
        """Seconds, in milliseconds."""
        return round(low + (high - low) * self.rng.random(), 3)

    def one_of(self, choices: Sequence[T]) -> T:
        """Any of them."""
        return choices[int(self.rng.random() * len(choices))]

    def some_of(self, choices: Mapping[str, Sequence[Any]], share: float) -> dict[str, Any]:
        """Values of some of these settings; the others stay as they are."""
        drawn: dict[str, Any] = {}
        for name, values in choices.items():
            if self.chance(share):
                drawn[name] = self.one_of(values)
        return drawn

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self.rng.random() * (high - low + 1))


Menu = Mapping[str, Callable[[Dice], Mapping[str, Any]]]
"""Kind of fault → `what` and the values of an action, drawn anew each time."""


def draw_actions(dice: Dice, menu: Menu, *, clients: int, until: float) -> list[Action]:
    """Faults of a subset of the menu; one in four runs has one kind only."""
    kinds = list(menu)
    if dice.chance(_SINGLE):
        chosen = [dice.one_of(kinds)]
    else:
        chosen = [kind for kind in kinds if dice.chance(_PART)] or [dice.one_of(kinds)]
    count = dice.whole(1, min(12, 2 + 2 * len(chosen)))
    return [
        _action(dice, menu[dice.one_of(chosen)](dice), dice.between(0.0, until), clients)
        for _ in range(count)
    ]


def fault(kind: str, **values: Any) -> dict[str, Any]:
    """A fault of the gateway's own (see `faults`); without `at` it strikes at once."""
    return {"what": "fault", "kind": kind, **values}


def draw_permanent(dice: Dice, choices: Sequence[Mapping[str, Any]], at: float) -> Action | None:
    """The fault that stays when all others end, in two runs of five."""
    if not dice.chance(0.4):
        return None
    return Action(at=at, what="fault", values=_values(dice.one_of(choices)))


def _action(dice: Dice, made: Mapping[str, Any], at: float, clients: int) -> Action:
    client = dice.whole(0, clients - 1)
    return Action(at=at, what=made["what"], client=client, values=_values(made))


def _values(made: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in made.items() if name != "what"}
