"""Waiting for a gateway in a thread, from every side a test can come from."""

import asyncio
import http.client
import json
import os
import signal
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import trio
import trio.testing
from calling import PATIENCE_S, client, frame
from websockets.sync.client import connect

from lastseen_simulator.gateway.options import GatewayOptions, KeyGrant
from lastseen_simulator.running import GatewayStoppedError, RunningGateway, start_gateway
from lastseen_simulator.server import open_gateway
from lastseen_simulator.waiting import Goal, Watch


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with start_gateway() as running:
        yield running


def test_what_has_happened_already_counts(gateway: RunningGateway) -> None:
    ids = gateway.publish("scores", count=3)

    assert gateway.wait_for("entry")["entryId"] == ids[0]
    assert gateway.wait_for("entry", count=3)["entryId"] == ids[2]


def test_after_a_record_only_later_ones_count(gateway: RunningGateway) -> None:
    gateway.publish("scores")
    mark = gateway.written
    with pytest.raises(TimeoutError):
        gateway.wait_for("entry", after=mark, timeout_s=0)
    ids = gateway.publish("scores")

    assert gateway.wait_for("entry", after=mark)["entryId"] == ids[0]


def test_what_happens_later_is_waited_for() -> None:
    with start_gateway(rate=1000) as gateway:
        assert gateway.wait_for("entry", count=30, after=gateway.written)["kind"] == "entry"


def test_members_and_predicates_narrow_a_wait(gateway: RunningGateway) -> None:
    gateway.publish("fixtures")
    ids = gateway.publish("scores", count=2)

    assert gateway.wait_for("entry", channel="scores")["entryId"] == ids[0]
    found = gateway.wait_for(lambda record: record.get("entryId") == ids[1], channel="scores")
    assert found["kind"] == "entry"


def test_a_predicate_may_give_orders_and_its_exception_comes_out(gateway: RunningGateway) -> None:
    def order(record: dict[str, Any]) -> bool:
        return record["kind"] == "epoch" and bool(gateway.publish("scores"))

    def broken(record: dict[str, Any]) -> bool:
        return bool(record["no such member"])

    assert gateway.wait_for(order)["kind"] == "epoch"
    with pytest.raises(KeyError, match="no such member"):
        gateway.wait_for(broken)
    assert gateway.wait_for("entry")["channel"] == "scores"


def test_a_wait_that_cannot_end_is_refused(gateway: RunningGateway) -> None:
    with pytest.raises(ValueError, match=r"^no such kind of record: logins \(kinds: base, ep"):
        gateway.wait_for("logins")
    with pytest.raises(ValueError, match="nothing to wait for: 0 times entry of scores sent"):
        gateway.wait_for_sent("scores", [])
    with pytest.raises(ValueError, match="nothing to wait for: 0 times login"):
        gateway.wait_for_login(0)


def test_a_timeout_says_how_far_it_came_and_what_there_was_without_the_key() -> None:
    key = "feedfacefeedfacefeedfacefeedface"
    with start_gateway(seed=9, keys=[KeyGrant(key=key)]) as gateway:
        with client(gateway):
            gateway.publish("scores", {"fixtureId": "f", "scores": {}, "note": key})
            with pytest.raises(TimeoutError) as caught:
                gateway.wait_for_login(2, timeout_s=0.01)
        told = str(caught.value)

    assert told.startswith("after 0.01 s: login verdict='login_ok': 1 of 2\n")
    assert "\nlastseen gateway: oddspapi, seed 9 rate=0.0\nthe last " in told
    assert key not in told
    assert "***" in told
    assert key not in repr(gateway)


def test_a_description_ends_with_the_newest_records_each_on_a_line(gateway: RunningGateway) -> None:
    ids = gateway.publish("scores", count=30)
    lines = gateway.describe().splitlines()

    assert lines[1] == "the last 20 of 32 records:"
    assert len(lines) == 22
    for line, entry_id in zip(lines[2:], ids[-20:], strict=True):
        assert entry_id in line
        assert len(line) <= 160


def test_logins_are_counted_and_refused_ones_are_not(gateway: RunningGateway) -> None:
    with connect(gateway.ws_url, proxy=None) as socket:
        socket.send(json.dumps({"type": "login", "apiKey": "f" * 32}))
        assert frame(socket)["type"] == "error"
    with client(gateway), client(gateway):
        assert gateway.wait_for_login()["connection"] == 2
        assert gateway.wait_for_login(2)["connection"] == 3


