"""The plugin in test suites of its own."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lastseen_simulator import pytest_plugin, running, settings

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/use-the-gateway-in-your-tests.md").read_text(encoding="utf-8")
NAME = "lastseen_simulator.pytest_plugin"
KEY = "feedfacefeedfacefeedfacefeedface"

_LOADED = {each.value for each in importlib.metadata.entry_points(group="pytest11")}
PLUGIN = () if NAME in _LOADED else ("-p", NAME)
"""pytest loads what is installed by itself, and must not be told twice."""


def run(pytester: pytest.Pytester, test: str, *arguments: str) -> pytest.RunResult:
    """Runs a test file in this process, warnings as errors, and shows what it prints."""
    pytester.makepyfile(test)
    return pytester.runpytest_inprocess(*PLUGIN, "-W", "error", "--strict-markers", *arguments)


def run_apart(pytester: pytest.Pytester, test: str, *arguments: str) -> pytest.RunResult:
    """Runs a test file in a process of its own."""
    pytester.makepyfile(test)
    return pytester.runpytest_subprocess(*PLUGIN, "-W", "error", *arguments)


def test_the_plugin_is_announced_to_pytest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["entry-points"]["pytest11"] == {"lastseen": NAME}
    assert pytest_plugin.__name__ == NAME


def test_importing_it_loads_nothing_of_ours_and_no_event_loop() -> None:
    program = (
        f"import sys, pytest; before = set(sys.modules); import {NAME}; "
        "print(*sorted(set(sys.modules) - before))"
    )
    paths = [str(ROOT / "simulator"), str(ROOT / "protocol")]
    code = f"import sys; sys.path[:0] = {paths!r}; {program}"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert set(loaded) == {"lastseen_simulator", NAME}


def test_the_marker_is_registered_and_explained(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess(*PLUGIN, "--markers")

    result.stdout.fnmatch_lines(["@pytest.mark.lastseen(dialect, seed, faults, *"])


def test_each_test_has_a_gateway_of_its_own_that_ends_with_it(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import threading

        seen = []

        def threads():
            return [each for each in threading.enumerate() if each.name == "lastseen gateway"]

        def test_one(lastseen_gateway):
            assert len(threads()) == 1
            seen.append((lastseen_gateway.epoch, lastseen_gateway.publish("scores")))

        def test_two(lastseen_gateway):
            assert len(threads()) == 1
            assert lastseen_gateway.truth("entry") == ()
            assert lastseen_gateway.epoch != seen[0][0]

        def test_none():
            assert threads() == []
        """,
    )

    result.assert_outcomes(passed=3)


