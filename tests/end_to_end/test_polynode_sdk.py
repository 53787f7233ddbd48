"""A client that is not ours: the vendor's own package, unchanged, against our gateway.

It lives in an environment of its own, which `make sdk` makes. What is odd about it is named as the
package's own way; nothing here says how it should be.
"""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest
from processes import PATIENCE_S, environment

from lastseen_simulator.running import RunningGateway, start_gateway

PYTHON = Path(sys.prefix) / "polynode-sdk" / "bin" / "python"
PROGRAM = Path(__file__).parents[1] / "clients" / "polynode_sdk_client.py"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="no polynode package: make sdk installs it"
)

QUICK = {"reconnect_base_delay": 0.05, "reconnect_max_delay": 0.2, "subscribe_timeout": PATIENCE_S}


@attrs.define(eq=False)
class Client:
    """The package, in a process of its own."""

    process: subprocess.Popen[str]
    told: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    _lines: "queue.SimpleQueue[dict[str, Any] | None]" = attrs.field(factory=queue.SimpleQueue)
    _reader: threading.Thread = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def end(self) -> None:
        self.process.kill()
        self._reader.join()

    def order(self, do: str, **members: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **members}) + "\n")
        self.process.stdin.flush()

    def wait(self, event: str, **members: Any) -> dict[str, Any]:
        """The next thing it tells that is like this; everything before it is in `told`."""
        while True:
            line = self._lines.get(timeout=PATIENCE_S)
            assert line is not None, f"it has ended; it told {self.told}"
            self.told.append(line)
            if line["event"] == event and members.items() <= line.items():
                return line

    def subscribe(self, name: str = "one", **members: Any) -> dict[str, Any]:
        self.order("subscribe", name=name, type="settlements", **members)
        return self.wait("subscribed", of=name)

    def all(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.told if line["event"] == event]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)


Start = Callable[..., tuple[RunningGateway, Client]]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def both(
            *, compress: bool = False, options: dict[str, Any] | None = None, **knobs: Any
        ) -> tuple[RunningGateway, Client]:
            gateway = stack.enter_context(start_gateway(dialect="polynode", **knobs))
            given = json.dumps({**QUICK, **(options or {}), "compress": compress})
            process = subprocess.Popen(
                [PYTHON, PROGRAM, gateway.ws_url, gateway.key, given],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment(),
            )
            client = Client(process)
            stack.enter_context(process)
            stack.callback(client.end)
            return gateway, client

        yield both


def settle(gateway: RunningGateway, *hashes: str, **members: Any) -> None:
    for tx_hash in hashes:
        gateway.publish("settlement", {"tx_hash": tx_hash, **members})


@pytest.mark.parametrize("compress", [False, True], ids=["text", "compressed"])
def test_it_subscribes_and_gets_the_snapshot_and_live_events(start: Start, compress: bool) -> None:
    gateway, client = start(compress=compress)
    settle(gateway, "0xa1", "0xa2")

    answer = client.subscribe(snapshot_count=10)
    settle(gateway, "0xa3")
    gateway.publish("status_update", {"tx_hash": "0xa3"})
    client.wait("got", type="status_update")

    assert (bool(answer["id"]), answer["warnings"]) == (True, [])
    got = [(line["type"], line["tx_hash"]) for line in client.all("got")]
    assert sorted(got[:2]) == [("settlement", "0xa1"), ("settlement", "0xa2")]
    assert got[2:] == [("settlement", "0xa3"), ("status_update", "0xa3")]
    assert client.all("error") == []
    sent = gateway.truth("sent")
    assert {record["connection"] for record in sent} == {1}


def test_it_reads_every_type_of_event_that_our_market_makes(start: Start) -> None:
    gateway, client = start(rate=200, extras=0.5, block_s=0.1, unknown=0.1, compress=True)
    client.order("subscribe", name="one", type="global", snapshot_count=20)
    client.wait("subscribed")

    wanted = {"settlement", "status_update", "trade", "block", "deposit", "redemption"}
    while wanted:
        wanted.discard(client.wait("got")["type"])

    gateway.pause()
    assert [line for line in client.all("error") if line["code"] == "decode_error"] == []


