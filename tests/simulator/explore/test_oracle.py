"""The oracle sees each thing that can be wrong, and nothing in what is right."""

from typing import Any

import pytest

from lastseen_simulator.explore.oracle import Publication, Summary, is_true, judge

UNIT = "scores/f1/p1"
LOG = (
    Publication("scores", UNIT, 1, (("e1", "100-1"),)),
    Publication("scores", UNIT, 2, (("e1", "100-2"), ("e2", "100-1"))),
)


def summary(**changes: Any) -> Summary:
    right = Summary(
        channels=("scores",),
        told={"scores": "SYNCED"},
        drained=True,
        epoch="e1",
        cursors=(("scores", "100-2"),),
        versions={UNIT: 2},
        disclosed={("scores", "e1"): (100, 2)},
        staged=None,
        connections=1,
        connected=True,
        stopped=None,
        conserved=True,
    )
    return right._replace(**changes)


def test_nothing_is_wrong_with_what_is_right() -> None:
    assert judge(summary(), LOG, fresh=True) == []
    assert is_true(summary(), LOG)


@pytest.mark.parametrize(
    ("changes", "invariant"),
    [
        ({"versions": {UNIT: 1}, "disclosed": {}}, "INV-S1"),
        ({"versions": {}, "disclosed": {}}, "INV-S1"),
        ({"staged": ("e1", (("scores", "100-2"),), {UNIT: 1})}, "INV-S2"),
        ({"cursors": (("scores", "100-3"),)}, "INV-S4"),
        ({"epoch": "e2"}, "INV-S4"),
        ({"versions": {UNIT: 1}, "cursors": ()}, "INV-S10"),
        ({"connections": 3}, "INV-S15"),
        ({"conserved": False}, "INV-S21"),
        ({"versions": {UNIT: 3}}, "phantom"),
        ({"stopped": "refused"}, "the session gave up"),
    ],
)
def test_each_thing_that_is_wrong_is_named(changes: dict[str, Any], invariant: str) -> None:
    problems = judge(summary(**changes), LOG, fresh=True)
    assert any(problem.startswith(invariant) for problem in problems), problems


@pytest.mark.parametrize(
    "excuse",
    [{"told": {"scores": "STALE"}}, {"drained": False}],
    ids=["not called synced", "more to take"],
)
def test_what_makes_no_claim_may_lack_something(excuse: dict[str, Any]) -> None:
    behind = summary(versions={UNIT: 1}, cursors=(), **excuse)
    assert judge(behind, LOG, fresh=True) == []
    assert not is_true(behind, LOG)


def test_an_unproven_base_may_lag_where_snapshots_do() -> None:
    assert judge(summary(versions={UNIT: 1}, cursors=()), LOG, fresh=False) == []