def test_the_nearest_marker_wins_name_by_name(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest

        pytestmark = pytest.mark.lastseen(seed=1, fixtures=2, resume_window_ms=1)

        @pytest.fixture
        def knobs(lastseen_gateway):
            options = lastseen_gateway.settings.options
            return (lastseen_gateway.seed, options.fixtures, options.resume_window_ms)

        @pytest.mark.lastseen(fixtures=3)
        class TestClass:
            def test_class(self, knobs):
                assert knobs == (1, 3, 1)

            @pytest.mark.lastseen(seed=4, fixtures=5)
            def test_method(self, knobs):
                assert knobs == (4, 5, 1)

        @pytest.mark.parametrize(
            "wanted", [2, pytest.param(9, marks=pytest.mark.lastseen(fixtures=9))]
        )
        def test_parameter(knobs, wanted):
            assert knobs == (1, wanted, 1)

        def test_call(lastseen_gateway_factory):
            gateway = lastseen_gateway_factory(seed=6)
            assert (gateway.seed, gateway.settings.options.fixtures) == (6, 2)
        """,
    )

    result.assert_outcomes(passed=5)


def test_a_marker_can_name_a_profile_a_file_beside_the_test_or_faults(
    pytester: pytest.Pytester,
) -> None:
    pytester.mkdir("inner")
    pytester.path.joinpath("inner/faults.toml").write_text(
        '[[fault]]\nkind = "clock_step"\nat = "after entry 1"\noffset_ms = 5\n'
    )
    pytester.path.joinpath("inner/test_faults.py").write_text(
        """
import pytest
from lastseen_simulator.faults import Fault

STEP = Fault(kind="clock_step", at="after entry 1", offset_ms=5)

@pytest.mark.lastseen(faults="flaky")
def test_profile(lastseen_gateway):
    assert len(lastseen_gateway.receipts()) == 8

@pytest.mark.lastseen(faults="faults.toml")
def test_file(lastseen_gateway):
    lastseen_gateway.publish("scores")
    assert [each.fired for each in lastseen_gateway.receipts()] == [1]

@pytest.mark.lastseen(faults=[STEP, {"kind": "drop", "at": "on open"}], must_fire=False)
def test_list(lastseen_gateway):
    assert [each.kind for each in lastseen_gateway.receipts()] == ["clock_step", "drop"]
"""
    )

    pytester.runpytest_inprocess(*PLUGIN, "-W", "error").assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("dialect='morse'", "no such dialect: morse (dialects: oddspapi, polynode, polymarket-us)"),
        ("ratio=3", "no such setting: ratio, perhaps rate? (settings: dialect, seed, *"),
        ("rate=-1", "rate must not be negative: -1*"),
        ("faults='wild'", "faults='wild' is neither a profile (calm, flaky, hostile, release) *"),
        ("port=1", "the lastseen marker takes no port: tests may run at the same time"),
        ("'oddspapi'", "the lastseen marker takes keywords only, not 'oddspapi'"),
    ],
)
def test_a_wrong_marker_stops_the_run_with_one_line(
    pytester: pytest.Pytester, marker: str, said: str
) -> None:
    test = f"""
        import pytest

        @pytest.mark.lastseen({marker})
        def test_it(lastseen_gateway):
            raise AssertionError("it has run")
        """
    result = run(pytester, test)
    errors = [line for line in result.errlines if line.strip()]

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len(errors) == 1
    result.stderr.fnmatch_lines([f"ERROR: *::test_it: {said.replace('[', '[[]')}"])


def test_a_wrong_marker_fails_its_test_alone_where_the_run_cannot_be_refused(
    pytester: pytest.Pytester,
) -> None:
    # A worker of pytest-xdist, and a marker that comes after the collection.
    pytester.makeconftest(
        """
        import pytest

        def pytest_configure(config):
            config.workerinput = {}

        @pytest.fixture
        def late(request):
            request.node.add_marker(pytest.mark.lastseen(dialect="morse"))
        """
    )
    test = """
        import pytest

        @pytest.mark.lastseen(ratio=3)
        def test_wrong(lastseen_gateway):
            pass

        def test_late(late, lastseen_gateway):
            pass

        def test_right(lastseen_gateway):
            pass
        """
    result = run(pytester, test)

    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_wrong*",
            "no such setting: ratio, perhaps rate? *",
            "*ERROR at setup of test_late*",
            "no such dialect: morse (dialects: oddspapi, polynode, polymarket-us)",
        ]
    )


def test_a_wrong_marker_on_a_test_that_is_not_selected_does_no_harm(
    pytester: pytest.Pytester,
) -> None:
    test = """
        import pytest

        @pytest.mark.lastseen(ratio=3)
        def test_wrong():
            pass

        def test_right(lastseen_gateway):
            assert lastseen_gateway.publish("scores")
        """
    result = run(pytester, test, "-k", "right")

    result.assert_outcomes(passed=1, deselected=1)


def test_several_gateways_stop_with_the_test_and_one_can_take_over_the_port_of_another(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        import socket
        import threading

        def test_two(lastseen_gateway_factory):
            one, two = lastseen_gateway_factory(), lastseen_gateway_factory(seed=2)
            assert one.port != two.port
            one.stop()
            again = lastseen_gateway_factory(port=one.port)
            assert again.epoch != one.epoch
            socket.create_connection(("127.0.0.1", one.port)).close()

        def test_both(lastseen_gateway, lastseen_gateway_factory):
            assert lastseen_gateway_factory().port != lastseen_gateway.port

        def test_none():
            assert all(each.name != "lastseen gateway" for each in threading.enumerate())
        """,
    )

    result.assert_outcomes(passed=3)


