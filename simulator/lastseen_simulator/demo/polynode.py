"""The demo's PolyNode: items must have come to what the gateway let the client hear of them."""

import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import Any, Final, final

import attrs
import trio

from lastseen import (
    Anomaly,
    Counters,
    Disconnected,
    Event,
    Gap,
    HistoryApplied,
    HistoryOptions,
    ItemCause,
    ItemChanged,
    ItemState,
    LoggedIn,
)
from lastseen.dialects.polynode import Plan, Subscription
from lastseen.lifecycle import ItemKey
from lastseen.status import SubscriptionState
from lastseen_simulator.demo.cast import Cast, Player, Shade, Tell
from lastseen_simulator.demo.scenes import Act, Scene
from lastseen_simulator.polynode.options import DEMO_KEY, PolyNodeOptions
from lastseen_simulator.polynode.verdict import compare_items
from lastseen_simulator.server import GatewayServer
from lastseen_simulator.verdict import ChannelVerdict
from lastseen_trio import HistoryFeed, open_feed

__all__ = ["ACTS", "CAST"]

_TIMEOUT_S: Final = 2.0
"""Instead of 15, as a demo has a minute; confirmations are as much quicker."""
_LOOKBACK_S: Final = 30.0
_COUNT: Final = 500

_OPTIONS = HistoryOptions(
    pending_timeout_s=_TIMEOUT_S,
    backoff_base_s=0.2,
    backoff_cap_s=1.0,
    stable_after_s=0.5,
    login_timeout_s=3.0,
    close_timeout_s=2.0,
    ping_interval_s=1.0,
    ping_timeout_s=1.0,
    history_timeout_s=2.0,
    history_interval_s=0.5,
    overlap_ms=500,
)

_SHADES: Final[Mapping[str, Shade]] = MappingProxyType(
    {
        "live": ("█", "green"),
        "all confirmed": ("█", "green"),
        "some pending": ("▓", "cyan"),
        "catching up": ("▒", "yellow"),
        "one timed out": ("░", "red"),
        "down": ("·", "bright_black"),
    }
)

_JUST_NOW_S: Final = 0.4


@final
@attrs.define(eq=False)
class _Client:
    """The client under the lights: a feed, and where each item stands."""

    feed: HistoryFeed
    tell: Tell
    changed: trio.Event = attrs.field(factory=trio.Event)
    logins: list[tuple[str, ...]] = attrs.field(factory=list[tuple[str, ...]])
    seen: set[str] = attrs.field(factory=set[str])
    items: dict[ItemKey, ItemState] = attrs.field(factory=dict[ItemKey, ItemState])
    gaps: list[Gap] = attrs.field(factory=list[Gap])
    _timed_out_at: float = float("-inf")

    async def run(self) -> None:
        """Takes events for ever."""
        async for batch in self.feed.batches():
            for event in batch:
                self._take(event)
            self.changed.set()
            self.changed = trio.Event()

    async def prepare(self, scene: Scene, gateway: GatewayServer) -> None:
        """A history starts from nothing."""
        del scene, gateway

    def claims(self) -> tuple[str, ...]:
        """The connection's, and that of all items."""
        status = self.feed.status()
        link = "live" if self.claimed() else "catching up" if status.connected else "down"
        items = "some pending" if status.items.pending else "all confirmed"
        if trio.current_time() - self._timed_out_at < _JUST_NOW_S:
            items = "one timed out"
        return link, items

    def claimed(self) -> bool:
        """Whether it is live: no more can be claimed without positions."""
        states = [row.state for row in self.feed.status().subscriptions]
        return all(state is SubscriptionState.LIVE for state in states)

    def judge(self, gateway: GatewayServer) -> tuple[ChannelVerdict, ...]:
        """Each item against what the gateway let this client hear."""
        opened = [each for each in gateway.core.truth.records if each["kind"] == "opened"]
        numbers = [record["connection"] for record in opened]
        truth = gateway.truth_state(types=["settlement"], connections=numbers)
        ours = {"/".join(("settlement", *key)): state.value for key, state in self.items.items()}
        # In flight when a connection broke, and out of reach of any history afterwards.
        return (compare_items(ours, truth, may_lack=self._in_a_gap),)

    def counters(self) -> Mapping[str, Counters]:
        """Where every event went."""
        return self.feed.counters()

    def _in_a_gap(self, at_ms: int) -> bool:
        return any(_holds(gap, at_ms) for gap in self.gaps)

    def _take(self, event: Event) -> None:
        match event:
            case ItemChanged():
                self._note(event)
                self.items[event.key] = event.state
            case Gap():
                self.gaps.append(event)
                self.seen.add("a gap")
            case HistoryApplied():
                self.seen.add("a history")
            case Anomaly():
                self.seen.add(event.code.value)
            case LoggedIn():
                self.logins.append(())
                self.tell({"event": "logged_in", "resumed": [], "catches_up": "by history"})
            case Disconnected():
                again = event.retry_in_s
                self.tell({"event": "disconnected", "code": event.code, "retry_in_s": again})
            case _:
                pass

    def _note(self, event: ItemChanged) -> None:
        if event.state is ItemState.TIMED_OUT:
            self._timed_out_at = trio.current_time()
            self.seen.add("a timeout")
        elif event.state is ItemState.CONFIRMED:
            if event.before is ItemState.TIMED_OUT:
                self.seen.add("a late confirmation")
            elif event.before is None:
                self.seen.add("a confirmation that came first")
            elif event.cause is ItemCause.HISTORY:
                self.seen.add("a confirmation by history")


