"""What a gateway can be told: keys and the knobs for everything the wire leaves open.

The defaults are the vendor's behaviour as far as it is documented; every other setting is one
reading of an ambiguity (`facts` §9) that a client has to survive.
"""

from typing import Any, Literal

import attrs

from lastseen_simulator.channels import CHANNELS
from lastseen_simulator.demo_keys import ODDSPAPI as DEMO_KEY
from lastseen_simulator.knobs import knob

__all__ = ["DEMO_KEY", "SERVED_CHANNELS", "GatewayOptions", "KeyGrant"]

MARKET = "Market"
LOGIN = "Login"
RESUME = "Resume"
SNAPSHOT_REQUIRED = "What snapshot_required looks like"
RESTART = "Restart and reconnect"
FRAMES = "Data frames and slow readers"
REST = "REST"
TRUTH = "Truth log"

SERVED_CHANNELS = tuple(CHANNELS)
"""The channels that have a market model; any other is not permitted to anybody."""


@attrs.frozen(kw_only=True)
class KeyGrant:
    """What one API key may see; `None` means everything the gateway serves.

    A key without `live` or without `pregame` gets no entries of such fixtures (OP-A12).
    """

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


def _at_least_one_if_any(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None:
        _at_least_one(_, attribute, value)


def _not_empty(_: object, attribute: "attrs.Attribute[Any]", value: tuple[str, ...]) -> None:
    if not value:
        raise ValueError(f"{attribute.name} must not be empty")


def _close_code(_: object, attribute: "attrs.Attribute[Any]", value: int | None) -> None:
    # 1005, 1006 and 1015 are never on the wire (RFC 6455 §7.4.1).
    if value is not None and (not 1000 <= value <= 4999 or value in (1005, 1006, 1015)):
        raise ValueError(f"{attribute.name} cannot be sent in a close frame: {value}")


def _known_modes(_: object, attribute: "attrs.Attribute[Any]", value: tuple[str, ...]) -> None:
    if "json" not in value or not set(value) <= {"json", "binary"}:
        raise ValueError(f"{attribute.name} must be json, or json and binary: {','.join(value)}")


@attrs.frozen(kw_only=True)
class GatewayOptions:
    """Every knob of the gateway, with the vendor's behaviour as default.

    What each one is for stands beside it; `lastseen gateway --knobs` and
    `docs/reference/knobs.md` are made from that.
    """

    keys: tuple[KeyGrant, ...] = (KeyGrant(key=DEMO_KEY),)

    channels: tuple[str, ...] = knob(
        SERVED_CHANNELS,
        MARKET,
        "channels that are served at all; any other is permitted to nobody",
        source="§2.1",
        unit="channels",
        check=_served,
    )
    fixtures: int = knob(6, MARKET, "fixtures on offer at a time", check=_at_least_one)
    futures: int = knob(2, MARKET, "futures on offer at a time", check=_at_least_zero)
    bookmakers: tuple[str, ...] = knob(
        ("pinnacle", "stake", "bet365"),
        MARKET,
        "bookmakers that price them",
        unit="slugs",
        check=_not_empty,
    )
    rate: float = knob(
        20.0,
        MARKET,
        "how much happens; 0 publishes only what is asked for",
        unit="entries a second",
        check=_at_least_zero,
    )
    coalesce: float = knob(
        0.0,
        MARKET,
        "how likely an odds entry is preceded by one nobody sees, a hole in the sequence",
        source="§2.3",
        unit="a share of 1",
        check=_probability,
    )
    omitted_members: Literal["omitted", "null"] = knob(
        "omitted",
        MARKET,
        "an optional member of an odds row that has no value is left out, or null",
        source="OP-A26",
    )
    future_key_parts: Literal[3, 5] = knob(
        3,
        MARKET,
        "parts of the oddsId of a future; rows of the older five name outcome and player too",
        source="OP-A29",
    )
    currencies_shape: Literal["objects", "rates"] = knob(
        "objects",
        MARKET,
        "currencies are an object for each code, or numbers under rates",
        source="OP-A14",
    )

    region: str = knob("sim-1", LOGIN, "the region that login_ok names", source="§2.2")
    empty_filter: Literal["nothing", "everything", "login_failed"] = knob(
        "nothing",
        LOGIN,
        "a filter sent as [] asks for nothing, counts as left out, or fails the login",
        source="OP-A9",
    )
    denied: Literal["stripped", "login_failed"] = knob(
        "stripped",
        LOGIN,
        "what the key may not see is left out of the subscription, or fails the login",
        source="OP-A10",
    )
    bookmakers_required: Literal["no", "silent", "login_failed"] = knob(
        "no",
        LOGIN,
        "gated channels without bookmakers get all of them, stay silent, or fail the login",
        source="OP-A11",
    )
    live_pregame: Literal["key", "filter"] = knob(
        "key",
        LOGIN,
        "live and pregame of a login are passed over for what the key says, or narrow it",
        source="OP-A12",
    )
    receive_types: tuple[str, ...] = knob(
        ("json", "binary"),
        LOGIN,
        "modes on offer, json or json and binary; any other becomes json, and only the echo tells",
        source="OP-A15, §1",
        unit="modes",
        check=_known_modes,
    )
    resume_block: bool = knob(True, LOGIN, "login_ok has its resume member", source="§2.2")
    server_entry_ids: bool = knob(
        True, LOGIN, "serverEntryIds is there, in login_ok and snapshot_required", source="OP-A19"
    )
    null_heads: bool = knob(
        False, LOGIN, "serverEntryIds names channels without an entry, as null", source="OP-A22"
    )
    heads: Literal["global", "delivered"] = knob(
        "global",
        LOGIN,
        "serverEntryIds has the newest entry of the channel, or of what the subscription covers "
        "and the replay buffer still has",
        source="OP-A23",
    )
    login_timeout_s: float = knob(
        10.0,
        LOGIN,
        "silence after which a connection is closed with 4000",
        source="§1",
        unit="seconds",
        check=_at_least_zero,
    )
    connection_limit: int = knob(
        5,
        LOGIN,
        "connections a key may have; one more is closed with 4003",
        source="OP-A17",
        check=_at_least_one,
    )
    login_failed_close_code: int | None = knob(
        4000,
        LOGIN,
        "how a connection is closed after the error of a failed login; none leaves it open",
        source="OP-A32",
        unit="a close code",
        check=_close_code,
    )

    resume_window_ms: int = knob(
        60_000,
        RESUME,
        "how old a cursor may be",
        source="OP-A8",
        unit="milliseconds",
        check=_at_least_zero,
    )
    journal_entries_max: int = knob(
        100_000,
        RESUME,
        "entries of a channel that the replay buffer keeps",
        source="§4",
        check=_at_least_one,
    )
    replay_channels: tuple[str, ...] = knob(
        ("fixtures", "scores"),
        RESUME,
        "channels that can be replayed",
        source="OP-A2",
        unit="channels",
        check=_served,
    )
    unreplayable_cursor: Literal["window_exceeded", "ignored"] = knob(
        "window_exceeded",
        RESUME,
        "a cursor of any other channel is refused, or met with silence",
        source="OP-A2",
    )
    uncovered_channels: Literal["silent", "snapshot_required"] = knob(
        "silent",
        RESUME,
        "a resume login hears nothing of channels it has no cursor for, or is told to fetch them",
        source="OP-A2",
    )
    half_resume: Literal["ignored", "window_exceeded", "login_failed"] = knob(
        "ignored",
        RESUME,
        "cursors without an epoch, or an epoch without cursors",
        source="OP-A21",
    )
    bad_cursor: Literal["window_exceeded", "ignored", "login_failed"] = knob(
        "window_exceeded", RESUME, "a cursor that is malformed or in the future", source="OP-A24"
    )
    quiet_cursor: Literal["window_exceeded", "accepted"] = knob(
        "window_exceeded",
        RESUME,
        "a cursor too old for the window, of a channel that has published nothing since",
        source="OP-A22",
    )
    replay_order: Literal["before_live", "interleaved"] = knob(
        "before_live",
        RESUME,
        "live entries wait for the replay, or come between replayed ones",
        source="OP-A4",
    )
    replay_channel_order: Literal["channel_by_channel", "by_time"] = knob(
        "channel_by_channel", RESUME, "how the replays of several channels mix", source="OP-A4"
    )
    replay_gap_s: float = knob(
        0.0,
        RESUME,
        "pause between bursts of a replay",
        source="OP-A4",
        unit="seconds",
        check=_at_least_zero,
    )
    inclusive_replay: bool = knob(
        False, RESUME, "replay begins with the entry of the cursor once more", source="OP-A25"
    )
    resume_complete: Literal["sent", "late", "never"] = knob(
        "sent", RESUME, "resume_complete after a replay", source="OP-A20"
    )
    resume_complete_delay_s: float = knob(
        8.0,
        RESUME,
        "how late resume_complete is when it is late",
        source="OP-A20",
        unit="seconds",
        check=_at_least_zero,
    )
    empty_replay_completes: bool = knob(
        True, RESUME, "resume_complete also follows a replay of nothing", source="OP-A20"
    )

    snapshot_required_channels: Literal["named", "missing", "empty", "extra"] = knob(
        "named",
        SNAPSHOT_REQUIRED,
        "channels names those meant, is missing, is [], or has one too many",
        source="OP-A19",
    )
    snapshot_required_heads: bool = knob(
        True, SNAPSHOT_REQUIRED, "serverEntryIds is in snapshot_required", source="OP-A19"
    )
    snapshot_required_repeats: int = knob(
        1,
        SNAPSHOT_REQUIRED,
        "how many times each snapshot_required is sent",
        source="OP-A19",
        check=_at_least_one,
    )
    snapshot_required_place: Literal["before", "after"] = knob(
        "before",
        SNAPSHOT_REQUIRED,
        "what a resume login cannot have is told before its replay, or after resume_complete",
        source="OP-A19",
    )

    epoch_change_verdict: Literal["sent", "silent"] = knob(
        "sent",
        RESTART,
        "cursors of another epoch hear server_restarted, or nothing",
        source="OP-A5",
    )
    restart_epoch: Literal["new", "kept"] = knob(
        "new",
        RESTART,
        "a restart begins another epoch with empty buffers, or is covered by replay",
        source="OP-A5",
    )
    sequence_restarts: Literal["never", "epoch", "millisecond"] = knob(
        "epoch", RESTART, "when the numbers of entryId start anew", source="OP-A24"
    )
    reconnect_grace_s: float = knob(
        3.0,
        RESTART,
        "from the reconnect frame to the close",
        source="§2.2",
        unit="seconds",
        check=_at_least_zero,
    )
    reconnect_close_code: Literal[1006, 4002] = knob(
        1006,
        RESTART,
        "the close after it: none on the wire, or that of a slow reader",
        source="OP-A16",
    )

    binary_channels: Literal["all", "odds"] = knob(
        "all",
        FRAMES,
        "in binary mode all data is MessagePack, or odds and oddsFutures are and the rest is JSON "
        "in binary frames",
        source="OP-A13",
    )
    unnumbered_channels: tuple[str, ...] = knob(
        (),
        FRAMES,
        "channels whose entries have no entryId",
        source="OP-A24",
        unit="channels",
        check=_served,
    )
    backlog_soft_bytes: int = knob(
        1 << 20,
        FRAMES,
        "unsent bytes above which replay is cut and odds are skipped",
        source="§8",
        unit="bytes",
        check=_at_least_one,
    )
    backlog_hard_bytes: int = knob(
        8 << 20,
        FRAMES,
        "unsent bytes above which the connection is closed with 4002",
        source="§8",
        unit="bytes",
        check=_at_least_one,
    )

    snapshot_lag_s: float = knob(
        0.0,
        REST,
        "how old the state is that answers show",
        source="OP-A6",
        unit="seconds",
        check=_at_least_zero,
    )
    as_of: bool = knob(
        False,
        REST,
        "answers say in X-As-Of which entries they cover; no vendor does",
        source="OP-A6, R11",
    )
    inactive_rows: Literal["omitted", "served"] = knob(
        "omitted",
        REST,
        "inactive odds rows are left out of odds snapshots, or served",
        source="OP-A27",
    )
    book_statuses_in_fixtures: bool = knob(
        False, REST, "bookmakers of /fixtures and /futures is filled, not {}", source="§5"
    )
    main_fixtures_max: int | None = knob(
        None,
        REST,
        "fixtures that /fixtures/odds/main answers with at most; 100 is suspected",
        source="§5",
        unit="a whole number",
        check=_at_least_one_if_any,
    )
    entitlement_gap: Literal["403", "empty"] = knob(
        "403",
        REST,
        "a request for what the key may not see is refused, or answered with []",
        source="§5",
    )
    rate_limiter_down: bool = knob(
        False, REST, "every request is answered with 503 rate_limiter_error", source="§5"
    )
    missing_bookmaker: bool = knob(
        False, REST, "odds requests without bookmakers are refused", source="OP-A11, §5"
    )
    odds_limit: int = knob(
        10,
        REST,
        "requests a window for each odds endpoint",
        source="OP-A28",
        check=_at_least_one,
    )
    odds_window_s: float = knob(
        1.0, REST, "that window", source="OP-A28", unit="seconds", check=_at_least_zero
    )
    other_limit: int = knob(
        200, REST, "requests a window for all other endpoints", source="OP-A28", check=_at_least_one
    )
    other_window_s: float = knob(
        60.0, REST, "that window", source="OP-A28", unit="seconds", check=_at_least_zero
    )

    truth_records_max: int = knob(
        200_000, TRUTH, "lines of the truth log that are kept", check=_at_least_one
    )
