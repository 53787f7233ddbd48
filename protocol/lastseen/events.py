"""What the application is told, in order: entries, snapshots, and what became of them.

Some events belong to feeds with positions, some to feeds with histories, most to both.
"""

from collections.abc import Hashable, Mapping
from enum import Enum
from typing import Any, final

import msgspec

from lastseen.lifecycle import ItemKey, ItemState
from lastseen.payload import Encoding, decode_payload
from lastseen.position import Cursor, Position, parse_cursor
from lastseen.states import ScopeState

__all__ = [
    "Anomaly",
    "AnomalyCode",
    "Committed",
    "Disconnected",
    "Discarded",
    "DurabilityChanged",
    "Entry",
    "Event",
    "Failure",
    "Gap",
    "GapReason",
    "HistoryApplied",
    "ItemCause",
    "ItemChanged",
    "LoggedIn",
    "Proof",
    "Queued",
    "Rows",
    "Source",
    "StateSnapshot",
    "StatusChanged",
    "Stopped",
    "SubscribeRefused",
    "Subscribed",
    "Why",
]


class Source(Enum):
    """How an entry reached us."""

    LIVE = "live"
    REPLAY = "replay"
    HISTORY = "history"
    """In a history, which is merged and never replaces anything (HZ-G18)."""


class Proof(Enum):
    """Whether the freshness of a base was shown by its source (R11) or only assumed."""

    PROVEN = "proven"
    UNPROVEN = "unproven"


class Entry(msgspec.Struct, kw_only=True, gc=False, eq=False):
    """One update of one channel, as the wire carried it.

    `id` is the wire's text, None when there was none; `entity` names the fixture for channels that
    are synced fixture by fixture; `raw` is the undecoded payload, read by `payload`.
    """

    channel: str
    entity: str | None = None
    id: str | None = None
    raw: bytes | msgspec.Raw
    encoding: Encoding = Encoding.JSON
    source: Source = Source.LIVE

    @property
    def cursor(self) -> Cursor | None:
        """The id's two halves, when it has the form of one."""
        return parse_cursor(self.id) if self.id is not None else None

    @property
    def size(self) -> int:
        """The undecoded payload's length in bytes."""
        return memoryview(self.raw).nbytes

    @property
    def payload(self) -> dict[str, Any]:
        """Decodes the payload, prices exact; raises `PayloadError` (then `reject` the entry)."""
        return decode_payload(self.raw, self.encoding)


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """What has rows: unit keys and their values. They may be many, so a repr counts them."""

    rows: Mapping[str, Any]

    def __repr__(self) -> str:
        others = (name for name in self.__struct_fields__ if name != "rows")
        members = "".join(f", {name}={getattr(self, name)!r}" for name in others)
        return f"{type(self).__name__}(rows=<{len(self.rows)} rows>{members})"


@final
class StateSnapshot(Rows, frozen=True, kw_only=True):
    """The complete present state of a scope: replace, never merge (HZ-C7), and at once (INV-S9).

    `rows` maps unit keys to values. `overlay` holds entries that were applied before and are newer
    than the rows; they belong on top, in the same step. `entities` (with `entity` None, for a
    channel synced fixture by fixture) lists the fixtures that still exist: forget the others.
    `verification` marks the one delayed re-fetch of a base that could not be proven (R11).
    """

    channel: str
    entity: str | None
    overlay: tuple[Entry, ...] = ()
    entities: frozenset[str] | None = None
    proof: Proof = Proof.UNPROVEN
    verification: bool = False


@final
class StatusChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A scope's claim rose or fell; a fall overtakes every entry that waits (design §5)."""

    channel: str
    entity: str | None
    state: ScopeState
    proof: Proof


