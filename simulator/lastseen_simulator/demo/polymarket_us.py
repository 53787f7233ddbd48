"""The demo's Polymarket US: three streams of one account, each equal to the truth in the end."""

import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Any, Final, final

import attrs
import trio

from lastseen import (
    Account,
    Anomaly,
    Counters,
    Disconnected,
    Entry,
    Event,
    Gap,
    LoggedIn,
    PayloadError,
    Replica,
    ScopeState,
    StreamOptions,
)
from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen_simulator.demo.cast import Cast, Player, Shade, Tell
from lastseen_simulator.demo.scenes import Act, Scene
from lastseen_simulator.polymarket_us.options import DEMO_KEY, PolymarketUSOptions
from lastseen_simulator.polymarket_us.verdict import compare
from lastseen_simulator.server import GatewayServer
from lastseen_simulator.verdict import ChannelVerdict
from lastseen_trio import StreamFeed, open_feed

__all__ = ["ACTS", "CAST"]

_STREAMS: Final = (Stream.ORDERS, Stream.POSITIONS, Stream.MARKET_DATA)
_SYMBOLS: Final = ("demo-aaa", "demo-bbb", "demo-ccc")
_ROWS: Final = tuple(stream.value for stream in _STREAMS)

_OPTIONS = StreamOptions(
    # A demo has a minute; the shapes are the same as with the defaults.
    backoff_base_s=0.2,
    backoff_cap_s=1.0,
    stable_after_s=0.5,
    limit_backoff_s=0.2,
    login_timeout_s=3.0,
    close_timeout_s=2.0,
    silence_limit_s=2.5,
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
    """The client under the lights: its feeds, and a replica of each."""

    feeds: dict[str, StreamFeed]
    replicas: dict[str, Replica]
    tell: Tell
    changed: trio.Event = attrs.field(factory=trio.Event)
    logins: list[tuple[str, ...]] = attrs.field(factory=list[tuple[str, ...]])
    seen: set[str] = attrs.field(factory=set[str])

    async def run(self) -> None:
        """Takes the events of every stream for ever."""
        async with trio.open_nursery() as nursery:
            for name in self.feeds:
                nursery.start_soon(self._follow, name)

    async def prepare(self, scene: Scene, gateway: GatewayServer) -> None:
        """Streams take nothing for granted."""
        del scene, gateway

    def claims(self) -> tuple[str, ...]:
        """Each stream's."""
        return tuple(feed.status().state.value for feed in self.feeds.values())

    def claimed(self) -> bool:
        """Whether it calls every stream synced."""
        return all(feed.status().synced for feed in self.feeds.values())

    def judge(self, gateway: GatewayServer) -> tuple[ChannelVerdict, ...]:
        """Replicas and truth, stream by stream."""
        truth = gateway.truth_state(channels=_ROWS, symbols=_SYMBOLS)
        ours = {
            key: value
            for replica in self.replicas.values()
            for key, value in replica.state().items()
        }
        return compare(ours, truth, _ROWS)

    def counters(self) -> Mapping[str, Counters]:
        """Where every entry went."""
        return {name: feed.counters()[name] for name, feed in self.feeds.items()}

    async def _follow(self, name: str) -> None:
        feed, replica = self.feeds[name], self.replicas[name]
        async for batch in feed.batches():
            for event in batch:
                try:
                    replica.apply(event)
                except PayloadError:
                    assert isinstance(event, Entry)
                    feed.reject(event)
                self._take(name, event)
            self.changed.set()
            self.changed = trio.Event()

    def _take(self, name: str, event: Event) -> None:
        match event:
            case Gap():
                self.seen.add("a gap")
            case Anomaly():
                self.seen.add(event.code.value)
            case LoggedIn():
                self.logins.append(event.resumed)
                resumes = bool(event.resumed)
                how = "from its token" if resumes else "by a snapshot"
                if resumes:
                    self.seen.add("a resumed stream")
                self.tell(
                    {
                        "event": "logged_in",
                        "resumed": [*event.resumed],
                        "catches_up": f"{how} ({name})",
                    }
                )
            case Disconnected():
                again = event.retry_in_s
                self.tell({"event": "disconnected", "code": event.code, "retry_in_s": again})
            case _:
                pass


@final
@attrs.frozen
class _PolymarketUSCast:
    dialect: str = "polymarket-us"
    rows: tuple[str, ...] = _ROWS
    shades: Mapping[str, Shade] = _SHADES
    claim: str = "call every stream synced"

    def options(self, knobs: Mapping[str, Any]) -> PolymarketUSOptions:
        """A venue in a hurry, on the strictest page."""
        defaults: dict[str, Any] = {"rate": 20.0, "heartbeat_s": 0.8, "symbols": 3}
        return PolymarketUSOptions(**{**defaults, **knobs})

    def enter(
        self, gateway: GatewayServer, knobs: Mapping[str, Any], *, seed: int, tell: Tell
    ) -> AbstractAsyncContextManager[Player]:
        """A client that has just begun."""
        del knobs
        return _enter(gateway, seed, tell)


@asynccontextmanager
async def _enter(gateway: GatewayServer, seed: int, tell: Tell) -> AsyncGenerator[Player]:
    account = Account()
    client = _Client({}, {}, tell)
    async with AsyncExitStack() as stack:
        for number, stream in enumerate(_STREAMS):
            dialect = PolymarketUS(subscription=Subscription(stream=stream, symbols=_SYMBOLS))
            feed = await stack.enter_async_context(
                open_feed(
                    dialect,
                    url=gateway.http_url,
                    key=DEMO_KEY,
                    account=account,
                    options=_OPTIONS,
                    rng=random.Random(seed * 10 + number),
                )
            )
            client.feeds[stream.value] = feed
            client.replicas[stream.value] = Replica(dialect, keep_omitted=stream is Stream.ORDERS)
        yield client


CAST: Final[Cast] = _PolymarketUSCast()

_GARBAGE: Final = b"garbage\r\n".hex()
_ORDERS: Final = "on request /v1/orders/subscribe 1"

ACTS: tuple[Act, ...] = (
    Act(
        name="Polymarket US: streams over HTTP",
        cast=CAST,
        scenes=(
            Scene(
                name="executions twice",
                tells="at least once means twice now and then; each counts once",
                steps=(({"kind": "duplicate", "at": "every 3 live", "times": 6},),),
            ),
            Scene(
                name="resume from a token",
                tells="the streams vanish; orders go on from the token, the others anew",
                logins=3,
                sees=("a resumed stream",),
                steps=(({"kind": "drop", "at": "soon"},),),
                publish=("orders", "orders", "market_data"),
            ),
            Scene(
                name="an older snapshot comes again",
                tells="a snapshot replaces, but not one from before the last",
                steps=(
                    ({"kind": "snapshot", "at": "soon"},),
                    ({"kind": "old_snapshot", "at": "soon"},),
                ),
            ),
            Scene(
                name="a token is refused",
                tells="it is dropped, a snapshot is taken, and what may be missing is told",
                logins=3,
                sees=("a gap",),
                steps=(
                    (
                        {"kind": "refuse_token", "at": _ORDERS},
                        {"kind": "drop", "at": "soon"},
                    ),
                ),
            ),
            Scene(
                name="a change before its snapshot",
                tells="it waits; nothing is applied to nothing",
                logins=3,
                steps=(
                    (
                        {"kind": "refuse_token", "at": _ORDERS},
                        {"kind": "delta_first", "at": _ORDERS},
                        {"kind": "drop", "at": "soon"},
                    ),
                ),
            ),
            Scene(
                name="garbage in the body",
                tells="a body that is not framed any more is no body; nothing of it counts",
                logins=3,
                steps=(({"kind": "raw", "at": "soon", "data_hex": _GARBAGE},),),
            ),
            Scene(
                name="an error after 200",
                tells="streams end with an error inside; they are opened again, more slowly",
                logins=3,
                steps=(({"kind": "error", "at": "soon", "code": 14},),),
            ),
            Scene(
                name="silence",
                tells="open sockets, and not even a heartbeat; silence has its limit",
                logins=3,
                steps=(({"kind": "half_open", "at": "soon"},),),
            ),
            Scene(
                name="a restart, and too many requests",
                tells="another session of the gateway, and 429 to whoever comes back at once",
                logins=3,
                steps=(
                    (
                        {"kind": "status", "at": "on request * 1", "status": 429, "times": 2},
                        {"kind": "restart", "at": "soon", "how": "crash"},
                    ),
                ),
            ),
        ),
    ),
)
