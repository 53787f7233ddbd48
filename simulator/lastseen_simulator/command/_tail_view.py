"""What a kind of feed adds to `lastseen tail`: how it is opened, what is kept of it, what is shown.

`_tail_run` follows any of them; `_tail_positions`, `_tail_histories` and
`_tail_streams` are the kinds there are.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from lastseen.events import Entry, Event
from lastseen_simulator.command._tail_grid import Grid
from lastseen_simulator.command._tail_lines import Lines
from lastseen_trio.driver import Driver

__all__ = ["Source", "View"]


class View(Protocol):
    """One open feed, as `tail` sees it."""

    @property
    def feed(self) -> Driver[Any]:
        """Where events are taken from."""
        ...

    @property
    def stopped(self) -> str | None:
        """Why nothing more is tried; None while something is."""
        ...

    @property
    def reached(self) -> bool:
        """Whether what `--until-synced` waits for is there."""
        ...

    @property
    def kept(self) -> bool:
        """Whether what is acknowledged becomes durable, so that it has to be said first."""
        ...

    @property
    def note(self) -> str | None:
        """What went wrong with the state of an earlier run, before anything is followed."""
        ...

    @property
    def unkept(self) -> str | None:
        """What was processed and could not be kept, after everything has ended."""
        ...

    def opening(self, lines: Lines) -> list[str]:
        """What is said of where it starts."""
        ...

    def reads(self, entry: Entry) -> bool:
        """Whether the entry can be used; it is rejected otherwise."""
        ...

    def take(self, event: Event) -> bool:
        """Applies an event; True when it can change what is claimed."""
        ...

    def claims(self, lines: Lines, *, at: float) -> list[str]:
        """What has changed in what is claimed since the last call."""
        ...

    def state(self) -> Mapping[str, Any]:
        """The answer to `state`: unit key to value."""
        ...

    def close(self) -> None:
        """Remembers the claims of this moment for the summary: the end lowers them all."""
        ...

    def summary(self) -> dict[str, Any]:
        """What the last line says, but for the anomalies."""
        ...

    def progress(self, rates: Mapping[str, float]) -> str:
        """One line for where there is no terminal; `rates` are entries a second by channel."""
        ...

    def grid(self, rates: Mapping[str, float]) -> Grid:
        """The live table at a terminal."""
        ...


class Source(Protocol):
    """Where a view comes from: everything that the command line said of the feed itself."""

    def open(self) -> AbstractAsyncContextManager[View]:
        """Follows for as long as the block lasts; raises `StoreError`."""
        ...
