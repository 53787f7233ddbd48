"""A PolyNode gateway in a thread, under the orders of a test in any style."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import ClientConnection, connect

from lastseen.dialects.polynode import Subscription
from lastseen_simulator.faults import FaultError
from lastseen_simulator.running import RunningGateway, start_gateway
from lastseen_trio import open_feed

SUBSCRIBE = json.dumps({"action": "subscribe", "type": "settlements"})


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with start_gateway(dialect="polynode") as running:
        yield running


@contextmanager
def join(gateway: RunningGateway) -> Iterator[ClientConnection]:
    with connect(f"{gateway.ws_url}?key={gateway.key}", proxy=None) as socket:
        socket.send(SUBSCRIBE)
        yield socket


def read(socket: ClientConnection, kind: str) -> dict[str, object]:
    while True:
        frame: dict[str, object] = json.loads(socket.recv())
        if frame["type"] == kind:
            return frame


def test_what_is_published_is_streamed_and_is_an_item_of_the_truth(gateway: RunningGateway) -> None:
    with join(gateway) as socket:
        gateway.wait_for_login()
        (name,) = gateway.publish("settlement", {"tx_hash": "0xaa", "taker_wallet": "0xb"})
        settlement = read(socket, "settlement")
        gateway.publish("status_update", {"tx_hash": "0xaa"})
        read(socket, "status_update")

    (key,) = gateway.state(types=["settlement"])
    assert (key, settlement["data"]["tx_hash"]) == (name, "0xaa")  # type: ignore[index]
    assert gateway.compare({key: {"state": "confirmed"}}, channels=["settlement"])
    wrong = gateway.compare({key: {"state": "timed_out"}}, channels=["settlement"])
    assert wrong.difference == f"{key} is timed_out, should be confirmed"
    assert gateway.compare({}, channels=["settlement"]).difference == f"{key} is missing"


def test_it_is_usable_from_inside_asyncio(gateway: RunningGateway) -> None:
    async def main() -> None:
        url = f"{gateway.ws_url}?key={gateway.key}"
        async with connect_async(url, proxy=None) as socket:
            await socket.send(SUBSCRIBE)
            await gateway.wait_for_login_async()
            ids = gateway.publish("settlement", count=2)
            await gateway.wait_for_sent_async("settlement", ids)

    asyncio.run(main())


def test_it_is_usable_from_inside_trio(gateway: RunningGateway) -> None:
    async def main() -> None:
        fault = gateway.place("drop", at="after live 1")
        url, key = gateway.ws_url, gateway.key
        async with open_feed(Subscription(), url=url, key=key):
            await gateway.wait_for_login_async()
            gateway.publish("settlement")
            assert (await fault.wait_async()).fired == 1

    trio.run(main)


def test_the_market_rests_unless_a_rate_is_given() -> None:
    with start_gateway(dialect="polynode", rate=200) as gateway:
        gateway.wait_for("entry", count=3)


def test_what_this_feed_does_not_have_is_refused_in_words(gateway: RunningGateway) -> None:
    with pytest.raises(ValueError, match=r"^polynode has no epochs$"):
        _ = gateway.epoch
    with pytest.raises(ValueError, match="no reconnect notice"):
        gateway.reconnect()
    with pytest.raises(ValueError, match=r"no such channel with a state: scores \(channels: settl"):
        gateway.compare({}, channels=["scores"])
    with pytest.raises(FaultError, match="backpressure is no fault of polynode"):
        gateway.place("backpressure", at="after live 1")
    assert gateway.dialect == gateway.env()["LASTSEEN_DIALECT"] == "polynode"
    assert gateway.describe().startswith("lastseen gateway: polynode, seed 0 rate=0.0")