def test_the_report_of_a_failed_test_tells_what_its_gateway_has_been_through(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        f"""
        import pytest
        from lastseen_simulator.gateway.options import KeyGrant

        @pytest.mark.lastseen(seed=9, keys=[KeyGrant(key="{KEY}")])
        def test_it(lastseen_gateway):
            lastseen_gateway.place("clock_step", at="after entry 1", offset_ms=5)
            lastseen_gateway.place("drop", at="after live 3")
            payload = {{"fixtureId": "f", "scores": {{}}, "note": lastseen_gateway.key}}
            lastseen_gateway.publish("scores", payload)
            pytest.fail("of its own", pytrace=False)
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "of its own",
            "*- lastseen gateway -*",
            "lastseen gateway: oddspapi, seed 9 rate=0.0",
            "fault 1: clock_step 'after entry 1': fired (*",
            "fault 2: drop 'after live 3': never fired (not reached)",
            "the last 4 of 4 records:",
            '*entry *channel=scores*"note":"[*][*][*]"}',
        ]
    )
    assert KEY not in result.stdout.str()
    # The test has failed for a reason of its own; that a fault is missing would only distract.
    assert "proves nothing" not in result.stdout.str()


def test_the_report_of_a_passed_test_says_nothing(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_it(lastseen_gateway):\n    pass", "-rA")

    result.assert_outcomes(passed=1)
    assert "lastseen gateway" not in result.stdout.str()


def test_a_passed_test_whose_faults_did_not_fire_is_an_error(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest

        STEP = {"kind": "clock_step", "at": "after entry 2", "offset_ms": 5}

        def test_placed(lastseen_gateway):
            lastseen_gateway.place("clock_step", at="after entry 1", offset_ms=5)
            lastseen_gateway.publish("scores")
            lastseen_gateway.place("drop", at="after live 3")

        @pytest.mark.lastseen(faults=[STEP])
        def test_marked(lastseen_gateway):
            lastseen_gateway.publish("scores")
        """,
    )

    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_placed*",
            "the test has passed, but proves nothing: faults that did not fire",
            "  drop 'after live 3': not reached",
            "(must_fire=False allows that)",
            "*- lastseen gateway -*",
            "*ERROR at teardown of test_marked*",
            "  clock_step 'after entry 2': not reached",
        ]
    )
    assert "  clock_step 'after entry 1'" not in result.stdout.str()


def test_faults_that_need_not_fire_leave_a_test_passed(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest

        @pytest.mark.lastseen(faults="hostile")
        def test_profile(lastseen_gateway):
            pass

        @pytest.mark.lastseen(faults=[{"kind": "drop", "at": "on open"}], must_fire=False)
        def test_marked(lastseen_gateway):
            pass

        def test_placed(lastseen_gateway):
            lastseen_gateway.place("drop", at="after live 3", must_fire=False)

        def test_skipped(lastseen_gateway):
            lastseen_gateway.place("drop", at="after live 3")
            pytest.skip("after all")

        @pytest.mark.xfail(strict=True)
        def test_expected(lastseen_gateway):
            lastseen_gateway.place("drop", at="after live 3")
            raise AssertionError
        """,
    )

    result.assert_outcomes(passed=3, skipped=1, xfailed=1)


def test_a_gateway_that_breaks_fails_its_test_with_the_traceback(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        import pytest
        from lastseen_simulator.server import GatewayServer
        from websockets.exceptions import ConnectionClosed
        from websockets.sync.client import connect

        def broken(*_):
            raise ZeroDivisionError("of the gateway")

        def test_it(lastseen_gateway, lastseen_gateway_factory, monkeypatch):
            other = lastseen_gateway_factory()
            monkeypatch.setattr(GatewayServer, "take_frame", broken)
            with connect(lastseen_gateway.ws_url, proxy=None) as socket:
                socket.send("hello")
                with pytest.raises(ConnectionClosed):
                    socket.recv(timeout=30)

        def test_the_next_one(lastseen_gateway):
            import threading

            names = [each.name for each in threading.enumerate()]
            assert names.count("lastseen gateway") == 1
        """,
    )

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_it*", "*in broken*", "*ZeroDivisionError: of the gateway*"]
    )


