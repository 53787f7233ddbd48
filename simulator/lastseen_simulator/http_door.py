"""The front door of the gateway server: HTTP/1.1 read by h11, on any trio stream.

It tells its visitors apart: a WebSocket upgrade, a stream, the control API, and REST. Bad HTTP is
answered with 400 and the connection closed; heads, bodies and idle time are limited.
"""

import http
from typing import Final, Protocol
from urllib.parse import parse_qsl, unquote

import attrs
import h11
import msgspec
import trio

from lastseen_simulator.effects import HttpRequest, HttpResponse
from lastseen_simulator.websocket_door import accept_key

__all__ = ["HttpDoor", "HttpHost", "json_response", "problem"]

HEAD_BYTES_MAX: Final = 16 * 1024
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
READ_BYTES: Final = 64 * 1024

IDLE_TIMEOUT_S: Final = 75.0
"""How long a kept-alive connection may wait for its next request, or a request take to arrive."""

WEBSOCKET_PATH: Final = "/ws"
CONTROL_PREFIX: Final = "/_lastseen"


def json_response(status: int, value: object) -> HttpResponse:
    """Builds a JSON answer."""
    return HttpResponse(
        status=status,
        headers=(("Content-Type", "application/json"), ("Cache-Control", "no-store")),
        body=msgspec.json.encode(value) + b"\n",
    )


def problem(status: int, message: str) -> HttpResponse:
    """Builds the one shape of the server's own errors: `{error, message}`, one line."""
    return json_response(status, {"error": status, "message": " ".join(message.split())})


class HttpHost(Protocol):
    """Who answers what comes through the door."""

    async def answer_rest(self, request: HttpRequest) -> HttpResponse:
        """Answers a REST request; may take as long as it likes."""
        ...

    def answer_control(self, request: HttpRequest) -> HttpResponse:
        """Answers a request of the control API."""
        ...

    def judge_upgrade(self, request: HttpRequest) -> int | HttpResponse:
        """Grants an upgrade or a stream and numbers its connection, or says why not."""
        ...

    def opens_stream(self, request: HttpRequest) -> bool:
        """Whether the request is for a stream."""
        ...

    async def serve_websocket(
        self, connection: int, stream: trio.SocketStream, greeting: bytes, first_bytes: bytes
    ) -> None:
        """Owns a granted connection until it has ended; `greeting` is yet to be sent."""
        ...

    async def serve_stream(
        self, connection: int, stream: trio.SocketStream, *, chunked: bool
    ) -> None:
        """Owns a granted stream until it has ended; not even its head has been sent.

        Only a client of HTTP/1.1 can read a body that is `chunked`.
        """
        ...


class _OversizeError(Exception):
    """A request body above the limit."""


