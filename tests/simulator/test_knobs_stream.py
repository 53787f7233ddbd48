"""Each knob of the market, the data frames and REST alone explains an outcome."""

from typing import Any

import msgspec
from bench_play import kinds, outcomes, published, resumed

from lastseen_simulator.effects import CloseConnection, Transmit
from lastseen_simulator.gateway.bench import Bench


def sent(bench: Bench) -> list[str | bytes]:
    return [effect.data for effect in bench.effects if isinstance(effect, Transmit)]


def fixtures_of(bench: Bench) -> list[dict[str, Any]]:
    return list(bench.gateway.truth.state(channels=("fixtures",)).values())


def an_open_fixture(bench: Bench) -> str:
    fixture_id: str = next(
        each["fixtureId"] for each in fixtures_of(bench) if each["status"]["statusId"] in (0, 1)
    )
    return fixture_id


def statuses(bench: Bench, path: str, count: int, **query: Any) -> list[int]:
    return [bench.get(path, **query).status for _ in range(count)]


# The market.


def test_fixtures_decides_how_many_there_are() -> None:
    def play(bench: Bench) -> Any:
        return len(fixtures_of(bench))

    assert outcomes(play, "fixtures", 2) == {6: 6, 2: 2}


def test_bookmakers_decides_who_prices_them() -> None:
    def play(bench: Bench) -> Any:
        state = bench.gateway.truth.state(channels=("bookmakers",))
        return {each["bookmaker"] for each in state.values()}

    three, one = ("pinnacle", "stake", "bet365"), ("unibet",)
    assert outcomes(play, "bookmakers", one) == {three: set(three), one: set(one)}


def test_rate_decides_how_much_happens() -> None:
    def play(bench: Bench) -> Any:
        bench.advance(10)
        count = len(bench.gateway.truth.entries())
        return "a lot" if count > 350 else "something" if count else "nothing"

    assert outcomes(play, "rate", 0.0, 50.0, rate=20.0) == {
        20.0: "something",
        0.0: "nothing",
        50.0: "a lot",
    }


def test_coalesce_decides_whether_odds_leave_holes_in_the_sequence() -> None:
    def play(bench: Bench) -> Any:
        ids = [bench.publish("odds"), bench.publish("odds"), bench.publish("scores")]
        return [int(each.partition("-")[2]) for each in ids]

    assert outcomes(play, "coalesce", 1.0) == {0.0: [1, 2, 1], 1.0: [2, 4, 1]}


# Data frames and slow readers.


def test_binary_channels_decides_which_data_is_messagepack() -> None:
    def play(bench: Bench) -> Any:
        connection = bench.login(receiveType="binary", channels=["odds", "scores"])
        bench.publish("odds")
        bench.publish("scores")
        login_ok, odds, scores = sent(bench)
        assert isinstance(login_ok, str)
        assert isinstance(odds, bytes)
        assert isinstance(scores, bytes)
        assert msgspec.msgpack.decode(odds)["channel"] == "odds"
        assert [each["channel"] for each in bench.updates(connection)] == ["odds", "scores"]
        return scores[:1] == b"{"

    assert outcomes(play, "binary_channels", "odds") == {"all": False, "odds": True}


def test_binary_channels_means_nothing_to_text() -> None:
    def play(bench: Bench) -> Any:
        bench.login(channels=["odds", "scores"])
        bench.publish("odds")
        bench.publish("scores")
        return sent(bench)[1:]

    frames = outcomes(play, "binary_channels", "odds")

    assert frames["odds"] == frames["all"]
    assert [type(each) for each in frames["all"]] == [str, str]


def test_unnumbered_channels_decides_which_entries_have_no_id() -> None:
    def play(bench: Bench) -> Any:
        (cursor,) = published(bench, "scores", 1)
        published(bench, "scores", 1)
        connections = [resumed(bench, {"scores": cursor}), bench.login(receiveType="binary")]
        bench.publish("fixtures")
        bench.publish("scores")
        return [
            [(each["channel"], "entryId" in each) for each in bench.updates(connection)]
            for connection in connections
        ]

    live = [("fixtures", True), ("scores", True)]
    unnumbered = [("fixtures", True), ("scores", False)]
    assert outcomes(play, "unnumbered_channels", ("scores",)) == {
        (): [[("scores", True), *live], live],
        ("scores",): [[("scores", False), *unnumbered], unnumbered],
    }


