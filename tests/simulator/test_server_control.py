"""The control API, as a test in another language would use it."""

import http.client
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, closing
from typing import Any

import attrs
import pytest
import trio
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from lastseen_simulator.channels import STATEFUL_CHANNELS
from lastseen_simulator.gateway.core import DEMO_KEY, GatewayOptions
from lastseen_simulator.gateway.options import SERVED_CHANNELS
from lastseen_simulator.server import GatewayServer, open_gateway


@attrs.frozen
class Control:
    """The API of one server."""

    server: GatewayServer

    async def get(self, path: str) -> tuple[int, Any]:
        return await self.call("GET", path)

    async def post(self, path: str, body: Mapping[str, Any] | str | bytes = b"") -> tuple[int, Any]:
        data = json.dumps(body) if isinstance(body, Mapping) else body
        return await self.call("POST", path, data)

    async def call(self, method: str, path: str, body: str | bytes = b"") -> tuple[int, Any]:
        status, text = await trio.to_thread.run_sync(self._call, method, path, body)
        return status, json.loads(text)

    def _call(self, method: str, path: str, body: str | bytes) -> tuple[int, bytes]:
        with closing(
            http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        ) as client:
            client.request(method, f"/_lastseen/{path}", body=body)
            response = client.getresponse()
            return response.status, response.read()

    async def text(self, path: str) -> str:
        _, text = await trio.to_thread.run_sync(self._call, "GET", path, b"")
        return text.decode()


@asynccontextmanager
async def controlled(**options: Any) -> AsyncGenerator[Control]:
    async with open_gateway(GatewayOptions(rate=0.0, **options)) as server:
        yield Control(server)


async def test_health_says_what_is_running() -> None:
    async with controlled() as control:
        status, body = await control.get("health")

    assert status == 200
    assert (body["status"], body["dialect"], body["seed"]) == ("ok", "oddspapi", 0)


async def test_publish_returns_ids_that_are_in_the_truth_log() -> None:
    async with controlled() as control:
        status, body = await control.post("publish", {"channel": "scores", "count": 3})
        records = [json.loads(line) for line in (await control.text("truth")).splitlines()]

    assert status == 200
    assert len(set(body["entryIds"])) == 3
    assert body["entryId"] == body["entryIds"][-1]
    published = [record["entryId"] for record in records if record["kind"] == "entry"]
    assert published == body["entryIds"]


@pytest.mark.parametrize("channel", SERVED_CHANNELS)
async def test_every_channel_can_be_published_on_with_and_without_a_payload(channel: str) -> None:
    odd = {"fixtureId": None, channel: [1, {"x": None}]}
    async with controlled() as control:
        made = await control.post("publish", {"channel": channel})
        scripted = await control.post("publish", {"channel": channel, "payload": odd})
        records = [json.loads(line) for line in (await control.text("truth")).splitlines()]

    assert made[0] == scripted[0] == 200
    entries = {each["entryId"]: each for each in records if each["kind"] == "entry"}
    assert entries[made[1]["entryId"]]["channel"] == channel
    assert entries[scripted[1]["entryId"]]["payload"] == odd


async def test_a_payload_of_ones_own_is_published_as_it_is() -> None:
    payload = {"fixtureId": "f-1", "scores": {"p1": {"period": "p1", "participant1Score": 9}}}
    async with controlled() as control:
        await control.post("publish", {"channel": "scores", "payload": payload})
        state = control.server.truth_state(channels=["scores"])

    assert state["scores/f-1/p1"] == payload["scores"]["p1"]  # type: ignore[index]


async def test_the_state_is_restricted_by_every_filter() -> None:
    async with controlled() as control:
        _, everything = await control.get("truth/state")
        _, fixtures = await control.get("truth/state?channels=fixtures")
        _, soccer = await control.get("truth/state?channels=fixtures&sportIds=10")
        _, one_book = await control.get("truth/state?channels=odds,bookmakers&bookmakers=stake")
        future_id = next(key for key in everything if key.startswith("futures/")).split("/")[1]
        _, one_future = await control.get(f"truth/state?channels=oddsFutures&futureIds={future_id}")

    assert {key.split("/")[0] for key in everything} == set(STATEFUL_CHANNELS)
    assert {key.split("/")[1] for key in one_future} == {future_id}
    assert {key.split("/")[0] for key in fixtures} == {"fixtures"}
    assert {value["sport"]["sportId"] for value in soccer.values()} == {10}
    assert {key.split("/")[2] for key in one_book} == {"stake"}


