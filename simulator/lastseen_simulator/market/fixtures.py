"""Fixtures and what belongs to one: scores, clock, bookmakers and odds (§6.2 to §6.5, §6.8)."""

import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import attrs

from lastseen.shapes import as_object, member
from lastseen_simulator.market.clocks import NO_CLOCK, clock_of
from lastseen_simulator.market.ledger import Change, Ledger, Payload, Tables, status_of
from lastseen_simulator.market.quotes import Quotes, restamped
from lastseen_simulator.sports import (
    FINISHED,
    LIVE,
    NAMES,
    PREGAME,
    SPORT_IDS,
    SPORTS,
    Sport,
    iso_from_ms,
    new_score,
    status_object,
)

__all__ = ["Fixtures", "whole_fixture"]

_KICK_OFF: Final = 0.08
_FULL_TIME: Final = 0.02
_CLOCK_STOPS: Final = 0.2


def whole_fixture(tables: Tables, fixture_id: str, *, books: Iterable[str] = ()) -> Payload:
    """The fixture object as the stream and `/fixtures` show it (§6.4).

    Its `bookmakers` member has the statuses of `books`; the stream leaves it empty (§5).
    """
    statuses = tables["bookmakers"].get(fixture_id, {})
    return {
        **tables["fixtures"][fixture_id],
        "scores": dict(tables["scores"].get(fixture_id, {})),
        "clock": dict(tables["clocks"].get(fixture_id, NO_CLOCK)),
        "bookmakers": {slug: statuses[slug] for slug in books if slug in statuses},
    }


