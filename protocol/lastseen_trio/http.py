"""Questions over HTTP/1.1: one deadline, no redirect, nothing believed that may be cut."""

import ssl
from collections.abc import Sequence
from typing import Final, final
from urllib.parse import quote, urlencode

import attrs
import h11
import trio

from lastseen.dialect import HttpResponse, SnapshotFault
from lastseen.effects import FetchSnapshot, Request
from lastseen.secret import Secret
from lastseen_trio.addresses import Address, dial, explain

__all__ = ["BODY_BYTES_MAX", "fetch_snapshot", "post_form"]

BODY_BYTES_MAX: Final = 32 << 20
"""Of all bodies of a fetch together: room for more than 20,000 fixtures of about 1 KiB; decoded
they take many times as much."""

_HEAD_BYTES_MAX: Final = 64 * 1024
_READ_BYTES: Final = 64 * 1024
_FORM_ANSWER_BYTES_MAX: Final = 64 * 1024


class _FaultError(Exception):
    """A request that brought no answer; the message is fit to be shown."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


async def fetch_snapshot(
    base: Address,
    fetch: FetchSnapshot,
    *,
    ssl_context: ssl.SSLContext | None = None,
    body_bytes_max: int = BODY_BYTES_MAX,
) -> tuple[HttpResponse, ...] | SnapshotFault:
    """Performs the requests in order, over one connection when the peer keeps it.

    Returns every response, or ends with the first that is not a success: what follows it would be
    of no use. A failure of the transport, a redirect (HZ-K6), a body that is not framed or not
    whole and bodies that are too large together (HZ-K2, HZ-K8) are a `SnapshotFault`.
    """
    line = _Line(base, ssl_context, body_bytes_max)
    responses: list[HttpResponse] = []
    with trio.move_on_after(fetch.timeout_s):
        try:
            for request in fetch.requests:
                response = await line.get(request)
                responses.append(response)
                if not 200 <= response.status < 300:
                    break
        except _FaultError as fault:
            return SnapshotFault(reason=str(fault), permanent=fault.permanent)
        except (OSError, trio.BrokenResourceError) as error:
            return SnapshotFault(reason=explain(error))
        finally:
            await line.hang_up()
        return tuple(responses)
    return SnapshotFault(reason="timed out")


async def post_form(
    address: Address,
    form: Sequence[tuple[str, str | Secret]],
    *,
    ssl_context: ssl.SSLContext | None = None,
    body_bytes_max: int = _FORM_ANSWER_BYTES_MAX,
) -> HttpResponse | SnapshotFault:
    """Posts a form and returns the answer, under the rules of `fetch_snapshot`.

    A `Secret` in the form is revealed on the wire only. Put a deadline around it.
    """
    line = _Line(address, ssl_context, body_bytes_max)
    try:
        return await line.post_form(form)
    except _FaultError as fault:
        return SnapshotFault(reason=str(fault), permanent=fault.permanent)
    except (OSError, trio.BrokenResourceError) as error:
        return SnapshotFault(reason=explain(error))
    finally:
        await line.hang_up()


@final
@attrs.define(eq=False)
class _Line:
    """At most one connection at a time."""

    base: Address
    ssl_context: ssl.SSLContext | None
    body_bytes_max: int
    """What may still be read; each body takes its part."""
    _stream: trio.abc.Stream | None = attrs.field(init=False, default=None)
    _http: h11.Connection = attrs.field(init=False)

    async def get(self, request: Request) -> HttpResponse:
        stream = await self._ready()
        await stream.send_all(self._written(request))
        return await self._answer(stream)

    async def post_form(self, form: Sequence[tuple[str, str | Secret]]) -> HttpResponse:
        stream = await self._ready()
        await stream.send_all(self._written_form(form))
        return await self._answer(stream)

    async def _answer(self, stream: trio.abc.Stream) -> HttpResponse:
        head = await self._head(stream)
        body = await self._body(stream)
        return HttpResponse(
            status=head.status_code,
            headers=tuple(
                (name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers
            ),
            body=body,
        )

    async def hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await trio.aclose_forcefully(stream)

    async def _ready(self) -> trio.abc.Stream:
        """The open connection when both sides may go on using it, else a new one."""
        if self._stream is not None:
            if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
                self._http.start_next_cycle()
                return self._stream
            await self.hang_up()
        self._stream = await dial(self.base, self.ssl_context)
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES_MAX)
        return self._stream

    def _written(self, request: Request) -> bytes:
        # The one place where a key becomes text; no name in this frame outlives the call (HZ-K5).
        message = h11.Request(
            method="GET",
            target=_target(self.base, request),
            headers=[
                ("Host", self.base.authority),
                ("Accept", "application/json"),
                # No compression is offered, so no answer can swell (HZ-J12).
                ("Accept-Encoding", "identity"),
                *request.headers,
            ],
        )
        data = self._http.send(message)
        assert data is not None
        return data + (self._http.send(h11.EndOfMessage()) or b"")

    def _written_form(self, form: Sequence[tuple[str, str | Secret]]) -> bytes:
        body = urlencode([(name, _plain(value)) for name, value in form]).encode()
        message = h11.Request(
            method="POST",
            target=self.base.target,
            headers=[
                ("Host", self.base.authority),
                ("Accept", "application/json"),
                ("Accept-Encoding", "identity"),
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Content-Length", str(len(body))),
            ],
        )
        parts = (message, h11.Data(data=body), h11.EndOfMessage())
        return b"".join(self._http.send(part) or b"" for part in parts)

    async def _head(self, stream: trio.abc.Stream) -> h11.Response:
        while True:
            event = await self._event(stream)
            if isinstance(event, h11.Response):
                _check_head(event, self.body_bytes_max)
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise _FaultError("connection closed before an answer")

    async def _body(self, stream: trio.abc.Stream) -> bytes:
        body = bytearray()
        while True:
            event = await self._event(stream)
            if isinstance(event, h11.EndOfMessage):
                self.body_bytes_max -= len(body)
                return bytes(body)
            if not isinstance(event, h11.Data):
                raise _FaultError("the body was cut")
            body += event.data
            if len(body) > self.body_bytes_max:
                raise _FaultError("the body is too large", permanent=True)

    async def _event(self, stream: trio.abc.Stream) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(bytes(await stream.receive_some(_READ_BYTES)))
        except h11.RemoteProtocolError:
            # Its words could repeat the peer's; that it is broken is all there is to know.
            raise _FaultError("the answer is cut or not HTTP") from None
        return event


def _check_head(head: h11.Response, body_bytes_max: int) -> None:
    """An answer that must not be read: elsewhere, encoded, endless or too large."""
    headers = {bytes(name): bytes(value) for name, value in head.headers}
    if 300 <= head.status_code < 400:
        raise _FaultError(f"HTTP {head.status_code}: a redirect is not followed", permanent=True)
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise _FaultError("the body has an encoding that was not asked for", permanent=True)
    length = headers.get(b"content-length")
    bodiless = head.status_code == 204
    if length is None and b"transfer-encoding" not in headers and not bodiless:
        raise _FaultError("the body has no framed end")
    if length is not None and int(length) > body_bytes_max:
        raise _FaultError("the body is too large", permanent=True)


def _target(base: Address, request: Request) -> str:
    path = base.path.rstrip("/") + "/" + quote(request.path.lstrip("/"), safe="/:@,")
    query = urlencode([(name, _plain(value)) for name, value in request.query], safe=",:")
    return f"{path}?{query}" if query else path


def _plain(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value
