"""OddsPapi as a dialect: what is sent, what is asked of REST, and what its answers say."""

import json
from typing import Any

import pytest

from lastseen import (
    HttpResponse,
    LocalProtocolError,
    OddsPapi,
    Position,
    Secret,
    SnapshotFault,
    Subscription,
)
from lastseen.dialect import AsOf, ScopeKind, SnapshotContent, SnapshotSource
from lastseen.messages import LoginAccepted

KEY = "00112233445566778899aabbccddeeff"
ROSTER = SnapshotSource("fixtures")


def dialect(**asked: Any) -> OddsPapi:
    return OddsPapi(subscription=Subscription(**asked), key=Secret(KEY))


def login(position: Position | None = None, **asked: Any) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(dialect(**asked).login(position or Position()).reveal())
    return frame


def accepted(channels: Any = None, **echo: Any) -> LoginAccepted:
    return LoginAccepted(epoch="e", channels=channels, replayable=None, heads={}, echo=echo)


def answer(body: Any, *headers: tuple[str, str], status: int = 200) -> HttpResponse:
    common = (("content-type", "application/json"), *headers)
    return HttpResponse(status=status, headers=common, body=json.dumps(body).encode())


def test_a_cold_login_has_neither_epoch_nor_cursors_nor_empty_filters() -> None:
    """OP-A9, OP-A21."""
    assert login(Position("e1"), channels=("scores",), sport_ids=(10,)) == {
        "type": "login", "apiKey": KEY, "channels": ["scores"], "sportIds": [10],
        "receiveType": "json", "clientName": "lastseen",
    }  # fmt: skip


def test_a_resuming_login_has_both_and_every_filter() -> None:
    frame = login(
        Position("e1", (("scores", "1-1"),)), tournament_ids=(4,), fixture_ids=("A",),
        future_ids=("F",), bookmakers=("pinnacle",), lang="de", receive_type="binary",
        client_name=None,
    )  # fmt: skip

    assert frame["serverEpoch"] == "e1"
    assert frame["lastSeenId"] == {"scores": "1-1"}
    assert (frame["tournamentIds"], frame["fixtureIds"], frame["futureIds"]) == (
        [4], ["A"], ["F"],
    )  # fmt: skip
    assert frame["bookmakers"] == ["pinnacle"]
    assert (frame["lang"], frame["receiveType"]) == ("de", "binary")
    assert "clientName" not in frame


@pytest.mark.parametrize(
    ("echo", "channels"),
    [(None, ("scores", "odds")), (("odds", "extra"), ("odds",)), ((), ())],
)
def test_the_effective_channels_are_those_asked_for_and_echoed(
    echo: tuple[str, ...] | None, channels: tuple[str, ...]
) -> None:
    """OP-A10."""
    assert dialect(channels=("scores", "odds")).accepted(accepted(echo)).channels == channels


@pytest.mark.parametrize(
    ("asked", "echo", "effective"),
    [
        ((), ["a", "b", "a", 7], ("a", "b")),
        ((), None, ()),
        ((), "ab", ()),
        ((), [f"b{n}" for n in range(101)], ()),
        (("a", "b"), ["b", "c"], ("b",)),
        (("a", "b"), ["c"], ("a", "b")),
        (("a", "b"), [], ("a", "b")),
    ],
)
def test_the_effective_bookmakers(
    asked: tuple[str, ...], echo: Any, effective: tuple[str, ...]
) -> None:
    """HZ-J17: the peer may narrow what was asked for, not widen it without end."""
    made = dialect(bookmakers=asked).accepted(accepted(bookmakers=echo))

    assert made.subscription.bookmakers == effective


WHOLE, PER_ENTITY, NONE = ScopeKind.WHOLE, ScopeKind.PER_ENTITY, ScopeKind.NONE


@pytest.mark.parametrize(
    ("channel", "kind", "whole", "one"),
    [
        ("fixtures", WHOLE, "fixtures", None),
        ("scores", WHOLE, "fixtures", None),
        ("clocks", WHOLE, "fixtures", None),
        ("odds", PER_ENTITY, "fixtures", "odds"),
        ("bookmakers", PER_ENTITY, "fixtures", "odds"),
        ("futures", WHOLE, "futures", None),
        ("oddsFutures", PER_ENTITY, "futures", "future_odds"),
        ("bookmakersFutures", PER_ENTITY, "futures", "future_odds"),
        ("currencies", WHOLE, "currencies", None),
    ],
)
def test_each_channel_has_its_kind_of_scope_and_its_sources(
    channel: str, kind: ScopeKind, whole: str, one: str | None
) -> None:
    """Facts 5: scopes with the same source share a fetch."""
    made = dialect()

    assert made.scope_kind(channel) is kind
    assert made.snapshot_source(channel, None) == SnapshotSource(whole)
    if one is not None:
        assert made.snapshot_source(channel, "A") == SnapshotSource(one, "A")


