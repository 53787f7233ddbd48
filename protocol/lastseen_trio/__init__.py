"""Thin trio adapters around the lastseen core: sockets, clocks, stores."""

from lastseen_trio.feed import Feed, open_feed
from lastseen_trio.store import CommitError, MemoryStore, Store

__all__ = ["CommitError", "Feed", "MemoryStore", "Store", "open_feed"]
