"""Each knob of what is on offer, and of how REST shows it, alone explains an outcome."""

from typing import Any

import msgspec
from bench_play import outcomes, told

from lastseen_simulator.gateway.bench import Bench
from lastseen_simulator.gateway.core import KeyGrant
from lastseen_simulator.gateway.options import SERVED_CHANNELS

NARROW = "a" * 32
KEYS = (
    KeyGrant(key=NARROW, channels=("fixtures", "odds"), bookmakers=("stake",), sport_ids=(10,)),
)


def asked(bench: Bench, path: str, **query: Any) -> Any:
    return msgspec.json.decode(bench.get(path, **query).body)


def entities(bench: Bench, channel: str) -> list[str]:
    return [key.split("/")[1] for key in bench.gateway.truth.state(channels=(channel,))]


def a_row(bench: Bench, channel: str) -> tuple[list[str], dict[str, Any]]:
    """The path of some row, and the row."""
    key, row = next(iter(bench.gateway.truth.state(channels=(channel,)).items()))
    return key.split("/"), row


def switch_off(bench: Bench, channel: str, member: str) -> tuple[str, str, str]:
    """Makes some row inactive; says whose it was."""
    (_, entity, slug, odds_id), row = a_row(bench, channel)
    bench.publish(channel, {member: entity, channel: {slug: {odds_id: {**row, "active": False}}}})
    return entity, slug, odds_id


# What is on offer.


def test_channels_decides_what_anybody_may_see() -> None:
    def play(bench: Bench) -> Any:
        everything = told(bench, bench.login())["channels"]
        asking = told(bench, bench.login(channels=["scores", "clocks"]))["channels"]
        refused = asked(bench, "/currencies").get("allowedChannels")
        return everything, asking, refused

    few = ("fixtures", "odds", "scores")
    assert outcomes(play, "channels", few) == {
        SERVED_CHANNELS: (list(SERVED_CHANNELS), ["clocks", "scores"], None),
        few: (list(few), ["scores"], list(few)),
    }


def test_futures_decides_how_many_there_are() -> None:
    def play(bench: Bench) -> Any:
        return len(entities(bench, "futures")), len(set(entities(bench, "oddsFutures")))

    assert outcomes(play, "futures", 0, 5) == {2: (2, 2), 0: (0, 0), 5: (5, 5)}


def test_future_key_parts_decides_what_rows_of_futures_are_called() -> None:
    def play(bench: Bench) -> Any:
        bench.publish("oddsFutures")
        state = bench.gateway.truth.state(channels=("oddsFutures",))
        parts = {key.rpartition("/")[2].count(":") + 1 for key in state}
        return parts, {"outcomeId" in row and "playerId" in row for row in state.values()}

    assert outcomes(play, "future_key_parts", 5) == {3: ({3}, {False}), 5: ({5}, {True})}


def test_currencies_shape_decides_how_rates_are_written() -> None:
    def play(bench: Bench) -> Any:
        connection = bench.login(channels=["currencies"])
        bench.publish("currencies")
        (update,) = bench.updates(connection)
        rest = asked(bench, "/currencies", currency="EUR")
        none = asked(bench, "/currencies", currency="NONE")
        values = bench.gateway.truth.state(channels=("currencies",)).values()
        return (
            "rates" in update["payload"],
            {type(value) for value in values},
            list(rest),
            none,
        )

    assert outcomes(play, "currencies_shape", "rates") == {
        "objects": (False, {dict}, ["EUR"], {}),
        "rates": (True, {float}, ["rates"], {"rates": {}}),
    }


def test_omitted_members_decides_whether_they_are_null() -> None:
    def play(bench: Bench) -> Any:
        connection = bench.login(channels=["odds", "oddsFutures"])
        for _ in range(20):
            bench.publish("odds")
            bench.publish("oddsFutures")
        streamed = {
            channel: [
                row
                for update in bench.updates(connection, channel)
                for book in update["payload"][channel].values()
                for row in book.values()
            ]
            for channel in ("odds", "oddsFutures")
        }
        fixture = asked(bench, "/fixtures/odds", fixtureId=entities(bench, "fixtures")[0])
        fetched = [row for book in fixture["odds"].values() for row in book.values()]
        return [
            len({frozenset(row) for row in rows}) == 1 for rows in (*streamed.values(), fetched)
        ]

    assert outcomes(play, "omitted_members", "null") == {
        "omitted": [False, False, False],
        "null": [True, True, True],
    }


# How REST shows it.


def test_inactive_rows_decides_whether_plain_snapshots_have_them() -> None:
    def play(bench: Bench) -> Any:
        fixture, slug, odds_id = switch_off(bench, "odds", "fixtureId")
        future, future_slug, future_odds_id = switch_off(bench, "oddsFutures", "futureId")
        one = asked(bench, "/fixtures/odds", fixtureId=fixture)
        (main,) = asked(bench, "/fixtures/odds/main", fixtureIds=fixture)
        other = asked(bench, "/futures/odds", futureId=future)
        return (
            odds_id in one["odds"][slug],
            odds_id in main["odds"][slug],
            future_odds_id in [row["oddsId"] for row in other["bookmakers"][future_slug]["odds"]],
        )

    assert outcomes(play, "inactive_rows", "served") == {
        "omitted": (False, False, False),
        "served": (True, True, True),
    }


def test_book_statuses_in_fixtures_decides_whether_lists_have_them() -> None:
    def play(bench: Bench) -> Any:
        fixtures = asked(bench, "/fixtures", sportId=10, bookmakers="stake,bet365")
        futures = asked(bench, "/futures", sportId=10)
        return [
            {slug for each in listed for slug in each["bookmakers"]}
            for listed in (fixtures, futures)
        ]

    assert outcomes(play, "book_statuses_in_fixtures", True) == {
        False: [set(), set()],
        True: [{"stake", "bet365"}, {"pinnacle", "stake", "bet365"}],
    }


def test_main_fixtures_max_decides_how_many_fixtures_the_main_lines_have() -> None:
    def play(bench: Bench) -> Any:
        ids = ",".join(entities(bench, "fixtures"))
        return len(asked(bench, "/fixtures/odds/main", fixtureIds=ids))

    assert outcomes(play, "main_fixtures_max", 4) == {None: 6, 4: 4}


def test_entitlement_gap_decides_what_a_key_hears_that_may_not_see_it() -> None:
    def play(bench: Bench) -> Any:
        basketball = next(key for key in entities(bench, "fixtures") if key.startswith("id11"))
        answers = [
            bench.get(path, key=NARROW, **query)
            for path, query in (
                ("/currencies", {}),
                ("/futures", {"sportId": 10}),
                ("/fixtures", {"sportId": 11}),
                ("/fixtures", {"sportId": 10, "bookmakers": "pinnacle"}),
                ("/fixtures/odds", {"fixtureId": basketball}),
            )
        ]
        assert not any("X-As-Of" in dict(each.headers) for each in answers)
        return {(each.status, each.body == b"[]") for each in answers}

    assert outcomes(play, "entitlement_gap", "empty", keys=KEYS, as_of=True) == {
        "403": {(403, False)},
        "empty": {(200, True)},
    }


def test_rate_limiter_down_decides_whether_anybody_is_answered() -> None:
    def play(bench: Bench) -> Any:
        answer = bench.get("/fixtures", sportId=10)
        body = msgspec.json.decode(answer.body)
        code = body["code"] if isinstance(body, dict) else None
        return answer.status, code, bench.get("/fixtures", key=None).status

    assert outcomes(play, "rate_limiter_down", True) == {
        False: (200, None, 401),
        True: (503, "rate_limiter_error", 401),
    }
