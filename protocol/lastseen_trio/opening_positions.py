"""Opening the feed of a wire with positions: its session, its sockets and its store."""

import ssl
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from typing import Final

from lastseen.backoff import Rng
from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.errors import ConfigurationError
from lastseen.options import ConnectionOptions, SessionOptions
from lastseen.position import Position
from lastseen.secret import Secret
from lastseen.session import Session
from lastseen.snapshots import ScopeKey
from lastseen_trio.addresses import Address
from lastseen_trio.feed import Feed
from lastseen_trio.opened import SOURCE, opened_with, store_of
from lastseen_trio.store import Store
from lastseen_trio.websocket import MESSAGE_BYTES_MAX, WEBSOCKET_SCHEMES, WebSockets

__all__ = ["open_positions"]

_REST_SCHEMES: Final = ("http", "https")


def open_positions(
    subscription: Subscription,
    *,
    url: str,
    key: Secret,
    rest_url: str | None = None,
    options: ConnectionOptions | None = None,
    store: Store | None = None,
    position: Position | None = None,
    bases: Collection[ScopeKey] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    rng: Rng = SOURCE,
    message_bytes_max: int | None = None,
) -> AbstractAsyncContextManager[Feed]:
    """What `open_feed` does for a subscription to OddsPapi; raises `ConfigurationError`."""
    if not isinstance(options, SessionOptions | None):
        raise ConfigurationError("a feed with positions takes SessionOptions")
    kept = store_of(store, position, bases)
    feed = Feed(
        Session(
            OddsPapi(subscription=subscription, key=key),
            rng,
            SessionOptions() if options is None else options,
        ),
        WebSockets(
            address=Address.from_url(url, schemes=WEBSOCKET_SCHEMES),
            ssl_context=ssl_context,
            message_bytes_max=message_bytes_max or MESSAGE_BYTES_MAX,
        ),
        kept,
        key,
        None if rest_url is None else Address.from_url(rest_url, schemes=_REST_SCHEMES),
        ssl_context,
    )
    return opened_with(feed, kept)
