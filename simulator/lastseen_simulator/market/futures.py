"""Futures, their bookmakers and their odds (§6.6)."""

import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, Literal

import attrs

from lastseen.shapes import as_list, as_object, member
from lastseen_simulator.market.ledger import Change, Ledger, Payload, Tables, status_of
from lastseen_simulator.market.quotes import Quotes, restamped
from lastseen_simulator.sports import (
    FINISHED,
    LIVE,
    NAMES,
    PREGAME,
    SPORT_IDS,
    SPORTS,
    status_object,
)

__all__ = ["FutureKeyParts", "Futures", "whole_future"]

FutureKeyParts = Literal[3, 5]
"""`<future>:<bookmaker>:<participant>`, or the older key with outcome and player too (OP-A29)."""

_OPENS: Final = 0.3
_ENDS: Final = 0.2
_DAY_S: Final = 86_400
_OUTCOME: Final = 9000


def whole_future(tables: Tables, future_id: str, *, books: Iterable[str] = ()) -> Payload:
    """The future object as `/futures` shows it, with the statuses of `books` (§5)."""
    statuses = tables["bookmakersFutures"].get(future_id, {})
    return {
        **tables["futures"][future_id],
        "bookmakers": {slug: statuses[slug] for slug in books if slug in statuses},
    }


