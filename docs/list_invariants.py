"""Writes the table of `docs/reference/invariants.md`.

`python docs/list_invariants.py` writes what stands between the two marks; with `--check` it only
compares, and fails when the page is out of step.
"""

import sys
from pathlib import Path

from lastseen_simulator.world.invariants import INVARIANTS, Invariant

PAGE = Path(__file__).parent / "reference/invariants.md"
BEGIN, END = "<!-- the table begins -->\n", "<!-- the table ends -->\n"


def table() -> str:
    """A row for each invariant."""
    rows = [row(number, invariant) for number, invariant in INVARIANTS.items()]
    return "\n".join(
        ["| | what holds | in the world | and | elsewhere |", "|---|---|---|---|---|", *rows]
    )


def row(number: str, invariant: Invariant) -> str:
    """One invariant's row."""
    world = "all" if len(invariant.world) == 3 else ", ".join(invariant.world)
    cells = (f"INV-{number}", invariant.words, world or "-", invariant.note, invariant.elsewhere)
    return f"| {' | '.join(cells)} |"


def page(text: str) -> str:
    """The page with the table as it should be."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n\n{END}{rest.partition(END)[2]}"


def main(arguments: list[str]) -> int:
    """Writes, or with `--check` compares; 1 when the page is out of step."""
    text = PAGE.read_text(encoding="utf-8")
    if "--check" in arguments:
        return int(page(text) != text)
    PAGE.write_text(page(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