@pytest.mark.parametrize("channel", ["events", "stats", "injuries", "lineups", "nope", ""])
def test_what_nothing_restores_is_live_only(channel: str) -> None:
    made = dialect()

    assert made.scope_kind(channel) is NONE
    with pytest.raises(LocalProtocolError, match="no snapshots"):
        made.snapshot_source(channel, None)


def test_each_odds_endpoint_has_a_limit_of_its_own() -> None:
    """Facts 8, OP-A28: ten a second each, all others a hundred a minute together."""
    made = dialect()
    classes = {
        kind: made.budget_class(SnapshotSource(kind, entity))
        for kind, entity in (
            ("fixtures", None), ("futures", None), ("currencies", None),
            ("odds", "A"), ("future_odds", "F"),
        )
    }  # fmt: skip

    assert len(set(classes.values())) == 3
    assert classes["fixtures"] == classes["futures"] == classes["currencies"]
    assert made.budgets[classes["fixtures"]] == (100, 60.0)
    assert made.budgets[classes["odds"]] == made.budgets[classes["future_odds"]] == (10, 1.0)


@pytest.mark.parametrize(
    ("asked", "queries"),
    [
        ({"sport_ids": (10, 11)}, [("sportId", "10"), ("sportId", "11")]),
        ({"tournament_ids": (4,), "sport_ids": (10,)}, [("tournamentId", "4")]),
        ({"fixture_ids": ("A", "B"), "tournament_ids": (4,)}, [("fixtureIds", "A,B")]),
        ({"future_ids": ("F",), "sport_ids": (10,)}, [("sportId", "10")]),
    ],
)
def test_the_narrowest_filter_selects_the_fixtures(
    asked: dict[str, Any], queries: list[tuple[str, str]]
) -> None:
    requests = dialect(**asked).snapshot_requests(ROSTER)

    assert [request.path for request in requests] == ["/fixtures"] * len(queries)
    assert [request.query[1:] for request in requests] == [(query,) for query in queries]
    assert all(request.query[0] == ("apiKey", Secret(KEY)) for request in requests)


@pytest.mark.parametrize(
    ("asked", "queries"),
    [
        ({"sport_ids": (10, 11)}, [("sportId", "10"), ("sportId", "11")]),
        ({"tournament_ids": (4, 5)}, [("tournamentId", "4"), ("tournamentId", "5")]),
        ({"future_ids": ("F", "G"), "tournament_ids": (4,)}, [("futureIds", "F,G")]),
        ({"fixture_ids": ("A",), "sport_ids": (10,)}, [("sportId", "10")]),
    ],
)
def test_the_narrowest_filter_selects_the_futures(
    asked: dict[str, Any], queries: list[tuple[str, str]]
) -> None:
    made = dialect(channels=("futures",), **asked)
    requests = made.snapshot_requests(SnapshotSource("futures"))

    assert [request.path for request in requests] == ["/futures"] * len(queries)
    assert [request.query[1:] for request in requests] == [(query,) for query in queries]


def test_currencies_are_asked_for_without_any_filter() -> None:
    made = dialect(sport_ids=(10,), bookmakers=("x",))
    (request,) = made.snapshot_requests(SnapshotSource("currencies"))

    assert request.path == "/currencies"
    assert request.query == (("apiKey", Secret(KEY)),)


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [("odds", "/fixtures/odds", "fixtureId"), ("future_odds", "/futures/odds", "futureId")],
)
def test_odds_are_asked_for_one_entity_at_a_time(kind: str, path: str, name: str) -> None:
    source = SnapshotSource(kind, "A")
    (every,) = dialect().snapshot_requests(source)
    (some,) = dialect(bookmakers=("x", "y")).snapshot_requests(source)

    assert (every.path, every.query[1:]) == (path, ((name, "A"),))
    assert (some.path, some.query[1:]) == (path, ((name, "A"), ("bookmakers", "x,y")))


