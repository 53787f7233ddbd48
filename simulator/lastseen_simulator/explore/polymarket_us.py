"""Polymarket US: what is judged, which states are alike, and what may happen."""

import random
from collections.abc import Mapping
from typing import Any, Final

import attrs

from lastseen.accounts import AccountLimits
from lastseen.backoff import Backoff
from lastseen.dialects.polymarket_us import PolymarketUS
from lastseen.durability import Durability
from lastseen.events import Entry, StateSnapshot
from lastseen.mechanisms import Mechanisms
from lastseen.options import StreamOptions
from lastseen.position import Position
from lastseen.replica import Replica, ScopeName
from lastseen.secret import Secret
from lastseen.stream_messages import StreamEntry
from lastseen_simulator.alarms import Alarms
from lastseen_simulator.explore.casts import Cast
from lastseen_simulator.explore.clients import Still
from lastseen_simulator.explore.copying import SHARE, Copier, two_levels
from lastseen_simulator.explore.fingerprints import Fingerprints, Walk
from lastseen_simulator.explore.oracle import Log, misconduct, truth_of
from lastseen_simulator.explore.polymarket_us_parties import (
    CLAIMS,
    HELD_SCOPES,
    UNPROVEN,
    Client,
    Disk,
    Summary,
    Timeless,
    open_venue,
    stage_of,
    start_client,
    tokens_of,
    version_of,
)
from lastseen_simulator.explore.scopes import Bounds, Situation
from lastseen_simulator.explore.venues import write_alarms
from lastseen_simulator.explore.writing import (
    BESIDE_A_GATEWAY,
    BESIDE_A_SESSION,
    EQUAL,
    WRITERS,
    write_keeper,
)
from lastseen_simulator.polymarket_us.channels import Channel
from lastseen_simulator.polymarket_us.connections import Change
from lastseen_simulator.polymarket_us.market import Market
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.polymarket_us.truth import PolymarketUSTruth
from lastseen_simulator.polymarket_us.wire import Wire

__all__ = ["CAST", "SCOPES", "SHOWN_IN"]


def _judge(summary: Summary, log: Log, _: Situation) -> list[str]:
    problems = _tokens_ahead("INV-S1", summary.tokens, summary.versions, summary, log)
    if summary.staged is not None:
        problems += _tokens_ahead("INV-S2", *summary.staged, summary, log)
    if summary.drained and summary.told == "SYNCED":
        problems += [
            f"INV-S10: the stream is called synced, and {unit} is not at version {version}"
            for unit, version in summary.disclosed.items()
            if summary.versions.get(unit, -1) < version
        ]
    newest = truth_of(log, summary.channel)
    problems += [
        f"phantom: {unit} is at {version}, which nobody published"
        for unit, version in summary.versions.items()
        if version > newest.get(unit, 0) and not unit.startswith("drop_copy/x-")
    ]
    return problems + misconduct(summary, sockets_max=1)


def _tokens_ahead(
    invariant: str,
    tokens: list[tuple[str, str]],
    versions: Mapping[str, int],
    summary: Summary,
    log: Log,
) -> list[str]:
    problems: list[str] = []
    for channel, token in tokens:
        needed = _needed(log, channel, token)
        if needed is None:
            problems.append("INV-S4: the token was never handed out")
        elif not summary.gaps and any(versions.get(u, -1) < v for u, v in needed.items()):
            problems.append(f"{invariant}: the token is ahead of the state")
    return problems


def _needed(log: Log, channel: str, token: str) -> dict[str, int] | None:
    """What a state covers that is at this token; None when there is no such token."""
    if not log:
        return {}
    for count, each in enumerate(log, 1):
        for place, known in each.ids:
            if known == token and each.channel == channel:
                return truth_of(log, channel, count if place == "behind" else count - 1)
    return None


def _is_true(summary: Summary, log: Log) -> bool:
    """Everything is claimed and right, but for what a told gap may have cost."""
    newest = truth_of(log, summary.channel)
    return (
        summary.drained
        and summary.connected
        and summary.connections == 1
        and summary.told in CLAIMS
        and (
            summary.gaps > 0
            or all(summary.versions.get(unit, -1) >= version for unit, version in newest.items())
        )
    )


