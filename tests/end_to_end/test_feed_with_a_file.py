"""A feed with a file: stopped and started again, it goes on from where it was."""

import json
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import trio

from lastseen.dialects.oddspapi import Subscription
from lastseen.events import LoggedIn
from lastseen.options import SessionOptions
from lastseen_simulator.gateway.core import DEMO_KEY, GatewayOptions
from lastseen_simulator.server import GatewayServer, open_gateway
from lastseen_trio import Feed, Restored, SQLiteStore, open_feed

PATIENCE_S = 60.0
ENTRIES = 100
FAST = SessionOptions(backoff_base_s=0.05, stable_after_s=0.1, verify_after_s=0.2)
CHANNELS = Subscription(channels=("fixtures", "scores", "odds"))


def truth(gateway: GatewayServer) -> dict[str, Any]:
    state = gateway.truth_state(channels=CHANNELS.channels)
    exact: dict[str, Any] = json.loads(json.dumps(state), parse_float=Decimal)
    return exact


async def follow(feed: Feed, store: SQLiteStore, gateway: GatewayServer) -> list[LoggedIn]:
    """Takes events until the market, then stopped, is what the replica holds."""
    logins: list[LoggedIn] = []

    async def take() -> None:
        async for event in feed:
            if isinstance(event, LoggedIn):
                logins.append(event)

    # Asked from beside: the last event counts once the next is asked for, which may never come.
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            while sum(row.applied for row in feed.counters().values()) < ENTRIES:
                await trio.sleep(0.01)
            gateway.pause()
            while not feed.status().synced or store.replica.state() != truth(gateway):
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    return logins


async def test_a_feed_goes_on_from_its_file_and_becomes_the_truth_again(tmp_path: Path) -> None:
    path = tmp_path / "feed.db"
    replayable = GatewayOptions(rate=300, fixtures=3, replay_channels=CHANNELS.channels)
    store = SQLiteStore(path)
    async with open_gateway(replayable, seed=1) as gateway:
        start = partial(
            open_feed, CHANNELS, url=gateway.ws_url, key=DEMO_KEY, options=FAST, store=store
        )
        async with start() as feed:
            assert feed.restored == Restored()
            (login,) = await follow(feed, store, gateway)
            assert login.resumed == ()
        state = store.replica.state()
        gateway.resume()
        async with start() as feed:
            assert store.replica.state() == state
            (login,) = await follow(feed, store, gateway)
            assert set(login.resumed) == set(CHANNELS.channels)
            assert feed.status().durable.epoch is not None

    assert DEMO_KEY.encode() not in path.read_bytes()
