"""Writes what the suite found in the vendors' own clients: each finding with its picture.

`make clients` plays the runs and leaves `results.json`; `python docs/tell_findings.py` reads them,
plays one case for each finding once more for its picture, and writes what stands between the marks
of the page. With `--missing` it only draws what is not there. It needs what the clients need
(`LASTSEEN_SEEDS`, `make sdk`); a client that is not there keeps its part of the page as it was.
"""

import json
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import attrs
import trio

from lastseen_conformance.case import Finding as Judged
from lastseen_conformance.cases import CASES
from lastseen_conformance.drivers.sockets import Target, run_over_sockets
from lastseen_conformance.reports.picture import Row, rows_of
from lastseen_conformance.rules import RULES
from lastseen_conformance.samples import (
    SAMPLES,
    MissingError,
    Owner,
    Sample,
    prepare,
    results_folder,
)
from lastseen_conformance.verdicts import Result

PAGE = Path(__file__).parent / "explanation/what-the-suite-found.md"
PICTURES = PAGE.parent / "findings"
ROWS_BEFORE, ROWS_AFTER = 12, 2
WIDTH, LEFT, RIGHT, STEP = 760, 40, 720, 22
CHARACTERS_MAX = 100
STYLE = (
    "text{font:11px ui-monospace,monospace;fill:#222}.at{fill:#888;font-size:9px}"
    "line,path{stroke:#667;fill:none}.fault{fill:#a33}.wrong{fill:#fde2e0}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.fault{fill:#f99}.wrong{fill:#5a2422}}"
)

NOT_SEEN, SAID = "not seen: ", "this was waited for in vain: "

Finding = tuple[str, str, str, int]
"""A rule, the case and the words that show it, and how many cases broke it."""


def findings_of(results: dict[str, Any]) -> list[Finding]:
    """The rules that were broken, those that most cases broke first."""
    by_rule: dict[str, list[tuple[str, str]]] = {}
    for case in results["cases"]:
        for rule, text in {each["rule"]: each["text"] for each in case["broken"]}.items():
            by_rule.setdefault(rule, []).append((case["id"], text))
    found: list[Finding] = []
    for rule, shown in by_rule.items():
        # Words about what was seen tell more than that something was not.
        case, text = min(shown, key=lambda item: item[1].startswith(NOT_SEEN))
        found.append((rule, case, text, len(shown)))
    keywords = [keyword.value for keyword in type(next(iter(RULES.values())).keyword)]
    found.sort(key=lambda item: (keywords.index(RULES[item[0]].keyword.value), -item[3]))
    return found


def part(sample: Sample, results: dict[str, Any]) -> Iterator[str]:
    """What is said of one client."""
    counts = results["counts"]
    played = sum(counts.values())
    told = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    yield f"{played} cases, one of each template: {told}."
    if sample.left_out:
        reasons = sorted(set(sample.left_out.values()))
        yield f"Left out ({len(sample.left_out)}): {'; '.join(reasons)}."
    for rule_id, case, text, number in findings_of(results):
        rule = RULES[rule_id]
        picture = PICTURES / f"{sample.name}.{rule_id}.svg"
        yield f"\n#### {rule.text}\n"
        yield f"{rule.keyword.value} `{rule_id}`, broken in {number} of {played} cases."
        yield f"{rule.why} [{rule.source}]\n"
        yield f"In `{case}`: {text.replace(NOT_SEEN, SAID)}.\n"
        if picture.exists():
            yield f"![{rule_id}]({PICTURES.name}/{picture.name})\n"
        yield "```"
        yield f"python -m lastseen_conformance.samples {sample.name} --case {case}"
        yield "```"


