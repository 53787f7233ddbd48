"""`lastseen tail` as a process, against `lastseen gateway` as another."""

import array
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import Any

import pytest

KEY = "ffeeddccbbaa99887766554433221100"
DEMO_KEY = "0123456789abcdef0123456789abcdef"
PATIENCE_S = 60.0
PIPE_BYTES = 16_384
PROGRAM = (sys.executable, "-c", "from lastseen_simulator.command import main; main()")

fcntl = pytest.importorskip("fcntl", reason="POSIX signals and pipes")
termios = pytest.importorskip("termios", reason="POSIX signals and pipes")


def environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LASTSEEN_")}
    return {**kept, **extra}


def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**env),
    )
    # Reading its lines has no timeout of its own.
    watchdog = threading.Timer(PATIENCE_S, process.kill)
    watchdog.daemon = True
    watchdog.start()
    return process


def tail(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "tail", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(**env),
        check=False,
    )


@contextmanager
def running(*arguments: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    process = start("tail", *arguments, **env)
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def serving(*arguments: str, **env: str) -> Iterator[dict[str, Any]]:
    process = start("gateway", "--json", "--port", "0", "--fixtures", "3", *arguments, **env)
    with process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        # Nobody needs its other lines, but the pipe must not fill up.
        drain = threading.Thread(target=process.stdout.read)
        drain.start()
        try:
            yield ready
        finally:
            process.kill()
            drain.join()


@pytest.fixture
def gateway() -> Iterator[dict[str, Any]]:
    with serving("--rate", "50") as ready:
        yield ready


def post(url: str, body: bytes = b"{}") -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(url, data=body, timeout=20).close()


def lines_until(process: subprocess.Popen[str], event: str, **members: Any) -> list[dict[str, Any]]:
    """Reads lines up to one with this event and these members."""
    assert process.stdout is not None
    seen: list[dict[str, Any]] = []
    for line in process.stdout:
        seen.append(json.loads(line, parse_float=Decimal))
        said = seen[-1]
        if said.get("event") == event and members.items() <= said.items():
            return seen
    raise AssertionError(f"ended without {event}: {seen[-3:]}")


def tell(process: subprocess.Popen[str], command: str) -> None:
    assert process.stdin is not None
    process.stdin.write(command + "\n")
    process.stdin.flush()


def events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_until_synced_says_so_by_its_exit_code(gateway: dict[str, Any]) -> None:
    done = tail(gateway["ws_url"], "--until-synced", "--quiet")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_people_read_what_became_of_each_channel(gateway: dict[str, Any]) -> None:
    done = tail(gateway["ws_url"], "--until-synced")

    assert done.returncode == 0
    assert "connection 1 logged in, epoch " in done.stdout
    for channel in ("fixtures", "scores", "odds", "bookmakers"):
        assert f"{channel} synced (unproven)" in done.stdout
    assert "\x1b" not in done.stdout


def test_json_is_one_object_a_line_and_the_summary_is_last(gateway: dict[str, Any]) -> None:
    done = tail(gateway["ws_url"], "--for", "2", "--json")
    seen = events(done.stdout)

    assert done.returncode == 0
    assert seen[0]["event"] == "logged_in"
    kinds = {event["event"] for event in seen}
    assert {"entry", "snapshot_applied", "status", "disconnected", "stopped"} <= kinds
    assert seen[-1]["event"] == "summary"
    odds = seen[-1]["channels"]["odds"]
    assert odds["state"] == "synced"
    applied = [e for e in seen if e["event"] == "entry" and e["channel"] == "odds"]
    assert odds["counters"]["applied"] == len(applied)
    assert applied[0]["payload"]["fixtureId"] == applied[0]["entity"]


def test_the_environment_says_where_and_what() -> None:
    with serving(LASTSEEN_API_KEY=KEY) as ready:
        done = tail(
            "--until-synced",
            "--json",
            LASTSEEN_WS_URL=ready["ws_url"],
            LASTSEEN_HTTP_URL=ready["http_url"],
            LASTSEEN_CHANNELS="scores",
            LASTSEEN_API_KEY=KEY,
        )

    assert done.returncode == 0
    assert list(events(done.stdout)[-1]["channels"]) == ["scores"]
    assert KEY not in done.stdout + done.stderr


def test_filters_narrow_what_is_followed(gateway: dict[str, Any]) -> None:
    done = tail(
        gateway["ws_url"],
        *("--until-synced", "--json", "--channels", "odds", "--sports", "10"),
        *("--bookmakers", "pinnacle", "--receive-type", "binary", "--connection-limit", "1"),
    )

    assert done.returncode == 0
    assert list(events(done.stdout)[-1]["channels"]) == ["odds"]


def test_a_report_starts_with_its_schema_and_obeys_state_and_stop(
    gateway: dict[str, Any],
) -> None:
    with running(gateway["ws_url"], "--report") as process:
        seen = lines_until(process, "status", channel="odds", state="synced")
        tell(process, "state")
        state = lines_until(process, "state")[-1]["state"]
        lines_until(process, "applied")
        tell(process, "stop")
        rest, err = process.communicate(timeout=PATIENCE_S)

    assert seen[0] == {"schema": "lastseen.report/1"}
    assert {"event", "channel", "rows"} <= next(
        line for line in seen if line.get("event") == "snapshot_applied"
    ).keys()
    prices = [value["price"] for key, value in state.items() if key.startswith("odds/")]
    assert prices
    assert (process.returncode, err) == (0, "")
    assert all(json.loads(line)["event"] != "summary" for line in rest.splitlines())


def test_a_report_names_the_epoch_and_the_source_of_what_it_applied() -> None:
    with serving("--rate", "100") as ready, running(ready["ws_url"], "--report") as process:
        seen = lines_until(process, "status", channel="fixtures", state="synced")
        seen = lines_until(process, "applied", channel="fixtures")
        post(f"{ready['control_url']}/drop")
        seen += lines_until(process, "status", channel="fixtures", state="resuming")
        seen += lines_until(process, "status", channel="fixtures", state="synced")

    epochs = {line["epoch"] for line in seen if line["event"] == "applied"}
    assert len(epochs) == 1
    assert all(line["src"] in ("live", "replay") for line in seen if line["event"] == "applied")


def test_ctrl_c_ends_it_with_130_and_a_summary(gateway: dict[str, Any]) -> None:
    with running(gateway["ws_url"], "--json") as process:
        lines_until(process, "logged_in")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, err) == (130, "")
    assert events(out)[-1]["event"] == "summary"


