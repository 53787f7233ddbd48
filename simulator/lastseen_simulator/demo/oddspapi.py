"""The demo's OddsPapi: a replica that must equal the truth after each scene."""

import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import Any, Final, final

import attrs
import trio

from lastseen import (
    Counters,
    Disconnected,
    Entry,
    Event,
    LoggedIn,
    OddsPapi,
    PayloadError,
    Replica,
    ScopeState,
    Secret,
    SessionOptions,
    Subscription,
)
from lastseen_simulator.demo.cast import Cast, Player, Shade, Tell
from lastseen_simulator.demo.scenes import Act, Scene
from lastseen_simulator.gateway.options import DEMO_KEY, GatewayOptions
from lastseen_simulator.server import GatewayServer
from lastseen_simulator.verdict import ChannelVerdict, compare
from lastseen_trio import Feed, open_feed

__all__ = ["ACTS", "CAST"]

_CHANNELS = ("fixtures", "scores", "odds", "bookmakers")
_SPORTS = (10, 11, 12)
_FIXTURES = 4
_RATE = 60.0

_OPTIONS = SessionOptions(
    # A demo has a minute; the shapes are the same as with the defaults.
    backoff_base_s=0.2,
    backoff_cap_s=2.0,
    stable_after_s=0.5,
    handover_jitter_s=0.2,
    resume_timeout_s=4.0,
    snapshot_timeout_s=5.0,
    snapshot_backoff_base_s=0.2,
    snapshot_backoff_cap_s=2.0,
    snapshot_settled_s=0.2,
    verify_after_s=2.0,
    close_timeout_s=2.0,
)


_SHADES: Final[Mapping[str, Shade]] = MappingProxyType(
    {
        ScopeState.SYNCED.value: ("█", "green"),
        ScopeState.LIVE_ONLY.value: ("█", "green"),
        ScopeState.RESUMING.value: ("▓", "cyan"),
        ScopeState.SYNCING.value: ("▒", "yellow"),
        ScopeState.STALE.value: ("░", "red"),
        ScopeState.COLD.value: ("·", "bright_black"),
    }
)


@final
@attrs.define(eq=False)
class _Client:
    """The client under the lights: a feed, a replica, and what it last claimed."""

    feed: Feed
    replica: Replica
    tell: Tell
    changed: trio.Event = attrs.field(factory=trio.Event)
    logins: list[tuple[str, ...]] = attrs.field(factory=list[tuple[str, ...]])
    seen: set[str] = attrs.field(factory=set[str])

    async def run(self) -> None:
        """Applies events for ever."""
        async for batch in self.feed.batches():
            for event in batch:
                try:
                    self.replica.apply(event)
                except PayloadError:
                    assert isinstance(event, Entry)
                    self.feed.reject(event)
                self._tell(event)
            self.changed.set()
            self.changed = trio.Event()

    async def prepare(self, scene: Scene, gateway: GatewayServer) -> None:
        """Sees to it that channels can resume: a base alone gives no cursor (HZ-A10)."""
        for channel in scene.resumes:
            if self.feed.position.cursor(channel) is None:
                gateway.publish(channel)
            while self.feed.position.cursor(channel) is None:
                await self.changed.wait()

    def claims(self) -> tuple[str, ...]:
        """What each channel claims; nothing before there are any."""
        return tuple(row.state.value for row in self.feed.status().channels)

    def claimed(self) -> bool:
        """Whether it calls every channel synced."""
        return self.feed.status().synced

    def judge(self, gateway: GatewayServer) -> tuple[ChannelVerdict, ...]:
        """Replica and truth, channel by channel."""
        truth = gateway.truth_state(channels=_CHANNELS, sport_ids=_SPORTS)
        return compare(self.replica.state(), truth, _CHANNELS)

    def counters(self) -> Mapping[str, Counters]:
        """Where every entry went."""
        return self.feed.counters()

    def _tell(self, event: Event) -> None:
        if isinstance(event, LoggedIn):
            self.logins.append(event.resumed)
            resumed = ", ".join(event.resumed)
            how = f"by replay of {resumed}" if resumed else "by snapshots"
            self.tell({"event": "logged_in", "resumed": [*event.resumed], "catches_up": how})
        elif isinstance(event, Disconnected):
            self.tell({"event": "disconnected", "code": event.code, "retry_in_s": event.retry_in_s})