def _write_client(client: Client, walk: Walk) -> None:
    held: Mapping[ScopeName, Any] = getattr(client.replica, HELD_SCOPES)
    scopes = [
        (name, [(key, version_of(key, unit.value), unit.streamed) for key, unit in units.items()])
        for name, units in held.items()
    ]
    write_keeper(client, walk, scopes, getattr(client.replica, UNPROVEN))


def _write_disk(disk: Disk, walk: Walk) -> None:
    walk.out.append(disk.written)


def _write_position(position: Position, walk: Walk) -> None:
    walk.out.append(tokens_of(position))


def _write_secret(secret: Secret, walk: Walk) -> None:
    walk.out.append(secret.reveal())


def _write_bytes(held: bytearray, walk: Walk) -> None:
    walk.out.append(bytes(held))


def _write_entry(entry: StreamEntry, walk: Walk) -> None:
    token = entry.token.reveal() if entry.token is not None else None
    walk.out += (entry.channel, entry.id, entry.unit, token, entry.repeated)


def _write_snapshot(snapshot: StateSnapshot, walk: Walk) -> None:
    walk.out.append([(key, version_of(key, value)) for key, value in snapshot.rows.items()])
    walk.out += (snapshot.channel, snapshot.proof.name, len(snapshot.overlay))
    for entry in snapshot.overlay:
        walk.write(entry)


def _write_journal(journal: Timeless, walk: Walk) -> None:
    changes: Mapping[str, Any] = getattr(journal, "_changes")  # noqa: B009
    walk.out += (journal.session, getattr(journal, "_forgotten"))  # noqa: B009
    for channel in ("orders", "drop_copy"):
        walk.out += (journal.newest(channel), [each.entry_id for each in changes[channel]])


_SILENCE_S: Final = 200.0
_LOGIN_AGE_S: Final = 10.0
_DRAWN: Final = (
    "rng", "positions", "instruments", "trades", "executions", "symbols", "_books", "_shown",
    "_uncleared",
)  # fmt: skip
"""What of the market has no part in a client of orders or of the drop copy."""

_CLIENT_COPIER: Final = Copier(
    fields={(Replica, HELD_SCOPES): two_levels, (Client, "disk"): SHARE, (Client, "staged"): SHARE},
    mutable=[Durability],
    constant=[Entry, Still],
)

_CLIENT_PRINTS: Final = Fingerprints(
    ahead=(
        "due_at",
        "stable_at",
        "floor_at",
        "base_due",
        "paused_until",
        "_not_before",
        "_usable_until",
        "_retry_at",
    ),
    behind={"heard_at": _SILENCE_S, "logged_in_at": _LOGIN_AGE_S, "began_at": _LOGIN_AGE_S},
    equal=EQUAL,
    skipped=[
        ("StreamIntake", "row"),
        ("Gaps", "total"),
        ("Answers", "redact"),
        ("Admission", "make_identities"),
        *BESIDE_A_SESSION,
    ],
    wiring=("dialect", "options", "mechanisms", "rng", "delivery", "anomalies", "connections"),
    writers={
        Position: _write_position,
        Secret: _write_secret,
        Entry: _write_entry,
        StreamEntry: _write_entry,
        StateSnapshot: _write_snapshot,
        **WRITERS,
        Client: _write_client,
        Disk: _write_disk,
        bytearray: _write_bytes,
    },
    constant=(StreamOptions, Mechanisms, Backoff, Still, PolymarketUS, AccountLimits),
)

_VENUE_COPIER: Final = Copier(
    ways={PolymarketUSTruth: SHARE, Wire: SHARE},
    fields={(Market, name): SHARE for name in _DRAWN},
    constant=[Change],
)
"""What is traded beside the orders is shared, since nobody here looks at it."""

