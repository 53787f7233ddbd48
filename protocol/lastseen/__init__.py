"""Resumable realtime feeds as a pure state machine.

`Session` is the machine, `OddsPapi` a dialect for it, `Replica` a reference copy of the state. The
whole public API is on this page; which file decides what is said in each module's first line.
"""

from lastseen.dialect import Dialect, End, HttpResponse, ScopeKind, SnapshotFault, SnapshotSource
from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.effects import (
    CancelFetch,
    Close,
    Commit,
    Connect,
    Effect,
    FetchSnapshot,
    Ping,
    Request,
    Send,
)
from lastseen.errors import ConfigurationError, LastseenError, LocalProtocolError, PayloadError
from lastseen.events import (
    Anomaly,
    AnomalyCode,
    Committed,
    Discarded,
    Disconnected,
    DurabilityChanged,
    Entry,
    Event,
    Failure,
    LoggedIn,
    Proof,
    Source,
    StateSnapshot,
    StatusChanged,
    Stopped,
    Why,
)
from lastseen.mechanisms import Mechanisms
from lastseen.options import SessionOptions
from lastseen.position import Position
from lastseen.replica import Replica, ReplicaChanges, ScopeImage, Unit
from lastseen.secret import Secret
from lastseen.session import Deadline, Session
from lastseen.snapshots import ScopeKey
from lastseen.states import ConnectionState, ScopeState
from lastseen.status import ChannelStatus, Counters, SessionStatus

__all__ = [
    # the machine
    "Session",
    "SessionOptions",
    "Deadline",
    "Mechanisms",
    "Position",
    "ScopeKey",
    "Secret",
    # dialects
    "Dialect",
    "OddsPapi",
    "Subscription",
    "End",
    "HttpResponse",
    "ScopeKind",
    "SnapshotFault",
    "SnapshotSource",
    # effects
    "Effect",
    "CancelFetch",
    "Close",
    "Commit",
    "Connect",
    "FetchSnapshot",
    "Ping",
    "Request",
    "Send",
    # events
    "Event",
    "Anomaly",
    "AnomalyCode",
    "Committed",
    "Discarded",
    "Disconnected",
    "DurabilityChanged",
    "Entry",
    "Failure",
    "LoggedIn",
    "Proof",
    "Source",
    "StateSnapshot",
    "StatusChanged",
    "Stopped",
    "Why",
    # what is claimed
    "ChannelStatus",
    "ConnectionState",
    "Counters",
    "ScopeState",
    "SessionStatus",
    # the reference copy
    "Replica",
    "ReplicaChanges",
    "ScopeImage",
    "Unit",
    # errors
    "ConfigurationError",
    "LastseenError",
    "LocalProtocolError",
    "PayloadError",
]
