"""What a PolyNode gateway can be told: keys, plans, and the knobs for what the wire leaves open.

The defaults are the vendor's behaviour as far as it is documented; `PN-9.4` in a knob's source is
the fourth of the contradictions that `facts/polynode.md` §9 lists.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

from lastseen_simulator.demo_keys import POLYNODE as DEMO_KEY
from lastseen_simulator.knobs import knob

__all__ = ["DEMO_KEY", "PLANS", "Answering", "KeyGrant", "Plan", "PlanName", "PolyNodeOptions"]

PlanName = Literal["free", "starter", "growth", "enterprise"]
Answering = Literal["ack_first", "snapshot_first", "live_first"]

MARKET = "Market"
FATES = "What becomes of settlements"
UPGRADE = "Upgrade and plans"
SUBSCRIBE = "Subscribe and filters"
SNAPSHOT = "Snapshots"
ALIVE = "Keepalive and closes"
TRUTH = "Truth log"


@attrs.frozen(kw_only=True)
class Plan:
    """What a plan allows (§6, §8); no `connections` is any number."""

    snapshot_count: int
    lookback_s: float
    connections: int | None


PLANS: Final[Mapping[PlanName, Plan]] = {
    "free": Plan(snapshot_count=20, lookback_s=30.0, connections=1),
    "starter": Plan(snapshot_count=100, lookback_s=120.0, connections=10),
    "growth": Plan(snapshot_count=200, lookback_s=300.0, connections=50),
    "enterprise": Plan(snapshot_count=500, lookback_s=300.0, connections=None),
}
"""The newer of the two revisions of the vendor's page (§8)."""


@attrs.frozen(kw_only=True)
class KeyGrant:
    """One API key; an inactive one is known and refused, no `plan` is the gateway's."""

    key: str = attrs.field(repr=lambda _: "'***'")
    plan: PlanName | None = None
    active: bool = True


