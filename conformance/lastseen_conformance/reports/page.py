"""`report.html`: one file that needs nothing else, to read, filter and pass on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lastseen_conformance.reports.outcome import RunOutcome
from lastseen_conformance.reports.picture import rows_of
from lastseen_conformance.reports.terminal import rerun_command
from lastseen_conformance.rules import RULES, Keyword, Rule
from lastseen_conformance.suite import SuiteRun
from lastseen_conformance.verdicts import Result, Verdict

__all__ = ["report_page"]

FOLDER: Final = Path(__file__).parent / "templates"

_WORST_FIRST: Final = (
    Verdict.FAILED,
    Verdict.HARNESS_ERROR,
    Verdict.INCONCLUSIVE,
    Verdict.NON_STRICT,
    Verdict.UNIMPLEMENTED,
    Verdict.OK,
)


def report_page(run: SuiteRun, outcome: RunOutcome, command: Sequence[str]) -> str:
    """The page; everything a peer or a client said is escaped."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    results = sorted(
        run.results, key=lambda result: (_WORST_FIRST.index(result.verdict), result.case.id)
    )
    return environment.get_template("report.html").render(
        run=run,
        outcome=outcome,
        command=" ".join(command),
        results=[
            {
                "result": result,
                "rows": rows_of(result, in_full=result.verdict is not Verdict.OK),
                "rules": [RULES[name] for name in result.case.rules],
                "again": rerun_command(result, command),
                "about": " ".join((result.case.play.__doc__ or "").split()),
            }
            for result in results
        ],
        verdicts=[verdict for verdict in _WORST_FIRST if outcome.counts[verdict]],
        rules=RULES,
        broken=_broken(results),
    )


def _broken(results: Sequence[Result]) -> list[tuple[Rule, int]]:
    """The rules that were broken and in how many cases, those that bind most first."""
    counts: dict[str, int] = {}
    for result in results:
        for finding in result.broken:
            counts[finding.rule] = counts.get(finding.rule, 0) + 1
    keywords = list(Keyword)
    found = [(RULES[name], count) for name, count in counts.items()]
    return sorted(found, key=lambda item: (keywords.index(item[0].keyword), -item[1], item[0].id))
