"""The server around the real gateway, met by clients that share no code with it."""

import http.client
import json
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import msgspec
import pytest
import trio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from lastseen_simulator.faults import Fault
from lastseen_simulator.gateway.core import DEMO_KEY, GatewayOptions
from lastseen_simulator.server import GatewayServer, open_gateway, serve_gateway

in_thread = trio.to_thread.run_sync

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

QUIET = GatewayOptions(rate=0.0)
BUSY = GatewayOptions(rate=500.0)


def dial(server: GatewayServer) -> ClientConnection:
    return connect(server.ws_url, compression=None, open_timeout=20, close_timeout=5, proxy=None)


def login(client: ClientConnection, **members: Any) -> dict[str, Any]:
    client.send(json.dumps({"type": "login", "apiKey": DEMO_KEY, **members}))
    return receive(client)


def receive(client: ClientConnection) -> dict[str, Any]:
    frame = client.recv(timeout=20)
    decoded: dict[str, Any]
    if isinstance(frame, str):
        decoded = json.loads(frame)
    else:
        decoded = msgspec.msgpack.decode(frame)
    return decoded


def receive_until(client: ClientConnection, accept: Callable[[dict[str, Any]], bool]) -> Any:
    while not accept(frame := receive(client)):
        pass
    return frame


def closing_of(client: ClientConnection) -> tuple[int, str]:
    """Reads to the end; code and reason, or (1006, "") without a close frame."""
    try:
        while True:
            client.recv(timeout=20)
    except ConnectionClosed as error:
        return (1006, "") if error.rcvd is None else (error.rcvd.code, error.rcvd.reason)


def get(server: GatewayServer, path: str) -> tuple[int, Any, dict[str, str]]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as client:
        client.request("GET", path)
        response = client.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, json.loads(response.read()), headers


async def test_a_login_is_answered_and_followed_by_updates() -> None:
    def talk(server: GatewayServer) -> None:
        with dial(server) as client:
            answer = login(client, channels=["odds", "scores"])

            assert answer["type"] == "login_ok"
            assert answer["channels"] == ["odds", "scores"]
            assert answer["receiveType"] == "json"
            frames = [receive(client) for _ in range(20)]
            assert {frame["type"] for frame in frames} == {"UPDATE"}
            assert {frame["channel"] for frame in frames} <= {"odds", "scores"}

    async with open_gateway(BUSY) as server:
        await in_thread(talk, server)


async def test_binary_clients_get_messagepack_data_and_json_control() -> None:
    def talk(server: GatewayServer) -> None:
        with dial(server) as client:
            assert login(client, receiveType="binary")["receiveType"] == "binary"
            frame = client.recv(timeout=20)
            assert isinstance(frame, bytes)
            assert msgspec.msgpack.decode(frame)["type"] == "UPDATE"

    async with open_gateway(BUSY) as server:
        await in_thread(talk, server)


async def test_what_is_published_by_hand_reaches_every_subscriber() -> None:
    async with open_gateway(QUIET) as server:

        def talk() -> tuple[str, list[str]]:
            with dial(server) as first, dial(server) as second:
                login(first, channels=["fixtures"])
                login(second, channels=["fixtures"])
                entry_id = server.publish("fixtures")
                return entry_id, [receive(first)["entryId"], receive(second)["entryId"]]

        entry_id, received = await in_thread(talk)

    assert received == [entry_id, entry_id]


async def test_a_first_frame_that_is_no_login_is_closed_with_4000() -> None:
    def talk(server: GatewayServer) -> tuple[str, int]:
        with dial(server) as client:
            client.send("hello")
            error = receive(client)
            return error["type"], closing_of(client)[0]

    async with open_gateway(QUIET) as server:
        assert await in_thread(talk, server) == ("error", 4000)


async def test_a_silent_client_is_closed_with_4000_at_the_login_deadline() -> None:
    def talk(server: GatewayServer) -> int:
        with dial(server) as client:
            return closing_of(client)[0]

    async with open_gateway(GatewayOptions(rate=0.0, login_timeout_s=0.1)) as server:
        assert await in_thread(talk, server) == 4000


async def test_the_sixth_connection_of_a_key_is_closed_with_4003() -> None:
    def talk(server: GatewayServer) -> tuple[str, int]:
        with ExitStack() as stack:
            *five, sixth = [stack.enter_context(dial(server)) for _ in range(6)]
            assert [login(each)["type"] for each in five] == ["login_ok"] * 5
            return login(sixth)["error"], closing_of(sixth)[0]

    async with open_gateway(QUIET) as server:
        assert await in_thread(talk, server) == ("too_many_connections", 4003)