def test_entries_are_waited_for_until_each_was_sent(gateway: RunningGateway) -> None:
    with client(gateway), client(gateway):
        ids = gateway.publish("scores", count=3)
        last = gateway.wait_for_sent("scores", ids)
        assert (last["entryId"], last["connection"]) == (ids[2], 1)
        assert gateway.wait_for_sent("scores", ids, connection=2)["connection"] == 2
        with pytest.raises(TimeoutError, match="entry of odds sent: 0 of 3"):
            gateway.wait_for_sent("odds", ids, timeout_s=0)
        with pytest.raises(TimeoutError, match="entry of scores sent to connection 3: 0 of 3"):
            gateway.wait_for_sent("scores", ids, connection=3, timeout_s=0)


def test_requests_are_waited_for_with_or_without_the_language(gateway: RunningGateway) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port)) as asking:
        for _ in range(2):
            asking.request("GET", f"/en/fixtures?sportId=10&apiKey={gateway.key}")
            asking.getresponse().read()

    assert gateway.wait_for_request("/fixtures")["status"] == 200
    assert gateway.wait_for_request("/en/fixtures", count=2)["request"] == 2
    with pytest.raises(TimeoutError, match="no request to /odds"):
        gateway.wait_for_request("/odds", timeout_s=0)


WAITS: list[Callable[[RunningGateway, list[str]], Any]] = [
    lambda gateway, ids: gateway.wait_for_async("entry", entryId=ids[0]),
    lambda gateway, _: gateway.wait_for_login_async(),
    lambda gateway, ids: gateway.wait_for_sent_async("scores", ids, connection=1),
    lambda gateway, _: gateway.wait_for_request_async("/fixtures"),
]


def everything_happens(gateway: RunningGateway) -> list[str]:
    with client(gateway):
        ids = gateway.publish("scores", count=2)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(f"{gateway.rest_url}/fixtures?sportId=10&apiKey={gateway.key}").close()
    return ids


@pytest.mark.parametrize("wait", WAITS, ids=["record", "login", "sent", "request"])
async def test_each_wait_is_awaited_in_trio(gateway: RunningGateway, wait: Any) -> None:
    ids = await trio.to_thread.run_sync(everything_happens, gateway)

    assert (await wait(gateway, ids))["n"] > 0


@pytest.mark.parametrize("wait", WAITS, ids=["record", "login", "sent", "request"])
def test_each_wait_is_awaited_in_asyncio(gateway: RunningGateway, wait: Any) -> None:
    ids = everything_happens(gateway)

    assert asyncio.run(wait(gateway, ids))["n"] > 0


async def test_trio_goes_on_while_it_waits(gateway: RunningGateway) -> None:
    fault = gateway.place("clock_step", at="after entry 3", offset_ms=1)
    fired: list[int] = []

    async def wait() -> None:
        fired.append((await fault.wait_async()).fired)

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            assert fired == []
            gateway.publish("scores", count=3)

    assert fired == [1]


def test_asyncio_goes_on_while_it_waits(gateway: RunningGateway) -> None:
    fault = gateway.place("clock_step", at="after entry 3", offset_ms=1)

    async def main() -> int:
        waiting = asyncio.create_task(fault.wait_async())
        await asyncio.sleep(0)
        assert not waiting.done()
        gateway.publish("scores", count=3)
        return (await waiting).fired

    assert asyncio.run(main()) == 1


async def test_a_timeout_is_raised_in_trio(gateway: RunningGateway) -> None:
    with pytest.raises(TimeoutError, match="no login"):
        await gateway.wait_for_login_async(timeout_s=0.01)


def test_a_timeout_is_raised_in_asyncio(gateway: RunningGateway) -> None:
    with pytest.raises(TimeoutError, match="no login"):
        asyncio.run(gateway.wait_for_login_async(timeout_s=0.01))


async def test_a_wait_that_is_cancelled_in_trio_leaves_nothing_behind(
    gateway: RunningGateway,
) -> None:
    asked: list[int] = []

    def record_number(record: dict[str, Any]) -> bool:
        asked.append(record["n"])
        return False

    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.wait_for_async, record_number)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    before = list(asked)
    gateway.publish("scores")
    gateway.wait_for("entry")

    assert asked == before


