"""Opening a feed: a session, its driver and its store, for as long as a block lasts."""

import ssl
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from random import SystemRandom

import trio

from lastseen.backoff import Rng
from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.errors import ConfigurationError
from lastseen.options import SessionOptions
from lastseen.position import Position
from lastseen.secret import Secret
from lastseen.session import Session
from lastseen.snapshots import ScopeKey
from lastseen_trio.addresses import Address
from lastseen_trio.feed import Feed
from lastseen_trio.groups import alone
from lastseen_trio.store import MemoryStore, Store
from lastseen_trio.websocket import MESSAGE_BYTES_MAX

__all__ = ["open_feed"]


@asynccontextmanager
async def open_feed(
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
    message_bytes_max: int = MESSAGE_BYTES_MAX,
) -> AsyncGenerator[Feed]:
    """Subscribes for as long as the block of `async with` lasts, reconnecting as needed.

    `url` is ws:// or wss://; `rest_url` defaults to the same host and port over http or https with
    the language as its path. `ssl_context` replaces the default one, which checks certificate and
    host name. `store` keeps the place across restarts, with the state. An application that keeps
    both itself gives the `position` it stored last and, for channels synced fixture by fixture, as
    `bases` the scopes it holds; without `bases` it holds every channel that has a cursor. `rng` is
    for jitter; any other than the default makes a run repeatable.

    Leaving the block closes the sockets in order and in bounded time, also when it is cancelled.
    An exception of the block comes out as it is; a bug in a background task comes out unwrapped
    when it is alone. Raises `ConfigurationError` for a URL no feed could be at, and `StoreError`
    when the store cannot be used.
    """
    if store is None:
        start = Position() if position is None else position
        store = MemoryStore(start, _bases(start) if bases is None else frozenset(bases))
    elif position is not None or bases is not None:
        raise ConfigurationError("a store has a position of its own")
    secret = key if isinstance(key, Secret) else Secret(key)
    feed = Feed(
        Session(
            OddsPapi(subscription=subscription, key=secret),
            SystemRandom() if rng is None else rng,
            SessionOptions() if options is None else options,
        ),
        secret,
        Address.from_url(url, schemes=("ws", "wss")),
        None if rest_url is None else Address.from_url(rest_url, schemes=("http", "https")),
        store,
        ssl_context,
        message_bytes_max,
    )
    await feed.restore()
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
    finally:
        with trio.CancelScope(shield=True):
            await store.close()
    if failure is not None:
        raise failure


def _bases(position: Position) -> frozenset[ScopeKey]:
    return frozenset(ScopeKey(channel, None) for channel, _ in position.cursors)