def _at_least_zero(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value >= 0:
        raise ValueError(f"{attribute.name} must not be negative: {value}")


def _at_least_one(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value >= 1:
        raise ValueError(f"{attribute.name} must be at least 1: {value}")


def _above_zero(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not value > 0:
        raise ValueError(f"{attribute.name} must be positive: {value}")


def _share(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} must lie between 0 and 1: {value}")


def _close_code(_: object, attribute: "attrs.Attribute[Any]", value: int | None) -> None:
    # 1005, 1006 and 1015 are never on the wire (RFC 6455 §7.4.1).
    if value is not None and (not 1000 <= value <= 4999 or value in (1005, 1006, 1015)):
        raise ValueError(f"{attribute.name} cannot be sent in a close frame: {value}")


@attrs.frozen(kw_only=True)
class PolyNodeOptions:
    """Every knob of the gateway, with the vendor's behaviour as default.

    `lastseen gateway --dialect polynode --knobs` lists them.
    """

    keys: tuple[KeyGrant, ...] = (KeyGrant(key=DEMO_KEY),)

    rate: float = knob(
        4.0,
        MARKET,
        "how much is traded; 0 publishes only what is asked for",
        unit="transactions a second",
        check=_at_least_zero,
    )
    markets: int = knob(5, MARKET, "markets that are traded on", check=_at_least_one)
    wallets: int = knob(24, MARKET, "wallets that trade", check=_at_least_one)
    block_s: float = knob(
        2.0, MARKET, "from one block to the next", unit="seconds", check=_above_zero
    )
    price_feed_s: float = knob(
        5.0,
        MARKET,
        "from one round of price_feed events to the next; 0 for none",
        unit="seconds",
        check=_at_least_zero,
    )
    extras: float = knob(
        0.15,
        MARKET,
        "how likely a block has a deposit, a split, a redemption or the like beside each trade",
        unit="a share of 1",
        check=_share,
    )
    unknown: float = knob(
        0.02,
        MARKET,
        "how likely a block has an event of a type nobody knows beside each trade",
        source="§3",
        unit="a share of 1",
        check=_share,
    )

    confirm_min_s: float = knob(
        2.0,
        FATES,
        "how soon a status_update may follow its settlement",
        source="PN-9.2",
        unit="seconds",
        check=_at_least_zero,
    )
    confirm_max_s: float = knob(
        5.0,
        FATES,
        "how late it usually is",
        source="PN-9.2",
        unit="seconds",
        check=_at_least_zero,
    )
    never: float = knob(
        0.0,
        FATES,
        "how likely a settlement is never confirmed",
        source="PN-9.1",
        unit="a share of 1",
        check=_share,
    )
    late: float = knob(
        0.0, FATES, "how likely it is confirmed late", unit="a share of 1", check=_share
    )
    late_s: float = knob(
        20.0, FATES, "how much later that is", unit="seconds", check=_at_least_zero
    )
    first: float = knob(
        0.0,
        FATES,
        "how likely the status_update comes before its settlement",
        source="PN-9.1",
        unit="a share of 1",
        check=_share,
    )
    born_confirmed: float = knob(
        0.0,
        FATES,
        "how likely a settlement is published confirmed and never updated",
        source="PN-9.1",
        unit="a share of 1",
        check=_share,
    )
    duplicated: float = knob(
        0.0,
        FATES,
        "how likely a settlement or status_update is published twice",
        source="§7",
        unit="a share of 1",
        check=_share,
    )
    amended: float = knob(
        0.0,
        FATES,
        "how likely a settlement is published again with its market filled in",
        source="§7",
        unit="a share of 1",
        check=_share,
    )
    settlements_per_tx: int = knob(
        1, FATES, "settlements that one transaction has at most", source="§7", check=_at_least_one
    )
    update_token: Literal["taker", "maker"] = knob(
        "taker",
        FATES,
        "a status_update names the token of the taker, or the other one of the market",
        source="§7",
    )
    block_order: Literal["log_index", "shuffled"] = knob(
        "log_index",
        FATES,
        "the events of a block come by log index and then the block, or in any order",
        source="§8",
    )

    plan: Literal["free", "starter", "growth", "enterprise"] = knob(
        "growth", UPGRADE, "the plan of keys that have none", source="§6, §8"
    )
    snapshot_count_max: int | None = knob(
        None,
        UPGRADE,
        "events that snapshot_count may ask for, instead of the plan's",
        source="PN-9.10",
        unit="a whole number",
        check=_at_least_zero,
    )
    lookback_s: float | None = knob(
        None,
        UPGRADE,
        "how far back since may reach, instead of the plan's",
        source="§6",
        unit="seconds",
        check=_at_least_zero,
    )
    connection_limit: int | None = knob(
        None,
        UPGRADE,
        "connections a key may have, instead of the plan's",
        source="§8",
        unit="a whole number",
        check=_at_least_one,
    )
    refusal: Literal["http", "close"] = knob(
        "http",
        UPGRADE,
        "a bad key or a connection too many is answered with an HTTP status, or let in and closed "
        "with 4401 or 4429",
        source="§5",
    )
    retry_after_s: float = knob(
        30.0,
        UPGRADE,
        "how far ahead the second lies that the text of a 429 names",
        source="§1",
        unit="seconds",
        check=_at_least_zero,
    )

    order: Literal["ack_first", "snapshot_first", "live_first"] = knob(
        "ack_first",
        SUBSCRIBE,
        "what comes first after a subscribe: the ack, the snapshot, or a live event",
        source="§3",
    )
    answer_gap_s: float = knob(
        0.0,
        SUBSCRIBE,
        "pause between the ack and the snapshot of what was before the subscribe",
        source="§3",
        unit="seconds",
        check=_at_least_zero,
    )
    live_first_patience_s: float = knob(
        5.0,
        SUBSCRIBE,
        "how long the answers wait for a live event to come first",
        unit="seconds",
        check=_at_least_zero,
    )
    size_unit: Literal["usd", "shares"] = knob(
        "usd",
        SUBSCRIBE,
        "min_size and max_size are compared with size times price, or with the size",
        source="PN-9.5",
    )
    status_filter: Literal["settlements", "all_events"] = knob(
        "settlements",
        SUBSCRIBE,
        "the status filter concerns settlements, or takes a status_update for confirmed too",
        source="PN-9.4",
    )
    unresolved: Literal["refused", "warned"] = knob(
        "refused",
        SUBSCRIBE,
        "slugs and condition ids that do not exist fail the subscribe, or are warned about",
        source="§5",
    )
    global_splits: bool = knob(
        False,
        SUBSCRIBE,
        "the global preset has position_split and position_merge too",
        source="PN-9.9",
    )
    subscriptions_max: int = knob(
        100, SUBSCRIBE, "subscriptions that a connection may have", check=_at_least_one
    )
    filter_items_max: int = knob(
        10_000,
        SUBSCRIBE,
        "items that the filters of a subscription may have",
        source="§8",
        check=_at_least_one,
    )

    snapshot_default: int = knob(
        20,
        SNAPSHOT,
        "events of a snapshot nobody has asked for",
        source="§6",
        check=_at_least_zero,
    )
    snapshot_order: Literal["oldest_first", "newest_first"] = knob(
        "oldest_first", SNAPSHOT, "how the events of a snapshot are sorted", source="§6"
    )
    snapshot_shape: Literal["wrapped", "flat"] = knob(
        "wrapped",
        SNAPSHOT,
        "the events of a snapshot are as live ones, or their data only",
        source="PN-9.6",
    )
    empty_snapshot: Literal["sent", "omitted"] = knob(
        "sent", SNAPSHOT, "a snapshot without events is sent, or left out", source="§6"
    )
    buffer_events: int = knob(
        1000, SNAPSHOT, "recent events that snapshots are made from", check=_at_least_one
    )

    heartbeat_s: float = knob(
        30.0,
        ALIVE,
        "from one heartbeat and ping to the next",
        source="§8",
        unit="seconds",
        check=_above_zero,
    )
    heartbeats: Literal["both", "text", "ping", "none"] = knob(
        "both", ALIVE, "which of the two are sent", source="§8"
    )
    pong_timeout_s: float = knob(
        90.0,
        ALIVE,
        "how long a connection may be without a pong",
        source="§8",
        unit="seconds",
        check=_at_least_zero,
    )
    pong_close_code: int | None = knob(
        1011,
        ALIVE,
        "how it is closed then; none is without a close frame",
        source="§5",
        unit="a close code",
        check=_close_code,
    )
    idle_close_s: float | None = knob(
        None,
        ALIVE,
        "how long a client may send nothing before it is closed with 1000",
        source="§8",
        unit="seconds",
        check=_at_least_zero,
    )
    backlog_bytes: int = knob(
        1 << 20,
        ALIVE,
        "unsent bytes above which a slow reader is closed",
        source="§8",
        unit="bytes",
        check=_at_least_one,
    )
    slow_close_code: int | None = knob(
        1008,
        ALIVE,
        "how it is closed then; none is without a close frame",
        source="§5",
        unit="a close code",
        check=_close_code,
    )
    restart_close_code: int | None = knob(
        1012,
        ALIVE,
        "how an announced restart closes connections; none is without a close frame",
        source="§5",
        unit="a close code",
        check=_close_code,
    )
    pong_ts: bool = knob(False, ALIVE, "the answer to an application's ping has ts", source="§2.3")

    truth_records_max: int = knob(
        200_000, TRUTH, "lines of the truth log that are kept", check=_at_least_one
    )
    truth_items_max: int = knob(
        200_000,
        TRUTH,
        "settlements, and as many other events, whose outcome is kept",
        check=_at_least_one,
    )

    def __attrs_post_init__(self) -> None:
        if self.confirm_max_s < self.confirm_min_s:
            raise ValueError(
                f"confirm_max_s must not be below confirm_min_s: {self.confirm_max_s:g}"
            )

    def allowance(self, grant: KeyGrant) -> Plan:
        """What a key's plan allows, with the knobs that override it."""
        plan = PLANS[grant.plan or self.plan]
        count, lookback_s, limit = self.snapshot_count_max, self.lookback_s, self.connection_limit
        return Plan(
            snapshot_count=plan.snapshot_count if count is None else count,
            lookback_s=plan.lookback_s if lookback_s is None else lookback_s,
            connections=plan.connections if limit is None else limit,
        )