async def test_a_slot_is_free_again_once_its_connection_has_gone() -> None:
    def talk(server: GatewayServer) -> list[str]:
        answers: list[str] = []
        for _ in range(8):
            with dial(server) as client:
                answers.append(login(client)["type"])
        return answers

    async with open_gateway(QUIET) as server:
        assert await in_thread(talk, server) == ["login_ok"] * 8


async def test_a_cut_frame_reaches_the_wire_up_to_its_byte() -> None:
    def talk(server: GatewayServer) -> bytes:
        with closing(socket.create_connection(("127.0.0.1", server.port), timeout=20)) as raw:
            raw.sendall(
                b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            body = json.dumps({"type": "login", "apiKey": DEMO_KEY}).encode()
            raw.sendall(struct.pack("!BB", 0x81, 0x80 | len(body)) + bytes(4) + body)
            data = b""
            while piece := raw.recv(65536):
                data += piece
            return data

    fault = Fault(kind="drop", at="inside data 1 byte 3")
    async with open_gateway(BUSY, faults=[fault]) as server:
        data = await in_thread(talk, server)
        receipt = await server.wait_receipt(1)

    login_ok, _, rest = data.partition(b'"login_ok"')
    assert login_ok
    assert receipt.fired == 1
    # After the text frame of login_ok come three bytes: its successor's head, and no more.
    assert rest[rest.rindex(b"}") + 1 :][:1] == b"\x81"
    assert len(rest[rest.rindex(b"}") + 1 :]) == 3


async def test_a_reset_fault_is_seen_as_a_lost_connection_and_has_a_receipt() -> None:
    async with open_gateway(BUSY) as server:
        number = server.place(Fault(kind="reset", at="after data 3"))

        def talk() -> tuple[int, str]:
            with dial(server) as client:
                login(client)
                return closing_of(client)

        assert await in_thread(talk) == (1006, "")
        with trio.fail_after(20):
            receipt = await server.wait_receipt(number)

    assert (receipt.kind, receipt.fired) == ("reset", 1)


async def test_waiting_for_an_unknown_receipt_is_a_key_error() -> None:
    async with open_gateway(QUIET) as server:
        with pytest.raises(KeyError):
            await server.wait_receipt(99)


async def test_an_unannounced_restart_drops_everybody_and_changes_the_epoch() -> None:
    async with open_gateway(QUIET) as server:

        def talk() -> tuple[str, int, str]:
            with dial(server) as client:
                before = login(client)["resume"]["serverEpoch"]
                server.restart()
                code, _ = closing_of(client)
            with dial(server) as client:
                return before, code, login(client)["resume"]["serverEpoch"]

        before, code, after = await in_thread(talk)

    assert code == 1006
    assert before != after


async def test_a_reconnect_notice_streams_on_until_the_grace_is_over() -> None:
    async with open_gateway(BUSY) as server:

        def talk() -> tuple[str, int]:
            with dial(server) as client:
                login(client)
                server.notice_reconnect(grace_s=0.2)
                notice = receive_until(client, lambda frame: frame["type"] == "reconnect")
                assert receive(client)["type"] == "UPDATE"
                return notice["reason"], closing_of(client)[0]

        assert await in_thread(talk) == ("server_upgrade", 1006)


async def test_a_paused_market_wants_no_tick_until_it_is_resumed() -> None:
    def reason(server: GatewayServer) -> str | None:
        deadline = server.core.poll_deadline()
        return None if deadline is None else deadline[1]

    async with open_gateway(BUSY) as server:
        assert reason(server) == "tick"
        server.pause()
        assert reason(server) is None
        server.publish("scores")
        server.resume()
        written = server.core.truth.written
        with trio.fail_after(20):
            while server.core.truth.written == written:
                await server.wait_step()


async def test_the_truth_can_be_asked_for_before_anything_has_happened() -> None:
    async with open_gateway(QUIET) as server:
        assert server.truth_state(channels=["fixtures"])


async def test_rest_answers_from_the_state_the_stream_made() -> None:
    def ask(server: GatewayServer) -> Any:
        status, fixtures, headers = get(server, f"/en/fixtures?sportId=10&apiKey={DEMO_KEY}")
        assert status == 200
        assert headers["content-type"] == "application/json"
        return fixtures

    async with open_gateway(QUIET) as server:
        fixtures = await in_thread(ask, server)
        truth = server.truth_state(channels=["fixtures"], sport_ids=[10])

    assert {f"fixtures/{fixture['fixtureId']}" for fixture in fixtures} == set(truth)
    assert fixtures


async def test_rest_without_a_key_is_401() -> None:
    async with open_gateway(QUIET) as server:
        status, body, _ = await in_thread(get, server, "/en/fixtures?sportId=10")

    assert (status, body["code"]) == (401, "missing_api_key")


async def test_a_truncated_snapshot_ends_before_its_length() -> None:
    def ask(server: GatewayServer) -> None:
        with pytest.raises(http.client.IncompleteRead):
            get(server, f"/en/fixtures?sportId=10&apiKey={DEMO_KEY}")

    async with open_gateway(QUIET) as server:
        server.place(Fault(kind="truncate", at="on request /fixtures 1"))
        await in_thread(ask, server)


async def test_refused_connections_come_back_on_the_same_port() -> None:
    async with open_gateway(QUIET) as server:
        number = server.place(Fault(kind="refuse", at="after login_ok", seconds=0.3))

        def talk() -> str:
            with dial(server) as client:
                login(client)
                trio.from_thread.run(server.wait_receipt, number)
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", server.port), timeout=20)
            while True:
                try:
                    with dial(server) as client:
                        return str(login(client)["type"])
                except ConnectionRefusedError:
                    trio.from_thread.run(trio.sleep, 0.02)

        with trio.fail_after(30):
            assert await in_thread(talk) == "login_ok"


async def test_a_reader_that_does_not_read_is_closed_for_backpressure() -> None:
    options = GatewayOptions(rate=5000.0, backlog_soft_bytes=100_000, backlog_hard_bytes=200_000)
    async with open_gateway(options) as server:

        def stuck() -> tuple[int, str]:
            with connect(
                server.ws_url, compression=None, max_queue=1, open_timeout=20, proxy=None
            ) as client:
                login(client)
                trio.from_thread.run(closed_with_4002)
                return closing_of(client)

        async def closed_with_4002() -> None:
            seen = 0
            while True:
                for record in server.core.truth.records_after(seen):
                    seen = record["n"]
                    if record["kind"] == "closed" and record["code"] == 4002:
                        return
                await server.wait_step()

        with trio.fail_after(60):
            code, _ = await in_thread(stuck)

    assert code == 4002


async def test_small_frames_to_a_reader_that_never_reads_are_backlog_too() -> None:
    """They are joined while a send waits, so the reader is as slow as with large ones."""
    options = GatewayOptions(rate=0.0, backlog_soft_bytes=50_000, backlog_hard_bytes=200_000)
    async with open_gateway(options) as server:
        small = trio.socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with trio.SocketStream(small) as stream:
            await small.connect(("127.0.0.1", server.port))
            await stream.send_all(UPGRADE)
            frame = json.dumps(
                {"type": "login", "apiKey": DEMO_KEY, "channels": ["scores"]}
            ).encode()
            await stream.send_all(struct.pack("!BBI", 0x81, 0x80 | len(frame), 0) + frame)
            key = next(iter(server.truth_state(channels=["fixtures"])))
            period = {"period": "p1", "participant1Score": 0, "note": "x" * 4000}
            score = {"fixtureId": key.partition("/")[2], "scores": {"p1": period}}
            closed: list[int] = []
            # Far more than any kernel buffer holds.
            for _ in range(10_000):
                server.publish("scores", score)
                await trio.lowlevel.checkpoint()
                closed = closed_codes(server)
                if closed:
                    break

            assert closed == [4002]


def closed_codes(server: GatewayServer) -> list[int]:
    records = server.core.truth.records
    return [record["code"] for record in list(records)[-50:] if record["kind"] == "closed"]


async def test_serve_gateway_reports_its_server_when_it_listens() -> None:
    async with trio.open_nursery() as nursery:
        server: GatewayServer = await nursery.start(serve_gateway, QUIET)
        status, _, _ = await in_thread(get, server, "/_lastseen/health")
        nursery.cancel_scope.cancel()

    assert status == 200


async def test_the_port_is_free_again_at_once() -> None:
    async with open_gateway(QUIET) as server:
        port = server.port
    async with open_gateway(QUIET, port=port) as server:
        assert server.port == port
