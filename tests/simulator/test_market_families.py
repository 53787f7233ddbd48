"""What each family of channels looks like on the wire (`facts` §6)."""

import random
from decimal import Decimal
from typing import Any

import pytest

from lastseen_simulator.gateway.bench import WALL_MS
from lastseen_simulator.market import Market, MarketOptions
from lastseen_simulator.market.clocks import NO_CLOCK, clock_of
from lastseen_simulator.market.fixtures import whole_fixture
from lastseen_simulator.sports import SPORTS, iso_from_ms

SOCCER, BASKETBALL, TENNIS = (SPORTS[number] for number in (10, 11, 12))
ROW = {
    "bookmaker", "participantId", "price", "active", "bookmakerOutcomeId", "bookmakerChangedAt",
    "priceFractional", "priceAmerican", "limit", "betslip", "meta", "changedAt",
}  # fmt: skip


def a_market(seed: int = 0, **options: Any) -> Market:
    options = {"fixtures": 4, "bookmakers": ("pinnacle", "stake"), **options}
    market = Market(MarketOptions(**options), rng=random.Random(seed))
    market.open(wall_ms=WALL_MS)
    return market


def ticks(market: Market, count: int, channel: str) -> list[dict[str, Any]]:
    """What was heard on a channel, ten seconds a tick."""
    changes = [
        change for number in range(count) for change in market.tick(wall_ms=WALL_MS + number * 10)
    ]
    return [payload for name, payload in changes if name == channel]


# Futures.


def test_a_future_has_the_documented_members() -> None:
    market = a_market(futures=8)

    futures = list(market.tables["futures"].values())

    assert len(futures) == 8
    for future in futures:
        assert set(future) == {
            "futureId", "status", "sport", "tournament", "season", "startTime", "endTime",
            "market", "participants", "externalProviders",
        }  # fmt: skip
        assert future["startTime"] < WALL_MS // 1000 < future["endTime"]
        assert set(future["status"]) == {"live", "statusId", "statusName"}
    assert {future["market"] is None for future in futures} == {True, False}
    assert {future["participants"] == [] for future in futures} == {True, False}
    assert len({len(future["futureId"]) for future in futures}) > 1
    assert {future["status"]["statusId"] for future in futures} == {0, 1}


@pytest.mark.parametrize(("key_parts", "more"), [(3, set()), (5, {"outcomeId", "playerId"})])
def test_rows_of_futures_are_keyed_by_the_page_they_follow(key_parts: Any, more: set[str]) -> None:
    market = a_market(futures=4, future_key_parts=key_parts, nulls=True)
    for number in range(50):
        market.make("oddsFutures", wall_ms=WALL_MS + number)

    for future_id, books in market.tables["oddsFutures"].items():
        listed = market.tables["futures"][future_id]["participants"]
        for slug, rows in books.items():
            assert len(rows) == max(1, len(listed))
            for key, row in rows.items():
                parts = key.split(":")
                assert len(parts) == key_parts
                assert parts[:2] == [future_id, slug]
                assert str(row["participantId"] or 0) == parts[-1 if key_parts == 3 else 3]
                assert set(row) == ROW | more


def test_a_bookmaker_of_a_future_has_its_own_members() -> None:
    market = a_market()
    payload = market.make("bookmakersFutures", wall_ms=WALL_MS + 5)

    ((slug, status),) = payload["bookmakers"].items()
    assert set(status) == {
        "bookmaker", "bookmakerFutureId", "futurePath", "hasOdds", "staleOdds", "suspended",
        "meta", "updatedAt",
    }  # fmt: skip
    assert (status["bookmaker"], status["updatedAt"]) == (slug, iso_from_ms(WALL_MS + 5))


def test_futures_are_decided_and_replaced() -> None:
    market = a_market(futures=3)
    seen: dict[str, int] = {}
    for payload in ticks(market, 20_000, "futures"):
        status = payload["status"]["statusId"]
        assert status >= seen.get(payload["futureId"], 0)
        seen[payload["futureId"]] = status

    decided = [key for key, status in seen.items() if status == 2]
    assert len(decided) > 2
    assert len(market.tables["futures"]) == 3 + len(decided)


@pytest.mark.parametrize("channel", ["futures", "oddsFutures", "bookmakersFutures"])
def test_without_futures_there_is_nothing_to_make(channel: str) -> None:
    market = a_market(futures=0)

    with pytest.raises(ValueError, match=f"no future to make {channel} for"):
        market.make(channel, wall_ms=WALL_MS)
    assert ticks(market, 2000, channel) == []


def test_a_future_that_a_script_brought_is_priced_like_any_other() -> None:
    market = a_market(futures=0)
    market.apply("futures", {"futureId": "f", "participants": [{"participantId": 7}, "odd"]})

    payload = market.make("oddsFutures", wall_ms=WALL_MS)

    ((slug, rows),) = payload["oddsFutures"].items()
    assert set(rows) == {f"f:{slug}:7", f"f:{slug}:0"}


