"""What a gateway can be told: keys and the knobs for everything the wire leaves open.

The defaults are the vendor's behaviour as far as it is documented; every other setting is one
reading of an ambiguity (`facts` §9) that a client has to survive.
"""

from typing import Any, Literal

import attrs

__all__ = ["DEMO_KEY", "SERVED_CHANNELS", "GatewayOptions", "KeyGrant"]

DEMO_KEY = "0123456789abcdef0123456789abcdef"
"""The key every gateway accepts unless told otherwise; public by design."""

SERVED_CHANNELS = ("bookmakers", "fixtures", "odds", "scores")
"""The channels that have a market model; any other is not permitted to anybody."""


@attrs.frozen(kw_only=True)
class KeyGrant:
    """What one API key may see; `None` means everything the gateway serves."""

    key: str = attrs.field(repr=lambda _: "'***'")
    channels: tuple[str, ...] | None = None
    bookmakers: tuple[str, ...] | None = None
    sport_ids: tuple[int, ...] | None = None
    live: bool = True
    pregame: bool = True
    revoked: bool = False


def _at_least_zero(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{attribute.name} must not be negative: {value}")


def _at_least_one(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not value >= 1:
        raise ValueError(f"{attribute.name} must be at least 1: {value}")


def _probability(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} must lie between 0 and 1: {value}")


def _served(_: object, attribute: "attrs.Attribute[Any]", value: tuple[str, ...]) -> None:
    for channel in value:
        if channel not in SERVED_CHANNELS:
            raise ValueError(f"{attribute.name}: no such channel: {channel}")


@attrs.frozen(kw_only=True)
class GatewayOptions:
    """Every knob of the gateway, with the vendor's behaviour as default.

    Market
        `fixtures`, `bookmakers`, `rate` (entries per second, 0 for none), `coalesce` (how likely
        an odds entry is preceded by one nobody sees, leaving a hole in the sequence: §2.3).

    Resume (§4)
        `resume_window_ms` (OP-A8); `replay_channels` (OP-A2); `replay_order` and
        `replay_channel_order` (OP-A4); `replay_gap_s` between replayed bursts;
        `empty_replay_completes` (OP-A20); `resume_complete` with `resume_complete_delay_s`
        (OP-A20; 8 s was observed); `inclusive_replay` resends the entry of the cursor (OP-A25);
        `epoch_change_verdict` says `server_restarted` or stays silent (OP-A5); `bad_cursor` what a
        malformed or future cursor costs (OP-A24); `server_entry_ids` and `null_heads` whether
        `serverEntryIds` is there and how an empty channel looks in it (OP-A19, OP-A22);
        `sequence_restarts` whether `entryId` numbers start anew (OP-A24, HZ-A7, HZ-A9);
        `journal_entries_max` the replay buffer's cap in entries.

    Closing (§3)
        `login_failed_close_code` (OP-A32; None leaves the socket open), `reconnect_close_code`
        (OP-A16) after `reconnect_grace_s`, `connection_limit` per key (OP-A17),
        `login_timeout_s`.

    Slow readers (§8)
        Above `backlog_soft_bytes` replay is cut and odds are skipped; above `backlog_hard_bytes`
        the connection is closed with 4002.

    REST (§5)
        `snapshot_lag_s` serves the state as it was that long ago (OP-A6); `as_of` adds the
        `X-As-Of` header no vendor sends (R11); `missing_bookmaker` refuses odds requests without
        `bookmakers` (OP-A11); `odds_limit` per `odds_window_s` for each odds endpoint and
        `other_limit` per `other_window_s` for the rest (OP-A28).

    Truth
        `truth_records_max` lines are kept, the oldest go first.
    """

    keys: tuple[KeyGrant, ...] = (KeyGrant(key=DEMO_KEY),)
    region: str = "sim-1"

    fixtures: int = attrs.field(default=6, validator=_at_least_one)
    bookmakers: tuple[str, ...] = ("pinnacle", "stake", "bet365")
    rate: float = attrs.field(default=20.0, validator=_at_least_zero)
    coalesce: float = attrs.field(default=0.0, validator=_probability)

    resume_window_ms: int = attrs.field(default=60_000, validator=_at_least_zero)
    replay_channels: tuple[str, ...] = attrs.field(
        default=("fixtures", "scores"), validator=_served
    )
    replay_order: Literal["before_live", "interleaved"] = "before_live"
    replay_channel_order: Literal["channel_by_channel", "by_time"] = "channel_by_channel"
    replay_gap_s: float = attrs.field(default=0.0, validator=_at_least_zero)
    empty_replay_completes: bool = True
    resume_complete: Literal["sent", "late", "never"] = "sent"
    resume_complete_delay_s: float = attrs.field(default=8.0, validator=_at_least_zero)
    inclusive_replay: bool = False
    epoch_change_verdict: Literal["sent", "silent"] = "sent"
    bad_cursor: Literal["window_exceeded", "ignored", "login_failed"] = "window_exceeded"
    server_entry_ids: bool = True
    null_heads: bool = False
    sequence_restarts: Literal["never", "epoch", "millisecond"] = "epoch"
    journal_entries_max: int = attrs.field(default=100_000, validator=_at_least_one)

    login_failed_close_code: int | None = 4000
    reconnect_close_code: Literal[1006, 4002] = 1006
    reconnect_grace_s: float = attrs.field(default=3.0, validator=_at_least_zero)
    connection_limit: int = attrs.field(default=5, validator=_at_least_one)
    login_timeout_s: float = attrs.field(default=10.0, validator=_at_least_zero)

    backlog_soft_bytes: int = attrs.field(default=1 << 20, validator=_at_least_one)
    backlog_hard_bytes: int = attrs.field(default=8 << 20, validator=_at_least_one)

    snapshot_lag_s: float = attrs.field(default=0.0, validator=_at_least_zero)
    as_of: bool = False
    missing_bookmaker: bool = False
    odds_limit: int = attrs.field(default=10, validator=_at_least_one)
    odds_window_s: float = attrs.field(default=1.0, validator=_at_least_zero)
    other_limit: int = attrs.field(default=200, validator=_at_least_one)
    other_window_s: float = attrs.field(default=60.0, validator=_at_least_zero)

    truth_records_max: int = attrs.field(default=200_000, validator=_at_least_one)
