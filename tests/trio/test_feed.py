"""The driver on virtual time and memory streams: what is acknowledged, how tasks end."""

import logging
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from wsproto.events import CloseConnection, Ping, Pong

from lastseen.dialects.oddspapi import Subscription
from lastseen.errors import ConfigurationError, LocalProtocolError
from lastseen.events import (
    Disconnected,
    Entry,
    Event,
    Failure,
    LoggedIn,
    StatusChanged,
    Stopped,
)
from lastseen.options import SessionOptions
from lastseen.secret import Secret
from lastseen.states import ScopeState
from lastseen_trio import Feed, MemoryStore, open_feed

KEY = "00112233445566778899aabbccddeeff"
URL = "ws://feed.test:8080/ws"
SCORES = Subscription(channels=("scores",), sport_ids=(10,), client_name=None)


def feed_of(**options: Any) -> AbstractAsyncContextManager[Feed]:
    return open_feed(SCORES, **{"url": URL, "key": KEY, "rng": random.Random(1), **options})


async def next_of(feed: Feed, kind: type[Any]) -> Any:
    async for event in feed:
        if isinstance(event, kind):
            return event
    raise AssertionError(f"ended without {kind.__name__}")


async def until_synced(feed: Feed) -> None:
    while (await next_of(feed, StatusChanged)).state is not ScopeState.SYNCED:
        pass


@asynccontextmanager
async def synced(exchange: Any, **options: Any) -> AsyncIterator[tuple[Feed, Any]]:
    async with feed_of(**options) as feed:
        peer = await exchange.peer()
        await peer.log_in()
        await until_synced(feed)
        yield feed, peer


async def test_a_feed_logs_in_syncs_and_delivers_in_order(
    autojump_clock: Any, exchange: Any
) -> None:
    async with synced(exchange) as (feed, peer):
        for number in range(1, 4):
            await peer.entry(number)
        entries = [await next_of(feed, Entry) for _ in range(3)]

    assert [entry.id for entry in entries] == ["1000-1", "1000-2", "1000-3"]


async def test_asking_for_the_next_event_acknowledges_the_last(
    autojump_clock: Any, exchange: Any
) -> None:
    async with synced(exchange) as (feed, peer):
        await peer.entry(1)
        await peer.entry(2)
        await next_of(feed, Entry)
        assert feed.position.cursor("scores") is None
        await next_of(feed, Entry)

        assert feed.position.cursor("scores") == "1000-1"


async def test_asking_acknowledges_even_when_there_is_no_next_yet(
    autojump_clock: Any, exchange: Any
) -> None:
    async with synced(exchange) as (feed, peer):
        await peer.entry(1)
        await next_of(feed, Entry)
        with trio.move_on_after(1):
            await anext(feed)

        assert feed.position.cursor("scores") == "1000-1"


async def test_break_does_not_acknowledge(autojump_clock: Any, exchange: Any) -> None:
    async with synced(exchange) as (feed, peer):
        await peer.entry(1)
        async for event in feed:
            if isinstance(event, Entry):
                break
        await feed.aclose()

        assert feed.position.cursor("scores") is None


async def test_an_exception_does_not_acknowledge_and_comes_out_as_it_is(
    autojump_clock: Any, exchange: Any
) -> None:
    store = MemoryStore()

    async def fail() -> None:
        async with synced(exchange, store=store) as (feed, peer):
            await peer.entry(1)
            async for event in feed:
                if isinstance(event, Entry):
                    raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        await fail()

    assert not isinstance(caught.value, BaseExceptionGroup)
    assert store.position.cursor("scores") is None


async def test_cancellation_does_not_acknowledge(autojump_clock: Any, exchange: Any) -> None:
    store = MemoryStore()
    with trio.move_on_after(30) as scope:
        async with synced(exchange, store=store) as (feed, peer):
            await peer.entry(1)
            async for event in feed:
                if isinstance(event, Entry):
                    await trio.sleep_forever()

    assert scope.cancelled_caught
    assert store.position.cursor("scores") is None


async def test_batches_acknowledge_the_whole_last_list(autojump_clock: Any, exchange: Any) -> None:
    async with synced(exchange) as (feed, peer):
        for number in range(1, 4):
            await peer.entry(number)
        await trio.testing.wait_all_tasks_blocked()
        batches = feed.batches(10)
        first = await anext(batches)
        assert [event.id for event in first if isinstance(event, Entry)][-1] == "1000-3"
        assert feed.position.cursor("scores") is None
        with trio.move_on_after(1):
            await anext(batches)

        assert feed.position.cursor("scores") == "1000-3"


