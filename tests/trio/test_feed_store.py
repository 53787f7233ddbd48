"""The driver and its store: what is staged with which position, how it starts and how it fails."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from lastseen import (
    Committed,
    ConfigurationError,
    DurabilityChanged,
    Entry,
    Event,
    LocalProtocolError,
    Position,
    ScopeKey,
    ScopeState,
    SessionOptions,
    StateSnapshot,
    StatusChanged,
    Stopped,
    Subscription,
)
from lastseen_trio import Binding, CommitError, Feed, MemoryStore, Restored, StoreError, open_feed

KEY = "00112233445566778899aabbccddeeff"
URL = "ws://feed.test:8080/ws"
SCORES = Subscription(channels=("scores",), sport_ids=(10,), client_name=None)


@attrs.define(eq=False)
class FailingStore:
    failures: list[Exception]
    start: Restored = attrs.field(factory=Restored)
    kept: list[Position] = attrs.field(factory=list[Position])
    taken: list[Event] = attrs.field(factory=list[Event])
    """What the application has processed."""
    staged: list[list[Event]] = attrs.field(factory=list[list[Event]])
    """All that had been taken, each time that a commit began."""
    bindings: list[Binding] = attrs.field(factory=list[Binding])
    unreadable: str | None = None
    """The id of an entry whose payload it cannot read."""
    closed: bool = False

    async def open(self, binding: Binding, /) -> Restored:
        await trio.lowlevel.checkpoint()
        self.bindings.append(binding)
        return self.start

    def rebind(self, binding: Binding, /) -> None:
        self.bindings.append(binding)

    def take(self, events: Sequence[Event], /) -> int:
        for count, event in enumerate(events):
            if isinstance(event, Entry) and event.id == self.unreadable:
                return count
            self.taken.append(event)
        return len(events)

    def stage(self, position: Position, /) -> Callable[[], Awaitable[None]]:
        self.staged.append(list(self.taken))

        async def write() -> None:
            await trio.lowlevel.checkpoint()
            if self.failures:
                raise self.failures.pop()
            self.kept.append(position)

        return write

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()
        self.closed = True


async def test_a_refused_commit_is_tried_again(autojump_clock: Any, exchange: Any) -> None:
    store = FailingStore([OSError("disk full"), CommitError("busy")])
    async with synced(exchange, store=store) as (feed, peer):
        await peer.entry(1)
        await next_of(feed, Entry)
        with trio.move_on_after(10):
            await next_of(feed, Stopped)
        assert not feed.status().durable_failed

    assert store.failures == []
    assert store.kept[-1].cursor("scores") == "1000-1"


async def test_a_bug_in_a_background_task_comes_out_alone_and_unwrapped(
    autojump_clock: Any, exchange: Any
) -> None:
    store = FailingStore([ZeroDivisionError("a bug")])

    async def run() -> None:
        async with synced(exchange, store=store) as (feed, peer):
            await peer.entry(1)
            async for _ in feed:
                pass

    with pytest.raises(ZeroDivisionError, match="a bug"):
        await run()


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
    async with open_feed(SCORES, url=URL, key=KEY, rng=random.Random(1), **options) as feed:
        peer = await exchange.peer()
        await peer.log_in()
        await until_synced(feed)
        yield feed, peer


def ids(events: Sequence[Event]) -> list[str | None]:
    return [event.id for event in events if isinstance(event, Entry)]


async def idle(feed: Feed, seconds: float = 10) -> None:
    """Acknowledges what there is and lets time pass."""
    with trio.move_on_after(seconds):
        await next_of(feed, Stopped)


async def test_what_is_staged_is_exactly_what_was_acknowledged(
    autojump_clock: Any, exchange: Any
) -> None:
    """R6: an entry that the application has, and has not answered for, is in no commit."""
    store = FailingStore([])
    async with synced(exchange, store=store) as (feed, peer):
        for number in range(1, 5):
            await peer.entry(number)
        await next_of(feed, Entry)
        await next_of(feed, Entry)
        await trio.sleep(10)

        assert ids(store.staged[-1]) == ["1000-1"]
        assert store.kept[-1].cursor("scores") == "1000-1"
        await idle(feed)

    assert ids(store.staged[-1]) == ["1000-1", "1000-2", "1000-3", "1000-4"]
    assert store.kept[-1].cursor("scores") == "1000-4"


async def test_every_event_is_taken_once_and_in_order(autojump_clock: Any, exchange: Any) -> None:
    store = FailingStore([])
    async with synced(exchange, store=store) as (feed, peer):
        for number in range(1, 4):
            await peer.entry(number)
        await idle(feed)

    kinds = [type(event) for event in store.taken if isinstance(event, Entry | StateSnapshot)]
    assert ids(store.taken) == ["1000-1", "1000-2", "1000-3"]
    assert kinds[0] is StateSnapshot


async def test_an_entry_that_the_store_cannot_read_is_quarantined(
    autojump_clock: Any, exchange: Any
) -> None:
    store = FailingStore([], unreadable="1000-2")
    async with synced(exchange, store=store) as (feed, peer):
        for number in range(1, 4):
            await peer.entry(number)
        await trio.sleep(1)
        async for batch in feed.batches():
            if ids(batch):
                assert ids(batch) == ["1000-1", "1000-2", "1000-3"]
                break
        with trio.move_on_after(1):
            await anext(feed)
        row = feed.counters()["scores"]

        assert ids(store.taken) == ["1000-1", "1000-3"]
        assert (row.applied, row.quarantined) == (2, 1)
        assert row.conserved
        # The scope resyncs, so that the channel has no cursor until the new base is there.
        assert any(position.cursor("scores") is None for position in store.kept)


async def test_rejecting_an_entry_takes_what_was_given_before_it_and_nothing_else(
    autojump_clock: Any, exchange: Any
) -> None:
    store = FailingStore([])
    async with synced(exchange, store=store) as (feed, peer):
        for number in range(1, 4):
            await peer.entry(number)
        await trio.sleep(1)
        async for batch in feed.batches():
            found = {event.id: event for event in batch if isinstance(event, Entry)}
            if found:
                feed.reject(found["1000-2"])
                assert ids(store.taken) == ["1000-1"]
                with pytest.raises(LocalProtocolError, match="not outstanding"):
                    feed.reject(found["1000-2"])
                break
        await idle(feed)

    assert ids(store.taken) == ["1000-1", "1000-3"]


async def test_failing_commits_show_and_end(autojump_clock: Any, exchange: Any) -> None:
    """HZ-E9: the durable position stays, the status says so, and it recovers."""
    store = FailingStore([])
    options = SessionOptions(report_commits=True, verify_after_s=1000)
    async with synced(exchange, store=store, options=options) as (feed, peer):
        await idle(feed)
        before = feed.status().durable
        store.failures = [CommitError("disk full")] * 3
        await peer.entry(1)
        changes = list[Event]()
        with trio.move_on_after(30):
            async for event in feed:
                if isinstance(event, DurabilityChanged):
                    changes.append(event)
                    assert feed.status().durable_failed is not event.durable
                    if not event.durable:
                        assert feed.status().durable == before
                if isinstance(event, Committed):
                    changes.append(event)

    assert changes[:2] == [
        DurabilityChanged(durable=False, detail="disk full"),
        DurabilityChanged(durable=True, detail=""),
    ]
    assert isinstance(changes[2], Committed)
    assert changes[2].position.cursor("scores") == "1000-1"


async def test_a_store_that_fails_for_good_holds_up_the_end_once(
    autojump_clock: Any, exchange: Any
) -> None:
    store = FailingStore([])
    options = SessionOptions(close_timeout_s=3)
    async with synced(exchange, store=store, options=options) as (feed, peer):
        store.failures = [CommitError("disk full")] * 1000
        await peer.entry(1)
        await next_of(feed, Entry)
        feed.acknowledge()
        started = trio.current_time()
        await feed.aclose()
        assert trio.current_time() == started + 6
        await feed.aclose()

    assert trio.current_time() < started + 7
    assert feed.status().durable_failed


async def test_a_feed_starts_from_what_its_store_kept(autojump_clock: Any, exchange: Any) -> None:
    kept = Position("e1", (("scores", "1000-7"),), ("scores",))
    store = FailingStore([], start=Restored(position=kept, bases=frozenset({SCORES_BASE})))
    async with open_feed(SCORES, url=URL, key=KEY, store=store) as feed:
        assert feed.restored.position == kept
        assert feed.status().durable == kept
        login = await (await exchange.peer()).log_in()

        assert login["lastSeenId"] == {"scores": "1000-7"}
        assert login["serverEpoch"] == "e1"

    assert store.closed


SCORES_BASE = ScopeKey("scores", None)


async def test_a_position_without_the_state_it_describes_is_not_resumed_from(
    autojump_clock: Any, exchange: Any
) -> None:
    """R9."""
    kept = Position("e1", (("scores", "1000-7"),))
    async with open_feed(SCORES, url=URL, key=KEY, position=kept, bases=()):
        login = await (await exchange.peer()).log_in()

    assert "lastSeenId" not in login


async def test_an_application_with_its_own_database_hands_its_position_back(
    autojump_clock: Any, exchange: Any
) -> None:
    async with synced(exchange) as (feed, peer):
        await peer.entry(1)
        entry = await next_of(feed, Entry)
        kept = feed.position_after(entry)
        assert feed.position.cursor("scores") is None

    async with open_feed(SCORES, url=URL, key=KEY, position=kept):
        login = await (await exchange.peer()).log_in()

    assert login["lastSeenId"] == {"scores": "1000-1"}


async def test_a_channel_that_cannot_be_replayed_is_not_asked_for_after_a_restart(
    autojump_clock: Any, exchange: Any
) -> None:
    """`facts` §2.1: only channels of `replayChannels` are named, and a position remembers them."""
    kept = Position("e1", (("scores", "1000-7"),), ("fixtures",))
    async with open_feed(SCORES, url=URL, key=KEY, position=kept):
        login = await (await exchange.peer()).log_in()

    assert "lastSeenId" not in login


async def test_what_was_set_aside_is_told(autojump_clock: Any, exchange: Any) -> None:
    store = FailingStore([], start=Restored(note="feed.db was damaged: starting cold"))
    async with synced(exchange, store=store) as (feed, _):
        told = {code.value for code, _ in feed.anomalies()}

    assert "state_set_aside" in told


async def test_a_new_subscription_binds_the_store_and_leaves_no_cursor(
    autojump_clock: Any, exchange: Any
) -> None:
    """Until the new login is accepted, nothing in memory describes the new subscription."""
    store = FailingStore([])
    async with synced(exchange, store=store) as (feed, peer):
        await peer.entry(1)
        await idle(feed)
        assert store.kept[-1].cursor("scores") == "1000-1"
        feed.resubscribe(attrs.evolve(SCORES, sport_ids=(11,)))
        await peer.entry(2)
        with trio.move_on_after(0.3):
            async for event in feed:
                assert feed.position_after(event) == Position()
        await trio.sleep(0.3)

        assert store.kept[-1] == Position()
        assert [binding.subscription for binding in store.bindings] == [
            binding.subscription for binding in sorted(store.bindings, key=lambda b: b.subscription)
        ]
        assert len({binding.subscription for binding in store.bindings}) == 2


async def test_how_a_subscription_travels_does_not_bind_a_store(
    autojump_clock: Any, exchange: Any
) -> None:
    bindings = list[Binding]()
    for changed in ({}, {"receive_type": "binary"}, {"client_name": "x"}, {"bookmakers": ("b",)}):
        store = FailingStore([])
        subscription = attrs.evolve(SCORES, **changed)
        async with open_feed(subscription, url=URL, key=KEY, store=store):
            await exchange.peer()
        bindings += store.bindings

    assert len({binding.subscription for binding in bindings[:3]}) == 1
    assert bindings[3].subscription != bindings[0].subscription
    assert bindings[0].endpoint == URL


async def test_a_store_that_cannot_be_opened_ends_the_opening(exchange: Any) -> None:
    class Locked(FailingStore):
        async def open(self, binding: Binding, /) -> Restored:
            del binding
            raise StoreError("feed.db is in use by another process")

    store = Locked([])
    with pytest.raises(StoreError, match="in use"):
        async with open_feed(SCORES, url=URL, key=KEY, store=store):
            raise AssertionError("opened")
    assert exchange.dialled == []


async def test_a_store_has_a_position_of_its_own(exchange: Any) -> None:
    with pytest.raises(ConfigurationError, match="of its own"):
        async with open_feed(SCORES, url=URL, key=KEY, store=MemoryStore(), position=Position()):
            raise AssertionError("opened")


async def test_telling_of_commits_causes_none(autojump_clock: Any, exchange: Any) -> None:
    store = FailingStore([])
    options = SessionOptions(report_commits=True, verify_after_s=1000)
    async with synced(exchange, store=store, options=options) as (feed, _):
        await idle(feed, 5)
        count = len(store.kept)
        await idle(feed, 100)

        assert len(store.kept) == count
