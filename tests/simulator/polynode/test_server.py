"""The server around the PolyNode gateway, met by clients that share no code with it."""

import http.client
import json
import random
import socket
import zlib
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import trio
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from lastseen_simulator.faults import Fault, FaultError
from lastseen_simulator.polynode.core import PolyNodeGateway
from lastseen_simulator.polynode.options import DEMO_KEY, PolyNodeOptions
from lastseen_simulator.server import GatewayServer, open_gateway

in_thread = trio.to_thread.run_sync

QUIET = PolyNodeOptions(rate=0.0)
BUSY = PolyNodeOptions(rate=200.0, block_s=0.05, confirm_min_s=0.0, confirm_max_s=0.1)


def dial(server: GatewayServer, query: str = f"key={DEMO_KEY}") -> ClientConnection:
    url = f"{server.ws_url}?{query}"
    return connect(url, compression=None, open_timeout=20, close_timeout=5, proxy=None)


def subscribe(client: ClientConnection, **filters: Any) -> None:
    client.send(json.dumps({"action": "subscribe", "type": "settlements", "filters": filters}))


def receive(client: ClientConnection) -> dict[str, Any]:
    """One frame: text is JSON, binary is deflated without a header (§4)."""
    data = client.recv(timeout=20)
    text = data if isinstance(data, str) else zlib.decompress(data, wbits=-15).decode()
    frame: dict[str, Any] = json.loads(text)
    return frame


