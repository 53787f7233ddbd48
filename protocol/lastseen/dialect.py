"""What a dialect has to say about its wire; everything else is a shared mechanism."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, Protocol, Self, final

import attrs

from lastseen.effects import Request
from lastseen.events import Entry, Failure
from lastseen.messages import LoginAccepted, Message
from lastseen.position import Cursor, Position
from lastseen.secret import Secret

__all__ = [
    "AsOf",
    "Dialect",
    "End",
    "HttpResponse",
    "ScopeKind",
    "SnapshotContent",
    "SnapshotFault",
    "SnapshotSource",
]


class ScopeKind(Enum):
    """What one snapshot of a channel covers (design §5a)."""

    WHOLE = "whole"
    PER_ENTITY = "per_entity"
    """One fixture; a roster of the whole channel says which fixtures there are."""
    NONE = "none"
    """No snapshots: the channel is live-only."""


class SnapshotSource(NamedTuple):
    """What one fetch asks for; scopes with the same source share the fetch."""

    kind: str
    entity: str | None = None


@final
@attrs.frozen(kw_only=True)
class HttpResponse:
    """One answer; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


@final
@attrs.frozen(kw_only=True)
class AsOf:
    """The position a snapshot was taken at, when its source says so (R11)."""

    epoch: str
    cursors: Mapping[str, Cursor]


@final
@attrs.frozen(kw_only=True)
class SnapshotContent:
    """What a fetch brought: per channel its rows by unit key."""

    rows: Mapping[str, Mapping[str, Any]]
    entities: frozenset[str] | None = None
    """For a roster, the fixtures that exist."""
    roster_channel: str | None = None
    """For a roster, the channel whose position says how fresh it is."""
    as_of: AsOf | None = None


@final
@attrs.frozen(kw_only=True)
class SnapshotFault:
    """Why a fetch brought nothing; `permanent` when only a slow retry makes sense (HZ-C14)."""

    reason: str
    retry_after_s: float | None = None
    permanent: bool = False


@final
@attrs.frozen(kw_only=True)
class End:
    """How a socket ended: by a close frame, a refused upgrade, or neither (then all are None)."""

    code: int | None = None
    http_status: int | None = None
    retry_after_s: float | None = None
    reason: str = ""
    words: str = attrs.field(default="", repr=False)
    """The beginning of what a refusal said in its body; it may repeat the key."""
    wall_s: float | None = None
    """The wall clock at a refusal, in epoch seconds: some name a moment to come back at."""


class Dialect(Protocol):
    """One wire, as a value: frames in, messages out, and which fetch restores which scope."""

    @property
    def name(self) -> str:
        """Of the wire, in lower case."""
        ...

    @property
    def identity(self) -> str:
        """Channels and filters in one spelling: kept state means nothing under another (HZ-E8)."""
        ...

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that are asked for, or after `accepted` the effective ones."""
        ...

    @property
    def asks(self) -> frozenset[str]:
        """Everything that is asked for, or in effect, in words; channels by their names."""
        ...

    @property
    def budgets(self) -> Mapping[str, tuple[int, float]]:
        """Request limits by class: at most so many in so many seconds."""
        ...

    def accepted(self, message: LoginAccepted) -> Self:
        """The dialect with the effective subscription in place of the requested one."""
        ...

    def login(self, position: Position) -> Secret:
        """The frame that opens a session, resuming from this position when it has cursors."""
        ...

    def decode(self, frame: str | bytes) -> Message:
        """Reads one text (`str`) or binary (`bytes`) frame; never raises."""
        ...

    def decode_batch(self, frames: Sequence[str | bytes]) -> list[Entry] | None:
        """Reads many frames when all are plain entries; None when any needs a closer look."""
        ...

    def scope_kind(self, channel: str) -> ScopeKind:
        """What one snapshot of this channel covers."""
        ...

    def snapshot_source(self, channel: str, entity: str | None) -> SnapshotSource:
        """Which fetch restores this scope."""
        ...

    def snapshot_requests(self, source: SnapshotSource) -> tuple[Request, ...]:
        """The requests of that fetch, all of which must succeed (HZ-C15)."""
        ...

    def budget_class(self, source: SnapshotSource) -> str:
        """Which of `budgets` its requests count against."""
        ...

    def read_snapshot(
        self, source: SnapshotSource, responses: tuple[HttpResponse, ...]
    ) -> SnapshotContent | SnapshotFault:
        """Reads the answers; a cut, empty or foreign body is a fault, never a state (HZ-C16)."""
        ...

    def classify(self, end: End, *, noticed: bool) -> Failure:
        """What the end of a socket means; `noticed` when it was told to reconnect (OP-A16)."""
        ...

    def redact(self, text: str) -> str:
        """A peer's words without our key, should it have echoed it (HZ-K5)."""
        ...

    def units(self, entry: Entry) -> Mapping[str, Any]:
        """The units an entry replaces, by unit key; raises `PayloadError`."""
        ...

    def stamp(self, channel: str, value: Any) -> Any:
        """A unit's own time, comparable within its kind, or None when it carries none (OP-A6)."""
        ...

    def view(self, units: Mapping[str, Any]) -> dict[str, Any]:
        """The units that a reader should see, and that can be compared with a snapshot."""
        ...
