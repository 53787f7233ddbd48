"""Every timer, cap and limit of a session, with its default and the reason for it."""

from typing import final

import msgspec

from lastseen.errors import ConfigurationError

__all__ = [
    "ConnectionOptions",
    "HistoryOptions",
    "SessionOptions",
    "SocketOptions",
    "StreamOptions",
]


class ConnectionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What every session needs to know of sockets and of a slow application.

    Durations in seconds, sizes in bytes. The caps are published bounds (INV-S13): crossing one
    never loses anything silently (R14).
    """

    connect_timeout_s: float = 10.0
    login_timeout_s: float = 10.0
    """The gateway gives a client 10 s; we give it as much to answer (HZ-H8)."""
    close_timeout_s: float = 5.0
    """How long a socket may take to close before its slot counts as free."""

    backoff_base_s: float = 1.0
    backoff_cap_s: float = 30.0
    limit_backoff_s: float = 10.0
    """The least wait after a connection limit was hit (HZ-H9)."""
    stable_after_s: float = 10.0
    """How long a login must last before backoff starts anew (R12)."""
    handover_jitter_s: float = 1.0
    """Spread of planned moves, inside the few seconds of grace (HZ-D9)."""

    delivery_items_max: int = 100_000
    delivery_bytes_max: int = 64 << 20
    """Per channel, for what the application has not taken or not finished."""
    blocked_after_s: float = 1.0
    """An event loop that stands still for so long is told (HZ-I1)."""

    def __post_init__(self) -> None:
        names, defaults = self.__struct_fields__, self.__struct_defaults__
        for name, default in zip(names, defaults, strict=True):
            value = getattr(self, name)
            if isinstance(default, bool) or (value is None and default is None):
                continue
            if value is None or not value > 0:
                raise ConfigurationError(f"{name} must be above 0, not {value}")


class SocketOptions(ConnectionOptions, frozen=True, kw_only=True):
    """What the sessions over WebSockets need besides."""

    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    """Both from the template of OddsPapi (`facts/oddspapi.md` §7)."""
    connection_limit: int = 5
    """Sockets of this process; OddsPapi allows a key 5 (`facts/oddspapi.md` §8)."""
    messages_per_s: int = 20
    """The strictest client message rate in the seeds (HZ-H10)."""


@final
class SessionOptions(SocketOptions, frozen=True, kw_only=True):
    """The options of a feed with positions (`facts/oddspapi.md`).

    Crossing a cap becomes a resync of the scope or channel it hit (R14).
    """

    resume_timeout_s: float = 15.0
    """`resume_complete` was seen about 8 s after a login (`facts` §4, HZ-B3)."""
    escalate_after: int = 3
    """Failures at one position before the cursors are dropped (R13)."""

    snapshot_concurrency: int = 4
    snapshot_timeout_s: float = 20.0
    snapshot_jitter_s: float = 0.25
    """Spread of the first fetch after an epoch change (HZ-C21)."""
    snapshot_backoff_base_s: float = 0.5
    snapshot_backoff_cap_s: float = 60.0
    snapshot_settled_s: float = 10.0
    """A doubt sooner than this after the last sync makes the next fetch wait (HZ-C20)."""
    verify_after_s: float = 10.0
    """When an unproven base is fetched once more (R11); covers a cache of this age."""

    hold_items_max: int = 20_000
    hold_bytes_max: int = 16 << 20
    """Per scope, for live entries that wait for a base."""
    channel_hold_bytes_max: int = 128 << 20
    """Per channel, for all that waits, and as much again for copies that await verification."""
    scopes_max: int = 20_000
    """Per channel, for fixtures that the peer can make us remember (HZ-J17)."""
    ring_items: int = 4096
    """Exact ids remembered per channel (HZ-F3)."""
    commit_interval_s: float = 0.25
    """What is processed waits at most so long for a commit, when none is under way."""
    commit_items_max: int = 5000
    """So many processed events do not wait for the interval."""
    commit_retry_cap_s: float = 5.0
    """The longest wait after a commit that failed."""
    report_discarded: bool = False
    """Tells every duplicate and discarded entry as an event; for reports and tests."""
    report_commits: bool = False
    """Tells every position that became durable as an event; for reports and tests."""


@final
class HistoryOptions(SocketOptions, frozen=True, kw_only=True):
    """The options of a feed that catches up from histories (`facts/polynode.md`).

    `login_timeout_s` is how long any request may wait for its answer; a subscribe is the login of
    such a feed. Crossing a cap becomes a `Gap` and another look at the history (R14).
    """

    ping_interval_s: float = 30.0
    ping_timeout_s: float = 60.0
    """Together the 90 s of silence after which the link is dead (`facts` §8)."""
    connection_limit: int = 1
    """The smallest plan has one socket (`facts` §8), and nobody tells us to move to another."""
    keepalive_interval_s: float = 30.0
    """Between two pings of the application's own kind (`facts` §2.3, §8)."""
    history_timeout_s: float = 5.0
    """How long after the answer to a subscribe its history may come; no figure is published."""
    history_interval_s: float = 10.0
    """The least time between two looks at the history on one connection."""
    attempts_max: int = 3
    """Failures in a row before a subscription is given up, unless all fail alike."""
    overlap_ms: int = 5_000
    """Asked for once more, because events do not come in the order of their times."""
    history_count: int | None = None
    """Ask for the last so many events instead of all since a moment."""

    pending_timeout_s: float = 15.0
    """From when an item was first seen here (HZ-G16)."""
    pending_max: int = 250_000
    tombstones_max: int = 250_000
    """Items that are over."""
    confirmations_max: int = 250_000
    """Transactions, known or not."""
    identities_max: int = 65_536
    """Events that are remembered to tell duplicates by."""
    unconfirmed_ratio: float = 0.5
    unconfirmed_items_min: int = 20
    """When such a part of at least so many items has timed out, something is amiss (HZ-G17)."""


@final
class StreamOptions(ConnectionOptions, frozen=True, kw_only=True):
    """The options of a feed with snapshots in its stream (`facts/polymarket_us.md`).

    `connect_timeout_s` is one deadline over TCP, TLS and the head of the answer (HZ-K9). What all
    streams of an account share is in `AccountLimits`. Crossing a cap becomes a fresh snapshot, or a
    `Gap` where a stream has none (R14).
    """

    limit_backoff_s: float = 1.0
    """The least wait after a refusal for too much; the backoff grows from there (`facts` §4.5)."""
    login_timeout_s: float = 15.0
    """How long the first snapshot, or its next page, may take (HZ-C22); no figure is published."""
    silence_limit_s: float = 180.0
    """Without a byte for so long the stream is dead (`facts` §6)."""
    token_timeout_s: float = 10.0
    """How long obtaining a bearer token may take."""
    escalate_after: int = 3
    """Failures at one token before it is dropped (R13)."""

    hold_items_max: int = 20_000
    hold_bytes_max: int = 16 << 20
    """For entries that came before their snapshot."""
    snapshot_rows_max: int = 500_000
    """Of all pages of one snapshot together."""
    units_max: int = 500_000
    """Units whose progress is remembered."""
    identities_max: int = 65_536
    """Entries that are remembered to tell duplicates by (HZ-F1)."""
    commit_interval_s: float = 0.25
    commit_items_max: int = 5000
    commit_retry_cap_s: float = 5.0
    """As in `SessionOptions`."""
    report_discarded: bool = False
    """Tells every duplicate and discarded entry as an event; for reports and tests."""
    report_commits: bool = False
    """Tells every position that became durable as an event; for reports and tests."""
