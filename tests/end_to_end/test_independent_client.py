"""Clients that have never heard of this project: a WebSocket library, an HTTP library, curl."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError

import msgspec
import pytest
from processes import PATIENCE_S, GatewayProcess, environment, fetch, gateway_process
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

CHANNELS = ["fixtures", "scores", "odds", "bookmakers"]


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with gateway_process("--dialect", "oddspapi", "--rate", "100") as running:
        yield running


def dial(gateway: GatewayProcess) -> ClientConnection:
    return connect(gateway.ready["ws_url"], open_timeout=PATIENCE_S, proxy=None)


def log_in(client: ClientConnection, gateway: GatewayProcess, **members: Any) -> dict[str, Any]:
    login = {"type": "login", "apiKey": gateway.ready["key"], "channels": CHANNELS, **members}
    client.send(json.dumps(login))
    answer: dict[str, Any] = json.loads(client.recv(timeout=PATIENCE_S))
    return answer


def test_the_ready_line_is_all_that_a_client_needs_to_log_in(gateway: GatewayProcess) -> None:
    with dial(gateway) as client:
        answer = log_in(client, gateway, sportIds=[10])

    assert gateway.ready["event"] == "ready"
    assert gateway.ready["ws_url"] == f"ws://127.0.0.1:{gateway.port}/ws"
    assert answer["type"] == "login_ok"
    assert sorted(answer["channels"]) == sorted(CHANNELS)
    assert answer["resume"]["replayChannels"] == ["fixtures", "scores"]


def test_updates_follow_the_login(gateway: GatewayProcess) -> None:
    with dial(gateway) as client:
        log_in(client, gateway)
        updates = [json.loads(client.recv(timeout=PATIENCE_S)) for _ in range(30)]

    heads: dict[str, int] = {}
    for update in updates:
        assert update["type"] == "UPDATE"
        ts, seq = map(int, update["entryId"].split("-"))
        assert ts == update["ts"]
        assert seq > heads.get(update["channel"], 0)
        heads[update["channel"]] = seq
        assert update["payload"]["fixtureId"]
    assert heads.keys() <= set(CHANNELS)


def test_binary_updates_are_messagepack_and_control_frames_stay_text(
    gateway: GatewayProcess,
) -> None:
    with dial(gateway) as client:
        answer = log_in(client, gateway, receiveType="binary")
        frames = [client.recv(timeout=PATIENCE_S) for _ in range(10)]

    assert answer["receiveType"] == "binary"
    for frame in frames:
        assert isinstance(frame, bytes)
        assert msgspec.msgpack.decode(frame)["channel"] in CHANNELS


def test_what_was_missed_during_a_drop_is_replayed(gateway: GatewayProcess) -> None:
    with dial(gateway) as client:
        epoch = log_in(client, gateway, channels=["scores"])["resume"]["serverEpoch"]
        gateway.ask("publish", {"channel": "scores"})
        cursor = json.loads(client.recv(timeout=PATIENCE_S))["entryId"]
        gateway.ask("drop", {})
        with suppress(ConnectionClosed):
            while True:
                cursor = json.loads(client.recv(timeout=PATIENCE_S))["entryId"]
    missed = gateway.ask("publish", {"channel": "scores", "count": 3})["entryIds"]
    with dial(gateway) as client:
        resume = {"serverEpoch": epoch, "lastSeenId": {"scores": cursor}}
        assert log_in(client, gateway, channels=["scores"], **resume)["type"] == "login_ok"
        frames: list[dict[str, Any]] = []
        while not frames or frames[-1]["type"] != "resume_complete":
            frames.append(json.loads(client.recv(timeout=PATIENCE_S)))

    assert frames[-1]["serverEpoch"] == epoch
    replayed = [frame["entryId"] for frame in frames[:-1]]
    assert [entry_id for entry_id in replayed if entry_id in missed] == missed
    assert cursor not in replayed


def test_a_snapshot_comes_by_http(gateway: GatewayProcess) -> None:
    base, key = gateway.ready["rest_url"], gateway.ready["key"]

    fixtures = fetch(f"{base}/fixtures?apiKey={key}&sportId=10")
    odds = fetch(f"{base}/fixtures/odds?apiKey={key}&fixtureId={fixtures[0]['fixtureId']}")

    assert fixtures
    assert {fixture["sport"]["sportId"] for fixture in fixtures} == {10}
    assert odds["fixtureId"] == fixtures[0]["fixtureId"]
    assert odds["bookmakers"]


def test_a_wrong_key_is_told_so_by_http(gateway: GatewayProcess) -> None:
    with pytest.raises(HTTPError) as refusal:
        fetch(f"{gateway.ready['rest_url']}/fixtures?apiKey=nonsense&sportId=10")

    with refusal.value as answer:
        assert (answer.code, json.loads(answer.read())["code"]) == (401, "invalid_api_key")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_gets_a_snapshot(gateway: GatewayProcess) -> None:
    base, key = gateway.ready["rest_url"], gateway.ready["key"]
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", f"{base}/fixtures?sportId=10&apiKey={key}"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(),
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)
