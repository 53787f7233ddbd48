"""What feeds share whose place is kept: a store beside the session, and commits (R6, R9)."""

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, TypeVar

import attrs

from lastseen.effects import Commit
from lastseen.events import Entry, Event
from lastseen.machine import Machine
from lastseen.position import Position
from lastseen.snapshots import ScopeKey
from lastseen_trio.driver import Driver
from lastseen_trio.store import Binding, CommitError, Restored, Store

__all__ = ["KeptDriver", "KeptMachine"]


class KeptMachine(Machine, Protocol):
    """A session with a position."""

    def handle_begin(
        self,
        position: Position | None = ...,
        bases: Collection[ScopeKey] = ...,
        *,
        note: str | None = ...,
        now: float,
    ) -> None:
        """Starts from what was kept."""
        ...

    def handle_committed(self, commit: int, *, trouble: str | None = ..., now: float) -> None:
        """A commit is durable, or it is not."""
        ...


_K = TypeVar("_K", bound=KeptMachine)


@attrs.define(eq=False, repr=False)
class KeptDriver(Driver[_K]):
    """A driver with a store."""

    _store: Store
    _restored: Restored = attrs.field(init=False, factory=Restored)

    def position_after(self, event: Event) -> Position:
        """The position once this event, and all given before it, are processed.

        For an application that keeps its state in a database of its own: store this in the
        transaction that stores what the event does, and hand it to `open_feed` at the next start
        (R6, R9). Raises `LocalProtocolError` for an event that is not outstanding.
        """
        return self._session.position_after(event)

    @property
    def restored(self) -> Restored:
        """What the store brought back when the feed was opened."""
        return self._restored

    async def restore(self) -> None:
        """Asks the store for what it kept; `open_feed` does so before the feed runs."""
        self._restored = await self._store.open(self._binding())

    def _binding(self) -> Binding:
        """What the state belongs to."""
        raise NotImplementedError

    def _begin(self, now: float) -> None:
        kept = self._restored
        self._session.handle_begin(kept.position, kept.bases, note=kept.note, now=now)

    def _finish(self, events: list[Event]) -> None:
        """What the application is done with joins the state that the next commit makes durable."""
        while events:
            taken = self._store.take(events)
            if taken == len(events):
                self._processed(events[-1])
                return
            unreadable, events = events[taken], events[taken + 1 :]
            assert isinstance(unreadable, Entry)
            self._reject(unreadable)

    def _start_commit(self, effect: Commit) -> None:
        # Staged now: later events must not be in what this position describes (R6).
        write = self._store.stage(effect.position)
        self._nursery.start_soon(self._commit, effect.commit, write)

    async def _commit(self, commit: int, write: Callable[[], Awaitable[None]]) -> None:
        trouble: str | None = None
        try:
            await write()
        except (CommitError, OSError) as error:
            trouble = str(error) or type(error).__name__
        self._step(lambda now: self._session.handle_committed(commit, trouble=trouble, now=now))
