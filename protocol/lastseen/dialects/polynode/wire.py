"""The frames of PolyNode's event socket, as structs with the wire's own spelling.

One struct a frame (`facts/polynode.md` §2, §3). A sender builds them and encodes them here; a
receiver of events meets whatever the peer sent and reads it with the tolerant `codec`.
"""

from typing import Any

import msgspec

__all__ = [
    "ErrorFrame",
    "EventFrame",
    "Filters",
    "Heartbeat",
    "Ping",
    "Pong",
    "Snapshot",
    "Subscribe",
    "Subscribed",
    "Unsubscribe",
    "Unsubscribed",
    "encode_text",
]


class Filters(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What narrows a subscription (§2.1); sizes in USD as documented, `since` in epoch ms."""

    wallets: list[str] | None = None
    tokens: list[str] | None = None
    markets: list[str] | None = None
    slugs: list[str] | None = None
    condition_ids: list[str] | None = None
    side: str | None = None
    status: str | None = None
    min_size: Any = None
    max_size: Any = None
    event_types: list[str] | None = None
    snapshot_count: int | None = None
    since: int | None = None
    feeds: list[str] | None = None
    twap_windows: list[int] | None = None
    combo_condition_ids: list[str] | None = None
    leg_position_ids: list[str] | None = None
    event_ids: list[str] | None = None
    module_ids: list[int] | None = None
    action: str | None = None
    direction: str | None = None


class Subscribe(msgspec.Struct, tag_field="action", tag="subscribe", omit_defaults=True):
    """Asks for one more subscription on this socket; it carries no id of its own (§2.1)."""

    type: str | None = None
    filters: Filters | None = None


class Unsubscribe(msgspec.Struct, tag_field="action", tag="unsubscribe", omit_defaults=True):
    """Ends one subscription, or without an id all on this socket (§2.2)."""

    subscription_id: str | None = None


class Ping(msgspec.Struct, tag_field="action", tag="ping"):
    """The application's own ping, beside the WebSocket's (§2.3)."""


class Subscribed(
    msgspec.Struct, tag_field="type", tag="subscribed", kw_only=True, omit_defaults=True
):
    """Grants a subscription (§3.1); the two last members for `chainlink` only."""

    subscriber_id: str
    subscription_id: str
    subscription_type: str
    warnings: list[str] | None = None
    price_source: str | None = None
    twap_windows: list[int] | None = None


class Unsubscribed(
    msgspec.Struct, tag_field="type", tag="unsubscribed", kw_only=True, omit_defaults=True
):
    """Confirms an unsubscribe; without `subscription_id` all are gone (§3.1)."""

    subscriber_id: str
    subscription_id: str | None = None


class EventFrame(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The envelope of every event (§3.2); `timestamp` in epoch ms, for `price_feed` in seconds."""

    type: str
    feed: str | None = None
    timestamp: int | None = None
    event_id: str | None = None
    data: Any


class Snapshot(msgspec.Struct, tag_field="type", tag="snapshot"):
    """Recent events, in full envelopes, with the status they had at first (§3.1, §6)."""

    count: int
    events: list[Any]


class Heartbeat(msgspec.Struct, tag_field="type", tag="heartbeat"):
    """Sent every 30 s (§8); `ts` in epoch ms."""

    ts: int


class Pong(msgspec.Struct, tag_field="type", tag="pong", omit_defaults=True):
    """Answers the application's ping; `ts` may be left out (§2.3)."""

    ts: int | None = None


class ErrorFrame(msgspec.Struct, tag_field="type", tag="error", kw_only=True, omit_defaults=True):
    """Complains about the last request, without naming it (§5)."""

    code: str | None = None
    message: str


_JSON = msgspec.json.Encoder(decimal_format="number")


def encode_text(frame: msgspec.Struct) -> str:
    """Encodes a frame as JSON text; an event's text may then be deflated."""
    return _JSON.encode(frame).decode()
