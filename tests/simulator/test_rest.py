from typing import Any

import msgspec
import pytest

from lastseen_simulator.effects import HttpRequest, HttpResponse
from lastseen_simulator.gateway.bench import WALL_MS, Bench
from lastseen_simulator.gateway.core import GatewayOptions, KeyGrant


def quiet(**knobs: Any) -> Bench:
    return Bench(GatewayOptions(rate=0, **{"odds_limit": 1000, **knobs}))


def decoded(answer: HttpResponse) -> Any:
    return msgspec.json.decode(answer.body)


def fixtures_of(bench: Bench) -> dict[str, Any]:
    state = bench.gateway.truth.state(channels=["fixtures"])
    return {value["fixtureId"]: value for value in state.values()}


def an_open_fixture(bench: Bench, sport_id: int = 10) -> str:
    return next(
        key for key, value in fixtures_of(bench).items() if value["sport"]["sportId"] == sport_id
    )


def finish(bench: Bench, fixture_id: str) -> None:
    over = fixtures_of(bench)[fixture_id] | {
        "status": {"live": False, "statusId": 2, "statusName": "Finished"}
    }
    bench.publish("fixtures", over)


def test_fixtures_are_a_bare_array_of_whole_fixtures() -> None:
    bench = quiet()

    answer = bench.get("/fixtures", sportId=10)

    assert answer.status == 200
    headers = dict(answer.headers)
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-store"
    fixtures = decoded(answer)
    assert isinstance(fixtures, list)
    assert len(fixtures) == 3
    for fixture in fixtures:
        assert fixture["sport"]["sportId"] == 10
        assert fixture["bookmakers"] == {}
        known = bench.gateway.truth.state(fixture_ids=[fixture["fixtureId"]], channels=["scores"])
        assert list(fixture["scores"].values()) == list(known.values())


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"sportId": 10}, 3),
        ({"sportId": 11}, 1 + 1),
        ({"sportId": 99}, 0),
        ({"tournamentId": 530}, 2),
        ({"sportId": 10, "tournamentId": 530}, 0),
        ({"fixtureIds": "nobody"}, 0),
        ({"sportId": 10, "startTimeFrom": WALL_MS // 1000}, 1),
        ({"sportId": 10, "startTimeTo": WALL_MS // 1000}, 2),
    ],
)
def test_filters_apply_together(query: dict[str, Any], count: int) -> None:
    assert len(decoded(quiet().get("/fixtures", **query))) == count


def test_fixtures_can_be_asked_for_by_id() -> None:
    bench = quiet()
    first, second, *_ = fixtures_of(bench)

    found = decoded(bench.get("/fixtures", fixtureIds=f"{first},{second}, nobody"))

    assert [each["fixtureId"] for each in found] == [first, second]


def test_live_and_today_select_by_status_and_day() -> None:
    bench = quiet()
    tomorrow = fixtures_of(bench)[an_open_fixture(bench)] | {
        "fixtureId": "id1000042099999999",
        "startTime": WALL_MS // 1000 + 86_400,
    }
    bench.publish("fixtures", tomorrow)
    bench.publish("fixtures", {**tomorrow, "fixtureId": "no-start", "startTime": None})

    live = decoded(bench.get("/fixtures/live", sportId=11))
    today = decoded(bench.get("/fixtures/today", sportId=10))

    assert [each["status"]["statusId"] for each in live] == [1]
    assert tomorrow["fixtureId"] not in {each["fixtureId"] for each in today}
    assert len(today) == 3


def test_odds_of_one_fixture_are_its_active_rows_by_bookmaker() -> None:
    bench = quiet()
    fixture_id = an_open_fixture(bench)
    for _ in range(60):
        bench.publish("odds")

    answer = decoded(bench.get("/fixtures/odds", fixtureId=fixture_id))

    truth = bench.gateway.truth.state(fixture_ids=[fixture_id])
    rows = {
        f"odds/{fixture_id}/{slug}/{key}": row
        for slug, book in answer["odds"].items()
        for key, row in book.items()
    }
    statuses = {
        f"bookmakers/{fixture_id}/{slug}": status for slug, status in answer["bookmakers"].items()
    }
    assert rows == {key: value for key, value in truth.items() if key.startswith("odds/")}
    assert statuses == {key: value for key, value in truth.items() if key.startswith("bookmakers/")}
    assert answer["fixtureId"] == fixture_id


def test_odds_are_restricted_to_the_bookmakers_asked_for() -> None:
    bench = quiet()

    answer = decoded(
        bench.get("/fixtures/odds", fixtureId=an_open_fixture(bench), bookmakers="stake")
    )

    assert list(answer["odds"]) == list(answer["bookmakers"]) == ["stake"]


def test_finished_fixtures_have_no_odds() -> None:
    bench = quiet()
    fixture_id = an_open_fixture(bench)
    finish(bench, fixture_id)

    assert decoded(bench.get("/fixtures/odds", fixtureId=fixture_id))["odds"] == {}
    assert not any(
        key.startswith(("odds/", "bookmakers/"))
        for key in bench.gateway.truth.state(fixture_ids=[fixture_id])
    )


def test_since_and_flags_select_rows() -> None:
    bench = quiet()
    fixture_id = an_open_fixture(bench)
    (slug, book), *_ = decoded(bench.get("/fixtures/odds", fixtureId=fixture_id))["odds"].items()
    key, row = next(iter(book.items()))
    bench.advance(1)
    changed = row | {"changedAt": WALL_MS + 1000, "marketActive": False, "mainLine": False}
    bench.publish("odds", {"fixtureId": fixture_id, "odds": {slug: {key: changed}}})

    def rows(**query: Any) -> set[str]:
        answer = decoded(bench.get("/fixtures/odds", fixtureId=fixture_id, **query))
        return {each for book in answer["odds"].values() for each in book}

    assert rows(since=WALL_MS + 1000) == {key}
    assert rows(marketActive="false") == rows(mainLine="0") == {key}
    assert key not in rows(mainLine="true")
    assert rows() > {key}


def test_main_lines_show_inactive_rows_only_since_a_moment() -> None:
    bench = quiet()
    fixture_id = an_open_fixture(bench)
    books = decoded(bench.get("/fixtures/odds", fixtureId=fixture_id))["odds"]
    (slug, book), *_ = books.items()
    key, row = next(iter(book.items()))
    gone = {key: row | {"active": False}}
    bench.publish("odds", {"fixtureId": fixture_id, "odds": {slug: gone}})

    plain = decoded(bench.get("/fixtures/odds/main", fixtureIds=fixture_id))
    since = decoded(bench.get("/fixtures/odds/main", fixtureIds=fixture_id, since=0))

    assert key not in plain[0]["odds"][slug]
    assert since[0]["odds"][slug][key]["active"] is False
    assert key not in decoded(bench.get("/fixtures/odds", fixtureId=fixture_id))["odds"][slug]


NARROW = KeyGrant(key="a" * 32, channels=("fixtures",), bookmakers=("stake",), sport_ids=(10,))
ODDS_ONLY = KeyGrant(key="b" * 32, channels=("odds",), sport_ids=(11,))
REVOKED = KeyGrant(key="c" * 32, revoked=True)


@pytest.mark.parametrize(
    ("path", "key", "query", "status", "code"),
    [
        ("/fixtures", None, {"sportId": 10}, 401, "missing_api_key"),
        ("/fixtures", "nope", {"sportId": 10}, 401, "invalid_api_key"),
        ("/fixtures", "c" * 32, {"sportId": 10}, 401, "invalid_api_key"),
        ("/fixtures", "a" * 32, {}, 400, "invalid_filters"),
        ("/fixtures/live", "a" * 32, {"fixtureIds": "x"}, 400, "invalid_filters"),
        ("/fixtures/today", "a" * 32, {}, 400, "invalid_filters"),
        ("/fixtures/odds/main", "b" * 32, {}, 400, "invalid_filters"),
        (
            "/fixtures/odds/main",
            "b" * 32,
            {"tournamentId": 1, "fixtureIds": "x"},
            400,
            "invalid_filters",
        ),
        (
            "/fixtures/odds/main",
            "b" * 32,
            {"fixtureIds": ",".join(str(n) for n in range(51))},
            400,
            "invalid_filters",
        ),
        ("/fixtures/odds", "b" * 32, {"fixtureId": "nobody"}, 404, "not_found"),
        ("/nothing", "a" * 32, {}, 404, "not_found"),
        ("/fixtures/odds", "a" * 32, {"fixtureId": "x"}, 403, "channel_not_allowed"),
        ("/fixtures", "b" * 32, {"sportId": 11}, 403, "channel_not_allowed"),
        ("/fixtures", "a" * 32, {"sportId": 11}, 403, "sport_not_allowed"),
        (
            "/fixtures",
            "a" * 32,
            {"sportId": 10, "bookmakers": "pinnacle"},
            403,
            "bookmaker_not_allowed",
        ),
        ("/fixtures", "a" * 32, {"sportId": 10, "bookmakers": "a,b,c,d,e,f"}, 400, None),
        ("/fixtures", "a" * 32, {"sportId": "ten"}, 422, "validation_error"),
        ("/fixtures/odds", "b" * 32, {}, 422, "validation_error"),
        ("/fixtures/odds", "b" * 32, {"fixtureId": "x", "mainLine": "2"}, 422, "validation_error"),
    ],
)
def test_a_request_that_cannot_be_answered_says_why(
    path: str, key: str | None, query: dict[str, Any], status: int, code: str | None
) -> None:
    bench = quiet(keys=(NARROW, ODDS_ONLY, REVOKED))

    answer = bench.get(path, key=key, **query)

    body = decoded(answer)
    assert (answer.status, body["error"]) == (status, status)
    assert body["message"]
    assert code in (None, body["code"])
    assert dict(answer.headers)["Content-Type"] == "application/json"


def test_errors_carry_what_helps() -> None:
    bench = quiet(keys=(NARROW, ODDS_ONLY))

    channel = decoded(bench.get("/fixtures/odds", key="a" * 32, fixtureId="x"))
    books = decoded(bench.get("/fixtures", key="a" * 32, sportId=10, bookmakers="a,b,c,d,e,f"))
    detail = decoded(bench.get("/fixtures", key="a" * 32, sportId="ten"))["details"]

    assert channel["requestedChannels"] == ["odds"]
    assert channel["allowedChannels"] == ["fixtures"]
    assert "5" in books["hint"]
    assert [(each["loc"], each["input"]) for each in detail] == [(["query", "sportId"], "ten")]


def test_sports_outside_the_key_stay_invisible() -> None:
    bench = quiet(keys=(NARROW, ODDS_ONLY))
    soccer, basketball = an_open_fixture(bench, 10), an_open_fixture(bench, 11)

    found = decoded(bench.get("/fixtures", key="a" * 32, fixtureIds=f"{soccer},{basketball}"))

    assert [each["fixtureId"] for each in found] == [soccer]
    assert bench.get("/fixtures/odds", key="b" * 32, fixtureId=soccer).status == 403
    assert bench.get("/fixtures/odds", key="b" * 32, fixtureId=basketball).status == 200


def test_a_bookmaker_may_have_to_be_named() -> None:
    bench = quiet(missing_bookmaker=True)
    fixture_id = an_open_fixture(bench)

    assert decoded(bench.get("/fixtures/odds", fixtureId=fixture_id))["code"] == "missing_bookmaker"
    assert bench.get("/fixtures/odds", fixtureId=fixture_id, bookmakers="stake").status == 200
    assert bench.get("/fixtures", sportId=10).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD"])
def test_only_get_is_served(method: str) -> None:
    answer = quiet().request(HttpRequest(method=method, path="/en/fixtures"))

    assert (answer.status, decoded(answer)["code"]) == (405, "method_not_allowed")
    assert ("Allow", "GET") in answer.headers


@pytest.mark.parametrize("path", ["/fixtures", "/xx/fixtures", "/", "", "/en", "/en/fixtures/"])
def test_a_path_without_a_language_is_not_found(path: str) -> None:
    assert quiet().request(HttpRequest(method="GET", path=path)).status == 404


def test_odds_endpoints_allow_ten_a_second_for_each_endpoint() -> None:
    bench = quiet(odds_limit=10)
    fixture_id = an_open_fixture(bench)
    answers = [bench.get("/fixtures/odds", fixtureId=fixture_id) for _ in range(11)]
    refused = answers[10]

    assert [each.status for each in answers] == [200] * 10 + [429]
    assert decoded(refused) == {
        "error": 429,
        "message": "too many requests",
        "code": "rate_limited",
        "limit": 10,
        "windowSec": 1,
        "retryAfterSec": 1,
        "endpoint": "/fixtures/odds",
        "method": "GET",
    }
    headers = dict(refused.headers)
    assert headers["Retry-After"] == "1"
    assert headers["X-RateLimit-Limit"] == "10"
    assert headers["X-RateLimit-Remaining"] == "0"
    assert headers["X-RateLimit-Reset"] == str(WALL_MS // 1000 + 1)
    assert dict(answers[0].headers)["X-RateLimit-Remaining"] == "9"
    assert bench.get("/fixtures/odds/main", fixtureIds=fixture_id).status == 200
    bench.advance(1)
    assert bench.get("/fixtures/odds", fixtureId=fixture_id).status == 200


def test_other_endpoints_share_two_hundred_a_minute() -> None:
    bench = quiet(other_limit=3)

    paths = ["/fixtures", "/fixtures/live", "/fixtures", "/fixtures/today"]
    answers = [bench.get(path, sportId=10) for path in paths]

    assert [each.status for each in answers] == [200, 200, 200, 429]
    assert dict(answers[3].headers)["Retry-After"] == "60"


def test_there_is_no_as_of_unless_asked_for() -> None:
    bench = quiet()
    bench.publish("scores")

    assert "X-As-Of" not in dict(bench.get("/fixtures", sportId=10).headers)


def test_as_of_names_the_newest_entry_of_each_channel_the_answer_covers() -> None:
    bench = quiet(as_of=True)
    empty = bench.get("/fixtures", sportId=10)
    scores, fixtures, odds = (bench.publish(each) for each in ("scores", "fixtures", "odds"))

    listed = bench.get("/fixtures", sportId=10)
    priced = bench.get("/fixtures/odds", fixtureId=an_open_fixture(bench))

    epoch = bench.gateway.epoch
    assert dict(empty.headers)["X-As-Of"] == epoch
    assert dict(listed.headers)["X-As-Of"] == f"{epoch}; fixtures={fixtures}, scores={scores}"
    assert (
        dict(priced.headers)["X-As-Of"]
        == f"{epoch}; fixtures={fixtures}, odds={odds}, scores={scores}"
    )


def test_a_lagging_snapshot_shows_the_market_as_it_was() -> None:
    bench = quiet(snapshot_lag_s=2.0, as_of=True)
    first = bench.publish("fixtures")
    bench.advance(2)
    before = bench.get("/fixtures", sportId=10)
    bench.advance(1)
    second = bench.publish("fixtures")
    bench.advance(1.9)
    late = bench.get("/fixtures", sportId=10)
    bench.advance(0.2)
    caught_up = bench.get("/fixtures", sportId=10)

    assert late.body == before.body
    assert first in dict(late.headers)["X-As-Of"]
    assert second in dict(caught_up.headers)["X-As-Of"]


def test_a_lagging_snapshot_does_not_know_a_fixture_that_is_newer() -> None:
    bench = quiet(snapshot_lag_s=5.0)
    bench.advance(6)
    newer = fixtures_of(bench)[an_open_fixture(bench)] | {"fixtureId": "id-new"}
    bench.publish("fixtures", newer)

    assert decoded(bench.get("/fixtures", fixtureIds="id-new")) == []
    bench.advance(5.1)
    assert len(decoded(bench.get("/fixtures", fixtureIds="id-new"))) == 1


def test_a_lag_across_a_restart_names_no_heads_of_the_old_epoch() -> None:
    """What it shows is older than the new epoch, so it is dated by the one before (R11)."""
    bench = quiet(snapshot_lag_s=5.0, as_of=True)
    before = bench.gateway.epoch
    bench.publish("fixtures")
    bench.gateway.restart(announce=False, now=bench.now)
    bench.advance(1)
    bench.publish("fixtures")

    answer = bench.get("/fixtures", sportId=10)

    assert dict(answer.headers)["X-As-Of"] == before
