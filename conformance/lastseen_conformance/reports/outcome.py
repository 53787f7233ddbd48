"""What a run comes to: exit code, and what is wrong with the lists of known failures."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import final

import attrs

from lastseen_conformance.known import Known, stale_entries
from lastseen_conformance.verdicts import Result, Verdict

__all__ = ["RunOutcome", "outcome_of"]

OK_EXIT, FAILED_EXIT, INCONCLUSIVE_EXIT, HARNESS_EXIT = 0, 1, 2, 3

_PASSING = (Verdict.OK, Verdict.NON_STRICT)


@final
@attrs.frozen(kw_only=True)
class RunOutcome:
    """The figures of a run and its exit code."""

    counts: Mapping[Verdict, int]
    expected: frozenset[str]
    """Cases that failed, or wavered, as a list says."""
    stale: tuple[str, ...]
    exit_code: int


def outcome_of(
    results: Sequence[Result],
    *,
    failing: Mapping[str, Known],
    flaky: Mapping[str, Known],
    cases: Sequence[str],
    today: date,
) -> RunOutcome:
    """Sums up. `cases` are all there are, so that an entry for none of them is noticed."""
    counts = dict.fromkeys(Verdict, 0)
    for result in results:
        counts[result.verdict] += 1
    passed = {result.case.id for result in results if result.verdict in _PASSING}
    stale = stale_entries(failing, cases=cases, passed=passed, today=today)
    stale += stale_entries(flaky, cases=cases, passed=(), today=today)
    excused = set(failing) | set(flaky)
    expected = {
        result.case.id
        for result in results
        if result.case.id in excused and result.verdict not in (*_PASSING, Verdict.UNIMPLEMENTED)
    }
    counted = [result.verdict for result in results if result.case.id not in expected]
    code = OK_EXIT
    if Verdict.FAILED in counted or stale:
        code = FAILED_EXIT
    elif Verdict.HARNESS_ERROR in counted:
        code = HARNESS_EXIT
    elif Verdict.INCONCLUSIVE in counted or not (passed or expected):
        code = INCONCLUSIVE_EXIT
    return RunOutcome(
        counts=counts, expected=frozenset(expected), stale=tuple(stale), exit_code=code
    )
