"""A stream between the network and trio-websocket: it judges the upgrade and bounds every write.

trio-websocket waits for ever when a peer hangs up, or answers with a body of unknown length, while
the upgrade is under way; here either is noticed as it happens.
"""

import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Final, final

import attrs
import h11
import trio

from lastseen.dialect import End
from lastseen_trio.addresses import explain

__all__ = ["WRITE_TIMEOUT_S", "UpgradeStream", "retry_after_s"]

WRITE_TIMEOUT_S: Final = 10.0
"""A send that takes longer finds nobody reading: the connection is lost."""

_READ_BYTES: Final = 64 * 1024
_WORDS_BYTES_MAX: Final = 4096
_WORDS_TIMEOUT_S: Final = 0.5
_CUT_SHORT: Final = (trio.BrokenResourceError, h11.RemoteProtocolError)
_RETRY_AFTER_S_MAX: Final = 3600.0
_SWITCHING_PROTOCOLS: Final = 101
_HTTP: Final = b"HTTP/"
_NOT_HTTP: Final = End(reason="upgrade failed: not an HTTP answer")


@final
@attrs.define(eq=False)
class UpgradeStream(trio.abc.Stream):
    """Passes bytes through; `end` says why there will be no more, once it is known.

    Until the peer has switched protocols, what it sends is read as the head of an HTTP answer. A
    refusal or a redirect never reaches trio-websocket: it becomes `end`, and the stream breaks.
    """

    stream: trio.abc.Stream
    write_timeout_s: float = WRITE_TIMEOUT_S
    end: End | None = attrs.field(init=False, default=None)
    over: trio.Event = attrs.field(init=False, factory=trio.Event)
    _head: h11.Connection | None = attrs.field(init=False)
    _start: bytes = attrs.field(init=False, default=b"")

    def __attrs_post_init__(self) -> None:
        # A shadow of the request that trio-websocket sends; only its form matters.
        self._head = h11.Connection(h11.CLIENT)
        headers = [("Host", "x"), ("Connection", "Upgrade"), ("Upgrade", "websocket")]
        self._head.send(h11.Request(method="GET", target="/", headers=headers))
        self._head.send(h11.EndOfMessage())

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Reads; the size asked for is too small for a busy feed, so it is not heeded."""
        del max_bytes
        try:
            data = bytes(await self.stream.receive_some(_READ_BYTES))
        except trio.BrokenResourceError as error:
            self._lose(End(code=None if self._head else 1006, reason=explain(error)))
            raise
        if self._head is not None:
            self._start = (self._start + data)[: len(_HTTP)]
            refusal = _judge(self._head, data, self._start)
            if refusal is not None:
                if refusal.http_status is not None:
                    words = await self._read_words(self._head)
                    refusal = attrs.evolve(refusal, words=words, wall_s=time.time())
                self._lose(refusal)
                raise trio.BrokenResourceError("the upgrade was refused")
            if self._head.their_state is h11.SWITCHED_PROTOCOL:
                self._head = None
        elif not data:
            self.over.set()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Writes everything, or breaks the stream when the peer does not take it in time."""
        with trio.move_on_after(self.write_timeout_s) as scope:
            try:
                await self.stream.send_all(data)
            except trio.BrokenResourceError as error:
                self._lose(End(code=None if self._head else 1006, reason=explain(error)))
                raise
        if scope.cancelled_caught:
            self._lose(End(reason="write timed out"))
            await trio.aclose_forcefully(self.stream)
            raise trio.BrokenResourceError("write timed out")

    async def wait_send_all_might_not_block(self) -> None:
        """Waits until the network takes bytes."""
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Closes the stream below."""
        self.over.set()
        await self.stream.aclose()

    async def _read_words(self, head: h11.Connection) -> str:
        """The beginning of a refusal's body, as far as it comes soon."""
        body = bytearray()
        with trio.move_on_after(_WORDS_TIMEOUT_S), suppress(*_CUT_SHORT):
            while len(body) < _WORDS_BYTES_MAX:
                event = head.next_event()
                if isinstance(event, h11.Data):
                    body += event.data
                elif event is h11.NEED_DATA:
                    head.receive_data(bytes(await self.stream.receive_some(_READ_BYTES)))
                else:
                    break
        return body[:_WORDS_BYTES_MAX].decode(errors="replace")

    def _lose(self, end: End) -> None:
        if self.end is None:
            self.end = end
        self.over.set()


def _judge(head: h11.Connection, data: bytes, start: bytes) -> End | None:
    """What an answer to the upgrade means; None while it may yet succeed, or has succeeded."""
    # h11 would wait for the end of a head, however little it looks like one.
    if not _HTTP.startswith(start):
        return _NOT_HTTP
    try:
        head.receive_data(data)
        while True:
            event = head.next_event()
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == _SWITCHING_PROTOCOLS:
                    return None
            elif isinstance(event, h11.Response):
                return _refusal(event)
            elif event is h11.NEED_DATA:
                return None
            else:
                return End(reason="connection closed during the upgrade")
    except h11.RemoteProtocolError:
        if not data:
            return End(reason="connection closed during the upgrade")
        return _NOT_HTTP


def _refusal(response: h11.Response) -> End:
    status = response.status_code
    redirect = " (a redirect is not followed)" if 300 <= status < 400 else ""
    value = next((text for name, text in response.headers if name == b"retry-after"), None)
    return End(
        http_status=status,
        retry_after_s=None if value is None else retry_after_s(value.decode("latin-1")),
        reason=f"upgrade refused with HTTP {status}{redirect}",
    )


def retry_after_s(value: str) -> float | None:
    """Reads `Retry-After`, seconds or an HTTP date, as seconds from now in 0..3600.

    None when it is neither. Only the date needs the wall clock, which may be wrong; hence the cap.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), _RETRY_AFTER_S_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return min(max(moment.timestamp() - time.time(), 0.0), _RETRY_AFTER_S_MAX)