@final
@attrs.frozen
class _OddsPapiCast:
    dialect: str = "oddspapi"
    rows: tuple[str, ...] = _CHANNELS
    shades: Mapping[str, Shade] = _SHADES
    claim: str = "call every channel synced"

    def options(self, knobs: Mapping[str, Any]) -> GatewayOptions:
        """A small market in a hurry."""
        return GatewayOptions(fixtures=_FIXTURES, rate=_RATE, **knobs)

    def enter(
        self, gateway: GatewayServer, knobs: Mapping[str, Any], *, seed: int, tell: Tell
    ) -> AbstractAsyncContextManager[Player]:
        """A client that has just begun."""
        del knobs
        return _enter(gateway, seed, tell)


@asynccontextmanager
async def _enter(gateway: GatewayServer, seed: int, tell: Tell) -> AsyncGenerator[Player]:
    subscription = Subscription(channels=_CHANNELS, sport_ids=_SPORTS)
    dialect = OddsPapi(subscription=subscription, key=Secret(DEMO_KEY))
    async with open_feed(
        subscription,
        url=gateway.ws_url,
        key=DEMO_KEY,
        options=_OPTIONS,
        rng=random.Random(seed),
    ) as feed:
        yield _Client(feed, Replica(dialect), tell)


CAST: Final[Cast] = _OddsPapiCast()

_LISTED = ["fixtures", "scores"]
"""Channels whose snapshot is the list of fixtures."""
_REPLAYED = ("fixtures", "scores")
"""Channels the gateway can replay (`facts` §4)."""

ACTS: tuple[Act, ...] = (
    Act(
        name="OddsPapi: a vendor-faithful gateway",
        cast=CAST,
        scenes=(
            Scene(
                name="duplicates",
                tells="entries are delivered twice; each is applied once",
                steps=(({"kind": "duplicate", "at": "every 4 data", "times": 10},),),
            ),
            Scene(
                name="drop and resume",
                tells="the connection vanishes; the replay fills the hole",
                logins=1,
                resumes=_REPLAYED,
                steps=(({"kind": "drop", "at": "soon"},),),
                publish=("scores", "scores", "fixtures"),
            ),
            Scene(
                name="drop in mid-replay",
                tells="it vanishes again while replaying; the cursor has not run ahead",
                logins=2,
                resumes=_REPLAYED,
                steps=(
                    (
                        {"kind": "drop", "at": "soon"},
                        {"kind": "drop", "at": "after replayed 2"},
                    ),
                ),
                publish=("scores", "scores", "scores", "fixtures", "fixtures"),
            ),
            Scene(
                name="restart during a snapshot",
                tells="a new epoch while a snapshot is slow; the late answer must not count",
                logins=1,
                steps=(
                    (
                        {"kind": "stall", "at": "on request /fixtures 1", "seconds": 3},
                        {"kind": "snapshot_required", "at": "soon", "channels": _LISTED},
                    ),
                    ({"kind": "restart", "at": "soon", "how": "crash"},),
                ),
            ),
            Scene(
                name="reconnect hand-over",
                tells="told to move: the new connection is made before the old one is let go",
                logins=1,
                steps=(({"kind": "reconnect", "at": "soon", "grace_s": 2},),),
            ),
            Scene(
                name="client_backpressure",
                tells="the gateway has dropped entries; the base is fetched anew",
                steps=(({"kind": "backpressure", "at": "soon", "channels": list(_CHANNELS)},),),
            ),
            Scene(
                name="REST outage",
                tells="snapshots fail with 503; live entries are held, the claim stays down",
                steps=(
                    (
                        {"kind": "status", "at": "on request * 1", "status": 503, "times": 4},
                        {"kind": "snapshot_required", "at": "soon", "channels": _LISTED},
                    ),
                ),
            ),
        ),
    ),
    Act(
        name="OddsPapi: a gateway with --as-of",
        cast=CAST,
        knobs={"as_of": True},
        lead_s=1.0,
        scenes=(
            Scene(
                name="stale snapshot",
                tells="a cache answers from the past; the snapshot says so and is fetched again",
                steps=(
                    (
                        {"kind": "stale", "at": "on request /fixtures 1", "entries": 3},
                        {"kind": "snapshot_required", "at": "soon", "channels": _LISTED},
                    ),
                ),
            ),
        ),
    ),
)
