"""A feed for as long as a block lasts, whatever its kind, and the store it starts from."""

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from random import SystemRandom
from typing import Any, Final, TypeVar

import trio

from lastseen.backoff import Rng
from lastseen.errors import ConfigurationError
from lastseen.position import Position
from lastseen.snapshots import ScopeKey
from lastseen_trio.driver import Driver
from lastseen_trio.groups import alone
from lastseen_trio.kept import KeptDriver
from lastseen_trio.store import MemoryStore, Store

__all__ = ["SOURCE", "opened", "opened_with", "store_of"]

SOURCE: Final[Rng] = SystemRandom()
"""Where jitter comes from unless a run has to be repeatable."""

_F = TypeVar("_F", bound=Driver[Any])
_K = TypeVar("_K", bound=KeptDriver[Any])


@asynccontextmanager
async def opened_with(feed: _K, store: Store) -> AsyncGenerator[_K]:
    """A feed that starts from what its store kept; the store is closed after it."""
    await feed.restore()
    try:
        async with opened(feed):
            yield feed
    finally:
        with trio.CancelScope(shield=True):
            await store.close()


@asynccontextmanager
async def opened(feed: _F) -> AsyncGenerator[_F]:
    """Runs a feed for as long as the block lasts, and brings out what ended it."""
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(feed.run)
            try:
                yield feed
            except BaseException as error:
                failure = error
                raise
            finally:
                await feed.aclose()
                feed.stop()
    except BaseExceptionGroup as group:
        failure = alone(group)
        if failure is None:
            raise
    if failure is not None:
        raise failure


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