@attrs.define(eq=False)
class HttpDoor:
    """One TCP connection; `run` lives as long as it speaks HTTP, or WebSocket after an upgrade."""

    _stream: trio.SocketStream
    _host: HttpHost
    _http: h11.Connection = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)

    async def run(self) -> None:
        """Serves requests until either side is done; closes the socket."""
        try:
            while await self._serve_one():
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._refuse(problem(error.error_status_hint, str(error)))
        except _OversizeError:
            await self._refuse(problem(413, f"a body may have {BODY_BYTES_MAX} bytes at most"))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            # A cancellation that met an error here would take its place.
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._stream)

    async def _serve_one(self) -> bool:
        """Serves one request; True when the connection can take another."""
        got = None
        with trio.move_on_after(IDLE_TIMEOUT_S):
            got = await self._receive_request()
        if got is None:
            return False
        head, request = got
        if _wants_websocket(head):
            verdict = _judge_upgrade(head, request) or self._host.judge_upgrade(request)
            if isinstance(verdict, int):
                await self._upgrade(head, verdict)
                return False
            response = verdict
        elif self._host.opens_stream(request):
            granted = self._host.judge_upgrade(request)
            if isinstance(granted, int):
                chunked = head.http_version == b"1.1"
                await self._host.serve_stream(granted, self._stream, chunked=chunked)
                return False
            response = granted
        elif request.path == WEBSOCKET_PATH:
            response = _upgrade_required("here speaks a WebSocket: connect with a client for it")
        elif request.path == CONTROL_PREFIX or request.path.startswith(CONTROL_PREFIX + "/"):
            response = self._host.answer_control(request)
        else:
            response = await self._host.answer_rest(request)
        return await self._respond(request, response)

    async def _receive_request(self) -> tuple[h11.Request, HttpRequest] | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    await self._send(self._http.send(go_on))
                self._http.receive_data(bytes(await self._stream.receive_some(READ_BYTES)))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_BYTES_MAX:
                    raise _OversizeError
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return head, _read_request(head, bytes(body))
            else:
                return None

    async def _upgrade(self, head: h11.Request, connection: int) -> None:
        headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept_key(_header(head, b"sec-websocket-key"))),
        ]
        switch = h11.InformationalResponse(
            status_code=101, headers=headers, reason=b"Switching Protocols"
        )
        greeting = self._http.send(switch) or b""
        first_bytes, _ = self._http.trailing_data
        await self._host.serve_websocket(
            connection, self._stream, bytes(greeting), bytes(first_bytes)
        )

    async def _respond(self, request: HttpRequest, response: HttpResponse) -> bool:
        """Sends an answer, whole or broken as it says; True when the connection lives on."""
        if response.silent:
            await self._wait_hang_up()
            return False
        headless = request.method == "HEAD" or response.status in (204, 304)
        names = {name.lower() for name, _ in response.headers}
        headers = list(response.headers)
        if "content-length" not in names and response.status != 204:
            headers.append(("Content-Length", str(len(response.body))))
        head = self._http.send(
            h11.Response(
                status_code=response.status, headers=headers, reason=_reason(response.status)
            )
        )
        body = b"" if headless else response.body[: response.cut_at]
        if response.stall:
            await self._send(head)
            await self._wait_hang_up()
            return False
        data = self._http.send(h11.Data(data=body)) if body else b""
        await self._send((head or b"") + (data or b""))
        if response.cut_at is not None and len(body) < len(response.body):
            return False
        await self._send(self._http.send(h11.EndOfMessage()))
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _refuse(self, response: HttpResponse) -> None:
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        head = h11.Response(
            status_code=response.status,
            headers=[
                *response.headers,
                ("Content-Length", str(len(response.body))),
                ("Connection", "close"),
            ],
            reason=_reason(response.status),
        )
        try:
            await self._send(self._http.send(head))
            await self._send(self._http.send(h11.Data(data=response.body)))
            await self._stream.send_eof()
            with trio.move_on_after(1.0):
                await self._wait_hang_up()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _wait_hang_up(self) -> None:
        """Reads into the void until the peer has gone."""
        while await self._stream.receive_some(READ_BYTES):
            pass

    async def _send(self, data: bytes | None) -> None:
        if data:
            await self._stream.send_all(data)


def _read_request(head: h11.Request, body: bytes) -> HttpRequest:
    target = head.target.decode("latin-1")
    path, _, query = target.partition("?")
    return HttpRequest(
        method=head.method.decode("latin-1").upper(),
        path=unquote(path),
        query=tuple(parse_qsl(query, keep_blank_values=True)),
        headers=tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in head.headers
        ),
        body=body,
    )


def _header(head: h11.Request, name: bytes) -> str:
    found = [value for key, value in head.headers if key == name]
    return b", ".join(found).decode("latin-1")


def _wants_websocket(head: h11.Request) -> bool:
    return _header(head, b"upgrade").lower() == "websocket"


def _judge_upgrade(head: h11.Request, request: HttpRequest) -> HttpResponse | None:
    """Says why a WebSocket upgrade is refused, None when it is granted (RFC 6455 §4.2.1)."""
    if request.path != WEBSOCKET_PATH:
        return problem(404, f"no WebSocket at {request.path}, try {WEBSOCKET_PATH}")
    if request.method != "GET":
        return problem(405, "a WebSocket opens with GET")
    if _header(head, b"sec-websocket-version") != "13":
        return _upgrade_required("only WebSocket version 13 is spoken here")
    if not _header(head, b"sec-websocket-key"):
        return problem(400, "Sec-WebSocket-Key is missing")
    return None


def _upgrade_required(message: str) -> HttpResponse:
    answer = problem(426, message)
    extra = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))
    return attrs.evolve(answer, headers=(*answer.headers, *extra))


def _reason(status: int) -> bytes:
    try:
        return http.HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Status"