def _holds(gap: Gap, at_ms: int) -> bool:
    since, until = gap.since_ms, gap.until_ms
    return (since is None or since <= at_ms) and (until is None or at_ms <= until)


@final
@attrs.frozen
class _PolyNodeCast:
    dialect: str = "polynode"
    rows: tuple[str, ...] = ("connection", "items")
    shades: Mapping[str, Shade] = _SHADES
    claim: str = "call itself live"

    def options(self, knobs: Mapping[str, Any]) -> PolyNodeOptions:
        """A market in a hurry; nothing but settlements."""
        defaults: dict[str, Any] = {
            "rate": 8.0, "block_s": 0.25, "confirm_min_s": 0.3, "confirm_max_s": 0.8,
            "lookback_s": _LOOKBACK_S, "snapshot_count_max": _COUNT, "heartbeat_s": 0.8,
        }  # fmt: skip
        return PolyNodeOptions(**{**defaults, **knobs})

    def enter(
        self, gateway: GatewayServer, knobs: Mapping[str, Any], *, seed: int, tell: Tell
    ) -> AbstractAsyncContextManager[Player]:
        """A client that has just begun."""
        lookback_s = knobs.get("lookback_s", _LOOKBACK_S)
        plan = Plan(snapshot_count_max=_COUNT, lookback_ms=round(lookback_s * 1000))
        return _enter(gateway, plan, seed, tell)


@asynccontextmanager
async def _enter(
    gateway: GatewayServer, plan: Plan, seed: int, tell: Tell
) -> AsyncGenerator[Player]:
    async with open_feed(
        Subscription(),
        url=gateway.ws_url,
        key=DEMO_KEY,
        compress=True,
        plan=plan,
        options=_OPTIONS,
        rng=random.Random(seed),
    ) as feed:
        yield _Client(feed, tell)


CAST: Final[Cast] = _PolyNodeCast()

ACTS: tuple[Act, ...] = (
    Act(
        name="PolyNode: a vendor-faithful gateway",
        cast=CAST,
        scenes=(
            Scene(
                name="pending to confirmed",
                tells="events come twice; each item is confirmed once, or given up after 2 s",
                steps=(({"kind": "duplicate", "at": "every 3 data", "times": 6},),),
            ),
            Scene(
                name="confirmed in a history only",
                tells="the history calls an item pending and has its confirmation elsewhere",
                logins=1,
                sees=("a confirmation by history",),
                steps=(
                    ({"kind": "confirmation_in_snapshot_only", "at": "soon"},),
                    ({"kind": "drop", "at": "soon"},),
                ),
            ),
            Scene(
                name="a confirmation is lost",
                tells="nobody ever tells the outcome; the item times out as unknown, not as failed",
                sees=("a timeout",),
                steps=(({"kind": "lose_confirmation", "at": "soon"},),),
            ),
            Scene(
                name="a frame cut short",
                tells="whatever it said, the history says it again",
                sees=("undecodable", "a history"),
                steps=(({"kind": "truncated_deflate", "at": "every 2 data"},),),
            ),
            Scene(
                name="a bomb",
                tells="a small frame that would inflate without end ends its connection instead",
                logins=1,
                sees=("undecodable",),
                steps=(({"kind": "bomb", "at": "every 2 data"},),),
            ),
            Scene(
                name="a silent link",
                tells="the socket stays open and nothing comes; silence is noticed",
                logins=1,
                steps=(({"kind": "half_open", "at": "soon"},),),
            ),
        ),
    ),
    Act(
        name="PolyNode: confirmations that come first, or late",
        cast=CAST,
        knobs={"first": 0.3, "late": 0.3, "late_s": 2.2},
        scenes=(
            Scene(
                name="any order",
                tells="first, late or after a timeout: a confirmation always wins, and once",
                sees=("a confirmation that came first", "a timeout", "a late confirmation"),
                steps=(({"kind": "duplicate", "at": "every 2 data", "times": 4},),),
            ),
        ),
    ),
    Act(
        name="PolyNode: a history that reaches back one second",
        cast=CAST,
        knobs={"lookback_s": 1.0},
        scenes=(
            Scene(
                name="away for too long",
                tells="what no history brings back is told as a gap, with its bounds",
                logins=1,
                sees=("a gap",),
                steps=(
                    (
                        {"kind": "refuse", "at": "soon", "seconds": 2.0},
                        {"kind": "drop", "at": "soon"},
                    ),
                ),
            ),
        ),
    ),
)