def test_a_wait_that_is_cancelled_in_asyncio_leaves_nothing_behind(
    gateway: RunningGateway,
) -> None:
    asked: list[int] = []

    def record_number(record: dict[str, Any]) -> bool:
        asked.append(record["n"])
        return False

    async def main() -> None:
        waiting = asyncio.create_task(gateway.wait_for_async(record_number))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    before = list(asked)
    gateway.publish("scores")
    gateway.wait_for("entry")

    assert asked == before


@pytest.mark.parametrize("broken", [False, True], ids=["reached", "broken"])
def test_a_wait_that_is_cancelled_while_it_is_judged_stays_cancelled(
    gateway: RunningGateway, broken: bool
) -> None:
    cancelled = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def judge(_: object) -> bool:
            loop.call_soon_threadsafe(waiting.cancel)
            assert cancelled.wait(PATIENCE_S)
            if broken:
                raise ZeroDivisionError
            return True

        mark = gateway.written
        waiting = asyncio.create_task(gateway.wait_for_async(judge, after=mark))
        await asyncio.sleep(0)
        # From another thread, for whoever publishes waits until the judge has spoken.
        publishing = asyncio.create_task(asyncio.to_thread(gateway.publish, "scores"))
        with pytest.raises(asyncio.CancelledError):
            await waiting
        cancelled.set()
        await publishing

    asyncio.run(main())

    assert gateway.wait_for("entry")


async def test_what_a_predicate_brings_about_itself_counts_at_once() -> None:
    published: list[str] = []

    async with open_gateway(GatewayOptions(rate=0.0)) as server, trio.open_nursery() as nursery:

        def act(record: dict[str, Any]) -> bool:
            if not published:
                published.append(server.publish("scores"))
            return bool(record["channel"] == "scores")

        watch, future = Watch(server, nursery), Future[Any]()
        goal = Goal("an entry of its own", act)
        mark = server.core.truth.written
        watch.add(goal, future, describe=str, after=mark, timeout_s=float("inf"))
        nursery.start_soon(watch.run)
        await trio.testing.wait_all_tasks_blocked()
        server.publish("fixtures")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert future.result(0)["entryId"] == published[0]


def test_a_predicate_that_never_stops_giving_orders_meets_its_timeout(
    gateway: RunningGateway,
) -> None:
    def act(record: dict[str, Any]) -> bool:
        gateway.publish("scores")
        return False

    with pytest.raises(TimeoutError, match="no "):
        gateway.wait_for(act, timeout_s=0.05)

    assert gateway.publish("scores")


async def test_what_has_come_by_the_end_of_the_patience_counts() -> None:
    async with open_gateway(GatewayOptions(rate=0.0)) as server, trio.open_nursery() as nursery:
        watch, future = Watch(server, nursery), Future[Any]()
        watch.add(Goal.records("entry", 1), future, describe=str, after=0, timeout_s=0)
        entry_id = server.publish("scores")
        await trio.testing.wait_all_tasks_blocked()

    assert future.result(0)["entryId"] == entry_id


async def test_nobody_starts_to_wait_for_a_gateway_that_is_ending() -> None:
    async with open_gateway() as server, trio.open_nursery() as nursery:
        watch, future = Watch(server, nursery), Future[Any]()
        watch.abandon(GatewayStoppedError("over"))
        with pytest.raises(GatewayStoppedError, match="over"):
            watch.add(Goal.records("base", 1), future, describe=str, after=0, timeout_s=1)

    assert not future.done()


def test_whoever_waits_when_the_gateway_stops_is_told(gateway: RunningGateway) -> None:
    waiting_began = threading.Event()

    def begin(_: object) -> bool:
        waiting_began.set()
        return False

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(gateway.wait_for, begin)
        assert waiting_began.wait(PATIENCE_S)
        gateway.stop()
        with pytest.raises(GatewayStoppedError, match=r"^the gateway has stopped$"):
            waiting.result(PATIENCE_S)


@pytest.mark.skipif(os.name != "posix", reason="no signals to send")
def test_a_wait_ends_with_an_interrupt(gateway: RunningGateway) -> None:
    def interrupt(record: dict[str, Any]) -> bool:
        if record["n"] == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    with pytest.raises(KeyboardInterrupt):
        gateway.wait_for(interrupt)

    assert gateway.publish("scores")
