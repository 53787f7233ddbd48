"""`lastseen simulate`, as a person and a program meet it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from lastseen_simulator.broken import WITHOUT
from lastseen_simulator.command import simulate as module
from lastseen_simulator.command.simulate import simulate
from lastseen_simulator.world import world
from lastseen_simulator.world.plans import draw


def call(*args: str) -> Result:
    return CliRunner().invoke(simulate, args, standalone_mode=False, catch_exceptions=True)


def lines(result: Result) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in result.stdout.splitlines()]


def test_a_run_set_ends_with_a_summary_and_its_hash() -> None:
    result = call("--dialect", "polynode", "--seeds", "0..3", "--no-marks")

    assert result.return_value == 0
    assert "4 runs" in result.stdout
    assert "green" in result.stdout


def test_a_mark_that_nothing_hit_makes_it_red_and_is_named() -> None:
    result = call("--dialect", "polynode", "--seeds", "0", "--json")

    (summary,) = lines(result)
    assert result.return_value == 1
    assert summary["failures"] == 0
    assert "polynode: gap told" in summary["missed"]


def test_the_hash_does_not_depend_on_the_processes() -> None:
    args = ("--dialect", "polymarket-us", "--seeds", "0..3", "--no-marks", "--json")

    (one,), (two,) = lines(call(*args)), lines(call(*args, "--jobs", "2"))

    assert one == two
    assert one["runs"] == 4


def test_a_failing_seed_is_shrunk_written_down_drawn_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (module, world):
        monkeypatch.setattr(each, "Mechanisms", lambda: WITHOUT["R5"])

    result = call("--dialect", "oddspapi", "--seeds", "7", "--out", str(tmp_path))

    assert result.return_value == 1
    assert "oddspapi seed 7: S3" in result.stdout
    path = tmp_path / "failing-oddspapi-7.json"
    assert f"--replay {path}" in result.stdout
    assert path.with_suffix(".svg").read_text(encoding="utf-8").startswith("<svg")
    again = call("--replay", str(path))
    assert again.return_value == 1
    assert "S3 at" in again.stdout
    monkeypatch.undo()
    mended = call("--replay", str(path), "--json")
    assert mended.return_value == 0
    assert lines(mended)[-1]["held"] is True


def test_a_plan_of_a_seed_is_told_as_a_story(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(draw("polymarket-us", 3).to_json(), encoding="utf-8")

    result = call("--replay", str(path))

    assert result.return_value == 0
    assert "every invariant held" in result.stdout
    assert "every fault ends" in result.stdout


@pytest.mark.parametrize("text", ["", "{}", '{"schema":"lastseen.plan/1"}'])
def test_a_file_that_is_no_plan_is_an_error_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="utf-8")

    result = call("--replay", str(path))

    assert result.exception is not None
    assert "not a plan" in str(result.exception)


@pytest.mark.parametrize("seeds", ["x", "3..1", "-1", "1.."])
def test_a_range_of_seeds_that_is_none_is_refused(seeds: str) -> None:
    assert call("--seeds", seeds).exception is not None
