"""How fast entries come, by channel."""

from collections.abc import Mapping
from typing import final

import attrs

from lastseen.status import Counters

__all__ = ["Rates"]


@final
@attrs.define(eq=False)
class Rates:
    """Entries a second and channel, between two looks."""

    _seen: dict[str, int] = attrs.field(init=False, factory=dict[str, int])
    _at: float = attrs.field(init=False, default=0.0)

    def take(self, counters: Mapping[str, Counters], *, at: float) -> dict[str, float]:
        """The rates since the call before; `at` in seconds."""
        span = max(at - self._at, 1e-3)
        rates = {
            name: (row.received - self._seen.get(name, 0)) / span for name, row in counters.items()
        }
        self._seen = {name: row.received for name, row in counters.items()}
        self._at = at
        return rates
