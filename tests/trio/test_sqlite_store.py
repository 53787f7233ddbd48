"""The store around the file: nothing blocks, nothing is lost between two commits."""

import json
import threading
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from state_files import KEY, binding, position, query

from lastseen.errors import LocalProtocolError
from lastseen.events import Entry, Proof, StateSnapshot
from lastseen.snapshots import ScopeKey
from lastseen_trio import CommitError, Restored, SQLiteStore, StoreError
from lastseen_trio.state_file import StateFile

PATIENCE_S = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feed.db"


def score(number: int, fixture: str = "A") -> Entry:
    payload = {"fixtureId": fixture, "scores": {"p1": {"number": number}}}
    return Entry(channel="scores", id=f"{number}-1", raw=json.dumps(payload).encode())


def broken() -> Entry:
    return Entry(channel="scores", id="9-9", raw=b'{"scores":')


def odds(fixture: str, number: int) -> StateSnapshot:
    return StateSnapshot(
        channel="odds",
        entity=fixture,
        rows={f"odds/{fixture}/pin/r": {"price": Decimal(number)}},
        proof=Proof.UNPROVEN,
    )


async def opened(path: Path, **other: Any) -> tuple[SQLiteStore, Restored]:
    store = SQLiteStore(path)
    return store, await store.open(binding(**other))


def hold_writes(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[int]]:
    """Writes wait in their thread until the event is set; the threads are noted."""
    gate, threads, write = threading.Event(), list[int](), StateFile.write

    def held(self: StateFile, *arguments: Any) -> None:
        threads.append(threading.get_ident())
        assert gate.wait(PATIENCE_S)
        write(self, *arguments)

    monkeypatch.setattr(StateFile, "write", held)
    return gate, threads


