"""What makes a run green, and what does not."""

from datetime import date
from pathlib import Path

import attrs
import pytest

from lastseen_conformance.case import Finding, Scene, broken, kept
from lastseen_conformance.cases import CASES
from lastseen_conformance.drivers.virtual import run_virtual
from lastseen_conformance.history import Connected, Exited, History, Outcome
from lastseen_conformance.known import Known, KnownFileError, load_known, stale_entries
from lastseen_conformance.reports.outcome import outcome_of
from lastseen_conformance.steps import Place, Start, Steps, Wait
from lastseen_conformance.verdicts import Result, Verdict, judge
from lastseen_simulator.faults import Fault

CASE = CASES["oddspapi/login/cold"]


def connected() -> History:
    history = History(reported=True)
    history.add(Connected, at=0.0, connection=1)
    return history


def verdict_of(*findings: Finding, rules: tuple[str, ...] = ("op.login.first",)) -> Result:
    case = attrs.evolve(CASE, rules=rules, judge=lambda _: findings)
    return judge(case, connected())


def test_a_rule_that_was_kept_is_needed_for_green() -> None:
    assert verdict_of(kept("op.login.first")).verdict is Verdict.OK

    silent = verdict_of()

    assert silent.verdict is Verdict.INCONCLUSIVE
    assert silent.reason == "not put to the test: op.login.first"


def test_a_must_fails_and_a_should_does_not() -> None:
    must = verdict_of(broken("op.login.first", "no login"))
    should = verdict_of(kept("op.login.first"), broken("op.snapshot.verified", "never again"))

    assert must.verdict is Verdict.FAILED
    assert should.verdict is Verdict.NON_STRICT


def test_a_fault_that_never_fired_is_not_green() -> None:
    def play(scene: Scene) -> Steps:
        """A fault where nothing ever happens."""
        yield Place(Fault(kind="drop", at="after live 99"))
        yield from CASE.play(scene)

    result = run_virtual(attrs.evolve(CASE, play=play))

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.reason == "the fault never fired: drop after live 99"


def test_what_the_client_owes_fails_and_what_the_case_needs_does_not() -> None:
    def owing(rule: str | None) -> Result:
        def play(scene: Scene) -> Steps:
            """Something that never comes."""
            del scene
            yield Start()
            yield Wait(until=lambda _: False, what="the moon rises", rule=rule)

        return run_virtual(attrs.evolve(CASE, play=play))

    owed, needed = owing("op.connect.comes-back"), owing(None)

    assert owed.verdict is Verdict.FAILED
    assert owed.broken[0].text == "not seen: the moon rises"
    assert (needed.verdict, needed.reason) == (Verdict.INCONCLUSIVE, "not seen: the moon rises")


def test_a_should_that_ends_a_case_is_all_that_can_be_said_of_it() -> None:
    history = connected()
    history.outcomes.append(_unmet("op.resume.times-out"))

    result = judge(attrs.evolve(CASE, judge=lambda _: ()), history)

    assert result.verdict is Verdict.NON_STRICT


def test_a_busy_machine_is_not_held_against_the_client() -> None:
    history = connected()
    history.starved = True
    history.outcomes.append(_unmet("op.connect.comes-back"))

    result = judge(attrs.evolve(CASE, judge=lambda _: ()), history)

    assert result.verdict is Verdict.INCONCLUSIVE
    assert "too busy" in result.reason


def _unmet(rule: str) -> Outcome:

    return Outcome(what="it is back", rule=rule, met=False, n=1)


def test_a_client_that_ends_is_broken_once_it_has_connected_and_untested_before() -> None:
    history = History()
    history.add(Exited, at=0.0, run=1, code=1, asked=False, how="exit code 1")
    late = connected()
    late.add(Exited, at=1.0, run=1, code=1, asked=False, how="exit code 1")

    before = judge(CASE, history)
    after = judge(attrs.evolve(CASE, judge=lambda _: ()), late)

    assert before.verdict is Verdict.HARNESS_ERROR
    assert after.verdict is Verdict.FAILED
    assert after.broken[0].rule == "all.process.lives"


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ((Verdict.OK, Verdict.NON_STRICT, Verdict.UNIMPLEMENTED), 0),
        ((Verdict.OK, Verdict.FAILED, Verdict.HARNESS_ERROR), 1),
        ((Verdict.OK, Verdict.INCONCLUSIVE), 2),
        ((Verdict.UNIMPLEMENTED,), 2),
        ((), 2),
        ((Verdict.HARNESS_ERROR, Verdict.INCONCLUSIVE), 3),
    ],
)
def test_exit_codes(verdicts: tuple[Verdict, ...], code: int) -> None:
    results = [Result(case=CASE, verdict=verdict) for verdict in verdicts]

    outcome = outcome_of(results, failing={}, flaky={}, cases=(), today=date(2026, 1, 1))

    assert outcome.exit_code == code


def test_a_list_forgives_what_fails_and_not_what_passes() -> None:
    known = {CASE.id: Known(id=CASE.id, reason="later", until=date(2030, 1, 1))}

    codes = [
        outcome_of(
            [Result(case=CASE, verdict=verdict)],
            failing=known,
            flaky={},
            cases=(CASE.id,),
            today=date(2026, 1, 1),
        ).exit_code
        for verdict in (Verdict.FAILED, Verdict.OK)
    ]

    assert codes == [0, 1]


def test_entries_of_a_list_grow_stale() -> None:
    entries = {
        name: Known(id=name, reason="later", until=until)
        for name, until in (
            ("gone", date(2030, 1, 1)),
            ("old", date(2020, 1, 1)),
            ("mended", date(2030, 1, 1)),
            ("fine", date(2030, 1, 1)),
        )
    }

    found = stale_entries(
        entries, cases=("old", "mended", "fine"), passed=("mended",), today=date(2026, 1, 1)
    )

    assert found == [
        "gone is no case",
        "mended is listed as failing, and passes",
        "old expired on 2020-01-01",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[case]]\nid = 'x'\nreason = 'y'\n", "needs id, reason and until"),
        ("[[case]]\nid = 'x'\nreason = ' '\nuntil = 2030-01-01\n", "an id and a reason"),
        ("[[case]]\nid = 'x'\nreason = 'y'\nuntil = 'soon'\n", "until must be a date"),
        ("cases = 1\n", "unknown key: cases"),
        ("[[case", "known.toml"),
    ],
)
def test_a_list_that_is_wrong_says_where(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "known.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(KnownFileError, match=words):
        load_known(path)