def test_after_an_unsubscribe_nothing_more_comes(start: Start) -> None:
    gateway, client = start()
    client.subscribe("one")
    client.subscribe("other")
    client.order("unsubscribe", name="one")
    client.wait("ended", of="one")
    gateway.wait_for("unsubscribe", verdict="unsubscribed")

    settle(gateway, "0xa1")
    client.wait("got", of="other")

    assert [line["of"] for line in client.all("got")] == ["other"]


def test_it_comes_back_after_a_drop_and_asks_for_what_it_missed(start: Start) -> None:
    gateway, client = start()
    client.subscribe()
    settle(gateway, "0xa1")
    client.wait("got", tx_hash="0xa1")
    gateway.drop()
    settle(gateway, "0xa2")

    started = client.wait("replay", phase="started")
    client.wait("got", tx_hash="0xa2")

    newest = max(record["timestamp"] for record in gateway.truth("entry")[:1])
    assert started["since"] == newest - 1
    asked = gateway.wait_for("subscribe", count=2)
    assert asked["filters"]["since"] == started["since"]
    # What it had already been given is not given again.
    assert [line["tx_hash"] for line in client.all("got")] == ["0xa1", "0xa2"]


def test_a_frame_with_a_zlib_header_is_an_error_and_the_socket_survives(start: Start) -> None:
    gateway, client = start(compress=True)
    fault = gateway.place("zlib_wrapped", at="before live 1")
    client.subscribe()
    settle(gateway, "0xa1", "0xa2")

    client.wait("got", tx_hash="0xa2")

    assert fault.fired == 1
    assert len(client.all("error")) == 1
    assert client.all("disconnected") == []


# The package's own ways (`facts/polynode.md` §10).


def test_the_package_gives_up_after_one_reconnect_that_failed(start: Start) -> None:
    gateway, client = start()
    fault = gateway.place("status", at="on request /ws 2", status=503)
    client.subscribe()
    gateway.drop()
    client.wait("error", code="reconnect_failed")

    client.order("tasks")
    left = client.wait("tasks")

    assert fault.fired == 1
    assert not left["connected"]
    assert not [name for name in left["names"] if "reconnect" in name]


def test_the_package_gives_out_an_event_twice_when_it_comes_again_with_more_in_it(
    start: Start,
) -> None:
    gateway, client = start()
    repeated = gateway.place("duplicate", at="before live 1")
    client.subscribe()
    settle(gateway, "0xa1", market_title="Rain")
    settle(gateway, "0xa2", market_title=None)
    settle(gateway, "0xa2", market_title="Rain")
    settle(gateway, "0xa3")

    client.wait("got", tx_hash="0xa3")

    assert repeated.fired == 1
    got = [(line["tx_hash"], line["market_title"]) for line in client.all("got")]
    assert got[:3] == [("0xa1", "Rain"), ("0xa2", None), ("0xa2", "Rain")]


def test_the_package_takes_the_error_of_a_second_subscribe_for_the_firsts(start: Start) -> None:
    gateway, client = start()
    gateway.place("no_ack", at="on subscribe 1")
    client.order("subscribe", name="unanswered", type="settlements")
    gateway.wait_for("subscribe", verdict="unanswered")
    client.order("subscribe", name="wrong", type="settlements", slugs=["no-such-market"])

    refused = client.wait("refused")

    assert (refused["of"], refused["code"]) == ("unanswered", "unresolved_slugs")


def test_the_package_gives_up_a_subscribe_that_nobody_answers_and_does_not_withdraw_it(
    start: Start,
) -> None:
    gateway, client = start(options={"subscribe_timeout": 0.2})
    gateway.place("no_ack", at="on subscribe 1")
    client.order("subscribe", name="one", type="settlements")

    refused = client.wait("refused", of="one")
    client.subscribe("other")

    assert "timed out" in refused["message"]
    assert gateway.truth("unsubscribe") == ()


def test_the_package_tells_a_late_listener_nothing_of_what_came_before(start: Start) -> None:
    gateway, client = start()
    client.subscribe("listened", iterate=False)
    client.subscribe("iterated")
    settle(gateway, "0xa1")
    client.wait("got", of="iterated", tx_hash="0xa1")
    client.order("listen", name="listened")
    client.wait("listening")
    settle(gateway, "0xa2")
    client.wait("heard", tx_hash="0xa2")

    assert [line["tx_hash"] for line in client.all("heard")] == ["0xa2"]
