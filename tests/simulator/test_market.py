import itertools
import random
from collections import Counter
from typing import Any

import pytest

from lastseen_simulator.gateway.bench import WALL_MS
from lastseen_simulator.market import CHANNELS, Market, iso_from_ms, status_of


def a_market(seed: int = 0, fixtures: int = 6) -> Market:
    market = Market(
        fixture_count=fixtures, bookmaker_slugs=("pinnacle", "stake"), rng=random.Random(seed)
    )
    market.open(wall_ms=WALL_MS)
    market.take_undos()
    return market


def happenings(market: Market, count: int) -> list[tuple[str, Any]]:
    changes: list[tuple[str, Any]] = []
    for number in range(count):
        changes += market.tick(wall_ms=WALL_MS + number * 10)
    return changes


def test_the_same_seed_makes_the_same_market() -> None:
    assert happenings(a_market(5), 200) == happenings(a_market(5), 200)
    assert happenings(a_market(5), 200) != happenings(a_market(6), 200)


def test_odds_lead_and_every_channel_has_its_share() -> None:
    shares = Counter(channel for channel, _ in happenings(a_market(), 2000))

    assert set(shares) == set(CHANNELS)
    assert shares["odds"] > 10 * max(shares[channel] for channel in CHANNELS if channel != "odds")


def test_a_status_never_goes_backwards_and_the_world_goes_on() -> None:
    market = a_market()
    seen: dict[str, int] = {}
    for channel, payload in happenings(market, 20_000):
        if channel != "fixtures":
            continue
        status = payload["status"]["statusId"]
        assert status >= seen.get(payload["fixtureId"], 0)
        seen[payload["fixtureId"]] = status

    finished = [key for key, status in seen.items() if status == 2]
    assert len(finished) > 3
    assert len(market.tables["fixtures"]) == 6 + len(finished)


def test_a_fixture_that_starts_brings_its_scores() -> None:
    market = a_market()
    changes = happenings(market, 5000)

    for (channel, payload), (next_channel, next_payload) in itertools.pairwise(changes):
        if channel == "fixtures" and payload["trueStartTime"] and next_channel == "scores":
            assert payload["status"]["statusId"] == 1
            if payload["fixtureId"] == next_payload["fixtureId"] and payload["scores"]:
                assert set(payload["scores"]) >= {"result", "p1"}
                return
    pytest.fail("no fixture ever started")


def test_finished_fixtures_get_no_more_odds() -> None:
    over: set[str] = set()
    for channel, payload in happenings(a_market(), 20_000):
        if channel == "fixtures" and payload["status"]["statusId"] == 2:
            over.add(payload["fixtureId"])
        elif channel != "fixtures":
            assert payload["fixtureId"] not in over
    assert over


def test_rows_carry_what_is_required_and_sometimes_no_more() -> None:
    rows = [
        row
        for channel, payload in happenings(a_market(), 500)
        if channel == "odds"
        for book in payload["odds"].values()
        for row in book.values()
    ]

    required = {"bookmaker", "outcomeId", "playerId", "price", "active", "changedAt"}
    assert all(required <= set(row) for row in rows)
    assert {"limit" in row for row in rows} == {True, False}
    assert {row["active"] for row in rows} == {True, False}
    assert all(round(row["price"], 2) == row["price"] >= 1.01 for row in rows)
    assert all(isinstance(row["changedAt"], int) for row in rows)


def test_the_tables_are_what_the_changes_say() -> None:
    market = a_market()
    folded: dict[str, dict[str, Any]] = {channel: {} for channel in CHANNELS}
    for channel, payload in market.payloads():
        folded[channel][payload["fixtureId"]] = (
            payload if channel == "fixtures" else payload[channel]
        )
    for channel, payload in happenings(market, 3000):
        key = payload["fixtureId"]
        if channel == "fixtures":
            sections = ("scores", "clock", "bookmakers")
            folded[channel][key] = {k: v for k, v in payload.items() if k not in sections}
        elif channel == "odds":
            books = folded[channel].get(key, {})
            folded[channel][key] = books | {
                slug: books.get(slug, {}) | rows for slug, rows in payload["odds"].items()
            }
        else:
            folded[channel][key] = folded[channel].get(key, {}) | payload[channel]

    assert market.tables == folded


def test_an_older_table_value_is_never_edited() -> None:
    market = a_market()
    before = {channel: dict(table) for channel, table in market.tables.items()}
    texts = {channel: repr(table) for channel, table in before.items()}

    happenings(market, 500)

    assert {channel: repr(table) for channel, table in before.items()} == texts
    assert before["odds"] != {key: market.tables["odds"][key] for key in before["odds"]}


def test_each_apply_can_be_undone() -> None:
    market = a_market()
    before = {channel: dict(table) for channel, table in market.tables.items()}
    happenings(market, 300)

    for undo in reversed(market.take_undos()):
        if undo.previous is None:
            del market.tables[undo.channel][undo.fixture_id]
        else:
            market.tables[undo.channel][undo.fixture_id] = undo.previous

    assert market.tables == before
    assert market.take_undos() == []


@pytest.mark.parametrize(
    ("channel", "payload"),
    [
        ("odds", {}),
        ("odds", {"fixtureId": 7}),
        ("odds", {"fixtureId": "x"}),
        ("odds", {"fixtureId": "x", "odds": None}),
        ("odds", {"fixtureId": "x", "odds": {"stake": None}}),
        ("odds", {"fixtureId": "x", "odds": {"stake": {"row": {"price": None}}}}),
        ("scores", {"fixtureId": "x", "scores": {"p1": {}}}),
        ("bookmakers", {"fixtureId": "x", "bookmakers": {"stake": {}}}),
        ("fixtures", {"fixtureId": "x"}),
        ("fixtures", {"fixtureId": "x", "status": 3, "sport": "chess"}),
    ],
)
def test_odd_payloads_do_not_stop_the_market(channel: str, payload: dict[str, Any]) -> None:
    market = a_market(fixtures=1)

    market.apply(channel, payload)
    market.supersede(channel, payload, wall_ms=WALL_MS)

    assert len(happenings(market, 500)) >= 500


def test_an_unknown_channel_has_no_model() -> None:
    with pytest.raises(ValueError, match="no market model for channel weather"):
        a_market().make("weather", wall_ms=WALL_MS)


def test_moments_are_written_with_microseconds_and_offset() -> None:
    assert iso_from_ms(1_790_000_003_912) == "2026-09-21T14:13:23.912000+00:00"


def test_the_status_of_what_is_not_there_is_none() -> None:
    tables: dict[str, Any] = {"fixtures": {"a": {}, "b": {"status": {"statusId": "1"}}}}

    assert [status_of(tables, key) for key in ("a", "b", "c")] == [None, None, None]
