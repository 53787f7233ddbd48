"""What the driver of a gateway must do, and the HTTP messages it carries.

A gateway never does I/O. After every `handle_*` and every control call its driver drains
`poll_effects` and acts on each effect in order. After `CloseConnection` or `Abort` no
further effect names that connection.
"""

from typing import Literal

import attrs

__all__ = [
    "Abort",
    "CloseConnection",
    "Effect",
    "HttpRequest",
    "HttpResponse",
    "ListenerMode",
    "OpenStream",
    "Ping",
    "RefuseConnections",
    "RefuseUpgrade",
    "Respond",
    "Stall",
    "Transmit",
    "TransmitRaw",
]

ListenerMode = Literal["accept", "refuse", "accept_then_close"]


@attrs.frozen(kw_only=True)
class HttpRequest:
    """One REST request; `path` without the query, `query` decoded and in order."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@attrs.frozen(kw_only=True)
class HttpResponse:
    """One REST answer, with the ways it may break.

    `cut_at=n` announces the length of the whole body, sends `n` bytes of it and closes; `stall`
    sends the head and then nothing, keeping the connection open; `silent` not even the head.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    cut_at: int | None = None
    stall: bool = False
    silent: bool = False


@attrs.frozen(kw_only=True)
class OpenStream:
    """Begin the answer to a stream's request: 200 with these headers, and a chunked body.

    No chunk is larger than `chunk_bytes`; None puts each message in one. The last `held_bytes` of
    what there is to send wait for the next message, or for the end of the body.
    """

    connection: int
    headers: tuple[tuple[str, str], ...]
    chunk_bytes: int | None = None
    held_bytes: int = 0


@attrs.frozen(kw_only=True)
class Transmit:
    """Send one message: `str` as WebSocket text, `bytes` as binary; on a stream, part of its body.

    `cut_at=n` puts only the first `n` bytes of the encoded frame, or chunk, on the wire;
    `drip_bytes_per_s` spreads its bytes over time; on a stream, a chunk ends after `split_at`
    bytes of the data.
    """

    connection: int
    data: str | bytes
    cut_at: int | None = None
    drip_bytes_per_s: float | None = None
    split_at: int | None = None


@attrs.frozen(kw_only=True)
class TransmitRaw:
    """Put bytes on the TCP stream as they are, whatever RFC 6455 says about them."""

    connection: int
    data: bytes


@attrs.frozen(kw_only=True)
class Ping:
    """Send a WebSocket ping; its pong comes back by `handle_pong`."""

    connection: int


@attrs.frozen(kw_only=True)
class CloseConnection:
    """Close with a WebSocket close frame, or end a stream's body as a body should end."""

    connection: int
    code: int
    reason: str


@attrs.frozen(kw_only=True)
class Abort:
    """Vanish without a close frame: FIN, or RST when `reset`."""

    connection: int
    reset: bool


@attrs.frozen(kw_only=True)
class Stall:
    """Neither read nor write this socket, nor answer its pings, until `stalled=False`."""

    connection: int
    stalled: bool


@attrs.frozen(kw_only=True)
class Respond:
    """Answer the REST request with this number."""

    request: int
    response: HttpResponse


@attrs.frozen(kw_only=True)
class RefuseUpgrade:
    """Answer the upgrade of this connection with an HTTP answer; it never opens."""

    connection: int
    response: HttpResponse


@attrs.frozen(kw_only=True)
class RefuseConnections:
    """Switch the listener: accept, refuse at TCP level, or accept and close at once."""

    mode: ListenerMode


Effect = (
    OpenStream
    | Transmit
    | TransmitRaw
    | Ping
    | CloseConnection
    | Abort
    | Stall
    | Respond
    | RefuseUpgrade
    | RefuseConnections
)
