"""Opening a feed: a session, its driver and its store, for as long as a block lasts."""

import ssl
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import SystemRandom
from typing import TypeVar, overload

import trio

from lastseen.accounts import Account
from lastseen.backoff import Rng
from lastseen.dialects import polymarket_us, polynode
from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.errors import ConfigurationError
from lastseen.history_session import HistorySession
from lastseen.options import ConnectionOptions, HistoryOptions, SessionOptions, StreamOptions
from lastseen.position import Position
from lastseen.secret import Secret
from lastseen.session import Session
from lastseen.snapshots import ScopeKey
from lastseen.stream_dialect import StreamDialect
from lastseen_trio.addresses import Address
from lastseen_trio.feed import Feed, HistoryFeed
from lastseen_trio.groups import alone
from lastseen_trio.opening_stream import make_stream_feed, store_of
from lastseen_trio.store import MemoryStore, Store
from lastseen_trio.stream_feed import StreamFeed, TokenSource
from lastseen_trio.websocket import MESSAGE_BYTES_MAX, WebSockets

__all__ = ["open_feed"]

_HISTORY_BYTES_MAX = 10 << 20
"""PolyNode's largest frame (`facts/polynode.md` §4); a history is one."""

_SCHEMES = ("ws", "wss")
_REST_SCHEMES = ("http", "https")

_FREE = polynode.PLANS["free"]

_F = TypeVar("_F", Feed, HistoryFeed, StreamFeed)
_K = TypeVar("_K", Feed, StreamFeed)


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


@overload
def open_feed(
    subscription: polymarket_us.Subscription | StreamDialect,
    *,
    url: str,
    key: str | Secret | None = None,
    token: TokenSource | None = None,
    account: Account | None = None,
    options: StreamOptions | None = None,
    store: Store | None = None,
    position: Position | None = None,
    bases: Collection[ScopeKey] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    rng: Rng | None = None,
) -> AbstractAsyncContextManager[StreamFeed]: ...


def open_feed(
    subscription: (
        Subscription
        | polynode.Subscription
        | Sequence[polynode.Subscription]
        | polymarket_us.Subscription
        | StreamDialect
    ),
    *,
    url: str,
    key: str | Secret | None = None,
    token: TokenSource | None = None,
    account: Account | None = None,
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
) -> (
    AbstractAsyncContextManager[Feed]
    | AbstractAsyncContextManager[HistoryFeed]
    | AbstractAsyncContextManager[StreamFeed]
):
    """Subscribes for as long as the block of `async with` lasts, reconnecting as needed.

    The type of `subscription` says which wire is spoken and so which feed comes out: OddsPapi's,
    one or more of PolyNode's, or a stream of Polymarket US, for which its dialect may stand. `url`
    is ws:// or wss:// (for a stream http:// or https://, with its path left out), without the key.
    `ssl_context` replaces the default one, which checks certificate and host name. `rng` is for
    jitter; any other than the default makes a run repeatable. A frame above `message_bytes_max`
    ends its connection.

    For OddsPapi, `rest_url` defaults to the same host and port over http or https with the language
    as its path. `store` keeps the place across restarts, with the state. An application that keeps
    both itself gives the `position` it stored last and, for channels synced fixture by fixture, as
    `bases` the scopes it holds; without `bases` it holds every channel that has a cursor.

    For PolyNode, `compress` asks for deflated events, and `plan` says how far histories reach.
    There is no position, so nothing is kept across restarts.

    For a stream, `key` is a bearer token that lives, or `token` obtains those that do not; with
    neither nobody says who asks. Streams given the same `account` share its budgets and tokens, and
    wait for each other. `store`, `position` and `bases` are as for OddsPapi.

    Leaving the block closes the sockets in order and in bounded time, also when it is cancelled.
    An exception of the block comes out as it is; a bug in a background task comes out unwrapped
    when it is alone. Raises `ConfigurationError` for a URL no feed could be at and for options of
    the other wire, and `StoreError` when the store cannot be used.
    """
    secret = Secret(key) if isinstance(key, str) else key
    source = SystemRandom() if rng is None else rng
    if isinstance(subscription, Subscription):
        if not isinstance(options, SessionOptions | None):
            raise ConfigurationError("a feed with positions takes SessionOptions")
        kept = store_of(store, position, bases)
        feed = Feed(
            Session(
                OddsPapi(subscription=subscription, key=_required(secret)),
                source,
                SessionOptions() if options is None else options,
            ),
            WebSockets(
                address=Address.from_url(url, schemes=_SCHEMES),
                ssl_context=ssl_context,
                message_bytes_max=message_bytes_max or MESSAGE_BYTES_MAX,
            ),
            kept,
            _required(secret),
            None if rest_url is None else Address.from_url(rest_url, schemes=_REST_SCHEMES),
            ssl_context,
        )
        return _opened_with(feed, kept)
    if isinstance(subscription, polymarket_us.Subscription):
        subscription = polymarket_us.PolymarketUS(subscription=subscription)
    if isinstance(subscription, StreamDialect):
        kept = store_of(store, position, bases)
        stream = make_stream_feed(
            subscription,
            url=url,
            key=secret,
            token=token,
            account=account,
            options=options,
            store=kept,
            ssl_context=ssl_context,
            rng=source,
        )
        return _opened_with(stream, kept)
    if not isinstance(options, HistoryOptions | None):
        raise ConfigurationError("a feed with histories takes HistoryOptions")
    if not isinstance(store, MemoryStore | None):
        raise ConfigurationError("PolyNode has no position that a store could keep")
    if not (token is None and account is None):
        raise ConfigurationError("PolyNode has keys, and accounts share nothing")
    if not (rest_url is None and position is None and bases is None):
        raise ConfigurationError("PolyNode has no REST snapshots and no positions")
    asked = (subscription,) if isinstance(subscription, polynode.Subscription) else subscription
    dialect = polynode.PolyNode(
        subscriptions=tuple(asked), key=_required(secret), compress=compress, plan=plan
    )
    return _opened(
        HistoryFeed(
            HistorySession(dialect, source, HistoryOptions() if options is None else options),
            WebSockets(
                address=Address.from_url(url, schemes=_SCHEMES),
                ssl_context=ssl_context,
                message_bytes_max=message_bytes_max or _HISTORY_BYTES_MAX,
            ),
        )
    )


@asynccontextmanager
async def _opened_with(feed: _K, store: Store) -> AsyncGenerator[_K]:
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


def _required(key: Secret | None) -> Secret:
    if key is None:
        raise ConfigurationError("this feed needs a key")
    return key
