"""The driver with PolyNode: the key in the address, slow and blocking handlers, both encodings."""

import json
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from poly_stage import EPOCH_MS, block, settlement, update
from wsproto.events import BytesMessage, Ping, Pong

from lastseen.dialects import oddspapi
from lastseen.dialects.polynode import PLANS, Preset, Subscription
from lastseen.dialects.polynode.inflate import deflate
from lastseen.errors import ConfigurationError, LocalProtocolError
from lastseen.events import (
    Anomaly,
    AnomalyCode,
    Disconnected,
    Entry,
    Event,
    Failure,
    Gap,
    GapReason,
    HistoryApplied,
    ItemChanged,
    LoggedIn,
    Stopped,
    Subscribed,
)
from lastseen.lifecycle import ItemState
from lastseen.options import HistoryOptions, SessionOptions
from lastseen.position import Position
from lastseen.secret import Secret
from lastseen.status import SubscriptionState
from lastseen_trio import HistoryFeed, MemoryStore, SQLiteStore, open_feed

KEY = "pn_live_0123456789abcdef"
URL = "ws://feed.test:8080/ws"
ONE = Subscription()
BLOCKS = Subscription(preset=Preset.BLOCKS)
PATIENCE_S = 30.0


def feed_of(*asked: Subscription, **options: Any) -> AbstractAsyncContextManager[HistoryFeed]:
    given = {"url": URL, "key": KEY, "rng": random.Random(1), **options}
    return open_feed(asked or (ONE,), **given)


async def next_of(feed: HistoryFeed, kind: type[Any]) -> Any:
    async for event in feed:
        if isinstance(event, kind):
            return event
    raise AssertionError(f"ended without {kind.__name__}")


async def grant(peer: Any, *history: dict[str, Any], name: str = "c:1") -> dict[str, Any]:
    """Takes one subscribe and answers it."""
    asked: dict[str, Any] = await peer.receive()
    assert asked["action"] == "subscribe"
    await peer.say(type="subscribed", subscription_id=name, subscription_type=asked["type"])
    await peer.say(type="snapshot", count=len(history), events=list(history))
    return asked


@asynccontextmanager
async def live(exchange: Any, **options: Any) -> AsyncIterator[tuple[HistoryFeed, Any]]:
    async with feed_of(**options) as feed:
        peer = await exchange.peer()
        await grant(peer)
        await next_of(feed, HistoryApplied)
        yield feed, peer


async def test_a_feed_subscribes_and_delivers_plain_and_deflated_events(
    autojump_clock: Any, exchange: Any
) -> None:
    async with feed_of(compress=True) as feed:
        peer = await exchange.peer()
        asked = await grant(peer, block("b"))
        await peer.text(json.dumps(settlement("0x1")))
        deflated = deflate(json.dumps(update("0x1")).encode())
        await peer.send(BytesMessage(data=deflated))
        events = [await anext(feed) for _ in range(8)]

    assert peer.target == f"/ws?key={KEY}&compress=zlib"
    assert asked == {"action": "subscribe", "type": "settlements"}
    assert [type(event) for event in events if not isinstance(event, Entry)] == [
        LoggedIn, Subscribed, HistoryApplied, ItemChanged, ItemChanged,
    ]  # fmt: skip
    assert [e.channel for e in events if isinstance(e, Entry)] == [
        "block", "settlement", "status_update",
    ]  # fmt: skip


async def test_the_query_of_the_address_is_kept_and_the_key_is_percent_encoded(
    autojump_clock: Any, exchange: Any
) -> None:
    async with feed_of(url=URL + "?region=eu", key="a&b=c"):
        peer = await exchange.peer()

    assert peer.target == "/ws?region=eu&key=a%26b%3Dc"


async def test_one_subscription_or_several_may_be_given(autojump_clock: Any, exchange: Any) -> None:
    async with open_feed(BLOCKS, url=URL, key=KEY) as feed:
        await grant(await exchange.peer())
        assert [s.subscription for s in feed.status().subscriptions] == [BLOCKS]
    async with open_feed([ONE, BLOCKS], url=URL, key=Secret(KEY), plan=PLANS["growth"]) as feed:
        peer = await exchange.peer()
        assert (await grant(peer))["type"] == "settlements"
        assert (await grant(peer, name="c:2"))["type"] == "blocks"


async def test_subscriptions_come_and_go_while_the_feed_runs(
    autojump_clock: Any, exchange: Any
) -> None:
    async with live(exchange) as (feed, peer):
        feed.subscribe(BLOCKS)
        assert (await grant(peer, name="c:2"))["type"] == "blocks"
        assert (await next_of(feed, Subscribed)).subscription == BLOCKS
        feed.unsubscribe(ONE)
        assert await peer.receive() == {"action": "unsubscribe", "subscription_id": "c:1"}
        feed.resync()
        with pytest.raises(LocalProtocolError):
            feed.unsubscribe(ONE)

        assert [s.subscription for s in feed.status().subscriptions] == [BLOCKS]