# Currencies.


def test_currencies_are_objects_by_code() -> None:
    market = a_market()
    opening = market.tables["currencies"][""]
    payload = market.make("currencies", wall_ms=WALL_MS + 7)

    assert 1 <= len(payload) <= 3
    for code, value in payload.items():
        assert set(value) == {"currency", "currencyValue", "updatedAt"}
        assert value["currency"] == code
        assert value["updatedAt"] == iso_from_ms(WALL_MS + 7)
        assert 0 < abs(value["currencyValue"] / opening[code]["currencyValue"] - 1) < 0.01
    assert market.tables["currencies"][""] == opening | payload


def test_currencies_are_numbers_under_rates_when_that_is_the_shape() -> None:
    objects, rates = a_market(), a_market(currencies_shape="rates")
    for number in range(30):
        one = objects.make("currencies", wall_ms=WALL_MS + number)
        other = rates.make("currencies", wall_ms=WALL_MS + number)

        assert other == {"rates": {code: value["currencyValue"] for code, value in one.items()}}
    assert all(type(rate) is float for rate in rates.tables["currencies"][""].values())


@pytest.mark.parametrize("shape", ["objects", "rates"])
def test_a_superseded_rate_has_moved(shape: Any) -> None:
    market = a_market(currencies_shape=shape)
    payload = market.make("currencies", wall_ms=WALL_MS)

    newer = market.supersede("currencies", payload, wall_ms=WALL_MS + 1)

    assert newer.keys() == payload.keys()
    assert newer != payload


def test_rates_stay_rates_for_ever() -> None:
    market = a_market()
    market.apply("currencies", {"TINY": {"currencyValue": 0.0001}, "VAST": 10**400, "ODD": []})
    for number in range(500):
        market.make("currencies", wall_ms=WALL_MS + number)

    for value in market.tables["currencies"][""].values():
        assert Decimal("0.0001") <= Decimal(repr(value["currencyValue"])) <= 10**6


# Clocks.


@pytest.mark.parametrize(
    ("sport", "elapsed_s", "shown"),
    [
        (SOCCER, -5, ("p1", "00:00", "90:00", "45:00")),
        (SOCCER, 0, ("p1", "00:00", "90:00", "45:00")),
        (SOCCER, 2699, ("p1", "44:59", "45:01", "00:01")),
        (SOCCER, 2700, ("p2", "45:00", "45:00", "45:00")),
        (SOCCER, 99_999, ("p2", "90:00", "00:00", "00:00")),
        (BASKETBALL, 1300, ("p3", "21:40", "18:20", "08:20")),
        (TENNIS, 1300, ("p1", None, None, None)),
    ],
)
def test_a_clock_counts_up_and_down(sport: Any, elapsed_s: int, shown: tuple[Any, ...]) -> None:
    members = ("currentPeriod", "currentTime", "remainingTime", "remainingTimeInPeriod", "stopped")

    assert clock_of(sport, elapsed_s, stopped=True) == dict(
        zip(members, (*shown, True), strict=True)
    )
    assert set(members) == set(NO_CLOCK)


def test_live_fixtures_have_a_clock_and_others_show_nulls() -> None:
    market = a_market(fixtures=6)

    for fixture_id, fixture in market.tables["fixtures"].items():
        live = fixture["status"]["live"]
        shown = whole_fixture(market.tables, fixture_id)["clock"]
        assert (fixture_id in market.tables["clocks"]) == live
        assert (shown == NO_CLOCK) == (not live)


def test_a_clock_runs_from_kick_off_and_stops_at_full_time() -> None:
    market = a_market(fixtures=3)
    kick_offs: dict[str, int] = {}
    stops = 0
    for wall_ms in range(WALL_MS, WALL_MS + 10_000_000, 1000):
        changes = market.tick(wall_ms=wall_ms)
        for channel, payload in changes:
            fixture_id: str = payload.get("fixtureId", "")
            if channel == "fixtures" and payload["trueStartTime"] == iso_from_ms(wall_ms):
                kick_offs[fixture_id] = wall_ms
                assert payload["clock"]["currentTime"] in ("00:00", None)
                assert changes[-1] == (
                    "clocks",
                    {"fixtureId": fixture_id, "clock": payload["clock"]},
                )
            if channel == "clocks" and fixture_id in kick_offs:
                stopped = payload["clock"]["stopped"]
                stops += stopped
                elapsed_s = (wall_ms - kick_offs[fixture_id]) // 1000
                sport = SPORTS[int(fixture_id[2:4])]
                assert payload["clock"] == clock_of(sport, elapsed_s, stopped=stopped)
            if channel == "fixtures" and payload["trueEndTime"] is not None:
                assert payload["clock"]["stopped"] is True
                assert changes[0] == (
                    "clocks",
                    {"fixtureId": fixture_id, "clock": payload["clock"]},
                )

    assert kick_offs
    assert stops
