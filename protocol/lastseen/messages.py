"""What a frame says, in words that every dialect shares; a data frame says an `Entry`."""

from collections.abc import Mapping
from typing import final

import msgspec

from lastseen.events import Entry, Failure
from lastseen.position import Cursor

__all__ = [
    "LoginAccepted",
    "LoginRefused",
    "Malformed",
    "Message",
    "MoveRequested",
    "PeerError",
    "ReplayCompleted",
    "SnapshotDemanded",
    "Unknown",
]


@final
class LoginAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The session is open. Heads are the peer's newest ids: a barrier, not a position (HZ-A10)."""

    epoch: str | None
    channels: tuple[str, ...] | None
    """The effective subscription; None when the peer did not say."""
    replayable: frozenset[str] | None
    """Channels that can be replayed; None when the peer did not say (HZ-A13)."""
    heads: Mapping[str, Cursor]
    echo: Mapping[str, object]
    """The frame's members, for what only the dialect understands."""
    oddities: tuple[str, ...] = ()


@final
class LoginRefused(msgspec.Struct, frozen=True, kw_only=True):
    """The peer says why it will not serve us; a close may or may not follow (OP-A32)."""

    failure: Failure
    reason: str


@final
class PeerError(msgspec.Struct, frozen=True, kw_only=True):
    """The peer complains about something else; surfaced, the session goes on (OP-A33)."""

    reason: str


@final
class ReplayCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """Everything between the sent cursors and the heads has been replayed."""

    epoch: str | None


@final
class SnapshotDemanded(msgspec.Struct, frozen=True, kw_only=True):
    """The base of these channels is gone; None means every subscribed channel (HZ-C11)."""

    channels: tuple[str, ...] | None
    epoch: str | None
    reason: str
    expected: bool
    """Whether the reason is a documented one; any other means the same (HZ-C12)."""
    heads: Mapping[str, Cursor]


@final
class MoveRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Reconnect now, whatever the reason (HZ-D2)."""

    reason: str


@final
class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """A well-formed frame of a type we do not know: ignored and counted (HZ-J15)."""

    type: str


@final
class Malformed(msgspec.Struct, frozen=True, kw_only=True):
    """A frame that cannot be understood; `channel` when at least that could be read."""

    channel: str | None
    detail: str


Message = (
    Entry
    | LoginAccepted
    | LoginRefused
    | PeerError
    | ReplayCompleted
    | SnapshotDemanded
    | MoveRequested
    | Unknown
    | Malformed
)
"""The closed union of messages."""
