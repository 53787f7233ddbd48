"""Every timer, cap and limit of a session, with its default and the reason for it."""

from typing import Any, final

import attrs

from lastseen.errors import ConfigurationError

__all__ = ["SessionOptions"]


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not value > 0:
        raise ConfigurationError(f"{attribute.name} must be above 0, not {value}")


@final
@attrs.frozen(kw_only=True)
class SessionOptions:
    """Durations in seconds, sizes in bytes.

    The caps are published bounds (INV-S13): crossing one becomes a resync of the scope or channel
    it hit (R14).
    """

    connect_timeout_s: float = attrs.field(default=10.0, validator=_positive)
    login_timeout_s: float = attrs.field(default=10.0, validator=_positive)
    """The gateway gives a client 10 s; we give it as much to answer (`facts` §1, HZ-H8)."""
    resume_timeout_s: float = attrs.field(default=15.0, validator=_positive)
    """`resume_complete` was seen about 8 s after a login (`facts` §4, HZ-B3)."""
    ping_interval_s: float = attrs.field(default=20.0, validator=_positive)
    ping_timeout_s: float = attrs.field(default=20.0, validator=_positive)
    """Both from the vendor's template (`facts` §7)."""
    close_timeout_s: float = attrs.field(default=5.0, validator=_positive)
    """How long a socket may take to close before its slot counts as free."""

    connection_limit: int = attrs.field(default=5, validator=_positive)
    """Sockets this process may have open at once; the key's limit is 5 (`facts` §8)."""
    backoff_base_s: float = attrs.field(default=1.0, validator=_positive)
    backoff_cap_s: float = attrs.field(default=30.0, validator=_positive)
    limit_backoff_s: float = attrs.field(default=10.0, validator=_positive)
    """The least wait after a connection limit was hit (HZ-H9)."""
    stable_after_s: float = attrs.field(default=10.0, validator=_positive)
    """How long a login must last before backoff starts anew (R12)."""
    handover_jitter_s: float = attrs.field(default=1.0, validator=_positive)
    """Spread of planned moves, inside the few seconds of grace (HZ-D9)."""
    escalate_after: int = attrs.field(default=3, validator=_positive)
    """Failures at one position before the cursors are dropped (R13)."""
    messages_per_s: int = attrs.field(default=20, validator=_positive)
    """The strictest client message rate in the seeds (HZ-H10)."""

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

    delivery_items_max: int = attrs.field(default=100_000, validator=_positive)
    delivery_bytes_max: int = attrs.field(default=64 << 20, validator=_positive)
    """Per channel, for what the application has not taken or not finished."""
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
