"""Peers for the adapter: a raw TCP listener, and a whole exchange on memory streams."""

import json
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import h11
import pytest
import trio
import trio.testing
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    Request,
    TextMessage,
)

Handler = Callable[[trio.abc.Stream], Awaitable[None]]
Listen = Callable[[Handler], Awaitable[int]]


@attrs.define(eq=False)
class Peer:
    """The server's end of one WebSocket."""

    stream: trio.abc.Stream
    answers_pings: bool = True
    wire: WSConnection = attrs.field(
        init=False, factory=lambda: WSConnection(ConnectionType.SERVER)
    )
    target: str = attrs.field(init=False, default="")

    async def accept(self) -> None:
        request = await self.next_of(Request)
        self.target = request.target
        await self.send(AcceptConnection())

    async def send(self, event: Event) -> None:
        await self.stream.send_all(self.wire.send(event))

    async def text(self, text: str) -> None:
        await self.send(TextMessage(data=text))

    async def say(self, **members: Any) -> None:
        await self.text(json.dumps(members))

    async def close(self, code: int, reason: str = "") -> None:
        await self.send(CloseConnection(code=code, reason=reason))

    async def next_of(self, kind: type[Any]) -> Any:
        """The next event of a kind; pings are answered on the way, others are dropped."""
        while True:
            for event in self.wire.events():
                if isinstance(event, kind):
                    return event
                if isinstance(event, Ping) and self.answers_pings:
                    await self.send(event.response())
            data = await self.stream.receive_some()
            if not data:
                raise EOFError
            self.wire.receive_data(bytes(data))

    async def receive(self) -> dict[str, Any]:
        event = await self.next_of(TextMessage)
        frame: dict[str, Any] = json.loads(event.data)
        return frame

    async def log_in(self, epoch: str = "e1", **members: Any) -> dict[str, Any]:
        login = await self.receive()
        resume = {"serverEpoch": epoch, "resumeWindowMs": 60000, "replayChannels": ["scores"]}
        await self.say(
            type="login_ok",
            connId="c1",
            userId="u1",
            channels=login["channels"],
            receiveType="json",
            access={"live": True, "pregame": True},
            resume={**resume, "serverEntryIds": {}},
            **members,
        )
        return login

    async def entry(self, number: int, channel: str = "scores", **payload: Any) -> None:
        payload = payload or {"fixtureId": "id1", "scores": {}}
        await self.say(
            channel=channel, type="UPDATE", ts=1000, entryId=f"1000-{number}", payload=payload
        )

    async def last_words(self) -> CloseConnection:
        """Takes the close frame of the other side, and answers it."""
        event: CloseConnection = await self.next_of(CloseConnection)
        await self.send(event.response())
        return event


@attrs.define(eq=False)
class Exchange:
    """Stands in for the network: every WebSocket is a `Peer`, every GET gets an empty list."""

    nursery: trio.Nursery
    dialled: list[str] = attrs.field(init=False, factory=list[str])
    requests: list[str] = attrs.field(init=False, factory=list[str])
    refusals: int = 0
    """So many WebSocket attempts are refused before one is taken."""
    _send: trio.MemorySendChannel[Peer] = attrs.field(init=False)
    _receive: trio.MemoryReceiveChannel[Peer] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Peer](100)

    async def dial(self, address: Any, _ssl_context: Any) -> trio.abc.Stream:
        self.dialled.append(str(address))
        if address.scheme == "ws" and self.refusals:
            self.refusals -= 1
            raise ConnectionRefusedError(111, "Connection refused")
        ours, theirs = trio.testing.memory_stream_pair()
        if address.scheme == "ws":
            self._send.send_nowait(Peer(theirs))
        else:
            self.nursery.start_soon(self._rest, theirs)
        return ours

    async def peer(self) -> Peer:
        """The next WebSocket, upgraded."""
        peer = await self._receive.receive()
        await peer.accept()
        return peer

    async def _rest(self, stream: trio.abc.Stream) -> None:
        wire = h11.Connection(h11.SERVER)
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                wire.receive_data(bytes(await stream.receive_some()))
            elif isinstance(event, h11.Request):
                self.requests.append(event.target.decode())
            elif isinstance(event, h11.EndOfMessage):
                headers = [("Content-Type", "application/json"), ("Content-Length", "2")]
                for part in (
                    h11.Response(status_code=200, headers=headers),
                    h11.Data(data=b"[]"),
                    h11.EndOfMessage(),
                ):
                    await stream.send_all(wire.send(part) or b"")
                wire.start_next_cycle()
            else:
                return


@pytest.fixture
def exchange(nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> Exchange:
    """Replaces the network of the adapter."""
    made = Exchange(nursery)
    monkeypatch.setattr("lastseen_trio.websocket.dial", made.dial)
    monkeypatch.setattr("lastseen_trio.http.dial", made.dial)
    return made


@pytest.fixture
def listen(nursery: trio.Nursery) -> Listen:
    """Serves each TCP connection on a loopback port with a handler; returns the port."""

    async def start(handler: Handler) -> int:
        async def guarded(stream: trio.SocketStream) -> None:
            with suppress(trio.BrokenResourceError, EOFError):
                await handler(stream)

        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, guarded, listeners)
        port: int = listeners[0].socket.getsockname()[1]
        return port

    return start


@pytest.fixture
def make_peer() -> type[Peer]:
    """Makes the server's end of a WebSocket from a stream."""
    return Peer


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for `localhost` and its key, in PEM files."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(cert)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl is not there to make a certificate")
    return cert, key
