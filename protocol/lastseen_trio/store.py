"""Where a position is kept: exactly as long, and as durably, as the state it describes (R9)."""

from typing import Protocol, final

import attrs

from lastseen.position import Position

__all__ = ["CommitError", "MemoryStore", "Store"]


class CommitError(Exception):
    """A store's way to say that nothing of a commit is durable; it will be tried again."""


class Store(Protocol):
    """Makes positions durable, together with the application's state, in one transaction (R6)."""

    async def commit(self, position: Position, /) -> None:
        """Returns when the position is durable; raises `CommitError` or OSError when it is not.

        Any other exception is taken for a bug and ends the feed.
        """
        ...


@final
@attrs.define(eq=False)
class MemoryStore:
    """For state that lives in memory: the position lives there too, and dies with it (HZ-A4).

    It can only be kept on disk together with the state, so it is never written anywhere.
    """

    position: Position = attrs.field(factory=Position, init=False)

    async def commit(self, position: Position, /) -> None:
        """Keeps the last position."""
        self.position = position
