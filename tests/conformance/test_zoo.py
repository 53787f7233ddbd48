"""The suite tells broken clients from good ones, and each case has its part in that."""

import json

import attrs
import pytest
from click.testing import CliRunner

from lastseen_conformance.cases import CASES
from lastseen_conformance.cases.oddspapi.scripts import nothing as oddspapi_nothing
from lastseen_conformance.cases.polymarket_us.scripts import nothing as polymarket_us_nothing
from lastseen_conformance.cases.polynode.scripts import nothing as polynode_nothing
from lastseen_conformance.command import conformance
from lastseen_conformance.dialects import DIALECTS
from lastseen_conformance.drivers.virtual import run_virtual
from lastseen_conformance.verdicts import Verdict, judge
from lastseen_conformance.zoo import MUTANTS
from lastseen_conformance.zoo.hazards import CRITICAL, HIGH, WITHOUT_MUTANT
from lastseen_conformance.zoo.matrix import (
    Correct,
    Kill,
    Matrix,
    complaints,
    kill_of,
    kills_of,
    load,
    part,
    save,
)
from lastseen_conformance.zoo.mutant import Mutant

WHOLE = load()
PART = part(WHOLE)
CORRECT = Correct()
TEMPLATES = sorted({kill.template for kill in WHOLE.kills})
WITHOUT_JUDGE = (oddspapi_nothing, polymarket_us_nothing, polynode_nothing)


def test_the_kept_matrix_is_what_is_declared() -> None:
    assert list(complaints(WHOLE)) == []


def test_a_part_of_it_shows_as_much() -> None:
    assert list(complaints(PART)) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.id)
def test_that_part_comes_out_again(mutant: Mutant) -> None:
    for kill in PART.kills:
        if kill.mutant == mutant.id:
            case = CASES[kill.case]

            assert kill_of(mutant, case, mutant.play(case)) == kill


def test_a_template_that_stops_judging_is_noticed() -> None:
    for template in TEMPLATES:
        kept = Matrix(kills=tuple(kill for kill in PART.kills if kill.template != template))

        assert f"{template} catches no mutant" in complaints(kept)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_whose_own_judge_is_emptied_is_noticed(template: str) -> None:
    if any(kill.own for kill in PART.kills if kill.template == template):
        # Then the part above does not come out again.
        return
    cases = [case for case in CASES.values() if case.template == template]
    if all(case.judge in WITHOUT_JUDGE for case in cases):
        # Then what it waits for is all that it judges by.
        return

    emptied = [
        judge(
            attrs.evolve(case, judge=oddspapi_nothing),
            run_virtual(case).history,
            DIALECTS[case.dialect].always,
        ).verdict
        for case in cases
    ]

    assert set(emptied) != {Verdict.OK}


def test_a_mutant_that_breaks_one_rule_more_is_noticed() -> None:
    for mutant in MUTANTS:
        more = Kill(
            mutant=mutant.id,
            case="oddspapi/login/cold",
            template="oddspapi/login/cold",
            rules=frozenset({"one more"}),
        )

        found = list(complaints(Matrix(kills=(*PART.kills, more))))

        assert found == [f"{mutant.id} breaks one more, which is not declared"]


def test_every_hazard_that_matters_has_a_mutant_or_a_reason() -> None:
    committed = {hazard for mutant in MUTANTS for hazard in mutant.hazards}

    assert {*CRITICAL, *HIGH} <= committed | WITHOUT_MUTANT.keys()
    assert not committed & WITHOUT_MUTANT.keys()


def test_mutants_are_told_apart() -> None:
    assert len({mutant.id for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.soak
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.id)
def test_the_whole_matrix_comes_out_again(
    mutant: Mutant, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("zoo") / "kills.jsonl"
    save(Matrix(kills=tuple(kills_of(mutant, CASES.values(), CORRECT))), path)

    kept = tuple(kill for kill in WHOLE.kills if kill.mutant == mutant.id)
    assert load(path).kills == kept


def test_the_command_says_what_a_mutant_breaks() -> None:
    arguments = ["zoo", "--mutant", "polynode/tells-again"]
    told = CliRunner().invoke(conformance, arguments, standalone_mode=False)
    program = CliRunner().invoke(conformance, [*arguments, "--json"], standalone_mode=False)

    assert told.return_value == 0, told.output
    assert "ok     polynode/tells-again" in told.output
    first = json.loads(program.output.splitlines()[0])
    assert first["rules"] == first["declared"] == ["pn.item.once"]
