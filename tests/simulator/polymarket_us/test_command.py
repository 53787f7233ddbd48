"""`lastseen gateway --dialect polymarket-us` as a process."""

import json
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from body_readers import HandClient
from processes import PATIENCE_S, command, environment, fetch

DEMO_KEY = "demo-" + "0" * 27
KEY = "a-secret-of-ones-own"
ORDERS = "/v1/orders/subscribe"


@contextmanager
def running(*arguments: str, key: str | None = None) -> Generator[tuple[Any, dict[str, Any]]]:
    """The process and its ready line."""
    said = {} if key is None else {"LASTSEEN_API_KEY": key}
    process = subprocess.Popen(
        command("gateway", "--dialect", "polymarket-us", "--port", "0", *arguments),
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
        command("gateway", "--dialect", "polymarket-us", *arguments),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(),
        check=False,
    )


@contextmanager
def curl(*arguments: str) -> Generator[Any]:
    """The lines that curl writes as they come."""
    with subprocess.Popen(["curl", "-sSN", *arguments], stdout=subprocess.PIPE, text=True) as one:
        try:
            yield one.stdout
        finally:
            one.kill()


def test_the_first_line_says_where_everything_is() -> None:
    with running("--json", "--seed", "3") as (_, ready):
        port = ready["port"]

        assert ready == {
            "event": "ready",
            "dialect": "polymarket-us",
            "port": port,
            "http_url": f"http://127.0.0.1:{port}",
            "control_url": f"http://127.0.0.1:{port}/_lastseen",
            "key": DEMO_KEY,
            "seed": 3,
        }
        assert fetch(f"{ready['control_url']}/health")["dialect"] == "polymarket-us"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_curl_sees_a_snapshot_first_then_live_lines_and_goes_on_from_a_token() -> None:
    with running("--json", "--rate", "100") as (_, ready):
        url = f"{ready['http_url']}{ORDERS}"
        with curl("-X", "POST", url, "-d", '{"accountId":"acct-demo"}') as lines:
            first, second, third = (json.loads(lines.readline())["result"] for _ in range(3))
        assert first["snapshot"]["orders"]
        assert "update" in second
        body = json.dumps({"accountId": "acct-demo", "resumeToken": second["resumeToken"]})
        with curl("-X", "POST", url, "-d", body) as lines:
            assert json.loads(lines.readline())["result"]["update"] == third["update"]


def test_happenings_follow_and_a_secret_of_ones_own_is_never_printed(tmp_path: Path) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text('[[fault]]\nkind = "snapshot"\nat = "on open"\n')
    truth = tmp_path / "truth.jsonl"
    arguments = ("--json", "--faults", str(faults), "--truth", str(truth))
    with running(*arguments, key=KEY) as (process, ready):
        assert ready["key"] == "***"
        form = f"grant_type=client_credentials&client_secret={KEY}".encode()
        token = fetch(f"{ready['http_url']}/oauth/token", form)["access_token"]
        with HandClient(ready["port"], ORDERS, {}) as client:
            assert len(client.records(2)) == 2
        fetch(f"{ready['control_url']}/restart", b"{}")
        out: list[dict[str, Any]] = []
        while not out or out[-1]["event"] != "restart":
            out.append(json.loads(process.stdout.readline()))
        process.terminate()
        rest, err = process.communicate(timeout=PATIENCE_S)

    events = [each["event"] for each in out]
    assert [event for event in events if event != "closed"] == [
        "stream", "connected", "fault", "restart",
    ]  # fmt: skip
    told = json.dumps(out) + rest + err + truth.read_text()
    assert KEY not in told
    assert token not in told
    assert process.returncode == 0


def test_people_get_lines_to_copy() -> None:
    with running() as (process, first):
        lines = [first["line"]]
        while "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1]

    banner = "".join(lines)
    assert banner.startswith("lastseen gateway: polymarket-us, seed 0, 4/s, no faults\n")
    assert "curl -N -X POST http://127.0.0.1:" in banner
    assert "WebSocket" not in banner


def test_its_own_knobs_are_listed() -> None:
    done = run("--knobs")

    assert (done.returncode, done.stderr) == (0, "")
    assert "held_bytes                  0" in done.stdout
    assert "resume_window_ms" not in done.stdout


def test_a_profile_of_its_own_is_taken_by_name() -> None:
    with running("--json", "--faults", "hostile") as (_, ready):
        kinds = {each["kind"] for each in fetch(f"{ready['control_url']}/receipts")}

    assert {"garbage", "no_snapshot", "split"} <= kinds


@pytest.mark.parametrize(
    ("arguments", "trouble"),
    [
        (("--fixtures", "3"), "polymarket-us has no --fixtures"),
        (("--knob", "heads=global"), "no such knob: heads (knobs: auth, "),
        (("--knob", "page=z"), "page takes a | b | c, not 'z'"),
        (("--knob", "busts=2"), "busts must lie between 0 and 1: 2.0"),
        (("--faults", "no-such-profile"), "(profiles: calm, flaky, hostile, release)"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: tuple[str, ...], trouble: str) -> None:
    done = run("--port", "0", *arguments)

    assert done.returncode == 2
    assert trouble in done.stderr
    assert done.stderr.count("\n") == 1
