"""Orders to a gateway in a thread, from every side a test can come from."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import trio
from calling import PATIENCE_S, client, frame, read_to_end
from websockets.sync.client import connect

from lastseen_simulator.channels import STATEFUL_CHANNELS
from lastseen_simulator.faults import Fault
from lastseen_simulator.gateway.options import DEMO_KEY
from lastseen_simulator.running import GatewayStoppedError, RunningGateway, start_gateway
from lastseen_simulator.server import GatewayServer, open_gateway


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with start_gateway() as running:
        yield running


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "lastseen gateway"]


# Beginning and end.


def test_a_gateway_is_ready_when_it_has_started_and_gone_when_it_has_stopped() -> None:
    with start_gateway() as gateway:
        socket.create_connection(("127.0.0.1", gateway.port)).close()
        assert threads() == ["lastseen gateway"]

    assert threads() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.port))


def test_stopping_twice_is_stopping_once(gateway: RunningGateway) -> None:
    gateway.stop()
    gateway.stop()

    assert threads() == []


def test_a_stopped_gateway_can_be_looked_at_and_takes_no_orders(gateway: RunningGateway) -> None:
    ids = gateway.publish("scores")
    state = gateway.state()
    gateway.stop()

    assert [record["entryId"] for record in gateway.truth("entry")] == ids
    assert gateway.state() == state
    assert (gateway.receipts(), gateway.connections()) == ((), ())
    with pytest.raises(GatewayStoppedError, match=r"^the gateway has stopped$"):
        gateway.publish("scores")
    with pytest.raises(GatewayStoppedError):
        gateway.wait_for("entry")


def test_a_port_that_is_taken_is_an_os_error(gateway: RunningGateway) -> None:
    with pytest.raises(OSError, match="in use"):
        start_gateway(port=gateway.port)

    assert threads() == ["lastseen gateway"]


def test_a_port_can_be_had_again_at_once(gateway: RunningGateway) -> None:
    with client(gateway):
        gateway.stop()
    with start_gateway(port=gateway.port) as again, client(again):
        assert again.port == gateway.port


def test_what_breaks_the_gateway_comes_out_when_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("of the gateway")

    monkeypatch.setattr(GatewayServer, "take_frame", broken)
    # Often, for what it has failed with must come through even while it is being stopped.
    for _ in range(30):
        gateway = start_gateway()
        with connect(gateway.ws_url, proxy=None) as socket:
            socket.send("hello")
            read_to_end(socket)
            with pytest.raises(ExceptionGroup) as caught:
                gateway.stop()
        assert caught.group_contains(ZeroDivisionError, match="of the gateway")
        with pytest.raises(GatewayStoppedError) as gone:
            gateway.restart()
        assert gone.value.__cause__ is caught.value


async def test_what_breaks_it_is_not_lost_when_it_is_cancelled_just_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("of the gateway")

    def talk(url: str) -> None:
        with connect(url, proxy=None) as socket:
            socket.send("hello")
            read_to_end(socket)

    scope = trio.CancelScope()
    monkeypatch.setattr(GatewayServer, "take_frame", broken)
    monkeypatch.setattr(GatewayServer, "take_hang_up", lambda *_: scope.cancel())
    with pytest.raises(ExceptionGroup) as caught, scope:
        async with open_gateway() as server:
            await trio.to_thread.run_sync(talk, server.ws_url)

    assert caught.group_contains(ZeroDivisionError, match="of the gateway")


def test_a_program_that_forgets_a_gateway_ends_all_the_same() -> None:
    code = "from lastseen_simulator.running import start_gateway; print(start_gateway().port)"
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 0


def test_a_gateway_that_does_not_end_is_told(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lastseen_simulator.gateway_thread.STOP_PATIENCE_S", 0.01)
    released = threading.Event()

    def hold(_: object) -> bool:
        return released.wait(PATIENCE_S)

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(gateway.wait_for, hold)
        try:
            with pytest.raises(RuntimeError, match=r"has not ended within 0\.01 s"):
                gateway.stop()
        finally:
            released.set()
        assert waiting.result()["kind"] == "base"
    monkeypatch.undo()
    gateway.stop()


def test_the_same_seed_makes_the_same_market_and_another_does_not() -> None:
    with start_gateway(seed=7) as one, start_gateway(seed=7) as two, start_gateway(seed=8) as other:
        for each in (one, two, other):
            each.publish("scores", count=3)
        published = [
            [record["payload"] for record in each.truth("entry")] for each in (one, two, other)
        ]

    assert published[0][0]["fixtureId"]
    assert [payload["fixtureId"] for payload in published[0]] == [
        payload["fixtureId"] for payload in published[1]
    ]
    assert published[0] != published[2]
    assert [one.seed, two.seed, other.seed] == [7, 7, 8]


def test_a_market_at_rest_publishes_nothing_of_its_own(gateway: RunningGateway) -> None:
    # The command's rate would make twenty a second: see that the time passes in which it would.
    gateway.place("clock_step", at="at 0.3", offset_ms=0).wait()

    assert gateway.truth("entry") == ()


def test_the_environment_of_a_child_has_all_that_a_client_needs(gateway: RunningGateway) -> None:
    port = gateway.port

    assert gateway.env() == {
        "LASTSEEN_DIALECT": "oddspapi",
        "LASTSEEN_WS_URL": f"ws://127.0.0.1:{port}/ws",
        "LASTSEEN_HTTP_URL": f"http://127.0.0.1:{port}",
        "LASTSEEN_CONTROL_URL": f"http://127.0.0.1:{port}/_lastseen",
        "LASTSEEN_API_KEY": DEMO_KEY,
    }
    assert gateway.rest_url == f"http://127.0.0.1:{port}/en"


# Orders.


def test_what_is_published_is_received_and_is_in_the_truth(gateway: RunningGateway) -> None:
    with client(gateway) as socket:
        ids = gateway.publish("scores", count=3)
        received = [frame(socket)["entryId"] for _ in ids]

    assert received == ids
    assert [record["entryId"] for record in gateway.truth("entry")] == ids


def test_a_payload_of_ones_own_is_published_as_it_is(gateway: RunningGateway) -> None:
    payload = {"fixtureId": "f-1", "scores": {"p1": {"period": "p1", "participant1Score": 9}}}

    gateway.publish("scores", payload)

    assert gateway.state(channels=["scores"])["scores/f-1/p1"] == payload["scores"]["p1"]  # type: ignore[index]


def test_an_order_that_cannot_be_is_refused_and_the_gateway_goes_on(
    gateway: RunningGateway,
) -> None:
    with pytest.raises(ValueError, match="weather"):
        gateway.publish("weather")
    with pytest.raises(LookupError):
        gateway.drop(77)

    assert gateway.publish("scores")


def test_orders_come_from_many_threads_at_once(gateway: RunningGateway) -> None:
    with ThreadPoolExecutor(8) as pool:
        orders = [pool.submit(gateway.publish, "scores", count=5) for _ in range(40)]
        ids = [entry_id for order in orders for entry_id in order.result()]

    assert len(set(ids)) == 200
    assert {record["entryId"] for record in gateway.truth("entry")} == set(ids)


async def test_orders_are_given_from_inside_trio(gateway: RunningGateway) -> None:
    ids = gateway.publish("scores", count=2)

    assert [record["entryId"] for record in gateway.truth("entry")] == ids


def test_orders_are_given_from_inside_asyncio(gateway: RunningGateway) -> None:
    async def main() -> list[str]:
        return gateway.publish("scores", count=2)

    ids = asyncio.run(main())

    assert [record["entryId"] for record in gateway.truth("entry")] == ids


def test_a_restart_drops_everybody_into_a_new_epoch(gateway: RunningGateway) -> None:
    before = gateway.epoch
    with client(gateway) as socket:
        gateway.restart()
        assert read_to_end(socket).rcvd is None

    assert gateway.epoch != before


def test_a_drop_ends_the_connection_that_is_meant(gateway: RunningGateway) -> None:
    with client(gateway) as one, client(gateway) as two:
        assert [each.connection for each in gateway.connections()] == [1, 2]
        gateway.drop(1, reset=True)
        assert read_to_end(one).rcvd is None
        assert [each.connection for each in gateway.connections()] == [2]
        gateway.drop()
        assert read_to_end(two).rcvd is None


def test_a_reconnect_is_announced_and_ends_after_the_grace(gateway: RunningGateway) -> None:
    with client(gateway) as socket:
        gateway.reconnect(reason="maintenance", grace_s=0)
        assert (frame(socket)["type"], gateway.truth("control")[-1]["frame"]["reason"]) == (
            "reconnect",
            "maintenance",
        )
        read_to_end(socket)


def test_the_grace_is_the_gateways_own_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    graces: list[float] = []

    def note(*_: Any, grace_s: float, **__: Any) -> None:
        graces.append(grace_s)

    monkeypatch.setattr(GatewayServer, "notice_reconnect", note)
    with start_gateway(reconnect_grace_s=7.5) as gateway:
        gateway.reconnect()
        gateway.reconnect(grace_s=0.0)

    assert graces == [7.5, 0.0]


def test_a_paused_market_rests_until_it_is_resumed() -> None:
    with start_gateway(rate=1000) as gateway:
        gateway.wait_for("entry", count=5)
        gateway.pause()
        paused_at = gateway.written
        later = gateway.truth()[-1]["at"] + 0.1
        gateway.place("clock_step", at=f"at {later:.3f}", offset_ms=0).wait()
        assert gateway.truth("entry", after=paused_at) == ()

        gateway.resume()
        assert gateway.wait_for("entry", after=paused_at)["n"] > paused_at


# Faults.


@pytest.mark.parametrize(
    "source",
    [
        Fault(kind="close", at="after live 2", code=4002),
        {"kind": "close", "at": "after live 2", "code": 4002},
        '[[fault]]\nkind = "close"\nat = "after live 2"\ncode = 4002\n',
    ],
    ids=["fault", "members", "toml"],
)
def test_a_fault_is_placed_in_any_form_and_strikes(gateway: RunningGateway, source: Any) -> None:
    placed = gateway.place(source)
    assert placed.fired == 0
    with client(gateway) as socket:
        gateway.publish("scores", count=2)
        closed = read_to_end(socket)
    receipt = placed.wait()

    assert closed.rcvd is not None
    assert closed.rcvd.code == 4002
    assert (receipt.fired, receipt.detail) == (1, "connection 1: closed with 4002")
    assert gateway.receipts() == (receipt,)


def test_a_fault_is_placed_by_kind_and_members_and_can_be_waited_for_more_than_once(
    gateway: RunningGateway,
) -> None:
    placed = gateway.place("duplicate", at="every 2 live", times=0)
    with client(gateway) as socket:
        ids = gateway.publish("scores", count=4)
        receipt = placed.wait(times=2)
        received = [frame(socket)["entryId"] for _ in range(6)]

    assert receipt.fired == 2
    assert received == [ids[0], ids[1], ids[1], ids[2], ids[3], ids[3]]


def test_a_fault_that_cannot_be_is_refused(gateway: RunningGateway) -> None:
    with pytest.raises(ValueError, match="drip cannot stand at 'on login'"):
        gateway.place("drip", at="on login")
    with pytest.raises(ValueError, match="takes no more members: at"):
        gateway.place({"kind": "drop", "at": "on login"}, at="on open")

    assert gateway.receipts() == ()


def test_a_fault_that_does_not_come_is_named_with_what_did_happen(gateway: RunningGateway) -> None:
    placed = gateway.place("drop", at="after live 7")
    gateway.publish("scores")
    with pytest.raises(TimeoutError) as caught:
        placed.wait(timeout_s=0.01)
    first, *_, last = str(caught.value).splitlines()

    assert first == "after 0.01 s: no fault fault=1"
    assert "fault 1: drop 'after live 7': never fired (not reached)" in str(caught.value)
    assert " entry " in last


def test_faults_that_had_to_fire_and_did_not_are_known() -> None:
    early = Fault(kind="clock_step", at="after entry 1", offset_ms=5)
    with start_gateway(faults=[early, Fault(kind="drop", at="after live 7")]) as gateway:
        gateway.place("drop", at="after live 8", must_fire=False)
        gateway.place("drop", at="after live 9")
        assert [each.fault_id for each in gateway.unfired()] == [1, 2, 4]
        gateway.publish("scores")

    assert [each.fault_id for each in gateway.unfired()] == [2, 4]


def test_faults_of_a_profile_need_not_fire() -> None:
    with start_gateway(faults="hostile") as gateway:
        assert gateway.receipts()
        assert gateway.unfired() == ()


# Truth.


def test_equal_states_compare_as_equal(gateway: RunningGateway) -> None:
    gateway.publish("scores", count=5)
    state = json.loads(json.dumps(gateway.state(), default=float))
    verdict = gateway.compare(state, channels=["fixtures", "scores", "odds"])

    assert verdict
    assert verdict.difference is None
    assert all(each.units for each in verdict.channels)


def test_a_difference_is_false_and_says_where_it_is(gateway: RunningGateway) -> None:
    state = gateway.state(channels=["fixtures", "scores"])
    lost = sorted(state)[0]
    del state[lost]
    verdict = gateway.compare(state, channels=["scores", "fixtures"])

    assert not verdict
    assert verdict.difference == f"{lost} is missing"


def test_filters_narrow_the_truth_that_is_compared_with(gateway: RunningGateway) -> None:
    soccer = gateway.state(channels=["fixtures"], sport_ids=[10])

    assert 0 < len(soccer) < len(gateway.state(channels=["fixtures"]))
    assert gateway.compare(soccer, channels=["fixtures"], sport_ids=[10])
    assert not gateway.compare(soccer, channels=["fixtures"])


def test_a_channel_without_a_state_cannot_be_compared(gateway: RunningGateway) -> None:
    with pytest.raises(ValueError, match="no such channel with a state: score "):
        gateway.compare({}, channels=["score"])

    assert "scores" in STATEFUL_CHANNELS
