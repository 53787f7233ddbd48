"""Snapshots of futures and currencies, and what all endpoints have in common."""

from typing import Any

import msgspec
import pytest
from bench_play import quiet
from second_opinion import restored

from lastseen_simulator.effects import HttpResponse
from lastseen_simulator.gateway.bench import WALL_MS, Bench
from lastseen_simulator.gateway.core import GatewayOptions, KeyGrant
from lastseen_simulator.gateway.endpoints import ENDPOINTS

DAY_S = 86_400
SOCCER_ONLY = KeyGrant(key="a" * 32, sport_ids=(10,), bookmakers=("stake",))
FUTURES_ONLY = KeyGrant(key="b" * 32, channels=("futures",))


def decoded(answer: HttpResponse) -> Any:
    return msgspec.json.decode(answer.body)


def futures_of(bench: Bench) -> dict[str, Any]:
    state = bench.gateway.truth.state(channels=["futures"])
    return {value["futureId"]: value for value in state.values()}


def a_future(bench: Bench) -> str:
    return next(iter(futures_of(bench)))


def an_entity(bench: Bench, member: str) -> str:
    root = member.removesuffix("Id") + "s"
    state = bench.gateway.truth.state(channels=[root])
    return next(iter(state)).partition("/")[2]


def rows_of(answer: Any) -> dict[str, Any]:
    return {row["oddsId"]: row for book in answer["bookmakers"].values() for row in book["odds"]}


# /futures


