"""A stream over real sockets: what leaves, what is believed, and how it ends."""

import json
import random
from typing import Any

import pytest
import trio
from tiny_stream_server import Exchange, TinyStreamServer
from toy_stream import Toy, heartbeat, snapshot, update

from lastseen import Replica
from lastseen.options import StreamOptions
from lastseen.stream_dialect import Base
from lastseen_trio import open_feed

PATIENCE_S = 60.0
OPTIONS = StreamOptions(
    backoff_base_s=0.01, backoff_cap_s=0.05, limit_backoff_s=0.01, handover_jitter_s=0.01
)


async def test_orders_snapshot_then_delta(listen: Any) -> None:
    async def handle(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(snapshot({"o-1": 0}), update(("x-1", "o-1", 4)))
        await trio.sleep_forever()

    server = TinyStreamServer(handle)
    url = f"http://127.0.0.1:{await listen(server)}/v1"
    replica = Replica(Toy())
    with trio.fail_after(PATIENCE_S):
        async with open_feed(Toy(), url=url, key="sesame", options=OPTIONS) as feed:
            async for event in feed:
                replica.apply(event)
                if replica.state() == {"o-1": 4}:
                    break
            assert feed.status().synced
    (exchange,) = server.exchanges
    assert exchange.request.target == b"/v1/orders"
    assert exchange.headers["authorization"] == "Bearer sesame"
    assert json.loads(exchange.body) == {}