def test_sigterm_ends_it_with_0(gateway: dict[str, Any]) -> None:
    with running(gateway["ws_url"], "--json") as process:
        lines_until(process, "logged_in")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, err) == (0, "")


def test_a_reader_that_goes_away_ends_it_without_a_word(gateway: dict[str, Any]) -> None:
    with running(gateway["ws_url"], "--json") as process:
        lines_until(process, "logged_in")
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        process.wait(PATIENCE_S)

    assert err == ""


def queued_bytes(process: subprocess.Popen[str]) -> int:
    """How much of its output the pipe holds."""
    assert process.stdout is not None
    count = array.array("i", [0])
    fcntl.ioctl(process.stdout, termios.FIONREAD, count)
    return count[0]


def test_a_reader_that_stalls_holds_up_neither_the_feed_nor_its_end() -> None:
    with serving("--rate", "2000") as ready, running(ready["ws_url"], "--json") as process:
        lines_until(process, "logged_in")
        before = -1
        # Full is where it grows no more, however much is published.
        while (count := queued_bytes(process)) < PIPE_BYTES or count != before:
            before = count
            for _ in range(50):
                post(f"{ready['control_url']}/publish", b'{"channel": "odds"}')
        process.send_signal(signal.SIGINT)

        assert process.wait(PATIENCE_S) == 130


def test_nobody_there_is_one_line_and_3() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    done = tail(f"ws://127.0.0.1:{port}/ws?token={KEY}", "--attempts", "2", "--quiet")

    assert done.returncode == 3
    assert done.stderr == f"lastseen: cannot reach ws://127.0.0.1:{port}/ws: connection refused\n"