def test_futures_are_a_bare_array_of_whole_futures() -> None:
    bench = quiet(futures=4)

    found = decoded(bench.get("/futures", sportId=10))

    assert len(found) == 2
    for future in found:
        assert future.pop("bookmakers") == {}
        assert future == futures_of(bench)[future["futureId"]]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"sportId": 10}, 2),
        ({"sportId": 11}, 1),
        ({"sportId": 99}, 0),
        ({"tournamentId": 530}, 1),
        ({"sportId": 10, "tournamentId": 530}, 0),
        ({"futureIds": "nobody"}, 0),
        ({"sportId": 10, "startTimeTo": WALL_MS // 1000 - 31 * DAY_S}, 0),
        ({"sportId": 10, "startTimeFrom": WALL_MS // 1000 - 31 * DAY_S}, 2),
        # Filters of fixtures are passed over.
        ({"sportId": 10, "fixtureIds": "x"}, 2),
    ],
)
def test_filters_of_futures_apply_together(query: dict[str, Any], count: int) -> None:
    assert len(decoded(quiet(futures=4).get("/futures", **query))) == count


def test_futures_can_be_asked_for_by_id() -> None:
    bench = quiet(futures=4)
    first, second, *_ = futures_of(bench)

    found = decoded(bench.get("/futures", futureIds=f"{first}, {second},nobody"))

    assert [each["futureId"] for each in found] == [first, second]


def test_live_futures_are_those_that_are_live() -> None:
    bench = quiet(futures=8)

    found = decoded(bench.get("/futures/live", sportId=11))

    live = [
        key
        for key, future in futures_of(bench).items()
        if future["status"]["live"] and future["sport"]["sportId"] == 11
    ]
    assert [each["futureId"] for each in found] == live != []


# /futures/odds


def test_odds_of_a_future_are_arrays_inside_its_bookmakers() -> None:
    bench = quiet()
    future_id = a_future(bench)
    for _ in range(40):
        bench.publish("oddsFutures")
        bench.publish("bookmakersFutures")

    answer = decoded(bench.get("/futures/odds", futureId=future_id))

    truth = bench.gateway.truth.state(future_ids=[future_id])
    assert set(answer) == {"futureId", "bookmakers"}
    assert answer["futureId"] == future_id
    for slug, book in answer["bookmakers"].items():
        for row in book.pop("odds"):
            odds_id = row.pop("oddsId")
            assert truth.pop(f"oddsFutures/{future_id}/{slug}/{odds_id}") == row
        assert truth.pop(f"bookmakersFutures/{future_id}/{slug}") == book
    assert not [key for key in truth if key.startswith(("oddsFutures/", "bookmakersFutures/"))]


def test_the_future_itself_is_included_when_asked_for() -> None:
    bench = quiet()
    future_id = a_future(bench)

    answer = decoded(bench.get("/futures/odds", futureId=future_id, includeFuture="true"))

    assert answer.keys() > {"futureId", "bookmakers"}
    del answer["bookmakers"]
    assert answer == futures_of(bench)[future_id]


def test_odds_of_a_future_are_restricted_to_the_bookmakers_asked_for() -> None:
    bench = quiet()

    answer = decoded(bench.get("/futures/odds", futureId=a_future(bench), bookmakers="stake"))

    assert list(answer["bookmakers"]) == ["stake"]


def test_rows_of_a_future_are_selected_by_moment_and_main_line() -> None:
    bench = quiet()
    future_id = a_future(bench)
    everything = rows_of(decoded(bench.get("/futures/odds", futureId=future_id)))
    first, second, third, *_ = everything
    rows: dict[str, dict[str, Any]] = {}
    for key, more in (
        (first, {"changedAt": WALL_MS + 1000}),
        (second, {"changedAt": WALL_MS + 1000, "active": False}),
        (third, {"changedAt": "later", "mainLine": False}),
    ):
        row = {name: value for name, value in everything[key].items() if name != "oddsId"}
        rows.setdefault(row["bookmaker"], {})[key] = row | more
    bench.publish("oddsFutures", {"futureId": future_id, "oddsFutures": rows})

    def found(**query: Any) -> set[str]:
        return set(rows_of(decoded(bench.get("/futures/odds", futureId=future_id, **query))))

    assert found() == set(everything) - {second}
    assert found(since=WALL_MS + 1000) == {first}
    assert found(since=WALL_MS + 1001) == set()
    assert found(mainLines="true") == set(everything) - {second, third}
    assert found(mainLines="false") == found()


def test_a_future_that_is_decided_keeps_its_bookmakers_and_no_odds() -> None:
    bench = quiet()
    future_id = a_future(bench)
    over = {"live": False, "statusId": 2, "statusName": "Finished"}
    bench.publish("futures", futures_of(bench)[future_id] | {"status": over})

    answer = decoded(bench.get("/futures/odds", futureId=future_id))

    assert rows_of(answer) == {}
    assert len(answer["bookmakers"]) == 3
    assert not [
        key
        for key in bench.gateway.truth.state(future_ids=[future_id])
        if key.startswith(("oddsFutures/", "bookmakersFutures/"))
    ]


def test_rows_that_are_none_and_bookmakers_without_a_status_do_not_stop_an_answer() -> None:
    bench = quiet(inactive_rows="served")
    bench.publish("futures", {"futureId": "f"})
    row = {"price": 2.0, "active": True}
    books = {"stake": {"a": row, "b": None, "c": 3}, "pinnacle": {"d": []}}
    bench.publish("oddsFutures", {"futureId": "f", "oddsFutures": books})
    bench.publish("bookmakersFutures", {"futureId": "f", "bookmakers": {"bet365": "odd"}})

    answer = decoded(bench.get("/futures/odds", futureId="f"))

    assert answer["bookmakers"] == {
        "stake": {"odds": [{"oddsId": "a", **row}]},
        "bet365": {"odds": []},
    }


# /currencies


def test_currencies_are_the_table_of_rates_whatever_the_filters() -> None:
    bench = quiet(keys=(SOCCER_ONLY,))
    key = SOCCER_ONLY.key
    state = bench.gateway.truth.state(channels=["currencies"])
    rates = {name.partition("/")[2]: value for name, value in state.items()}

    assert decoded(bench.get("/currencies", key=key)) == rates
    assert decoded(bench.get("/currencies", key=key, sportId=11, bookmakers="nobody")) == rates
    some = decoded(bench.get("/currencies", key=key, currency="EUR,GBP,NONE"))
    assert some == {code: rates[code] for code in ("EUR", "GBP")}


# All of them.


@pytest.mark.parametrize(
    ("path", "key", "query", "status", "code"),
    [
        ("/futures", "a", {}, 400, "invalid_filters"),
        ("/futures", "a", {"fixtureIds": "x"}, 400, "invalid_filters"),
        ("/futures/live", "a", {"futureIds": "x"}, 400, "invalid_filters"),
        ("/futures", "a", {"sportId": 11}, 403, "sport_not_allowed"),
        ("/futures", "a", {"sportId": 10, "bookmakers": "bet365"}, 403, "bookmaker_not_allowed"),
        ("/futures/odds", "a", {}, 422, "validation_error"),
        ("/futures/odds", "a", {"futureId": ""}, 422, "validation_error"),
        ("/futures/odds", "a", {"futureId": "x", "mainLines": "2"}, 422, "validation_error"),
        ("/futures/odds", "a", {"futureId": "x", "includeFuture": ""}, 422, "validation_error"),
        ("/futures/odds", "a", {"futureId": "x", "since": "now"}, 422, "validation_error"),
        ("/futures/odds", "a", {"futureId": "x"}, 404, "not_found"),
        (
            "/futures/odds",
            "a",
            {"futureId": "x", "bookmakers": "a,b,c,d,e,f"},
            400,
            "invalid_filters",
        ),
        ("/currencies", "a", {"currency": " , "}, 422, "validation_error"),
        ("/futures/odds", "b", {"futureId": "x"}, 403, "channel_not_allowed"),
        ("/currencies", "b", {}, 403, "channel_not_allowed"),
        ("/currencies", "c", {}, 401, "invalid_api_key"),
        ("/futures/today", "a", {}, 404, "not_found"),
        ("/currencies/EUR", "a", {}, 404, "not_found"),
    ],
)
def test_a_request_that_cannot_be_answered_says_why(
    path: str, key: str, query: dict[str, Any], status: int, code: str
) -> None:
    bench = quiet(keys=(SOCCER_ONLY, FUTURES_ONLY))

    answer = bench.get(path, key=key * 32, **query)

    assert (answer.status, decoded(answer)["code"]) == (status, code)
    assert decoded(answer)["error"] == status


def test_a_future_of_a_sport_that_the_key_may_not_see_is_refused() -> None:
    bench = quiet(keys=(SOCCER_ONLY,))
    soccer, basketball = futures_of(bench)

    listed = decoded(bench.get("/futures", key="a" * 32, futureIds=f"{soccer},{basketball}"))
    seen, unseen = (
        bench.get("/futures/odds", key="a" * 32, futureId=each) for each in (soccer, basketball)
    )

    assert [each["futureId"] for each in listed] == [soccer]
    assert list(decoded(seen)["bookmakers"]) == ["stake"]
    assert (unseen.status, decoded(unseen)["denied"]) == (403, [11])


def test_a_channel_that_is_not_allowed_is_named_beside_those_that_are() -> None:
    bench = quiet(keys=(FUTURES_ONLY,))

    body = decoded(bench.get("/futures/odds", key="b" * 32, futureId="x"))

    assert (body["requestedChannels"], body["allowedChannels"]) == (["oddsFutures"], ["futures"])


def test_a_bookmaker_may_have_to_be_named_for_odds_of_futures_too() -> None:
    bench = quiet(missing_bookmaker=True)
    future_id = a_future(bench)

    assert decoded(bench.get("/futures/odds", futureId=future_id))["code"] == "missing_bookmaker"
    assert bench.get("/futures/odds", futureId=future_id, bookmakers="stake").status == 200
    assert bench.get("/futures", sportId=10).status == bench.get("/currencies").status == 200


def test_each_odds_endpoint_has_a_limit_of_its_own_and_the_rest_share_one() -> None:
    bench = quiet(odds_limit=2, other_limit=3)
    fixture_id, future_id = (an_entity(bench, member) for member in ("fixtureId", "futureId"))
    odds = (
        ("/fixtures/odds", {"fixtureId": fixture_id}),
        ("/fixtures/odds/main", {"fixtureIds": fixture_id}),
        ("/futures/odds", {"futureId": future_id}),
    )
    other: tuple[tuple[str, dict[str, Any]], ...] = (
        ("/futures", {"sportId": 10}),
        ("/currencies", {}),
        ("/fixtures/live", {"sportId": 10}),
        ("/futures/live", {"sportId": 10}),
    )

    for path, query in odds:
        answers = [bench.get(path, **query) for _ in range(3)]
        assert [each.status for each in answers] == [200, 200, 429]
        assert decoded(answers[-1])["endpoint"] == path
    assert [bench.get(path, **query).status for path, query in other] == [200, 200, 200, 429]


QUERIES: dict[str, dict[str, Any]] = {
    "/fixtures": {"sportId": 10},
    "/fixtures/today": {"sportId": 10},
    "/fixtures/live": {"sportId": 10},
    "/fixtures/odds": {"fixtureId": None},
    "/fixtures/odds/main": {"tournamentId": 420},
    "/futures": {"sportId": 10},
    "/futures/live": {"sportId": 10},
    "/futures/odds": {"futureId": None},
    "/currencies": {},
}
COVERED = {
    **dict.fromkeys(("/fixtures", "/fixtures/today", "/fixtures/live"), "clocks fixtures scores"),
    **dict.fromkeys(("/fixtures/odds", "/fixtures/odds/main"), "bookmakers fixtures odds scores"),
    **dict.fromkeys(("/futures", "/futures/live"), "futures"),
    "/futures/odds": "bookmakersFutures futures oddsFutures",
    "/currencies": "currencies",
}


def ask(bench: Bench, path: str) -> HttpResponse:
    query = {
        name: an_entity(bench, name) if value is None else value
        for name, value in QUERIES[path].items()
    }
    return bench.get(path, **query)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_as_of_names_every_channel_the_answer_covers(path: str) -> None:
    bench = quiet(as_of=True)
    heads = {channel: bench.publish(channel) for channel in bench.options.channels}
    covered = {channel: heads[channel] for channel in COVERED[path].split()}

    answer = ask(bench, path)

    assert answer.status == 200
    named = ", ".join(f"{channel}={head}" for channel, head in covered.items())
    assert dict(answer.headers)["X-As-Of"] == f"{bench.gateway.epoch}; {named}"


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_stale_answer_is_older_by_so_many_entries_of_its_channel(path: str) -> None:
    bench = quiet(as_of=True)
    channel = ENDPOINTS[path].channel
    bodies: list[bytes] = []
    for number in range(6):
        bench.advance(0.01)
        bench.publish(channel)
        bench.publish("events")
        if number == 2:
            bodies.append(ask(bench, path).body)
    bench.place("stale", f"on request {path} 1", entries=3)
    stale, fresh = ask(bench, path), ask(bench, path)

    assert stale.body == bodies[0]
    assert f"-{3}" in dict(stale.headers)["X-As-Of"]
    assert dict(stale.headers)["X-As-Of"] != dict(fresh.headers)["X-As-Of"]


@pytest.mark.parametrize("shape", ["objects", "rates"])
def test_a_lagging_snapshot_shows_every_table_as_it_was(shape: Any) -> None:
    def run(lag_s: float) -> tuple[Bench, Any]:
        options = GatewayOptions(
            rate=100,
            futures=3,
            odds_limit=10_000,
            other_limit=10_000,
            currencies_shape=shape,
            snapshot_lag_s=lag_s,
        )
        bench = Bench(options, seed=3)
        return bench, lambda path, **query: decoded(bench.get(path, **query))

    (prompt, get_prompt), (late, get_late) = run(0.0), run(20.0)
    prompt.advance(20)
    then = restored(get_prompt)
    late.advance(40)
    prompt.advance(20)

    assert restored(get_late) == then
    assert restored(get_prompt) != then


def test_changed_moments_that_are_no_numbers_are_older_than_any() -> None:
    bench = quiet()
    fixture_id = an_entity(bench, "fixtureId")
    row = {"bookmaker": "stake", "price": 2.0, "active": True, "changedAt": "yesterday"}
    bench.publish("odds", {"fixtureId": fixture_id, "odds": {"stake": {"odd": row, "odder": 3}}})

    query = {"fixtureId": fixture_id, "bookmakers": "stake"}
    plain = decoded(bench.get("/fixtures/odds", **query))
    since = decoded(bench.get("/fixtures/odds", **query, since=1))

    assert plain["odds"]["stake"]["odd"] == row
    assert not {"odd", "odder"} & since["odds"]["stake"].keys()
