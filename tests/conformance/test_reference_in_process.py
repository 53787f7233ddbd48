"""The bare session is OK in every case, and each broken rule of the heart is noticed."""

import pytest

from lastseen_conformance.cases import CASES
from lastseen_conformance.drivers.virtual import run_virtual
from lastseen_conformance.verdicts import Verdict
from lastseen_simulator.broken import WITHOUT

FLAVOURS = {"keeps state, reports": True, "keeps none, by URL": False}


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", sorted({case.template for case in CASES.values()}))
def test_the_session_is_ok(name: str, flavour: str) -> None:
    full = FLAVOURS[flavour]
    for case in CASES.values():
        if case.template != name or (case.reported_only and not full):
            continue
        result = run_virtual(case, keeps_state=full, reported=full)

        told = [(finding.rule, finding.text) for finding in result.broken]
        assert (result.verdict, result.reason, told) == (Verdict.OK, "", []), case.id


def test_the_same_seed_gives_the_same_history() -> None:
    case = CASES["oddspapi/resume/replayed-after-drop"]

    first, second = (run_virtual(case, seed=5).history.moments for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    ("without", "case_id", "rule"),
    [
        ("R1", "resume/epoch-changed-before-verdict", "op.resume.cursor-of-epoch"),
        ("R2", "demand/one-fixture-missing", "op.resume.no-cursor-in-doubt"),
        ("R3", "replay/lost-between", "op.resume.processed-last"),
        ("R4", "claims/answer-crosses-demand", "op.status.demand-counts"),
        ("R5", "snapshot/live-meanwhile", "op.state.never-back"),
        ("R6", "restart/killed-after-1-kept", "op.resume.cursor-of-epoch"),
        ("R7", "connect/at-first-dropped", "op.status.no-base-no-claim"),
        ("R8", "resume/replayed-after-drop", "op.status.no-base-no-claim"),
        ("R12", "connect/spins-after-login", "op.connect.backs-off"),
        ("R13", "connect/stuck", "op.resume.gives-up-stuck"),
    ],
)
def test_a_broken_mechanism_breaks_the_rule_that_is_about_it(
    without: str, case_id: str, rule: str
) -> None:
    result = run_virtual(CASES[f"oddspapi/{case_id}"], mechanisms=WITHOUT[without])

    assert result.verdict is Verdict.FAILED
    assert rule in {finding.rule for finding in result.broken}
