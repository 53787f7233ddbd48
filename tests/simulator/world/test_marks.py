"""The coverage marks: each is hit in one line, and nothing is hit that the table does not know."""

import re
from pathlib import Path

import lastseen_simulator.world as package
from lastseen_simulator.world.marks import MARKS, marks_of
from lastseen_simulator.world.plans import DRAWS

SOURCES = {
    path.name: path.read_text(encoding="utf-8")
    for path in Path(package.__file__ or "").parent.glob("*.py")
    if path.name != "marks.py"
}


def test_each_mark_is_hit_in_one_line_of_the_world() -> None:
    lines = {mark: sum(text.count(f'"{mark}"') for text in SOURCES.values()) for mark in MARKS}

    assert {mark: count for mark, count in lines.items() if count != 1} == {}


def test_nothing_is_hit_that_is_not_in_the_table() -> None:
    hit = {
        mark for text in SOURCES.values() for mark in re.findall(r'marks\.add\(\s*"([^"]+)"', text)
    }

    assert hit <= MARKS.keys()


def test_every_dialect_has_marks() -> None:
    assert all(len(marks_of(dialect)) > 20 for dialect in DRAWS)
