"""What a frame of a feed with histories says, in words that every such dialect shares."""

from lastseen.dialects.polynode.messages import (
    Bomb,
    HeartbeatHeard,
    History,
    Malformed,
    Message,
    News,
    PeerError,
    PongHeard,
    Subscribed,
    Unsubscribed,
    WireEvent,
)

__all__ = [
    "Bomb",
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
