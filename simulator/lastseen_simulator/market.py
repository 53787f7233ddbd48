"""A small, plausible betting market that changes at the turn of a seeded generator.

The market is the one state behind a gateway: entries announce its changes and REST answers are
read from its tables, so the two can only disagree where a fault makes them. Every table value is
replaced, never edited in place, so whoever holds an older one holds an older truth.
"""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, cast

import attrs

from lastseen_simulator.sports import (
    FINISHED,
    LIVE,
    NAMES,
    PREGAME,
    SPORT_IDS,
    SPORTS,
    Sport,
    american_odds,
    fractional_odds,
    iso_from_ms,
    new_score,
    price_of,
    status_object,
)

__all__ = ["CHANNELS", "Change", "Market", "Payload", "Tables", "Undo", "iso_from_ms", "status_of"]

Payload = dict[str, Any]
Change = tuple[str, Payload]
Tables = dict[str, dict[str, Any]]
"""Channel → fixtureId → that channel's value for the fixture (`facts` §6).

`fixtures`: the object without `scores`, `clock`, `bookmakers`; `scores`: period → score;
`bookmakers`: slug → status; `odds`: slug → oddsId → row.
"""

CHANNELS: Final = ("bookmakers", "fixtures", "odds", "scores")

_FIXTURE_SECTIONS: Final = ("scores", "clock", "bookmakers")
"""Members of a fixture object that belong to other channels (§6.0, consequence 4)."""

_NO_CLOCK: Final = {
    "currentPeriod": None,
    "currentTime": None,
    "remainingTime": None,
    "remainingTimeInPeriod": None,
    "stopped": None,
}


# How often each channel changes: odds lead by far, the other three follow (§8).
_WEIGHTS: Final = {"odds": 84, "fixtures": 6, "bookmakers": 5, "scores": 5}
_KICK_OFF: Final = 0.08
_FULL_TIME: Final = 0.02
_PRICE_MIN, _PRICE_MAX = Decimal("1.01"), Decimal("51")
_OPTIONAL_ROW_MEMBERS: Final = (
    "bookmakerMarketId",
    "bookmakerOutcomeId",
    "bookmakerChangedAt",
    "priceFractional",
    "priceAmerican",
    "limit",
    "betslip",
    "meta",
)


@attrs.frozen(kw_only=True)
class Undo:
    """What one `apply` replaced: the fixture's value before, None when there was none."""

    channel: str
    fixture_id: str
    previous: Any


