"""What a rule is. The registers of the dialects are data, beside this module."""

from collections.abc import Mapping
from enum import Enum
from typing import final

import attrs

__all__ = ["Keyword", "Rule", "Sight", "register"]


class Keyword(Enum):
    """How binding a rule is: breaking a MUST fails a case, a SHOULD makes it not strict."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Sight(Enum):
    """What it takes to see whether a rule holds."""

    WIRE = "wire"
    REPORT = "report"
    PROCESS = "process"


@final
@attrs.frozen(kw_only=True)
class Rule:
    """One rule; its id never changes its meaning, and retired ids stay retired.

    `source` names where it comes from: hazards (`HZ-A1`), rules of the heart (`R4`), invariants
    (`INV-S1`), open points (`OP-A19`), sections of the facts (`facts §4`), or `judgement`.
    """

    id: str
    dialect: str
    keyword: Keyword
    text: str
    why: str
    source: str
    sight: Sight = Sight.WIRE
    untested: str | None = None
    """Why no case cites it."""


def register(*rules: Rule) -> Mapping[str, Rule]:
    """The rules by id; raises ValueError for an id that is there twice."""
    known: dict[str, Rule] = {}
    for rule in rules:
        if rule.id in known:
            raise ValueError(f"two rules are called {rule.id}")
        known[rule.id] = rule
    return known
