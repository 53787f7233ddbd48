"""Opening a feed: a session, its driver and its store, for as long as a block lasts."""

import ssl
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import SystemRandom
from typing import TypeVar, overload

import trio

from lastseen.backoff import Rng
from lastseen.dialects import polynode
from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.errors import ConfigurationError
from lastseen.history_session import HistorySession
from lastseen.options import ConnectionOptions, HistoryOptions, SessionOptions
from lastseen.position import Position
from lastseen.secret import Secret
from lastseen.session import Session
from lastseen.snapshots import ScopeKey
from lastseen_trio.addresses import Address
from lastseen_trio.feed import Feed, HistoryFeed
from lastseen_trio.groups import alone
from lastseen_trio.store import MemoryStore, Store
from lastseen_trio.websocket import MESSAGE_BYTES_MAX

__all__ = ["open_feed"]

_HISTORY_BYTES_MAX = 10 << 20
"""PolyNode's largest frame (`facts/polynode.md` §4); a history is one."""

_SCHEMES = ("ws", "wss")
_REST_SCHEMES = ("http", "https")

_FREE = polynode.PLANS["free"]

_F = TypeVar("_F", Feed, HistoryFeed)


@overload
def open_feed(
    subscription: Subscription,
    *,
    url: str,
    key: str | Secret,
    rest_url: str | None = None,
    options: SessionOptions | None = None,
    store: Store | None = None,
    position: Position | None = None,
    bases: Collection[ScopeKey] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    rng: Rng | None = None,
    message_bytes_max: int | None = None,
) -> AbstractAsyncContextManager[Feed]: ...


@overload
def open_feed(
    subscription: polynode.Subscription | Sequence[polynode.Subscription],
    *,
    url: str,
    key: str | Secret,
    compress: bool = False,
    plan: polynode.Plan = _FREE,
    options: HistoryOptions | None = None,
    store: MemoryStore | None = None,
    ssl_context: ssl.SSLContext | None = None,
    rng: Rng | None = None,
    message_bytes_max: int | None = None,
) -> AbstractAsyncContextManager[HistoryFeed]: ...


def open_feed(
    subscription: Subscription | polynode.Subscription | Sequence[polynode.Subscription],
    *,
    url: str,
    key: str | Secret,
    rest_url: str | None = None,
    compress: bool = False,
    plan: polynode.Plan = _FREE,
    options: ConnectionOptions | None = None,
    store: Store | None = None,
    position: Position | None = None,
    bases: Collection[ScopeKey] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    rng: Rng | None = None,
    message_bytes_max: int | None = None,
) -> AbstractAsyncContextManager[Feed] | AbstractAsyncContextManager[HistoryFeed]:
    """Subscribes for as long as the block of `async with` lasts, reconnecting as needed.

    The type of `subscription` says which wire is spoken and so which feed comes out: OddsPapi's, or
    one or more of PolyNode's. `url` is ws:// or wss://, without the key. `ssl_context` replaces the
    default one, which checks certificate and host name. `rng` is for jitter; any other than the
    default makes a run repeatable. A frame above `message_bytes_max` ends its connection.

    For OddsPapi, `rest_url` defaults to the same host and port over http or https with the language
    as its path. `store` keeps the place across restarts, with the state. An application that keeps
    both itself gives the `position` it stored last and, for channels synced fixture by fixture, as
    `bases` the scopes it holds; without `bases` it holds every channel that has a cursor.

    For PolyNode, `compress` asks for deflated events, and `plan` says how far histories reach.
    There is no position, so nothing is kept across restarts.

    Leaving the block closes the sockets in order and in bounded time, also when it is cancelled.
    An exception of the block comes out as it is; a bug in a background task comes out unwrapped
    when it is alone. Raises `ConfigurationError` for a URL no feed could be at and for options of
    the other wire, and `StoreError` when the store cannot be used.
    """
    secret = key if isinstance(key, Secret) else Secret(key)
    source = SystemRandom() if rng is None else rng
    if isinstance(subscription, Subscription):
        if not isinstance(options, SessionOptions | None):
            raise ConfigurationError("a feed with positions takes SessionOptions")
        if store is None:
            start = Position() if position is None else position
            store = MemoryStore(start, _bases(start) if bases is None else frozenset(bases))
        elif position is not None or bases is not None:
            raise ConfigurationError("a store has a position of its own")
        feed = Feed(
            Session(
                OddsPapi(subscription=subscription, key=secret),
                source,
                SessionOptions() if options is None else options,
            ),
            Address.from_url(url, schemes=_SCHEMES),
            ssl_context,
            message_bytes_max or MESSAGE_BYTES_MAX,
            secret,
            None if rest_url is None else Address.from_url(rest_url, schemes=_REST_SCHEMES),
            store,
        )
        return _opened_with(feed, store)
    if not isinstance(options, HistoryOptions | None):
        raise ConfigurationError("a feed with histories takes HistoryOptions")
    if not isinstance(store, MemoryStore | None):
        raise ConfigurationError("PolyNode has no position that a store could keep")
    if not (rest_url is None and position is None and bases is None):
        raise ConfigurationError("PolyNode has no REST snapshots and no positions")
    asked = (subscription,) if isinstance(subscription, polynode.Subscription) else subscription
    dialect = polynode.PolyNode(
        subscriptions=tuple(asked), key=secret, compress=compress, plan=plan
    )
    return _opened(
        HistoryFeed(
            HistorySession(dialect, source, HistoryOptions() if options is None else options),
            Address.from_url(url, schemes=_SCHEMES),
            ssl_context,
            message_bytes_max or _HISTORY_BYTES_MAX,
        )
    )


@asynccontextmanager
async def _opened_with(feed: Feed, store: Store) -> AsyncGenerator[Feed]:
    """A feed that starts from what its store kept; the store is closed after it."""
    await feed.restore()
    try:
        async with _opened(feed):
            yield feed
    finally:
        with trio.CancelScope(shield=True):
            await store.close()


@asynccontextmanager
async def _opened(feed: _F) -> AsyncGenerator[_F]:
    """Runs a feed for as long as the block lasts, and brings out what ended it."""
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(feed.run)
            try:
                yield feed
            except BaseException as error:
                failure = error
                raise
            finally:
                await feed.aclose()
                feed.stop()
    except BaseExceptionGroup as group:
        failure = alone(group)
        if failure is None:
            raise
    if failure is not None:
        raise failure


def _bases(position: Position) -> frozenset[ScopeKey]:
    return frozenset(ScopeKey(channel, None) for channel in position.channels)