def test_many_fixtures_futures_and_bookmakers_are_asked_for_in_parts() -> None:
    """Facts 5: fifty fixtures, five bookmakers."""
    ids = tuple(f"F{n}" for n in range(120))
    made = dialect(fixture_ids=ids, future_ids=ids, bookmakers=tuple(f"b{n}" for n in range(7)))
    roster = made.snapshot_requests(ROSTER)
    futures = made.snapshot_requests(SnapshotSource("futures"))
    odds = made.snapshot_requests(SnapshotSource("odds", "F1"))

    assert [len(dict(r.query)["fixtureIds"].split(",")) for r in roster] == [50, 50, 20]  # type: ignore[union-attr]
    assert [len(dict(r.query)["futureIds"].split(",")) for r in futures] == [50, 50, 20]  # type: ignore[union-attr]
    assert [dict(r.query)["bookmakers"] for r in odds] == ["b0,b1,b2,b3,b4", "b5,b6"]
    assert {dict(r.query)["fixtureId"] for r in odds} == {"F1"}


def test_a_roster_holds_what_the_subscription_selects() -> None:
    rows = [
        {"fixtureId": "A", "sport": {"sportId": 10}, "scores": {"p1": {"s": 1}}, "clock": 1},
        {"fixtureId": "B", "sport": {"sportId": 99}, "scores": {}},
        {"fixtureId": "C", "sport": {"sportId": 10}, "scores": {}, "status": {"statusId": 2}},
    ]
    content = dialect(sport_ids=(10,)).read_snapshot(ROSTER, (answer(rows),))

    assert isinstance(content, SnapshotContent)
    assert set(content.rows["fixtures"]) == {"fixtures/A", "fixtures/C"}
    assert content.rows["scores"] == {"scores/A/p1": {"s": 1}}
    assert content.entities == frozenset("A")
    assert "clock" not in content.rows["fixtures"]["fixtures/A"]


def test_odds_hold_only_what_was_asked_for_and_all_answers_together() -> None:
    source = SnapshotSource("odds", "A")
    answers = tuple(
        answer({"fixtureId": "A", "odds": {book: {"r": {"price": 1}}}, "bookmakers": {book: {}}})
        for book in ("x", "y", "z")
    )
    content = dialect(bookmakers=("x", "y")).read_snapshot(source, answers)

    assert isinstance(content, SnapshotContent)
    assert set(content.rows["odds"]) == {"odds/A/x/r", "odds/A/y/r"}
    assert set(content.rows["bookmakers"]) == {"bookmakers/A/x", "bookmakers/A/y"}


@pytest.mark.parametrize(
    "body",
    [{}, [], None, {"fixtureId": "B", "odds": {}, "bookmakers": {}}, {"fixtureId": "A"},
     {"fixtureId": "A", "odds": [], "bookmakers": {}}, {"fixtureId": "A", "odds": {}},
     {"fixtureId": "A", "odds": {"x": 7}, "bookmakers": {}},
     {"fixtureId": "A", "odds": {"x": {"r": 7}}, "bookmakers": {}},
     {"fixtureId": "A", "odds": {}, "bookmakers": {"x": None}}],
)  # fmt: skip
def test_odds_of_another_shape_are_no_state(body: Any) -> None:
    """HZ-C16."""
    found = dialect().read_snapshot(SnapshotSource("odds", "A"), (answer(body),))

    assert isinstance(found, SnapshotFault)


@pytest.mark.parametrize(
    ("status", "permanent", "retry"),
    [
        (400, True, None),
        (401, True, None),
        (403, True, None),
        (404, True, None),
        (410, True, None),
        (422, True, None),
        (408, False, None),
        (425, False, None),
        (429, False, 7.0),
        (500, False, None),
        (502, False, None),
        (503, False, 7.0),
        (304, False, None),
        (206, False, None),
    ],
)
def test_each_status_is_a_fault_of_its_kind(
    status: int, permanent: bool, retry: float | None
) -> None:
    """HZ-C13, HZ-C14."""
    found = dialect().read_snapshot(ROSTER, (answer([], ("retry-after", "7"), status=status),))

    assert found == SnapshotFault(reason=f"HTTP {status}", retry_after_s=retry, permanent=permanent)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("7", 7.0), (" 7 ", 7.0), ("999999", 3600.0), ("-1", None), ("1e3", None),
     ("soon", None), ("", None), ("\u0667", None), ("9" * 400, None)],
)  # fmt: skip
def test_retry_after_in_seconds(text: str, seconds: float | None) -> None:
    found = dialect().read_snapshot(ROSTER, (answer([], ("retry-after", text), status=429),))

    assert isinstance(found, SnapshotFault)
    assert found.retry_after_s == seconds


