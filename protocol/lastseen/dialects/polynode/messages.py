"""What a PolyNode frame says: the words are those of every feed with histories."""

from lastseen.history_messages import (
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
