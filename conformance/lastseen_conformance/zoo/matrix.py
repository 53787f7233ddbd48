"""Which mutant is caught by which case, and through which rules: played, kept, and compared."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, final

import attrs

from lastseen_conformance.case import Case, Finding
from lastseen_conformance.cases import CASES
from lastseen_conformance.dialects import DIALECTS
from lastseen_conformance.drivers.virtual import play_virtual
from lastseen_conformance.history import History
from lastseen_conformance.verdicts import judge
from lastseen_conformance.zoo import MUTANTS
from lastseen_conformance.zoo.mutant import Mutant

__all__ = [
    "KEPT",
    "Correct",
    "Kill",
    "Matrix",
    "complaints",
    "kill_of",
    "kills_of",
    "load",
    "part",
    "save",
]

KEPT: Final = Path(__file__).with_name("kills.jsonl")
"""The last whole matrix, as far as it takes to see again what it shows."""


@final
@attrs.frozen(kw_only=True)
class Kill:
    """A case in which a mutant breaks rules."""

    mutant: str
    """Dialect and name."""
    case: str
    template: str
    rules: frozenset[str]
    own: frozenset[str] = frozenset()
    """Those of them that only the case's own judge has seen."""


@final
@attrs.frozen(kw_only=True)
class Matrix:
    """What came of playing mutants: every kill, or a part that shows as much."""

    kills: tuple[Kill, ...]

    def rules_of(self, mutant: Mutant) -> frozenset[str]:
        """All that a mutant was seen to break."""
        return frozenset(
            rule for kill in self.kills if kill.mutant == mutant.id for rule in kill.rules
        )

    def catchers(self) -> Mapping[str, frozenset[str]]:
        """By template, the mutants that it catches."""
        found: dict[str, set[str]] = {}
        for kill in self.kills:
            found.setdefault(kill.template, set()).add(kill.mutant)
        return {template: frozenset(names) for template, names in found.items()}


@final
@attrs.define(eq=False)
class Correct:
    """What the correct client did in each case, so far as anybody asked.

    A mutant whose history is the same, moment by moment, breaks nothing: it needs no judges.
    """

    _histories: dict[str, History] = attrs.field(init=False, factory=dict[str, History])

    def did(self, case: Case, history: History) -> bool:
        """Whether this is what the correct client does, too."""
        known = self._histories.get(case.id)
        if known is None:
            known = self._histories[case.id] = play_virtual(case)
        return _seen(known) == _seen(history)


def _seen(history: History) -> tuple[object, ...]:
    """All that judges look at."""
    return (
        history.moments,
        history.outcomes,
        history.receipts,
        history.leaked,
        history.ignored_stop,
        history.trouble,
    )


def kills_of(mutant: Mutant, cases: Iterable[Case], correct: Correct) -> Iterator[Kill]:
    """Plays cases of its dialect against a mutant."""
    for case in cases:
        if case.dialect == mutant.dialect:
            history = mutant.play(case)
            kill = None if correct.did(case, history) else kill_of(mutant, case, history)
            if kill is not None:
                yield kill


def kill_of(mutant: Mutant, case: Case, history: History) -> Kill | None:
    """What a history says of a mutant; None when no rule was broken."""
    rules = _broken(case, history)
    if not rules:
        return None
    emptied = attrs.evolve(case, judge=_blind)
    return Kill(
        mutant=mutant.id,
        case=case.id,
        template=case.template,
        rules=rules,
        own=rules - _broken(emptied, history),
    )


def _broken(case: Case, history: History) -> frozenset[str]:
    result = judge(case, history, DIALECTS[case.dialect].always)
    return frozenset(finding.rule for finding in result.broken)


def _blind(history: History) -> Iterable[Finding]:
    del history
    return ()


def complaints(matrix: Matrix, mutants: Sequence[Mutant] = MUTANTS) -> Iterator[str]:
    """What is wrong with a suite, in words: a mutant misjudged, or a template that catches none."""
    for mutant in mutants:
        seen = matrix.rules_of(mutant)
        for rule in sorted(seen - mutant.fails):
            yield f"{mutant.id} breaks {rule}, which is not declared"
        for rule in sorted(mutant.fails - seen):
            yield f"{mutant.id} does not break {rule}, which is declared"
    dialects = {mutant.dialect for mutant in mutants}
    catchers = matrix.catchers()
    for template in dict.fromkeys(case.template for case in CASES.values()):
        if template not in catchers and template.partition("/")[0] in dialects:
            yield f"{template} catches no mutant"


def part(matrix: Matrix) -> Matrix:
    """The fewest kills, more or less, that show all that the matrix shows.

    For each mutant every rule it breaks, for each template a mutant it catches, and for each
    template one that only its own judge has seen, where there is such a one.
    """
    left = list(matrix.kills)
    wanted: set[tuple[str, ...]] = {need for kill in left for need in _shows(kill)}
    chosen: list[Kill] = []
    while wanted:
        best = max(left, key=lambda kill: len(wanted & _shows(kill)))
        wanted -= _shows(best)
        chosen.append(best)
        left.remove(best)
    order = {kill: number for number, kill in enumerate(matrix.kills)}
    return Matrix(kills=tuple(sorted(chosen, key=order.__getitem__)))


def _shows(kill: Kill) -> frozenset[tuple[str, ...]]:
    shown: set[tuple[str, ...]] = {(kill.mutant, rule) for rule in kill.rules}
    shown.add(("template", kill.template))
    shown |= {("own", kill.template, rule) for rule in kill.own}
    return frozenset(shown)


def save(matrix: Matrix, path: Path = KEPT) -> None:
    """Writes a matrix: by mutant and template, the first cases that show all its rules."""
    lines: list[str] = []
    shown: dict[tuple[str, str], set[str]] = {}
    for kill in matrix.kills:
        before = shown.setdefault((kill.mutant, kill.template), set())
        if not kill.rules <= before:
            before |= kill.rules
            lines.append(json.dumps([kill.mutant, kill.case, sorted(kill.rules), sorted(kill.own)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def load(path: Path = KEPT) -> Matrix:
    """Reads what `save` wrote."""
    found: list[Kill] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        mutant, case, rules, own = json.loads(line)
        found.append(
            Kill(
                mutant=mutant,
                case=case,
                template=CASES[case].template,
                rules=frozenset(rules),
                own=frozenset(own),
            )
        )
    return Matrix(kills=tuple(found))
