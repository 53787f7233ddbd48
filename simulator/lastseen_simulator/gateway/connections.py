"""One accepted connection, as the gateway knows it."""

import collections
from typing import Literal

import attrs
import msgspec

from lastseen_simulator.gateway.journal import Entry, Epoch
from lastseen_simulator.gateway.login import Accepted
from lastseen_simulator.gateway.mischief import Placed

__all__ = ["Connection", "ConnectionView", "Outgoing"]


@attrs.frozen(kw_only=True)
class Outgoing:
    """A frame on its way: control frames keep their struct, data frames their entry."""

    name: str
    data: str | bytes
    control: msgspec.Struct | None = None
    entry: Entry | None = None

    @property
    def channel(self) -> str | None:
        """The channel of a data frame."""
        return None if self.entry is None else self.entry.channel


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
    """`stage` goes open → replaying → live → ended, skipping what does not apply.

    `muted` is half-open: it still holds its socket, but nothing goes in or out any more.
    """

    number: int
    ordinal: int
    stage: Literal["open", "refused", "replaying", "live", "ended"] = "open"
    login: Accepted | None = None
    epoch: Epoch | None = None
    muted: bool = False
    leaving: bool = False
    replay: collections.deque[Outgoing] = attrs.field(factory=collections.deque[Outgoing])
    replayed_channels: tuple[str, ...] = ()
    held: list[Outgoing] = attrs.field(factory=list[Outgoing])
    skipping: bool = False
    skipped: bool = False
    armed: list[Placed] = attrs.field(factory=list[Placed])
    waiting: list[Outgoing] = attrs.field(factory=list[Outgoing])
    overtaken_by: Placed | None = None
    counts: dict[tuple[str, str | None], int] = attrs.field(
        factory=dict[tuple[str, str | None], int]
    )

    def is_gone(self) -> bool:
        """Whether nothing more can be sent."""
        return self.muted or self.stage == "ended"

    @property
    def logged_in(self) -> bool:
        """Whether it counts against the limit and receives entries."""
        return self.stage in ("replaying", "live") and not self.muted

    def view(self) -> ConnectionView:
        """What an operator may see of it."""
        return ConnectionView(
            connection=self.number,
            ordinal=self.ordinal,
            stage=self.stage,
            half_open=self.muted,
            epoch=None if self.epoch is None else self.epoch.name,
            channels=() if self.login is None else self.login.subscription.channels,
        )

    def count(self, frame: Outgoing) -> dict[tuple[str, str | None], int]:
        """Counts a frame under each of its names; returns its number under each."""
        names = ("frame", frame.name) if frame.entry is None else ("frame", "data", frame.name)
        keys: list[tuple[str, str | None]] = [(name, None) for name in names]
        if frame.entry is not None:
            keys += [(name, frame.entry.channel) for name in names]
        for key in keys:
            self.counts[key] = self.counts.get(key, 0) + 1
        return {key: self.counts[key] for key in keys}
