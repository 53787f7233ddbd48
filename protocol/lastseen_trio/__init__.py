"""Thin trio adapters around the lastseen core: sockets, clocks, stores."""

from typing import TYPE_CHECKING

from lastseen.lazy_names import lazy_names

if TYPE_CHECKING:
    from lastseen_trio.feed import Feed
    from lastseen_trio.history_feed import HistoryFeed
    from lastseen_trio.opening import open_feed
    from lastseen_trio.sqlite_store import SQLiteStore
    from lastseen_trio.store import Binding, CommitError, MemoryStore, Restored, Store, StoreError
    from lastseen_trio.stream_feed import StreamFeed, TokenError, TokenSource
    from lastseen_trio.tokens import ClientCredentials
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "feed": "Feed",
            "history_feed": "HistoryFeed",
            "opening": "open_feed",
            "sqlite_store": "SQLiteStore",
            "store": "Binding CommitError MemoryStore Restored Store StoreError",
            "stream_feed": "StreamFeed TokenError TokenSource",
            "tokens": "ClientCredentials",
        },
    )

__all__ = [
    "Binding",
    "ClientCredentials",
    "CommitError",
    "Feed",
    "HistoryFeed",
    "MemoryStore",
    "Restored",
    "SQLiteStore",
    "Store",
    "StoreError",
    "StreamFeed",
    "TokenError",
    "TokenSource",
    "open_feed",
]
