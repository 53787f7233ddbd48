"""The adapter against the gateway over loopback: what the replica holds is the truth."""

import json
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import trio

from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.options import SessionOptions
from lastseen.replica import Replica
from lastseen.secret import Secret
from lastseen_simulator.gateway.core import DEMO_KEY, GatewayOptions
from lastseen_simulator.server import GatewayServer, open_gateway
from lastseen_trio import Feed, open_feed

PATIENCE_S = 150.0
"""More than two of the minutes by which requests are rationed: on a slow machine one may be used up
(OP-A28)."""
FAST = SessionOptions(backoff_base_s=0.05, stable_after_s=0.1, verify_after_s=0.2)


def truth(gateway: GatewayServer, subscription: Subscription) -> dict[str, Any]:
    state = gateway.truth_state(
        channels=subscription.channels, sport_ids=subscription.sport_ids or None
    )
    exact: dict[str, Any] = json.loads(json.dumps(state), parse_float=Decimal)
    return exact


async def follow(feed: Feed, gateway: GatewayServer, replica: Replica, wanted: int) -> None:
    """Applies `wanted` more entries, stops the market, and goes on until the replica is true."""
    subscription = replica.dialect.subscription  # type: ignore[attr-defined] # an OddsPapi
    before = sum(row.applied for row in feed.counters().values())
    with trio.fail_after(PATIENCE_S):
        async for event in feed:
            replica.apply(event)
            if sum(row.applied for row in feed.counters().values()) < before + wanted:
                continue
            gateway.pause()
            if feed.status().synced and replica.state() == truth(gateway, subscription):
                return
    raise AssertionError("the feed ended")


@pytest.mark.parametrize("receive_type", ["json", "binary"])
async def test_a_replica_becomes_the_truth(receive_type: str) -> None:
    subscription = Subscription(receive_type=receive_type)
    replica = Replica(OddsPapi(subscription=subscription, key=Secret("")))
    async with (
        open_gateway(GatewayOptions(rate=500, fixtures=3), seed=7) as gateway,
        open_feed(subscription, url=gateway.ws_url, key=DEMO_KEY, options=FAST) as feed,
    ):
        await follow(feed, gateway, replica, 200)

    assert len(replica.state()) > 0


async def test_a_replica_becomes_the_truth_again_after_every_kind_of_loss() -> None:
    subscription = Subscription()
    replica = Replica(OddsPapi(subscription=subscription, key=Secret("")))
    async with (
        open_gateway(GatewayOptions(rate=500, fixtures=3), seed=8) as gateway,
        open_feed(subscription, url=gateway.ws_url, key=DEMO_KEY, options=FAST) as feed,
    ):
        await follow(feed, gateway, replica, 50)
        for trouble in (
            gateway.drop,
            partial(gateway.drop, reset=True),
            gateway.notice_reconnect,
            gateway.restart,
            partial(gateway.restart, announce=True),
        ):
            trouble()
            gateway.resume()
            await follow(feed, gateway, replica, 50)

        assert feed.status().stopped is None
        assert all(row.conserved for row in feed.counters().values())
