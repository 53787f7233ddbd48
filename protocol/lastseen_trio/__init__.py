"""Thin trio adapters around the lastseen core: sockets, clocks, stores."""

from lastseen_trio.feed import Feed
from lastseen_trio.opening import open_feed
from lastseen_trio.sqlite_store import SQLiteStore
from lastseen_trio.store import Binding, CommitError, MemoryStore, Restored, Store, StoreError

__all__ = [
    "Binding",
    "CommitError",
    "Feed",
    "MemoryStore",
    "Restored",
    "SQLiteStore",
    "Store",
    "StoreError",
    "open_feed",
]
