"""The situations of OddsPapi: what each rule is about, and larger ones with more at once."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import attrs

from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.mechanisms import Mechanisms
from lastseen.options import SessionOptions
from lastseen.secret import Secret
from lastseen_simulator.explore.casts import Cast
from lastseen_simulator.explore.clients import CLIENT_COPIER, CLIENT_PRINTS, Client, Disk
from lastseen_simulator.explore.oracle import Log, Summary, is_true, judge
from lastseen_simulator.explore.scopes import Bounds, Situation
from lastseen_simulator.explore.venues import VENUE_COPIER, VENUE_PRINTS, Venue
from lastseen_simulator.gateway.options import DEMO_KEY, GatewayOptions

__all__ = ["CAST", "SCOPES", "SHOWN_IN"]


class _Stage(NamedTuple):
    situation: Situation
    dialect: OddsPapi
    options: SessionOptions


def _open(situation: Situation) -> Venue:
    return Venue.open(GatewayOptions(channels=("fixtures", "scores"), **situation.gateway))


def _stage(situation: Situation, venue: Venue) -> _Stage:
    asked = Subscription(channels=situation.channels, fixture_ids=(venue.fixture,))
    dialect = OddsPapi(subscription=asked, key=Secret(DEMO_KEY))
    return _Stage(situation, dialect, SessionOptions(**situation.client))


def _start(stage: _Stage, mechanisms: Mechanisms, disk: Disk | None) -> Client:
    return Client.start(
        stage.dialect,
        stage.options,
        mechanisms,
        disk or Disk(),
        state_lost=stage.situation.state_lost,
    )


def _unit(stage: _Stage, channel: str, unit: str) -> str:
    fixture = stage.dialect.subscription.fixture_ids[0]
    return f"{channel}/{fixture}/{unit}" if unit else f"{channel}/{fixture}"


def _judge(summary: Summary, log: Log, situation: Situation) -> list[str]:
    fresh = not situation.bounds.stale or "as_of" in situation.gateway
    return judge(summary, log, fresh=fresh)


CAST: Final = Cast(
    open=_open,
    stage=_stage,
    start=_start,
    unit=_unit,
    judge=_judge,
    is_true=is_true,
    client_copier=CLIENT_COPIER,
    client_prints=CLIENT_PRINTS,
    venue_copier=VENUE_COPIER,
    venue_prints=VENUE_PRINTS,
    resumes=lambda text: "lastSeenId" in text,
)

_TWO_UNITS: Final = (("scores", "p1"), ("scores", "result"))

_RESTART: Final = Situation(
    name="a gateway that restarts",
    settled=1,
    bounds=Bounds(publish=1, drop=1, restart=1, faults=1),
)
_NO_HEADS: Final = Situation(
    name="live entries between replayed ones, and no heads to tell them by",
    units=_TWO_UNITS,
    gateway={"replay_order": "interleaved", "server_entry_ids": False},
    settled=1,
    bounds=Bounds(publish=2, drop=1, faults=1),
)
_INTERLEAVED: Final = Situation(
    name="live entries between replayed ones",
    units=_TWO_UNITS,
    gateway={"replay_order": "interleaved"},
    settled=1,
    bounds=Bounds(publish=2, drop=1, faults=1),
)
_DOUBT: Final = Situation(
    name="a doubt while a snapshot is under way",
    bounds=Bounds(publish=1, demand=1, failure=1, faults=1),
)
_CRASH: Final = Situation(
    name="a client that crashes",
    settled=0,
    bounds=Bounds(publish=2, crash=1, faults=1),
)
_TWO_CHANNELS: Final = Situation(
    name="two channels, one of which is replayed",
    units=(("scores", "p1"), ("fixtures", "")),
    gateway={"replay_channels": ("scores",)},
    settled=1,
    bounds=Bounds(publish=1, drop=1, faults=1),
)
_STATE_LOST: Final = Situation(
    name="a position that outlives its state",
    state_lost=True,
    settled=1,
    bounds=Bounds(publish=1, crash=1, faults=1),
)
_HAND_OVER: Final = Situation(
    name="hand-over between two sockets",
    settled=1,
    bounds=Bounds(publish=1, notice=1, faults=1),
)
_UNDER_WAY: Final = attrs.evolve(
    _HAND_OVER,
    name="hand-over between two sockets, with an entry on its way",
    under_way=True,
    bounds=Bounds(notice=1, faults=1),
)
_ONE_INTERLEAVED: Final = attrs.evolve(
    _INTERLEAVED, name="live entries of one unit between replayed ones", units=(("scores", "p1"),)
)
_LAG: Final = Situation(
    name="snapshots that say how old they are, and may lag",
    gateway={"as_of": True},
    bounds=Bounds(publish=1, drop=1, stale=1, faults=1),
)
_BREAKS: Final = Situation(
    name="connections that break again and again",
    settled=0,
    bounds=Bounds(drop=2, restart=1, faults=2),
)
_POISON: Final = Situation(
    name="resuming never works",
    poison=True,
    settled=1,
    bounds=Bounds(publish=1, drop=1, faults=1),
)
_CRAMPED: Final = Situation(
    name="room for one entry",
    units=_TWO_UNITS,
    client={"hold_items_max": 1},
    bounds=Bounds(publish=2),
)
_SHORT_BUFFER: Final = Situation(
    name="a short replay buffer",
    gateway={"journal_entries_max": 1},
    settled=1,
    bounds=Bounds(publish=2, drop=1, faults=1),
)
_EVERYTHING: Final = Situation(
    name="everything at once",
    bounds=Bounds(publish=1, drop=1, crash=1, restart=1, notice=1, demand=1, failure=1, faults=1),
)

_NARROW: Final = (
    _RESTART,
    _ONE_INTERLEAVED,
    _DOUBT,
    _CRASH,
    _STATE_LOST,
    _UNDER_WAY,
    _LAG,
    _BREAKS,
    _POISON,
    _CRAMPED,
)

SHOWN_IN: Final[Mapping[str, Situation]] = {
    "R1": _RESTART,
    "R2": _NO_HEADS,
    "R3": _INTERLEAVED,
    "R4": _DOUBT,
    "R5": _DOUBT,
    "R6": _CRASH,
    "R7": _DOUBT,
    "R8": _TWO_CHANNELS,
    "R9": _STATE_LOST,
    "R10": _HAND_OVER,
    "R11": _LAG,
    "R12": _BREAKS,
    "R13": _POISON,
    "R14": _CRAMPED,
}
"""Where a client that breaks the rule goes wrong soonest."""

SCOPES: Final[Mapping[str, tuple[Situation, ...]]] = {
    "small": _NARROW,
    "medium": (
        *_NARROW,
        _INTERLEAVED,
        _NO_HEADS,
        _TWO_CHANNELS,
        _HAND_OVER,
        _SHORT_BUFFER,
        _EVERYTHING,
        attrs.evolve(
            _RESTART,
            name="a gateway that restarts, and two faults",
            bounds=_RESTART.bounds._replace(faults=2),
        ),
        attrs.evolve(
            _EVERYTHING,
            name="everything at once, and two faults",
            bounds=_EVERYTHING.bounds._replace(publish=2, drop=2, faults=2),
        ),
    ),
}
