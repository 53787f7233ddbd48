"""One WebSocket connection of the gateway server: frames in, frames out, and all the ways to end.

The handshake is the HTTP door's; from then on the connection is here. wsproto reads the peer's
frames (masks, fragments, UTF-8, control frames); what goes out is made byte by byte, so that a
frame can be cut anywhere. The door knows RFC 6455 and nothing of the feed's protocol.
"""

import socket
import struct
from base64 import b64encode
from contextlib import suppress
from hashlib import sha1
from typing import Final, Protocol, cast

import attrs
import trio
from wsproto.frame_protocol import CloseReason, FrameProtocol, Opcode, ParseFailed

from lastseen_simulator.outbox import Ending, Outbox, encode_frame

__all__ = ["WebSocketDoor", "accept_key", "linger_off", "peer_name"]

READ_BYTES: Final = 64 * 1024

MESSAGE_BYTES_MAX: Final = 1024 * 1024
"""Largest message taken from a client; a login is a few kilobytes at most."""

HELD_BYTES_MAX: Final = 64 * 1024
"""Bytes kept from a client while its connection is stalled; then the kernel's buffers fill."""

PENDING_BYTES_MAX: Final = 64 * 1024 * 1024
"""Unsent bytes at which a connection is reset: the last resort behind the gateway's own limits."""

FLUSH_TIMEOUT_S: Final = 10.0
"""How long a closing connection may take to send what is queued before its close frame."""

FAREWELL_TIMEOUT_S: Final = 5.0
"""How long to wait for the peer's close frame, or its FIN, after ours."""

ABORT_TIMEOUT_S: Final = 2.0
"""How long the bytes queued before an abort may take; then the connection goes without them."""

LOCAL_CODES: Final = frozenset({1005, 1006, 1015})
"""Close codes that stand for "no close frame came" and never travel (RFC 6455 §7.4.1)."""

_KEY_SUFFIX: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key: str) -> str:
    """Computes `Sec-WebSocket-Accept` from `Sec-WebSocket-Key` (RFC 6455 §4.2.2)."""
    return b64encode(sha1(key.encode() + _KEY_SUFFIX, usedforsecurity=False).digest()).decode()


class WebSocketPeer(Protocol):
    """Whom a door tells what happened on its connection."""

    def take_frame(self, connection: int, data: str | bytes) -> None:
        """Takes one whole message of the client."""
        ...

    def take_pong(self, connection: int) -> None:
        """Takes a pong of the client."""
        ...

    def take_backlog(self, connection: int, pending_bytes: int) -> None:
        """Takes the number of bytes a slow reader has not read."""
        ...

    def take_hang_up(self, connection: int) -> None:
        """Takes the end of the connection; called exactly once."""
        ...


