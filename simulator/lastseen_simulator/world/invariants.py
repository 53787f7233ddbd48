"""The invariants of `hazards.md` N, and where each is looked at.

A watch names the invariant that it blames; a test compares that with the dialects named here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, final

import attrs

__all__ = ["INVARIANTS", "Invariant"]

_O: Final = ("oddspapi",)
_N: Final = ("polynode",)
_ALL: Final = ("oddspapi", "polynode", "polymarket-us")
_KEPT: Final = ("oddspapi", "polymarket-us")


@final
@attrs.frozen
class Invariant:
    """What must hold, whose runs of the world blame it by this name, and the rest in words."""

    words: str
    world: tuple[str, ...]
    note: str
    elsewhere: str = ""
    """Explorer and tests that look at it, too."""


INVARIANTS: Final[Mapping[str, Invariant]] = MappingProxyType(
    {
        "S1": Invariant(
            "a cursor, or token, is never ahead of the state",
            _KEPT,
            "PolyNode has no position",
            "explorer",
        ),
        "S2": Invariant(
            "what is durable is sound at every crash point",
            _KEPT,
            "also as S1 and S4 of each commit and each restart",
            "explorer; `end_to_end/test_thirty_kills.py` on real disks",
        ),
        "S3": Invariant(
            "no delta without a base",
            _KEPT,
            "a history is none",
            "explorer",
        ),
        "S4": Invariant(
            "an epoch and its cursors were issued together",
            _KEPT,
            "PolyNode has no position",
            "explorer",
        ),
        "S5": Invariant("each entry has one effect", _ALL, "", "explorer"),
        "S6": Invariant(
            "cursors and units only go forward",
            _KEPT,
            "tokens have no order; PolyNode has no units but items (S12)",
            "explorer",
        ),
        "S7": Invariant("nothing is applied that was never delivered", _ALL, "", "explorer"),
        "S8": Invariant(
            "a snapshot counts only if it was asked for after the last doubt",
            _O,
            "the others ask for none beside their stream",
            "explorer",
        ),
        "S9": Invariant(
            "a snapshot replaces whole, at once",
            _KEPT,
            "after each base; PolyNode has none",
            "`protocol/test_replica.py`, `protocol/test_hazards_c.py`",
        ),
        "S10": Invariant("a good status is true of all that was handed in", _ALL, "", "explorer"),
        "S11": Invariant(
            "a resume restores the channels it was asked for, and no other",
            _O,
            "one subscription, or one stream, is all there is",
            "explorer, as S10",
        ),
        "S12": Invariant("items only rise", _N, "only PolyNode has items", "explorer"),
        "S13": Invariant(
            "every buffer keeps its cap",
            _KEPT,
            "by the counters of what is held and what waits; PolyNode's memories: tests",
            "`protocol/test_delivery.py`, `test_hold.py`, `test_hazards_h.py`, `test_hazards_j.py`",
        ),
        "S14": Invariant(
            "attempts and messages keep their budgets",
            _ALL,
            "requests over REST: tests",
            "explorer; `protocol/test_budget.py`, `test_fetch_order.py`",
        ),
        "S15": Invariant("one of each at a time", _ALL, "", "explorer"),
        "S16": Invariant(
            "nothing shows the key",
            _ALL,
            "events, claims, effects, disk, story; plain, percent-encoded, base64, hexadecimal",
            "`end_to_end/test_tail_command.py`",
        ),
        "S17": Invariant(
            "nothing raises",
            _ALL,
            "",
            "`protocol/test_session_stateful.py`, `test_stream_totality.py`",
        ),
        "S18": Invariant(
            "the same seed is the same run",
            (),
            "the hash of the summary",
            "`simulator/world/test_world.py`; an import contract",
        ),
        "S19": Invariant(
            "only monotonic time drives deadlines",
            _N,
            "items; a session sees no other clock, and the peer's steps in all runs",
            "an import contract",
        ),
        "S20": Invariant("something is always armed or under way", _ALL, "", "explorer"),
        "S21": Invariant("every entry is counted once", _ALL, "", "explorer"),
        "S22": Invariant(
            "entries are applied in the order in which they came",
            _KEPT,
            "replayed ones, and live ones, of a scope; what PolyNode tells has no order",
            "`protocol/test_join.py`, `test_hazards_b.py`",
        ),
        "L1": Invariant("everything is in order by the bound", _ALL, "", "explorer"),
        "L2": Invariant(
            "no item is pending for ever", _N, "only PolyNode has items", "explorer, as L1"
        ),
        "L3": Invariant(
            "a fault that stays costs its own channels only, and they say so",
            _O,
            "the others as L1, beside a dead endpoint",
            "`protocol/test_fetch_order.py`",
        ),
        "L4": Invariant(
            "nobody resumes in vain for ever",
            _KEPT,
            "PolyNode has no place to resume from",
            "explorer: R13",
        ),
        "L5": Invariant("fetches and connections have causes", _ALL, ""),
        "L6": Invariant("after good service the next loss costs the base delay", _ALL, ""),
        "L7": Invariant("one socket when all is quiet", _ALL, "", "explorer, as L1"),
        "L8": Invariant("quiet costs pings only", _ALL, "", "`end_to_end/test_tail_state.py`"),
    }
)
"""By number, in the order of the catalogue."""
