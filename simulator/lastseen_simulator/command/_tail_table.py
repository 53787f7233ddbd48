"""The live table of a tail at a terminal, and the rates that it shows."""

from collections.abc import Mapping
from typing import final

import attrs
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lastseen.status import Counters

__all__ = ["LiveTable", "Rates"]


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


@final
@attrs.define(eq=False)
class LiveTable:
    """A table that stays below the lines that scroll past; close it before anything else prints."""

    console: Console
    _live: Live = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._live = Live(console=self.console, auto_refresh=False, redirect_stdout=False)
        self._live.start()

    def say(self, lines: list[str]) -> None:
        """Prints lines above the table."""
        for line in lines:
            self._live.console.print(Text(line), soft_wrap=True)

    def show(self, table: Table) -> None:
        """Draws a table in place of the last."""
        self._live.update(table, refresh=True)

    def close(self) -> None:
        """Leaves the last table where it is."""
        self._live.stop()
