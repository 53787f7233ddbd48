"""`lastseen explore` as a person or a program runs it."""

import json

from click.testing import CliRunner

from lastseen_simulator.command.explore import explore


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(explore, list(arguments), standalone_mode=False)
    assert result.exception is None
    return result.return_value, result.output


def test_a_violation_is_told_as_a_sequence_and_ends_with_1() -> None:
    code, output = run("--dialect", "oddspapi", "--without", "R5")
    assert code == 1
    lines = output.splitlines()
    assert lines[0].startswith("a doubt while a snapshot is under way: at most publish 1")
    assert "   0  a client starts" in lines
    assert lines[-1] == "   =>  INV-S3: an entry is applied where there is no base"


def test_a_program_gets_one_object_a_line() -> None:
    code, output = run("--dialect", "oddspapi", "--without", "R10", "--json")
    events = [json.loads(line) for line in output.splitlines()]
    assert code == 1
    assert events[0]["event"] == "scope"
    assert events[0]["without"] == "R10"
    (violation,) = [each for each in events if each["event"] == "violation"]
    assert violation["length"] == len(violation["steps"]) - 1
    assert events[-1]["event"] == "summary"
    assert events[-1]["violation"]


def test_a_stream_is_told_in_words_too() -> None:
    code, output = run("--dialect", "polymarket-us", "--without", "R12")
    assert code == 1
    assert "connection 2 brings the head of a success" in output
    assert output.splitlines()[-1].startswith("   =>  INV-S14")


def test_a_search_that_is_cut_short_says_so_and_ends_with_2() -> None:
    code, output = run("--dialect", "polynode", "--scope", "small", "--states", "50")
    assert code == 2
    assert output.splitlines()[-1] == "not finished: no violation so far"