async def test_a_rejected_entry_is_quarantined_and_its_channel_resyncs(
    autojump_clock: Any, exchange: Any
) -> None:
    async with synced(exchange) as (feed, peer):
        await peer.entry(1)
        asked = len(exchange.requests)
        entry = await next_of(feed, Entry)
        feed.reject(entry)
        assert (await next_of(feed, StatusChanged)).state is not ScopeState.SYNCED
        await until_synced(feed)

        assert feed.counters()["scores"].quarantined == 1
        assert len(exchange.requests) > asked
        assert feed.status().connected
        with pytest.raises(LocalProtocolError):
            feed.reject(entry)


async def test_resync_fetches_again(autojump_clock: Any, exchange: Any) -> None:
    async with synced(exchange) as (feed, _):
        asked = len(exchange.requests)
        feed.resync("scores")
        await until_synced(feed)

        assert len(exchange.requests) > asked
        with pytest.raises(LocalProtocolError):
            feed.resync("nothing")


async def test_resubscribing_logs_in_anew_and_moves_over(
    autojump_clock: Any, exchange: Any
) -> None:
    async with synced(exchange) as (feed, old):
        feed.resubscribe(attrs.evolve(SCORES, channels=("fixtures", "scores")))
        new = await exchange.peer()
        login = await new.log_in()
        assert (await old.last_words()).code == 1000
        assert (await next_of(feed, LoggedIn)).connection == 2

        assert login["channels"] == ["fixtures", "scores"]
        assert "lastSeenId" not in login


async def test_a_lost_connection_is_replaced_and_resumes_from_what_was_acknowledged(
    autojump_clock: Any,
    exchange: Any,
) -> None:
    async with synced(exchange) as (feed, peer):
        await peer.entry(1)
        await peer.entry(2)
        await next_of(feed, Entry)
        await next_of(feed, Entry)
        await peer.stream.aclose()
        lost = await next_of(feed, Disconnected)
        login = await (await exchange.peer()).log_in()

        assert lost.code == 1006
        assert login["lastSeenId"] == {"scores": "1000-2"}


async def test_a_close_code_reaches_the_session(autojump_clock: Any, exchange: Any) -> None:
    async with synced(exchange) as (feed, peer):
        await peer.close(4002, "too slow")
        lost = await next_of(feed, Disconnected)

        assert (lost.code, lost.reason, lost.failure) == (4002, "too slow", Failure.BACKPRESSURE)


async def test_iteration_ends_after_a_stop_for_good(autojump_clock: Any, exchange: Any) -> None:
    async with synced(exchange) as (feed, peer):
        await peer.close(4001, "api_key_revoked")
        rest = [event async for event in feed]

        assert [event.failure for event in rest if isinstance(event, Stopped)] == [Failure.FATAL]
        with pytest.raises(StopAsyncIteration):
            await anext(feed)


async def test_a_refused_connection_is_told_and_tried_again(
    autojump_clock: Any, exchange: Any
) -> None:
    exchange.refusals = 1
    async with feed_of() as feed:
        lost = await next_of(feed, Disconnected)
        await (await exchange.peer()).log_in()

        assert lost.reason == "connection refused"
        assert lost.retry_in_s > 0
        assert (await next_of(feed, LoggedIn)).connection == 2


async def test_a_slow_application_delays_neither_frames_nor_pongs(
    autojump_clock: Any, exchange: Any
) -> None:
    async with synced(exchange) as (feed, peer):
        await peer.entry(1)
        await next_of(feed, Entry)
        for number in range(2, 500):
            await peer.entry(number)
        await peer.send(Ping(payload=b"there?"))

        # The application still has entry 1 in its hands.
        assert bytes((await peer.next_of(Pong)).payload) == b"there?"
        assert feed.counters()["scores"].received == 499


async def test_a_silent_peer_that_answers_pings_is_kept(autojump_clock: Any, exchange: Any) -> None:
    async with synced(exchange) as (feed, peer):
        with trio.move_on_after(120):
            await peer.next_of(CloseConnection)

        assert feed.status().connected


async def test_a_peer_that_answers_no_ping_is_given_up(autojump_clock: Any, exchange: Any) -> None:
    async with synced(exchange) as (feed, peer):
        peer.answers_pings = False
        assert await peer.next_of(Ping)
        lost = await next_of(feed, Disconnected)
        with pytest.raises(EOFError):
            await peer.next_of(CloseConnection)

        assert lost.reason == "no sign of life"


async def test_leaving_closes_the_socket_in_order(
    autojump_clock: Any, exchange: Any, nursery: trio.Nursery
) -> None:
    codes: list[int] = []

    async def watch(peer: Any) -> None:
        codes.append((await peer.last_words()).code)

    async with synced(exchange) as (_, peer):
        nursery.start_soon(watch, peer)

    assert codes == [1001]


async def test_cancelling_closes_the_socket_in_order_too(
    autojump_clock: Any, exchange: Any, nursery: trio.Nursery
) -> None:
    codes: list[int] = []

    async def watch(peer: Any) -> None:
        codes.append((await peer.last_words()).code)

    with trio.CancelScope() as scope:
        async with synced(exchange) as (_, peer):
            nursery.start_soon(watch, peer)
            scope.cancel()
            await trio.sleep_forever()

    assert codes == [1001]


