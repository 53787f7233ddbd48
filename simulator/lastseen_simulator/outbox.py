"""What one connection still has to send: a queue of bytes and the one task that writes them.

Whoever has something to send puts it in and goes on; nobody waits for a slow reader. The writer
joins what has piled up into one send. Bytes count as *backlog* only once the kernel has refused
some: a burst that goes out at once is no slow reader, however large it is.
"""

import select
import struct
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs
import trio

__all__ = ["PING", "Ending", "Outbox", "encode_frame"]

CHUNK_BYTES: Final = 256 * 1024
"""Most bytes joined for one send; above this, joining costs more than the call it saves."""

DRIP_SLICES_PER_S: Final = 20
"""A drip goes out in this many slices a second, at least one byte each."""

BACKLOG_STEP_BYTES: Final = 16 * 1024
"""The backlog is reported again when it has moved this far, so that reports stay rare."""


PING: Final = b"\x89\x00"
"""A WebSocket ping without a body, as a server sends it (RFC 6455 §5.5.2)."""


def encode_frame(data: str | bytes) -> bytes:
    """Encodes one whole message as an unmasked WebSocket frame (RFC 6455 §5.2)."""
    if isinstance(data, str):
        first, body = 0x81, data.encode()
    else:
        first, body = 0x82, data
    size = len(body)
    if size < 126:
        return struct.pack("!BB", first, size) + body
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + body
    return struct.pack("!BBQ", first, 127, size) + body


@attrs.frozen(kw_only=True)
class Ending:
    """The last thing in an outbox: once everything before it is written, the writer stops.

    After a `farewell` the peer's half of the closing handshake is awaited.
    """

    farewell: bool = False


@attrs.frozen(kw_only=True)
class _Drip:
    data: bytes
    bytes_per_s: float


def _never_told(pending_bytes: int) -> None:
    del pending_bytes


def _is_writable(descriptor: int) -> bool:
    """Whether the kernel would take bytes now, without a tick of the event loop in between."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))


@attrs.define(eq=False)
class Outbox:
    """The unsent part of one connection, and its writer.

    `tell_backlog` is called with the number of unsent bytes while the reader is slow, each time it
    has moved by `BACKLOG_STEP_BYTES`, and with a small number once the reader has caught up.
    """

    _stream: trio.SocketStream
    _tell_backlog: Callable[[int], None] = _never_told
    _items: deque[bytes | _Drip | Ending] = attrs.field(factory=deque[bytes | _Drip | Ending])
    _pending_bytes: int = 0
    _told_bytes: int = 0
    _blocked: bool = False
    _stalled: bool = False
    _ended: bool = False
    _wake: trio.Event = attrs.field(factory=trio.Event)

    @property
    def pending_bytes(self) -> int:
        """Bytes put in and not yet taken by the kernel."""
        return self._pending_bytes

    @property
    def stalled(self) -> bool:
        """Whether writing is suspended."""
        return self._stalled

    def put(self, data: bytes, *, drip_bytes_per_s: float | None = None) -> None:
        """Queues bytes, to go out at once or at so many bytes a second; nothing after an ending."""
        if self._ended:
            return
        if drip_bytes_per_s is None:
            self._items.append(data)
        else:
            self._items.append(_Drip(data=data, bytes_per_s=max(drip_bytes_per_s, 0.1)))
        self._pending_bytes += len(data)
        self._wake.set()
        if self._blocked:
            self._report_backlog()

    def end(self, ending: Ending) -> None:
        """Queues the end; only the first counts, unless a harder one overtakes a farewell."""
        if self._ended and not (
            self._items and isinstance(last := self._items[-1], Ending) and last.farewell
        ):
            return
        if self._ended:
            self._items.pop()
        self._ended = True
        self._items.append(ending)
        self._wake.set()

    def stall(self, stalled: bool) -> None:
        """Suspends or resumes writing; what is put in meanwhile waits."""
        self._stalled = stalled
        self._wake.set()

    async def run(self) -> Ending:
        """Writes until an ending has come up, and returns it; raises trio.BrokenResourceError."""
        while True:
            while self._stalled or not self._items:
                self._wake = trio.Event()
                await self._wake.wait()
            item = self._items.popleft()
            if isinstance(item, Ending):
                return item
            if isinstance(item, _Drip):
                await self._drip(item)
            else:
                await self._write(self._join(item))

    def _join(self, first: bytes) -> bytes:
        parts = [first]
        size = len(first)
        while self._items and size < CHUNK_BYTES:
            item = self._items[0]
            if not isinstance(item, bytes):
                break
            parts.append(item)
            size += len(item)
            self._items.popleft()
        return first if len(parts) == 1 else b"".join(parts)

    async def _drip(self, drip: _Drip) -> None:
        size = max(1, int(drip.bytes_per_s / DRIP_SLICES_PER_S))
        for start in range(0, len(drip.data), size):
            await self._write(drip.data[start : start + size])
            await trio.sleep(size / drip.bytes_per_s)

    async def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            while self._stalled:
                self._wake = trio.Event()
                await self._wake.wait()
            if not _is_writable(self._stream.socket.fileno()):
                # What is put in while this send waits is backlog, also when the last one was whole.
                self._blocked = True
                self._report_backlog()
            try:
                sent = await self._stream.socket.send(view)
            except OSError as error:
                raise trio.BrokenResourceError from error
            view = view[sent:]
            self._pending_bytes -= sent
            self._blocked = bool(view)
            self._report_backlog()

    def _report_backlog(self) -> None:
        backlog = self._pending_bytes if self._blocked else 0
        if abs(backlog - self._told_bytes) >= BACKLOG_STEP_BYTES or (
            not self._blocked and self._told_bytes
        ):
            self._told_bytes = backlog
            self._tell_backlog(backlog)