@attrs.define(eq=False)
class WebSocketDoor:
    """One accepted WebSocket connection; `run` lives as long as it does."""

    connection: int
    _stream: trio.SocketStream
    _peer: WebSocketPeer
    _outbox: Outbox = attrs.field(init=False)
    _protocol: FrameProtocol = attrs.field(init=False)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _read_scope: trio.CancelScope | None = None
    _unstalled: trio.Event = attrs.field(factory=trio.Event)
    _held: bytearray = attrs.field(factory=bytearray)
    _parts: list[str | bytes] = attrs.field(factory=list[str | bytes])
    _parts_size: int = 0
    _deaf: bool = False
    _reset: bool = False
    _told: bool = False
    _peer_name: str = attrs.field(init=False)
    _farewell: trio.Event = attrs.field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self._outbox = Outbox(self._stream, self._take_backlog)
        self._protocol = FrameProtocol(client=False, extensions=[])
        self._peer_name = peer_name(self._stream)

    def describe(self) -> dict[str, object]:
        """What the control API shows of the connection."""
        return {
            "peer": self._peer_name,
            "pending_bytes": self._outbox.pending_bytes,
            "stalled": self._outbox.stalled,
        }

    def encode(self, data: str | bytes) -> bytes:
        """A message as a frame."""
        return encode_frame(data)

    def send(self, data: bytes, *, drip_bytes_per_s: float | None = None) -> None:
        """Queues bytes for the wire as they are."""
        self._outbox.put(data, drip_bytes_per_s=drip_bytes_per_s)
        if self._outbox.pending_bytes > PENDING_BYTES_MAX:
            self.abort(reset=True)

    def close(self, code: int, reason: str) -> None:
        """Starts an orderly close: what is queued, then a close frame, then the peer's answer."""
        self._deaf = True
        if code in LOCAL_CODES:
            self.abort(reset=False)
            return
        self._outbox.put(_close_frame(code, reason))
        self._finish(Ending(farewell=True), patience_s=FLUSH_TIMEOUT_S)

    def abort(self, *, reset: bool) -> None:
        """Vanishes without a close frame, after what is queued: with a FIN, or an RST."""
        self._deaf = True
        patience_s = 0.0 if self._outbox.stalled else ABORT_TIMEOUT_S
        if reset:
            self._reset = True
            linger_off(self._stream)
        self._farewell.set()
        self._finish(Ending(), patience_s=patience_s)

    def stall(self, stalled: bool) -> None:
        """Stops or restarts reading and writing.

        A stalled connection still notices that the peer has gone, so that its slot is freed.
        """
        self._outbox.stall(stalled)
        if stalled:
            self._unstalled = trio.Event()
            return
        self._unstalled.set()
        if self._read_scope is not None:
            self._read_scope.cancel()

    async def run(self, greeting: bytes, first_bytes: bytes) -> None:
        """Greets, reads and writes until the connection has ended, and closes the socket.

        The greeting goes out whatever has been queued or stalled: the upgrade was granted.
        """
        try:
            with self._scope:
                await self._stream.send_all(greeting)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read, first_bytes)
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
            ending = await self._outbox.run()
        except trio.BrokenResourceError:
            return
        if ending.farewell:
            self._scope.deadline = trio.current_time() + FAREWELL_TIMEOUT_S
            await self._farewell.wait()
        if not self._reset:
            # A FIN of its own: closing with unread bytes in our buffer would turn it into an RST.
            with suppress(OSError):
                self._stream.socket.shutdown(socket.SHUT_WR)

    async def _read(self, first_bytes: bytes) -> None:
        self._held += first_bytes
        while True:
            if self._held and not self._outbox.stalled:
                held, self._held = bytes(self._held), bytearray()
                self._take_bytes(held)
            elif len(self._held) >= HELD_BYTES_MAX:
                await self._unstalled.wait()
                continue
            data = await self._receive()
            if data == b"":
                break
            self._held += data or b""
        self._tell_hang_up()
        self._scope.cancel()

    async def _receive(self) -> bytes | None:
        """Receives bytes, b"" at the end, None when the end of a stall interrupts."""
        with trio.CancelScope() as self._read_scope:
            try:
                return bytes(await self._stream.receive_some(READ_BYTES))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return b""
        return None

    def _take_bytes(self, data: bytes) -> None:
        if not data or self._farewell.is_set():
            return
        self._protocol.receive_bytes(data)
        try:
            for frame in self._protocol.received_frames():
                self._take_frame(frame.opcode, frame.payload, frame.message_finished)
        except ParseFailed as failure:
            self._sin(failure.code)

    def _take_frame(self, opcode: Opcode, payload: object, finished: bool) -> None:
        match opcode:
            case Opcode.PING:
                if not self._deaf:
                    self._outbox.put(bytes(self._protocol.pong(_as_bytes(payload))))
            case Opcode.PONG:
                if not self._deaf:
                    self._peer.take_pong(self.connection)
            case Opcode.CLOSE:
                self._take_close(payload)
            case _:
                self._take_part(payload, finished)

    def _take_close(self, payload: object) -> None:
        self._farewell.set()
        if self._deaf:
            return
        self._deaf = True
        pair = cast("tuple[int, str] | None", payload if isinstance(payload, tuple) else None)
        echo = self._protocol.close(pair[0] if pair else None)
        self._outbox.put(bytes(echo))
        self._finish(Ending(), patience_s=FAREWELL_TIMEOUT_S)
        self._tell_hang_up()

    def _take_part(self, payload: object, finished: bool) -> None:
        if self._deaf:
            return
        part = payload if isinstance(payload, str) else _as_bytes(payload)
        self._parts.append(part)
        self._parts_size += len(part)
        if self._parts_size > MESSAGE_BYTES_MAX:
            self._sin(CloseReason.MESSAGE_TOO_BIG)
        elif finished:
            parts, self._parts, self._parts_size = self._parts, [], 0
            self._peer.take_frame(self.connection, _joined(parts))

    def _sin(self, code: int) -> None:
        """Ends a connection whose peer broke RFC 6455."""
        if self._deaf:
            self._scope.cancel()
            return
        self.close(code, "")
        self._tell_hang_up()

    def _finish(self, ending: Ending, *, patience_s: float) -> None:
        self._outbox.end(ending)
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + patience_s)

    def _take_backlog(self, pending_bytes: int) -> None:
        if not self._deaf:
            self._peer.take_backlog(self.connection, pending_bytes)

    def _tell_hang_up(self) -> None:
        if not self._told:
            self._told = True
            self._deaf = True
            self._peer.take_hang_up(self.connection)


def peer_name(stream: trio.SocketStream) -> str:
    """Host and port of the other side."""
    try:
        host, port = stream.socket.getpeername()[:2]
    except OSError:
        return "gone"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _close_frame(code: int, reason: str) -> bytes:
    """Encodes a close frame with any 16-bit code; the reason is cut to what a frame may hold."""
    body = struct.pack("!H", code & 0xFFFF) + reason.encode()[:123].decode(errors="ignore").encode()
    return struct.pack("!BB", 0x88, len(body)) + body


def _joined(parts: list[str | bytes]) -> str | bytes:
    if len(parts) == 1:
        return parts[0]
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) == len(parts):
        return "".join(texts)
    return b"".join(part for part in parts if isinstance(part, bytes))


def _as_bytes(payload: object) -> bytes:
    return bytes(payload) if isinstance(payload, bytes | bytearray) else b""


def linger_off(stream: trio.SocketStream) -> None:
    """Makes the coming close an RST: linger on, for zero seconds."""
    with suppress(OSError, trio.ClosedResourceError):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
