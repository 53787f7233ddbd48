"""`lastseen gateway` as a process: what it prints, how it ends, and what it refuses."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from websockets.sync.client import connect

KEY = "ffeeddccbbaa99887766554433221100"
DEMO_KEY = "0123456789abcdef0123456789abcdef"
PATIENCE_S = 60.0
DROP = '[[fault]]\nkind = "drop"\nat = "after data 7"\n'

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LASTSEEN_")}
    return {**kept, **extra}


def lastseen(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from lastseen_simulator.command import main; main()", *arguments]


def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        lastseen(*arguments),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(**(env or {})),
        check=False,
    )


@attrs.define(eq=False)
class Running:
    """A gateway process that has said it is ready."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    def happening(self, event: str) -> dict[str, Any]:
        """Reads happenings up to the next of this name."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            happening: dict[str, Any] = json.loads(line)
            if happening["event"] == event:
                return happening
        raise AssertionError(f"ended without {event}")

    def end(self, how: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


@contextmanager
def gateway(*arguments: str, env: Mapping[str, str] | None = None) -> Generator[Running]:
    process = subprocess.Popen(
        lastseen("gateway", "--json", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**(env or {})),
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise AssertionError(process.communicate(timeout=PATIENCE_S)[1])
            yield Running(process=process, ready=json.loads(line))
        finally:
            process.kill()


def log_in(ready: Mapping[str, Any], key: str) -> dict[str, Any]:
    with connect(ready["ws_url"], open_timeout=20, proxy=None) as client:
        client.send(json.dumps({"type": "login", "apiKey": key}))
        answer: dict[str, Any] = json.loads(client.recv(timeout=20))
        return answer


def fetch(url: str, data: bytes | None = None) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, data=data, timeout=20) as answer:
        return json.loads(answer.read())


def test_the_first_line_says_where_everything_is() -> None:
    with gateway("--port", "0") as running:
        ready = running.ready
        port = ready["port"]

        assert ready == {
            "event": "ready",
            "dialect": "oddspapi",
            "port": port,
            "ws_url": f"ws://127.0.0.1:{port}/ws",
            "http_url": f"http://127.0.0.1:{port}",
            "rest_url": f"http://127.0.0.1:{port}/en",
            "control_url": f"http://127.0.0.1:{port}/_lastseen",
            "key": DEMO_KEY,
            "seed": 0,
        }
        assert log_in(ready, DEMO_KEY)["type"] == "login_ok"
        assert fetch(f"{ready['rest_url']}/fixtures?sportId=10&apiKey={DEMO_KEY}")
        assert fetch(f"{ready['control_url']}/health")["status"] == "ok"


def test_happenings_follow_one_a_line() -> None:
    with gateway("--port", "0") as running:
        log_in(running.ready, DEMO_KEY)

        assert running.happening("connected")["connection"] == 1
        assert running.happening("login")["login"]["apiKey"] == "***"
        assert running.happening("closed")["connection"] == 1
        fetch(f"{running.ready['control_url']}/restart", b"{}")
        assert running.happening("restart")["epoch"]


def test_a_fault_from_a_file_is_reported_when_it_fires(tmp_path: Path) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text('[[fault]]\nkind = "close"\nat = "after login_ok"\ncode = 1011\n')

    with gateway("--port", "0", "--faults", str(faults)) as running:
        log_in(running.ready, DEMO_KEY)

        assert running.happening("fault")["fault_kind"] == "close"


def test_a_key_of_ones_own_is_the_only_one_and_is_never_printed(tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    arguments = ("--port", "0", "--truth", str(truth))
    with gateway(*arguments, env={"LASTSEEN_API_KEY": KEY}) as running:
        assert running.ready["key"] == "***"
        assert log_in(running.ready, DEMO_KEY)["error"] == "login_failed"
        assert log_in(running.ready, KEY)["type"] == "login_ok"
        fetch(f"{running.ready['rest_url']}/fixtures?sportId=10&apiKey={KEY}")
        running.happening("login")
        _, out, err = running.end(signal.SIGTERM)

    assert KEY not in out + err + truth.read_text()
    assert '"login"' in truth.read_text()


def test_the_truth_file_is_complete_when_the_gateway_has_ended(tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    with gateway("--port", "0", "--rate", "200", "--truth", str(truth)) as running:
        control = running.ready["control_url"]
        published = fetch(f"{control}/publish", b'{"channel": "scores"}')["entryId"]
        code, _, _ = running.end(signal.SIGTERM)

    records = [json.loads(line) for line in truth.read_text().splitlines()]
    assert code == 0
    assert [record["n"] for record in records] == list(range(1, len(records) + 1))
    assert published in [r["entryId"] for r in records if r["kind"] == "entry"]


def test_ctrl_c_ends_it_with_130_and_no_word() -> None:
    with gateway("--port", "0") as running:
        code, _, err = running.end(signal.SIGINT)

    assert (code, err) == (130, "")


def test_sigterm_ends_it_with_0_and_no_word() -> None:
    with gateway("--port", "0") as running:
        code, _, err = running.end(signal.SIGTERM)

    assert (code, err) == (0, "")


def test_nobody_reading_its_lines_does_not_stop_the_feed() -> None:
    with gateway("--port", "0") as running:
        port = running.ready["port"]
        for _ in range(1500):
            with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as raw:
                raw.sendall(b"GET /en/nothing?padding=" + b"x" * 100 + b" HTTP/1.0\r\n\r\n")
                assert raw.recv(12).endswith(b" 404")

        assert log_in(running.ready, DEMO_KEY)["type"] == "login_ok"
        assert running.end(signal.SIGTERM)[0] == 0


def test_a_busy_port_is_one_line_and_3() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        done = run("gateway", "--port", str(port))

    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith(f"lastseen: 127.0.0.1:{port} is in use")
    assert done.stderr.count("\n") == 1


def test_after_a_kill_the_port_can_be_had_again_at_once() -> None:
    with gateway("--port", "0") as running:
        port = running.ready["port"]
        with connect(running.ready["ws_url"], open_timeout=20, proxy=None) as client:
            client.send(json.dumps({"type": "login", "apiKey": DEMO_KEY}))
            client.recv(timeout=20)
            running.end(signal.SIGKILL)
            with gateway("--port", str(port)) as again:
                assert again.ready["port"] == port
                assert log_in(again.ready, DEMO_KEY)["type"] == "login_ok"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f'{DROP}\n[[fault]]\nkind = "dorp"\nat = "on open"\n', 6),
        ('[[fault]]\nkind = "drop"\nat = "someday"\n', 3),
        ("[[fault]]\nkind = \n", 2),
    ],
    ids=["unknown-kind", "bad-position", "not-toml"],
)
def test_a_malformed_fault_file_names_its_line_and_is_2(
    tmp_path: Path, text: str, line: int
) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text(text)

    done = run("gateway", "--port", "0", "--faults", str(faults))

    assert done.returncode == 2
    assert done.stderr.startswith(f"lastseen: {faults}:{line}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["no-such-profile", "no/such/file.toml"])
def test_faults_that_are_neither_file_nor_profile_are_2(name: str) -> None:
    done = run("gateway", "--port", "0", "--faults", name)

    assert done.returncode == 2
    assert name in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unknown_profile_lists_the_known_ones() -> None:
    assert "hostile" in run("gateway", "--faults", "no-such-profile").stderr


def test_a_profile_is_taken_by_its_name() -> None:
    with gateway("--port", "0", "--faults", "hostile") as running:
        assert len(fetch(f"{running.ready['control_url']}/receipts")) > 0


def test_an_address_others_can_reach_is_refused_unless_asked_for() -> None:
    done = run("gateway", "--host", "0.0.0.0", "--port", "0")

    assert done.returncode == 2
    assert "--allow-remote" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_address_others_can_reach_is_warned_about() -> None:
    with gateway("--host", "0.0.0.0", "--port", "0", "--allow-remote") as running:
        _, _, err = running.end(signal.SIGTERM)

    assert err.startswith("lastseen: warning: ")
    assert err.count("\n") == 1


def test_a_name_that_is_no_address_here_is_3() -> None:
    done = run("gateway", "--host", "192.0.2.1", "--allow-remote", "--port", "0")

    assert done.returncode == 3
    assert "192.0.2.1" in done.stderr


def test_a_truth_file_that_cannot_be_is_2(tmp_path: Path) -> None:
    done = run("gateway", "--port", "0", "--truth", str(tmp_path / "no" / "truth.jsonl"))

    assert done.returncode == 2
    assert "cannot write" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_truth_file_that_cannot_go_on_ends_the_gateway_with_1() -> None:
    done = run("gateway", "--port", "0", "--truth", "/dev/full", "--quiet")

    assert done.returncode == 1
    assert done.stderr.startswith("lastseen: cannot write /dev/full: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("gatewya",),
        ("gateway", "--prot", "1"),
        ("gateway", "--port", "70000"),
        ("gateway", "--dialect", "esperanto"),
        ("gateway", "--replay-channels", "nonsense"),
        ("gateway", "--channels", "odds,nonsense"),
        ("gateway", "--futures", "-1"),
        ("gateway", "--rate", "-1"),
        ("gateway", "--knob", "colour=red"),
        ("gateway", "--knob", "resume_complete"),
        ("gateway", "--knob", "resume_complete=perhaps"),
        ("gateway", "--knob", "rate=-1"),
        ("gateway", "--knob", "heads=global", "--knob", "heads=delivered"),
        ("gateway", "--knob", "replay_order=interleaved", "--replay-order", "before_live"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("lastseen: ")
    assert done.stderr.count("\n") == 1


def test_a_knob_is_turned_by_its_name() -> None:
    knobs = ("--knob", "region=sim-9", "--knob", "replay_channels=odds")
    with gateway("--port", "0", *knobs) as running:
        login_ok = log_in(running.ready, DEMO_KEY)

    assert login_ok["region"] == "sim-9"
    assert login_ok["resume"]["replayChannels"] == ["odds"]


def test_channels_and_futures_are_chosen_on_the_command_line() -> None:
    chosen = ("--channels", "futures,oddsFutures", "--futures", "3")
    with gateway("--port", "0", "--rate", "0", *chosen) as running:
        login_ok = log_in(running.ready, DEMO_KEY)
        url = f"{running.ready['control_url']}/truth/state?channels=futures"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            futures = json.load(answer)

    assert login_ok["channels"] == ["futures", "oddsFutures"]
    assert len(futures) == 3


def test_a_flag_and_a_knob_that_contradict_each_other_are_named() -> None:
    done = run("gateway", "--as-of", "--knob", "as_of=false")

    assert done.stderr == "lastseen: as_of is set twice: --as-of and --knob\n"


def test_the_choices_of_a_knob_are_named_when_it_is_set_to_none_of_them() -> None:
    done = run("gateway", "--knob", "resume_complete=perhaps")

    assert done.stderr == ("lastseen: resume_complete takes sent | late | never, not 'perhaps'\n")


def test_the_knobs_are_listed_and_that_is_all() -> None:
    done = run("gateway", "--knobs")

    assert (done.returncode, done.stderr) == (0, "")
    assert "resume_window_ms            60000" in done.stdout
    assert "how old a cursor may be [milliseconds] (OP-A8)" in done.stdout


def test_people_get_lines_to_copy() -> None:
    process = subprocess.Popen(
        lastseen("gateway", "--port", "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)

    banner = "".join(lines)
    assert "lastseen tail --dialect oddspapi ws://127.0.0.1:" in banner
    assert 'curl "http://127.0.0.1:' in banner
    assert process.returncode == 130


def test_quiet_says_nothing() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        lastseen("gateway", "--port", str(port), "--quiet"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with process:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                fetch(f"http://127.0.0.1:{port}/_lastseen/health")
                break
            except OSError:
                continue
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)

    assert (out, err, process.returncode) == ("", "", 0)


def test_help_lists_the_commands_and_exit_codes_without_importing_an_event_loop() -> None:
    script = (
        "import sys\n"
        "from lastseen_simulator.command import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "loaded = {'trio', 'asyncio', 'h11', 'wsproto', 'rich'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stderr, done.returncode) == ("", 0)
    for word in ("gateway", "tail", "demo", "Exit codes", "130"):
        assert word in done.stdout


def test_without_the_extra_it_names_the_extra_to_install() -> None:
    for missing, arguments in (("click", ["--help"]), ("trio", ["gateway"])):
        script = (
            f"import sys\nsys.modules[{missing!r}] = None\n"
            "from lastseen_simulator.command import main\n"
            f"main({arguments!r})\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
        )

        assert done.returncode == 2
        assert "lastseen[simulator]" in done.stderr
        assert done.stderr.count("\n") == 1


def test_the_version_is_printed() -> None:
    done = run("--version")

    assert done.returncode == 0
    assert done.stdout.startswith("lastseen ")


def test_gateway_help_has_an_example() -> None:
    text = run("gateway", "--help").stdout

    assert "lastseen gateway --port 0 --faults" in text
    assert "lastseen gateway --knob resume_complete=late" in text
