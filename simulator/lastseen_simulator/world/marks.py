"""The coverage marks: what a run set must have seen at least once, or it proves too little.

Each mark is hit in exactly one line of the watches; a test holds the two together.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["MARKS", "marks_of"]

_O: Final = ("oddspapi",)
_N: Final = ("polynode",)
_S: Final = ("polymarket-us",)
_ALL: Final = (*_O, *_N, *_S)
_KEPT: Final = (*_O, *_S)

MARKS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # Resuming.
        "resume with 0 replayed": _O,
        "resume with 1 replayed": _O,
        "resume with many replayed": _O,
        "live between replays": _O,
        "hold not empty at resume_complete": _O,
        "cold login after a warm one": _O,
        "cold escalation": _O,
        # What the peer demands.
        "required: resume_window_exceeded": _O,
        "required: server_restarted": _O,
        "required: client_backpressure": _O,
        "required: unknown reason": _O,
        "required while syncing": _O,
        "required while resuming": _O,
        "required while synced": _O,
        "required while stale": _O,
        "resume_complete before snapshot_required": _O,
        "resume_complete after snapshot_required": _O,
        # Snapshots.
        "fetch crosses a drop": _O,
        "fetch crosses snapshot_required": _O,
        "fetch crosses a new epoch": _O,
        "stale snapshot rejected": _O,
        "hold overflow": _O,
        "delivery overflow": _O,
        # Connections.
        "drop after login": _O,
        "drop inside a replay": _O,
        "drop after resume_complete": _O,
        "drop after snapshot_required": _O,
        "drop among live entries": _O,
        "drop inside a frame": _O,
        "both sockets live": _O,
        "old socket outlives the new login": _O,
        "new socket refused": _O,
        "backoff at its cap": _O,
        # The disk.
        "crash with no commit under way": _O,
        "crash with a commit begun": _O,
        "crash with a commit written and lost": _O,
        "crash with a commit written and kept": _O,
        "crash with a commit torn": _O,
        "crash with a commit synced and not reported": _O,
        # What comes twice, or oddly.
        "duplicate suppressed by cursor": _O,
        "duplicate suppressed by ring": _O,
        "id order anomaly": _O,
        "undecodable frame": _O,
        "control text frame in binary mode": _O,
    }
)
"""Mark → the dialects in whose run sets it must be hit."""


def marks_of(dialect: str) -> frozenset[str]:
    """The marks that a run set of a dialect must hit."""
    return frozenset(mark for mark, dialects in MARKS.items() if dialect in dialects)
