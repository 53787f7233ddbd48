"""From a history to a verdict."""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import final

import attrs

from lastseen_conformance.case import Case, Finding, Judge, broken, kept
from lastseen_conformance.history import Connected, Exited, History, Refused
from lastseen_conformance.rules import RULES, Keyword, Sight

__all__ = ["Result", "Verdict", "judge"]


class Verdict(Enum):
    """What a run of a case says, the worst last."""

    OK = "OK"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    NON_STRICT = "NON_STRICT"
    INCONCLUSIVE = "INCONCLUSIVE"
    HARNESS_ERROR = "HARNESS_ERROR"
    FAILED = "FAILED"


@final
@attrs.frozen(kw_only=True)
class Result:
    """The verdict on one run, with what it rests on."""

    case: Case
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    """What to say of a verdict that no broken rule explains."""
    history: History = attrs.field(factory=History, repr=False)
    seconds: float = 0.0
    repeated: bool = False
    """It was run again, alone, before it was reported."""

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The rules that were broken, each once: where it was broken first."""
        found: dict[str, Finding] = {}
        for finding in self.findings:
            if not finding.kept:
                first = found.setdefault(finding.rule, finding)
                if finding.n is not None and (first.n is None or finding.n < first.n):
                    found[finding.rule] = finding
        return tuple(found.values())


def judge(case: Case, history: History, always: Sequence[Judge] = ()) -> Result:
    """Judges one run: by what always holds, by the case's own judge, and by what was waited for.

    What only the case knows to be wrong counts when its faults fired and it was played to its end;
    what is wrong always counts whatever else happened.
    """
    trouble = history.trouble or _never_began(history)
    if trouble is not None:
        return Result(case=case, verdict=Verdict.HARNESS_ERROR, reason=trouble, history=history)
    unfired = [receipt for receipt in history.receipts if receipt.fired == 0]
    unmet = [outcome for outcome in history.outcomes if not outcome.met]
    found = [finding for each in always for finding in each(history)]
    if not unfired and all(outcome.rule is not None for outcome in unmet):
        own = case.judge(history)
        found += own if not unmet else (finding for finding in own if not finding.kept)
    found += _owed(history)
    verdict, reason = Verdict.OK, ""
    weak = [finding for finding in found if not finding.kept]
    if any(RULES[finding.rule].keyword is Keyword.MUST for finding in weak):
        verdict = Verdict.FAILED
    elif unmet and not any(finding.text.endswith(unmet[0].what) for finding in weak):
        verdict = Verdict.INCONCLUSIVE
        reason = f"not seen: {unmet[0].what}"
        if history.starved:
            reason += " (this machine was too busy to tell)"
    elif unfired:
        verdict, first = Verdict.INCONCLUSIVE, unfired[0]
        reason = f"the fault never fired: {first.kind} {first.at}"
    elif not unmet and (untested := _untested(case, history, found)):
        verdict, reason = Verdict.INCONCLUSIVE, f"not put to the test: {', '.join(untested)}"
    elif weak:
        verdict = Verdict.NON_STRICT
    return Result(case=case, verdict=verdict, findings=tuple(found), reason=reason, history=history)


def _never_began(history: History) -> str | None:
    """A client that ended by itself before it ever connected has not been tested."""
    for moment in history.moments:
        if isinstance(moment, Connected | Refused):
            return None
        if isinstance(moment, Exited) and not moment.asked:
            return f"the client ended before it connected: {moment.how}"
    return None


def _owed(history: History) -> Iterable[Finding]:
    gone = next((exited for exited in history.of(Exited) if not exited.asked), None)
    if history.may_end:
        gone = None
    if gone is not None:
        yield broken("all.process.lives", f"the client ended: {gone.how}", gone.n)
    elif history.count(Connected):
        yield kept("all.process.lives")
    if history.ignored_stop:
        yield broken("all.process.stops", "it went on after 'stop' and had to be killed")
    if history.leaked is not None:
        yield broken("all.secret.not-printed", f"the key is in its {history.leaked}")
    elif history.count(Connected):
        yield kept("all.secret.not-printed")
    for outcome in history.outcomes:
        if outcome.rule is None:
            continue
        if outcome.met:
            yield kept(outcome.rule, outcome.what)
        elif gone is None and not history.starved:
            yield broken(outcome.rule, f"not seen: {outcome.what}", outcome.n)


def _untested(case: Case, history: History, found: Iterable[Finding]) -> list[str]:
    """The rules a case cites, could have judged in this mode, and has seen nothing of."""
    seen = {finding.rule for finding in found}
    return [
        rule
        for rule in case.rules
        if rule not in seen and (history.reported or RULES[rule].sight is not Sight.REPORT)
    ]
