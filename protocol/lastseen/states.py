"""The two lifecycles, as tables: what may happen to a connection and to a scope, and what follows.

Two rules hold. Every transition stands in this file; nothing else invents one. And the file knows
no dialect and no effect: it says what a state *is*, the session does what has to be done about it.

A *connection* is one socket with one login. At most two are alive: the owner, whose entries count,
and a replacement that is on its way to become the owner (design §4).

A *scope* is the unit of sync (design §5a): a whole channel, or one fixture of a channel whose
snapshots come one fixture at a time. It is SYNCED when a base and every entry disclosed since are
covered; RESUMING when a trusted base waits for a replay; SYNCING while a snapshot is being fetched;
COLD before the first fetch; STALE when whatever there is must not be trusted and no fetch is under
way. LIVE_ONLY is for channels with no source of snapshots: delivered, never called synced.

A *stream* with its snapshot inside uses the same words in a table of its own: SYNCING is the wait
for the snapshot, RESUMING the wait for what a token brings, and also the time in between when there
is a token to come back with. A stream without any base is LIVE_ONLY while it is fed, RESUMING or
STALE while it is not: with a token nothing is missed, without one nobody knows what was.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

__all__ = [
    "CONNECTION_TRANSITIONS",
    "SCOPE_TRANSITIONS",
    "STREAM_TRANSITIONS",
    "ConnectionInput",
    "ConnectionState",
    "ScopeInput",
    "ScopeState",
    "StreamInput",
]


class ConnectionState(Enum):
    """How far one socket has come."""

    CONNECTING = "connecting"
    LOGGING_IN = "logging_in"
    LIVE = "live"
    DRAINING = "draining"
    """Told to reconnect; its entries count until the replacement has logged in."""
    CLOSING = "closing"
    """We asked for the end; nothing it still sends counts (R10)."""
    CLOSED = "closed"


class ConnectionInput(Enum):
    """What can happen to a connection."""

    OPENED = "opened"
    LOGIN_OK = "login_ok"
    RECONNECT_NOTICE = "reconnect_notice"
    CLOSE_SENT = "close_sent"
    ENDED = "ended"


class StreamInput(Enum):
    """What can happen to a stream's claim."""

    LOST = "lost"
    """Its connection, with no token to come back with."""
    LOST_RESUMABLE = "lost_resumable"
    OPENED = "opened"
    """Answered without a token of ours: a base must come first."""
    OPENED_RESUMED = "opened_resumed"
    """Answered to a token: a base may come, or what follows the token (`facts` §7.3)."""
    BASE = "base"
    """A whole snapshot, or the last of the units asked for."""
    CONTINUED = "continued"
    """An update after a token: the state before the drop still holds."""
    FED = "fed"
    """A record of a stream that has no base."""
    DOUBTED = "doubted"
    """The state is not to be trusted: overflow, bad data, a rejected entry, a new session (R14)."""


class ScopeState(Enum):
    """What a reader may believe of a scope's data; the values are the words of every status."""

    COLD = "cold"
    SYNCING = "syncing"
    RESUMING = "resuming"
    SYNCED = "synced"
    STALE = "stale"
    LIVE_ONLY = "live_only"


class ScopeInput(Enum):
    """What can happen to a scope."""

    CONNECTION_LOST = "connection_lost"
    LOGIN_RESUMED = "login_resumed"
    """Logged in with this channel's cursor, in its epoch."""
    LOGIN_COLD = "login_cold"
    """Logged in without a valid cursor for it, or it cannot be replayed (R8)."""
    REPLAYED = "replayed"
    """`resume_complete`, for a channel whose cursor was sent and that was not named since."""
    DOUBTED = "doubted"
    """The base is not to be trusted: told so, overflow, bad data, a rejected entry, epoch (R14)."""
    FETCH_STARTED = "fetch_started"
    FETCH_FAILED = "fetch_failed"
    SNAPSHOT_APPLIED = "snapshot_applied"


_C = ConnectionState
_I = ConnectionInput

CONNECTION_TRANSITIONS: Final[Mapping[tuple[ConnectionState, ConnectionInput], ConnectionState]] = (
    MappingProxyType(
        {
            (_C.CONNECTING, _I.OPENED): _C.LOGGING_IN,
            (_C.CONNECTING, _I.CLOSE_SENT): _C.CLOSING,
            (_C.CONNECTING, _I.ENDED): _C.CLOSED,
            (_C.LOGGING_IN, _I.LOGIN_OK): _C.LIVE,
            (_C.LOGGING_IN, _I.CLOSE_SENT): _C.CLOSING,
            (_C.LOGGING_IN, _I.ENDED): _C.CLOSED,
            (_C.LIVE, _I.RECONNECT_NOTICE): _C.DRAINING,
            (_C.LIVE, _I.CLOSE_SENT): _C.CLOSING,
            (_C.LIVE, _I.ENDED): _C.CLOSED,
            (_C.DRAINING, _I.RECONNECT_NOTICE): _C.DRAINING,
            (_C.DRAINING, _I.CLOSE_SENT): _C.CLOSING,
            (_C.DRAINING, _I.ENDED): _C.CLOSED,
            # A socket may still finish its handshake while our close is on its way.
            (_C.CLOSING, _I.OPENED): _C.CLOSING,
            (_C.CLOSING, _I.ENDED): _C.CLOSED,
        }
    )
)
"""(state, input) → next state; an absent pair is illegal and changes nothing."""

