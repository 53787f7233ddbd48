"""What a person sees: a line for each verdict that matters, then the rules that were broken."""

import shlex
from collections.abc import Callable, Sequence
from typing import Final, final

import attrs

from lastseen_conformance.case import Finding
from lastseen_conformance.reports.outcome import RunOutcome
from lastseen_conformance.rules import RULES, Keyword
from lastseen_conformance.suite import SuiteRun
from lastseen_conformance.verdicts import Result, Verdict

__all__ = ["Terminal", "rerun_command"]

_SHOWN_CASES: Final = 3
_WIDTH: Final = 96

_WORST_FIRST: Final = (Keyword.MUST, Keyword.SHOULD, Keyword.MAY)


def rerun_command(result: Result, command: Sequence[str], options: Sequence[str] = ()) -> str:
    """The command that runs one case again."""
    case = result.case
    words = ["lastseen", "conformance", "run", "--dialect", case.dialect, "--case", case.id]
    return shlex.join([*words, *options, "--", *command])


@final
@attrs.frozen(kw_only=True)
class Terminal:
    """Writes lines by `say`; `progress` gets a short text that the next one replaces."""

    say: Callable[[str], None]
    progress: Callable[[str], None] = lambda _: None
    command: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    quiet: bool = False

    def watch(self, result: Result, done: int, of: int) -> None:
        """One final result."""
        self.progress(f"{done}/{of}  {result.case.id}")
        if not self.quiet and result.verdict is not Verdict.UNIMPLEMENTED:
            self._line(result.verdict.value, result)

    def doubt(self, result: Result) -> None:
        """One that is to be repeated alone before it counts."""
        if not self.quiet:
            self._line(f"({result.verdict.value}?)", result)

    def summary(self, run: SuiteRun, outcome: RunOutcome) -> None:
        """Grouped by rule, the worst first; then what could not be said, and the figures."""
        self.progress("")
        for keyword in _WORST_FIRST:
            for rule, broken in _by_rule(run.results, keyword):
                self._rule(rule, broken, outcome)
        self._unsaid(run.results)
        for line in outcome.stale:
            self.say(f"known list: {line}")
        figures = [f"{count} {verdict.value}" for verdict, count in outcome.counts.items() if count]
        mode = "reported" if run.reported else "by URL only"
        self.say("")
        time = f"{run.seconds:.1f} s"
        if run.first_verdict_s is not None:
            time += f", the first verdict after {run.first_verdict_s:.1f} s"
        self.say(f"{', '.join(figures) or 'nothing ran'}  ({mode}, {time})")
        if outcome.expected:
            self.say(f"{len(outcome.expected)} of these are known")

    def _line(self, verdict: str, result: Result) -> None:
        because = _because(result)
        self.say(f"{verdict:<15} {result.seconds:5.1f} s  {result.case.id}{because}")

    def _rule(self, name: str, broken: list[tuple[Result, Finding]], outcome: RunOutcome) -> None:
        rule = RULES[name]
        self.say("")
        self.say(f"{rule.keyword.value}  {rule.id}: {rule.text}")
        self.say(f"      {rule.why} [{rule.source}]")
        for result, finding in broken[:_SHOWN_CASES]:
            known = " (known)" if result.case.id in outcome.expected else ""
            self.say(f"    {result.case.id}{known}: {finding.text}")
        if len(broken) > _SHOWN_CASES:
            self.say(f"    … and {len(broken) - _SHOWN_CASES} more cases")
        self.say(f"    again: {rerun_command(broken[0][0], self.command, self.options)}")

    def _unsaid(self, results: Sequence[Result]) -> None:
        reasons: dict[tuple[str, str], list[Result]] = {}
        for result in results:
            if result.verdict in (Verdict.INCONCLUSIVE, Verdict.HARNESS_ERROR):
                reasons.setdefault((result.verdict.value, result.reason), []).append(result)
        for (verdict, reason), those in reasons.items():
            self.say("")
            self.say(f"{verdict}  {reason}")
            for result in those[:_SHOWN_CASES]:
                self.say(f"    {result.case.id}")
            if len(those) > _SHOWN_CASES:
                self.say(f"    … and {len(those) - _SHOWN_CASES} more cases")


def _by_rule(
    results: Sequence[Result], keyword: Keyword
) -> list[tuple[str, list[tuple[Result, Finding]]]]:
    found: dict[str, list[tuple[Result, Finding]]] = {}
    for result in results:
        for finding in result.broken:
            if RULES[finding.rule].keyword is keyword:
                found.setdefault(finding.rule, []).append((result, finding))
    return sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))


def _because(result: Result) -> str:
    broken = ", ".join(finding.rule for finding in result.broken)
    text = broken or (result.reason if result.verdict is not Verdict.OK else "")
    return f"  {text}"[:_WIDTH] if text else ""
