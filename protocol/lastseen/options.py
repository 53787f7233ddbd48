"""Every timer, cap and limit of a session, with its default and the reason for it."""

from typing import Any, final

import attrs

from lastseen.errors import ConfigurationError

__all__ = [
    "ConnectionOptions",
    "HistoryOptions",
    "SessionOptions",
    "SocketOptions",
    "StreamOptions",
]


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not value > 0:
        raise ConfigurationError(f"{attribute.name} must be above 0, not {value}")


@attrs.frozen(kw_only=True)
class ConnectionOptions:
    """What every session needs to know of sockets and of a slow application.

    Durations in seconds, sizes in bytes. The caps are published bounds (INV-S13): crossing one
    never loses anything silently (R14).
    """

    connect_timeout_s: float = attrs.field(default=10.0, validator=_positive)
    login_timeout_s: float = attrs.field(default=10.0, validator=_positive)
    """The gateway gives a client 10 s; we give it as much to answer (HZ-H8)."""
    close_timeout_s: float = attrs.field(default=5.0, validator=_positive)
    """How long a socket may take to close before its slot counts as free."""

    backoff_base_s: float = attrs.field(default=1.0, validator=_positive)
    backoff_cap_s: float = attrs.field(default=30.0, validator=_positive)
    limit_backoff_s: float = attrs.field(default=10.0, validator=_positive)
    """The least wait after a connection limit was hit (HZ-H9)."""
    stable_after_s: float = attrs.field(default=10.0, validator=_positive)
    """How long a login must last before backoff starts anew (R12)."""
    handover_jitter_s: float = attrs.field(default=1.0, validator=_positive)
    """Spread of planned moves, inside the few seconds of grace (HZ-D9)."""

    delivery_items_max: int = attrs.field(default=100_000, validator=_positive)
    delivery_bytes_max: int = attrs.field(default=64 << 20, validator=_positive)
    """Per channel, for what the application has not taken or not finished."""
    blocked_after_s: float = attrs.field(default=1.0, validator=_positive)
    """An event loop that stands still for so long is told (HZ-I1)."""


@attrs.frozen(kw_only=True)
class SocketOptions(ConnectionOptions):
    """What the sessions over WebSockets need besides."""

    ping_interval_s: float = attrs.field(default=20.0, validator=_positive)
    ping_timeout_s: float = attrs.field(default=20.0, validator=_positive)
    """Both from the template of OddsPapi (`facts/oddspapi.md` §7)."""
    connection_limit: int = attrs.field(default=5, validator=_positive)
    """Sockets of this process; OddsPapi allows a key 5 (`facts/oddspapi.md` §8)."""
    messages_per_s: int = attrs.field(default=20, validator=_positive)
    """The strictest client message rate in the seeds (HZ-H10)."""


@final
@attrs.frozen(kw_only=True)
class SessionOptions(SocketOptions):
    """The options of a feed with positions (`facts/oddspapi.md`).

    Crossing a cap becomes a resync of the scope or channel it hit (R14).
    """

    resume_timeout_s: float = attrs.field(default=15.0, validator=_positive)
    """`resume_complete` was seen about 8 s after a login (`facts` §4, HZ-B3)."""
    escalate_after: int = attrs.field(default=3, validator=_positive)
    """Failures at one position before the cursors are dropped (R13)."""

    snapshot_concurrency: int = attrs.field(default=4, validator=_positive)
    snapshot_timeout_s: float = attrs.field(default=20.0, validator=_positive)
    snapshot_jitter_s: float = attrs.field(default=0.25, validator=_positive)
    """Spread of the first fetch after an epoch change (HZ-C21)."""
    snapshot_backoff_base_s: float = attrs.field(default=0.5, validator=_positive)
    snapshot_backoff_cap_s: float = attrs.field(default=60.0, validator=_positive)
    snapshot_settled_s: float = attrs.field(default=10.0, validator=_positive)
    """A doubt sooner than this after the last sync makes the next fetch wait (HZ-C20)."""
    verify_after_s: float = attrs.field(default=10.0, validator=_positive)
    """When an unproven base is fetched once more (R11); covers a cache of this age."""

    hold_items_max: int = attrs.field(default=20_000, validator=_positive)
    hold_bytes_max: int = attrs.field(default=16 << 20, validator=_positive)
    """Per scope, for live entries that wait for a base."""
    channel_hold_bytes_max: int = attrs.field(default=128 << 20, validator=_positive)
    """Per channel, for all that waits, and as much again for copies that await verification."""
    scopes_max: int = attrs.field(default=20_000, validator=_positive)
    """Per channel, for fixtures that the peer can make us remember (HZ-J17)."""
    ring_items: int = attrs.field(default=4096, validator=_positive)
    """Exact ids remembered per channel (HZ-F3)."""
    commit_interval_s: float = attrs.field(default=0.25, validator=_positive)
    """What is processed waits at most so long for a commit, when none is under way."""
    commit_items_max: int = attrs.field(default=5000, validator=_positive)
    """So many processed events do not wait for the interval."""
    commit_retry_cap_s: float = attrs.field(default=5.0, validator=_positive)
    """The longest wait after a commit that failed."""
    report_discarded: bool = False
    """Tells every duplicate and discarded entry as an event; for reports and tests."""
    report_commits: bool = False
    """Tells every position that became durable as an event; for reports and tests."""