async def test_a_peer_that_ignores_our_close_is_cut_off_in_bounded_time(
    autojump_clock: Any, exchange: Any
) -> None:
    options = SessionOptions(close_timeout_s=3)
    async with synced(exchange, options=options) as (_, peer):
        started = trio.current_time()

    assert 3 <= trio.current_time() - started < 7
    with pytest.raises(EOFError):
        await peer.next_of(Pong)


async def test_leaving_while_connecting_abandons_the_attempt(
    autojump_clock: Any, exchange: Any
) -> None:
    async with feed_of():
        await trio.testing.wait_all_tasks_blocked()
        started = trio.current_time()

    assert exchange.dialled == ["ws://feed.test:8080/ws"]
    assert trio.current_time() == started


async def test_nothing_runs_on_after_a_feed(autojump_clock: Any, exchange: Any) -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    peers: list[Any] = []
    with trio.move_on_after(60):
        async with synced(exchange) as (feed, peer):
            peers.append(peer)
            feed.resync()
            await trio.sleep_forever()
    for peer in peers:
        await peer.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()

    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_closing_twice_is_closing_once(autojump_clock: Any, exchange: Any) -> None:
    async with synced(exchange) as (feed, _):
        await feed.aclose()
        await feed.aclose()
        rest = [event async for event in feed]
        assert any(isinstance(event, Stopped) for event in rest)
    await feed.aclose()

    with pytest.raises(trio.ClosedResourceError):
        await anext(feed)


async def test_only_one_task_may_take_events(
    autojump_clock: Any, exchange: Any, nursery: trio.Nursery
) -> None:
    async with synced(exchange) as (feed, _), trio.open_nursery() as inner:
        inner.start_soon(anext, feed)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await anext(feed)
        inner.cancel_scope.cancel()


async def test_a_busy_loop_lets_other_tasks_run(autojump_clock: Any, exchange: Any) -> None:
    ran: list[int] = []

    async def other() -> None:
        while True:
            ran.append(len(ran))
            await trio.lowlevel.checkpoint()

    async with synced(exchange) as (feed, peer):
        for number in range(1, 301):
            await peer.entry(number)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as inner:
            inner.start_soon(other)
            for _ in range(300):
                await next_of(feed, Entry)
            inner.cancel_scope.cancel()

    assert len(ran) >= 2


async def test_commits_follow_what_was_acknowledged(autojump_clock: Any, exchange: Any) -> None:
    store = MemoryStore()
    async with synced(exchange, store=store) as (feed, peer):
        await peer.entry(1)
        await peer.entry(2)
        await next_of(feed, Entry)
        await next_of(feed, Entry)
        await trio.sleep(5)
        assert store.position.cursor("scores") == "1000-1"
        assert feed.status().durable == store.position
        assert repr(feed.position) == repr(store.position)


async def test_the_rest_base_is_beside_the_websocket(autojump_clock: Any, exchange: Any) -> None:
    async with synced(exchange):
        pass

    assert "http://feed.test:8080/en" in exchange.dialled
    assert exchange.requests[0].startswith("/en/fixtures?")


async def test_the_rest_base_follows_the_language_and_can_be_given(
    autojump_clock: Any, exchange: Any
) -> None:
    async with open_feed(attrs.evolve(SCORES, lang="de"), url=URL, key=KEY) as feed:
        await (await exchange.peer()).log_in()
        await until_synced(feed)
    async with synced(exchange, rest_url="http://rest.test/base/"):
        pass

    assert "http://feed.test:8080/de" in exchange.dialled
    assert "http://rest.test/base/" in exchange.dialled
    assert exchange.requests[-1].startswith("/base/fixtures?")


@pytest.mark.parametrize(
    "where",
    [
        {"url": "http://feed.test/ws"},
        {"url": "feed.test"},
        {"url": "ws://user:" + KEY + "@feed.test/"},
        {"url": "ws://feed.test:99999/"},
        {"url": URL, "rest_url": "ws://feed.test/"},
    ],
)
async def test_a_url_no_feed_could_be_at_is_refused_without_repeating_it(
    where: dict[str, str],
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await feed_of(**where).__aenter__()

    assert "feed.test" not in str(caught.value)
    assert KEY not in str(caught.value)


async def test_the_key_is_on_the_wire_and_nowhere_else(
    autojump_clock: Any, exchange: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[Event] = []
    async with feed_of(key=Secret(KEY)) as feed:
        peer = await exchange.peer()
        login = await peer.log_in()
        await until_synced(feed)
        await peer.close(1011, "bye")
        seen.append(await next_of(feed, Disconnected))
        shown = repr(feed) + repr(feed.status()) + repr(seen)

    assert login["apiKey"] == KEY
    assert f"apiKey={KEY}" in exchange.requests[0]
    assert caplog.records
    assert KEY not in caplog.text + shown
