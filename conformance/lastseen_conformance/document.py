"""Makes the pages that are data: the rules with their cases, and the mutants that they catch.

`python -m lastseen_conformance.document` writes them, `--check` says whether they are in step.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lastseen_conformance.cases import CASES
from lastseen_conformance.rules import RULES, Rule
from lastseen_conformance.zoo.matrix import load
from lastseen_conformance.zoo.page import kills_page

__all__ = ["main", "rules_page"]

REFERENCE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference"
TEMPLATES_SHOWN: Final = 6
TITLES: Final = {
    "every": "Every client",
    "oddspapi": "OddsPapi",
    "polynode": "PolyNode",
    "polymarket-us": "Polymarket US",
}


def rules_page() -> str:
    """The page of the rule register."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Rules"
    yield ""
    yield "What the conformance suite asks of a client, generated from the register."
    yield "A rule's id never changes its meaning."
    yield "`wire` is judged for any client, `report` needs one that "
    yield "[reports](../how-to/test-your-client.md#say-what-you-did), `process` looks at the "
    yield "process itself."
    yield "Sources are hazards (HZ), rules of the heart (R), invariants (INV), open points of the"
    yield "wire (OP) and sections of what is known of it."
    templates = {case.template for case in CASES.values()}
    yield ""
    yield f"{len(RULES)} rules, {len(templates)} case templates, {len(CASES)} cases."
    for dialect, title in TITLES.items():
        rules = [rule for rule in RULES.values() if rule.dialect == dialect]
        if not rules:
            continue
        mine = [case for case in CASES.values() if case.dialect == dialect]
        yield ""
        yield f"## {title}"
        yield ""
        if mine:
            count = len({case.template for case in mine})
            yield f"{count} case templates, {len(mine)} cases."
            yield ""
        yield "| rule | | what it asks, and why | judged by | source | cases |"
        yield "|---|---|---|---|---|---|"
        for rule in rules:
            yield _row(rule)


def _row(rule: Rule) -> str:
    words = f"{rule.text} {rule.why}".replace("|", "\\|")
    cells = (
        f"`{rule.id}`",
        rule.keyword.value,
        words,
        rule.sight.value,
        rule.source,
        _cases(rule),
    )
    return f"| {' | '.join(cells)} |"


def _cases(rule: Rule) -> str:
    if rule.untested is not None:
        return f"none: {rule.untested}"
    counts: dict[str, int] = {}
    for case in CASES.values():
        if rule.id in case.rules:
            counts[case.template] = counts.get(case.template, 0) + 1
    shown = [f"`{name}`" for name in list(counts)[:TEMPLATES_SHOWN]]
    more = f" and {len(counts) - len(shown)} more" if len(counts) > len(shown) else ""
    return f"{', '.join(shown)}{more}" if shown else "every one"


def main(arguments: list[str]) -> int:
    """Writes the pages; with `--check` returns 1 when one is not what the data say."""
    pages = {"rules.md": rules_page(), "kill-matrix.md": kills_page(load())}
    stale = 0
    for name, text in pages.items():
        path = REFERENCE / name
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.stderr.write(f"{name} is not what the data say\n")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