def test_something_that_is_no_websocket_is_3(gateway: dict[str, Any]) -> None:
    done = tail(f"ws://127.0.0.1:{gateway['port']}/no/such/path", "--quiet")

    assert done.returncode == 3
    assert done.stderr.startswith("lastseen: cannot reach ws://127.0.0.1:")
    assert done.stderr.endswith("upgrade refused with HTTP 404\n")


def test_a_name_that_does_not_resolve_is_3() -> None:
    done = tail("ws://no-such-name.invalid/ws", "--attempts", "1", "--quiet", LASTSEEN_API_KEY=KEY)

    assert done.returncode == 3
    assert "name not resolved" in done.stderr


def test_a_wrong_key_is_one_line_and_4_and_is_never_printed(gateway: dict[str, Any]) -> None:
    done = tail(gateway["ws_url"], "--json", LASTSEEN_API_KEY=KEY)

    assert done.returncode == 4
    assert done.stderr.startswith("lastseen: rejected by the gateway: login_failed")
    assert done.stderr.count("\n") == 1
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize("path", ["/ws", "/no/such/path"])
def test_the_summary_is_last_also_when_it_gives_up(gateway: dict[str, Any], path: str) -> None:
    url = f"ws://127.0.0.1:{gateway['port']}{path}"
    done = tail(url, "--json", "--attempts", "1", LASTSEEN_API_KEY=KEY)

    assert done.returncode in (3, 4)
    assert [each["event"] for each in events(done.stdout)].index("summary") > 0
    assert events(done.stdout)[-1]["event"] == "summary"


def test_a_key_that_comes_back_as_data_is_not_printed() -> None:
    with (
        serving("--rate", "0", LASTSEEN_API_KEY=KEY) as ready,
        running(ready["ws_url"], "--json", LASTSEEN_API_KEY=KEY) as process,
    ):
        lines_until(process, "status", channel="fixtures", state="synced")
        payload = {"fixtureId": "id1000000000000001", "sport": {"sportId": 10}, "note": KEY}
        body = {"channel": "fixtures", "payload": payload}
        post(f"{ready['control_url']}/publish", json.dumps(body).encode())

        assert lines_until(process, "entry")[-1]["payload"]["note"] == "***"


def test_once_logged_in_it_does_not_give_up() -> None:
    with serving() as ready, running(ready["ws_url"], "--json", "--attempts", "1") as process:
        lines_until(process, "logged_in")
        for number in (2, 3):
            post(f"{ready['control_url']}/drop")
            lines_until(process, "logged_in", connection=number)


def test_a_key_is_needed_for_a_feed_elsewhere() -> None:
    done = tail("wss://feed.invalid/ws")

    assert done.returncode == 2
    assert done.stderr == "lastseen: set LASTSEEN_API_KEY to the key of this feed\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("http://127.0.0.1/",),
        ("ws://user:secret@127.0.0.1/",),
        ("ws://127.0.0.1/", "--json", "--report"),
        ("ws://127.0.0.1/", "--sports", "soccer"),
        ("ws://127.0.0.1/", "--channels", ","),
        ("ws://127.0.0.1/", "--receive-type", "xml"),
        ("ws://127.0.0.1/", "--for", "0"),
        ("ws://127.0.0.1/", "--for", "nan"),
        ("ws://127.0.0.1/", "--rest", "ftp://127.0.0.1/"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: tuple[str, ...]) -> None:
    done = tail(*arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("lastseen: ")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


def test_an_end_before_everything_is_synced_is_1() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/ws"
        done = tail(url, "--until-synced", "--for", "0.2", "--quiet")

    assert done.returncode == 1
    assert done.stderr == "lastseen: ended before every channel was synced\n"


def test_help_documents_the_events() -> None:
    done = tail("--help")

    assert done.returncode == 0
    for word in ("snapshot_applied", "retry_in_s", "LASTSEEN_API_KEY", "Exit codes"):
        assert word in done.stdout
