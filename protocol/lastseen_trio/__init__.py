"""Thin trio adapters around the lastseen core: sockets, clocks, stores."""

from lastseen_trio.feed import Feed, HistoryFeed
from lastseen_trio.opening import open_feed
from lastseen_trio.sqlite_store import SQLiteStore
from lastseen_trio.store import Binding, CommitError, MemoryStore, Restored, Store, StoreError
from lastseen_trio.stream_feed import StreamFeed, TokenError, TokenSource
from lastseen_trio.tokens import ClientCredentials

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
