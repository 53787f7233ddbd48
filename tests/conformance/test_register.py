from lastseen_conformance import contract, document
from lastseen_conformance.cases import CASES
from lastseen_conformance.dialects import DIALECTS
from lastseen_conformance.rules import RULES


def test_every_rule_has_a_case_or_a_reason_why_it_has_none() -> None:
    cited = {rule for case in CASES.values() for rule in case.rules}
    # Judged in every run, whatever the case is about.
    always = {"all.process.lives", "all.secret.not-printed", "op.connect.limit", "op.login.once"}

    untested = [
        rule.id
        for rule in RULES.values()
        if rule.id not in cited | always and rule.untested is None
    ]
    both = [rule.id for rule in RULES.values() if rule.id in cited and rule.untested is not None]

    assert untested == []
    assert both == []


def test_every_case_cites_rules_that_exist_and_are_meant_for_it() -> None:
    for case in CASES.values():
        assert case.rules, case.id
        for rule in case.rules:
            assert RULES[rule].dialect in ("every", case.dialect), case.id


def test_cases_are_called_after_their_dialect_and_explain_themselves() -> None:
    for case in CASES.values():
        assert case.dialect in DIALECTS
        assert case.id.startswith(f"{case.dialect}/")
        assert case.template.startswith(f"{case.dialect}/")
        assert case.title
        assert case.play.__doc__, case.id


def test_templates_are_counted_apart_from_their_permutations() -> None:
    templates = {case.template for case in CASES.values()}

    assert len(templates) >= 90
    assert len(CASES) >= 300


def test_the_page_of_the_rules_is_in_step_with_the_register() -> None:
    assert document.main(["--check"]) == 0


def test_the_schemas_are_in_step_with_the_contract() -> None:
    assert contract.main(["--check"]) == 0
