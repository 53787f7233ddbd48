from typing import Any

import msgspec
import pytest
from second_opinion import (
    FIXTURE_CHANNELS,
    FUTURE_CHANNELS,
    GATED,
    LIVE_ONLY,
    RESTORABLE,
    folded,
    restored,
    units_in,
    visible,
)

from lastseen_simulator.channels import CHANNELS
from lastseen_simulator.gateway.bench import Bench
from lastseen_simulator.gateway.core import GatewayOptions
from lastseen_simulator.profiles import profile
from lastseen_simulator.truth import TruthLog, unit_keys


def expected(records: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """A second opinion: the base and the entries of the log, folded as simply as can be."""
    (base,) = (record["state"] for record in records if record["kind"] == "base")
    entries = [record for record in records if record["kind"] == "entry"]
    return visible(folded(((each["channel"], each["payload"]) for each in entries), base))


@pytest.mark.parametrize("seed", [1])
def test_the_state_is_what_the_published_entries_say(seed: int) -> None:
    bench = Bench(GatewayOptions(rate=100), seed=seed)
    for fault in profile("hostile"):
        bench.gateway.place(fault)
    for _ in range(30):
        bench.login()
        bench.advance(2)

    truth = bench.gateway.truth
    assert len(truth.entries()) > 5000
    assert {each["channel"] for each in truth.entries()} == set(CHANNELS)
    assert truth.state() == expected(truth.records)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("knobs", [{}, {"currencies_shape": "rates", "future_key_parts": 5}])
def test_rest_and_the_truth_agree_although_neither_asks_the_other(
    seed: int, knobs: dict[str, Any]
) -> None:
    options = GatewayOptions(rate=100, odds_limit=10_000, other_limit=10_000, futures=4, **knobs)
    bench = Bench(options, seed=seed)
    for _ in range(4):
        bench.advance(15)

        truth = bench.gateway.truth.state()
        rest = restored(lambda path, **query: msgspec.json.decode(bench.get(path, **query).body))

        assert rest == truth
    assert {key.split("/")[0] for key in rest} == set(RESTORABLE)


def test_the_state_is_restricted_to_a_subscription() -> None:
    bench = Bench(GatewayOptions(rate=0))
    truth = bench.gateway.truth
    state = truth.state()
    roots = {
        key: value for key, value in state.items() if key.startswith(("fixtures/", "futures/"))
    }

    def keys(**restriction: Any) -> set[str]:
        return set(truth.state(**restriction))

    def those(*channels: str) -> set[str]:
        return {key for key in state if key.split("/")[0] in channels}

    def about(*entities: str) -> set[str]:
        return {key for key in state if key.split("/")[1] in entities}

    for channel in RESTORABLE:
        assert keys(channels=[channel]) == those(channel) != set()
    assert keys(channels=[]) == keys(channels=LIVE_ONLY) == set()
    fixture_id = next(value["fixtureId"] for value in roots.values() if "fixtureId" in value)
    future_id = next(value["futureId"] for value in roots.values() if "futureId" in value)
    everywhere = those("currencies")
    assert keys(fixture_ids=[fixture_id]) == (
        about(fixture_id) | those(*FUTURE_CHANNELS) | everywhere
    )
    assert keys(future_ids=[future_id]) == (
        about(future_id) | those(*FIXTURE_CHANNELS) | everywhere
    )
    assert keys(sport_ids=[99]) == keys(tournament_ids=[99]) == everywhere
    assert keys(sport_ids=[10, 11, 12]) == set(state)
    for member, filtered in (("sport", "sport_ids"), ("tournament", "tournament_ids")):
        wanted = roots[f"fixtures/{fixture_id}"][member][f"{member}Id"]
        chosen = [
            key.split("/")[1]
            for key, value in roots.items()
            if value[member][f"{member}Id"] == wanted
        ]
        assert keys(**{filtered: [wanted]}) == about(*chosen) | everywhere
    without_books = keys(bookmakers=[])
    assert without_books == set(state) - those(*GATED)
    stake = keys(bookmakers=["stake"]) - without_books
    assert stake == {key for key in those(*GATED) if key.split("/")[2] == "stake"} != set()


def test_units_of_fixtures_nobody_has_heard_of_pass_only_without_filters() -> None:
    truth = TruthLog()
    truth.fold("scores", {"fixtureId": "x", "scores": {"p1": {"period": "p1"}}})
    truth.fold("fixtures", {"fixtureId": "y", "sport": {"sportId": [10]}})

    assert set(truth.state()) == {"scores/x/p1", "fixtures/y"}
    assert truth.state(sport_ids=[10]) == {}


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"fixtureId": 1, "futureId": 1},
        {"fixtureId": "x", "futureId": "x", "odds": 3, "oddsFutures": [], "bookmakers": None},
        {"fixtureId": "x", "futureId": "x", "scores": "", "clock": None},
    ],
)
def test_payloads_without_units_change_nothing(channel: str, payload: dict[str, Any]) -> None:
    if channel in ("fixtures", "futures", "currencies"):
        # Here the payload is the unit, or its members are.
        payload = {}
    truth = TruthLog()

    truth.fold(channel, payload)

    assert truth.state() == {}


