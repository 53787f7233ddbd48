"""Drives a session from an asyncio event loop; one task a connection, a fetch or a commit."""

import asyncio
import http.client
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import closing
from typing import Any, final
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import Close

import lastseen

__all__ = ["Driver"]

MESSAGE_BYTES_MAX = 10 << 20


@final
class Driver:
    """Whatever happens is one `step`: a `handle_*`, then the effects, then the events."""

    def __init__(
        self,
        session: lastseen.Session | lastseen.HistorySession,
        *,
        ws_url: str,
        http_url: str,
        take: Callable[[lastseen.Event], None],
        claim: Callable[[], None],
        stage: Callable[[lastseen.Commit], Callable[[], None]],
    ) -> None:
        """`take` is the application: it raises `PayloadError` for an entry that it cannot use.

        `claim` is called when what may be said of the feed can have changed. `stage` fixes what a
        commit is to make durable and returns what writes it, in a thread.
        """
        self.session, self.ws_url, self.http_url = session, ws_url, http_url
        self.take, self.claim, self.stage = take, claim, stage
        self.finished = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._links: dict[int, asyncio.Task[None]] = {}
        self._sockets: dict[int, ClientConnection] = {}

    def step(self, handle: Callable[..., None], *what: Any, **more: Any) -> None:
        """Tells the session one thing, then does what it says; never waits."""
        self._tell(handle, *what, **more)
        self.claim()
        while events := self.session.poll_events(256):
            for event in events:
                try:
                    self.take(event)
                except lastseen.PayloadError:
                    assert isinstance(event, lastseen.Entry)
                    self._tell(self.session.handle_rejected, event)
                else:
                    self._tell(self.session.handle_processed, event)
        self.claim()
        if self.session.finished:
            self.finished.set()
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.session.poll_deadline()
        if deadline is not None:
            wake = self.session.handle_deadline
            self._timer = self._loop.call_at(deadline.at, self.step, wake)

    def _tell(self, handle: Callable[..., None], *what: Any, **more: Any) -> None:
        handle(*what, **more, now=self._loop.time())
        for effect in self.session.poll_effects():
            self._do(effect)

    def _do(self, effect: lastseen.Effect) -> None:
        match effect:
            case lastseen.Connect():
                self._links[effect.connection] = self._start(self._converse(effect))
            case lastseen.Close(connection=number) if number in self._sockets:
                socket = self._sockets.pop(number)
                if effect.abandon:
                    socket.transport.abort()
                else:
                    self._start(socket.close(effect.code, effect.reason))
            case lastseen.Close(connection=number) if number in self._links:
                self._links[number].cancel()
            case lastseen.Send() | lastseen.Ping() if effect.connection in self._sockets:
                self._start(self._use(effect, self._sockets[effect.connection]))
            case lastseen.FetchSnapshot():
                self._start(self._fetch(effect))
            case lastseen.Commit():
                self._start(self._commit(effect, self.stage(effect)))
            case _:
                pass  # For a connection that is over; and a fetch that is of no use runs out.

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _converse(self, effect: lastseen.Connect) -> None:
        """The whole life of one connection."""
        number, end = effect.connection, lastseen.End(reason="given up")
        try:
            socket = await connect(
                _with_query(self.ws_url, effect.query),
                proxy=None,
                open_timeout=effect.timeout_s,
                close_timeout=self.session.options.close_timeout_s,
                ping_interval=None,
                max_size=MESSAGE_BYTES_MAX,
            )
            self._sockets[number] = socket
            self.step(self.session.handle_opened, number)
            while True:
                frame = await socket.recv()
                if number in self._sockets:
                    self.step(self.session.handle_frames, number, [frame])
        except asyncio.CancelledError:
            pass
        except ConnectionClosed as closed:
            told = closed.rcvd or closed.sent or Close(1006, "connection lost")
            end = lastseen.End(code=told.code, reason=told.reason)
        except InvalidStatus as refusal:
            end = _refused(refusal)
        except (OSError, WebSocketException) as error:
            end = lastseen.End(reason=type(error).__name__)
        self._sockets.pop(number, None)
        del self._links[number]
        self.step(self.session.handle_closed, number, end)

    async def _use(self, effect: lastseen.Send | lastseen.Ping, socket: ClientConnection) -> None:
        try:
            if isinstance(effect, lastseen.Send):
                await socket.send(effect.text.reveal())
            else:
                await (await socket.ping())
                self.step(self.session.handle_alive, effect.connection)
        except ConnectionClosed:
            pass  # `recv` says so, too.

    async def _fetch(self, effect: lastseen.FetchSnapshot) -> None:
        answer: tuple[lastseen.HttpResponse, ...] | lastseen.SnapshotFault
        try:
            async with asyncio.timeout(effect.timeout_s):
                answer = await asyncio.to_thread(_get_all, self.http_url, effect)
        except (OSError, http.client.HTTPException) as error:
            answer = lastseen.SnapshotFault(reason=type(error).__name__)
        assert isinstance(self.session, lastseen.Session)
        self.step(self.session.handle_snapshot, effect.fetch, answer)

    async def _commit(self, effect: lastseen.Commit, write: Callable[[], None]) -> None:
        trouble: str | None = None
        try:
            await asyncio.to_thread(write)
        except OSError as error:
            trouble = str(error)
        assert isinstance(self.session, lastseen.Session)
        self.step(self.session.handle_committed, effect.commit, trouble=trouble)


def _refused(refusal: InvalidStatus) -> lastseen.End:
    """A server's own words instead of an upgrade, and when it wants to be asked again."""
    response = refusal.response
    wait = response.headers.get("Retry-After", "")
    return lastseen.End(
        http_status=response.status_code,
        retry_after_s=min(float(wait), 3600.0) if wait.isdecimal() else None,
        reason=f"HTTP {response.status_code}",
        words=(response.body or b"")[:4096].decode(errors="replace"),
        wall_s=time.time(),
    )


def _get_all(base: str, effect: lastseen.FetchSnapshot) -> tuple[lastseen.HttpResponse, ...]:
    """The requests in order over one connection, up to the first that is no success."""
    url, responses = urlsplit(base), list[lastseen.HttpResponse]()
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    with closing(kind(url.netloc, timeout=effect.timeout_s)) as connection:
        for request in effect.requests:
            target = _with_query(f"{url.path}{request.path}", request.query)
            connection.request("GET", target, headers=dict(request.headers))
            told = connection.getresponse()
            headers = tuple((name.lower(), value) for name, value in told.getheaders())
            body = told.read()
            responses.append(lastseen.HttpResponse(status=told.status, headers=headers, body=body))
            if told.status != 200:
                break
    return tuple(responses)


def _with_query(url: str, members: Iterable[tuple[str, str | lastseen.Secret]]) -> str:
    plain = [(name, text if isinstance(text, str) else text.reveal()) for name, text in members]
    query = urlencode(plain, safe=",:")
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url