@attrs.define(eq=False)
class Fixtures:
    """`count` fixtures on offer at a time: one that ends makes room for another."""

    ledger: Ledger
    rng: random.Random
    quotes: Quotes
    bookmakers: tuple[str, ...]
    count: int
    _made: int = attrs.field(init=False, default=0)
    _kick_offs: dict[str, int] = attrs.field(init=False, factory=dict[str, int])
    """When a live fixture's clock began to run, in wall-clock milliseconds."""
    _open: dict[int | None, list[str]] = attrs.field(
        init=False, factory=dict[int | None, list[str]]
    )
    """By status, and all of them under None; as of `_open_at` turns of the ledger."""
    _open_at: int = attrs.field(init=False, default=-1)

    def open(self, *, wall_ms: int) -> None:
        """Fills the tables as if the market had run before anybody looked."""
        for index in range(self.count):
            self._begin(PREGAME if index % 3 == 1 else LIVE, wall_ms)

    def happen(self, channel: str, *, wall_ms: int) -> list[Change]:
        """One happening: usually one change, several when a fixture starts or ends."""
        if channel != "fixtures":
            return [(channel, self.make(channel, wall_ms=wall_ms))]
        fixture_id = self.any_open(self.rng)
        status = self._status(fixture_id)
        if status == PREGAME and self.rng.random() < _KICK_OFF:
            return self._kick_off(fixture_id, wall_ms)
        if status == LIVE and self.rng.random() < _FULL_TIME:
            return [*self._full_time(fixture_id, wall_ms), *self._begin(PREGAME, wall_ms)]
        return [self._publish("fixtures", self._fixture_change(fixture_id))]

    def make(self, channel: str, *, wall_ms: int) -> Payload:
        """Changes something on this channel and returns the payload that says so."""
        match channel:
            case "odds":
                payload = self._odds_change(wall_ms)
            case "scores":
                payload = self._score_change(wall_ms)
            case "bookmakers":
                payload = self._bookmaker_change(wall_ms)
            case "clocks":
                payload = self._clock_change(wall_ms)
            case _:
                payload = self._fixture_change(self.any_open(self.rng))
        self.ledger.apply(channel, payload)
        return payload

    def renewed(self, channel: str, value: Any, *, wall_ms: int) -> Any:
        """A unit once more, newer than it was; clocks and fixtures have no time of their own."""
        match channel:
            case "fixtures":
                return whole_fixture(self.ledger.tables, value["fixtureId"])
            case "odds":
                return self._moved(value, wall_ms)
            case "clocks":
                return value
            case _:
                return restamped(value, wall_ms)

    def any_open(self, rng: random.Random, status: int | None = None) -> str:
        """A fixture that is not over, of this status if there is one."""
        if self._open_at != self.ledger.turns:
            self._open_at, self._open = self.ledger.turns, self._by_status()
        wanted = self._open.get(status) or self._open[None]
        return rng.choice(wanted or list(self.ledger.tables["fixtures"]))

    def _by_status(self) -> dict[int | None, list[str]]:
        found: dict[int | None, list[str]] = {None: []}
        for fixture_id in self.ledger.tables["fixtures"]:
            status = self._status(fixture_id)
            if status in (PREGAME, LIVE):
                found.setdefault(status, []).append(fixture_id)
                found[None].append(fixture_id)
        return found

    # How a fixture begins, starts and ends.

    def _begin(self, status: int, wall_ms: int) -> list[Change]:
        fixture = self._new_fixture(status, wall_ms)
        fixture_id = fixture["fixtureId"]
        books = {slug: self._bookmaker_status(slug, wall_ms) for slug in self.bookmakers}
        changes = [
            self._publish("fixtures", fixture),
            self._publish("bookmakers", {"fixtureId": fixture_id, "bookmakers": books}),
            self._publish("odds", self._opening_odds(fixture_id, self.bookmakers, wall_ms)),
        ]
        if status == LIVE:
            self._kick_offs[fixture_id] = fixture["startTime"] * 1000
            changes += [
                self._publish("scores", self._scores_at_start(fixture_id, wall_ms)),
                self._publish("clocks", self._clock(fixture_id, wall_ms, stopped=False)),
            ]
        return changes

    def _kick_off(self, fixture_id: str, wall_ms: int) -> list[Change]:
        self._kick_offs[fixture_id] = wall_ms
        opening = self._scores_at_start(fixture_id, wall_ms)
        clock = self._clock(fixture_id, wall_ms, stopped=False)
        started = self._with_status(fixture_id, LIVE, wall_ms) | {
            "scores": opening["scores"],
            "clock": clock["clock"],
        }
        return [
            self._publish("fixtures", started),
            self._publish("scores", opening),
            self._publish("clocks", clock),
        ]

    def _full_time(self, fixture_id: str, wall_ms: int) -> list[Change]:
        return [
            self._publish("clocks", self._clock(fixture_id, wall_ms, stopped=True)),
            self._publish("fixtures", self._with_status(fixture_id, FINISHED, wall_ms)),
        ]

    def _publish(self, channel: str, payload: Payload) -> Change:
        self.ledger.apply(channel, payload)
        return channel, payload

    def _with_status(self, fixture_id: str, status: int, wall_ms: int) -> Payload:
        moment = "trueStartTime" if status == LIVE else "trueEndTime"
        return whole_fixture(self.ledger.tables, fixture_id) | {
            "status": status_object(status),
            moment: iso_from_ms(wall_ms),
        }

    # How each channel changes.

    def _fixture_change(self, fixture_id: str) -> Payload:
        fixture = whole_fixture(self.ledger.tables, fixture_id)
        if self.rng.random() < 0.5:
            season = as_object(fixture.get("season")) or {}
            return fixture | {"season": season | {"seasonRound": self.rng.randint(1, 38)}}
        number = self.rng.randint(1, 99)
        venue = {"venueId": number, "venueName": f"Ground {number}", "venueLocation": None}
        return fixture | {"venue": venue}

    def _score_change(self, wall_ms: int) -> Payload:
        fixture_id = self.any_open(self.rng, LIVE)
        sport = self._sport(fixture_id)
        scores = self.ledger.section("scores", fixture_id)
        side = self.rng.choice(("participant1Score", "participant2Score"))
        points = self.rng.choice(sport.points)
        changed: dict[str, Any] = {}
        for period in ("result", self.rng.choice(sport.periods)):
            score = new_score(period, wall_ms) | (as_object(scores.get(period)) or {})
            before = score[side] if type(score[side]) is int else 0
            changed[period] = score | {side: before + points, "updatedAt": iso_from_ms(wall_ms)}
        return {"fixtureId": fixture_id, "scores": changed}

    def _bookmaker_change(self, wall_ms: int) -> Payload:
        fixture_id = self.any_open(self.rng)
        slug = self.rng.choice(self.bookmakers)
        known = as_object(self.ledger.section("bookmakers", fixture_id).get(slug)) or {}
        status = self._bookmaker_status(slug, wall_ms) | known
        changed = self.quotes.changed_status(status, wall_ms)
        return {"fixtureId": fixture_id, "bookmakers": {slug: changed}}

    def _clock_change(self, wall_ms: int) -> Payload:
        fixture_id = self.any_open(self.rng, LIVE)
        stopped = self.rng.random() < _CLOCK_STOPS
        return self._clock(fixture_id, wall_ms, stopped=stopped)

    def _clock(self, fixture_id: str, wall_ms: int, *, stopped: bool) -> Payload:
        elapsed_s = (wall_ms - self._kick_offs.get(fixture_id, wall_ms)) // 1000
        clock = clock_of(self._sport(fixture_id), elapsed_s, stopped=stopped)
        return {"fixtureId": fixture_id, "clock": clock}

    def _odds_change(self, wall_ms: int) -> Payload:
        fixture_id = self.any_open(self.rng)
        slug = self.rng.choice(self.bookmakers)
        rows = self.ledger.section("odds", fixture_id).get(slug, {})
        if not rows:
            return self._opening_odds(fixture_id, (slug,), wall_ms)
        keys = self.rng.sample(sorted(rows), k=min(len(rows), self.rng.randint(1, 3)))
        changed = {key: self._moved(rows[key], wall_ms) for key in keys}
        return {"fixtureId": fixture_id, "odds": {slug: changed}}

    def _moved(self, known: Any, wall_ms: int) -> Payload:
        """A whole new row for the same outcome."""
        row = as_object(known) or {}
        price = self.quotes.moved_price(row.get("price"))
        slug, market, outcome = (row.get(k) for k in ("bookmaker", "marketId", "outcomeId"))
        fresh = self._row(slug, market, outcome, price, wall_ms)
        fresh["active"] = self.quotes.still_active(row)
        return fresh

    # How things look when they are new.

    def _new_fixture(self, status: int, wall_ms: int) -> Payload:
        self._made += 1
        sport_id = SPORT_IDS[(self._made - 1) % len(SPORT_IDS)]
        sport = SPORTS[sport_id]
        tournament_id, tournament = sport.tournaments[self._made % len(sport.tournaments)]
        native = 88_000_000 + self._made * 131 + self.rng.randrange(100)
        ahead_s = -1200 if status == LIVE else self.rng.randint(600, 7200)
        start = wall_ms // 1000 + ahead_s
        return {
            "fixtureId": f"id{sport_id:02d}{tournament_id:06d}{native}",
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
            "clock": dict(NO_CLOCK),
            "expectedPeriods": len(sport.periods),
            "periodLength": sport.period_minutes,
            "externalProviders": {"betradarId": native},
            "bookmakers": {},
        }

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

    def _opening_odds(self, fixture_id: str, slugs: tuple[str, ...], wall_ms: int) -> Payload:
        odds = {
            slug: {
                f"{fixture_id}:{slug}:{outcome}:0": self._row(
                    slug, market, outcome, self.quotes.opening_price(), wall_ms
                )
                for market, outcomes in self._sport(fixture_id).markets
                for outcome in outcomes
            }
            for slug in slugs
        }
        return {"fixtureId": fixture_id, "odds": odds}

    def _row(self, slug: Any, market: Any, outcome: Any, price: Decimal, wall_ms: int) -> Payload:
        identity = {
            "bookmaker": slug,
            "outcomeId": outcome,
            "playerId": 0,
            "marketId": market,
            "marketActive": True,
            "mainLine": True,
            "bookmakerMarketId": f"m-{market}",
            "bookmakerOutcomeId": f"o-{outcome}",
        }
        return self.quotes.row(identity, price, wall_ms)

    def _bookmaker_status(self, slug: str, wall_ms: int) -> Payload:
        identity = {
            "bookmakerFixtureId": self.quotes.native_id(slug),
            "fixturePath": None,
            "staleOddsResponseCode": None,
            "participantsRotated": False,
        }
        return self.quotes.status(slug, identity, wall_ms)

    def _scores_at_start(self, fixture_id: str, wall_ms: int) -> Payload:
        return {
            "fixtureId": fixture_id,
            "scores": {period: new_score(period, wall_ms) for period in ("result", "p1")},
        }

    def _status(self, fixture_id: str) -> int:
        status = status_of(self.ledger.tables, fixture_id)
        return PREGAME if status is None else status

    def _sport(self, fixture_id: str) -> Sport:
        sport_id = member(self.ledger.tables["fixtures"].get(fixture_id), "sport", "sportId")
        return SPORTS.get(sport_id, SPORTS[10]) if type(sport_id) is int else SPORTS[10]