@final
@attrs.frozen(kw_only=True)
class HistoryOptions(SocketOptions):
    """The options of a feed that catches up from histories (`facts/polynode.md`).

    `login_timeout_s` is how long any request may wait for its answer; a subscribe is the login of
    such a feed. Crossing a cap becomes a `Gap` and another look at the history (R14).
    """

    ping_interval_s: float = attrs.field(default=30.0, validator=_positive)
    ping_timeout_s: float = attrs.field(default=60.0, validator=_positive)
    """Together the 90 s of silence after which the link is dead (`facts` §8)."""
    connection_limit: int = attrs.field(default=1, validator=_positive)
    """The smallest plan has one socket (`facts` §8), and nobody tells us to move to another."""
    keepalive_interval_s: float = attrs.field(default=30.0, validator=_positive)
    """Between two pings of the application's own kind (`facts` §2.3, §8)."""
    history_timeout_s: float = attrs.field(default=5.0, validator=_positive)
    """How long after the answer to a subscribe its history may come; no figure is published."""
    history_interval_s: float = attrs.field(default=10.0, validator=_positive)
    """The least time between two looks at the history on one connection."""
    attempts_max: int = attrs.field(default=3, validator=_positive)
    """Failures in a row before a subscription is given up, unless all fail alike."""
    overlap_ms: int = attrs.field(default=5_000, validator=_positive)
    """Asked for once more, because events do not come in the order of their times."""
    history_count: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(_positive)
    )
    """Ask for the last so many events instead of all since a moment."""

    pending_timeout_s: float = attrs.field(default=15.0, validator=_positive)
    """From when an item was first seen here (HZ-G16)."""
    pending_max: int = attrs.field(default=250_000, validator=_positive)
    tombstones_max: int = attrs.field(default=250_000, validator=_positive)
    """Items that are over."""
    confirmations_max: int = attrs.field(default=250_000, validator=_positive)
    """Transactions, known or not."""
    identities_max: int = attrs.field(default=65_536, validator=_positive)
    """Events that are remembered to tell duplicates by."""
    unconfirmed_ratio: float = attrs.field(default=0.5, validator=_positive)
    unconfirmed_items_min: int = attrs.field(default=20, validator=_positive)
    """When such a part of at least so many items has timed out, something is amiss (HZ-G17)."""


@final
@attrs.frozen(kw_only=True)
class StreamOptions(ConnectionOptions):
    """The options of a feed with snapshots in its stream (`facts/polymarket_us.md`).

    `connect_timeout_s` is one deadline over TCP, TLS and the head of the answer (HZ-K9). What all
    streams of an account share is in `AccountLimits`. Crossing a cap becomes a fresh snapshot, or a
    `Gap` where a stream has none (R14).
    """

    limit_backoff_s: float = attrs.field(default=1.0, validator=_positive)
    """The least wait after a refusal for too much; the backoff grows from there (`facts` §4.5)."""
    login_timeout_s: float = attrs.field(default=15.0, validator=_positive)
    """How long the first snapshot, or its next page, may take (HZ-C22); no figure is published."""
    silence_limit_s: float = attrs.field(default=180.0, validator=_positive)
    """Without a byte for so long the stream is dead (`facts` §6)."""
    token_timeout_s: float = attrs.field(default=10.0, validator=_positive)
    """How long obtaining a bearer token may take."""
    escalate_after: int = attrs.field(default=3, validator=_positive)
    """Failures at one token before it is dropped (R13)."""

    hold_items_max: int = attrs.field(default=20_000, validator=_positive)
    hold_bytes_max: int = attrs.field(default=16 << 20, validator=_positive)
    """For entries that came before their snapshot."""
    snapshot_rows_max: int = attrs.field(default=500_000, validator=_positive)
    """Of all pages of one snapshot together."""
    units_max: int = attrs.field(default=500_000, validator=_positive)
    """Units whose progress is remembered."""
    identities_max: int = attrs.field(default=65_536, validator=_positive)
    """Entries that are remembered to tell duplicates by (HZ-F1)."""
    commit_interval_s: float = attrs.field(default=0.25, validator=_positive)
    commit_items_max: int = attrs.field(default=5000, validator=_positive)
    commit_retry_cap_s: float = attrs.field(default=5.0, validator=_positive)
    """As in `SessionOptions`."""
    report_discarded: bool = False
    """Tells every duplicate and discarded entry as an event; for reports and tests."""
    report_commits: bool = False
    """Tells every position that became durable as an event; for reports and tests."""