@final
class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A connection became the owner. `resumed` channels sent a cursor that the peer may replay."""

    connection: int
    epoch: str | None
    resumed: tuple[str, ...]
    denied: tuple[str, ...]
    """What was asked for and is not in the effective subscription, channels by name (OP-A10)."""


class Failure(Enum):
    """Why a connection ended, as far as it decides what to do next."""

    PLANNED = "planned"
    TRANSIENT = "transient"
    UNKNOWN = "unknown"
    BACKPRESSURE = "backpressure"
    LIMIT = "limit"
    REJECTED = "rejected"
    """Refused in a way that a second refusal confirms."""
    UNAUTHENTICATED = "unauthenticated"
    """Our token was not accepted; a fresh one may be."""
    RESUME_REFUSED = "resume_refused"
    """The place to resume from was not accepted: begin anew without it."""
    NOT_A_FEED = "not_a_feed"
    """Answered as no feed would: the same, unless we have been logged in there before."""
    FATAL = "fatal"


@final
class Disconnected(msgspec.Struct, frozen=True, kw_only=True):
    """A connection ended or failed; `retry_in_s` is None when another one carries on."""

    connection: int
    failure: Failure
    code: int | None
    reason: str
    retry_in_s: float | None


@final
class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """The session is over: closed by the application, or by something no retry can mend."""

    failure: Failure | None
    reason: str


class AnomalyCode(Enum):
    """What was odd about the peer or about us; never silently passed over."""

    UNDECODABLE = "undecodable"
    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_CHANNEL = "unknown_channel"
    UNKNOWN_REASON = "unknown_reason"
    BAD_ENTRY_ID = "bad_entry_id"
    ID_ORDER = "id_order"
    BEFORE_LOGIN = "before_login"
    FENCED = "fenced"
    UNEXPECTED_FRAME = "unexpected_frame"
    ODD_LOGIN_OK = "odd_login_ok"
    EPOCH_CHANGED = "epoch_changed"
    REPLAY_TIMEOUT = "replay_timeout"
    HOLD_OVERFLOW = "hold_overflow"
    DELIVERY_OVERFLOW = "delivery_overflow"
    SCOPE_LIMIT = "scope_limit"
    SNAPSHOT_FAILED = "snapshot_failed"
    SNAPSHOT_STALE = "snapshot_stale"
    SNAPSHOT_SHRUNK = "snapshot_shrunk"
    VERIFICATION_SKIPPED = "verification_skipped"
    ENTRY_REJECTED = "entry_rejected"
    RESUME_ABANDONED = "resume_abandoned"
    PEER_ERROR = "peer_error"
    COMMIT_FAILED = "commit_failed"
    STATE_SET_ASIDE = "state_set_aside"
    BACKPRESSURE = "backpressure"
    ODD_EVENT = "odd_event"
    """An event that counts, with something wrong in it."""
    SUBSCRIBE_UNANSWERED = "subscribe_unanswered"
    HISTORY_UNANSWERED = "history_unanswered"
    IMPLAUSIBLE_TIME = "implausible_time"
    ITEM_LIMIT = "item_limit"
    """Something about an item was forgotten before its time, to stay below a cap (HZ-G9)."""
    UNCONFIRMED = "unconfirmed"
    """Most items time out: the confirmations may not be subscribed to (HZ-G17)."""
    NO_SNAPSHOT = "no_snapshot"
    """Entries came before the snapshot that they belong on (HZ-C22)."""
    UNIT_REGRESSED = "unit_regressed"
    """An entry, or a snapshot, said less of a unit than was known (HZ-F5)."""
    SESSION_CHANGED = "session_changed"
    """The peer began anew within one answer."""
    TOKEN_UNAVAILABLE = "token_unavailable"
    """No bearer token could be obtained."""
    EVENT_LOOP_BLOCKED = "event_loop_blocked"
    """Nothing ran for a while, not even the answers to pings (HZ-I1)."""


@final
class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """Something odd, the `count`-th of its kind; repeats are told at powers of two only."""

    code: AnomalyCode
    channel: str | None
    detail: str
    count: int


class Why(Enum):
    """Why an entry was not handed on."""

    DUPLICATE = "duplicate"
    FENCED = "fenced"
    SUPERSEDED = "superseded"
    UNSUBSCRIBED = "unsubscribed"
    BEFORE_LOGIN = "before_login"
    RESYNC = "resync"


@final
class Discarded(msgspec.Struct, frozen=True, kw_only=True):
    """An entry was not handed on; told only when `SessionOptions.report_discarded` asks for it."""

    channel: str
    id: str | None
    why: Why


@final
class DurabilityChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Commits began to fail, or work again; meanwhile a restart starts from the last one that did.

    A fall overtakes every entry that waits, as a claim's does.
    """

    durable: bool
    detail: str
    """Why not, in the store's words."""


