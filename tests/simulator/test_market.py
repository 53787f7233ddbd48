import itertools
import random
from collections import Counter
from typing import Any

import pytest
from second_opinion import LIVE_ONLY, RESTORABLE, folded, units_in

from lastseen_simulator.channels import CHANNELS, STATEFUL_CHANNELS
from lastseen_simulator.gateway.bench import WALL_MS
from lastseen_simulator.market import Market, MarketOptions, status_of
from lastseen_simulator.sports import iso_from_ms

MAIN = ("odds", "fixtures", "bookmakers", "scores")
MINOR = tuple(channel for channel in CHANNELS if channel not in MAIN)


def a_market(seed: int = 0, **options: Any) -> Market:
    options = {"fixtures": 6, "bookmakers": ("pinnacle", "stake"), **options}
    market = Market(MarketOptions(**options), rng=random.Random(seed))
    market.open(wall_ms=WALL_MS)
    market.take_undos()
    return market


def happenings(market: Market, count: int) -> list[tuple[str, Any]]:
    changes: list[tuple[str, Any]] = []
    for number in range(count):
        changes += market.tick(wall_ms=WALL_MS + number * 10)
    return changes


def test_what_one_family_has_on_offer_does_not_disturb_another() -> None:
    def course(**options: Any) -> list[Any]:
        changes = happenings(a_market(**options), 500)
        return [change for change in changes if change[0] in MAIN]

    assert course(futures=0) == course(futures=5) == course(currencies_shape="rates")
    assert course(future_key_parts=5) == course(future_key_parts=3)


def test_the_same_seed_makes_the_same_market() -> None:
    assert happenings(a_market(5), 200) == happenings(a_market(5), 200)
    assert happenings(a_market(5), 200) != happenings(a_market(6), 200)


def test_odds_lead_and_every_channel_has_its_share() -> None:
    shares = Counter(channel for channel, _ in happenings(a_market(), 20_000))

    assert set(shares) == set(CHANNELS)
    assert shares["odds"] > 10 * max(shares[channel] for channel in CHANNELS if channel != "odds")
    # Whoever follows the four main channels sees as much as if there were no others.
    assert sum(shares[channel] for channel in MINOR) < 0.06 * shares.total()
    # At twenty entries a second that is a new rate every five seconds (§8).
    assert 0.007 < shares["currencies"] / shares.total() < 0.013


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


def test_what_is_over_is_heard_of_no_more() -> None:
    over: dict[str, set[Any]] = {"fixtures": set(), "futures": set()}
    for channel, payload in happenings(a_market(), 20_000):
        entity = payload.get("fixtureId") or payload.get("futureId")
        assert entity not in over["fixtures"] | over["futures"]
        if channel in over and payload["status"]["statusId"] == 2:
            over[channel].add(entity)

    assert all(over.values())


@pytest.mark.parametrize(
    ("channel", "required", "optional"),
    [
        (
            "odds",
            {"bookmaker", "outcomeId", "playerId", "price", "active", "changedAt"},
            {"bookmakerMarketId", "bookmakerOutcomeId", "bookmakerChangedAt", "limit", "meta"},
        ),
        (
            "oddsFutures",
            {"bookmaker", "participantId", "price", "active", "changedAt"},
            {"bookmakerOutcomeId", "bookmakerChangedAt", "limit", "betslip", "priceAmerican"},
        ),
    ],
)
def test_rows_carry_what_is_required_and_sometimes_no_more(
    channel: str, required: set[str], optional: set[str]
) -> None:
    market = a_market()
    payloads = [market.make(channel, wall_ms=WALL_MS + number) for number in range(500)]
    rows = [row for each in payloads for book in each[channel].values() for row in book.values()]

    assert all(required <= set(row) for row in rows)
    for member in optional:
        assert {member in row for row in rows} == {True, False}
    assert {row["active"] for row in rows} == {True, False}
    assert all(round(row["price"], 2) == row["price"] >= 1.01 for row in rows)
    assert all(isinstance(row["changedAt"], int) for row in rows)


@pytest.mark.parametrize("channel", ["odds", "oddsFutures"])
def test_members_without_a_value_are_left_out_or_null_and_nothing_else_differs(
    channel: str,
) -> None:
    sparse, full = a_market(nulls=False), a_market(nulls=True)
    omitted = 0
    for number in range(300):
        one, other = (each.make(channel, wall_ms=WALL_MS + number) for each in (sparse, full))
        for slug, book in one[channel].items():
            for key, row in book.items():
                whole = other[channel][slug][key]
                missing = whole.keys() - row.keys()
                omitted += len(missing)
                assert whole == row | dict.fromkeys(missing)

    assert omitted > 100