_S = ScopeState
_X = ScopeInput

SCOPE_TRANSITIONS: Final[Mapping[tuple[ScopeState, ScopeInput], ScopeState]] = MappingProxyType(
    {
        (_S.COLD, _X.CONNECTION_LOST): _S.COLD,
        (_S.COLD, _X.LOGIN_COLD): _S.COLD,
        (_S.COLD, _X.DOUBTED): _S.COLD,
        (_S.COLD, _X.FETCH_STARTED): _S.SYNCING,
        (_S.SYNCING, _X.CONNECTION_LOST): _S.STALE,
        (_S.SYNCING, _X.LOGIN_COLD): _S.STALE,
        (_S.SYNCING, _X.DOUBTED): _S.STALE,
        (_S.SYNCING, _X.FETCH_FAILED): _S.STALE,
        (_S.SYNCING, _X.SNAPSHOT_APPLIED): _S.SYNCED,
        # The base and its cursor survive a lost connection: only a login says whether they hold.
        (_S.SYNCED, _X.CONNECTION_LOST): _S.RESUMING,
        (_S.SYNCED, _X.LOGIN_RESUMED): _S.RESUMING,
        (_S.SYNCED, _X.LOGIN_COLD): _S.STALE,
        (_S.SYNCED, _X.DOUBTED): _S.STALE,
        # A verification (R11) replaces the base of a scope that stays synced.
        (_S.SYNCED, _X.SNAPSHOT_APPLIED): _S.SYNCED,
        (_S.RESUMING, _X.CONNECTION_LOST): _S.RESUMING,
        (_S.RESUMING, _X.LOGIN_RESUMED): _S.RESUMING,
        (_S.RESUMING, _X.LOGIN_COLD): _S.STALE,
        (_S.RESUMING, _X.REPLAYED): _S.SYNCED,
        (_S.RESUMING, _X.DOUBTED): _S.STALE,
        (_S.STALE, _X.CONNECTION_LOST): _S.STALE,
        (_S.STALE, _X.LOGIN_COLD): _S.STALE,
        (_S.STALE, _X.DOUBTED): _S.STALE,
        (_S.STALE, _X.FETCH_STARTED): _S.SYNCING,
        (_S.LIVE_ONLY, _X.CONNECTION_LOST): _S.LIVE_ONLY,
        (_S.LIVE_ONLY, _X.LOGIN_COLD): _S.LIVE_ONLY,
        (_S.LIVE_ONLY, _X.DOUBTED): _S.LIVE_ONLY,
    }
)
"""(state, input) → next state; an absent pair is illegal and changes nothing."""

_Y = StreamInput

STREAM_TRANSITIONS: Final[Mapping[tuple[ScopeState, StreamInput], ScopeState]] = MappingProxyType(
    {
        (_S.COLD, _Y.LOST): _S.COLD,
        (_S.COLD, _Y.LOST_RESUMABLE): _S.COLD,
        (_S.COLD, _Y.OPENED): _S.SYNCING,
        (_S.COLD, _Y.FED): _S.LIVE_ONLY,
        (_S.COLD, _Y.DOUBTED): _S.COLD,
        (_S.SYNCING, _Y.LOST): _S.STALE,
        (_S.SYNCING, _Y.BASE): _S.SYNCED,
        (_S.SYNCING, _Y.DOUBTED): _S.STALE,
        # With a token the state before is trusted to be what the token describes (R9).
        (_S.RESUMING, _Y.LOST): _S.STALE,
        (_S.RESUMING, _Y.LOST_RESUMABLE): _S.RESUMING,
        (_S.RESUMING, _Y.OPENED): _S.SYNCING,
        (_S.RESUMING, _Y.OPENED_RESUMED): _S.RESUMING,
        (_S.RESUMING, _Y.BASE): _S.SYNCED,
        (_S.RESUMING, _Y.CONTINUED): _S.SYNCED,
        (_S.RESUMING, _Y.FED): _S.LIVE_ONLY,
        (_S.RESUMING, _Y.DOUBTED): _S.STALE,
        (_S.SYNCED, _Y.LOST): _S.STALE,
        (_S.SYNCED, _Y.LOST_RESUMABLE): _S.RESUMING,
        # A periodic snapshot replaces the base of a stream that stays synced.
        (_S.SYNCED, _Y.BASE): _S.SYNCED,
        (_S.SYNCED, _Y.DOUBTED): _S.STALE,
        (_S.STALE, _Y.LOST): _S.STALE,
        (_S.STALE, _Y.OPENED): _S.SYNCING,
        # What was in doubt has no token; this one was processed after its connection was lost.
        (_S.STALE, _Y.OPENED_RESUMED): _S.RESUMING,
        (_S.STALE, _Y.FED): _S.LIVE_ONLY,
        (_S.STALE, _Y.DOUBTED): _S.STALE,
        (_S.LIVE_ONLY, _Y.LOST): _S.STALE,
        (_S.LIVE_ONLY, _Y.LOST_RESUMABLE): _S.RESUMING,
        (_S.LIVE_ONLY, _Y.FED): _S.LIVE_ONLY,
        (_S.LIVE_ONLY, _Y.DOUBTED): _S.STALE,
    }
)
"""(state, input) → next state; an absent pair is illegal and changes nothing."""