@attrs.define(eq=False)
class Futures:
    """`count` futures on offer at a time: one that is decided makes room for another."""

    ledger: Ledger
    rng: random.Random
    quotes: Quotes
    bookmakers: tuple[str, ...]
    count: int
    key_parts: FutureKeyParts
    _made: int = attrs.field(init=False, default=0)

    def open(self, *, wall_ms: int) -> None:
        """Fills the tables as if the market had run before anybody looked."""
        for index in range(self.count):
            self._begin(LIVE if index % 2 else PREGAME, wall_ms)

    def happen(self, channel: str, *, wall_ms: int) -> list[Change]:
        """One happening: usually one change, several when a future is decided."""
        if channel != "futures":
            return [(channel, self.make(channel, wall_ms=wall_ms))]
        future_id = self._any_open(channel)
        status = status_of(self.ledger.tables, future_id, of="futureId")
        if status == PREGAME and self.rng.random() < _OPENS:
            return [self._publish(channel, self._with_status(future_id, LIVE))]
        if status == LIVE and self.rng.random() < _ENDS:
            over = self._publish(channel, self._with_status(future_id, FINISHED))
            return [over, *self._begin(PREGAME, wall_ms)]
        return [self._publish(channel, self._future_change(future_id))]

    def make(self, channel: str, *, wall_ms: int) -> Payload:
        """Changes something on this channel and returns the payload that says so.

        Raises ValueError when there is no future.
        """
        future_id = self._any_open(channel)
        match channel:
            case "oddsFutures":
                payload = self._odds_change(future_id, wall_ms)
            case "bookmakersFutures":
                payload = self._bookmaker_change(future_id, wall_ms)
            case _:
                payload = self._future_change(future_id)
        self.ledger.apply(channel, payload)
        return payload

    def renewed(self, channel: str, value: Any, *, wall_ms: int) -> Any:
        """A unit once more, newer than it was; a future has no time of its own."""
        match channel:
            case "futures":
                return value
            case "oddsFutures":
                return self._moved(value, wall_ms)
            case _:
                return restamped(value, wall_ms)

    def _publish(self, channel: str, payload: Payload) -> Change:
        self.ledger.apply(channel, payload)
        return channel, payload

    def _any_open(self, channel: str) -> str:
        tables = self.ledger.tables
        known = list(tables["futures"])
        if not known:
            raise ValueError(f"there is no future to make {channel} for")
        over = (FINISHED, FINISHED + 1)
        running = [key for key in known if status_of(tables, key, of="futureId") not in over]
        return self.rng.choice(running or known)

    # How each channel changes.

    def _with_status(self, future_id: str, status: int) -> Payload:
        future: Payload = self.ledger.tables["futures"][future_id]
        return future | {"status": status_object(status)}

    def _future_change(self, future_id: str) -> Payload:
        future: Payload = self.ledger.tables["futures"][future_id]
        ends = future.get("endTime")
        known = ends if type(ends) is int else 0
        return future | {"endTime": known + self.rng.randint(1, 7) * _DAY_S}

    def _bookmaker_change(self, future_id: str, wall_ms: int) -> Payload:
        slug = self.rng.choice(self.bookmakers)
        known = as_object(self.ledger.section("bookmakersFutures", future_id).get(slug)) or {}
        status = self._bookmaker_status(slug, wall_ms) | known
        changed = self.quotes.changed_status(status, wall_ms)
        return {"futureId": future_id, "bookmakers": {slug: changed}}

    def _odds_change(self, future_id: str, wall_ms: int) -> Payload:
        slug = self.rng.choice(self.bookmakers)
        rows = self.ledger.section("oddsFutures", future_id).get(slug, {})
        if not rows:
            return self._opening_odds(future_id, (slug,), wall_ms)
        keys = self.rng.sample(sorted(rows), k=min(len(rows), self.rng.randint(1, 2)))
        changed = {key: self._moved(rows[key], wall_ms) for key in keys}
        return {"futureId": future_id, "oddsFutures": {slug: changed}}

    def _moved(self, known: Any, wall_ms: int) -> Payload:
        """A whole new row for the same outcome."""
        row = as_object(known) or {}
        price = self.quotes.moved_price(row.get("price"))
        slug, participant, outcome = (
            row.get(name) for name in ("bookmaker", "participantId", "outcomeId")
        )
        fresh = self._row(slug, participant, outcome, price, wall_ms)
        fresh["active"] = self.quotes.still_active(row)
        return fresh

    # How things look when they are new.

    def _begin(self, status: int, wall_ms: int) -> list[Change]:
        future = self._new_future(status, wall_ms)
        future_id = future["futureId"]
        books = {slug: self._bookmaker_status(slug, wall_ms) for slug in self.bookmakers}
        return [
            self._publish("futures", future),
            self._publish("bookmakersFutures", {"futureId": future_id, "bookmakers": books}),
            self._publish("oddsFutures", self._opening_odds(future_id, self.bookmakers, wall_ms)),
        ]

    def _new_future(self, status: int, wall_ms: int) -> Payload:
        """Every fourth has no market, every fourth no participants: both may be missing (§6.6)."""
        self._made += 1
        sport_id = SPORT_IDS[(self._made - 1) % len(SPORT_IDS)]
        sport = SPORTS[sport_id]
        tournament_id, tournament = sport.tournaments[self._made % len(sport.tournaments)]
        season_id = 90_000 + self._made
        market: Payload | None = None
        if self._made % 4 != 2:
            market = {
                "marketId": self._made % 3 + 1,
                "marketName": None,
                "marketType": "outright",
            }
        native = "" if market is None else market["marketId"]
        names = self.rng.sample(NAMES, k=0 if self._made % 4 == 3 else self.rng.randint(3, 5))
        start = wall_ms // 1000 - self.rng.randint(1, 30) * _DAY_S
        return {
            # The length of an id differs: the market's part may be missing (§6.1).
            "futureId": f"id{sport_id:02d}{tournament_id:06d}{season_id}{native}",
            "status": status_object(status),
            "sport": {"sportId": sport_id, "sportName": sport.name},
            "tournament": {
                "tournamentId": tournament_id,
                "tournamentName": tournament,
                "categoryName": "Simland",
            },
            "season": {"seasonId": season_id, "seasonName": f"{tournament} 26/27"},
            "startTime": start,
            "endTime": start + self.rng.randint(100, 300) * _DAY_S,
            "market": market,
            "participants": [
                {"participantId": 500 + NAMES.index(name), "participantName": f"{name} United"}
                for name in names
            ],
            "externalProviders": {},
        }

    def _opening_odds(self, future_id: str, slugs: tuple[str, ...], wall_ms: int) -> Payload:
        """One row for each participant, or a single one that names nobody."""
        listed = as_list(self.ledger.section("futures", future_id).get("participants")) or []
        participants = [member(each, "participantId") for each in listed] or [None]
        odds: dict[str, Any] = {}
        for slug in slugs:
            rows = odds[slug] = dict[str, Any]()
            for index, participant in enumerate(participants):
                outcome = _OUTCOME + index if self.key_parts == 5 else None
                price = self.quotes.opening_price()
                key = self._key(future_id, slug, participant, outcome)
                rows[key] = self._row(slug, participant, outcome, price, wall_ms)
        return {"futureId": future_id, "oddsFutures": odds}

    def _key(self, future_id: str, slug: str, participant: Any, outcome: int | None) -> str:
        if outcome is None:
            return f"{future_id}:{slug}:{participant or 0}"
        return f"{future_id}:{slug}:{outcome}:{participant or 0}:0"

    def _row(
        self, slug: Any, participant: Any, outcome: Any, price: Decimal, wall_ms: int
    ) -> Payload:
        identity = {"bookmaker": slug, "participantId": participant}
        if outcome is not None:
            identity |= {"outcomeId": outcome, "playerId": 0}
        identity["bookmakerOutcomeId"] = f"f-{participant}"
        return self.quotes.row(identity, price, wall_ms)

    def _bookmaker_status(self, slug: str, wall_ms: int) -> Payload:
        identity = {"bookmakerFutureId": self.quotes.native_id(slug), "futurePath": None}
        return self.quotes.status(slug, identity, wall_ms)
