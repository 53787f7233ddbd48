"""What a session claims and what it counted; readable at any time."""

from collections.abc import Hashable, Iterable
from enum import Enum
from typing import final

import msgspec

from lastseen.events import Proof
from lastseen.position import Position
from lastseen.states import ScopeState

__all__ = [
    "ChannelStatus",
    "Counters",
    "HistoryStatus",
    "ItemCounts",
    "SessionStatus",
    "StreamStatus",
    "SubscriptionState",
    "SubscriptionStatus",
    "worst",
]

_ORDER = (
    ScopeState.STALE,
    ScopeState.COLD,
    ScopeState.SYNCING,
    ScopeState.RESUMING,
    ScopeState.SYNCED,
    ScopeState.LIVE_ONLY,
)


def worst(states: Iterable[ScopeState]) -> ScopeState:
    """The state a channel reports: that of its worst scope."""
    return min(states, key=_ORDER.index, default=ScopeState.COLD)


@final
class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Where every received entry of a channel went (INV-S21).

    received = applied + duplicate + buffered + held + discarded + malformed + quarantined + dropped
    """

    received: int
    applied: int
    duplicate: int
    buffered: int
    """With the application or on its way to it."""
    held: int
    """Waiting for a replay or a snapshot."""
    discarded: int
    """Fenced, superseded by a snapshot, or not subscribed."""
    malformed: int
    quarantined: int
    dropped: int
    """Given up in an overflow, with a resync."""

    @property
    def conserved(self) -> bool:
        """Whether the law holds."""
        return self.received == (
            self.applied
            + self.duplicate
            + self.buffered
            + self.held
            + self.discarded
            + self.malformed
            + self.quarantined
            + self.dropped
        )


@final
class ChannelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A channel's claim: that of its worst scope. `lag` counts entries not finished yet."""

    channel: str
    state: ScopeState
    proof: Proof
    scopes: int
    synced_scopes: int
    cursor: str | None
    lag: int


@final
class SessionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a session claims at this moment."""

    connected: bool
    """Whether a logged-in connection feeds us now."""
    connections: int
    """Open sockets, counting those that are closing."""
    position: Position
    durable: Position
    durable_failed: bool
    """The last commit failed: a restart would start from `durable`."""
    channels: tuple[ChannelStatus, ...]
    stopped: str | None
    lost_notices: int
    """Events other than entries and snapshots that an idle application has lost to a cap."""

    def channel(self, name: str) -> ChannelStatus:
        """The status of one channel; `KeyError` when it is not part of the session."""
        for status in self.channels:
            if status.channel == name:
                return status
        raise KeyError(name)

    @property
    def synced(self) -> bool:
        """Whether every channel that can be synced is."""
        good = (ScopeState.SYNCED, ScopeState.LIVE_ONLY)
        return bool(self.channels) and all(status.state in good for status in self.channels)


class SubscriptionState(Enum):
    """How far a subscription has come; the words of every status.

    There is no `synced`: a wire without positions gives nothing to prove it by. The best that can
    be said is that it is live, and which gaps are known.
    """

    WAITING = "waiting"
    """Not asked for on the present connection, if there is one."""
    ASKED = "asked"
    CATCHING_UP = "catching_up"
    """Granted, and its history is awaited."""
    LIVE = "live"
    """Granted, and what a history could bring has been merged."""
    REFUSED = "refused"
    """Given up for good."""


@final
class SubscriptionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription's claim, and the peer's id for it while it is granted."""

    subscription: Hashable
    state: SubscriptionState
    id: str | None


@final
class ItemCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many items wait for their outcome now, and how many ever timed out or were confirmed.

    An item that is confirmed after its time counts in both.
    """

    pending: int
    timed_out: int
    confirmed: int


@final
class HistoryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a session with histories claims at this moment; it never claims `synced`."""

    connected: bool
    """Whether a connection that granted something feeds us now."""
    connections: int
    """Open sockets, counting those that are closing."""
    subscriptions: tuple[SubscriptionStatus, ...]
    items: ItemCounts
    accepted_ms: int | None
    """The time of the newest event, in epoch ms of the peer's clock."""
    gaps: int
    """How often something may have been missed."""
    stopped: str | None
    lost_notices: int
    """Events other than entries, items and gaps that an idle application has lost to a cap."""

    def subscription(self, name: Hashable) -> SubscriptionStatus:
        """The status of one subscription; `KeyError` when it is not part of the session."""
        for status in self.subscriptions:
            if status.subscription == name:
                return status
        raise KeyError(name)

    @property
    def catching_up(self) -> bool:
        """Whether something that is wanted has not been asked for, granted, or caught up with."""
        done = (SubscriptionState.LIVE, SubscriptionState.REFUSED)
        return any(status.state not in done for status in self.subscriptions)


@final
class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the session of one stream claims at this moment."""

    connected: bool
    """Whether an answer that has delivered something feeds us now."""
    connections: int
    """Open sockets, counting those that are closing."""
    channel: str
    """The stream's name."""
    state: ScopeState
    proof: Proof
    """Of being synced: unproven after a resume that no update and no snapshot has followed yet."""
    lag: int
    """Entries that the application has not finished."""
    position: Position
    durable: Position
    durable_failed: bool
    """The last commit failed: a restart would start from `durable`."""
    queued: str | None
    """Which budget of the account it waits for: `streams`, `messages`, or a `token`."""
    ahead: int
    """How many streams come before it."""
    gaps: int
    """How often something may have been missed."""
    stopped: str | None
    lost_notices: int
    """Events other than entries, snapshots and gaps that an idle application has lost to a cap."""

    @property
    def synced(self) -> bool:
        """Whether the stream is, as far as one of its kind can be."""
        return self.state in (ScopeState.SYNCED, ScopeState.LIVE_ONLY)