@attrs.define(eq=False)
class Market:
    """Fixtures, scores, bookmakers and odds of an invented world.

    `open` fills the tables; `tick` makes one happening and returns its changes, already applied;
    `make` does so for one channel; `apply` takes a scripted payload. All moments are wall-clock
    milliseconds, as on the wire.
    """

    fixture_count: int
    bookmaker_slugs: tuple[str, ...]
    rng: random.Random
    tables: Tables = attrs.field(init=False, factory=lambda: _empty_tables())
    _made: int = attrs.field(init=False, default=0)
    _undos: list[Undo] = attrs.field(init=False, factory=list[Undo])

    def open(self, *, wall_ms: int) -> None:
        """Fills the tables as if the market had run before anybody looked."""
        for index in range(self.fixture_count):
            status = PREGAME if index % 3 == 1 else LIVE
            for channel, payload in self._new_fixture(status, wall_ms=wall_ms):
                self.apply(channel, payload)

    def tick(self, *, wall_ms: int) -> list[Change]:
        """One happening: usually one change, several when a fixture ends and another appears."""
        channel = self.rng.choices(tuple(_WEIGHTS), tuple(_WEIGHTS.values()))[0]
        if channel != "fixtures":
            return [(channel, self.make(channel, wall_ms=wall_ms))]
        return self._turn_of_events(wall_ms=wall_ms)

    def make(self, channel: str, *, wall_ms: int) -> Payload:
        """Changes something on this channel and returns the payload that says so."""
        match channel:
            case "odds":
                payload = self._odds_change(wall_ms)
            case "scores":
                payload = self._score_change(wall_ms)
            case "bookmakers":
                payload = self._bookmaker_change(wall_ms)
            case "fixtures":
                payload = self._fixture_change(self._any_open_fixture())
            case _:
                raise ValueError(f"no market model for channel {channel}")
        self.apply(channel, payload)
        return payload

    def supersede(self, channel: str, payload: Payload, *, wall_ms: int) -> Payload:
        """Changes the units a payload named once more, so that the payload is old news."""
        fixture_id = str(payload.get("fixtureId"))
        table = self.tables[channel].get(fixture_id)
        if table is None:
            self.apply(channel, payload)
            return payload
        match channel:
            case "odds":
                named = {
                    slug: {
                        key: self._moved(table[slug][key], wall_ms)
                        for key in cast("dict[str, Any]", rows)
                    }
                    for slug, rows in _items(payload.get("odds", {}))
                    if isinstance(rows, dict)
                }
                newer: Payload = {"fixtureId": fixture_id, "odds": named}
            case "scores" | "bookmakers":
                stamp = iso_from_ms(wall_ms)
                keys = payload.get(channel, {})
                newer = {
                    "fixtureId": fixture_id,
                    channel: {key: table[key] | {"updatedAt": stamp} for key in keys},
                }
            case _:
                newer = self.whole_fixture(fixture_id)
        self.apply(channel, newer)
        return newer

    def apply(self, channel: str, payload: Payload) -> None:
        """Replaces the units a payload carries (§6.0); odd shapes change what they can."""
        fixture_id = payload.get("fixtureId")
        if not isinstance(fixture_id, str):
            self._undos.append(Undo(channel=channel, fixture_id="", previous=None))
            return
        table = self.tables[channel]
        self._undos.append(
            Undo(channel=channel, fixture_id=fixture_id, previous=table.get(fixture_id))
        )
        if channel == "fixtures":
            table[fixture_id] = {k: v for k, v in payload.items() if k not in _FIXTURE_SECTIONS}
            return
        sections: Any = payload.get(channel)
        if not isinstance(sections, dict):
            return
        value = dict(table.get(fixture_id, {}))
        for key, part in _items(sections):
            if channel != "odds":
                value[key] = part
            elif isinstance(part, dict):
                value[key] = {**value.get(key, {}), **part}
        table[fixture_id] = value

    def take_undos(self) -> list[Undo]:
        """What each `apply` since the last call replaced, in order."""
        undos, self._undos = self._undos, []
        return undos

    def payloads(self) -> Iterator[Change]:
        """The whole state as payloads, as if everything had just been published."""
        for channel, table in self.tables.items():
            for fixture_id, value in table.items():
                if channel == "fixtures":
                    yield channel, value
                else:
                    yield channel, {"fixtureId": fixture_id, channel: value}

    def whole_fixture(self, fixture_id: str, tables: Tables | None = None) -> Payload:
        """The fixture object as the stream and `/fixtures` show it (§6.4), `bookmakers` empty."""
        tables = self.tables if tables is None else tables
        return {
            **tables["fixtures"][fixture_id],
            "scores": dict(tables["scores"].get(fixture_id, {})),
            "clock": dict(_NO_CLOCK),
            "bookmakers": {},
        }

    # How each channel changes.

    def _turn_of_events(self, *, wall_ms: int) -> list[Change]:
        fixture_id = self._any_open_fixture()
        status = self._status(fixture_id)
        if status == PREGAME and self.rng.random() < _KICK_OFF:
            return self._started(fixture_id, wall_ms)
        if status == LIVE and self.rng.random() < _FULL_TIME:
            changes = [("fixtures", self._with_status(fixture_id, FINISHED, wall_ms))]
            changes += self._new_fixture(PREGAME, wall_ms=wall_ms)
        else:
            changes = [("fixtures", self._fixture_change(fixture_id))]
        for channel, payload in changes:
            self.apply(channel, payload)
        return changes

    def _started(self, fixture_id: str, wall_ms: int) -> list[Change]:
        opening = self._scores_at_start(fixture_id, wall_ms)
        started = self._with_status(fixture_id, LIVE, wall_ms) | {"scores": opening["scores"]}
        self.apply("fixtures", started)
        self.apply("scores", opening)
        return [("fixtures", started), ("scores", opening)]

    def _with_status(self, fixture_id: str, status: int, wall_ms: int) -> Payload:
        moment = "trueStartTime" if status == LIVE else "trueEndTime"
        return self.whole_fixture(fixture_id) | {
            "status": status_object(status),
            moment: iso_from_ms(wall_ms),
        }

    def _fixture_change(self, fixture_id: str) -> Payload:
        fixture = self.whole_fixture(fixture_id)
        if self.rng.random() < 0.5:
            season: Any = fixture.get("season")
            known = dict(_items(season)) if isinstance(season, dict) else {}
            return fixture | {"season": known | {"seasonRound": self.rng.randint(1, 38)}}
        number = self.rng.randint(1, 99)
        venue = {"venueId": number, "venueName": f"Ground {number}", "venueLocation": None}
        return fixture | {"venue": venue}

    def _score_change(self, wall_ms: int) -> Payload:
        fixture_id = self._any_open_fixture(LIVE)
        sport = self._sport(fixture_id)
        scores: dict[str, Any] = self.tables["scores"].get(fixture_id, {})
        side = self.rng.choice(("participant1Score", "participant2Score"))
        points = self.rng.choice(sport.points)
        changed: dict[str, Any] = {}
        for period in ("result", self.rng.choice(sport.periods)):
            score = new_score(period, wall_ms) | dict(_items(scores.get(period) or {}))
            changed[period] = score | {
                side: score[side] + points,
                "updatedAt": iso_from_ms(wall_ms),
            }
        return {"fixtureId": fixture_id, "scores": changed}

    def _bookmaker_change(self, wall_ms: int) -> Payload:
        fixture_id = self._any_open_fixture()
        slug = self.rng.choice(self.bookmaker_slugs)
        statuses: dict[str, Any] = self.tables["bookmakers"].get(fixture_id, {})
        status = self._bookmaker_status(slug, wall_ms) | dict(_items(statuses.get(slug) or {}))
        member = self.rng.choice(("hasOdds", "staleOdds", "suspended"))
        changed = status | {member: not status[member], "updatedAt": iso_from_ms(wall_ms)}
        return {"fixtureId": fixture_id, "bookmakers": {slug: changed}}

    def _odds_change(self, wall_ms: int) -> Payload:
        fixture_id = self._any_open_fixture()
        slug = self.rng.choice(self.bookmaker_slugs)
        rows: dict[str, Any] = self.tables["odds"].get(fixture_id, {}).get(slug, {})
        if not rows:
            return self._opening_odds(fixture_id, (slug,), wall_ms)
        keys = self.rng.sample(sorted(rows), k=min(len(rows), self.rng.randint(1, 3)))
        changed = {key: self._moved(rows[key], wall_ms) for key in keys}
        return {"fixtureId": fixture_id, "odds": {slug: changed}}

    def _moved(self, row: Payload, wall_ms: int) -> Payload:
        """A whole new row for the same outcome; optional members come and go (OP-A26)."""
        step = Decimal(self.rng.choice((-7, -4, -2, -1, 1, 2, 4, 7))) / 100
        price = min(_PRICE_MAX, max(_PRICE_MIN, price_of(row.get("price")) + step))
        slug, market, outcome = (row.get(k) for k in ("bookmaker", "marketId", "outcomeId"))
        fresh = self._row(slug, market, outcome, price, wall_ms)
        active = bool(row.get("active"))
        fresh["active"] = not active if self.rng.random() < 0.06 else active
        return fresh

    # How things look when they are new.

    def _new_fixture(self, status: int, *, wall_ms: int) -> list[Change]:
        self._made += 1
        sport_id = SPORT_IDS[(self._made - 1) % len(SPORT_IDS)]
        sport = SPORTS[sport_id]
        tournament_id, tournament = sport.tournaments[self._made % len(sport.tournaments)]
        native = 88_000_000 + self._made * 131 + self.rng.randrange(100)
        fixture_id = f"id{sport_id:02d}{tournament_id:06d}{native}"
        ahead_s = -1200 if status == LIVE else self.rng.randint(600, 7200)
        start = wall_ms // 1000 + ahead_s
        fixture: Payload = {
            "fixtureId": fixture_id,
            "status": status_object(status),
            "sport": {"sportId": sport_id, "sportName": sport.name},
            "tournament": {
                "tournamentId": tournament_id,
                "tournamentName": tournament,
                "categoryName": "Simland",
            },
            "season": {"seasonId": 90_000 + sport_id, "seasonName": "26/27", "seasonRound": 1},
            "venue": {"venueId": None, "venueName": None, "venueLocation": None},
            "startTime": start,
            "trueStartTime": iso_from_ms(start * 1000) if status == LIVE else None,
            "trueEndTime": None,
            "participants": self._participants(),
            "scores": {},
            "clock": dict(_NO_CLOCK),
            "expectedPeriods": len(sport.periods),
            "periodLength": sport.period_minutes,
            "externalProviders": {"betradarId": native},
            "bookmakers": {},
        }
        books = {slug: self._bookmaker_status(slug, wall_ms) for slug in self.bookmaker_slugs}
        changes: list[Change] = [
            ("fixtures", fixture),
            ("bookmakers", {"fixtureId": fixture_id, "bookmakers": books}),
            ("odds", self._opening_odds(fixture_id, self.bookmaker_slugs, wall_ms, sport)),
        ]
        if status == LIVE:
            changes.append(("scores", self._scores_at_start(fixture_id, wall_ms)))
        return changes

    def _participants(self) -> Payload:
        participants: Payload = {}
        for number, name in enumerate(self.rng.sample(NAMES, k=2), start=1):
            participants |= {
                f"participant{number}Id": 500 + NAMES.index(name),
                f"participant{number}Name": f"{name} United",
                f"participant{number}ShortName": name,
                f"participant{number}Abbr": name[:3].upper(),
                f"participant{number}RotNr": None,
            }
        return participants

    def _opening_odds(
        self, fixture_id: str, slugs: tuple[str, ...], wall_ms: int, sport: Sport | None = None
    ) -> Payload:
        sport = sport or self._sport(fixture_id)
        odds: dict[str, Any] = {}
        for slug in slugs:
            odds[slug] = {
                f"{fixture_id}:{slug}:{outcome}:0": self._row(
                    slug, market, outcome, Decimal(self.rng.randint(120, 620)) / 100, wall_ms
                )
                for market, outcomes in sport.markets
                for outcome in outcomes
            }
        return {"fixtureId": fixture_id, "odds": odds}

    def _row(self, slug: Any, market: Any, outcome: Any, price: Decimal, wall_ms: int) -> Payload:
        row: Payload = {
            "bookmaker": slug,
            "outcomeId": outcome,
            "playerId": 0,
            "marketId": market,
            # Two decimals survive a double unharmed: the shortest text of the float is the price.
            "price": float(price),
            "active": True,
            "marketActive": True,
            "mainLine": True,
            "bookmakerMarketId": f"m-{market}",
            "bookmakerOutcomeId": f"o-{outcome}",
            "bookmakerChangedAt": wall_ms - self.rng.randint(50, 400),
            "priceFractional": fractional_odds(price),
            "priceAmerican": american_odds(price),
            "limit": self.rng.randint(1, 50) * 100,
            "betslip": None,
            "meta": None,
            "changedAt": wall_ms,
        }
        for member in _OPTIONAL_ROW_MEMBERS:
            if self.rng.random() < 0.15:
                del row[member]
        return row

    def _bookmaker_status(self, slug: str, wall_ms: int) -> Payload:
        return {
            "bookmaker": slug,
            "bookmakerFixtureId": f"{slug[:2]}-{self.rng.randrange(100_000)}",
            "fixturePath": None,
            "hasOdds": True,
            "staleOdds": False,
            "staleOddsResponseCode": None,
            "suspended": False,
            "participantsRotated": False,
            "meta": None,
            "updatedAt": iso_from_ms(wall_ms),
        }

    def _scores_at_start(self, fixture_id: str, wall_ms: int) -> Payload:
        return {
            "fixtureId": fixture_id,
            "scores": {period: new_score(period, wall_ms) for period in ("result", "p1")},
        }

    def _status(self, fixture_id: str) -> int:
        status = status_of(self.tables, fixture_id)
        return PREGAME if status is None else status

    def _sport(self, fixture_id: str) -> Sport:
        sport: Any = self.tables["fixtures"][fixture_id].get("sport")
        sport_id = sport.get("sportId") if isinstance(sport, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - scripted payloads have any shape
        return SPORTS.get(sport_id, SPORTS[10]) if isinstance(sport_id, int) else SPORTS[10]

    def _any_open_fixture(self, status: int | None = None) -> str:
        fixtures = self.tables["fixtures"]
        running = [key for key in fixtures if self._status(key) in (PREGAME, LIVE)]
        wanted = [key for key in running if status is None or self._status(key) == status]
        return self.rng.choice(wanted or running or list(fixtures))


def status_of(tables: Tables, fixture_id: str) -> int | None:
    """The `statusId` of a fixture, None when it has none or there is no such fixture."""
    status: Any = tables["fixtures"].get(fixture_id, {}).get("status")
    if not isinstance(status, dict):
        return None
    number: Any = dict(_items(status)).get("statusId")
    return number if isinstance(number, int) else None


def _items(mapping: Any) -> Iterator[tuple[str, Any]]:
    yield from mapping.items()


def _empty_tables() -> Tables:
    return {channel: {} for channel in CHANNELS}
