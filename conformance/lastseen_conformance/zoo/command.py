"""`lastseen conformance zoo`: plays every mutant, and says whether the suite tells them apart."""

import fnmatch
import json
import sys
import time
from collections.abc import Sequence
from typing import Final

import click

from lastseen_conformance.cases import CASES
from lastseen_conformance.drivers.virtual import run_virtual
from lastseen_conformance.verdicts import Verdict
from lastseen_conformance.zoo import MUTANTS
from lastseen_conformance.zoo.matrix import KEPT, Correct, Kill, Matrix, complaints, kills_of, save
from lastseen_conformance.zoo.mutant import Mutant
from lastseen_simulator.command import CommandError

__all__ = ["zoo"]

_CLEAR: Final = "\r\x1b[K"


@click.command(
    epilog="""\b
Exit codes:
  0  every mutant breaks what is declared for it, every template catches one
  1  the suite judges otherwise than declared
  2  no mutant of that name

\b
Example:
  lastseen conformance zoo --mutant 'polynode/*'
"""
)
@click.option(
    "--mutant", "patterns", multiple=True, metavar="GLOB", help="Only such mutants; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@click.option("--keep", is_flag=True, help=f"Write what was found to {KEPT.name}.")
def zoo(patterns: tuple[str, ...], as_json: bool, keep: bool) -> int:
    """Show that the suite tells broken clients from good ones.

    Every mutant, a client that is broken in one named way, plays all cases of its dialect in
    virtual time; so does the correct one. This takes minutes.
    """
    chosen = [
        mutant
        for mutant in MUTANTS
        if not patterns or any(fnmatch.fnmatchcase(mutant.id, each) for each in patterns)
    ]
    if not chosen:
        raise CommandError(f"no mutant is called {' or '.join(patterns)}", exit_code=2)
    if keep and patterns:
        raise click.UsageError("--keep needs all mutants")
    began = time.monotonic()
    troubles = _correct(chosen)
    kills: list[Kill] = []
    correct = Correct()
    for number, mutant in enumerate(chosen, start=1):
        _progress(f"[{number}/{len(chosen)}] {mutant.id}")
        found = list(kills_of(mutant, CASES.values(), correct))
        kills += found
        _tell(mutant, found, as_json=as_json)
    _progress("")
    matrix = Matrix(kills=tuple(kills))
    troubles += [
        text
        for text in complaints(matrix, chosen)
        # With a part of the mutants a template may well catch none.
        if not patterns or not text.endswith("catches no mutant")
    ]
    for text in troubles:
        click.echo(json.dumps({"complaint": text}) if as_json else f"wrong: {text}")
    seconds = time.monotonic() - began
    click.echo(f"{len(chosen)} mutants in {seconds:.0f} s, {len(troubles)} wrong", err=as_json)
    if keep:
        save(matrix)
    return 1 if troubles else 0


def _correct(chosen: Sequence[Mutant]) -> list[str]:
    """What the correct client is wrongly blamed for."""
    dialects = {mutant.dialect for mutant in chosen}
    troubles: list[str] = []
    for case in CASES.values():
        if case.dialect in dialects:
            _progress(f"the correct client: {case.id}")
            verdict = run_virtual(case).verdict
            if verdict is not Verdict.OK:
                troubles.append(f"{case.id} says {verdict.value} of the correct client")
    return troubles


def _tell(mutant: Mutant, kills: Sequence[Kill], *, as_json: bool) -> None:
    rules = sorted({rule for kill in kills for rule in kill.rules})
    templates = sorted({kill.template for kill in kills})
    if as_json:
        found = {"mutant": mutant.id, "rules": rules, "templates": templates}
        click.echo(json.dumps({**found, "declared": sorted(mutant.fails)}))
        return
    _progress("")
    good = "ok" if frozenset(rules) == mutant.fails else "wrong"
    counts = f"rules: {len(rules)}, templates: {len(templates)}"
    click.echo(f"{good:<6} {mutant.id:<42} {counts}")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{_CLEAR}{text}")
        sys.stderr.flush()