def test_the_tables_are_what_the_changes_say() -> None:
    market = a_market()
    state = folded(market.payloads())

    state = folded(happenings(market, 3000), state)

    assert folded(market.payloads()) == state
    assert {key.split("/")[0] for key in state} == set(STATEFUL_CHANNELS) == set(RESTORABLE)


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
    happenings(market, 5000)

    undos = market.take_undos()
    assert {undo.channel for undo in undos} == set(CHANNELS)
    for undo in reversed(undos):
        if undo.entity is None:
            assert undo.channel in LIVE_ONLY
        elif undo.previous is None:
            del market.tables[undo.channel][undo.entity]
        else:
            market.tables[undo.channel][undo.entity] = undo.previous

    assert market.tables == before
    assert market.take_undos() == []


ODD_VALUES: list[Any] = [
    None,
    3,
    "x",
    [],
    {},
    {"stake": None},
    {"stake": 3},
    {"stake": {"row": None}},
]
ODD_PRICES: tuple[Any, ...] = (None, True, "2", 10**400, [])
ODD_VALUES += [{"stake": {"row": {"price": price}}} for price in ODD_PRICES]
ODD_MEMBERS: list[dict[str, Any]] = [
    {},
    {"status": 3, "sport": "chess", "participants": 4, "startTime": "soon", "endTime": "late"},
    {"status": {"statusId": "1"}, "sport": {"sportId": [10]}, "participants": [None, {}]},
]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("entity", ["new", "known", None, 7])
def test_odd_payloads_do_not_stop_the_market(channel: str, entity: Any) -> None:
    member, section = CHANNELS[channel].entity or "rates", CHANNELS[channel].section or "rates"
    for value, members in itertools.product(ODD_VALUES, ODD_MEMBERS):
        market = a_market(fixtures=1, futures=1)
        if entity == "known":
            root = "futures" if member == "futureId" else "fixtures"
            entity = next(iter(market.tables[root]))
        payload = {member: entity, **members, section: value}
        for odd in (payload, {section: value}):
            market.apply(channel, odd)
            market.supersede(channel, odd, wall_ms=WALL_MS)
        for each in CHANNELS:
            for number in range(5):
                market.make(each, wall_ms=WALL_MS + number)
        list(market.payloads())

        assert len(market.take_undos()) == 4 + 5 * len(CHANNELS)


def test_an_unknown_channel_has_no_model() -> None:
    with pytest.raises(ValueError, match="no market model for channel weather"):
        a_market().make("weather", wall_ms=WALL_MS)


@pytest.mark.parametrize("channel", RESTORABLE)
def test_what_is_superseded_is_said_again_and_newer_where_it_can_be(channel: str) -> None:
    market = a_market()
    payload = market.make(channel, wall_ms=WALL_MS + 1000)
    named = units_in(channel, payload)

    newer = units_in(channel, market.supersede(channel, payload, wall_ms=WALL_MS + 2000))

    assert newer.keys() == named.keys()
    state = folded(market.payloads())
    assert {key: state[key] for key in newer} == newer
    for key, value in named.items():
        for stamp, moment in (
            ("changedAt", WALL_MS + 2000),
            ("updatedAt", iso_from_ms(WALL_MS + 2000)),
        ):
            if stamp in value:
                assert newer[key][stamp] == moment


@pytest.mark.parametrize("channel", LIVE_ONLY)
def test_a_superseded_report_is_told_again(channel: str) -> None:
    market = a_market()
    payload = market.make(channel, wall_ms=WALL_MS)

    assert market.supersede(channel, payload, wall_ms=WALL_MS + 1) == payload


def test_a_payload_about_something_unknown_supersedes_itself() -> None:
    market = a_market()
    payload = {"fixtureId": "x", "scores": {"p1": {"period": "p1"}}}

    assert market.supersede("scores", payload, wall_ms=WALL_MS) == payload
    assert market.tables["scores"]["x"] == payload["scores"]


def test_moments_are_written_with_microseconds_and_offset() -> None:
    assert iso_from_ms(1_790_000_003_912) == "2026-09-21T14:13:23.912000+00:00"


def test_the_status_of_what_is_not_there_is_none() -> None:
    tables: dict[str, Any] = {"fixtures": {"a": {}, "b": {"status": {"statusId": "1"}}}}

    assert [status_of(tables, key) for key in ("a", "b", "c")] == [None, None, None]
