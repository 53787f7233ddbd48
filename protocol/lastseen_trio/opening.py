"""Opening a feed of any wire, for as long as a block lasts."""

import ssl
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import overload

from lastseen.accounts import Account
from lastseen.backoff import Rng
from lastseen.dialects import polymarket_us, polynode
from lastseen.dialects.oddspapi import Subscription
from lastseen.errors import ConfigurationError
from lastseen.options import ConnectionOptions, HistoryOptions, SessionOptions, StreamOptions
from lastseen.position import Position
from lastseen.secret import Secret
from lastseen.snapshots import ScopeKey
from lastseen.stream_dialect import StreamDialect
from lastseen_trio.feed import Feed
from lastseen_trio.history_feed import HistoryFeed
from lastseen_trio.opened import SOURCE
from lastseen_trio.opening_histories import FREE, open_histories
from lastseen_trio.opening_positions import open_positions
from lastseen_trio.opening_stream import open_stream
from lastseen_trio.store import MemoryStore, Store
from lastseen_trio.stream_feed import StreamFeed, TokenSource

__all__ = ["open_feed"]


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
    plan: polynode.Plan = FREE,
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
    plan: polynode.Plan = FREE,
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
    source = SOURCE if rng is None else rng
    if isinstance(subscription, Subscription):
        return open_positions(
            subscription,
            url=url,
            key=_required(secret),
            rest_url=rest_url,
            options=options,
            store=store,
            position=position,
            bases=bases,
            ssl_context=ssl_context,
            rng=source,
            message_bytes_max=message_bytes_max,
        )
    if isinstance(subscription, polymarket_us.Subscription):
        subscription = polymarket_us.PolymarketUS(subscription=subscription)
    if isinstance(subscription, StreamDialect):
        return open_stream(
            subscription,
            url=url,
            key=secret,
            token=token,
            account=account,
            options=options,
            store=store,
            position=position,
            bases=bases,
            ssl_context=ssl_context,
            rng=source,
        )
    if not isinstance(store, MemoryStore | None):
        raise ConfigurationError("PolyNode has no position that a store could keep")
    if not (token is None and account is None):
        raise ConfigurationError("PolyNode has keys, and accounts share nothing")
    if not (rest_url is None and position is None and bases is None):
        raise ConfigurationError("PolyNode has no REST snapshots and no positions")
    asked = (subscription,) if isinstance(subscription, polynode.Subscription) else subscription
    return open_histories(
        asked,
        url=url,
        key=_required(secret),
        compress=compress,
        plan=plan,
        options=options,
        ssl_context=ssl_context,
        rng=source,
        message_bytes_max=message_bytes_max,
    )


def _required(key: Secret | None) -> Secret:
    if key is None:
        raise ConfigurationError("this feed needs a key")
    return key
