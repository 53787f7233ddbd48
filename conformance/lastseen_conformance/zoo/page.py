"""The kill matrix as a page of the documentation."""

from collections.abc import Iterator

from lastseen_conformance.cases import CASES
from lastseen_conformance.zoo import MUTANTS
from lastseen_conformance.zoo.hazards import CRITICAL, HIGH, WITHOUT_MUTANT
from lastseen_conformance.zoo.matrix import Matrix
from lastseen_conformance.zoo.mutant import Mutant

__all__ = ["kills_page"]

_TITLES = {"oddspapi": "OddsPapi", "polynode": "PolyNode"}


def kills_page(matrix: Matrix) -> str:
    """The page, from the matrix that is kept."""
    return "\n".join(_lines(matrix)) + "\n"


def _lines(matrix: Matrix) -> Iterator[str]:
    templates = {case.template for case in CASES.values() if case.dialect in _TITLES}
    yield "# Kill matrix"
    yield ""
    yield "What shows that the suite can tell right from wrong, generated from its last whole run."
    yield "A mutant is the reference client with one thing wrong; it must break exactly the rules"
    yield "that are declared for it, and every case template must catch one of them."
    yield "`lastseen conformance zoo` plays them all again, in virtual time."
    yield ""
    yield f"{len(MUTANTS)} mutants, {len(templates)} case templates."
    for dialect, title in _TITLES.items():
        mine = [mutant for mutant in MUTANTS if mutant.dialect == dialect]
        yield ""
        yield f"## {title}: what each mutant breaks"
        yield ""
        yield "| mutant | what it does | hazards | rules it breaks | caught by |"
        yield "|---|---|---|---|---|"
        for mutant in mine:
            yield _mutant_row(mutant, matrix)
        yield ""
        yield f"## {title}: what each case template catches"
        yield ""
        yield "| case template | mutants |"
        yield "|---|---|"
        catchers = matrix.catchers()
        for template in dict.fromkeys(c.template for c in CASES.values() if c.dialect == dialect):
            names = sorted(name.partition("/")[2] for name in catchers.get(template, ()))
            yield f"| `{template}` | {', '.join(names)} |"
    yield ""
    yield "## Hazards without a mutant"
    yield ""
    yield "Of those that lose or corrupt something (critical), or bring a client down (high)."
    yield ""
    yield "| hazard | severity | why |"
    yield "|---|---|---|"
    for hazard in (*CRITICAL, *HIGH):
        if hazard in WITHOUT_MUTANT:
            severity = "critical" if hazard in CRITICAL else "high"
            yield f"| {hazard} | {severity} | {WITHOUT_MUTANT[hazard]} |"


def _mutant_row(mutant: Mutant, matrix: Matrix) -> str:
    templates = {kill.template for kill in matrix.kills if kill.mutant == mutant.id}
    rules = ", ".join(f"`{rule}`" for rule in sorted(mutant.fails))
    hazards = ", ".join(mutant.hazards) or "\N{EN DASH}"
    count = f"{len(templates)} template" + ("s" if len(templates) != 1 else "")
    return f"| `{mutant.name}` | {mutant.words} | {hazards} | {rules} | {count} |"
