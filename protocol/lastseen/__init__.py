"""Resumable realtime feeds as a pure state machine.

`Session` is the machine of a feed with positions, `OddsPapi` a dialect for it, `Replica` a
reference copy of the state. `HistorySession` is the machine of a feed that catches up from
histories, `PolyNode` a dialect for that; its subscriptions and plans are in
`lastseen.dialects.polynode`. `StreamSession` is the machine of a stream over HTTP that begins with
its snapshot; streams of one `Account` share its budgets and its tokens. The whole public API is on
this page; which file decides what is said in each module's first line.
"""

from typing import TYPE_CHECKING

from lastseen.lazy_names import lazy_names

if TYPE_CHECKING:
    from lastseen.accounts import (
        PROFILE_2026_09,
        STRICT,
        Account,
        AccountLimits,
        Bearer,
        TokenFault,
    )
    from lastseen.dialect import (
        Dialect,
        End,
        HttpResponse,
        ScopeKind,
        SnapshotFault,
        SnapshotSource,
    )
    from lastseen.dialects.oddspapi import OddsPapi, Subscription
    from lastseen.dialects.polynode import PolyNode
    from lastseen.effects import (
        CancelFetch,
        Close,
        Commit,
        Connect,
        Effect,
        FetchSnapshot,
        FetchToken,
        Ping,
        Request,
        Send,
        StreamRequest,
        Subscribe,
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
        Gap,
        GapReason,
        HistoryApplied,
        ItemCause,
        ItemChanged,
        LoggedIn,
        Proof,
        Queued,
        Source,
        StateSnapshot,
        StatusChanged,
        Stopped,
        Subscribed,
        SubscribeRefused,
        Why,
    )
    from lastseen.history_session import HistorySession
    from lastseen.lifecycle import ItemState
    from lastseen.machine import Deadline, Machine
    from lastseen.mechanisms import Mechanisms
    from lastseen.options import HistoryOptions, SessionOptions, StreamOptions
    from lastseen.position import Position
    from lastseen.replica import Replica, ReplicaChanges, ScopeImage, Unit
    from lastseen.secret import Secret
    from lastseen.session import Session
    from lastseen.snapshots import ScopeKey
    from lastseen.states import ConnectionState, ScopeState
    from lastseen.status import (
        ChannelStatus,
        Counters,
        HistoryStatus,
        ItemCounts,
        SessionStatus,
        StreamStatus,
        SubscriptionState,
        SubscriptionStatus,
    )
    from lastseen.stream_dialect import Base, StreamDialect
    from lastseen.stream_session import StreamSession
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "accounts": "PROFILE_2026_09 STRICT Account AccountLimits Bearer TokenFault",
            "dialect": "Dialect End HttpResponse ScopeKind SnapshotFault SnapshotSource",
            "dialects.oddspapi": "OddsPapi Subscription",
            "dialects.polynode": "PolyNode",
            "effects": (
                "CancelFetch Close Commit Connect Effect FetchSnapshot FetchToken Ping Request "
                "Send StreamRequest Subscribe"
            ),
            "errors": "ConfigurationError LastseenError LocalProtocolError PayloadError",
            "events": (
                "Anomaly AnomalyCode Committed Discarded Disconnected DurabilityChanged Entry "
                "Event Failure Gap GapReason HistoryApplied ItemCause ItemChanged LoggedIn Proof "
                "Queued Source StateSnapshot StatusChanged Stopped Subscribed SubscribeRefused "
                "Why"
            ),
            "history_session": "HistorySession",
            "lifecycle": "ItemState",
            "machine": "Deadline Machine",
            "mechanisms": "Mechanisms",
            "options": "HistoryOptions SessionOptions StreamOptions",
            "position": "Position",
            "replica": "Replica ReplicaChanges ScopeImage Unit",
            "secret": "Secret",
            "session": "Session",
            "snapshots": "ScopeKey",
            "states": "ConnectionState ScopeState",
            "status": (
                "ChannelStatus Counters HistoryStatus ItemCounts SessionStatus StreamStatus "
                "SubscriptionState SubscriptionStatus"
            ),
            "stream_dialect": "Base StreamDialect",
            "stream_session": "StreamSession",
        },
    )

__all__ = [
    # the machines
    "Session",
    "SessionOptions",
    "HistorySession",
    "HistoryOptions",
    "StreamSession",
    "StreamOptions",
    "Account",
    "AccountLimits",
    "STRICT",
    "PROFILE_2026_09",
    "Bearer",
    "TokenFault",
    "Machine",
    "Deadline",
    "Mechanisms",
    "Position",
    "ScopeKey",
    "Secret",
    # dialects
    "Dialect",
    "OddsPapi",
    "Subscription",
    "PolyNode",
    "StreamDialect",
    "Base",
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
    "FetchToken",
    "Ping",
    "Request",
    "Send",
    "StreamRequest",
    "Subscribe",
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
    "Gap",
    "GapReason",
    "HistoryApplied",
    "ItemCause",
    "ItemChanged",
    "ItemState",
    "LoggedIn",
    "Proof",
    "Queued",
    "Source",
    "StateSnapshot",
    "StatusChanged",
    "Stopped",
    "Subscribed",
    "SubscribeRefused",
    "Why",
    # what is claimed
    "ChannelStatus",
    "ConnectionState",
    "Counters",
    "HistoryStatus",
    "ItemCounts",
    "ScopeState",
    "SessionStatus",
    "StreamStatus",
    "SubscriptionState",
    "SubscriptionStatus",
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
