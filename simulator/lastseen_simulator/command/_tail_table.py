"""The live table of a tail at a terminal."""

from typing import final

import attrs
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lastseen_simulator.command._tail_grid import Grid, Styled

__all__ = ["LiveTable"]


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

    def show(self, grid: Grid) -> None:
        """Draws a table in place of the last."""
        table = Table(*grid.columns)
        for section in grid.sections:
            for row in section:
                table.add_row(*map(_cell, row))
            table.add_section()
        self._live.update(table, refresh=True)

    def close(self) -> None:
        """Leaves the last table where it is."""
        self._live.stop()


def _cell(cell: str | Styled) -> str | Text:
    return Text(cell.text, style=cell.style) if isinstance(cell, Styled) else cell
