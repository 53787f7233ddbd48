"""Thin trio adapters around the lastseen core: sockets, clocks, stores."""

from lastseen_trio.feed import Feed, HistoryFeed
from lastseen_trio.opening import open_feed
from lastseen_trio.sqlite_store import SQLiteStore
from lastseen_trio.store import Binding, CommitError, MemoryStore, Restored, Store, StoreError

__all__ = [
    "Binding",
    "CommitError",
    "Feed",
    "HistoryFeed",
    "MemoryStore",
    "Restored",
    "SQLiteStore",
    "Store",
    "StoreError",
    "open_feed",
]
