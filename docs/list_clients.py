"""Writes what the suite said of the clients that come with it, from the `results.json` of its runs.

`make clients` plays the runs, `python docs/list_clients.py` writes what stands between the two
marks on the page. Nothing of it is typed by hand; a run that is not there is said not to be there.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lastseen_conformance.rules import RULES
from lastseen_conformance.samples import DIALECTS, SAMPLES, Owner, Sample, results_folder

PAGE = Path(__file__).parent / "reference/clients.md"
BEGIN, END = "<!-- the results begin -->\n", "<!-- the results end -->\n"
TITLES = {"oddspapi": "OddsPapi", "polynode": "PolyNode"}


def sections() -> Iterator[str]:
    """A table of all, then for each run that was not clean what it broke."""
    yield f"| client | lines | {' | '.join(TITLES.values())} | command |"
    yield f"|---|---|{'---|' * len(TITLES)}---|"
    told: list[str] = []
    for sample in SAMPLES.values():
        if sample.owner is Owner.VENDOR:
            continue
        cells = []
        for dialect in DIALECTS:
            results = read(sample.name, dialect)
            cells.append("not run" if results is None else counts(results))
            told += [] if results is None else broken(sample, dialect, results)
        command = f"`make clients-{sample.name}`"
        yield f"| {sample.title} | {sample.lines} | {' | '.join(cells)} | {command} |"
    yield ""
    yield from told or ["No rule was broken in any of these runs."]


def read(name: str, dialect: str) -> dict[str, Any] | None:
    """The results of a whole run."""
    path = results_folder(name, dialect) / "results.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def counts(results: dict[str, Any]) -> str:
    """How many cases had which verdict."""
    return ", ".join(f"{number} {name}" for name, number in results["counts"].items() if number)


def broken(sample: Sample, dialect: str, results: dict[str, Any]) -> Iterator[str]:
    """The rules that were broken, and by what; and what could not be decided."""
    by_rule: dict[str, list[tuple[str, str]]] = {}
    open_ones = []
    for case in results["cases"]:
        for finding in case["broken"]:
            by_rule.setdefault(finding["rule"], []).append((case["id"], finding["text"]))
        if case["verdict"] in ("INCONCLUSIVE", "HARNESS_ERROR"):
            open_ones.append(case)
    if by_rule or open_ones:
        yield f"### {sample.name}, {TITLES[dialect]}\n"
    for name, findings in sorted(by_rule.items()):
        rule, (case, text) = RULES[name], findings[0]
        more = f", and {len(findings) - 1} more" if len(findings) > 1 else ""
        yield f"- {rule.keyword.value} `{name}`: {text} (`{case}`{more})"
    for case in open_ones:
        yield f"- `{case['id']}` is {case['verdict']}: {case['reason']}"


def main() -> int:
    """Writes the page."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    body = "\n".join(sections())
    PAGE.write_text(f"{head}{BEGIN}\n{body}\n\n{END}{tail}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
