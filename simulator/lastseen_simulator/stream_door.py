"""One answer that goes on and on: a chunked HTTP body, written as records come (RFC 9112 §7.1)."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Final, Protocol

import attrs
import trio

from lastseen_simulator.effects import OpenStream
from lastseen_simulator.outbox import Ending, Outbox
from lastseen_simulator.websocket_door import linger_off, peer_name

__all__ = ["StreamDoor", "chunks"]

READ_BYTES: Final = 4096

PENDING_BYTES_MAX: Final = 64 * 1024 * 1024
"""Unsent bytes at which a stream is reset: the last resort behind the gateway's own limits."""

FLUSH_TIMEOUT_S: Final = 10.0
ABORT_TIMEOUT_S: Final = 2.0
"""How long the bytes queued before an end, or before an abort, may take."""

_LAST_CHUNK: Final = b"0\r\n\r\n"


class StreamPeer(Protocol):
    """Whom a door tells what happened on its connection."""

    def take_backlog(self, connection: int, pending_bytes: int) -> None:
        """Takes the number of bytes a slow reader has not read."""
        ...

    def take_hang_up(self, connection: int) -> None:
        """Takes the end of the connection; called exactly once."""
        ...


def chunks(data: bytes, chunk_bytes: int | None) -> bytes:
    r"""Data as chunks of a body, none larger than that.

    >>> chunks(b"abc", 2)
    b'2\r\nab\r\n1\r\nc\r\n'
    """
    return b"".join(_chunks(data, chunk_bytes or len(data)))


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size or 1):
        part = data[at : at + size]
        yield b"%x\r\n%b\r\n" % (len(part), part)


@attrs.define(eq=False)
class StreamDoor:
    """One granted stream; `run` lives as long as it does."""

    connection: int
    _stream: trio.SocketStream
    _peer: StreamPeer
    _outbox: Outbox = attrs.field(init=False)
    _chunked: bool = attrs.field(default=True, alias="chunked", kw_only=True)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _chunk_bytes: int | None = None
    _held_bytes: int = 0
    _held: bytes = b""
    _head: bytes = b""
    _reset: bool = False
    _deaf: bool = False
    _told: bool = False
    _peer_name: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._outbox = Outbox(self._stream, self._take_backlog)
        self._peer_name = peer_name(self._stream)

    def describe(self) -> dict[str, object]:
        """What the control API shows of the connection."""
        return {
            "peer": self._peer_name,
            "pending_bytes": self._outbox.pending_bytes,
            "stalled": self._outbox.stalled,
        }

    def open(self, head: OpenStream) -> None:
        """Takes the head, which goes out before anything else, even on a stream that is stalled.

        A client of HTTP/1.0 gets a body that ends with the connection.
        """
        self._chunk_bytes, self._held_bytes = head.chunk_bytes, head.held_bytes
        lines = [f"{name}: {value}" for name, value in head.headers]
        lines.append("Transfer-Encoding: chunked" if self._chunked else "Connection: close")
        status = f"HTTP/1.1 200 {HTTPStatus.OK.phrase}"
        self._head = "\r\n".join([status, *lines, "", ""]).encode("latin-1")

    def encode(self, data: str | bytes, *, split_at: int | None = None) -> bytes:
        """A message as this body has it, behind what has waited for it."""
        data = self._held + (data.encode() if isinstance(data, str) else data)
        split = None if split_at is None else len(self._held) + split_at
        end = max(0, len(data) - self._held_bytes)
        data, self._held = data[:end], data[end:]
        parts = (data,) if split is None else (data[:split], data[split:])
        return b"".join(self._chunks(part) for part in parts)

    def send(self, data: bytes, *, drip_bytes_per_s: float | None = None) -> None:
        """Queues bytes for the wire as they are."""
        self._outbox.put(data, drip_bytes_per_s=drip_bytes_per_s)
        if self._outbox.pending_bytes > PENDING_BYTES_MAX:
            self.abort(reset=True)

    def close(self, code: int, reason: str) -> None:
        """Ends the body as a body should end."""
        del code, reason
        self._deaf = True
        self._outbox.put(self._chunks(self._held) + (_LAST_CHUNK if self._chunked else b""))
        self._finish(FLUSH_TIMEOUT_S)

    def abort(self, *, reset: bool) -> None:
        """Vanishes inside the body, after what is queued: with a FIN, or an RST."""
        self._deaf = True
        if reset:
            self._reset = True
            linger_off(self._stream)
        self._finish(0.0 if self._outbox.stalled else ABORT_TIMEOUT_S)

    def stall(self, stalled: bool) -> None:
        """Stops or restarts writing."""
        self._outbox.stall(stalled)

    async def run(self) -> None:
        """Writes until the stream has ended or its reader has gone, and closes the socket."""
        try:
            with self._scope:
                await self._stream.send_all(self._head)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch)
                    await self._write()
                    nursery.cancel_scope.cancel()
        except trio.BrokenResourceError:
            pass
        finally:
            self._tell_hang_up()
            # A cancellation that met an error here would take its place.
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._stream)

    async def _write(self) -> None:
        try:
            await self._outbox.run()
        except trio.BrokenResourceError:
            return
        if not self._reset:
            # A FIN of its own: closing with unread bytes in our buffer would turn it into an RST.
            with suppress(OSError):
                self._stream.socket.shutdown(socket.SHUT_WR)

    async def _watch(self) -> None:
        """Nothing is to be said by the reader; when its half ends, it has gone."""
        try:
            while await self._stream.receive_some(READ_BYTES):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self._tell_hang_up()
        self._scope.cancel()

    def _chunks(self, data: bytes) -> bytes:
        return chunks(data, self._chunk_bytes) if self._chunked else data

    def _finish(self, patience_s: float) -> None:
        self._outbox.end(Ending())
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + patience_s)

    def _take_backlog(self, pending_bytes: int) -> None:
        if not self._deaf:
            self._peer.take_backlog(self.connection, pending_bytes)

    def _tell_hang_up(self) -> None:
        if not self._told:
            self._told = True
            self._deaf = True
            self._peer.take_hang_up(self.connection)