def test_a_test_that_fails_beside_a_broken_gateway_has_both_reports_and_one_story(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        import pytest
        from lastseen_simulator.server import GatewayServer
        from websockets.exceptions import ConnectionClosed
        from websockets.sync.client import connect

        def broken(*_):
            raise ZeroDivisionError("of the gateway")

        def test_it(lastseen_gateway, monkeypatch):
            monkeypatch.setattr(GatewayServer, "take_frame", broken)
            with connect(lastseen_gateway.ws_url, proxy=None) as socket:
                socket.send("hello")
                socket.recv(timeout=30)
        """,
    )

    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["*ZeroDivisionError: of the gateway*", "*ConnectionClosedError*"])
    assert result.stdout.str().count("- lastseen gateway -") == 1


def test_a_call_with_a_setting_that_cannot_be_fails_where_it_stands(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        def test_it(lastseen_gateway_factory):
            lastseen_gateway_factory(ratio=3)
        """,
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*SettingError: no such setting: ratio, perhaps rate? *"])


def test_a_test_that_runs_again_has_a_gateway_of_its_own_again(pytester: pytest.Pytester) -> None:
    # What plugins that repeat failed tests do: the same item, once more.
    pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            for again in (True, False):
                reports = runtestprotocol(item, nextitem=nextitem, log=not again)
            return True
        """
    )
    result = run(
        pytester,
        """
        ports = []

        def test_it(lastseen_gateway):
            ports.append(lastseen_gateway.publish("scores"))
            assert len(ports) == 3
        """,
    )

    result.assert_outcomes(failed=1)
    assert result.stdout.str().count("- lastseen gateway -") == 1


STYLES = {
    "plain": """
        def test_it(lastseen_gateway):
            ids = lastseen_gateway.publish("scores")
            assert lastseen_gateway.wait_for("entry")["entryId"] == ids[0]
        """,
    "asyncio": """
        import asyncio

        def test_it(lastseen_gateway):
            async def main():
                ids = lastseen_gateway.publish("scores")
                assert (await lastseen_gateway.wait_for_async("entry"))["entryId"] == ids[0]

            asyncio.run(main())
        """,
    "trio": """
        import trio

        def test_it(lastseen_gateway):
            async def main():
                ids = lastseen_gateway.publish("scores")
                assert (await lastseen_gateway.wait_for_async("entry"))["entryId"] == ids[0]

            trio.run(main)
        """,
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("pytest_trio", ["", "no:"], ids=["with pytest-trio", "without"])
def test_it_works_beside_other_plugins_and_without_them(
    pytester: pytest.Pytester, style: str, pytest_trio: str
) -> None:
    arguments = ("-p", "no:trio") if pytest_trio else ()
    result = run(pytester, STYLES[style], *arguments)

    result.assert_outcomes(passed=1)


def test_it_works_in_tests_that_pytest_trio_runs(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest

        @pytest.fixture
        async def client(lastseen_gateway):
            yield lastseen_gateway.publish("scores")

        async def test_it(client, lastseen_gateway, autojump_clock):
            assert (await lastseen_gateway.wait_for_async("entry"))["entryId"] == client[0]
        """,
        "-o",
        "trio_mode=true",
    )

    result.assert_outcomes(passed=1)


OURS = ("running", "gateway_thread", "waiting")


