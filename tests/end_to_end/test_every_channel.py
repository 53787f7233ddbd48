"""A client of all thirteen channels against the gateway: what can be restored is the truth."""

from collections import Counter
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.options import SessionOptions
from lastseen.replica import Replica
from lastseen.secret import Secret
from lastseen_simulator.channels import CHANNELS, STATEFUL_CHANNELS
from lastseen_simulator.gateway.core import DEMO_KEY, GatewayOptions
from lastseen_simulator.server import GatewayServer, open_gateway
from lastseen_simulator.verdict import compare
from lastseen_trio import Feed, open_feed

PATIENCE_S = 60.0
FAST = SessionOptions(backoff_base_s=0.05, stable_after_s=0.1, verify_after_s=0.2)
SPORTS = (10, 11, 12)
SUBSCRIPTION = Subscription(channels=tuple(CHANNELS), sport_ids=SPORTS)


@attrs.define(eq=False)
class Reader:
    """Applies all that comes, and says when something did."""

    feed: Feed
    replica: Replica = attrs.field(
        factory=lambda: Replica(OddsPapi(subscription=SUBSCRIPTION, key=Secret("")))
    )
    changed: trio.Event = attrs.field(factory=trio.Event)
    heard: Counter[str] = attrs.field(factory=Counter[str])

    async def run(self) -> None:
        async for batch in self.feed.batches():
            for event in batch:
                self.replica.apply(event)
                self.heard[getattr(event, "channel", "")] += 1
            self.changed.set()
            self.changed = trio.Event()

    async def becomes_true(self, gateway: GatewayServer) -> None:
        """Waits until all that can be claimed is claimed, and is so."""
        with trio.fail_after(PATIENCE_S):
            while True:
                changed = self.changed
                truth = gateway.truth_state(sport_ids=SPORTS)
                verdicts = compare(self.replica.state(), truth, STATEFUL_CHANNELS)
                if self.feed.status().synced and all(each.equal for each in verdicts):
                    assert all(each.units for each in verdicts)
                    return
                await changed.wait()


def publish_everywhere(gateway: GatewayServer) -> None:
    for channel in CHANNELS:
        for _ in range(3):
            gateway.publish(channel)


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"as_of": True, "future_key_parts": 5, "inactive_rows": "served"},
        {
            "currencies_shape": "rates",
            "omitted_members": "null",
            "replay_channels": tuple(CHANNELS),
        },
    ],
)
async def test_every_channel_becomes_the_truth_and_again_after_a_loss(
    knobs: dict[str, Any],
) -> None:
    options = GatewayOptions(rate=0, fixtures=3, futures=3, **knobs)
    async with (
        open_gateway(options, seed=11) as gateway,
        open_feed(SUBSCRIPTION, url=gateway.ws_url, key=DEMO_KEY, options=FAST) as feed,
        trio.open_nursery() as nursery,
    ):
        reader = Reader(feed)
        nursery.start_soon(reader.run)
        await reader.becomes_true(gateway)
        for trouble in (gateway.drop, gateway.restart, partial(gateway.restart, announce=True)):
            publish_everywhere(gateway)
            trouble()
            publish_everywhere(gateway)
            await reader.becomes_true(gateway)
        publish_everywhere(gateway)
        with trio.fail_after(PATIENCE_S):
            while set(CHANNELS) - reader.heard.keys():
                await reader.changed.wait()
        nursery.cancel_scope.cancel()
