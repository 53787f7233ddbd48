"""`lastseen gateway --dialect polynode` as a process."""

import json
import subprocess
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from processes import PATIENCE_S, command, environment, fetch
from websockets.sync.client import connect

DEMO_KEY = "pn_live_" + "0" * 32
KEY = "pn_live_ffeeddccbbaa99887766554433221100"


@contextmanager
def running(*arguments: str, key: str | None = None) -> Generator[tuple[Any, dict[str, Any]]]:
    """The process and its ready line."""
    said = {} if key is None else {"LASTSEEN_API_KEY": key}
    process = subprocess.Popen(
        command("gateway", "--dialect", "polynode", "--port", "0", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**said),
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate(timeout=PATIENCE_S)[1]
            yield process, json.loads(line) if "--json" in arguments else {"line": line}
        finally:
            process.kill()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("gateway", "--dialect", "polynode", *arguments),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(),
        check=False,
    )


def test_the_first_line_says_where_everything_is() -> None:
    with running("--json", "--seed", "3") as (_, ready):
        port = ready["port"]

        assert ready == {
            "event": "ready",
            "dialect": "polynode",
            "port": port,
            "ws_url": f"ws://127.0.0.1:{port}/ws",
            "http_url": f"http://127.0.0.1:{port}",
            "control_url": f"http://127.0.0.1:{port}/_lastseen",
            "key": DEMO_KEY,
            "seed": 3,
        }
        assert fetch(f"{ready['control_url']}/health")["dialect"] == "polynode"


@pytest.mark.parametrize("query", ["", "&compress=zlib"])
def test_the_subscribe_of_the_vendors_guide_is_answered(query: str) -> None:
    subscribe = {
        "action": "subscribe",
        "type": "settlements",
        "filters": {"snapshot_count": 100},
    }
    with running("--json", "--rate", "100", "--knob", "block_s=0.1") as (_, ready):
        url = f"{ready['ws_url']}?key={ready['key']}{query}"
        with connect(url, compression=None, open_timeout=20, proxy=None) as client:
            client.send(json.dumps(subscribe))
            kinds: list[tuple[str, type]] = []
            while len({kind for kind, _ in kinds}) < 4:
                data = client.recv(timeout=PATIENCE_S)
                text = data if isinstance(data, str) else zlib.decompress(data, wbits=-15)
                kinds.append((json.loads(text)["type"], type(data)))

    live = bytes if query else str
    assert kinds[:2] == [("subscribed", str), ("snapshot", str)]
    assert set(kinds[2:]) == {("settlement", live), ("status_update", live)}


def test_happenings_follow_and_a_key_of_ones_own_is_never_printed(tmp_path: Path) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text('[[fault]]\nkind = "double_ack"\nat = "on subscribe"\n')
    truth = tmp_path / "truth.jsonl"
    arguments = ("--json", "--faults", str(faults), "--truth", str(truth))
    with running(*arguments, key=KEY) as (process, ready):
        assert ready["key"] == "***"
        with connect(f"{ready['ws_url']}?key={KEY}", open_timeout=20, proxy=None) as client:
            client.send('{"action":"subscribe"}')
            acks = [json.loads(client.recv(timeout=20))["type"] for _ in range(2)]
            client.send('{"action":"unsubscribe"}')
        fetch(f"{ready['control_url']}/restart", b"{}")
        out: list[dict[str, Any]] = []
        while not out or out[-1]["event"] != "restart":
            out.append(json.loads(process.stdout.readline()))
        process.terminate()
        rest, err = process.communicate(timeout=PATIENCE_S)

    assert acks == ["subscribed", "subscribed"]
    events = [each["event"] for each in out]
    assert [event for event in events if event != "closed"] == [
        "connected", "subscribe", "fault", "unsubscribe", "restart",
    ]  # fmt: skip
    assert KEY not in json.dumps(out) + rest + err + truth.read_text()
    assert process.returncode == 0


def test_people_get_lines_to_copy() -> None:
    with running() as (process, first):
        lines = [first["line"]]
        while "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1]

    banner = "".join(lines)
    assert banner.startswith("lastseen gateway: polynode, seed 0, 4/s, no faults\n")
    assert f"LASTSEEN_API_KEY={DEMO_KEY} lastseen tail --dialect polynode ws://127.0.0.1:" in banner
    assert "REST" not in banner
    assert "/_lastseen/truth/state" in banner


def test_its_own_knobs_are_listed() -> None:
    done = run("--knobs")

    assert (done.returncode, done.stderr) == (0, "")
    assert "settlements_per_tx          1" in done.stdout
    assert "resume_window_ms" not in done.stdout


def test_a_profile_of_its_own_is_taken_by_name() -> None:
    with running("--json", "--faults", "hostile") as (_, ready):
        kinds = {each["kind"] for each in fetch(f"{ready['control_url']}/receipts")}

    assert {"bomb", "no_ack", "lose_confirmation"} <= kinds


@pytest.mark.parametrize(
    ("arguments", "trouble"),
    [
        (("--fixtures", "3"), "polynode has no --fixtures"),
        (("--as-of",), "polynode has no --as-of"),
        (("--knob", "heads=global"), "no such knob: heads (knobs: amended, "),
        (("--knob", "order=any"), "order takes ack_first | snapshot_first | live_first, not 'any'"),
        (("--knob", "never=2"), "never must lie between 0 and 1: 2.0"),
        (("--knob", "rate=1", "--rate", "2"), "rate is set twice: --rate and --knob"),
        (("--faults", "no-such-profile"), "(profiles: calm, flaky, hostile, release)"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: tuple[str, ...], trouble: str) -> None:
    done = run("--port", "0", *arguments)

    assert done.returncode == 2
    assert trouble in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_fault_of_another_dialect_is_named_with_its_line(tmp_path: Path) -> None:
    faults = tmp_path / "faults.toml"
    drop = '[[fault]]\nkind = "drop"\nat = "on open"\n'
    faults.write_text(f'{drop}\n[[fault]]\nkind = "stale"\nat = "every 2 requests"\n')

    done = run("--port", "0", "--faults", str(faults))

    assert done.returncode == 2
    assert done.stderr == f"lastseen: {faults}:6: stale is no fault of polynode\n"
