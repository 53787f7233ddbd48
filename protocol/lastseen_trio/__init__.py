"""Thin trio adapters around the lastseen core: sockets, clocks, stores."""

from lastseen_trio.feed import Feed
from lastseen_trio.opening import open_feed
from lastseen_trio.store import Binding, CommitError, MemoryStore, Restored, Store, StoreError

__all__ = [
    "Binding",
    "CommitError",
    "Feed",
    "MemoryStore",
    "Restored",
    "Store",
    "StoreError",
    "open_feed",
]
