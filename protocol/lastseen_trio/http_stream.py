"""One HTTP stream: a request whose answer does not end, read as it comes and never kept whole.

h11 writes the request and reads the head of the answer; the body is taken apart here, because only
its framing is left to do.
"""

import ssl
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final, final

import attrs
import h11
import trio

from lastseen.dialect import End
from lastseen.effects import Connect, StreamRequest, Subscribe
from lastseen.secret import Secret
from lastseen_trio.addresses import Address, dial, explain
from lastseen_trio.chunks import ChunkDecoder
from lastseen_trio.transport import Head, Order
from lastseen_trio.upgrade import WRITE_TIMEOUT_S, retry_after_s

__all__ = ["HttpStream", "HttpStreams"]

_READ_BYTES: Final = 64 * 1024
_HEAD_BYTES_MAX: Final = 64 * 1024
_WORDS_BYTES_MAX: Final = 4096
_WORDS_TIMEOUT_S: Final = 0.5

_BROKEN: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)

_CUT_SHORT: Final = End(reason="connect cut short")
_NOT_HTTP: Final = End(reason="the answer is not HTTP")
_CUT: Final = End(reason="the body was cut")
_OVER: Final = End(reason="the body ended")


@final
@attrs.define(eq=False)
class _Length:
    """A body of a declared length, in the terms of `ChunkDecoder`."""

    left: int
    fault: str | None = None

    @property
    def ended(self) -> bool:
        return not self.left

    def feed(self, data: bytes) -> list[bytes]:
        piece = data[: self.left]
        self.left -= len(piece)
        return [piece] if piece else []


@final
@attrs.define(eq=False)
class HttpStream:
    """An open connection for one request. A broken one is not an exception: `receive` says so."""

    stream: trio.abc.Stream
    address: Address
    write_timeout_s: float = WRITE_TIMEOUT_S
    _http: h11.Connection = attrs.field(init=False)
    _sent: trio.Event = attrs.field(init=False, factory=trio.Event)
    _body: ChunkDecoder | _Length | None = attrs.field(init=False, default=None)
    _early: bytes = attrs.field(init=False, default=b"")
    """Of the body, and read with the head."""

    def __attrs_post_init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES_MAX)

    async def perform(self, order: Order) -> bool:
        """Sends the request; when that fails, `receive` tells."""
        if isinstance(order, Subscribe) and not self._sent.is_set():
            with trio.move_on_after(self.write_timeout_s):
                with suppress(*_BROKEN):
                    await self.stream.send_all(self._written(order.request))
                self._sent.set()
                return False
            # Nobody reads: as good as gone.
            await trio.aclose_forcefully(self.stream)
            self._sent.set()
        return False

    async def receive(self) -> Sequence[str | bytes] | Head | End:
        """The head of a success, then batches of pieces of the body, then how it ended."""
        try:
            if self._body is None:
                await self._sent.wait()
                return await self._receive_head()
            return await self._receive_body(self._body)
        except _BROKEN as error:
            return End(reason=explain(error))

    async def close(self, code: int, reason: str, *, timeout_s: float) -> None:
        """HTTP has no words for the end of an answer: the same as `abort`."""
        del code, reason, timeout_s
        await self.abort()

    async def abort(self) -> None:
        """Ends it at once."""
        await trio.aclose_forcefully(self.stream)

    def _written(self, request: StreamRequest) -> bytes:
        # The one place where a token becomes bytes; no name in this frame outlives the call.
        body = request.body.reveal().encode()
        message = h11.Request(
            method="POST",
            target=self.address.path.rstrip("/") + request.path,
            headers=[
                ("Host", self.address.authority),
                # No compression is offered, so no answer can swell (HZ-J12).
                ("Accept-Encoding", "identity"),
                ("Content-Length", str(len(body))),
                *((name, _plain(value)) for name, value in request.headers),
            ],
        )
        parts = (message, h11.Data(data=body), h11.EndOfMessage())
        return b"".join(self._http.send(part) or b"" for part in parts)

    async def _receive_head(self) -> Head | End:
        try:
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    data = bytes(await self.stream.receive_some(_READ_BYTES))
                    self._http.receive_data(data)
                elif isinstance(event, h11.Response):
                    return await self._judge_head(event)
                elif not isinstance(event, h11.InformationalResponse):
                    return End(reason="connection closed before an answer")
        except h11.RemoteProtocolError:
            return _NOT_HTTP

    async def _judge_head(self, head: h11.Response) -> Head | End:
        headers = {bytes(name): bytes(value) for name, value in head.headers}
        if head.status_code != 200:
            return await self._refusal(head.status_code, headers)
        if headers.get(b"content-encoding", b"identity") != b"identity":
            return End(reason="the body has an encoding that was not asked for")
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            self._body = ChunkDecoder()
        elif b"content-length" in headers:
            self._body = _Length(int(headers[b"content-length"]))
        else:
            # Nobody could tell its end from a cut (HZ-K2).
            return End(reason="the body has no framed end")
        self._early = self._http.trailing_data[0]
        content_type = headers.get(b"content-type")
        return Head(None if content_type is None else content_type.decode("latin-1"))

    async def _receive_body(self, body: ChunkDecoder | _Length) -> Sequence[bytes] | End:
        while True:
            if self._early:
                data, self._early = self._early, b""
            elif body.fault is not None:
                return End(reason=body.fault)
            elif body.ended:
                return _OVER
            else:
                data = bytes(await self.stream.receive_some(_READ_BYTES))
                if not data:
                    return _CUT
            pieces = body.feed(data)
            if pieces:
                return pieces

    async def _refusal(self, status: int, headers: dict[bytes, bytes]) -> End:
        """A refusal; or a redirect, not followed, as it would take the key along (HZ-K6)."""
        words = bytearray()
        with trio.move_on_after(_WORDS_TIMEOUT_S):
            with suppress(h11.RemoteProtocolError, *_BROKEN):
                while len(words) < _WORDS_BYTES_MAX:
                    event = self._http.next_event()
                    if event is h11.NEED_DATA:
                        self._http.receive_data(bytes(await self.stream.receive_some(_READ_BYTES)))
                    elif isinstance(event, h11.Data):
                        words += event.data
                    else:
                        break
        retry = headers.get(b"retry-after")
        redirect = 300 <= status < 400
        return End(
            http_status=status,
            retry_after_s=None if retry is None else retry_after_s(retry.decode("latin-1")),
            reason=f"HTTP {status}" + (": a redirect is not followed" if redirect else ""),
            words=bytes(words[:_WORDS_BYTES_MAX]).decode("utf-8", "replace"),
            wall_s=time.time(),
        )


@final
@attrs.frozen(kw_only=True, eq=False)
class HttpStreams:
    """The transport of feeds that are the answer to an HTTP request."""

    address: Address
    ssl_context: ssl.SSLContext | None = None
    cut_short: End = attrs.field(init=False, default=_CUT_SHORT)

    def room(self) -> AbstractAsyncContextManager[trio.Nursery]:
        """A nursery like any other."""
        return trio.open_nursery()

    async def open(self, room: trio.Nursery, order: Connect) -> HttpStream | End:
        """TCP and TLS, within the time; the session keeps the deadline over the head (HZ-K9)."""
        del room
        with trio.move_on_after(order.timeout_s):
            try:
                return HttpStream(await dial(self.address, self.ssl_context), self.address)
            except (OSError, trio.BrokenResourceError) as error:
                return End(reason=explain(error))
        return End(reason="connect timed out")


def _plain(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value
