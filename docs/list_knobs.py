"""Writes the tables of knobs in `docs/reference` from the options themselves, a page a dialect.

`python docs/list_knobs.py` writes what stands between the two marks on each page; with `--check` it
only compares, and fails when the options have moved on.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lastseen_simulator.gateway.options import GatewayOptions
from lastseen_simulator.knobs import Knob, knobs_in
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.polynode.options import PolyNodeOptions

PAGE = Path(__file__).parent / "reference/knobs.md"
POLYNODE_PAGE = Path(__file__).parent / "reference/polynode-knobs.md"
POLYMARKET_US_PAGE = Path(__file__).parent / "reference/polymarket-us-knobs.md"
BEGIN, END = "<!-- the tables begin -->\n", "<!-- the tables end -->\n"

_NOTHING = "\N{EN DASH}"


def tables(options: type[Any] = GatewayOptions) -> str:
    """A table for each group, a row for each knob."""
    return "\n".join(_lines(knobs_in(options))) + "\n"


def _lines(knobs: tuple[Knob, ...]) -> Iterator[str]:
    group = None
    for each in knobs:
        if each.group != group:
            group = each.group
            yield from (
                f"\n### {group}\n",
                "| knob | default | takes | what it plays | open point |",
            )
            yield "|---|---|---|---|---|"
        default = f"`{each.default}`" if each.default else _NOTHING
        takes = " \\| ".join(each.takes.split(" | "))
        yield (
            f"| `{each.name}` | {default} | {takes} | {each.meaning} | "
            f"{', '.join(each.plays) or _NOTHING} |"
        )


def main(arguments: list[str]) -> int:
    """Writes, or with `--check` compares; 1 when a page is out of step."""
    pages: tuple[tuple[Path, type[Any]], ...] = (
        (PAGE, GatewayOptions),
        (POLYNODE_PAGE, PolyNodeOptions),
        (POLYMARKET_US_PAGE, PolymarketUSOptions),
    )
    return max(_bring_up_to_date(page, options, arguments) for page, options in pages)


def _bring_up_to_date(page: Path, options: type[Any], arguments: list[str]) -> int:
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    wanted = f"{head}{BEGIN}{tables(options)}{END}{tail}"
    if text == wanted:
        return 0
    if arguments == ["--check"]:
        print(f"out of step: {page.name}; run python docs/list_knobs.py", file=sys.stderr)
        return 1
    page.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
