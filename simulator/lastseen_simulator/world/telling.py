"""A failing plan in words: what befell the world, and what everybody said."""

from collections.abc import Iterator
from typing import Final

from lastseen_simulator.world.plan import Action, Plan
from lastseen_simulator.world.trace import Happening

__all__ = ["action_words", "plan_words", "story_words"]

_STORY_LINES_MAX: Final = 60
_WIDTH: Final = 118
_SIGNS: Final = ('"heartbeat":{}', '"type":"heartbeat"', '"type":"pong"', '"action":"ping"')
"""What is said all the time, and says only that somebody is there."""


def action_words(action: Action) -> str:
    """An action in one line.

    >>> action_words(Action(at=1.5, what="cut", values={"keep": 1}))
    '1.500  cut keep=1'
    """
    values = " ".join(f"{name}={value}" for name, value in action.values.items())
    client = f" client={action.client}" if action.client else ""
    return f"{action.at:.3f}  {action.what}{client} {values}".rstrip()


def plan_words(plan: Plan) -> Iterator[str]:
    """A plan, line by line."""
    yield f"{plan.dialect}, seed {plan.seed}, channels {', '.join(plan.channels)}"
    for group in ("settings", "options", "knobs"):
        values = getattr(plan, group)
        if values:
            yield f"  {group}: " + ", ".join(f"{name}={value}" for name, value in values.items())
    for number, action in enumerate(plan.actions, start=1):
        yield f"{number:3}. {action_words(action)}"


def story_words(story: list[Happening], lines: int = _STORY_LINES_MAX) -> Iterator[str]:
    """The end of a story, line by line, without the signs of life."""
    eventful = [each for each in story if not any(sign in each.text for sign in _SIGNS)]
    left_out = len(eventful) - lines
    if left_out > 0:
        yield f"     … {left_out} lines before"
    for each in eventful[-lines:]:
        arrow = "—x" if each.lost else "->"
        head = f"{each.at:9.3f} {each.source:>11} {arrow} {each.target:<11} "
        yield (head + each.text)[:_WIDTH]
