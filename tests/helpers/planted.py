"""Mechanisms with a bug in them, as somebody might write it: what a sweep has to find."""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from lastseen.dedup import Dedup
from lastseen.identities import Identities
from lastseen.lifecycle import Lifecycle
from lastseen.mechanisms import Mechanisms
from lastseen.position import Cursor
from lastseen_simulator.broken import WITHOUT

__all__ = ["PLANTED"]


@attrs.define(eq=False, repr=False)
class DedupBySequence(Dedup):
    """Compares the sequence and not the time, which a peer may restart each millisecond."""

    def admit(self, cursor: Cursor) -> bool:
        newest = self.newest()
        if newest is not None and cursor[1] <= newest[1]:
            return False
        return super().admit(cursor)


def without_tombstones(**caps: Any) -> Lifecycle:
    """Forgets an item as soon as the next one is over."""
    return Lifecycle(**{**caps, "tombstones_max": 1})


PLANTED: Final[Mapping[str, tuple[str, Mechanisms]]] = {
    "dedup by sequence only": ("oddspapi", Mechanisms(dedup=DedupBySequence)),
    "live before snapshot": ("oddspapi", WITHOUT["R5"]),
    "cursors kept across epochs": ("oddspapi", WITHOUT["R1"]),
    "any snapshot counts": ("oddspapi", WITHOUT["R4"]),
    "backoff reset at login": ("oddspapi", WITHOUT["R12"]),
    "tombstones omitted": ("polynode", Mechanisms(lifecycle=without_tombstones)),
    "one identity remembered": ("polynode", Mechanisms(identities=lambda _: Identities(1))),
    "backoff reset at delivery": ("polymarket-us", WITHOUT["R12"]),
}
"""By what is wrong: whose sessions have it, and the mechanisms."""