def receive_until(
    client: ClientConnection, accept: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    while not accept(frame := receive(client)):
        pass
    return frame


def call(server: GatewayServer, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as client:
        client.request(method, path, body=None if body is None else json.dumps(body))
        response = client.getresponse()
        return response.status, json.loads(response.read())


@pytest.mark.parametrize("query", ["", "&compress=zlib"])
async def test_a_bare_client_gets_ack_snapshot_and_live_events(query: str) -> None:
    def talk(server: GatewayServer) -> None:
        with dial(server, f"key={DEMO_KEY}{query}") as client:
            subscribe(client, snapshot_count=100)

            ack, snapshot = receive(client), receive(client)
            assert (ack["type"], ack["subscription_type"]) == ("subscribed", "settlements")
            assert snapshot["type"] == "snapshot"
            assert snapshot["count"] == len(snapshot["events"]) > 0
            settlement = receive_until(client, lambda frame: frame["type"] == "settlement")
            tx_hash = settlement["data"]["tx_hash"]
            update = receive_until(
                client,
                lambda frame: (
                    frame["type"] == "status_update" and frame["data"]["tx_hash"] == tx_hash
                ),
            )
            assert update["data"]["block_number"] > 0

    async with open_gateway(BUSY) as server:
        server.publish("settlement")
        await in_thread(talk, server)


async def test_only_live_events_are_binary_and_only_when_asked_for() -> None:
    async with open_gateway(QUIET) as server:

        def talk() -> list[bool]:
            with dial(server, f"key={DEMO_KEY}&compress=zlib") as client:
                subscribe(client)
                answers = [client.recv(timeout=20) for _ in range(2)]
                server.publish("settlement")
                client.send('{"action":"ping"}')
                answers += [client.recv(timeout=20) for _ in range(2)]
                return [isinstance(each, bytes) for each in answers]

        assert await in_thread(talk) == [False, False, True, False]


@pytest.mark.parametrize(
    ("query", "status"), [("", 401), ("key=nonsense", 401), ("key=pn_live_nobody", 403)]
)
async def test_a_bad_key_is_refused_before_the_upgrade(query: str, status: int) -> None:
    def talk(server: GatewayServer) -> tuple[int, Any]:
        with pytest.raises(InvalidStatus) as refused:
            dial(server, query)
        response = refused.value.response
        return response.status_code, json.loads(response.body or b"")

    async with open_gateway(QUIET) as server:
        got, body = await in_thread(talk, server)

    assert got == status
    assert list(body) == ["error"]


async def test_pings_are_sent_and_answered_pings_keep_a_connection() -> None:
    options = PolyNodeOptions(rate=0.0, heartbeat_s=0.05, pong_timeout_s=0.4)

    def talk(server: GatewayServer) -> list[str]:
        with dial(server) as client:
            return [receive(client)["type"] for _ in range(20)]

    async with open_gateway(options) as server:
        assert await in_thread(talk, server) == ["heartbeat"] * 20


async def test_a_client_that_never_pongs_is_closed() -> None:
    options = PolyNodeOptions(rate=0.0, heartbeat_s=0.05, pong_timeout_s=0.1, heartbeats="ping")

    def talk(port: int) -> bytes:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as raw:
            raw.sendall(
                f"GET /ws?key={DEMO_KEY} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            data = b""
            while b"no pong" not in data:
                data += raw.recv(65536)
            return data.partition(b"\r\n\r\n")[2]

    async with open_gateway(options) as server:
        frames = await in_thread(talk, server.port)

    assert frames == b"\x89\x00" + b"\x88\x09" + (1011).to_bytes(2, "big") + b"no pong"


async def test_the_control_api_moves_this_gateway_too() -> None:
    def talk(server: GatewayServer) -> None:
        health = call(server, "GET", "/_lastseen/health")[1]
        assert (health["dialect"], health["epoch"]) == ("polynode", None)
        with dial(server) as client:
            subscribe(client, snapshot_count=0)
            receive(client), receive(client)
            payload = {"tx_hash": "0x1", "taker_wallet": "0xw", "taker_token": "7"}
            body = {"channel": "settlement", "payload": {**payload, "taker_side": "BUY"}}

            status, published = call(server, "POST", "/_lastseen/publish", body)

            key = "settlement/0x1/0xw/7/BUY"
            assert (status, published) == (200, {"entryId": key, "entryIds": [key]})
            assert receive(client)["data"]["tx_hash"] == "0x1"
            (view,) = call(server, "GET", "/_lastseen/connections")[1]
            assert view["subscriptions"] == {"conn-1:0": "settlements"}
            state = call(server, "GET", "/_lastseen/truth/state?types=settlement")[1]
            assert state[key]["state"] == "pending"
            body = {"channel": "status_update", "payload": {"tx_hash": "0x1"}}
            call(server, "POST", "/_lastseen/publish", body)
            state = call(server, "GET", "/_lastseen/truth/state?types=settlement,block")[1]
            assert state[key]["state"] == "confirmed"
            assert call(server, "POST", "/_lastseen/drop", {"connection": 1})[0] == 200
            with pytest.raises(ConnectionClosed):
                receive(client), receive(client)
        fault = {"kind": "no_ack", "at": "on subscribe"}
        assert call(server, "POST", "/_lastseen/faults", fault) == (200, {"id": 1, "ids": [1]})
        assert call(server, "GET", "/_lastseen/receipts")[1][0]["fired"] == 0
        assert call(server, "POST", "/_lastseen/restart")[0] == 200

    async with open_gateway(QUIET) as server:
        await in_thread(talk, server)
        log = server.jsonl()

    kinds = {json.loads(line)["kind"] for line in log.splitlines()}
    assert {"upgrade", "subscribe", "entry", "sent", "restart"} <= kinds
    assert DEMO_KEY.encode() not in log


@pytest.mark.parametrize(
    ("method", "path", "body", "trouble"),
    [
        ("GET", "truth/state?channels=odds", None, "unknown parameter: channels"),
        ("POST", "publish", {"channel": "weather"}, "weather needs a payload"),
        ("POST", "publish", {"channel": "settlement", "payload": {"tx_hash": 1}}, "must be a text"),
        ("POST", "reconnect", {}, "polynode knows no reconnect notice"),
        ("POST", "faults", {"kind": "stale", "at": "on request /ws"}, "no fault of polynode"),
        ("POST", "drop", {"connection": 9}, "no open connection 9"),
    ],
)
async def test_a_wrong_order_is_one_line(method: str, path: str, body: Any, trouble: str) -> None:
    async with open_gateway(QUIET) as server:
        status, answer = await in_thread(call, server, method, f"/_lastseen/{path}", body)

    assert status == 400
    assert trouble in answer["message"]


async def test_there_is_no_rest_here() -> None:
    async with open_gateway(QUIET) as server:
        answer = await in_thread(call, server, "GET", "/en/fixtures?apiKey=x")

    assert answer == (404, {"error": "not found"})


async def test_a_gateway_made_elsewhere_is_served() -> None:

    core = PolyNodeGateway(QUIET, rng=random.Random(5), wall_ms_at_zero=0)
    async with open_gateway(core) as server:
        assert server.core is core
        assert server.truth_state() == {}


async def test_a_fault_of_another_dialect_keeps_the_gateway_from_starting() -> None:
    with pytest.raises(FaultError, match="bomb is no fault of oddspapi"):
        async with open_gateway(faults=[Fault(kind="bomb", at="after data 1")]):
            pass
