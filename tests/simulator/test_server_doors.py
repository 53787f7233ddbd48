"""The server's sockets, with a gateway that does what the test says instead of a market."""

# ruff: noqa: ARG002 - the stand-in takes what the gateway takes

import socket
import struct
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any, cast

import attrs
import pytest
import trio
import trio.testing
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    Effect,
    HttpRequest,
    HttpResponse,
    Ping,
    RefuseConnections,
    RefuseUpgrade,
    Respond,
    Stall,
    Transmit,
    TransmitRaw,
)
from lastseen_simulator.faults import Receipt
from lastseen_simulator.gateway.core import Gateway
from lastseen_simulator.outbox import encode_frame
from lastseen_simulator.server import GatewayServer, open_gateway
from lastseen_simulator.websocket_door import accept_key

BULK = b"z" * 5_000_000

in_thread = trio.to_thread.run_sync


@attrs.define(eq=False)
class ScriptedGateway:
    """Answers a frame with the effects the test filed under it; remembers what it was told."""

    on_frame: dict[str | bytes, list[Effect]] = attrs.field(factory=dict[str | bytes, list[Effect]])
    on_connect: Callable[[int], list[Effect]] = lambda _: []
    on_request: Callable[[int, HttpRequest], list[Effect]] = lambda _number, _request: []
    on_drop: list[Effect] = attrs.field(factory=list[Effect])
    on_upgrade: Callable[[int, HttpRequest], list[Effect]] = lambda _number, _request: []
    deadline: float | None = None
    told: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])
    _effects: list[Effect] = attrs.field(factory=list[Effect])

    def opens_stream(self, http: HttpRequest) -> bool:
        return False

    def handle_upgrade(self, connection: int, http: HttpRequest, *, now: float) -> None:
        self._effects += self.on_upgrade(connection, http)

    def handle_pong(self, connection: int, *, now: float) -> None:
        self.told.append(("pong", connection))

    def handle_connected(self, connection: int, *, now: float) -> None:
        self.told.append(("connected", connection))
        self._effects += self.on_connect(connection)

    def handle_frame(self, connection: int, data: str | bytes, *, now: float) -> None:
        self.told.append(("frame", connection, data))
        self._effects += self.on_frame.get(data, [])

    def handle_disconnected(self, connection: int, *, now: float) -> None:
        self.told.append(("disconnected", connection))

    def handle_backlog(self, connection: int, pending_bytes: int, *, now: float) -> None:
        self.told.append(("backlog", connection, pending_bytes))

    def handle_request(self, request: int, http: HttpRequest, *, now: float) -> None:
        self.told.append(("request", http.method, http.path, http.query, http.body))
        self._effects += self.on_request(request, http)

    def handle_deadline(self, *, now: float) -> None:
        if self.deadline is not None and self.deadline <= now:
            self.told.append(("deadline", now))
            self.deadline = None

    def do(self, *effects: Effect) -> None:
        self._effects += effects

    def drop(self, connection: int | None, *, reset: bool, now: float) -> None:
        """Stands in for any control call."""
        self._effects += self.on_drop

    def receipts(self) -> tuple[Receipt, ...]:
        return ()

    def poll_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    def poll_deadline(self) -> tuple[float, str] | None:
        return None if self.deadline is None else (self.deadline, "test")


def serve(gateway: ScriptedGateway) -> Any:
    return open_gateway(cast("Gateway", gateway))


def command(server: GatewayServer, gateway: ScriptedGateway, *effects: Effect) -> None:
    gateway.do(*effects)
    server.drop()


async def told(server: GatewayServer, gateway: ScriptedGateway, *what: Any) -> None:
    """Waits until the gateway has been told something that starts so."""
    with trio.fail_after(20):
        while not any(each[: len(what)] == what for each in gateway.told):
            await server.wait_step()


def text(connection: int, data: str) -> Transmit:
    return Transmit(connection=connection, data=data)


def dial(url: str) -> ClientConnection:
    return connect(url, compression=None, open_timeout=20, close_timeout=5, proxy=None)


