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
        "history with nothing new": _N,
        "history with 1 new event": _N,
        "history with many new": _N,
        "resume with 0 updates": _S,
        "resume with 1 update": _S,
        "resume with many updates": _S,
        "snapshot after a token": _S,
        "token refused": _S,
        "token given up": _S,
        # What the peer demands, and in which order it answers.
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
        "history after the ack": _N,
        "history before the ack": _N,
        "live event before the ack": _N,
        "subscribe unanswered": _N,
        "history unanswered": _N,
        # Bases.
        "fetch crosses a drop": _O,
        "fetch crosses snapshot_required": _O,
        "fetch crosses a new epoch": _O,
        "stale snapshot rejected": _O,
        "base applied": _S,
        "snapshot in pages": _S,
        "delta before its snapshot": _S,
        "entries before their snapshot": _S,
        "unit behind what is known": _S,
        "session changed within an answer": _S,
        # Caps.
        "hold overflow": _O,
        "delivery overflow": _O,
        "history delivery overflow": _N,
        "item limit": _N,
        "stream hold overflow": _S,
        "stream delivery overflow": _S,
        # Connections.
        "drop after login": _O,
        "drop inside a replay": _O,
        "drop after resume_complete": _O,
        "drop after snapshot_required": _O,
        "drop among live entries": _O,
        "drop between ack and history": _N,
        "drop after a history": _N,
        "drop among live events": _N,
        "drop after the snapshot": _S,
        "drop among updates": _S,
        "drop inside a frame": _ALL,
        "record cut across pieces": _S,
        "both sockets live": _O,
        "old socket outlives the new login": _O,
        "new socket refused": _O,
        "error inside a stream": _S,
        "backoff at its cap": _ALL,
        # The disk.
        "crash with no commit under way": _ALL,
        "crash with a commit begun": _KEPT,
        "crash with a commit written and lost": _KEPT,
        "crash with a commit written and kept": _KEPT,
        "crash with a commit torn": _KEPT,
        "crash with a commit synced and not reported": _KEPT,
        # Items.
        "orphan confirm matched": _N,
        "late confirm after timeout": _N,
        "item timed out": _N,
        # What comes twice, oddly, or not at all.
        "duplicate suppressed by cursor": _O,
        "duplicate suppressed by ring": _O,
        "duplicate suppressed among live events": _N,
        "duplicate suppressed in a history": _N,
        "duplicate execution suppressed": _S,
        "id order anomaly": _O,
        "undecodable frame": _O,
        "undecodable message": _N,
        "undecodable record": _S,
        "control text frame in binary mode": _O,
        "gap told": _N,
        "stream gap told": _S,
    }
)
"""Mark → the dialects in whose run sets it must be hit."""


def marks_of(dialect: str) -> frozenset[str]:
    """The marks that a run set of a dialect must hit."""
    return frozenset(mark for mark, dialects in MARKS.items() if dialect in dialects)
