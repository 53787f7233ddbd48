"""Writes the tables of `docs/reference/explore.md`: for each rule the shortest way to go wrong.

`python docs/list_counterexamples.py` writes what stands between the two marks; with `--check` it
only compares, and fails when the page is out of step.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from lastseen_simulator.explore.dialects import DIALECTS, Explored
from lastseen_simulator.explore.search import Search

PAGE = Path(__file__).parent / "reference/explore.md"
BEGIN, END = "<!-- the tables begin -->\n", "<!-- the tables end -->\n"


def row(explored: Explored, rule: str) -> str:
    """One rule's row: the shortest way, where the rule shows soonest."""
    finding = Search(explored.world((explored.shown_in[rule],), rule)).run()
    situation = explored.shown_in[rule].name
    if finding is None:
        return f"| {rule} | {situation} | none | |"
    problem = finding.problems[0].partition(":")[0]
    return f"| {rule} | {situation} | {len(finding.steps) - 1} | {problem} |"


def tables() -> str:
    """A table for each dialect."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for name, explored in DIALECTS.items():
        yield f"\n### {name}\n"
        yield "| without | situation | steps | what breaks |"
        yield "|---|---|---|---|"
        for rule in explored.shown_in:
            yield row(explored, rule)


def main(arguments: list[str]) -> int:
    """Writes, or with `--check` compares; 1 when the page is out of step."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    made = head + BEGIN + tables() + "\n" + END + tail
    if "--check" in arguments:
        return int(made != text)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