@pytest.mark.parametrize(
    ("headers", "as_of"),
    [
        (
            ["e1; scores=1-5, fixtures=2-2"],
            AsOf(epoch="e1", cursors={"scores": (1, 5), "fixtures": (2, 2)}),
        ),
        (["e1"], AsOf(epoch="e1", cursors={})),
        (["e1; scores=x"], AsOf(epoch="e1", cursors={})),
        ([""], None),
        ([None], None),
        (["e1; scores=1-5", "e1; scores=1-3"], AsOf(epoch="e1", cursors={"scores": (1, 3)})),
        (["e1; scores=1-5", "e1; fixtures=1-3"], AsOf(epoch="e1", cursors={})),
        (["e1; scores=1-5", None], None),
        (["e1; scores=1-5", "e2; scores=1-5"], None),
    ],
)
def test_the_oldest_answer_says_how_old_a_snapshot_is(
    headers: list[str | None], as_of: AsOf | None
) -> None:
    """R11."""
    answers = tuple(
        answer([], *([("x-as-of", text)] if text is not None else [])) for text in headers
    )
    found = dialect().read_snapshot(ROSTER, answers)

    assert isinstance(found, SnapshotContent)
    assert found.as_of == as_of


@pytest.mark.parametrize("body", [b"9" * 5000, b"[" * 100_000, b"\xff", b"", b'{"code":7}'])
def test_a_hostile_error_body_is_only_a_status(body: bytes) -> None:
    response = HttpResponse(status=500, headers=(), body=body)

    assert dialect().read_snapshot(ROSTER, (response,)) == SnapshotFault(reason="HTTP 500")


def test_a_snapshot_asks_for_the_sports_that_are_in_effect() -> None:
    """OP-A10: one sport that the key may not see must not fail the fetch of all."""
    made = OddsPapi(subscription=Subscription(sport_ids=(10, 11, 15)))
    effective = made.accepted(accepted(sportIds=[10, 11]))

    queries = [request.query for request in effective.snapshot_requests(SnapshotSource("fixtures"))]
    assert [dict(query)["sportId"] for query in queries] == ["10", "11"]
    assert made.asks - effective.asks == {"sport 15"}


@pytest.mark.parametrize("echo", [None, [], ["x"], "10", [99]])
def test_an_echo_of_sports_that_says_nothing_changes_nothing(echo: Any) -> None:
    made = OddsPapi(subscription=Subscription(sport_ids=(10, 11)))

    assert made.accepted(accepted(sportIds=echo)).subscription.sport_ids == (10, 11)


def test_the_effective_futures_are_those_asked_for_and_echoed() -> None:
    """OP-A10, as for fixtures."""
    made = dialect(channels=("futures", "odds"), future_ids=("F", "G"), fixture_ids=("A", "B"))
    effective = made.accepted(accepted(futureIds=["G", "H"], fixtureIds=["A"]))

    assert effective.subscription.future_ids == ("G",)
    assert effective.subscription.fixture_ids == ("A",)
    assert made.asks - effective.asks == {"future F", "fixture B"}


@pytest.mark.parametrize("echo", [None, [], ["x"], "F", [7]])
def test_an_echo_of_futures_that_says_nothing_changes_nothing(echo: Any) -> None:
    made = dialect(channels=("futures",), future_ids=("F",))

    assert made.accepted(accepted(futureIds=echo)).subscription.future_ids == ("F",)


@pytest.mark.parametrize("asked", [(), ("pinnacle",)])
def test_without_one_bookmaker_in_effect_what_they_sort_is_denied(asked: tuple[str, ...]) -> None:
    """OP-A10: odds that can never come must not be called synced."""
    channels = ("scores", "odds", "bookmakersFutures")
    made = dialect(channels=channels, bookmakers=asked)
    effective = made.accepted(accepted(channels, bookmakers=[]))

    assert effective.channels == ("scores",)
    assert {"odds", "bookmakersFutures"} <= made.asks - effective.asks
    assert made.accepted(accepted(channels, bookmakers=None)).channels == channels
