"""A mutant: the reference client with one thing wrong, and what the suite must say of it."""

from collections.abc import Mapping
from typing import Any, final

import attrs

from lastseen.mechanisms import Mechanisms
from lastseen_conformance.case import Case
from lastseen_conformance.drivers.in_process import SessionClient
from lastseen_conformance.drivers.virtual import play_virtual
from lastseen_conformance.history import History
from lastseen_conformance.timers import TIMERS

__all__ = ["Mutant", "mutant"]


@final
@attrs.frozen(kw_only=True)
class Mutant:
    """One way to be wrong. Exactly one of `mechanisms`, `client` and `timers` is out of order."""

    name: str
    """Says what is wrong, and never changes."""
    dialect: str
    words: str
    """What it does, in a sentence."""
    hazards: tuple[str, ...]
    """Those it commits."""
    fails: frozenset[str]
    """The rules that are broken in some case of its dialect: these, and no others."""
    mechanisms: Mechanisms | None = None
    client: type[SessionClient[Any]] | None = None
    timers: Mapping[str, float] | None = None

    @property
    def id(self) -> str:
        """Its name among the mutants of all dialects."""
        return f"{self.dialect}/{self.name}"

    def play(self, case: Case) -> History:
        """Plays a case against it in virtual time."""
        return play_virtual(
            case,
            mechanisms=self.mechanisms,
            client=self.client,
            timers={**TIMERS, **(self.timers or {})},
        )


def mutant(
    dialect: str, name: str, words: str, *, hazards: str = "", fails: str = "", **how: Any
) -> Mutant:
    """A mutant; hazards and rules are lists with blanks between."""
    return Mutant(
        name=name,
        dialect=dialect,
        words=words,
        hazards=tuple(hazards.split()),
        fails=frozenset(fails.split()),
        **how,
    )
