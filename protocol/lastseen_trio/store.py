"""Where a position is kept: exactly as long, and as durably, as the state it describes (R9)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, final

import attrs

from lastseen.errors import LastseenError, PayloadError
from lastseen.events import Event
from lastseen.position import Position
from lastseen.replica import Replica, StateDialect
from lastseen.secret import Secret
from lastseen.snapshots import ScopeKey

__all__ = ["Binding", "CommitError", "MemoryStore", "Restored", "Store", "StoreError", "apply_all"]


class StoreError(LastseenError):
    """A store cannot be used at all; the text is one line for people."""


class CommitError(LastseenError):
    """Nothing of a commit is durable; it will be tried again. The text is one line for people."""


@final
@attrs.frozen(kw_only=True)
class Binding:
    """What kept state belongs to: under another binding it means nothing (HZ-E8)."""

    dialect: StateDialect
    name: str
    """Of the dialect."""
    endpoint: str
    """The URL, without a key."""
    account: Secret
    """The key; a store may keep a salted digest of it, never the key."""
    subscription: str
    """Channels and filters in one spelling."""


@final
@attrs.frozen(kw_only=True)
class Restored:
    """What a store brought back: a position, and the scopes whose state is there with it (R9)."""

    position: Position = attrs.field(factory=Position)
    bases: frozenset[ScopeKey] = frozenset()
    note: str | None = None
    """Why what was there was set aside, in one line."""


class Store(Protocol):
    """Makes positions durable, together with the state they describe, in one transaction (R6).

    The order of calls: `open`, then `take` and `stage` as the feed goes, `close` at the end. What
    `stage` returns is called and awaited at most once, and not before the one before has ended.
    """

    async def open(self, binding: Binding, /) -> Restored:
        """Brings back what was kept for this binding; raises `StoreError`."""
        ...

    def rebind(self, binding: Binding, /) -> None:
        """The subscription changed: what is staged from here on belongs to this binding."""
        ...

    def take(self, events: Sequence[Event], /) -> int:
        """The application has processed these, in order; their effect joins the next commit.

        Returns how many were taken: the one that follows is an entry that cannot be read.
        """
        ...

    def stage(self, position: Position, /) -> Callable[[], Awaitable[None]]:
        """Fixes, at once, what a commit makes durable: this position and all that was taken.

        What it returns writes it: it raises `CommitError` or OSError when nothing became durable,
        and any other exception is taken for a bug and ends the feed.
        """
        ...

    async def close(self) -> None:
        """Lets go of everything; no commit is under way."""
        ...


def apply_all(replica: Replica, events: Sequence[Event]) -> int:
    """Applies events in order, as far as they can be read; what `Store.take` returns."""
    for count, event in enumerate(events):
        try:
            replica.apply(event)
        except PayloadError:
            return count
    return len(events)


@final
@attrs.define(eq=False)
class MemoryStore:
    """For state that lives in memory: the position lives there too, and dies with it (HZ-A4).

    It can only be kept on disk together with the state, so it is never written anywhere.
    """

    position: Position = attrs.field(factory=Position)
    bases: frozenset[ScopeKey] = frozenset()
    replica: Replica | None = None
    """Kept up to date with what is processed, when there is one."""

    async def open(self, binding: Binding, /) -> Restored:
        """Starts from what it was made with."""
        del binding
        return Restored(position=self.position, bases=self.bases)

    def rebind(self, binding: Binding, /) -> None:
        """Nothing is bound."""
        del binding

    def take(self, events: Sequence[Event], /) -> int:
        """The replica's, if there is one; otherwise the state is the application's."""
        return len(events) if self.replica is None else apply_all(self.replica, events)

    def stage(self, position: Position, /) -> Callable[[], Awaitable[None]]:
        """Keeps the position."""

        async def write() -> None:
            self.position = position

        return write

    async def close(self) -> None:
        """Nothing to let go of."""
