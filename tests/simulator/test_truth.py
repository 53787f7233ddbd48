from typing import Any

import msgspec
import pytest

from lastseen_simulator.gateway.bench import Bench
from lastseen_simulator.gateway.core import GatewayOptions
from lastseen_simulator.profiles import profile
from lastseen_simulator.truth import TruthLog


def folded(records: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """A second opinion: the base and the entries of the log, folded as simply as can be."""
    state: dict[str, Any] = {}
    for record in records:
        if record["kind"] == "base":
            state |= record["state"]
        if record["kind"] != "entry":
            continue
        channel, payload = record["channel"], record["payload"]
        prefix = f"{channel}/{payload['fixtureId']}"
        if channel == "fixtures":
            kept = dict(payload)
            for section in ("scores", "clock", "bookmakers"):
                kept.pop(section, None)
            state[prefix] = kept
        elif channel == "odds":
            for slug, rows in payload["odds"].items():
                for key, row in rows.items():
                    state[f"{prefix}/{slug}/{key}"] = row
        else:
            for name, part in payload[channel].items():
                state[f"{prefix}/{name}"] = part
    over = {
        value["fixtureId"]
        for key, value in state.items()
        if key.startswith("fixtures/") and value["status"]["statusId"] in (2, 3)
    }
    return {
        key: value
        for key, value in state.items()
        if not (key.startswith(("odds/", "bookmakers/")) and key.split("/")[1] in over)
        and not (key.startswith("odds/") and not value["active"])
    }


@pytest.mark.parametrize("seed", range(3))
def test_the_state_is_what_the_published_entries_say(seed: int) -> None:
    bench = Bench(GatewayOptions(rate=100), seed=seed)
    for fault in profile("hostile"):
        bench.gateway.place(fault)
    for _ in range(30):
        bench.login()
        bench.advance(2)

    truth = bench.gateway.truth
    assert len(truth.entries()) > 5000
    assert truth.state() == folded(truth.records)


def test_rest_and_the_truth_agree_although_neither_asks_the_other() -> None:
    bench = Bench(GatewayOptions(rate=100, odds_limit=10_000, other_limit=10_000))
    bench.advance(60)

    truth = bench.gateway.truth.state()
    ids = [value["fixtureId"] for key, value in truth.items() if key.startswith("fixtures/")]
    rest: dict[str, Any] = {}
    for fixture_id in ids:
        answer = msgspec.json.decode(bench.get("/fixtures/odds", fixtureId=fixture_id).body)
        for slug, rows in answer.pop("odds").items():
            for key, row in rows.items():
                rest[f"odds/{fixture_id}/{slug}/{key}"] = row
        books = answer.pop("bookmakers")
        if answer["status"]["statusId"] in (0, 1):
            rest |= {f"bookmakers/{fixture_id}/{slug}": each for slug, each in books.items()}
        for period, score in answer.pop("scores").items():
            rest[f"scores/{fixture_id}/{period}"] = score
        del answer["clock"]
        rest[f"fixtures/{fixture_id}"] = answer

    assert rest == truth


def test_the_state_is_restricted_to_a_subscription() -> None:
    bench = Bench(GatewayOptions(rate=0))
    truth = bench.gateway.truth
    state = truth.state()
    fixture = next(value for key, value in state.items() if key.startswith("fixtures/"))
    fixture_id = fixture["fixtureId"]

    def keys(**restriction: Any) -> set[str]:
        return set(truth.state(**restriction))

    assert keys(channels=["scores"]) == {key for key in state if key.startswith("scores/")}
    assert keys(channels=[]) == set()
    assert keys(fixture_ids=[fixture_id]) == {key for key in state if fixture_id in key}
    assert keys(sport_ids=[99]) == keys(tournament_ids=[99]) == set()
    assert keys(sport_ids=[10, 11, 12]) == set(state)
    tournament = fixture["tournament"]["tournamentId"]
    assert {key for key in keys(tournament_ids=[tournament]) if key.startswith("fixtures/")} == {
        key
        for key, value in state.items()
        if key.startswith("fixtures/") and value["tournament"]["tournamentId"] == tournament
    }
    without_books = keys(bookmakers=[])
    assert without_books == {key for key in state if key.startswith(("fixtures/", "scores/"))}
    stake = keys(bookmakers=["stake"]) - without_books
    assert stake == {key for key in state if "/stake" in key}


def test_units_of_fixtures_nobody_has_heard_of_pass_only_without_filters() -> None:
    truth = TruthLog()
    truth.fold("scores", {"fixtureId": "x", "scores": {"p1": {"period": "p1"}}})

    assert truth.state() == {"scores/x/p1": {"period": "p1"}}
    assert truth.state(sport_ids=[10]) == {}


@pytest.mark.parametrize(
    "payload", [{}, {"fixtureId": 1}, {"fixtureId": "x", "odds": 3}, {"fixtureId": "x"}]
)
def test_payloads_without_units_change_nothing(payload: dict[str, Any]) -> None:
    truth = TruthLog()

    truth.fold("odds", payload)

    assert truth.state() == {}


def test_an_inactive_row_is_no_row() -> None:
    truth = TruthLog()
    row = {"price": 2.0, "active": True}
    truth.fold("odds", {"fixtureId": "x", "odds": {"stake": {"k": row}}})
    assert truth.state() == {"odds/x/stake/k": row}

    truth.fold("odds", {"fixtureId": "x", "odds": {"stake": {"k": row | {"active": False}}}})

    assert truth.state() == {}


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
