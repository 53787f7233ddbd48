"""`report.html`: one file that needs nothing else, to read, filter and pass on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lastseen_conformance.reports.outcome import RunOutcome
from lastseen_conformance.reports.picture import rows_of
from lastseen_conformance.reports.terminal import rerun_command
from lastseen_conformance.rules import RULES
from lastseen_conformance.suite import SuiteRun
from lastseen_conformance.verdicts import Verdict

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
                "rows": rows_of(result),
                "rules": [RULES[name] for name in result.case.rules],
                "again": rerun_command(result, command),
                "about": " ".join((result.case.play.__doc__ or "").split()),
            }
            for result in results
        ],
        verdicts=[verdict for verdict in _WORST_FIRST if outcome.counts[verdict]],
        rules=RULES,
    )
