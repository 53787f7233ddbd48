"""Polymarket US over real sockets: its own records, framings and refusals, through one feed."""

import json
from typing import Any

import pytest
import trio
from tiny_stream_server import Exchange, TinyStreamServer

from lastseen import Disconnected, Replica, StateSnapshot, StreamOptions
from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen.stream_messages import StreamEntry
from lastseen_trio import open_feed

PATIENCE_S = 60.0
OPTIONS = StreamOptions(
    backoff_base_s=0.01, backoff_cap_s=0.05, limit_backoff_s=0.01, handover_jitter_s=0.01
)
ORDERS = Subscription(stream=Stream.ORDERS, account="acct-demo")

SNAPSHOT = {
    "sessionId": "s-1",
    "snapshot": {
        "orders": [
            {"id": "o-1", "symbol": "demo-aaa", "state": "ORDER_STATE_NEW", "orderQty": "10",
             "price": "525", "cumQty": "0", "leavesQty": "10", "account": "acct-demo"}
        ]
    },
}  # fmt: skip
FILL = {
    "sessionId": "s-1",
    "update": {
        "executions": [
            {"id": "x-1", "type": "EXECUTION_TYPE_PARTIAL_FILL", "lastShares": "4",
             "lastPx": "525", "tradeId": "t-1",
             "order": {"id": "o-1", "symbol": "demo-aaa", "state": "ORDER_STATE_PARTIALLY_FILLED",
                       "cumQty": "4", "leavesQty": "6"}}
        ]
    },
}  # fmt: skip
HEARTBEAT = {"sessionId": "s-1", "heartbeat": {}}


def lines(*results: Any) -> bytes:
    return b"".join(json.dumps({"result": result}).encode() + b"\n" for result in results)


def envelopes(*results: Any) -> bytes:
    bodies = [json.dumps({"result": result}).encode() for result in results]
    return b"".join(b"\x00" + len(body).to_bytes(4, "big") + body for body in bodies)


def events(*results: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(result).encode() + b"\n\n" for result in results)


@pytest.mark.parametrize(
    ("content_type", "frame"),
    [
        ("application/json", lines),
        ("application/connect+json", envelopes),
        ("text/event-stream", events),
        ("text/plain", envelopes),
    ],
)
async def test_orders_in_every_framing(listen: Any, content_type: str, frame: Any) -> None:
    async def handle(exchange: Exchange) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: "
        await exchange.stream.send_all(head + content_type.encode() + b"\r\n\r\n")
        for byte in frame(HEARTBEAT, SNAPSHOT, FILL, FILL):
            await exchange.stream.send_all(b"1\r\n" + bytes([byte]) + b"\r\n")
        await trio.sleep_forever()

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    replica = Replica(PolymarketUS(subscription=ORDERS), keep_omitted=True)
    with trio.fail_after(PATIENCE_S):
        async with open_feed(ORDERS, url=url, key="k", options=OPTIONS) as feed:
            async for event in feed:
                replica.apply(event)
                if isinstance(event, StreamEntry):
                    break
            assert feed.status().synced
    (order,) = replica.state().values()
    assert (order["cumQty"], order["state"], str(order["price"])) == (
        4, "PARTIALLY_FILLED", "525",
    )  # fmt: skip
    (exchange,) = server.exchanges
    assert exchange.request.target == b"/v1/orders/subscribe"
    assert json.loads(exchange.body) == {"accountId": "acct-demo"}
    assert exchange.headers["x-participant-id"] == "acct-demo"


async def test_an_error_inside_a_good_answer_is_a_failed_open(listen: Any) -> None:
    async def handle(exchange: Exchange) -> None:
        await exchange.begin()
        if len(server.exchanges) < 3:
            await exchange.send(b'{"error":{"code":8,"message":"too many streams","details":[]}}\n')
            await exchange.end()
        else:
            await exchange.send(lines(SNAPSHOT))
            await trio.sleep_forever()

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}"
    ends = []
    with trio.fail_after(PATIENCE_S):
        async with open_feed(ORDERS, url=url, key="k", options=OPTIONS) as feed:
            async for event in feed:
                if isinstance(event, Disconnected):
                    ends.append(event)
                if isinstance(event, StateSnapshot):
                    break
    assert [end.failure.value for end in ends] == ["limit", "limit"]
    # The whole account was quiet for a second each time.
    first, second, third = (exchange.at for exchange in server.exchanges)
    assert second - first >= 1.0
    assert third - second >= 1.0
