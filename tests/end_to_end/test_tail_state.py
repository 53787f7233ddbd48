"""`lastseen tail --state` as a process: it keeps its place, and says so when it cannot."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from processes import PATIENCE_S, GatewayProcess, command, environment, gateway_process
from state_copy import StateCopy, copy_state, read_state

KEY = "ffeeddccbbaa99887766554433221100"
DEMO_KEY = "0123456789abcdef0123456789abcdef"
HELPERS = Path(__file__).parents[1] / "helpers"
CHANNELS = ("fixtures", "scores", "odds", "bookmakers")
REPLAYED = "fixtures,scores"
"""What the gateway can replay, as the vendor's."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

Line = dict[str, Any]


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with gateway_process("--rate", "60", "--fixtures", "3", "--as-of") as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feed.db"


def tail(gateway: GatewayProcess, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """One that ends by itself."""
    return subprocess.run(
        command("tail", gateway.ready["ws_url"], *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(**env),
        check=False,
    )


@contextmanager
def running(
    gateway: GatewayProcess, *arguments: str, **env: str
) -> Iterator[subprocess.Popen[str]]:
    """One that is told when to end."""
    process = subprocess.Popen(
        command("tail", gateway.ready["ws_url"], *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**env),
    )
    # Reading its lines has no timeout of its own.
    watchdog = threading.Timer(PATIENCE_S, process.kill)
    watchdog.daemon = True
    watchdog.start()
    with process:
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def parsed(text: str) -> list[Line]:
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]


def read_until(process: subprocess.Popen[str], event: str, **members: Any) -> list[Line]:
    """Lines up to one with this event and these members."""
    assert process.stdout is not None
    seen: list[Line] = []
    for line in process.stdout:
        seen += parsed(line)
        if seen[-1].get("event") == event and members.items() <= seen[-1].items():
            return seen
    raise AssertionError(f"ended without {event}: {seen[-3:]}")


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[list[Line], str]:
    """Tells it to end; returns its last lines and what it says on standard error."""
    assert process.stdout is not None
    assert process.stderr is not None
    process.send_signal(number)
    # Not `communicate`, which knows nothing of what was read ahead with the last line.
    out, err = process.stdout.read(), process.stderr.read()
    process.wait(PATIENCE_S)
    return parsed(out), err


def held(path: Path, folder: str = "copy") -> StateCopy:
    return read_state(copy_state(path, path.parent / folder))


def keep(gateway: GatewayProcess, path: Path, *arguments: str) -> StateCopy:
    """Lets one come far enough to have a place, end well, and returns what it left."""
    with running(gateway, "--state", str(path), "--report", *arguments) as process:
        read_until(process, "status", channel="scores", state="synced")
        read_until(process, "applied", channel="scores")
        _, err = end(process)
    assert (process.returncode, err) == (0, "")
    return held(path, "kept")


def files(path: Path) -> set[str]:
    return {each.name for each in path.parent.iterdir() if each.is_file()}


def test_the_lines_say_where_it_starts_and_what_has_become_durable(
    gateway: GatewayProcess, path: Path
) -> None:
    kept = keep(gateway, path, "--channels", REPLAYED)
    with running(gateway, "--state", str(path), "--json", "--channels", REPLAYED) as process:
        first, *_, committed = read_until(process, "committed")
        end(process)

    assert first == {
        "event": "restored",
        "file": str(path),
        "epoch": kept.epoch,
        "cursors": kept.cursors,
        "units": len(kept.units),
    }
    assert set(kept.cursors) == {"fixtures", "scores"}
    assert committed.keys() == {"event", "epoch", "cursors"}
    assert committed["cursors"].keys() == kept.cursors.keys()
    assert committed["cursors"] != kept.cursors


def test_people_read_from_where_it_goes_on(gateway: GatewayProcess, path: Path) -> None:
    arguments = ("--state", str(path), "--channels", REPLAYED, "--until-synced")
    first, second = tail(gateway, *arguments), tail(gateway, *arguments)

    assert first.stdout.splitlines()[0] == f"state {path}: starts cold"
    assert second.stdout.splitlines()[0].startswith(f"state {path}: ")
    assert " units, resuming from fixtures " in second.stdout.splitlines()[0]
    assert ", resuming fixtures, scores" in second.stdout
    assert first.stderr == second.stderr == ""


def test_a_stream_goes_on_from_its_token_which_nobody_gets_to_read(path: Path) -> None:
    arguments = ("--dialect", "polymarket-us", "--state", str(path), "--until-synced")
    with gateway_process("--dialect", "polymarket-us", "--rate", "60") as gateway:
        url = gateway.ready["http_url"]
        runs = [
            subprocess.run(
                command("tail", url, *arguments, *form),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                env=environment(),
                check=True,
            )
            for form in ((), (), ("--json",))
        ]
    first, second, third = (run.stdout.splitlines() for run in runs)

    assert first[0] == f"state {path}: starts cold"
    assert second[0].endswith(" units, resuming from a token of orders")
    restored = json.loads(third[0])
    assert (restored["cursors"], restored["tokens"]) == ({}, ["orders"])
    assert restored["units"] > 0
    kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    tokens = set(re.findall(r'"tokens":{"orders":"([^"]+)"}', kept.decode("latin-1")))
    assert tokens
    said = "".join(run.stdout for run in runs)
    assert not [token for token in tokens if token in said]


def test_a_restart_within_the_window_goes_on_by_replay_without_a_snapshot(
    gateway: GatewayProcess, path: Path
) -> None:
    kept = keep(gateway, path, "--channels", REPLAYED)
    with running(gateway, "--state", str(path), "--report", "--channels", REPLAYED) as process:
        seen = read_until(process, "status", channel="scores", state="synced")
        seen += read_until(process, "applied", src="live")
        end(process)

    sources = [line["src"] for line in seen if line.get("event") == "applied"]
    assert "replay" in sources
    assert "snapshot_applied" not in {line.get("event") for line in seen}
    records = last_connection(gateway)
    assert records[0]["login"]["lastSeenId"] == kept.cursors, seen
    assert "request" not in {record["kind"] for record in records}
    assert {"type": "resume_complete", "serverEpoch": kept.epoch} in [
        record.get("frame") for record in records
    ]


def last_connection(gateway: GatewayProcess) -> list[Line]:
    """The truth from the last login on."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{gateway.ready['control_url']}/truth", timeout=PATIENCE_S) as answer:
        records = parsed(answer.read().decode())
    start = max(n for n, record in enumerate(records) if record["kind"] == "login")
    return records[start:]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_everything_that_was_printed_is_durable_once_it_has_ended(
    gateway: GatewayProcess, path: Path, number: int, code: int
) -> None:
    applied: dict[str, str] = {}
    with running(gateway, "--state", str(path), "--report") as process:
        seen: list[Line] = []
        waiting = set(CHANNELS)
        while waiting:
            seen += read_until(process, "status", state="synced")
            waiting.discard(seen[-1]["channel"])
        for channel in CHANNELS:
            seen += read_until(process, "applied", channel=channel)
        rest, err = end(process, number)
    for line in seen + rest:
        if line.get("event") == "applied":
            applied[line["channel"]] = line["id"]
    state = held(path)

    assert (process.returncode, err) == (code, "")
    assert state.cursors == applied
    # Nothing of it is left in a log that would have to be recovered.
    assert files(path) == {"feed.db"}


def test_a_second_process_on_the_same_file_is_refused_and_disturbs_nobody(
    gateway: GatewayProcess, path: Path
) -> None:
    with running(gateway, "--state", str(path), "--report") as process:
        read_until(process, "committed")
        second = tail(gateway, "--state", str(path), "--json", "--for", "5")
        read_until(process, "committed")
        _, err = end(process)

    assert (second.returncode, second.stdout) == (5, "")
    assert second.stderr == f"lastseen: {path} is in use by another process\n"
    assert (process.returncode, err) == (0, "")
    assert files(path) == {"feed.db"}


def test_the_file_of_another_subscription_is_set_aside(gateway: GatewayProcess, path: Path) -> None:
    kept = keep(gateway, path)
    done = tail(gateway, "--state", str(path), "--json", "--channels", "scores", "--for", "1")
    aside = path.with_name("feed.db.set-aside-1")

    assert done.returncode == 0
    assert done.stderr == (
        f"lastseen: {path} belongs to another subscription: moved to {aside}, starting cold\n"
    )
    assert parsed(done.stdout)[0]["cursors"] == {}
    assert held(aside, "aside") == kept


def test_the_file_of_another_endpoint_is_set_aside(gateway: GatewayProcess, path: Path) -> None:
    kept = keep(gateway, path)
    with gateway_process("--rate", "20", "--fixtures", "1") as other:
        done = tail(other, "--state", str(path), "--quiet", "--for", "0.5")
    aside = path.with_name("feed.db.set-aside-1")

    assert (done.returncode, done.stdout) == (0, "")
    assert "belongs to another endpoint: moved to" in done.stderr
    assert held(aside, "aside") == kept


def test_the_file_of_another_account_is_set_aside_and_no_key_is_in_it(
    gateway: GatewayProcess, path: Path
) -> None:
    kept = keep(gateway, path)
    done = tail(gateway, "--state", str(path), "--json", LASTSEEN_API_KEY=KEY)
    first, *others = done.stderr.splitlines()

    assert done.returncode == 4
    assert "belongs to another account: moved to" in first
    assert [line.partition(":")[0] for line in others] == ["lastseen"]
    assert held(path.with_name("feed.db.set-aside-1"), "aside") == kept
    said = (done.stdout + done.stderr).encode()
    written = b"".join(each.read_bytes() for each in path.parent.rglob("feed.db*"))
    for key in (KEY, DEMO_KEY):
        assert key.encode() not in said
        for spelled in (key.encode(), bytes.fromhex(key), key.upper().encode()):
            assert spelled not in written


@pytest.mark.parametrize("garbage", [b"once upon a time\n" * 99, bytes(4096)])
def test_what_is_no_state_file_is_set_aside(
    gateway: GatewayProcess, path: Path, garbage: bytes
) -> None:
    path.write_bytes(garbage)
    done = tail(gateway, "--state", str(path), "--report", "--until-synced")

    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "starting cold" in done.stderr
    assert path.with_name("feed.db.set-aside-1").read_bytes() == garbage
    assert held(path).epoch is not None


def test_an_empty_file_is_a_new_one(gateway: GatewayProcess, path: Path) -> None:
    path.touch()
    done = tail(gateway, "--state", str(path), "--report", "--until-synced")

    assert (done.returncode, done.stderr) == (0, "")
    assert files(path) == {"feed.db"}


def test_a_folder_that_is_not_there_is_one_line_and_5(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    path = tmp_path / "nowhere" / "feed.db"
    done = tail(gateway, "--state", str(path))

    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == f"lastseen: {path} cannot be opened: there is no {path.parent}\n"


def test_a_folder_in_the_place_of_the_file_is_wrong_usage(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    done = tail(gateway, "--state", str(tmp_path))

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def stall(gateway: GatewayProcess, process: subprocess.Popen[str]) -> list[Line]:
    """Reads up to a commit and then nothing, while more is published than a pipe holds."""
    seen = read_until(process, "committed")
    while "odds" not in seen[-1]["cursors"]:
        seen += read_until(process, "committed")
    for _ in range(100):
        gateway.ask("publish", {"channel": "odds", "count": 20})
    return seen


def test_a_reader_that_stalls_does_not_hold_up_the_end(gateway: GatewayProcess, path: Path) -> None:
    with running(gateway, "--state", str(path), "--json") as process:
        stall(gateway, process)
        process.send_signal(signal.SIGINT)

        assert process.wait(PATIENCE_S) == 130


def test_what_could_not_be_printed_does_not_become_durable(
    gateway: GatewayProcess, path: Path
) -> None:
    """HZ-E12: whoever reads the lines may get some twice, and misses none."""
    with running(gateway, "--state", str(path), "--json") as process:
        seen = stall(gateway, process)
        process.kill()
        out, _ = process.communicate(timeout=PATIENCE_S)
    whole = out[: out.rindex("\n") + 1]
    printed = {line["id"] for line in seen + parsed(whole) if line["event"] == "entry"}

    # What overflowed while nobody read has no cursor, and claims nothing.
    cursor = held(path).cursors.get("odds")
    assert cursor is None or cursor in printed


# Disks that only a process of its own can have.


SCENES = ("full", "read-only")


@pytest.fixture(scope="module", autouse=True)
def scenes(
    gateway: GatewayProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Begun before the other tests: they take their time, and none of it is computing."""
    alone = ["unshare", "--map-root-user", "--mount"]
    probe = [*alone, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path_factory.mktemp("probe"))]
    begun: dict[str, subprocess.Popen[str]] = {}
    with ExitStack() as stack:
        if shutil.which("unshare") and not subprocess.run(probe, capture_output=True).returncode:
            for name in SCENES:
                folder = str(tmp_path_factory.mktemp(name))
                program = [sys.executable, str(HELPERS / "cramped_tail.py"), name, folder]
                process = subprocess.Popen(
                    [*alone, *program, gateway.ready["ws_url"]],
                    env={**environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                begun[name] = stack.enter_context(process)
                stack.callback(process.kill)
        yield begun


def scene(name: str, begun: dict[str, subprocess.Popen[str]]) -> list[Line]:
    if name not in begun:
        pytest.skip("no user namespace to mount in")
    out, err = begun[name].communicate(timeout=2 * PATIENCE_S)
    assert begun[name].returncode == 0, err
    return parsed(out)


AGAIN = {"event": "durability", "durable": True, "detail": ""}
OLDER = "lastseen: …/feed.db is older than what was processed: the last commit failed"


def test_a_full_disk_is_told_and_mends(scenes: dict[str, subprocess.Popen[str]]) -> None:
    full = "…/feed.db cannot be written: the disk is full (SQLITE_FULL)"
    lost = {"event": "durability", "durable": False, "detail": full}
    at_first = f"lastseen: {full}; nothing is kept until that changes"

    first, mended, kept, second, ended, _, committed, well = scene("full", scenes)

    assert (first, mended, second) == (lost, AGAIN, lost)
    assert kept["event"] == committed["event"] == "committed"
    assert ended == {"code": 1, "last": "summary", "err": [at_first, OLDER]}
    assert well == {"code": 0, "last": "summary", "err": []}


def test_a_read_only_disk_is_told_and_mends(scenes: dict[str, subprocess.Popen[str]]) -> None:
    first, mended, ended, restored, second, unwell = scene("read-only", scenes)

    assert [first["durable"], mended["durable"], second["durable"]] == [False, True, False]
    assert "read-only" in first["detail"]
    assert ended["code"] == 0
    assert restored["event"] == "restored"
    assert (unwell["code"], unwell["err"][-1]) == (1, OLDER)