@pytest.mark.parametrize("missing", ["trio", "wsproto", "sniffio"])
def test_a_missing_extra_is_one_line_and_other_tests_go_on(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    pytester.makeconftest(f"import sys\nsys.modules[{missing!r}] = None")
    test = """
        import pytest

        @pytest.mark.lastseen(seed=3)
        def test_it(lastseen_gateway):
            pass

        def test_other():
            pass
        """
    if missing == "sniffio":
        # In this process, as if nothing that needs it had been imported.
        for name in OURS:
            monkeypatch.delitem(sys.modules, f"lastseen_simulator.{name}")
        result = run(pytester, test, "-p", "no:trio")
    else:
        result = run_apart(pytester, test, "-p", "no:trio", "-p", "no:hypothesispytest")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_it*",
            f"lastseen_gateway needs {missing}: pip install 'lastseen[[]pytest[]]'",
            "*short test summary*",
        ]
    )
    # Where CI is set the summary repeats the line uncut; what matters is that no traceback does.
    told = result.stdout.str().partition("short test summary")[0]
    assert told.count(missing) == 1


def test_an_import_error_of_our_own_is_not_taken_for_a_missing_extra(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lastseen_simulator.running", None)
    result = run(pytester, "def test_it(lastseen_gateway):\n    pass")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ModuleNotFoundError: import of lastseen_simulator.running *"])


def test_an_interrupt_ends_the_run_and_the_gateway(pytester: pytest.Pytester) -> None:
    result = run_apart(
        pytester,
        """
        import os
        import signal

        # Whoever started all this in the background may have had it ignore interrupts.
        signal.signal(signal.SIGINT, signal.default_int_handler)

        def test_it(lastseen_gateway):
            def interrupt(record):
                os.kill(os.getpid(), signal.SIGINT)
                return False

            lastseen_gateway.wait_for(interrupt, timeout_s=600)

        def test_never():
            raise AssertionError("it has run")
        """,
    )

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*", "*no tests ran*"])


def test_it_can_be_left_out(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if installed, wherever this runs.
    info = pytester.path / "site/lastseen_plugin-1.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: lastseen-plugin\n")
    info.joinpath("entry_points.txt").write_text(f"[pytest11]\nlastseen = {NAME}\n")
    pytester.makepyfile("def test_it(lastseen_gateway):\n    pass")
    monkeypatch.setenv("PYTHONPATH", str(info.parent), prepend=os.pathsep)
    found = pytester.runpytest_subprocess()
    left_out = pytester.runpytest_subprocess("-p", "no:lastseen")

    found.assert_outcomes(passed=1)
    left_out.assert_outcomes(errors=1)
    left_out.stdout.fnmatch_lines(["*fixture 'lastseen_gateway' not found*"])


def test_the_examples_on_the_page_run_as_they_stand_there(pytester: pytest.Pytester) -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    tests = sum(len(re.findall(r"^ *def test_", example, re.MULTILINE)) for example in examples)
    for number, example in enumerate(examples):
        pytester.path.joinpath(f"test_{number}.py").write_text(example)
    result = pytester.runpytest_inprocess(*PLUGIN, "-W", "error", "--strict-markers")

    result.assert_outcomes(passed=tests)
    assert tests >= 6


@pytest.mark.parametrize("style", ["In plain Python", "In asyncio", "In trio"])
def test_each_style_has_one_example_of_its_own(style: str) -> None:
    section = PAGE.partition(f"### {style}\n")[2].partition("\n#")[0]

    assert len(re.findall(r"^def test_\w+\(lastseen_gateway\)", section, re.MULTILINE)) == 1


def test_every_keyword_of_our_own_and_every_member_is_on_the_page() -> None:
    said = set(re.findall(r"`(\w+)", PAGE))
    members = {name for name in vars(running.RunningGateway) if not name.startswith("_")}

    assert members - said <= {
        "wait_for_async", "wait_for_login_async", "wait_for_sent_async", "wait_for_request_async",
        "describe", "unfired", "http_url", "seed", "settings", "written",
    }  # fmt: skip
    assert set(settings.OWN) - {"port"} <= set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
