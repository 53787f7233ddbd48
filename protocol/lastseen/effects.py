"""What the driver must do: the imperative half of a session's output."""

from typing import final

import msgspec

from lastseen.position import Position
from lastseen.secret import Secret

__all__ = [
    "CancelFetch",
    "Close",
    "Commit",
    "Connect",
    "Effect",
    "FetchSnapshot",
    "FetchToken",
    "Ping",
    "Request",
    "Send",
    "StreamRequest",
    "Subscribe",
]


@final
class Connect(msgspec.Struct, frozen=True, kw_only=True):
    """Open a socket; one deadline over TCP, TLS and upgrade (HZ-K9).

    `query` goes to the end of the address; a `Secret` in it is revealed on the wire only (HZ-K3).
    """

    connection: int
    timeout_s: float
    query: tuple[tuple[str, str | Secret], ...] = ()


@final
class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Send one text frame; it may contain the key, so it is a `Secret` until it leaves."""

    connection: int
    text: Secret


@final
class Ping(msgspec.Struct, frozen=True, kw_only=True):
    """Send a WebSocket ping; report the pong with `handle_alive`."""

    connection: int


@final
class Close(msgspec.Struct, frozen=True, kw_only=True):
    """End a socket and report `handle_closed`; without waiting for the peer when `abandon`."""

    connection: int
    code: int
    reason: str
    abandon: bool


@final
class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP GET below the REST base; a `Secret` in the query is revealed on the wire only."""

    path: str
    query: tuple[tuple[str, str | Secret], ...]
    headers: tuple[tuple[str, str], ...] = ()


@final
class FetchSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Perform these requests in order and report them all, or the first failure, at once.

    `timeout_s` is one deadline over all of them.
    """

    fetch: int
    requests: tuple[Request, ...]
    timeout_s: float


@final
class CancelFetch(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to this fetch is of no use any more; it may be abandoned."""

    fetch: int


@final
class StreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP POST whose answer is a stream; a `Secret` is revealed on the wire only.

    Host, framing and `Accept-Encoding` are the driver's. `body` may hold a resume token.
    """

    path: str
    """Below the base, absolute and percent-encoded."""
    headers: tuple[tuple[str, str | Secret], ...]
    body: Secret


@final
class Subscribe(msgspec.Struct, frozen=True, kw_only=True):
    """Send the request on an open connection, and report the answer's head (`handle_answered`)."""

    connection: int
    request: StreamRequest


@final
class FetchToken(msgspec.Struct, frozen=True, kw_only=True):
    """Obtain a bearer token for the account, and report it with `handle_token`."""

    fetch: int
    timeout_s: float


@final
class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """Make this position durable together with the state it describes (R6); then report it."""

    commit: int
    position: Position


Effect = (
    Connect | Send | Ping | Close | FetchSnapshot | CancelFetch | Commit | Subscribe | FetchToken
)
"""The closed union of effects."""
