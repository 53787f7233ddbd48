"""The door between a driver and the network: WebSockets and HTTP streams are the rooms behind it.

A driver opens lines through a `Transport` and never looks at what kind they are. What only one kind
can do comes to it as the effect that says so, and goes back as what `receive` gives out.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, final

import attrs
import trio

from lastseen.dialect import End
from lastseen.effects import Connect, Ping, Send, Subscribe
from lastseen_trio.addresses import Address

__all__ = ["LOST", "Head", "Line", "Order", "Transport"]

Order = Send | Ping | Subscribe
"""What a session may ask of an open line; each kind does what its wire has."""

LOST = End(code=1006, reason="connection lost")
"""How an open connection ended whose block was cut short."""


@final
@attrs.frozen
class Head:
    """The head of an answer that is a success: its body follows as frames."""

    content_type: str | None


class Line(Protocol):
    """An open connection. A broken one is not an exception: `receive` says how it ended."""

    async def receive(self) -> Sequence[str | bytes] | Head | End:
        """What comes next: a batch of frames, the head of an answer, or the end."""
        ...

    async def perform(self, order: Order) -> bool:
        """Does what a session asked for; True when that showed the peer to be alive."""
        ...

    async def close(self, code: int, reason: str, *, timeout_s: float) -> None:
        """Ends it in order, within this time."""
        ...

    async def abort(self) -> None:
        """Ends it at once."""
        ...


class Transport(Protocol):
    """How the connections of one feed are made."""

    @property
    def address(self) -> Address:
        """Where the peer is."""
        ...

    @property
    def cut_short(self) -> End:
        """How an attempt ended whose block was cut short."""
        ...

    def room(self) -> AbstractAsyncContextManager[trio.Nursery]:
        """The nursery of one connection, and of all that is done for it."""
        ...

    async def open(self, room: trio.Nursery, order: Connect) -> Line | End:
        """Opens a connection within its time; a failure is returned, never raised."""
        ...