@final
class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """A position became durable with its state; told only with `SessionOptions.report_commits`."""

    position: Position


class ItemCause(Enum):
    """What raised an item to a state."""

    LIVE = "live"
    HISTORY = "history"
    DEADLINE = "deadline"
    LIMIT = "limit"
    """There was no room to wait any longer: given up before its deadline (HZ-G9)."""


class ItemChanged(msgspec.Struct, kw_only=True, frozen=True, gc=False, eq=False):
    """An item reached a state; told at most once for each state of each item (R15).

    `key` begins with the transaction. `TIMED_OUT` says that nobody told us the outcome in time, not
    that it failed; `CONFIRMED` may still follow (HZ-G14).
    """

    key: ItemKey
    state: ItemState
    before: ItemState | None
    """None when nothing was known of it."""
    cause: ItemCause
    entry: Entry | None
    """The event that told it, which came just before this one; None when no event did."""
    waited_s: float
    """Since its first event reached us, on our clock."""
    detected_at_ms: int | None
    """When the peer first saw it, in epoch ms, if the entry says so."""
    latency_ms: float | None
    """How long its confirmation took by the peer's clock alone, if the entry says so (HZ-G15)."""


@final
class HistoryApplied(msgspec.Struct, frozen=True, kw_only=True):
    """Recent events were merged into what was known: `new` of them nobody had told us before.

    Never a state: what it leaves out is not gone (HZ-G18). `subscription` is None when nobody can
    say which one it answers.
    """

    subscription: Hashable
    events: int
    new: int


class GapReason(Enum):
    """Why events may be missing."""

    WINDOW = "window"
    """We were away for longer than the peer looks back."""
    COUNT = "count"
    """It gave as many events as it may, and they do not reach back far enough."""
    WARNED = "warned"
    """The peer says so."""
    UNANSWERED = "unanswered"
    """No history came."""
    AWAY = "away"
    """We were not connected, and the peer brings nothing back."""
    RESUME_REFUSED = "resume_refused"
    """The peer would not go on where we were (`facts/polymarket_us.md` §7.4)."""
    REPLACED = "replaced"
    """A snapshot says what became of it, and not what happened."""
    UNDECODABLE = "undecodable"
    """A record could not be understood, and nothing brings it back."""
    OVERFLOW = "overflow"
    """The application took them too slowly, so that they were dropped here (R14)."""


@final
class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Events between these moments of the server's clock, in epoch ms, may be missing.

    None is a bound that nobody knows; `subscription` is None when all may miss some. That no gap is
    told proves nothing: a feed without positions is never claimed to be gapless.
    """

    since_ms: int | None
    until_ms: int | None
    reason: GapReason
    subscription: Hashable = None


@final
class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """The account allows no more now: this stream waits in order, `ahead` of it so many others.

    Told when the wait begins; `streams` wait for one to end, `messages` for the rate to allow one.
    """

    budget: str
    ahead: int


@final
class Subscribed(msgspec.Struct, frozen=True, kw_only=True):
    """The peer granted a subscription, with an `id` of its own and perhaps with warnings."""

    subscription: Hashable
    id: str | None
    warnings: tuple[str, ...]


@final
class SubscribeRefused(msgspec.Struct, frozen=True, kw_only=True):
    """The peer will not grant a subscription, or never answers; it is given up, others go on."""

    subscription: Hashable
    code: str | None
    message: str


Event = (
    Entry
    | StateSnapshot
    | StatusChanged
    | LoggedIn
    | Disconnected
    | Stopped
    | Anomaly
    | Discarded
    | DurabilityChanged
    | Committed
    | ItemChanged
    | HistoryApplied
    | Gap
    | Subscribed
    | SubscribeRefused
    | Queued
)
"""The closed union of events."""
