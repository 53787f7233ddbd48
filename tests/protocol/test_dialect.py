"""OddsPapi as a dialect: what is sent, what is asked of REST, and what its answers say."""

import json
from typing import Any

import pytest

from lastseen import HttpResponse, OddsPapi, Position, Secret, SnapshotFault, Subscription
from lastseen.dialect import AsOf, ScopeKind, SnapshotContent, SnapshotSource
from lastseen.dialects.oddspapi.snapshots import ROSTER
from lastseen.messages import LoginAccepted

KEY = "00112233445566778899aabbccddeeff"


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
        bookmakers=("pinnacle",), lang="de", receive_type="binary", client_name=None,
    )  # fmt: skip

    assert frame["serverEpoch"] == "e1"
    assert frame["lastSeenId"] == {"scores": "1-1"}
    assert (frame["tournamentIds"], frame["fixtureIds"], frame["bookmakers"]) == (
        [4], ["A"], ["pinnacle"],
    )  # fmt: skip
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


def test_each_channel_has_its_kind_of_scope() -> None:
    made = dialect()

    assert {made.scope_kind(name) for name in ("fixtures", "scores")} == {ScopeKind.WHOLE}
    assert {made.scope_kind(name) for name in ("odds", "bookmakers")} == {ScopeKind.PER_ENTITY}
    assert {made.scope_kind(name) for name in ("events", "nope")} == {ScopeKind.NONE}


@pytest.mark.parametrize(
    ("asked", "queries"),
    [
        ({"sport_ids": (10, 11)}, [("sportId", "10"), ("sportId", "11")]),
        ({"tournament_ids": (4,)}, [("tournamentId", "4")]),
        ({"fixture_ids": ("A", "B")}, [("fixtureIds", "A,B")]),
    ],
)
def test_the_narrowest_filter_selects_the_fixtures(
    asked: dict[str, Any], queries: list[tuple[str, str]]
) -> None:
    requests = dialect(**asked).snapshot_requests(ROSTER)

    assert [request.path for request in requests] == ["/fixtures"] * len(queries)
    assert [request.query[1:] for request in requests] == [(query,) for query in queries]
    assert all(request.query[0] == ("apiKey", Secret(KEY)) for request in requests)


def test_many_fixtures_and_bookmakers_are_asked_for_in_parts() -> None:
    """Facts 5: fifty fixtures, five bookmakers."""
    made = dialect(
        fixture_ids=tuple(f"F{n}" for n in range(120)), bookmakers=tuple(f"b{n}" for n in range(7))
    )
    roster = made.snapshot_requests(ROSTER)
    odds = made.snapshot_requests(SnapshotSource("odds", "F1"))

    assert [len(dict(r.query)["fixtureIds"].split(",")) for r in roster] == [50, 50, 20]  # type: ignore[union-attr]
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
