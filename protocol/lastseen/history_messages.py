"""What a frame of a feed with histories says, in words that every such dialect shares.

Events are entries as they stand, with what the mechanisms need to know of them beside it.
"""

from enum import Enum
from typing import final

import attrs

from lastseen.events import Entry
from lastseen.lifecycle import ItemKey

__all__ = [
    "Bomb",
    "ControlMessage",
    "HeartbeatHeard",
    "History",
    "Malformed",
    "Message",
    "News",
    "PeerError",
    "PongHeard",
    "Subscribed",
    "Unsubscribed",
    "WireEvent",
]


class News(Enum):
    """What an event says about items: which method of `Lifecycle` hears it."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    UPDATE = "update"


class WireEvent(Entry, kw_only=True, gc=False, eq=False):
    """One event: an entry of the channel that is its type, and what the mechanisms need of it.

    `raw` is the `data` object; of an event whose type nobody knows (`known` is False), and of a
    flat one, the whole of it.
    """

    event_id: str | None = None
    """The envelope's."""
    timestamp_ms: int | None = None
    """The canonical event time in epoch ms; None when there is no sane one."""
    identity: tuple[str, ...] = ()
    """For `Identities.admit`; empty when the event cannot be told from its like."""
    news: News | None = None
    item: ItemKey = ()
    """The key of a settlement's item; of an update the transaction alone."""
    detected_at_ms: int | None = None
    """When the peer says that it first saw the item."""
    latency_ms: float | None = None
    """How long the confirmation took, by the peer's clock alone (HZ-G15)."""
    amends: bool = False
    """It came before with another body (`facts/polynode.md` §7); the session sets this."""
    known: bool = True
    oddity: str | None = None
    """What is wrong with it, for an anomaly; it counts all the same."""


@final
@attrs.frozen(kw_only=True)
class Subscribed:
    """A subscription is granted; the answer may not say which one (`facts/polynode.md` §9.7)."""

    subscription_id: str | None
    subscription_type: str | None
    warnings: tuple[str, ...] = ()

    @property
    def warns_of_gap(self) -> bool:
        """Whether the peer says that its history may not cover what was asked for."""
        words = " ".join(self.warnings).lower()
        return any(word in words for word in ("history", "lookback", "window", "gap"))


@final
@attrs.frozen(kw_only=True)
class Unsubscribed:
    """One subscription has ended, or without an id all of them."""

    subscription_id: str | None


@final
@attrs.frozen(kw_only=True)
class History:
    """Recent events: to be merged, never a state (HZ-G18)."""

    events: tuple[WireEvent, ...] = attrs.field(repr=lambda events: f"<{len(events)} events>")
    """As they came; no order is promised."""
    count: int | None
    """How many the peer says there are; `events` is what counts."""
    malformed: int = 0
    """Members that are no events."""

    def merge_order(self) -> tuple[WireEvent, ...]:
        """Confirmations first, as settlements say pending whatever became of them (HZ-G1).

        Then by time, as far as the events have one.
        """
        return tuple(sorted(self.events, key=_merge_key))


def _merge_key(event: WireEvent) -> tuple[bool, int]:
    return event.news is not News.UPDATE, event.timestamp_ms or 0


@final
@attrs.frozen(kw_only=True)
class HeartbeatHeard:
    """The peer is there (HZ-I5); its clock in epoch ms, when sane."""

    timestamp_ms: int | None


@final
@attrs.frozen(kw_only=True)
class PongHeard:
    """The answer to our own ping, perhaps with the peer's clock."""

    timestamp_ms: int | None


@final
@attrs.frozen(kw_only=True)
class PeerError:
    """The peer refuses the request in flight, or complains about something else."""

    code: str | None
    message: str


@final
@attrs.frozen(kw_only=True)
class Malformed:
    """A frame that cannot be understood."""

    detail: str


@final
@attrs.frozen(kw_only=True)
class Bomb:
    """A frame that would inflate beyond its limit: close with 1009 (HZ-J12)."""

    detail: str


ControlMessage = (
    History | Subscribed | Unsubscribed | HeartbeatHeard | PongHeard | PeerError | Malformed | Bomb
)
"""Every message but a single event."""

Message = WireEvent | ControlMessage
"""The closed union of messages."""
