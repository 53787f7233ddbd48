"""What a driver needs of any session: one alphabet, whatever the feed catches up by."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from lastseen.dialect import End
from lastseen.effects import Effect
from lastseen.events import AnomalyCode, Entry, Event
from lastseen.options import ConnectionOptions
from lastseen.position import Position
from lastseen.status import Counters

__all__ = ["Deadline", "Machine"]


class Deadline(NamedTuple):
    """When a session wants `handle_deadline`, in seconds on the caller's clock, and why."""

    at: float
    reason: str


class Machine(Protocol):
    """The part of a session that is the same for every feed; each begins in its own way.

    The loop of a driver is in the docstring of `Session`: one `handle_*`, then drain the polls.
    """

    @property
    def options(self) -> ConnectionOptions:
        """The timers that a driver keeps, too."""
        ...

    def handle_opened(self, connection: int, *, now: float) -> None:
        """A `Connect` succeeded: the upgrade is done."""
        ...

    def handle_frames(self, connection: int, frames: Sequence[str | bytes], *, now: float) -> None:
        """A batch of frames arrived: text frames as `str`, binary frames as `bytes`."""
        ...

    def handle_alive(self, connection: int, *, now: float) -> None:
        """The peer answered a ping, or showed life in another way."""
        ...

    def handle_closed(self, connection: int, end: End, *, now: float) -> None:
        """A socket is gone, or a `Connect` failed."""
        ...

    def handle_processed(self, event: Event, *, now: float) -> None:
        """The application is done with an event, and with all it was given before."""
        ...

    def handle_rejected(self, entry: Entry, *, now: float) -> None:
        """The application cannot use this entry."""
        ...

    def handle_blocked(self, seconds: float, *, now: float) -> None:
        """Nothing could run for so long, this session included."""
        ...

    def handle_close(self, *, now: float) -> None:
        """The application wants no more."""
        ...

    def handle_deadline(self, *, now: float) -> None:
        """Time passed; early and repeated calls do nothing."""
        ...

    def poll_effects(self) -> list[Effect]:
        """What the driver must do now, in order; each effect is given once."""
        ...

    def poll_events(self, limit: int = ...) -> list[Event]:
        """Up to `limit` events for the application."""
        ...

    def poll_deadline(self) -> Deadline | None:
        """When to call `handle_deadline` at the latest; None is never."""
        ...

    @property
    def waiting(self) -> int:
        """How many items `poll_events` has yet to give out."""
        ...

    @property
    def stopped(self) -> str | None:
        """Why nothing more is tried; None while something is."""
        ...

    @property
    def finished(self) -> bool:
        """Stopped, and nothing is left for the driver to do."""
        ...

    @property
    def position(self) -> Position:
        """What has been processed; empty for a feed without positions."""
        ...

    def position_after(self, event: Event) -> Position:
        """The position once this event and all given before it are processed."""
        ...

    def counters(self) -> dict[str, Counters]:
        """Where every received entry went, by channel."""
        ...

    def anomalies(self) -> dict[tuple[AnomalyCode, str | None], int]:
        """How often each anomaly was seen, by code and channel."""
        ...
