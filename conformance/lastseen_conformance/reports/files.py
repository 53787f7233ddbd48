"""What programs read: `results.json`, JUnit XML, and annotations for GitHub."""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from lastseen_conformance.reports.outcome import RunOutcome
from lastseen_conformance.reports.terminal import rerun_command
from lastseen_conformance.rules import RULES
from lastseen_conformance.suite import SuiteRun
from lastseen_conformance.verdicts import Result, Verdict

__all__ = ["RESULTS_SCHEMA", "annotations", "junit", "results_json"]

RESULTS_SCHEMA = "lastseen.conformance-results/1"


def results_json(run: SuiteRun, outcome: RunOutcome, command: Sequence[str]) -> str:
    """Everything but the histories."""
    value: dict[str, Any] = {
        "schema": RESULTS_SCHEMA,
        "command": list(command),
        "mode": "reported" if run.reported else "url",
        "seconds": round(run.seconds, 3),
        "first_verdict_s": round(run.first_verdict_s or 0.0, 3),
        "exit_code": outcome.exit_code,
        "counts": {verdict.value: count for verdict, count in outcome.counts.items()},
        "stale": list(outcome.stale),
        "cases": [_case(result, outcome, command) for result in run.results],
    }
    return json.dumps(value, indent=1) + "\n"


def _case(result: Result, outcome: RunOutcome, command: Sequence[str]) -> dict[str, Any]:
    case = result.case
    return {
        "id": case.id,
        "template": case.template,
        "title": case.title,
        "verdict": result.verdict.value,
        "known": case.id in outcome.expected,
        "reason": result.reason,
        "rules": list(case.rules),
        "hazards": list(case.hazards),
        "broken": [
            {
                "rule": finding.rule,
                "keyword": RULES[finding.rule].keyword.value,
                "text": finding.text,
                "moment": finding.n,
            }
            for finding in result.broken
        ],
        "seconds": round(result.seconds, 3),
        "repeated": result.repeated,
        "notes": list(result.history.notes),
        "again": rerun_command(result, command),
    }


def junit(run: SuiteRun, outcome: RunOutcome) -> str:
    """A test suite a dialect; UNIMPLEMENTED and known failures are skipped tests."""
    root = ET.Element("testsuites", name="lastseen conformance")
    for dialect in sorted({result.case.dialect for result in run.results}):
        mine = [result for result in run.results if result.case.dialect == dialect]
        suite = ET.SubElement(root, "testsuite", name=dialect, tests=str(len(mine)))
        counts = {"failures": 0, "errors": 0, "skipped": 0}
        for result in mine:
            test = ET.SubElement(
                suite,
                "testcase",
                classname=result.case.template.replace("/", "."),
                name=result.case.id,
                time=f"{result.seconds:.3f}",
            )
            kind = _element(result, outcome)
            if kind is None:
                continue
            counts[{"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]] += 1
            told = ET.SubElement(test, kind, message=_xml_safe(_told(result)))
            told.text = _xml_safe(_told(result))
        for name, count in counts.items():
            suite.set(name, str(count))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _element(result: Result, outcome: RunOutcome) -> str | None:
    if result.case.id in outcome.expected or result.verdict is Verdict.UNIMPLEMENTED:
        return "skipped"
    if result.verdict is Verdict.FAILED:
        return "failure"
    if result.verdict in (Verdict.INCONCLUSIVE, Verdict.HARNESS_ERROR):
        return "error"
    return None


def _told(result: Result) -> str:
    broken = "; ".join(f"{finding.rule}: {finding.text}" for finding in result.broken)
    return f"{result.verdict.value}: {broken or result.reason}"


def _xml_safe(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def annotations(run: SuiteRun, outcome: RunOutcome) -> Iterator[str]:
    """Workflow commands that GitHub shows beside a run."""
    for result in run.results:
        if result.case.id in outcome.expected:
            continue
        for finding in result.broken:
            rule = RULES[finding.rule]
            level = "error" if rule.keyword.value == "MUST" else "warning"
            text = f"{rule.text} {finding.text}"
            yield f"::{level} title={_escaped(f'{result.case.id} {rule.id}')}::{_escaped(text)}"
        if result.verdict in (Verdict.INCONCLUSIVE, Verdict.HARNESS_ERROR):
            title = _escaped(f"{result.case.id} {result.verdict.value}")
            yield f"::warning title={title}::{_escaped(result.reason)}"


def _escaped(text: str) -> str:
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C")):
        text = text.replace(character, code)
    return text