def test_a_channel_nobody_knows_has_no_units() -> None:
    truth = TruthLog()

    truth.fold("weather", {"fixtureId": "x", "weather": {"rain": True}})

    assert truth.state() == {}


@pytest.mark.parametrize(
    ("channel", "member"), [("odds", "fixtureId"), ("oddsFutures", "futureId")]
)
def test_an_inactive_row_is_no_row(channel: str, member: str) -> None:
    truth = TruthLog()
    row = {"price": 2.0, "active": True}
    truth.fold(channel, {member: "x", channel: {"stake": {"k": row}}})
    assert truth.state() == {f"{channel}/x/stake/k": row}

    truth.fold(channel, {member: "x", channel: {"stake": {"k": row | {"active": False}}}})

    assert truth.state() == {}


@pytest.mark.parametrize(
    ("root", "member", "gated"),
    [
        ("fixtures", "fixtureId", ("odds", "bookmakers")),
        ("futures", "futureId", ("oddsFutures", "bookmakersFutures")),
    ],
)
def test_what_is_over_keeps_no_odds_and_no_bookmakers(
    root: str, member: str, gated: tuple[str, str]
) -> None:
    truth = TruthLog()
    odds, books = gated
    truth.fold(root, {member: "x", "status": {"statusId": 1}})
    truth.fold(odds, {member: "x", odds: {"stake": {"k": {"active": True}}}})
    truth.fold(books, {member: "x", "bookmakers": {"stake": {"hasOdds": True}}})
    assert set(truth.state()) == {f"{root}/x", f"{odds}/x/stake/k", f"{books}/x/stake"}

    truth.fold(root, {member: "x", "status": {"statusId": 2}})

    assert set(truth.state()) == {f"{root}/x"}


def test_a_rate_is_what_either_shape_says_it_is() -> None:
    truth = TruthLog()
    euro = {"currency": "EUR", "currencyValue": 0.9}

    truth.fold("currencies", {"rates": {"EUR": 0.91, "GBP": 1}})
    truth.fold("currencies", {"EUR": euro})
    # Not numbers: then `rates` is a code like any other.
    truth.fold("currencies", {"rates": {"currency": "rates"}})

    assert truth.state() == {
        "currencies/EUR": euro,
        "currencies/GBP": 1,
        "currencies/rates": {"currency": "rates"},
    }


def test_members_that_have_channels_of_their_own_are_no_part_of_the_unit() -> None:
    truth = TruthLog()
    sections: dict[str, Any] = {"scores": {}, "clock": {}, "bookmakers": {}}

    truth.fold("fixtures", {"fixtureId": "x", "venue": {}, **sections})
    truth.fold("futures", {"futureId": "x", "venue": {}, **sections})

    assert truth.state()["fixtures/x"] == {"fixtureId": "x", "venue": {}}
    assert truth.state()["futures/x"] == {"futureId": "x", "venue": {}, "scores": {}, "clock": {}}


def test_the_keys_of_a_payload_are_those_of_its_units() -> None:
    bench = Bench(GatewayOptions(rate=200))
    bench.advance(30)

    for entry in bench.gateway.truth.entries():
        channel, payload = entry["channel"], entry["payload"]
        assert set(unit_keys(channel, payload)) == set(units_in(channel, payload))


def test_the_log_is_bounded_and_numbers_go_on() -> None:
    truth = TruthLog(records_max=3)
    for number in range(10):
        truth.write("ignored", now=float(number), connection=1, size=number)

    assert [each["n"] for each in truth.records] == [8, 9, 10]
    assert truth.written == 10
    assert [each["n"] for each in truth.records_after(9)] == [10]
    assert [each["n"] for each in truth.records_after(0)] == [8, 9, 10]
    assert truth.records_after(10) == ()


def test_the_log_is_one_json_object_a_line() -> None:
    bench = Bench(GatewayOptions(rate=20))
    connection = bench.login()
    bench.get("/fixtures", sportId=10)
    bench.advance(1)
    bench.send(connection, "again")
    bench.place("gap", "after live 25")
    bench.advance(1)
    bench.leave(connection)

    lines = [msgspec.json.decode(line) for line in bench.gateway.truth.to_jsonl().splitlines()]

    assert [each["n"] for each in lines] == list(range(1, len(lines) + 1))
    assert all({"n", "at", "kind"} <= set(each) for each in lines)
    assert [each["at"] for each in lines] == sorted(each["at"] for each in lines)
    kinds = {each["kind"] for each in lines}
    assert kinds >= {"base", "epoch", "opened", "login", "control", "entry", "sent", "request"}
    assert kinds >= {"ignored", "withheld", "fault", "closed"}
    login = next(each for each in lines if each["kind"] == "login")
    assert (login["login"]["apiKey"], login["verdict"]) == ("***", "login_ok")
    request = next(each for each in lines if each["kind"] == "request")
    assert ["apiKey", "***"] in request["query"]
    assert request["status"] == 200