async def draw(sample: Sample, results: dict[str, Any]) -> None:
    """A picture for each finding; one play serves all that it shows."""
    command = prepare(sample.name)
    PICTURES.mkdir(exist_ok=True)
    played: dict[str, Result] = {}
    for rule, case, _, _ in findings_of(results):
        picture = PICTURES / f"{sample.name}.{rule}.svg"
        if "--missing" in sys.argv and picture.exists():
            continue
        if case not in played:
            target = Target(command=command, reported=False)
            played[case] = await run_over_sockets(CASES[case], target)
        shown = [each for each in played[case].broken if each.rule == rule]
        if not shown:
            sys.stderr.write(f"{case} did not show {rule} this time\n")
            continue
        text = svg(window(rows_of(played[case]), shown[0]))
        picture.write_text(text, encoding="utf-8")


def window(rows: list[Row], finding: Judged) -> list[Row]:
    """The rows around the first wrong step, which is marked; what was not seen comes last."""
    shown = [attrs.evolve(row, wrong=()) for row in rows if row.way != "step"]
    if finding.n is None or finding.text.startswith(NOT_SEEN):
        end = Row(n=-1, at=shown[-1].at, way="client", text=finding.text, wrong=(finding.rule,))
        return [*shown[-ROWS_BEFORE:], end]
    at = next((i for i, row in enumerate(shown) if row.n >= finding.n), len(shown) - 1)
    shown[at] = attrs.evolve(shown[at], wrong=(finding.rule,))
    return shown[max(0, at - ROWS_BEFORE) : at + ROWS_AFTER + 1]


def svg(rows: list[Row]) -> str:
    """A sequence picture: the client on the left, the gateway on the right, time downwards."""
    height = STEP * (len(rows) + 2)
    start = rows[0].at if rows else 0.0
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}">',
        f"<style>{STYLE}</style>",
        f'<text x="{LEFT}" y="14">client</text>',
        f'<text x="{RIGHT}" y="14" text-anchor="end">gateway</text>',
    ]
    for index, row in enumerate(rows):
        y = STEP * (index + 2) - 6
        if row.wrong:
            box = f'x="0" y="{y - 15}" width="{WIDTH}" height="{STEP}"'
            lines.append(f'<rect class="wrong" {box}/>')
        lines.append(f'<text class="at" x="2" y="{y}">{row.at - start:.2f}</text>')
        lines.append(_row(row, y))
    x1, x2 = LEFT - 4, RIGHT + 4
    lines += [f'<line x1="{x}" y1="20" x2="{x}" y2="{height}"/>' for x in (x1, x2)]
    return "\n".join((*lines, "</svg>", ""))


def _row(row: Row, y: int) -> str:
    words = row.text if len(row.text) <= CHARACTERS_MAX else row.text[: CHARACTERS_MAX - 1] + "…"
    text = escape(words)
    kind = ' class="fault"' if row.way == "fault" else ""
    if row.way in ("gateway", "down", "fault"):
        label = f'<text{kind} x="{RIGHT}" y="{y}" text-anchor="end">{text}</text>'
    else:
        label = f'<text x="{LEFT}" y="{y}">{text}</text>'
    arrow = {
        "up": f'<path d="M{LEFT} {y + 4}H{RIGHT}l-6 -3m6 3l-6 3"/>',
        "down": f'<path d="M{RIGHT} {y + 4}H{LEFT}l6 -3m-6 3l6 3"/>',
    }
    return arrow.get(row.way, "") + label


def main() -> int:
    """Draws, then writes the page."""
    text = PAGE.read_text(encoding="utf-8")
    for sample in SAMPLES.values():
        if sample.owner is not Owner.VENDOR:
            continue
        (dialect,) = sample.dialects
        path = results_folder(sample.name, dialect) / "results.json"
        if not path.exists():
            sys.stderr.write(f"no results of {sample.name}: its part stays as it is\n")
            continue
        results = json.loads(path.read_text(encoding="utf-8"))
        if "--without-pictures" not in sys.argv:
            try:
                trio.run(draw, sample, results)
            except MissingError as missing:
                sys.stderr.write(f"no {missing}: the pictures stay as they are\n")
        begin, end = f"<!-- {sample.name} begins -->\n", f"<!-- {sample.name} ends -->\n"
        head, _, rest = text.partition(begin)
        body = "\n".join(part(sample, results))
        text = f"{head}{begin}\n{body}\n\n{end}{rest.partition(end)[2]}"
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
