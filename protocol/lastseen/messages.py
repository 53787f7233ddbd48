"""What a frame says, in words that every dialect shares; a data frame says an `Entry`."""

from collections.abc import Mapping
from typing import final

import attrs

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
@attrs.frozen(kw_only=True)
class LoginAccepted:
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
@attrs.frozen(kw_only=True)
class LoginRefused:
    """The peer says why it will not serve us; a close may or may not follow (OP-A32)."""

    failure: Failure
    reason: str


@final
@attrs.frozen(kw_only=True)
class PeerError:
    """The peer complains about something else; surfaced, the session goes on (OP-A33)."""

    reason: str


@final
@attrs.frozen(kw_only=True)
class ReplayCompleted:
    """Everything between the sent cursors and the heads has been replayed."""

    epoch: str | None


@final
@attrs.frozen(kw_only=True)
class SnapshotDemanded:
    """The base of these channels is gone; None means every subscribed channel (HZ-C11)."""

    channels: tuple[str, ...] | None
    epoch: str | None
    reason: str
    expected: bool
    """Whether the reason is a documented one; any other means the same (HZ-C12)."""
    heads: Mapping[str, Cursor]


@final
@attrs.frozen(kw_only=True)
class MoveRequested:
    """Reconnect now, whatever the reason (HZ-D2)."""

    reason: str


@final
@attrs.frozen(kw_only=True)
class Unknown:
    """A well-formed frame of a type we do not know: ignored and counted (HZ-J15)."""

    type: str


@final
@attrs.frozen(kw_only=True)
class Malformed:
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
