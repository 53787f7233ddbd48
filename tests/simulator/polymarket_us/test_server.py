"""Streams on real sockets, met by clients that share no code with the gateway."""

import http.client
import json
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import trio
from body_readers import HandClient, take_apart

from lastseen_simulator.faults import CHUNK_VIOLATIONS, Fault
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.server import GatewayServer, open_gateway

in_thread = trio.to_thread.run_sync

ORDERS = "/v1/orders/subscribe"
INSTRUMENTS = "/v1/instruments/subscribe"
ACCEPTS = {"lines": "*/*", "connect": "application/connect+json", "sse": "text/event-stream"}

QUIET = PolymarketUSOptions(rate=0.0, streams=1000, messages=10_000)


@contextmanager
def opened(server: GatewayServer, path: str = ORDERS, **members: Any) -> Iterator[HandClient]:
    accept = members.pop("accept", "*/*")
    with HandClient(server.port, path, members, accept=accept) as client:
        yield client


def ended(client: HandClient) -> bytes:
    """The whole body of a stream that ends as it should."""
    return b"".join(client.chunks())


def result_of(record: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = record["result"]
    return result


# How streams are carried.


async def test_a_stream_begins_with_its_snapshot_and_every_record_is_a_chunk() -> None:
    def talk(server: GatewayServer) -> None:
        with opened(server, accountId="acct-demo") as client:
            chunks = client.chunks()
            assert (client.status, client.headers["content-type"]) == ("200", "application/json")
            assert client.headers["transfer-encoding"] == "chunked"
            first = next(chunks)
            assert "snapshot" in result_of(json.loads(first))
            names = [server.publish("orders") for _ in range(3)]
            # Not every execution is of this account.
            names = [
                each["entryId"] for each in server.core.truth.records
                if each["kind"] == "sent" and each["entryId"] in names
            ]  # fmt: skip
            for name in names:
                line = next(chunks)
                assert line.endswith(b"\n")
                (execution,) = result_of(json.loads(line))["update"]["executions"]
                assert execution["id"] == name

    async with open_gateway(QUIET) as server:
        await in_thread(talk, server)


async def test_a_token_continues_on_another_connection() -> None:
    def talk(server: GatewayServer) -> None:
        with opened(server) as client:
            token = result_of(client.records(1)[0])["resumeToken"]
        missed = [server.publish("orders") for _ in range(3)]
        with opened(server, resumeToken=token) as client:
            found = [result_of(each)["update"]["executions"][0]["id"] for each in client.records(3)]
        assert found == missed

    async with open_gateway(QUIET) as server:
        await in_thread(talk, server)


async def test_a_client_that_leaves_is_noticed_at_once() -> None:
    def talk(server: GatewayServer) -> None:
        with opened(server) as client:
            client.records(1)
            assert server.health()["connections"] == 1

    async with open_gateway(QUIET) as server:
        await in_thread(talk, server)
        while server.core.connections():
            await server.wait_step()
        assert server.core.truth.records[-1]["by"] == "client"


async def test_an_old_client_gets_a_body_that_ends_with_the_connection() -> None:
    def talk(server: GatewayServer) -> None:
        body = {"snapshotOnly": True}
        with HandClient(server.port, INSTRUMENTS, body, version="1.0") as client:
            assert "transfer-encoding" not in client.headers
            assert client.headers["connection"] == "close"
            assert len(take_apart(client.rest(), "application/json")) == 4

    async with open_gateway(QUIET) as server:
        await in_thread(talk, server)


async def test_a_reader_that_is_too_slow_is_reset_and_the_others_go_on() -> None:
    options = PolymarketUSOptions(rate=0.0, backlog_bytes=50_000, symbols=30)

    def talk(server: GatewayServer) -> None:
        with (
            opened(server, "/v1/marketdata/subscribe") as slow,
            opened(server, "/v1/marketdata/subscribe", symbols=["demo-bbb"]) as quick,
        ):
            slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            chunks = quick.chunks()
            next(chunks)
            while len(server.core.connections()) == 2:
                for _ in range(50):
                    server.publish("market_data", {"symbol": "demo-aaa"})
            server.publish("market_data", {"symbol": "demo-bbb"})
            assert b"demo-bbb" in next(chunks)
            with pytest.raises((EOFError, ConnectionResetError)):
                for _ in slow.chunks():
                    pass

    async with open_gateway(options) as server:
        await in_thread(talk, server)
        (closed,) = [each for each in server.core.truth.records if each["kind"] == "closed"][:1]
        assert (closed["by"], closed["reason"]) == ("server_abort", "RST")


async def test_a_websocket_and_wrong_requests_leave_it_alive() -> None:
    def talk(server: GatewayServer) -> None:
        upgrade = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        for method, path, headers, body, status in (
            ("GET", "/ws", upgrade, None, 404),
            ("POST", ORDERS, upgrade, "{}", 404),
            ("GET", ORDERS, {}, None, 405),
            ("POST", ORDERS, {}, "{", 400),
            ("POST", ORDERS, {"Authorization": "Bearer x"}, "{}", 401),
            ("GET", "/v1/health", {}, None, 200),
        ):
            with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as one:
                one.request(method, path, body, headers)
                assert one.getresponse().status == status, path

    async with open_gateway(QUIET) as server:
        await in_thread(talk, server)


# Every framing, in chunks of every size, by different readers; `test_readers` cuts everywhere.


def symbols_of(records: list[dict[str, Any]]) -> list[str]:
    return [result_of(each)["instruments"][0]["symbol"] for each in records]


ALL = ["demo-aaa", "demo-bbb", "demo-ccc", "demo-ddd"]


@pytest.mark.parametrize("framing", ACCEPTS)
@pytest.mark.parametrize("chunk_bytes", [1, 2, 7, 1000])
async def test_chunks_may_be_of_any_size(framing: str, chunk_bytes: int) -> None:
    def talk(server: GatewayServer) -> None:
        with opened(server, INSTRUMENTS, accept=ACCEPTS[framing], snapshotOnly=True) as client:
            chunks = list(client.chunks())
        assert max(map(len, chunks)) <= chunk_bytes
        records = take_apart(b"".join(chunks), client.headers["content-type"])
        assert symbols_of(records) == ALL

    options = PolymarketUSOptions(rate=0.0, chunk_bytes=chunk_bytes)
    async with open_gateway(options) as server:
        await in_thread(talk, server)


@pytest.mark.parametrize("framing", ACCEPTS)
async def test_the_end_of_a_record_may_come_with_the_next(framing: str) -> None:
    def talk(server: GatewayServer) -> None:
        with opened(server, INSTRUMENTS, accept=ACCEPTS[framing]) as client:
            chunks = client.chunks()
            body = b"".join(next(chunks) for _ in range(4))
            kind = client.headers["content-type"]
            assert symbols_of(take_apart(body, kind)) == ALL[:3]
            server.publish("instruments", {"symbol": "demo-aaa"})
            body += next(chunks)
            assert symbols_of(take_apart(body, kind)) == ALL
            server.restart(announce=True)
            body += b"".join(chunks)
            assert symbols_of(take_apart(body, kind)) == [*ALL, "demo-aaa"]

    options = PolymarketUSOptions(rate=0.0, held_bytes=11)
    async with open_gateway(options) as server:
        await in_thread(talk, server)


def by_http_client(server: GatewayServer, accept: str) -> tuple[str, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as client:
        body = json.dumps({"snapshotOnly": True})
        client.request("POST", INSTRUMENTS, body, {"Accept": accept})
        answer = client.getresponse()
        return answer.headers["Content-Type"], answer.read()


def by_curl(server: GatewayServer, accept: str) -> tuple[str, bytes]:
    url, body = f"{server.http_url}{INSTRUMENTS}", '{"snapshotOnly":true}'
    run = subprocess.run(
        ["curl", "-sSN", "-X", "POST", "-H", f"Accept: {accept}", url, "-d", body],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    return accept if accept in ACCEPTS.values() and accept != "*/*" else "", run.stdout


READERS: dict[str, Callable[[GatewayServer, str], tuple[str, bytes]]] = {
    "http.client": by_http_client,
    "curl": by_curl,
}


@pytest.mark.parametrize("framing", ACCEPTS)
@pytest.mark.parametrize("reader", READERS)
async def test_other_readers_get_the_same_bytes(reader: str, framing: str) -> None:
    if reader == "curl" and shutil.which(reader) is None:
        pytest.skip("no curl")

    def talk(server: GatewayServer) -> None:
        content_type, body = READERS[reader](server, ACCEPTS[framing])
        assert symbols_of(take_apart(body, content_type)) == ALL

    # A fetch that is slow to start must not meet a limit of time.
    options = PolymarketUSOptions(rate=0.0, chunk_bytes=1)
    async with open_gateway(options) as server:
        await in_thread(talk, server)


# Bodies that go wrong.


@pytest.mark.parametrize("kind", ["drop", "reset"])
async def test_a_body_is_cut_inside_a_chunk(kind: str) -> None:
    def talk(server: GatewayServer) -> None:
        with opened(server) as client:
            chunks = client.chunks()
            next(chunks)
            server.publish("orders")
            with pytest.raises((EOFError, ConnectionResetError)):
                next(chunks)

    fault = Fault(kind=kind, at="inside live 1 byte 20")
    async with open_gateway(QUIET, faults=[fault]) as server:
        await in_thread(talk, server)
        assert server.receipts()[0].fired == 1


async def test_a_body_is_cut_inside_a_record_and_ends_in_good_order() -> None:
    def talk(server: GatewayServer) -> None:
        with opened(server) as client:
            chunks = client.chunks()
            next(chunks)
            server.publish("orders")
            assert [len(each) for each in chunks] == [20]

    fault = Fault(kind="end", at="inside live 1 byte 20")
    async with open_gateway(QUIET, faults=[fault]) as server:
        await in_thread(talk, server)


async def test_garbage_comes_behind_a_body_that_has_ended() -> None:
    def talk(server: GatewayServer) -> None:
        with opened(server) as client:
            assert len(list(client.chunks())) == 1
            assert client.rest() == b"garbage"

    fault = Fault(kind="garbage", at="after snapshot", text="garbage")
    async with open_gateway(QUIET, faults=[fault]) as server:
        await in_thread(talk, server)


@pytest.mark.parametrize("violation", CHUNK_VIOLATIONS)
async def test_a_chunk_that_is_none_comes_as_it_is(violation: str) -> None:
    def talk(server: GatewayServer) -> None:
        with opened(server) as client:
            next(client.chunks())
            wanted = CHUNK_VIOLATIONS[violation]
            server.drop()
            assert client.rest() == wanted

    fault = Fault(kind="raw", at="after snapshot", violation=violation)
    async with open_gateway(QUIET, faults=[fault]) as server:
        await in_thread(talk, server)


async def test_an_error_right_after_200_has_a_head_before_it() -> None:
    def talk(server: GatewayServer) -> None:
        with opened(server) as client:
            assert client.status == "200"
            assert json.loads(ended(client))["error"]["code"] == 14

    async with open_gateway(QUIET, faults=[Fault(kind="error", at="on open")]) as server:
        await in_thread(talk, server)


async def test_a_half_open_stream_still_notices_that_its_reader_has_gone() -> None:
    def talk(server: GatewayServer) -> None:
        with opened(server) as client:
            assert client.status == "200"
            server.publish("orders")
            # An RST, as from a machine that has crashed.
            linger = struct.pack("ii", 1, 0)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    fault = Fault(kind="half_open", at="after snapshot")
    async with open_gateway(QUIET, faults=[fault]) as server:
        await in_thread(talk, server)
        while server.core.connections():
            await server.wait_step()
