"""One WebSocket: opened under one deadline, read in batches, ended in bounded time."""

import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import final

import attrs
import h11
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

from lastseen.dialect import End
from lastseen.effects import Connect, Ping, Send
from lastseen.secret import Secret
from lastseen_trio.addresses import Address, dial, explain
from lastseen_trio.frames import QUEUE_ITEMS, Frame, receive_batch
from lastseen_trio.transport import LOST, Order
from lastseen_trio.upgrade import WRITE_TIMEOUT_S, UpgradeStream

__all__ = [
    "MESSAGE_BYTES_MAX",
    "NO_UPGRADE",
    "WEBSOCKET_SCHEMES",
    "Socket",
    "WebSockets",
    "connect",
    "open_room",
    "open_socket",
]

WEBSOCKET_SCHEMES = ("ws", "wss")

MESSAGE_BYTES_MAX = 4 << 20
"""The largest message the vendor's template takes (`facts` §8); a larger one ends with 1009."""

NO_UPGRADE = End(reason="upgrade failed: not a WebSocket answer")
"""How an attempt ended whose block was cut short."""


@asynccontextmanager
async def open_room() -> AsyncGenerator[trio.Nursery]:
    """The nursery of one connection; its block is cut short when trio-websocket's reader stumbles.

    The reader may raise when it has to answer a violation, also one of the upgrade, or a peer that
    is going. That ends a connection, not the program.
    """
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except* (ConnectionClosed, LocalProtocolError, h11.LocalProtocolError):
        pass


@final
@attrs.define(eq=False)
class Socket:
    """An open WebSocket. A broken one is not an exception: `receive` says how it ended."""

    _stream: UpgradeStream
    _websocket: WebSocketConnection

    async def receive(self) -> Sequence[Frame] | End:
        """The next batch of frames, or the end; cancelling may lose frames."""
        try:
            return await receive_batch(self._websocket)
        except ConnectionClosed as closed:
            return self._end(closed)

    async def perform(self, order: Order) -> bool:
        """Sends, or pings and waits for the answer."""
        if isinstance(order, Send):
            await self.send(order.text)
            return False
        return isinstance(order, Ping) and await self.ping()

    async def send(self, text: Secret) -> None:
        """Sends one text frame; when that fails, `receive` tells."""
        try:
            await self._websocket.send_message(text.reveal())
        except ConnectionClosed:
            return

    async def ping(self) -> bool:
        """Sends a ping and waits for its pong; False when the connection ended instead."""
        try:
            await self._websocket.ping()
        except ConnectionClosed:
            return False
        return True

    async def close(self, code: int, reason: str, *, timeout_s: float) -> None:
        """Closes in order, waiting for the peer at most `timeout_s`; then the socket is cut."""
        with trio.move_on_after(timeout_s):
            await self._websocket.aclose(code, reason)
        await self.abort()

    async def abort(self) -> None:
        """Cuts the TCP connection at once."""
        await trio.aclose_forcefully(self._stream)

    def _end(self, closed: ConnectionClosed) -> End:
        if self._stream.end is not None:
            return self._stream.end
        reason = closed.reason
        if reason is None:
            return LOST
        if reason.code == LOST.code:
            return LOST
        return End(code=int(reason.code), reason=reason.reason or "")


@final
@attrs.frozen(kw_only=True, eq=False)
class WebSockets:
    """The transport of feeds over WebSockets."""

    address: Address
    ssl_context: ssl.SSLContext | None = None
    message_bytes_max: int = MESSAGE_BYTES_MAX
    cut_short: End = attrs.field(init=False, default=NO_UPGRADE)

    def room(self) -> AbstractAsyncContextManager[trio.Nursery]:
        """As `open_room`."""
        return open_room()

    async def open(self, room: trio.Nursery, order: Connect) -> Socket | End:
        """As `connect`, with what the session wants in the query."""
        return await connect(
            room,
            self.address.with_query(order.query),
            timeout_s=order.timeout_s,
            ssl_context=self.ssl_context,
            message_bytes_max=self.message_bytes_max,
        )


async def connect(
    nursery: trio.Nursery,
    address: Address,
    *,
    timeout_s: float,
    ssl_context: ssl.SSLContext | None = None,
    message_bytes_max: int = MESSAGE_BYTES_MAX,
) -> Socket | End:
    """Opens a WebSocket within `timeout_s` for TCP, TLS and upgrade together (HZ-K9).

    Its reader lives in `nursery`, which must be the connection's own. A failure is returned, never
    raised: `End.http_status` for a refused upgrade, else only a reason.
    """
    step = "connect"
    with trio.move_on_after(timeout_s):
        try:
            stream = await dial(address, ssl_context)
        except (OSError, trio.BrokenResourceError) as error:
            return End(reason=explain(error))
        step = "upgrade"
        return await open_socket(nursery, stream, address, message_bytes_max=message_bytes_max)
    return End(reason=f"{step} timed out")


async def open_socket(
    nursery: trio.Nursery,
    stream: trio.abc.Stream,
    address: Address,
    *,
    message_bytes_max: int = MESSAGE_BYTES_MAX,
    write_timeout_s: float = WRITE_TIMEOUT_S,
) -> Socket | End:
    """Upgrades an open stream, of which it takes the ownership; put a deadline around it."""
    tap = UpgradeStream(stream, write_timeout_s)
    upgraded: list[WebSocketConnection] = []
    try:
        async with trio.open_nursery() as racing:
            racing.start_soon(_cancel_when_over, tap, racing.cancel_scope)
            websocket = await wrap_client_stream(
                nursery,
                tap,  # type: ignore[arg-type] # any stream will do; the annotation is narrower
                address.authority,
                address.target,
                message_queue_size=QUEUE_ITEMS,
                max_message_size=message_bytes_max,
            )
            upgraded.append(websocket)
            racing.cancel_scope.cancel()
    finally:
        if not upgraded:
            await trio.aclose_forcefully(tap)
    if not upgraded:
        return tap.end or NO_UPGRADE
    return Socket(tap, upgraded[0])


async def _cancel_when_over(tap: UpgradeStream, scope: trio.CancelScope) -> None:
    await tap.over.wait()
    scope.cancel()
