"""One accepted connection, as the gateway knows it."""

import collections
from typing import Literal

import attrs

from lastseen_simulator.gateway.journal import Epoch
from lastseen_simulator.gateway.login import Accepted
from lastseen_simulator.lines import Line, Outgoing

__all__ = ["Connection", "ConnectionView"]


@attrs.frozen(kw_only=True)
class ConnectionView:
    """One open connection from outside; `epoch` and `channels` once logged in."""

    connection: int
    ordinal: int
    stage: str
    half_open: bool
    epoch: str | None
    channels: tuple[str, ...]


@attrs.define(eq=False)
class Connection:
    """`stage` goes open → replaying → live, skipping what does not apply.

    `owed` is the reason and the channels of a `snapshot_required` that is still to be sent.
    """

    line: Line
    stage: Literal["open", "refused", "replaying", "live"] = "open"
    login: Accepted | None = None
    epoch: Epoch | None = None
    leaving: bool = False
    replay: collections.deque[Outgoing] = attrs.field(factory=collections.deque[Outgoing])
    replayed_channels: tuple[str, ...] = ()
    owed: tuple[str, tuple[str, ...]] | None = None
    held: list[Outgoing] = attrs.field(factory=list[Outgoing])
    skipping: bool = False
    skipped: bool = False

    @property
    def number(self) -> int:
        """The driver's number of it."""
        return self.line.number

    def is_gone(self) -> bool:
        """Whether nothing more can be sent."""
        return self.line.is_gone()

    @property
    def logged_in(self) -> bool:
        """Whether it counts against the limit and receives entries."""
        return self.stage in ("replaying", "live") and not self.line.is_gone()

    def view(self) -> ConnectionView:
        """What an operator may see of it."""
        return ConnectionView(
            connection=self.number,
            ordinal=self.line.ordinal,
            stage=self.stage,
            half_open=self.line.muted,
            epoch=None if self.epoch is None else self.epoch.name,
            channels=() if self.login is None else self.login.subscription.channels,
        )