def raw_upgrade(port: int) -> socket.socket:
    """Opens a WebSocket by hand and reads the answer's head."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=20)
    raw.sendall(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += raw.recv(1)
    assert b" 101 " in head
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    return raw


def read_all(raw: socket.socket) -> bytes:
    """Reads to the FIN; an RST raises ConnectionResetError."""
    data = b""
    while piece := raw.recv(65536):
        data += piece
    return data


def exchange(port: int, request: bytes) -> bytes:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as raw:
        raw.sendall(request)
        return read_all(raw)


def masked(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    first = opcode | (0x80 if fin else 0)
    key = b"\x01\x02\x03\x04"
    body = bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
    if len(payload) < 126:
        return struct.pack("!BB", first, 0x80 | len(payload)) + key + body
    return struct.pack("!BBQ", first, 0x80 | 127, len(payload)) + key + body


def test_the_accept_key_is_the_one_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_frame_carries_its_length_in_the_shortest_form(size: int, head: bytes) -> None:
    assert encode_frame(b"x" * size) == head + b"x" * size


def test_a_text_frame_counts_bytes_not_characters() -> None:
    assert encode_frame("é") == b"\x81\x02\xc3\xa9"


async def test_messages_arrive_as_text_and_as_binary_in_order() -> None:
    gateway = ScriptedGateway(
        on_frame={
            "go": [text(1, "a"), Transmit(connection=1, data=b"\x81b"), text(1, "c" * 70_000)]
        }
    )

    def talk(url: str) -> list[str | bytes]:
        with dial(url) as client:
            client.send("go")
            return [client.recv(timeout=20) for _ in range(3)]

    async with serve(gateway) as server:
        got = await in_thread(talk, server.ws_url)
        await told(server, gateway, "disconnected", 1)

    assert got == ["a", b"\x81b", "c" * 70_000]
    assert gateway.told == [("connected", 1), ("frame", 1, "go"), ("disconnected", 1)]


async def test_an_upgrade_may_be_refused_with_any_answer() -> None:
    body = b'{"error":"come back later"}'
    headers = (("Content-Type", "application/json"),)

    def judge(connection: int, http: HttpRequest) -> list[Effect]:
        if http.query == (("key", "good"),):
            return []
        response = HttpResponse(status=429, headers=headers, body=body)
        return [RefuseUpgrade(connection=connection, response=response)]

    gateway = ScriptedGateway(on_upgrade=judge)

    def talk(url: str) -> InvalidStatus:
        with pytest.raises(InvalidStatus) as refused:
            dial(f"{url}?key=bad")
        with dial(f"{url}?key=good"):
            return refused.value

    async with serve(gateway) as server:
        refusal = await in_thread(talk, server.ws_url)
        await told(server, gateway, "disconnected", 2)

    assert (refusal.response.status_code, refusal.response.body) == (429, body)
    assert gateway.told == [("connected", 2), ("disconnected", 2)]


async def test_an_upgrade_may_be_met_with_silence() -> None:
    silent = HttpResponse(status=101, headers=(), body=b"", silent=True)
    gateway = ScriptedGateway(
        on_upgrade=lambda number, _: [RefuseUpgrade(connection=number, response=silent)]
    )

    def talk(port: int) -> bytes:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as raw:
            raw.sendall(
                b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            raw.shutdown(socket.SHUT_WR)
            return read_all(raw)

    async with serve(gateway) as server:
        assert await in_thread(talk, server.port) == b""
    assert gateway.told == []


async def test_a_ping_goes_out_and_its_pong_is_told() -> None:
    gateway = ScriptedGateway(on_frame={"go": [Ping(connection=1), text(1, "pinged")]})

    def talk(url: str) -> None:
        with dial(url) as client:
            client.send("go")
            assert client.recv(timeout=20) == "pinged"
            client.send("ponged")

    async with serve(gateway) as server:
        await in_thread(talk, server.ws_url)
        await told(server, gateway, "disconnected", 1)

    assert gateway.told == [
        ("connected", 1),
        ("frame", 1, "go"),
        ("pong", 1),
        ("frame", 1, "ponged"),
        ("disconnected", 1),
    ]


async def test_a_fragmented_message_is_handed_over_whole() -> None:
    gateway = ScriptedGateway()

    def talk(url: str) -> None:
        with dial(url) as client:
            client.send(["first ", "second ", "third"])
            client.send(b"\x00\xff")

    async with serve(gateway) as server:
        await in_thread(talk, server.ws_url)
        await told(server, gateway, "disconnected", 1)

    assert gateway.told[1:3] == [("frame", 1, "first second third"), ("frame", 1, b"\x00\xff")]


async def test_a_ping_is_answered_with_its_own_payload() -> None:
    gateway = ScriptedGateway()

    def talk(port: int) -> bytes:
        with closing(raw_upgrade(port)) as raw:
            raw.sendall(masked(0x9, b"who"))
            return raw.recv(5)

    async with serve(gateway) as server:
        assert await in_thread(talk, server.port) == b"\x8a\x03who"


@pytest.mark.parametrize("code", [1000, 1011, 4000, 4003])
async def test_an_orderly_close_carries_code_and_reason_after_what_was_sent(code: int) -> None:
    gateway = ScriptedGateway(
        on_connect=lambda c: [
            text(c, "last"),
            CloseConnection(connection=c, code=code, reason="why"),
        ]
    )

    def talk(url: str) -> tuple[str | bytes, int, str]:
        with dial(url) as client:
            last = client.recv(timeout=20)
            with pytest.raises(ConnectionClosed) as caught:
                client.recv(timeout=20)
            assert caught.value.rcvd is not None
            return last, caught.value.rcvd.code, caught.value.rcvd.reason

    async with serve(gateway) as server:
        assert await in_thread(talk, server.ws_url) == ("last", code, "why")
        await told(server, gateway, "disconnected", 1)

    assert gateway.told.count(("disconnected", 1)) == 1


async def test_a_client_that_closes_gets_its_code_back_and_then_the_stream_ends() -> None:
    gateway = ScriptedGateway()

    def talk(port: int) -> bytes:
        with closing(raw_upgrade(port)) as raw:
            raw.sendall(masked(0x8, struct.pack("!H", 4321) + b"enough"))
            return read_all(raw)

    async with serve(gateway) as server:
        assert (await in_thread(talk, server.port))[:4] == b"\x88\x02" + struct.pack("!H", 4321)
        await told(server, gateway, "disconnected", 1)


async def test_a_close_without_a_code_is_answered_without_one() -> None:
    gateway = ScriptedGateway()

    def talk(port: int) -> bytes:
        with closing(raw_upgrade(port)) as raw:
            raw.sendall(masked(0x8, b""))
            return read_all(raw)

    async with serve(gateway) as server:
        assert await in_thread(talk, server.port) == b"\x88\x00"


async def test_a_frame_is_cut_at_the_byte_named_and_then_the_stream_ends() -> None:
    gateway = ScriptedGateway(
        on_connect=lambda c: [
            text(c, "whole"),
            Transmit(connection=c, data="broken", cut_at=3),
            Abort(connection=c, reset=False),
        ]
    )

    def talk(port: int) -> bytes:
        with closing(raw_upgrade(port)) as raw:
            return read_all(raw)

    async with serve(gateway) as server:
        assert await in_thread(talk, server.port) == b"\x81\x05whole\x81\x06b"


async def test_a_vanished_gateway_leaves_no_close_frame() -> None:
    gateway = ScriptedGateway(on_connect=lambda c: [Abort(connection=c, reset=False)])

    def talk(url: str) -> None:
        with dial(url) as client, pytest.raises(ConnectionClosedError) as caught:
            client.recv(timeout=20)
        assert caught.value.rcvd is None

    async with serve(gateway) as server:
        await in_thread(talk, server.ws_url)
        await told(server, gateway, "disconnected", 1)


async def test_a_reset_is_an_rst_after_what_was_sent() -> None:
    gateway = ScriptedGateway(
        on_frame={"go": [text(1, "first"), Abort(connection=1, reset=True)]},
    )

    def talk(port: int) -> bytes:
        with closing(raw_upgrade(port)) as raw:
            raw.sendall(masked(0x1, b"go"))
            got = raw.recv(7)
            with pytest.raises(ConnectionResetError):
                read_all(raw)
            return got

    async with serve(gateway) as server:
        assert await in_thread(talk, server.port) == b"\x81\x05first"


async def test_a_local_close_code_never_travels() -> None:
    gateway = ScriptedGateway(
        on_connect=lambda c: [CloseConnection(connection=c, code=1006, reason="")]
    )

    def talk(port: int) -> bytes:
        with closing(raw_upgrade(port)) as raw:
            return read_all(raw)

    async with serve(gateway) as server:
        assert await in_thread(talk, server.port) == b""


async def test_raw_bytes_go_out_as_they_are() -> None:
    junk = b"\xff\x00junk"
    gateway = ScriptedGateway(on_connect=lambda c: [TransmitRaw(connection=c, data=junk)])

    def talk(port: int) -> bytes:
        with closing(raw_upgrade(port)) as raw:
            return raw.recv(6)

    async with serve(gateway) as server:
        assert await in_thread(talk, server.port) == junk


async def test_a_drip_arrives_whole_and_keeps_its_place() -> None:
    gateway = ScriptedGateway(
        on_connect=lambda c: [
            Transmit(connection=c, data="slowly", drip_bytes_per_s=200.0),
            text(c, "next"),
        ]
    )

    def talk(url: str) -> list[str | bytes]:
        with dial(url) as client:
            return [client.recv(timeout=20), client.recv(timeout=20)]

    async with serve(gateway) as server:
        assert await in_thread(talk, server.ws_url) == ["slowly", "next"]


async def test_a_stalled_connection_says_nothing_until_the_stall_ends() -> None:
    gateway = ScriptedGateway(
        on_connect=lambda c: [Stall(connection=c, stalled=True), text(c, "held back")]
    )

    def ping(raw: socket.socket) -> bytes:
        raw.sendall(masked(0x9, b"?"))
        raw.settimeout(0.3)
        with pytest.raises(TimeoutError):
            raw.recv(1)
        raw.settimeout(20)
        return b"silence"

    def listen(raw: socket.socket) -> bytes:
        data = b""
        while len(data) < 14:
            data += raw.recv(14 - len(data))
        return data

    async with serve(gateway) as server:
        raw = await in_thread(raw_upgrade, server.port)
        with closing(raw):
            assert await in_thread(ping, raw) == b"silence"
            command(server, gateway, Stall(connection=1, stalled=False))
            got = await in_thread(listen, raw)

    assert sorted([got[:11], got[11:]]) == [b"\x81\x09held back", b"\x8a\x01?"]


async def test_a_peer_that_leaves_a_stalled_connection_is_noticed() -> None:
    gateway = ScriptedGateway(on_connect=lambda c: [Stall(connection=c, stalled=True)])

    async with serve(gateway) as server:
        raw = await in_thread(raw_upgrade, server.port)
        raw.close()
        await told(server, gateway, "disconnected", 1)


@pytest.mark.parametrize(
    ("sin", "code"),
    [
        (b"\x81\x02hi", 1002),
        (masked(0x3, b"reserved"), 1002),
        (masked(0x0, b"a continuation of nothing"), 1002),
        (masked(0x1, b"\xff\xfe not text"), 1007),
        (masked(0x2, b"x" * (1024 * 1024 + 1)), 1009),
    ],
    ids=["unmasked", "reserved-opcode", "stray-continuation", "bad-utf8", "too-big"],
)
async def test_a_client_that_breaks_the_framing_is_closed_with_the_code_for_it(
    sin: bytes, code: int
) -> None:
    gateway = ScriptedGateway()

    def talk(port: int) -> bytes:
        with closing(raw_upgrade(port)) as raw:
            raw.sendall(sin)
            return raw.recv(4)

    async with serve(gateway) as server:
        assert await in_thread(talk, server.port) == b"\x88\x02" + struct.pack("!H", code)
        await told(server, gateway, "disconnected", 1)

    assert not any(each[0] == "frame" for each in gateway.told)


async def test_a_slow_readers_backlog_is_told_and_so_is_its_end() -> None:
    gateway = ScriptedGateway()
    message = "x" * 100_000

    def drain(raw: socket.socket, size: int) -> None:
        while size > 0:
            size -= len(raw.recv(1 << 20))

    async with serve(gateway) as server:
        raw = await in_thread(raw_upgrade, server.port)
        with closing(raw):
            frames = 0
            with trio.fail_after(20):
                while not any(each[0] == "backlog" and each[2] > 500_000 for each in gateway.told):
                    command(server, gateway, text(1, message))
                    frames += 1
                    await trio.lowlevel.checkpoint()
            await in_thread(drain, raw, frames * len(encode_frame(message)))
            await told(server, gateway, "backlog", 1, 0)


async def test_a_burst_to_a_client_that_reads_is_no_backlog() -> None:
    gateway = ScriptedGateway(on_frame={"go": [text(1, "tiny")] * 1_000})

    def talk(url: str) -> int:
        with dial(url) as client:
            client.send("go")
            return sum(len(client.recv(timeout=20)) for _ in range(1_000))

    async with serve(gateway) as server:
        assert await in_thread(talk, server.ws_url) == 4_000

    assert not any(each[0] == "backlog" for each in gateway.told)


async def test_the_gateway_is_woken_at_its_deadline_and_not_before() -> None:
    gateway = ScriptedGateway(deadline=0.05)

    async with serve(gateway) as server:
        await told(server, gateway, "deadline")

    (deadline,) = gateway.told
    assert deadline[1] >= 0.05


async def test_a_deadline_that_comes_nearer_is_noticed() -> None:
    gateway = ScriptedGateway(deadline=3600.0)

    async with serve(gateway) as server:
        await trio.testing.wait_all_tasks_blocked()
        gateway.deadline = 0.01
        command(server, gateway)
        await told(server, gateway, "deadline")


async def test_refused_connections_find_the_same_port_open_again() -> None:
    gateway = ScriptedGateway()

    def refused(port: int) -> None:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=20)

    async with serve(gateway) as server:
        kept = await in_thread(raw_upgrade, server.port)
        for _ in range(3):
            command(server, gateway, RefuseConnections(mode="refuse"))
            await in_thread(refused, server.port)
            command(server, gateway, RefuseConnections(mode="accept"))
            await trio.testing.wait_all_tasks_blocked()
            (await in_thread(raw_upgrade, server.port)).close()
        kept.close()


async def test_while_it_refuses_connections_nobody_else_is_given_the_port() -> None:
    # Another gateway would be taken for this one by whoever waits for it to come back.
    gateway = ScriptedGateway()

    async with serve(gateway) as server:
        command(server, gateway, RefuseConnections(mode="refuse"))
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))
        command(server, gateway, RefuseConnections(mode="accept"))
        await trio.testing.wait_all_tasks_blocked()
        (await in_thread(raw_upgrade, server.port)).close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can take a bound port")
async def test_a_port_that_was_taken_all_the_same_is_opened_once_it_is_free() -> None:
    gateway = ScriptedGateway()

    async with serve(gateway) as server:
        command(server, gateway, RefuseConnections(mode="refuse"))
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", server.port))
            other.listen()
            command(server, gateway, RefuseConnections(mode="accept"))
            await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(20):
            while True:
                with suppress(ConnectionRefusedError):
                    (await in_thread(raw_upgrade, server.port)).close()
                    break


async def test_accept_then_close_ends_a_connection_before_a_word() -> None:
    gateway = ScriptedGateway()

    async with serve(gateway) as server:
        command(server, gateway, RefuseConnections(mode="accept_then_close"))
        assert await in_thread(exchange, server.port, b"") == b""
        command(server, gateway, RefuseConnections(mode="accept"))
        (await in_thread(raw_upgrade, server.port)).close()


def answer(**members: Any) -> Callable[[int, HttpRequest], list[Effect]]:
    response = HttpResponse(status=200, headers=(("X-Test", "yes"),), body=b"0123456789")
    return lambda number, _: [Respond(request=number, response=attrs.evolve(response, **members))]


async def test_requests_arrive_decoded_and_keep_the_connection_alive() -> None:
    gateway = ScriptedGateway(on_request=answer())
    request = (
        b"GET /en/fixtures?sportId=10&empty=&name=a%20b HTTP/1.1\r\nHost: x\r\n\r\n"
        b"POST /en/caf%C3%A9 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
        b"HEAD /en HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )

    async with serve(gateway) as server:
        got = await in_thread(exchange, server.port, request)

    assert got.count(b"HTTP/1.1 200 OK") == 3
    assert got.count(b"0123456789") == 2
    assert got.lower().count(b"content-length: 10") == 3
    query = (("sportId", "10"), ("empty", ""), ("name", "a b"))
    assert gateway.told == [
        ("request", "GET", "/en/fixtures", query, b""),
        ("request", "POST", "/en/café", (), b"hi"),
        ("request", "HEAD", "/en", (), b""),
    ]


async def test_a_cut_body_announces_more_than_it_sends() -> None:
    gateway = ScriptedGateway(on_request=answer(cut_at=4))

    async with serve(gateway) as server:
        got = await in_thread(exchange, server.port, b"GET /en HTTP/1.1\r\nHost: x\r\n\r\n")

    head, _, body = got.partition(b"\r\n\r\n")
    assert b"content-length: 10" in head.lower()
    assert body == b"0123"


async def test_a_stalled_answer_sends_its_head_and_then_nothing() -> None:
    gateway = ScriptedGateway(on_request=answer(stall=True))

    def talk(port: int) -> bytes:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as raw:
            raw.sendall(b"GET /en HTTP/1.1\r\nHost: x\r\n\r\n")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += raw.recv(1)
            raw.settimeout(0.3)
            with pytest.raises(TimeoutError):
                raw.recv(1)
            return head

    async with serve(gateway) as server:
        assert b" 200 OK" in await in_thread(talk, server.port)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000, b"431"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" + b"z" * 5_000_000,
            b"413",
        ),
    ],
    ids=["not-http", "no-host", "huge-head", "huge-body"],
)
async def test_bad_http_is_refused_and_closed(request_: bytes, status: bytes) -> None:
    gateway = ScriptedGateway()

    def talk(port: int) -> bytes:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as raw:
            with suppress(BrokenPipeError, ConnectionResetError):
                raw.sendall(request_)
            return raw.recv(12)

    async with serve(gateway) as server:
        assert await in_thread(talk, server.port) == b"HTTP/1.1 " + status

    assert gateway.told == []


async def test_a_websocket_anywhere_else_is_not_found() -> None:
    gateway = ScriptedGateway()

    def talk(url: str) -> int:
        with pytest.raises(InvalidStatus) as caught:
            dial(url)
        return caught.value.response.status_code

    async with serve(gateway) as server:
        assert await in_thread(talk, f"ws://127.0.0.1:{server.port}/socket") == 404

    assert gateway.told == []


async def test_an_old_websocket_version_is_told_the_right_one() -> None:
    gateway = ScriptedGateway()
    request = (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"
        b"Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: x\r\n\r\n"
    )

    async with serve(gateway) as server:
        got = await in_thread(exchange, server.port, request)

    assert got.startswith(b"HTTP/1.1 426 ")
    assert b"sec-websocket-version: 13" in got.lower()


async def test_leaving_the_block_ends_every_connection() -> None:
    gateway = ScriptedGateway()

    async with serve(gateway) as server:
        raw = await in_thread(raw_upgrade, server.port)
        await told(server, gateway, "connected", 1)

    with closing(raw):
        assert await in_thread(read_all, raw) == b""


async def test_an_exception_of_the_block_comes_out_bare() -> None:
    with pytest.raises(ZeroDivisionError):
        async with serve(ScriptedGateway()):
            raise ZeroDivisionError


async def test_a_taken_port_is_an_oserror() -> None:
    async with serve(ScriptedGateway()) as server:
        with pytest.raises(OSError, match="in use"):
            async with open_gateway(cast("Gateway", ScriptedGateway()), port=server.port):
                raise AssertionError("two servers on one port")


async def test_control_methods_work_from_other_threads() -> None:
    gateway = ScriptedGateway(on_drop=[text(1, "from a thread")])

    def talk(server: GatewayServer) -> str | bytes:
        with dial(server.ws_url) as client:
            server.drop()
            return client.recv(timeout=20)

    async with serve(gateway) as server:
        assert await in_thread(talk, server) == "from a thread"
