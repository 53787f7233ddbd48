"""`lastseen demo`: as a process, and with scenes that cannot succeed."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from processes import PATIENCE_S, command, environment

from lastseen import ItemState, Replica
from lastseen.items import Items
from lastseen_simulator.command import demo as demo_command
from lastseen_simulator.command import main
from lastseen_simulator.demo import ACTS, Act, Scene, run_demo
from lastseen_simulator.demo.oddspapi import CAST
from lastseen_simulator.demo.polynode import CAST as POLYNODE_CAST
from lastseen_simulator.fault_kinds import DIALECTS
from lastseen_simulator.gateway.options import DEMO_KEY
from lastseen_simulator.polynode.options import DEMO_KEY as POLYNODE_KEY

SCENES = (
    "duplicates",
    "drop and resume",
    "drop in mid-replay",
    "restart during a snapshot",
    "reconnect hand-over",
    "client_backpressure",
    "REST outage",
    "stale snapshot",
)
CHANNELS = {"fixtures", "scores", "odds", "bookmakers"}
NEVER: dict[str, Any] = {"kind": "drop", "at": "after data 1000000"}
SHORT_S = 1.0


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("demo", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def act(*scenes: Scene) -> tuple[Act, ...]:
    return (Act(name="a test", cast=CAST, scenes=scenes),)


def events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_every_scene_fires_and_ends_with_the_truth_whatever_the_seed() -> None:
    seeds = ((), ("--seed", "7"), ("--seed", "18"))
    processes = [start("--dialect", "oddspapi", "--json", *seed) for seed in seeds]
    outputs = [process.communicate(timeout=PATIENCE_S) for process in processes]

    for process, (output, complaints) in zip(processes, outputs, strict=True):
        said = events(output)
        scenes = [event for event in said if event["event"] == "scene_done"]
        assert [scene["name"] for scene in scenes] == list(SCENES)
        for scene in scenes:
            assert (scene["passed"], scene["trouble"], scene["claimed_synced"]) == (
                True,
                None,
                True,
            )
            assert all(fault["fired"] >= fault["wanted"] >= 1 for fault in scene["faults"])
            assert scene["channels"].keys() == CHANNELS
            assert all(
                channel["units"] > 0 and channel["difference"] is None
                for channel in scene["channels"].values()
            )
        resumed = {scene["name"]: scene["resumed"] for scene in scenes}
        assert resumed["drop and resume"] == [["fixtures", "scores"]]
        assert resumed["drop in mid-replay"] == [["fixtures", "scores"]] * 2
        assert said[-1]["event"] == "verdict"
        assert (said[-1]["passed"], said[-1]["failures"]) == (True, [])
        assert (process.returncode, complaints) == (0, "")
        assert DEMO_KEY not in output


def test_every_scene_of_a_feed_with_histories_ends_with_what_could_be_heard() -> None:
    processes = [start("--dialect", "polynode", "--json", *seed) for seed in ((), ("--seed", "9"))]
    outputs = [process.communicate(timeout=PATIENCE_S) for process in processes]

    for process, (output, complaints) in zip(processes, outputs, strict=True):
        said = events(output)
        scenes = [event for event in said if event["event"] == "scene_done"]
        planned = [scene.name for act in ACTS["polynode"] for scene in act.scenes]
        assert [scene["name"] for scene in scenes] == planned
        assert [scene["trouble"] for scene in scenes] == [None] * len(planned)
        assert all(scene["channels"]["settlement"]["units"] > 0 for scene in scenes)
        assert (said[-1]["passed"], said[-1]["failures"]) == (True, [])
        assert (process.returncode, complaints) == (0, "")
        assert POLYNODE_KEY not in output


def test_every_dialect_is_shown_unless_one_is_asked_for() -> None:
    assert set(ACTS) == set(DIALECTS)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_ctrl_c_ends_it_with_130_and_without_a_traceback(arguments: tuple[str, ...]) -> None:
    process = start(*arguments)
    assert process.stdout is not None
    for line in process.stdout:
        if "duplicates" in line:
            break
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, complaints.strip()) == (130, "")


async def test_a_fault_that_cannot_fire_is_reported_and_nothing_has_passed() -> None:
    lines: list[dict[str, Any]] = []
    scene = Scene(name="in vain", tells="nothing happens", steps=((NEVER,),))

    report = await run_demo(seed=1, tell=lines.append, acts=act(scene), patience_s=SHORT_S)

    (done,) = (line for line in lines if line["event"] == "scene_done")
    assert not report.passed
    assert report.failures == (f"in vain: drop at {NEVER['at']!r} fired 0 of 1",)
    assert (done["passed"], done["trouble"]) == (False, f"drop at {NEVER['at']!r} fired 0 of 1")
    assert done["claimed_synced"]
    assert all(channel["difference"] is None for channel in done["channels"].values())


async def test_a_step_whose_turn_never_came_is_reported_too() -> None:
    second = {"kind": "reset", "at": "soon"}
    scene = Scene(name="in vain", tells="nothing happens", steps=((NEVER,), (second,)))

    report = await run_demo(seed=1, tell=lambda _: None, acts=act(scene), patience_s=SHORT_S)

    ((fired, wanted, receipt),) = (
        (fault.fired, fault.wanted, fault.receipt)
        for fault in report.acts[0].scenes[0].faults
        if fault.kind == "reset"
    )
    assert (fired, wanted, receipt) == (0, 1, None)
    assert not report.passed


async def test_a_login_that_was_announced_and_did_not_come_is_no_pass() -> None:
    duplicate = {"kind": "duplicate", "at": "every 2 data"}
    scene = Scene(name="still", tells="nobody logs in", steps=((duplicate,),), logins=1)

    report = await run_demo(seed=1, tell=lambda _: None, acts=act(scene), patience_s=SHORT_S)

    assert report.failures == ("still: the client logged in 0 of 1 times",)


async def test_a_login_that_fetches_what_it_should_have_replayed_is_no_pass() -> None:
    scene = Scene(
        name="cold",
        tells="the epoch is new",
        steps=(({"kind": "restart", "at": "soon", "how": "crash"},),),
        logins=1,
        resumes=("scores",),
    )

    report = await run_demo(seed=1, tell=lambda _: None, acts=act(scene))

    assert report.failures == ("cold: a login did not resume scores",)


async def test_a_client_that_is_wrong_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Replica.state

    def without_a_score(replica: Replica) -> dict[str, Any]:
        state = whole(replica)
        state.pop(min((key for key in state if key.startswith("scores/")), default=""), None)
        return state

    monkeypatch.setattr(Replica, "state", without_a_score)
    duplicate = {"kind": "duplicate", "at": "every 2 data"}
    scene = Scene(name="wrong", tells="a unit is gone", steps=((duplicate,),))

    report = await run_demo(seed=1, tell=lambda _: None, acts=act(scene), patience_s=SHORT_S)

    assert len(report.failures) == 1
    assert report.failures[0].startswith("wrong: scores: scores/")
    assert report.failures[0].endswith(" is missing")


async def test_what_a_client_should_notice_and_does_not_is_no_pass() -> None:
    duplicate = {"kind": "duplicate", "at": "every 2 data"}
    scene = Scene(name="blind", tells="nothing", steps=((duplicate,),), sees=("a gap",))
    played = (Act(name="a test", cast=POLYNODE_CAST, scenes=(scene,)),)

    report = await run_demo(seed=1, tell=lambda _: None, acts=played, patience_s=SHORT_S)

    assert report.failures == ("blind: the client has not noticed: a gap",)


async def test_an_item_that_went_too_far_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that takes every timeout for a confirmation."""
    whole = Items._tell  # pyright: ignore[reportPrivateUsage]

    def hopeful(items: Items, changes: Any, event: Any, *, now: float) -> None:
        confirmed = [replace(change, state=ItemState.CONFIRMED) for change in changes]
        whole(items, confirmed, event, now=now)

    monkeypatch.setattr(Items, "_tell", hopeful)
    lost = {"kind": "lose_confirmation", "at": "soon"}
    scene = Scene(name="hopeful", tells="it is lost", steps=((lost,),))
    played = (Act(name="a test", cast=POLYNODE_CAST, scenes=(scene,)),)

    report = await run_demo(seed=1, tell=lambda _: None, acts=played, patience_s=SHORT_S)

    assert len(report.failures) == 1
    assert report.failures[0].endswith(" is confirmed, should be pending")


@pytest.mark.parametrize("arguments", [["demo"], ["demo", "--json"]])
def test_a_fault_that_did_not_fire_ends_the_command_with_1_and_is_named(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(name="in vain", tells="nothing happens", steps=((NEVER,),))
    short: Callable[..., Any] = partial(run_demo, patience_s=SHORT_S)
    monkeypatch.setattr(demo_command, "run_demo", short)
    monkeypatch.setattr(demo_command, "ACTS", {"oddspapi": act(scene)})

    with pytest.raises(SystemExit) as ended:
        main.main(arguments)

    output = capsys.readouterr().out
    assert ended.value.code == 1
    assert f"in vain: drop at '{NEVER['at']}' fired 0 of 1" in output
    assert "PASSED" not in output


def test_help_documents_the_lines_for_programs() -> None:
    done = subprocess.run(
        command("demo", "--help"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(),
        check=False,
    )

    assert done.returncode == 0
    for word in ("scene_done", "trouble", "verdict", "failures", "--seed"):
        assert word in done.stdout
