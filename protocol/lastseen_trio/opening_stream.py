"""Opening the feed of one HTTP stream: its session, who it is for the peer, and its store."""

import ssl
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
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
from lastseen_trio.opened import SOURCE, opened_with, store_of
from lastseen_trio.store import Store
from lastseen_trio.stream_feed import StreamFeed, TokenSource

__all__ = ["open_stream"]

_SCHEMES: Final = ("http", "https")


def open_stream(
    dialect: StreamDialect,
    *,
    url: str,
    key: Secret | None = None,
    token: TokenSource | None = None,
    account: Account | None = None,
    options: ConnectionOptions | None = None,
    store: Store | None = None,
    position: Position | None = None,
    bases: Collection[ScopeKey] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    rng: Rng = SOURCE,
) -> AbstractAsyncContextManager[StreamFeed]:
    """What `open_feed` does for a stream; raises `ConfigurationError`."""
    kept = store_of(store, position, bases)
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
    return opened_with(StreamFeed(session, transport, kept, token, who), kept)
