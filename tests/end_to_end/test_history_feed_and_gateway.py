"""The adapter against the PolyNode gateway over loopback: what is told of items is the truth."""

import pytest
import trio

from lastseen.dialects.polynode import PLANS, Preset, Subscription
from lastseen.events import Gap, ItemChanged
from lastseen.lifecycle import ItemState
from lastseen.options import HistoryOptions
from lastseen_simulator.polynode.options import DEMO_KEY, PolyNodeOptions
from lastseen_simulator.server import GatewayServer, open_gateway
from lastseen_trio import HistoryFeed, open_feed

PATIENCE_S = 60.0
FAST = HistoryOptions(backoff_base_s=0.05, stable_after_s=0.1)
WORDS = {
    ItemState.PENDING: "pending", ItemState.TIMED_OUT: "pending", ItemState.CONFIRMED: "confirmed",
}  # fmt: skip
"""What the truth calls an item's state: it knows no timeout."""

BUSY = PolyNodeOptions(
    rate=60.0, block_s=0.05, confirm_min_s=0.0, confirm_max_s=0.1, plan="enterprise"
)
"""Histories that reach back further than a busy machine takes to connect again."""


async def follow(
    feed: HistoryFeed, gateway: GatewayServer, outcomes: dict[str, str], wanted: int
) -> list[Gap]:
    """Hears of `wanted` more confirmations, stops the market, and goes on until all is true."""
    gaps: list[Gap] = []
    target = feed.status().items.confirmed + wanted
    with trio.fail_after(PATIENCE_S):
        async for event in feed:
            if isinstance(event, ItemChanged):
                outcomes["/".join(("settlement", *event.key))] = WORDS[event.state]
            elif isinstance(event, Gap):
                gaps.append(event)
            if feed.status().items.confirmed < target:
                continue
            gateway.pause()
            state = gateway.truth_state(types=("settlement",))
            if outcomes == {key: state[key]["state"] for key in outcomes}:
                return gaps
    raise AssertionError("the feed ended")


@pytest.mark.parametrize("compress", [False, True])
async def test_every_item_ends_as_it_truly_did_also_after_losses(compress: bool) -> None:
    outcomes: dict[str, str] = {}
    asked = [Subscription(), Subscription(preset=Preset.TRADES)]
    async with (
        open_gateway(BUSY, seed=11) as gateway,
        open_feed(
            asked,
            url=gateway.ws_url,
            key=DEMO_KEY,
            compress=compress,
            plan=PLANS["enterprise"],
            options=FAST,
        ) as feed,
    ):
        gaps = await follow(feed, gateway, outcomes, 50)
        for reset in (False, True):
            gateway.drop(reset=reset)
            gateway.resume()
            gaps += await follow(feed, gateway, outcomes, 50)

        assert len(outcomes) >= 150
        assert all(row.conserved for row in feed.counters().values())
        assert feed.counters()["?"].received == 0
        assert feed.status().gaps == len(gaps)
