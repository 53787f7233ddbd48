"""Each knob of the login alone explains an outcome."""

from typing import Any

import pytest
from bench_play import kinds, outcomes, published, resumed, told

from lastseen_simulator.effects import CloseConnection, Transmit
from lastseen_simulator.gateway.bench import Bench
from lastseen_simulator.gateway.core import KeyGrant

FILTERS = ("channels", "sportIds", "tournamentIds", "fixtureIds", "bookmakers")

LIMITED = (
    KeyGrant(
        key="a" * 32, channels=("fixtures", "odds"), bookmakers=("stake",), sport_ids=(10, 12)
    ),
)


def fixture_of_class(bench: Bench, *, live: bool) -> str:
    fixtures = bench.gateway.truth.state(channels=("fixtures",)).values()
    fixture_id: str = next(each["fixtureId"] for each in fixtures if each["status"]["live"] is live)
    return fixture_id


def score_of(fixture_id: str) -> dict[str, Any]:
    score = {"period": "p1", "participant1Score": 1, "participant2Score": 0}
    return {"fixtureId": fixture_id, "scores": {"p1": score}}


def closed_with(bench: Bench, connection: int) -> int | None:
    ending = bench.endings.get(connection)
    return ending.code if isinstance(ending, CloseConnection) else None


def test_region_is_what_login_ok_names() -> None:
    def play(bench: Bench) -> Any:
        return told(bench, bench.login())["region"]

    assert outcomes(play, "region", "eu-2") == {"sim-1": "sim-1", "eu-2": "eu-2"}


def test_empty_filter_decides_what_an_empty_list_asks_for() -> None:
    def play(bench: Bench) -> Any:
        results: list[object] = []
        for name in FILTERS:
            connection = bench.login(**{name: []})
            bench.publish("scores")
            error = told(bench, connection).get("message")
            results.append(error or len(bench.updates(connection, "scores")))
            bench.leave(connection)
        return results

    assert outcomes(play, "empty_filter", "everything", "login_failed") == {
        "nothing": ["no channels requested", 0, 0, 0, "bookmakers not allowed"],
        "everything": [1, 1, 1, 1, 1],
        "login_failed": [f"{name} must not be empty" for name in FILTERS],
    }


@pytest.mark.parametrize(
    ("request_", "granted", "refusal"),
    [
        ({"channels": ["odds", "scores"]}, (["odds"], ["stake"], [10, 12]), "scores"),
        ({"channels": ["odds", "weather"]}, (["odds"], ["stake"], [10, 12]), "weather"),
        (
            {"bookmakers": ["stake", "nobody"]},
            (["fixtures", "odds"], ["stake"], [10, 12]),
            "nobody",
        ),
        ({"sportIds": [11, 10]}, (["fixtures", "odds"], ["stake"], [10]), "11"),
        ({}, (["fixtures", "odds"], ["stake"], [10, 12]), None),
    ],
    ids=["channel", "no-channel", "bookmaker", "sport", "nothing-named"],
)
def test_denied_decides_what_asking_for_too_much_costs(
    request_: dict[str, Any], granted: tuple[Any, ...], refusal: str | None
) -> None:
    def play(bench: Bench) -> Any:
        answer = told(bench, bench.login(apiKey="a" * 32, **request_))
        if answer["type"] == "error":
            return answer["error"], answer["message"]
        return answer["channels"], answer["bookmakers"], answer["sportIds"]

    assert outcomes(play, "denied", "login_failed", keys=LIMITED) == {
        "stripped": granted,
        "login_failed": granted if refusal is None else ("login_failed", f"not allowed: {refusal}"),
    }


def test_bookmakers_required_decides_about_gated_channels_without_them() -> None:
    def play(bench: Bench) -> Any:
        silent_about_books = bench.login(channels=["odds", "scores"])
        naming = bench.login(channels=["odds", "scores"], bookmakers=["stake"])
        ungated = bench.login(channels=["scores"])
        bench.publish("odds")
        bench.publish("scores")
        answer = told(bench, silent_about_books)
        received = [frame["channel"] for frame in bench.updates(silent_about_books)]
        assert told(bench, naming)["bookmakers"] == ["stake"]
        assert told(bench, ungated)["type"] == "login_ok"
        return answer.get("message") or (answer["bookmakers"], received)

    assert outcomes(play, "bookmakers_required", "silent", "login_failed") == {
        "no": (["pinnacle", "stake", "bet365"], ["odds", "scores"]),
        "silent": ([], ["scores"]),
        "login_failed": "bookmakers required",
    }


