"""What the live table shows, before anything draws it: a tail that draws none needs no rich."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from lastseen.states import ScopeState

__all__ = ["UNDER_WAY", "Grid", "Styled", "state_cell"]

UNDER_WAY: Final = "yellow"

_STYLES: Final[Mapping[ScopeState, str]] = {
    ScopeState.SYNCED: "green",
    ScopeState.LIVE_ONLY: "cyan",
    ScopeState.STALE: "red",
    ScopeState.COLD: "dim",
}


class Styled(NamedTuple):
    """A cell in a style of its own, as rich names it."""

    text: str
    style: str


class Grid(NamedTuple):
    """Columns by their heading, and rows of as many cells, in sections with a line between them."""

    columns: Sequence[str]
    sections: Sequence[Sequence[Sequence[str | Styled]]]


def state_cell(state: ScopeState) -> Styled:
    """A scope's state in its colour."""
    return Styled(state.value, _STYLES.get(state, UNDER_WAY))
