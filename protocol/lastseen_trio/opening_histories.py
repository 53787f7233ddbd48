"""Opening the feed of a wire that catches up from histories: its session and its sockets."""

import ssl
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from lastseen.backoff import Rng
from lastseen.dialects.polynode import PLANS, Plan, PolyNode, Subscription
from lastseen.errors import ConfigurationError
from lastseen.history_session import HistorySession
from lastseen.options import ConnectionOptions, HistoryOptions
from lastseen.secret import Secret
from lastseen_trio.addresses import Address
from lastseen_trio.history_feed import HistoryFeed
from lastseen_trio.opened import SOURCE, opened
from lastseen_trio.websocket import WEBSOCKET_SCHEMES, WebSockets

__all__ = ["FREE", "open_histories"]

FREE: Final = PLANS["free"]

_HISTORY_BYTES_MAX: Final = 10 << 20
"""PolyNode's largest frame (`facts/polynode.md` §4); a history is one."""


def open_histories(
    subscriptions: Sequence[Subscription],
    *,
    url: str,
    key: Secret,
    compress: bool = False,
    plan: Plan = FREE,
    options: ConnectionOptions | None = None,
    ssl_context: ssl.SSLContext | None = None,
    rng: Rng = SOURCE,
    message_bytes_max: int | None = None,
) -> AbstractAsyncContextManager[HistoryFeed]:
    """What `open_feed` does for subscriptions to PolyNode; raises `ConfigurationError`."""
    if not isinstance(options, HistoryOptions | None):
        raise ConfigurationError("a feed with histories takes HistoryOptions")
    dialect = PolyNode(subscriptions=tuple(subscriptions), key=key, compress=compress, plan=plan)
    return opened(
        HistoryFeed(
            HistorySession(dialect, rng, HistoryOptions() if options is None else options),
            WebSockets(
                address=Address.from_url(url, schemes=WEBSOCKET_SCHEMES),
                ssl_context=ssl_context,
                message_bytes_max=message_bytes_max or _HISTORY_BYTES_MAX,
            ),
        )
    )
