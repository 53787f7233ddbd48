"""The listening socket of the gateway server, which can be shut and opened again on its port."""

import errno
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Self

import attrs
import trio

from lastseen_simulator.effects import ListenerMode

__all__ = ["TcpDoor"]

SEND_BUFFER_BYTES: Final = 256 * 1024
"""The kernel's send buffer of a connection: small enough that a slow reader shows soon."""

REBIND_PATIENCE_S: Final = 5.0
"""How long to try to get the port back after refusing connections."""

REBIND_WAIT_S: Final = 0.05
BUSY_WAIT_S: Final = 0.1
BUSY_ERRORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@attrs.define(eq=False)
class TcpDoor:
    """Accepts connections in one of three modes: accept, refuse, accept_then_close."""

    _host: str
    _listener: trio.SocketListener
    port: int = attrs.field(init=False)
    _mode: ListenerMode = "accept"
    _kept: socket.socket | None = None
    """Bound and not listening: connects are refused, and nobody else is given the port."""
    _mode_changed: trio.Event = attrs.field(factory=trio.Event)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def __attrs_post_init__(self) -> None:
        self.port = self._listener.socket.getsockname()[1]

    @classmethod
    async def bind(cls, host: str, port: int) -> Self:
        """Listens on the first address of `host`; raises OSError when that is not possible."""
        return cls(host, await _listen(host, port))

    def switch(self, mode: ListenerMode) -> None:
        """Changes the mode at once: after `refuse`, no connect succeeds any more."""
        self._mode = mode
        if mode == "refuse" and self._listener.socket.fileno() >= 0:
            family, address = self._listener.socket.family, self._listener.socket.getsockname()
            self._listener.socket.close()
            self._kept = _keep(family, address)
            self._scope.cancel()
        self._mode_changed.set()

    async def run(self, serve: Callable[[trio.SocketStream], Awaitable[None]]) -> None:
        """Serves each connection in a task of its own; when cancelled, closes everything."""
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    await self._reopen()
                    with trio.CancelScope() as self._scope:
                        while self._mode != "refuse":
                            await self._accept(nursery, serve)
        finally:
            self._listener.socket.close()
            if self._kept is not None:
                self._kept.close()

    async def _reopen(self) -> None:
        while True:
            while self._mode == "refuse":
                self._mode_changed = trio.Event()
                await self._mode_changed.wait()
            if self._listener.socket.fileno() >= 0:
                return
            kept, self._kept = self._kept, None
            if kept is not None and _listens(kept):
                self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(kept))
                return
            self._listener = await _listen_again(self._host, self.port)
            if self._mode_now() == "refuse":
                self.switch("refuse")

    def _mode_now(self) -> ListenerMode:
        return self._mode

    async def _accept(
        self, nursery: trio.Nursery, serve: Callable[[trio.SocketStream], Awaitable[None]]
    ) -> None:
        try:
            stream = await self._listener.accept()
        except trio.ClosedResourceError:
            await trio.lowlevel.checkpoint()
        except OSError as error:
            if error.errno not in BUSY_ERRORS:
                raise
            await trio.sleep(BUSY_WAIT_S)
        else:
            if self._mode == "accept_then_close":
                await trio.aclose_forcefully(stream)
                return
            with suppress(OSError):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            nursery.start_soon(serve, stream)


def _keep(family: int, address: Any) -> socket.socket | None:
    """Binds an address that was listened on; None if somebody else has been given it already."""
    kept = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # Connections that were accepted there may still be open, or be waiting for their end.
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(address)
        kept.setblocking(False)
    except OSError:
        kept.close()
        return None
    return kept


def _listens(kept: socket.socket) -> bool:
    """Opens the port again; closes the socket if somebody else listens there by now."""
    try:
        kept.listen(socket.SOMAXCONN)
    except OSError:
        kept.close()
        return False
    return True


async def _listen(host: str, port: int) -> trio.SocketListener:
    """Listens on one address: a name like localhost may have several, with a port each."""
    first, *others = await trio.open_tcp_listeners(port, host=host)
    for other in others:
        await other.aclose()
    return first


async def _listen_again(host: str, port: int) -> trio.SocketListener:
    give_up_at = trio.current_time() + REBIND_PATIENCE_S
    while True:
        try:
            return await _listen(host, port)
        except OSError:
            if trio.current_time() >= give_up_at:
                raise
            await trio.sleep(REBIND_WAIT_S)