def test_backlog_soft_bytes_decides_when_odds_are_skipped() -> None:
    def play(bench: Bench) -> Any:
        connection = bench.login()
        bench.backlog(connection, 1001)
        bench.publish("odds")
        bench.backlog(connection, 0)
        return [each.partition("-")[2] or each for each in kinds(bench, connection)]

    assert outcomes(play, "backlog_soft_bytes", 1000) == {
        1 << 20: ["1"],
        1000: ["snapshot_required"],
    }


def test_backlog_hard_bytes_decides_when_a_reader_is_too_slow() -> None:
    def play(bench: Bench) -> Any:
        connection = bench.login()
        bench.backlog(connection, 5001)
        return bench.endings.get(connection)

    assert outcomes(play, "backlog_hard_bytes", 5000) == {
        8 << 20: None,
        5000: CloseConnection(connection=1, code=4002, reason="backpressure"),
    }


# REST.


def test_snapshot_lag_s_decides_how_old_an_answer_is() -> None:
    def play(bench: Bench) -> Any:
        fixture_id = an_open_fixture(bench)
        score = {"period": "p1", "participant1Score": 77, "participant2Score": 0}
        bench.publish("scores", {"fixtureId": fixture_id, "scores": {"p1": score}})
        seen: list[bool] = []
        for seconds in (1.0, 2.0):
            bench.advance(seconds)
            (fixture,) = msgspec.json.decode(bench.get("/fixtures", fixtureIds=fixture_id).body)
            seen.append(fixture["scores"].get("p1") == score)
        return seen

    assert outcomes(play, "snapshot_lag_s", 2.0) == {0.0: [True, True], 2.0: [False, True]}


def test_as_of_decides_whether_an_answer_says_what_it_covers() -> None:
    def play(bench: Bench) -> Any:
        bench.publish("scores")
        return "X-As-Of" in dict(bench.get("/fixtures", sportId=10).headers)

    assert outcomes(play, "as_of", True) == {False: False, True: True}


def test_missing_bookmaker_decides_whether_odds_need_one() -> None:
    def play(bench: Bench) -> Any:
        fixture_id = an_open_fixture(bench)
        return [
            bench.get("/fixtures/odds", fixtureId=fixture_id, **query).status
            for query in ({}, {"bookmakers": "stake"})
        ]

    assert outcomes(play, "missing_bookmaker", True) == {False: [200, 200], True: [400, 200]}


def test_odds_limit_decides_which_request_is_one_too_many() -> None:
    def play(bench: Bench) -> Any:
        return statuses(bench, "/fixtures/odds", 11, fixtureId=an_open_fixture(bench)).index(429)

    assert outcomes(play, "odds_limit", 2) == {10: 10, 2: 2}


def test_odds_window_s_decides_when_odds_may_be_asked_for_again() -> None:
    def play(bench: Bench) -> Any:
        fixture_id = an_open_fixture(bench)
        seen = statuses(bench, "/fixtures/odds", 2, fixtureId=fixture_id)
        bench.advance(1.0)
        return seen + statuses(bench, "/fixtures/odds", 1, fixtureId=fixture_id)

    assert outcomes(play, "odds_window_s", 2.0, odds_limit=1) == {
        1.0: [200, 429, 200],
        2.0: [200, 429, 429],
    }


def test_other_limit_decides_which_other_request_is_one_too_many() -> None:
    def play(bench: Bench) -> Any:
        return statuses(bench, "/fixtures", 201, sportId=10).index(429)

    assert outcomes(play, "other_limit", 100) == {200: 200, 100: 100}


def test_other_window_s_decides_when_one_may_ask_again() -> None:
    def play(bench: Bench) -> Any:
        seen = statuses(bench, "/fixtures", 2, sportId=10)
        bench.advance(5.0)
        return seen + statuses(bench, "/fixtures", 1, sportId=10)

    assert outcomes(play, "other_window_s", 5.0, other_limit=1) == {
        60.0: [200, 429, 429],
        5.0: [200, 429, 200],
    }


# The truth log.


def test_truth_records_max_decides_how_far_back_the_log_reaches() -> None:
    def play(bench: Bench) -> Any:
        published(bench, "scores", 10)
        return [each["n"] for each in bench.gateway.truth.records]

    assert outcomes(play, "truth_records_max", 4) == {
        200_000: list(range(1, 13)),
        4: [9, 10, 11, 12],
    }