def fail_next(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """One write fails, the following do not."""
    write = StateFile.write

    def failing(self: StateFile, *arguments: Any) -> None:
        monkeypatch.setattr(StateFile, "write", write)
        raise error

    monkeypatch.setattr(StateFile, "write", failing)


async def kept(path: Path) -> dict[str, Any]:
    store, _ = await opened(path)
    await store.close()
    return store.replica.state()


async def test_a_new_store_is_empty_and_a_kept_one_brings_back_state_position_and_bases(
    path: Path,
) -> None:
    store, restored = await opened(path)
    assert restored == Restored()
    assert store.take([odds("A", 1), odds("B", 2), score(1), score(2, "B")]) == 4
    await store.stage(position(7, "odds", "scores"))()
    state = store.replica.state()
    await store.close()

    again, restored = await opened(path)

    assert restored == Restored(
        position=position(7, "odds", "scores"),
        bases=frozenset(
            {
                ScopeKey("odds", None), ScopeKey("odds", "A"), ScopeKey("odds", "B"),
                ScopeKey("scores", None),
            }
        ),
    )  # fmt: skip
    assert len(state) == 4
    assert again.replica.state() == state
    await again.close()


async def test_a_channel_with_a_cursor_and_nothing_in_it_has_a_base_all_the_same(
    path: Path,
) -> None:
    store, _ = await opened(path)
    await store.stage(position(1, "scores"))()
    await store.close()

    store, restored = await opened(path)
    await store.close()

    assert restored.bases == {ScopeKey("scores", None)}


async def test_what_a_snapshot_left_unproven_stays_unproven(path: Path) -> None:
    """OP-A6: the unit's own time decides only against the rows of such a snapshot."""
    store, _ = await opened(path)
    row = {"price": 1, "active": True, "changedAt": 100}
    snapshot = StateSnapshot(channel="odds", entity="A", rows={"odds/A/pin/r": row})
    store.take([snapshot])
    await store.stage(position(1, "odds"))()
    await store.close()
    store, _ = await opened(path)
    late = {"fixtureId": "A", "odds": {"pin": {"r": {**row, "price": 2, "changedAt": 99}}}}
    store.take([Entry(channel="odds", entity="A", id="2-1", raw=json.dumps(late).encode())])
    await store.close()

    assert store.replica.state()["odds/A/pin/r"]["price"] == 1


async def test_taking_stops_at_an_entry_that_cannot_be_read(path: Path) -> None:
    store, _ = await opened(path)

    assert store.take([score(1), broken(), score(2)]) == 1
    assert store.take([broken()]) == 0
    assert store.replica.state() == {"scores/A/p1": {"number": 1}}
    await store.close()


async def test_what_is_taken_after_staging_is_part_of_the_next_commit(path: Path) -> None:
    store, _ = await opened(path)
    store.take([score(1)])
    write = store.stage(position(1))
    store.take([score(2), score(1, "B")])
    await write()
    await store.close()

    assert await kept(path) == {"scores/A/p1": {"number": 1}}


async def test_a_commit_is_written_in_a_thread_while_the_feed_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, threads = hold_writes(monkeypatch)
    store, _ = await opened(path)
    store.take([score(1)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.stage(position(1)))
        while not threads:
            await trio.sleep(0)
        assert store.take([score(2)]) == 1
        with pytest.raises(LocalProtocolError):
            store.stage(position(2))
        gate.set()
    assert threads != [threading.get_ident()]
    await store.stage(position(2))()
    await store.close()

    assert await kept(path) == {"scores/A/p1": {"number": 2}}


@pytest.mark.parametrize("error", [CommitError("no"), OSError(5, "no")], ids=["commit", "os"])
async def test_what_a_failed_commit_held_is_part_of_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    store, _ = await opened(path)
    store.take([score(1, "A"), score(1, "B"), odds("A", 1)])
    fail_next(monkeypatch, error)
    with pytest.raises(type(error)):
        await store.stage(position(1))()
    store.take([score(2, "B")])
    await store.stage(position(2, "odds", "scores"))()
    state = store.replica.state()
    await store.close()

    assert len(state) == 3
    assert await kept(path) == state


@pytest.mark.parametrize("how", ["dropped", "cancelled"])
async def test_what_a_commit_that_was_never_made_held_is_part_of_the_next(
    path: Path, how: str
) -> None:
    store, _ = await opened(path)
    store.take([score(1, "A")])
    write = store.stage(position(1))
    if how == "cancelled":
        with trio.CancelScope() as scope:
            scope.cancel()
            await write()
        assert scope.cancelled_caught
    store.take([score(1, "B")])
    await store.stage(position(2))()
    await store.close()

    assert set(await kept(path)) == {"scores/A/p1", "scores/B/p1"}


async def test_a_cancellation_waits_for_the_thread_that_writes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, threads = hold_writes(monkeypatch)
    store, _ = await opened(path)
    store.take([score(1)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.stage(position(1)))
        while not threads:
            await trio.sleep(0)
        nursery.cancel_scope.cancel()
        gate.set()
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.close()

    assert await kept(path) == {"scores/A/p1": {"number": 1}}


async def test_only_what_was_staged_last_can_be_written_and_only_once(path: Path) -> None:
    store, _ = await opened(path)
    store.take([score(1)])
    first = store.stage(position(1))
    second = store.stage(position(2))
    await refused(first)
    await second()
    await refused(second)
    late = store.stage(position(3))
    await store.close()
    await refused(late)

    assert query(path, "SELECT generation FROM meta") == [(1,)]


async def refused(write: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(LocalProtocolError):
        await write()


async def test_a_store_that_is_not_open_says_so(path: Path) -> None:
    store = SQLiteStore(path)
    with pytest.raises(LocalProtocolError):
        store.replica  # noqa: B018 - a property
    await store.close()
    await store.open(binding())
    with pytest.raises(LocalProtocolError):
        await store.open(binding())
    other = SQLiteStore(path)
    with pytest.raises(StoreError, match="in use"):
        await other.open(binding())
    await store.close()
    await store.close()


async def test_a_store_can_be_opened_again(path: Path) -> None:
    store, _ = await opened(path)
    store.take([score(1)])
    await store.stage(position(1))()
    store.take([score(2)])
    store.stage(position(2))
    await store.close()

    restored = await store.open(binding())

    assert restored.position == position(1)
    assert store.replica.state() == {"scores/A/p1": {"number": 1}}
    store.take([score(3)])
    await store.stage(position(3))()
    await store.close()
    assert await kept(path) == {"scores/A/p1": {"number": 3}}


async def test_a_new_subscription_is_what_the_next_commit_belongs_to(path: Path) -> None:
    store, _ = await opened(path)
    write = store.stage(position(1))
    store.rebind(binding(subscription="scores fixtures"))
    await write()
    assert query_subscription(store) == "scores odds"
    await store.stage(position(2))()
    await store.close()

    store, restored = await opened(path, subscription="scores fixtures")
    await store.close()
    assert restored.position == position(2)


def query_subscription(store: SQLiteStore) -> str:
    assert store._file is not None
    assert store._file._database is not None
    return store._file._database.meta.subscription


async def test_members_that_are_left_out_are_kept_when_asked(path: Path) -> None:
    """OP-A26, and a restart does not forget them."""
    for number, payload in enumerate(({"a": 1}, {"b": 2})):
        store = SQLiteStore(path, keep_omitted=True)
        await store.open(binding())
        raw = json.dumps({"fixtureId": "A", "scores": {"p1": payload}}).encode()
        store.take([Entry(channel="scores", id="1-1", raw=raw)])
        await store.stage(position(number + 1))()
        await store.close()

    assert store.replica.state() == {"scores/A/p1": {"a": 1, "b": 2}}


async def test_nothing_shows_the_key(path: Path) -> None:
    store, restored = await opened(path)
    store.take([score(1)])
    store.stage(position(1))

    assert KEY not in f"{store!r} {restored!r} {binding()!r}"
    await store.close()