async def test_a_lost_connection_asks_for_what_it_missed(
    autojump_clock: Any, exchange: Any
) -> None:
    async with live(exchange, options=HistoryOptions(overlap_ms=1000)) as (feed, peer):
        await peer.text(json.dumps(settlement("0x1", at=5)))
        await next_of(feed, ItemChanged)
        await peer.stream.aclose()
        assert (await next_of(feed, Disconnected)).code == 1006
        peer = await exchange.peer()
        asked = await grant(peer, settlement("0x1", at=5), update("0x1", at=7))
        confirmed = await next_of(feed, ItemChanged)

        assert asked["filters"] == {"since": EPOCH_MS + 4000}
        assert confirmed.state is ItemState.CONFIRMED
        assert feed.item(confirmed.key) is ItemState.CONFIRMED
        assert feed.status().subscription(ONE).state is SubscriptionState.LIVE


async def test_an_item_times_out_on_the_drivers_own_timer(
    autojump_clock: Any, exchange: Any
) -> None:
    async with live(exchange) as (feed, peer):
        await peer.text(json.dumps(settlement("0x1")))
        await next_of(feed, ItemChanged)
        started = trio.current_time()
        late = await next_of(feed, ItemChanged)
        waited = trio.current_time() - started

    assert late.state is ItemState.TIMED_OUT
    assert waited == pytest.approx(15.0)


async def test_a_rejected_event_is_counted_and_the_feed_goes_on(
    autojump_clock: Any, exchange: Any
) -> None:
    async with live(exchange) as (feed, peer):
        await peer.text(json.dumps(block("b")))
        await peer.text(json.dumps(block("c")))
        entry = await next_of(feed, Entry)
        assert feed.position == Position()
        feed.reject(entry)
        assert isinstance(await anext(feed), Anomaly)
        await next_of(feed, Entry)
        feed.acknowledge()

        row = feed.counters()["block"]
        assert (row.quarantined, row.applied) == (1, 1)
        assert feed.anomalies()[AnomalyCode.ENTRY_REJECTED, "block"] == 1


async def test_events_come_in_batches_too(autojump_clock: Any, exchange: Any) -> None:
    async with live(exchange) as (feed, peer):
        for n in range(10):
            await peer.text(json.dumps(block(f"b{n}")))
        await trio.testing.wait_all_tasks_blocked()
        async for events in feed.batches(100):
            assert len(events) == 10
            break


async def test_an_application_that_takes_nothing_still_pongs_and_pings(
    autojump_clock: Any, exchange: Any
) -> None:
    """HZ-I1: what the application does, or does not do, is none of the reader's business."""
    async with live(exchange, options=HistoryOptions(delivery_items_max=50)) as (feed, peer):
        for n in range(60):
            await peer.text(json.dumps(block(f"b{n}", at=n)))
        await peer.send(Ping(payload=b"there?"))
        assert bytes((await peer.next_of(Pong)).payload) == b"there?"
        gap = await next_of(feed, Gap)

    assert gap.reason is GapReason.OVERFLOW


async def test_the_iteration_ends_with_the_session(autojump_clock: Any, exchange: Any) -> None:
    async with feed_of() as feed:
        peer = await exchange.peer()
        await peer.receive()
        await peer.say(type="error", code="unresolved_slugs", message="nothing of that name")
        rest: list[Event] = [event async for event in feed]

    assert [e.failure for e in rest if isinstance(e, Stopped)] == [Failure.FATAL]


async def test_leaving_closes_the_socket_in_order(
    autojump_clock: Any, exchange: Any, nursery: trio.Nursery
) -> None:
    codes: list[int] = []

    async def watch(peer: Any) -> None:
        codes.append((await peer.last_words()).code)

    async with live(exchange) as (_, peer):
        nursery.start_soon(watch, peer)

    assert codes == [1001]


async def test_jumps_of_a_test_clock_are_no_standstill(autojump_clock: Any, exchange: Any) -> None:
    async with live(exchange) as (feed, _):
        await trio.sleep(25)
        await trio.sleep(25)

        assert (AnomalyCode.EVENT_LOOP_BLOCKED, None) not in feed.anomalies()


async def test_the_key_is_on_the_wire_and_nowhere_else(
    autojump_clock: Any, exchange: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """HZ-K3, HZ-K4, HZ-K5."""
    caplog.set_level(logging.DEBUG)
    seen: list[Event] = []
    async with feed_of(key=Secret(KEY)) as feed:
        peer = await exchange.peer()
        await grant(peer)
        await peer.say(type="error", code="odd", message=f"your key {KEY}")
        seen.append(await next_of(feed, Anomaly))
        await peer.close(1011, "bye")
        seen.append(await next_of(feed, Disconnected))
        shown = repr(feed) + repr(feed.status()) + repr(seen) + repr(feed.anomalies())

    assert KEY in peer.target
    assert exchange.dialled == ["ws://feed.test:8080/ws"]
    assert caplog.records
    assert KEY not in caplog.text + shown


# What cannot work.


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"options": SessionOptions()}, "HistoryOptions"),
        ({"rest_url": "http://feed.test/"}, "no REST"),
        ({"position": Position()}, "no positions"),
        ({"bases": ()}, "no positions"),
        ({"url": "http://feed.test/ws"}, "not a ws://"),
        ({"key": "with space"}, "key"),
    ],
)
async def test_options_of_the_other_wire_are_refused_in_one_line(
    given: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        await feed_of(**given).__aenter__()

    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)