_VENUE_PRINTS: Final = Fingerprints(
    skipped=[
        *(
            ("PolymarketUSGateway", name)
            for name in (
                *BESIDE_A_GATEWAY,
                "options",
                "_rng",
                "_opening",
                "_next_at",
                "_wall_ms_at_zero",
            )
        ),
        *(("Market", name) for name in (*_DRAWN, "options")),
        ("Connection", "last_sent_at"),
        ("Connection", "snapshots"),
        ("Line", "counts"),
        ("Line", "ordinal"),
        ("Venue", "now"),
    ],
    writers={Alarms: write_alarms, Timeless: _write_journal, Secret: _write_secret},
    constant=(PolymarketUSOptions, random.Random, Channel),
)

CAST: Final = Cast(
    open=open_venue,
    stage=stage_of,
    start=start_client,
    unit=lambda _, channel, unit: f"{channel}/{unit}",
    judge=_judge,
    is_true=_is_true,
    client_copier=_CLIENT_COPIER,
    client_prints=_CLIENT_PRINTS,
    venue_copier=_VENUE_COPIER,
    venue_prints=_VENUE_PRINTS,
    resumes=lambda http: b"resumeToken" in http.body,
)

_ORDERS: Final = (("orders", "o-a"),)
_COPIES: Final = (("drop_copy", "a"), ("drop_copy", "b"), ("drop_copy", "c"))

_CUT: Final = Situation(
    name="orders, and a body that is cut",
    units=_ORDERS,
    settled=1,
    bounds=Bounds(publish=2, drop=1, faults=1),
)
_FORGETS: Final = Situation(
    name="orders, and a gateway that restarts and refuses every earlier token",
    units=_ORDERS,
    settled=1,
    bounds=Bounds(publish=1, drop=1, restart=1, faults=2),
)
_REFUSES: Final = Situation(
    name="orders, and a token too old, which is refused with a status",
    units=_ORDERS,
    gateway={"journal": 1, "refused_token": "status"},
    settled=1,
    bounds=Bounds(publish=3, drop=1, faults=1),
)
_CRASH: Final = Situation(
    name="orders, and a client that crashes",
    units=_ORDERS,
    settled=1,
    bounds=Bounds(publish=2, crash=1, faults=1),
)
_STATE_LOST: Final = Situation(
    name="orders, and a token that outlives its state",
    units=_ORDERS,
    state_lost=True,
    settled=1,
    bounds=Bounds(publish=1, crash=1, faults=1),
)
_PERIODIC: Final = Situation(
    name="orders in pages, with snapshots again and again",
    units=(("orders", "o-a"), ("orders", "o-b")),
    gateway={"snapshot_s": 20.0, "page_items": 1},
    settled=1,
    bounds=Bounds(publish=1, drop=1, faults=1),
)
_BREAKS: Final = Situation(
    name="orders, and streams that break again and again",
    units=_ORDERS,
    settled=0,
    bounds=Bounds(publish=1, drop=2, restart=1, faults=2),
)
_POISON: Final = Situation(
    name="orders, and resuming never works",
    units=_ORDERS,
    poison=True,
    settled=1,
    bounds=Bounds(publish=1, drop=1, faults=1),
)
_DROP_COPY: Final = Situation(
    name="executions, of which there is no snapshot",
    units=_COPIES,
    once=True,
    settled=1,
    bounds=Bounds(publish=2, drop=1, crash=1, restart=1, faults=1),
)
_EVERYTHING: Final = Situation(
    name="orders, and everything at once",
    units=_ORDERS,
    bounds=Bounds(publish=1, drop=1, crash=1, restart=1, faults=1),
)

SHOWN_IN: Final[Mapping[str, Situation]] = {"R12": _BREAKS, "R13": _POISON}

_NARROW: Final = (
    _CUT,
    _FORGETS,
    _REFUSES,
    _CRASH,
    _STATE_LOST,
    _PERIODIC,
    _BREAKS,
    _POISON,
    _DROP_COPY,
    _EVERYTHING,
)

SCOPES: Final[Mapping[str, tuple[Situation, ...]]] = {
    "small": _NARROW,
    "medium": (
        *_NARROW,
        attrs.evolve(
            _EVERYTHING,
            name="orders, and everything at once, and two faults",
            bounds=_EVERYTHING.bounds._replace(publish=2, faults=2),
        ),
    ),
}
