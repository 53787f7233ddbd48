"""What is only ever heard live: events, statistics, injuries, line-ups (§6.8).

Nothing is known of these payloads but their names; what is in them here is made up. They change no
table, so there is nothing to fetch and nothing to restore.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from lastseen_simulator.market.fixtures import Fixtures
from lastseen_simulator.market.ledger import Change, Ledger, Payload
from lastseen_simulator.sports import LIVE, NAMES

__all__ = ["Reports"]

_PLAYERS_MAX: Final = 5


@attrs.define(eq=False)
class Reports:
    """Reports about the fixtures that are being played."""

    ledger: Ledger
    rng: random.Random
    fixtures: Fixtures

    def happen(self, channel: str, *, wall_ms: int) -> list[Change]:
        """One report."""
        return [(channel, self.make(channel, wall_ms=wall_ms))]

    def make(self, channel: str, *, wall_ms: int) -> Payload:
        """Reports something and returns the payload that says so."""
        del wall_ms
        fixture_id = self.fixtures.any_open(self.rng, LIVE)
        payload = {"fixtureId": fixture_id, channel: _REPORTERS[channel](self.rng)}
        self.ledger.apply(channel, payload)
        return payload


def _event(rng: random.Random) -> list[Any]:
    kind = rng.choice(("shot", "foul", "corner", "substitution", "timeout"))
    return [{"eventId": rng.getrandbits(32), "type": kind, "participant": rng.randint(1, 2)}]


def _statistics(rng: random.Random) -> dict[str, Any]:
    names = rng.sample(("shots", "fouls", "corners", "possession"), k=2)
    return {"result": {name: [rng.randint(0, 60), rng.randint(0, 60)] for name in names}}


def _injury(rng: random.Random) -> list[Any]:
    return [{**_player(rng), "status": rng.choice(("questionable", "out", "back"))}]


def _line_up(rng: random.Random) -> dict[str, Any]:
    side = rng.choice(("participant1", "participant2"))
    players = [_player(rng) for _ in range(rng.randint(1, _PLAYERS_MAX))]
    return {side: {"confirmed": rng.random() < 0.5, "players": players}}


def _player(rng: random.Random) -> dict[str, Any]:
    number = rng.randrange(len(NAMES))
    return {"playerId": 7000 + number, "playerName": f"J. {NAMES[number]}"}


_REPORTERS: Final[Mapping[str, Callable[[random.Random], Any]]] = {
    "events": _event,
    "stats": _statistics,
    "injuries": _injury,
    "lineups": _line_up,
}