async def test_a_durable_store_is_refused_and_makes_no_file(tmp_path: Path) -> None:
    store: Any = SQLiteStore(tmp_path / "state.db")
    with pytest.raises(ConfigurationError, match="no position"):
        await feed_of(store=store).__aenter__()

    assert list(tmp_path.iterdir()) == []


async def test_options_of_this_wire_are_refused_by_the_other() -> None:
    asked = oddspapi.Subscription(channels=("scores",), sport_ids=(10,))
    options: Any = HistoryOptions()
    with pytest.raises(ConfigurationError, match="SessionOptions"):
        await open_feed(asked, url=URL, key="k", options=options).__aenter__()


async def test_the_store_of_memory_may_be_given(autojump_clock: Any, exchange: Any) -> None:
    async with live(exchange, store=MemoryStore()) as (feed, _):
        assert feed.status().connected


async def test_no_subscription_at_all_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="subscriptions"):
        await open_feed((), url=URL, key=KEY).__aenter__()


# On real sockets, by the real clock.


def refusing(head: bytes, body: bytes) -> Any:
    async def handler(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        length = f"Content-Length: {len(body)}\r\n\r\n".encode()
        await stream.send_all(b"HTTP/1.1 " + head + b"\r\n" + length + body)

    return handler


async def refused(listen: Any, head: bytes, words: str) -> tuple[HistoryFeed, Any]:
    body = json.dumps({"error": words}).encode()
    port = await listen(refusing(head, body))
    with trio.fail_after(PATIENCE_S):
        async with feed_of(url=f"ws://127.0.0.1:{port}/ws") as feed:
            return feed, await next_of(feed, Disconnected)
    raise AssertionError


async def test_the_moment_that_a_limit_names_in_its_prose_is_waited_for(listen: Any) -> None:
    """HZ-H9: seconds of the wall clock, somewhere in a sentence."""
    moment = int(time.time()) + 600
    _, lost = await refused(listen, b"429 Too Many Requests", f"come back at {moment}, please")

    assert lost.failure is Failure.LIMIT
    assert 10.0 < lost.retry_in_s <= 600.0


async def test_a_bad_key_stops_the_feed(listen: Any) -> None:
    feed, lost = await refused(listen, b"401 Unauthorized", f"unknown key {KEY}")

    assert lost.failure is Failure.FATAL
    assert feed.status().stopped is not None
    assert KEY not in repr(lost)


@asynccontextmanager
async def conversing(
    make_peer: Any, listen: Any, script: Any, **options: Any
) -> AsyncIterator[HistoryFeed]:
    """A feed whose peer on a real socket grants what is asked and then follows a script."""

    async def handler(stream: trio.abc.Stream) -> None:
        peer = make_peer(stream)
        await peer.accept()
        await grant(peer)
        await script(peer)
        await peer.last_words()

    port = await listen(handler)
    with trio.fail_after(PATIENCE_S):
        async with feed_of(url=f"ws://127.0.0.1:{port}/ws", **options) as feed:
            yield feed


async def test_slow_awaiting_work_in_the_application_never_delays_a_pong(
    make_peer: Any, listen: Any
) -> None:
    """HZ-I1: the handler is not done before the pong has come back."""
    ponged = trio.Event()
    payloads: list[bytes] = []

    async def script(peer: Any) -> None:
        await peer.text(json.dumps(block("b")))
        for n in range(3):
            await peer.send(Ping(payload=b"%d" % n))
            payloads.append(bytes((await peer.next_of(Pong)).payload))
        ponged.set()

    async with conversing(make_peer, listen, script) as feed:
        async for event in feed:
            if isinstance(event, Entry):
                await ponged.wait()
                break

    assert payloads == [b"0", b"1", b"2"]


async def test_a_handler_that_blocks_the_event_loop_is_noticed_and_reported_with_how_long(
    make_peer: Any, listen: Any
) -> None:
    """HZ-I1."""

    async def script(peer: Any) -> None:
        await peer.text(json.dumps(block("b")))

    options = HistoryOptions(blocked_after_s=0.2)
    async with conversing(make_peer, listen, script, options=options) as feed:
        await next_of(feed, Entry)
        time.sleep(0.35)
        anomaly = await next_of(feed, Anomaly)

    assert anomaly.code is AnomalyCode.EVENT_LOOP_BLOCKED
    figure, unit = anomaly.detail.split()[-2:]
    assert float(figure) >= 0.3
    assert unit == "s"


async def test_frames_may_be_as_large_as_a_history(make_peer: Any, listen: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.text(json.dumps(block("large", filler="x" * (5 << 20))))

    async with conversing(make_peer, listen, script) as feed:
        entry = await next_of(feed, Entry)

    assert entry.size > 5 << 20
