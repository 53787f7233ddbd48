"""A little HTTP server on h11 for streams: each request is answered by a script of the test."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import h11
import trio

__all__ = ["Exchange", "TinyStreamServer"]


@attrs.define(eq=False)
class Exchange:
    """One request, and the stream it may be answered on."""

    stream: trio.abc.Stream
    http: h11.Connection
    request: h11.Request
    body: bytes
    at: float
    ended: bool = False
    """Set before the last bytes go: the client may be quicker than the end of `handle`."""

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.request.headers}

    async def begin(self, *headers: tuple[str, str], status: int = 200) -> None:
        fields = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked"), *headers]
        await self._send(h11.Response(status_code=status, headers=fields))

    async def send(self, *pieces: bytes) -> None:
        """Each piece becomes a chunk."""
        for piece in pieces:
            await self._send(h11.Data(data=piece))

    async def end(self) -> None:
        self.ended = True
        await self._send(h11.EndOfMessage())

    async def refuse(self, status: int, body: bytes = b"{}", *headers: tuple[str, str]) -> None:
        fields = [("Content-Length", str(len(body))), *headers]
        await self._send(h11.Response(status_code=status, headers=fields))
        await self._send(h11.Data(data=body))
        await self.end()

    async def _send(self, event: Any) -> None:
        await self.stream.send_all(self.http.send(event) or b"")


@attrs.define(eq=False)
class TinyStreamServer:
    """Keeps what was asked, counts the answers that go on; `handle` says what each gets."""

    handle: Callable[[Exchange], Awaitable[None]]
    exchanges: list[Exchange] = attrs.field(factory=list)
    most_open: int = 0
    _answering: set[Exchange] = attrs.field(factory=set)

    async def __call__(self, stream: trio.abc.Stream) -> None:
        exchange = None
        try:
            exchange = await self._read(stream)
            if exchange is not None:
                self.exchanges.append(exchange)
                self._answering.add(exchange)
                going_on = sum(not each.ended for each in self._answering)
                self.most_open = max(self.most_open, going_on)
                await self.handle(exchange)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            if exchange is not None:
                self._answering.discard(exchange)
            await trio.aclose_forcefully(stream)

    async def _read(self, stream: trio.abc.Stream) -> Exchange | None:
        http = h11.Connection(h11.SERVER)
        request: h11.Request | None = None
        body = b""
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some()))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                return Exchange(stream, http, request, body, trio.current_time())
            else:
                return None
