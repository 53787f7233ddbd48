"""The code of the guides runs."""

import re
from pathlib import Path
from typing import Any

from lastseen_conformance.drivers.virtual import run_virtual
from lastseen_conformance.known import load_known

HOW_TO = Path(__file__).parents[2] / "docs/how-to"


def blocks(name: str, language: str) -> list[str]:
    text = (HOW_TO / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_case_of_the_guide_is_one() -> None:
    names: dict[str, Any] = {}
    for block in blocks("write-a-case.md", "python"):
        exec(block, names)  # the page is ours

    assert run_virtual(names["CASE"]).verdict.value == "OK"


def test_the_list_of_the_guide_can_be_read(tmp_path: Path) -> None:
    (text,) = blocks("test-your-client.md", "toml")
    path = tmp_path / "known.toml"
    path.write_text(text, encoding="utf-8")

    assert list(load_known(path)) == ["oddspapi/connect/stuck"]