def test_live_pregame_decides_whether_a_login_can_leave_a_class_out() -> None:
    def play(bench: Bench) -> Any:
        live, pregame = (fixture_of_class(bench, live=live) for live in (True, False))
        both = bench.login(live=True)
        no_live, no_pregame = bench.login(live=False), bench.login(pregame=False)
        ids: list[str] = []
        for channel, payload in (
            ("scores", score_of(live)),
            ("scores", score_of(pregame)),
            # What is over is neither, and what is about no fixture is for everybody.
            ("fixtures", {"fixtureId": live, "status": {"live": False, "statusId": 2}}),
            ("odds", {"odds": {}}),
            ("currencies", {"rates": {"EUR": 0.9}}),
        ):
            bench.advance(0.01)
            ids.append(bench.publish(channel, payload))
        assert bench.ids(both) == ids
        assert told(bench, no_live)["access"] == {"live": True, "pregame": True}
        return [[ids.index(each) for each in bench.ids(one)] for one in (no_live, no_pregame)]

    assert outcomes(play, "live_pregame", "filter") == {
        "key": [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]],
        "filter": [[1, 2, 3, 4], [0, 2, 3, 4]],
    }


def test_receive_types_decides_what_can_be_had() -> None:
    def play(bench: Bench) -> Any:
        connection = bench.login(receiveType="binary", channels=["scores"])
        bench.publish("scores")
        _, data = (each.data for each in bench.effects if isinstance(each, Transmit))
        return told(bench, connection)["receiveType"], type(data)

    assert outcomes(play, "receive_types", ("json",)) == {
        ("json", "binary"): ("binary", bytes),
        ("json",): ("json", str),
    }


def test_resume_block_decides_whether_login_ok_has_one() -> None:
    def play(bench: Bench) -> Any:
        return "resume" in told(bench, bench.login())

    assert outcomes(play, "resume_block", False) == {True: True, False: False}


def test_server_entry_ids_decides_whether_heads_are_told() -> None:
    def play(bench: Bench) -> Any:
        newest = published(bench, "scores", 1)[0]
        connection = resumed(bench, {"scores": "1-1"}, channels=["scores"])
        login_ok, required = bench.controls(connection)
        told_heads = login_ok["resume"].get("serverEntryIds"), required.get("serverEntryIds")
        return [heads == {"scores": newest} if heads else heads for heads in told_heads]

    assert outcomes(play, "server_entry_ids", False) == {
        True: [True, True],
        False: [None, None],
    }


def test_null_heads_decides_whether_channels_without_entries_are_named() -> None:
    def play(bench: Bench) -> Any:
        bench.publish("scores")
        login_ok = told(bench, bench.login(channels=["fixtures", "scores"]))
        heads = login_ok["resume"]["serverEntryIds"]
        return {channel: head is not None for channel, head in heads.items()}

    assert outcomes(play, "null_heads", True) == {
        False: {"scores": True},
        True: {"fixtures": False, "scores": True},
    }


def test_heads_decides_whether_the_filter_counts() -> None:
    def play(bench: Bench) -> Any:
        wanted, other = (fixture_of_class(bench, live=live) for live in (True, False))
        ids = [bench.publish("scores", score_of(wanted)), bench.publish("scores", score_of(other))]
        bench.publish("odds", {"fixtureId": other, "odds": {"stake": {}}})
        login_ok = told(bench, bench.login(channels=["odds", "scores"], fixtureIds=[wanted]))
        heads = login_ok["resume"]["serverEntryIds"]
        return {channel: head in ids and ids.index(head) for channel, head in heads.items()}

    assert outcomes(play, "heads", "delivered") == {
        "global": {"odds": False, "scores": 1},
        "delivered": {"scores": 0},
    }


def test_login_timeout_s_decides_how_long_silence_is_borne() -> None:
    def play(bench: Bench) -> Any:
        connection = bench.connect()
        bench.advance(2.0)
        return closed_with(bench, connection)

    assert outcomes(play, "login_timeout_s", 2.0) == {10.0: None, 2.0: 4000}


def test_connection_limit_decides_which_login_is_one_too_many() -> None:
    def play(bench: Bench) -> Any:
        return [closed_with(bench, bench.login()) for _ in range(6)].index(4003)

    assert outcomes(play, "connection_limit", 2) == {5: 5, 2: 2}


def test_login_failed_close_code_decides_what_follows_the_error() -> None:
    def play(bench: Bench) -> Any:
        connection = bench.login(apiKey="nope")
        bench.publish("scores")
        assert kinds(bench, connection) == []
        return told(bench, connection)["error"], closed_with(bench, connection)

    assert outcomes(play, "login_failed_close_code", None, 4001) == {
        4000: ("login_failed", 4000),
        None: ("login_failed", None),
        4001: ("login_failed", 4001),
    }
