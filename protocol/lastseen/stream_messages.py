"""What a record of a feed with snapshots in its stream says, in words that such dialects share.

A record is what a de-framer cuts out of a response body; a dialect reads it into one of these.
"""

from collections.abc import Mapping
from typing import final

import msgspec

from lastseen.events import Entry, Rows
from lastseen.secret import Secret

__all__ = [
    "Heartbeat",
    "Malformed",
    "PeerError",
    "Record",
    "StreamEntry",
    "StreamMessage",
    "StreamSnapshot",
    "StreamUpdate",
]

Record = bytes
"""One whole record without its framing; undecoded."""


class StreamEntry(Entry, kw_only=True, gc=False, eq=False):
    """One change inside an update: an entry of the channel that is its stream.

    `id` is what the wire calls it (an execution id, say), None when it has none; `entity` is always
    None, as a snapshot in a stream covers the whole of it, unless the dialect says otherwise.
    """

    identity: tuple[str, ...] = ()
    """What tells it from its like; empty when nothing does, and then it is never taken for a
    duplicate (HZ-F2)."""
    unit: str | None = None
    """The key of the unit that it sets; None when it sets none."""
    progress: tuple[int, ...] | None = None
    """How far along it says that its unit is; less than before is old news (HZ-F5)."""
    token: Secret | None = None
    """The session's: where to resume once this entry is processed."""
    repeated: bool = False
    """The session's: told before, as an event; but the base has been replaced since by one that
    did not know of it, so that its unit has to be set once more (HZ-E3)."""


@final
class StreamSnapshot(Rows, frozen=True, kw_only=True):
    """The whole state of the stream, or a page of it: it replaces (HZ-C7), whatever its id.

    `rows` are values by unit key.
    """

    progress: Mapping[str, tuple[int, ...]] = {}
    """How far along each unit is, where it says so."""
    taken_at: tuple[int, ...] | None = None
    """When the peer took it, comparable within a session of the peer; None when it does not say."""
    last: bool = True
    """False for a page that more pages follow."""


@final
class StreamUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Changes, in order; they count together."""

    entries: tuple[StreamEntry, ...]


@final
class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """The peer is there; never a snapshot, never an update."""


@final
class PeerError(msgspec.Struct, frozen=True, kw_only=True):
    """The peer ends the stream with an error, inside an answer that began well."""

    code: int | str | None
    message: str


@final
class Malformed(msgspec.Struct, frozen=True, kw_only=True):
    """A record that cannot be understood."""

    detail: str


@final
class StreamMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One record: what it says, and what stands beside it on every record."""

    body: StreamSnapshot | StreamUpdate | Heartbeat | PeerError | Malformed
    token: Secret | None = None
    """Where to resume after this record: opaque, to be sent back as it came (HZ-F8)."""
    session_id: str | None = None
    """The peer's session; another one means that the peer began anew."""
    oddity: str | None = None
    """What is wrong with it, for an anomaly; it counts all the same."""
