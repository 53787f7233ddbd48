"""A Polymarket US gateway in a thread, under the orders of a test in any style."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import httpx
import pytest
import trio

from lastseen import Entry, Gap, Replica, ScopeState, StatusChanged
from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen_simulator.faults import FaultError
from lastseen_simulator.running import RunningGateway, start_gateway
from lastseen_trio import open_feed

ORDERS = "/v1/orders/subscribe"


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with start_gateway(dialect="polymarket-us") as running:
        yield running


def test_what_is_published_is_streamed_and_is_a_unit_of_the_truth(gateway: RunningGateway) -> None:
    with closing(HTTPConnection("127.0.0.1", gateway.port, timeout=30)) as client:
        client.request("POST", ORDERS, "{}", {"Authorization": f"Bearer {gateway.key}"})
        answer = client.getresponse()
        snapshot = json.loads(answer.readline())["result"]["snapshot"]["orders"]
        gateway.wait_for_login()
        (name,) = gateway.publish("orders")
        (execution,) = json.loads(answer.readline())["result"]["update"]["executions"]

    assert execution["id"] == name
    orders = {f"orders/{order['id']}": order for order in [*snapshot, execution["order"]]}
    assert gateway.compare(orders, channels=["orders"])
    key = f"orders/{execution['order']['id']}"
    assert gateway.compare({**orders, key: {}}, channels=["orders"]).difference
    wrong = gateway.compare({"orders/no-such": {}, **orders}, channels=["orders"])
    assert wrong.difference == "orders/no-such should not be there"


def test_it_is_usable_from_inside_asyncio(gateway: RunningGateway) -> None:
    async def main() -> None:
        headers = {"Authorization": f"Bearer {gateway.key}"}
        async with (
            httpx.AsyncClient(
                base_url=gateway.http_url, headers=headers, trust_env=False
            ) as client,
            client.stream("POST", ORDERS, json={}) as answer,
        ):
            lines = answer.aiter_lines()
            assert "snapshot" in json.loads(await anext(lines))["result"]
            await gateway.wait_for_login_async()
            ids = gateway.publish("orders", count=2)
            await gateway.wait_for_sent_async("orders", ids)
            assert "update" in json.loads(await anext(lines))["result"]

    asyncio.run(main())


def test_it_is_usable_from_inside_trio(gateway: RunningGateway) -> None:
    subscription = Subscription(stream=Stream.ORDERS)
    replica = Replica(PolymarketUS(subscription=subscription), keep_omitted=True)

    async def main() -> None:
        fault = gateway.place("refuse_token", at=f"on request {ORDERS}")
        missed = False
        async with open_feed(subscription, url=gateway.http_url, key=gateway.key) as feed:
            async for event in feed:
                replica.apply(event)
                missed = missed or isinstance(event, Gap)
                if isinstance(event, StatusChanged) and event.state is ScopeState.SYNCED:
                    if fault.fired:
                        break
                    gateway.publish("orders")
                elif isinstance(event, Entry):
                    gateway.drop()
                    gateway.publish("orders")
        assert missed

    trio.run(main)
    state = replica.state()
    assert gateway.compare(state, channels=["orders"])


def test_the_market_rests_unless_a_rate_is_given() -> None:
    with start_gateway(dialect="polymarket-us", rate=200) as gateway:
        gateway.wait_for("entry", count=3)


def test_what_this_feed_does_not_have_is_refused_in_words(gateway: RunningGateway) -> None:
    with pytest.raises(ValueError, match=r"^polymarket-us has no epochs$"):
        _ = gateway.epoch
    with pytest.raises(ValueError, match="no such channel with a state: scores"):
        gateway.compare({}, channels=["scores"])
    with pytest.raises(FaultError, match="backpressure is no fault of polymarket-us"):
        gateway.place("backpressure", at="after live 1")
    assert gateway.dialect == gateway.env()["LASTSEEN_DIALECT"] == "polymarket-us"
    assert gateway.describe().startswith("lastseen gateway: polymarket-us, seed 0 rate=0.0")