async def test_faults_are_placed_as_json_or_toml_and_listed_with_their_receipts() -> None:
    drop = '[[fault]]\nkind = "drop"\nat = "after data 7"\n'
    reset = '[[fault]]\nkind = "reset"\nat = "on open"\n'
    async with controlled() as control:
        _, first = await control.post("faults", {"kind": "close", "at": "on login", "code": 1011})
        _, others = await control.post("faults", drop + reset)
        _, receipts = await control.get("receipts")

    assert first["id"] == first["ids"][0]
    assert len(others["ids"]) == 2
    assert [receipt["fault_id"] for receipt in receipts] == first["ids"] + others["ids"]
    assert [receipt["kind"] for receipt in receipts] == ["close", "drop", "reset"]
    assert all(receipt["fired"] == 0 for receipt in receipts)


async def test_connections_are_listed_and_dropped_by_number() -> None:
    async with controlled() as control:

        def talk() -> None:
            with connect(control.server.ws_url, proxy=None) as client:
                client.send(json.dumps({"type": "login", "apiKey": DEMO_KEY}))
                client.recv(timeout=20)
                _, listed = trio.from_thread.run(control.get, "connections")
                assert [each["connection"] for each in listed] == [1]
                status, _ = trio.from_thread.run(control.post, "drop", {"connection": 1})
                assert status == 200
                with pytest.raises(ConnectionClosedError) as caught:
                    read_to_end(client)
                assert caught.value.rcvd is None

        await trio.to_thread.run_sync(talk)


def read_to_end(client: ClientConnection) -> None:
    """Reads until the connection is lost without a close frame."""
    while True:
        client.recv(timeout=20)


async def test_restart_pause_resume_and_reconnect_are_accepted_without_a_body() -> None:
    async with controlled() as control:
        for name in ("restart", "pause", "resume", "reconnect", "drop"):
            status, _ = await control.post(name)
            assert (name, status) == (name, 200)


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("publish", "{", "bad body"),
        ("publish", "{}", "channel"),
        ("publish", '{"channel": "scores", "cuont": 2}', "cuont"),
        ("publish", '{"channel": "scores", "count": 0}', "count"),
        ("publish", '{"channel": "no-such"}', "no-such"),
        ("publish", '{"channel": "odds", "payload": [1]}', "payload"),
        ("restart", '{"announce": 1}', "announce"),
        ("drop", '{"connection": 7}', "no open connection 7"),
        ("reconnect", '{"grace_s": -1}', "grace_s"),
        ("faults", "", "no fault"),
        ("faults", '{"kind": "no-such", "at": "on open"}', "no-such"),
        ("faults", '{"kind": "drop"', "not a JSON object"),
        ("faults", '[[fault]]\nkind = "drop"\nat = "someday"', "3: "),
        ("faults", b"\xff", "UTF-8"),
    ],
)
async def test_a_wrong_request_gets_one_line_that_names_what_is_wrong(
    path: str, body: str | bytes, says: str
) -> None:
    async with controlled() as control:
        status, answer = await control.post(path, body)

    assert status == 400
    assert answer["error"] == 400
    assert says in answer["message"]
    assert "\n" not in answer["message"]


async def test_an_unknown_endpoint_is_404_and_lists_the_known_ones() -> None:
    async with controlled() as control:
        status, answer = await control.get("nothing-here")

    assert status == 404
    assert "truth/state" in answer["message"]


async def test_the_wrong_method_is_405() -> None:
    async with controlled() as control:
        assert (await control.get("publish"))[0] == 405
        assert (await control.post("health"))[0] == 405


@pytest.mark.parametrize("query", ["sportIds=ten", "colour=red"])
async def test_a_wrong_filter_is_400(query: str) -> None:
    async with controlled() as control:
        status, _ = await control.get(f"truth/state?{query}")

    assert status == 400


async def test_no_key_ever_comes_out() -> None:
    async with controlled() as control:

        def talk() -> None:
            with connect(control.server.ws_url, proxy=None) as client:
                client.send(json.dumps({"type": "login", "apiKey": DEMO_KEY}))
                client.recv(timeout=20)

        await trio.to_thread.run_sync(talk)
        await control.call("GET", f"../en/fixtures?sportId=10&apiKey={DEMO_KEY}")
        texts = [await control.text(path) for path in ("truth", "connections", "receipts")]

    assert "login" in texts[0]
    assert all(DEMO_KEY not in text for text in texts)
