"""Making the feed of one HTTP stream: its session, who it is for the peer, and its store."""

import ssl
from collections.abc import Collection
from typing import Final

from lastseen.accounts import Account
from lastseen.backoff import Rng
from lastseen.errors import ConfigurationError
from lastseen.options import ConnectionOptions, StreamOptions
from lastseen.position import Position
from lastseen.secret import Secret
from lastseen.snapshots import ScopeKey
from lastseen.stream_dialect import StreamDialect
from lastseen.stream_session import StreamSession
from lastseen_trio.addresses import Address
from lastseen_trio.http_stream import HttpStreams
from lastseen_trio.store import MemoryStore, Store
from lastseen_trio.stream_feed import StreamFeed, TokenSource

__all__ = ["make_stream_feed", "store_of"]

_SCHEMES: Final = ("http", "https")


def make_stream_feed(
    dialect: StreamDialect,
    *,
    url: str,
    key: Secret | None,
    token: TokenSource | None,
    account: Account | None,
    options: ConnectionOptions | None,
    store: Store,
    ssl_context: ssl.SSLContext | None,
    rng: Rng,
) -> StreamFeed:
    """A feed that has not begun; raises `ConfigurationError`."""
    if not isinstance(options, StreamOptions | None):
        raise ConfigurationError("a feed with snapshots in its stream takes StreamOptions")
    if key is not None and token is not None:
        raise ConfigurationError("a key and a source of tokens are two ways to say who we are")
    session = StreamSession(
        dialect,
        rng,
        StreamOptions() if options is None else options,
        Account() if account is None else account,
        key=key,
        anonymous=key is None and token is None,
    )
    transport = HttpStreams(
        address=Address.from_url(url, schemes=_SCHEMES), ssl_context=ssl_context
    )
    who = key if key is not None else Secret(getattr(token, "account", ""))
    return StreamFeed(session, transport, store, token, who)


def store_of(
    store: Store | None, position: Position | None, bases: Collection[ScopeKey] | None
) -> Store:
    """The store of a feed that was given one, or a position, or neither."""
    if store is None:
        start = Position() if position is None else position
        held = frozenset(ScopeKey(channel, None) for channel in start.channels)
        return MemoryStore(start, held if bases is None else frozenset(bases))
    if position is not None or bases is not None:
        raise ConfigurationError("a store has a position of its own")
    return store
