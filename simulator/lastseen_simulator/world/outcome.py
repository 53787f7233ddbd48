"""What came of one run."""

from collections.abc import Mapping
from typing import final

import attrs

from lastseen_simulator.world.watching import Violation

__all__ = ["Outcome"]


@final
@attrs.frozen(kw_only=True)
class Outcome:
    """One run: `violation` is None when every invariant held."""

    dialect: str
    seed: int
    violation: Violation | None
    digest: str
    """The hash of everything that happened."""
    marks: frozenset[str]
    verdicts: Mapping[str, int]
    """How many entries ended how, of all clients."""
    steps: int
    events: int
    """Frames, answers and application events that went through the sessions."""
    recovered_s: float | None = None
    """How long after the faults had ended everything was in order again."""
