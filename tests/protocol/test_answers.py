"""What REST answers say of each channel: the same units as the stream, or a fault (HZ-C16)."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastseen import Entry, HttpResponse, OddsPapi, SnapshotFault, Subscription
from lastseen.dialect import SnapshotContent, SnapshotSource
from lastseen.dialects.oddspapi import DEFAULT_CHANNELS, SNAPSHOT_CHANNELS
from lastseen.dialects.oddspapi.channels import restored_by

FIXTURES, FUTURES = SnapshotSource("fixtures"), SnapshotSource("futures")
CURRENCIES = SnapshotSource("currencies")
ODDS, FUTURE_ODDS = SnapshotSource("odds", "A"), SnapshotSource("future_odds", "A")

SPORT = {"sport": {"sportId": 10}}


def read(source: SnapshotSource, *bodies: Any, **asked: Any) -> SnapshotContent | SnapshotFault:
    answers = tuple(
        HttpResponse(
            status=200,
            headers=(("content-type", "application/json"),),
            body=json.dumps(body).encode(),
        )
        for body in bodies
    )
    changed = {"channels": SNAPSHOT_CHANNELS, "sport_ids": (10,), **asked}
    return OddsPapi(subscription=Subscription(**changed)).read_snapshot(source, answers)


def content(source: SnapshotSource, *bodies: Any, **asked: Any) -> SnapshotContent:
    found = read(source, *bodies, **asked)
    assert isinstance(found, SnapshotContent), found
    return found


# What is told: the same things as REST says them, and as updates.

Updates = list[tuple[str, dict[str, Any]]]


@attrs.frozen
class Told:
    source: SnapshotSource
    body: Any
    updates: Updates


names = st.text("abC:1-é", min_size=1, max_size=5)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('ab\n"é', max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(
    names | st.sampled_from(["active", "changedAt", "updatedAt", "price"]), values, max_size=4
)
tables = st.dictionaries(names, objects, max_size=3)
books = st.dictionaries(names, st.tuples(objects, tables), max_size=3)
"""By bookmaker: its status, and its rows."""
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def fixtures(draw: st.DrawFn) -> Told:
    rows: list[dict[str, Any]] = []
    updates: Updates = []
    for name in draw(st.lists(names, max_size=3, unique=True)):
        row: dict[str, Any] = {**draw(objects), "fixtureId": name, **SPORT, "bookmakers": {}}
        if draw(st.booleans()):
            row["scores"] = draw(tables)
            updates.append(("scores", {"fixtureId": name, "scores": row["scores"]}))
        clock = draw(st.none() | objects)
        if clock is not None or draw(st.booleans()):
            row["clock"] = clock
        if clock is not None:
            updates.append(("clocks", {"fixtureId": name, "clock": clock}))
        updates.append(("fixtures", row))
        rows.append(row)
    return Told(FIXTURES, rows, updates)


@st.composite
def futures(draw: st.DrawFn) -> Told:
    found = draw(st.lists(names, max_size=3, unique=True))
    rows = [{**draw(objects), "futureId": name, **SPORT, "bookmakers": {}} for name in found]
    return Told(FUTURES, rows, [("futures", row) for row in rows])


@st.composite
def fixture_odds(draw: st.DrawFn) -> Told:
    found = draw(books)
    odds = {book: rows for book, (_, rows) in found.items()}
    statuses = {book: status for book, (status, _) in found.items()}
    body = {**draw(objects), "fixtureId": "A", "odds": odds, "bookmakers": statuses}
    return Told(ODDS, body, [
        ("odds", {"fixtureId": "A", "odds": odds}),
        ("bookmakers", {"fixtureId": "A", "bookmakers": statuses}),
    ])  # fmt: skip


@st.composite
def future_odds(draw: st.DrawFn) -> Told:
    found = draw(books)
    entries = {
        book: {**status, "odds": [{**row, "oddsId": odds_id} for odds_id, row in rows.items()]}
        for book, (status, rows) in found.items()
    }
    odds = {book: rows for book, (_, rows) in found.items()}
    statuses = {book: status for book, (status, _) in found.items()}
    return Told(FUTURE_ODDS, {**draw(objects), "futureId": "A", "bookmakers": entries}, [
        ("oddsFutures", {"futureId": "A", "oddsFutures": odds}),
        ("bookmakersFutures", {"futureId": "A", "bookmakers": statuses}),
    ])  # fmt: skip


@st.composite
def currencies(draw: st.DrawFn) -> Told:
    if draw(st.booleans()):
        rates = {"rates": draw(st.dictionaries(names, numbers, max_size=3))}
        return Told(CURRENCIES, rates, [("currencies", rates)])
    found = draw(st.dictionaries(names, objects, min_size=1, max_size=3))
    table = {code: {**item, "currency": code} for code, item in found.items()}
    body = list(table.values()) if draw(st.booleans()) else table
    return Told(CURRENCIES, body, [("currencies", table)])


anything = fixtures() | futures() | fixture_odds() | future_odds() | currencies()


def streamed(told: Told, channel: str, encode: Any) -> dict[str, Any]:
    """The units of a channel, when what is told comes as updates."""
    dialect = OddsPapi()
    units: dict[str, Any] = {}
    for name, payload in told.updates:
        if name == channel:
            message = dialect.decode(encode({"channel": name, "payload": payload}))
            assert isinstance(message, Entry)
            units.update(dialect.units(message))
    return units


@given(anything, st.sampled_from([json.dumps, msgspec.msgpack.encode]))
def test_a_snapshot_and_the_stream_say_the_same_thing_alike(told: Told, encode: Any) -> None:
    """OP-A13, OP-A14, OP-A29: whatever the shape and the encoding."""
    rows = content(told.source, told.body).rows

    assert set(rows) == set(restored_by(told.source.kind))
    assert rows == {channel: streamed(told, channel, encode) for channel in rows}


def spoil(draw: st.DrawFn, value: Any) -> Any:
    """The same with one thing wrong in it, somewhere."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 3)):
            return {**value, name: spoil(draw, value[name])}
        return {key: item for key, item in value.items() if key != name}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], spoil(draw, value[index]), *value[index + 1 :]]
    return draw(values)


@st.composite
def spoilt(draw: st.DrawFn) -> Told:
    told = draw(anything)
    return attrs.evolve(told, body=spoil(draw, told.body))


@given(spoilt())
def test_any_answer_is_a_state_or_a_fault(told: Told) -> None:
    """INV-S17."""
    found = read(told.source, told.body)
    if isinstance(found, SnapshotContent):
        assert set(found.rows) == set(restored_by(told.source.kind))


# Lists and their filters.

LISTED: Mapping[str, dict[str, Any]] = {
    "A": {**SPORT, "tournament": {"tournamentId": 4}},
    "B": {"sport": {"sportId": 11}, "tournament": {"tournamentId": 4}},
    "C": {**SPORT, "tournament": {"tournamentId": 5}},
    "D": {**SPORT, "tournament": {"tournamentId": 4}, "status": {"statusId": 3}},
    "E": {},
}


@pytest.mark.parametrize("source", [FIXTURES, FUTURES])
@pytest.mark.parametrize(
    ("asked", "selected"),
    [
        ({"sport_ids": (10,)}, "ACD"),
        ({"sport_ids": (), "tournament_ids": (4,)}, "ABD"),
        ({"sport_ids": (10,), "tournament_ids": (4,)}, "AD"),
        ({"sport_ids": (), "own_ids": ("A", "E")}, "AE"),
        ({"sport_ids": (10, 11), "own_ids": ("A", "B", "E")}, "AB"),
        ({"sport_ids": (10,), "other_ids": ("B",)}, "ACD"),
        ({"sport_ids": (10,), "bookmakers": ("x",)}, "ACD"),
        ({"sport_ids": (12,)}, ""),
    ],
)
def test_a_list_holds_what_every_filter_that_applies_selects(
    source: SnapshotSource, asked: dict[str, Any], selected: str
) -> None:
    """Facts 2.1: fixture ids say nothing of futures, nor future ids of fixtures."""
    own, other = ("fixture_ids", "future_ids") if source is FIXTURES else (
        "future_ids", "fixture_ids",
    )  # fmt: skip
    named = {"own_ids": own, "other_ids": other}
    member = "fixtureId" if source is FIXTURES else "futureId"
    channels = restored_by(source.kind)
    found = content(
        source,
        [{**row, member: name} for name, row in LISTED.items()],
        channels=channels,
        **{named.get(name, name): value for name, value in asked.items()},
    )

    assert set(found.rows[source.kind]) == {f"{source.kind}/{name}" for name in selected}
    assert found.entities == frozenset(selected) - {"D"}
    assert found.roster_channel == source.kind
    for channel in restored_by("odds") + restored_by("future_odds"):
        assert found.rows.get(channel, {}) == {}


@pytest.mark.parametrize("source", [ODDS, FUTURE_ODDS, CURRENCIES])
def test_only_lists_say_what_there_is(source: SnapshotSource) -> None:
    bodies = {
        "odds": {"fixtureId": "A", "odds": {}, "bookmakers": {}},
        "future_odds": {"futureId": "A", "bookmakers": {}},
        "currencies": [],
    }
    found = content(source, bodies[source.kind])

    assert (found.entities, found.roster_channel) == (None, None)


@pytest.mark.parametrize("asked", [{}, {"bookmakers": ("x",)}, {"future_ids": ("F",)}])
def test_no_filter_applies_to_currencies(asked: dict[str, Any]) -> None:
    """Facts 6.7."""
    found = content(CURRENCIES, {"rates": {"EUR": 0.91}}, **asked)

    assert found.rows == {"currencies": {"currencies/EUR": Decimal("0.91")}}


def test_odds_of_a_future_hold_only_what_was_asked_for_and_all_answers_together() -> None:
    answers = [
        {"futureId": "A", "bookmakers": {book: {"hasOdds": True, "odds": [{"oddsId": "r"}]}}}
        for book in ("x", "y", "z")
    ]
    found = content(FUTURE_ODDS, *answers, bookmakers=("x", "y"))

    assert set(found.rows["oddsFutures"]) == {"oddsFutures/A/x/r", "oddsFutures/A/y/r"}
    assert found.rows["bookmakersFutures"] == {
        "bookmakersFutures/A/x": {"hasOdds": True},
        "bookmakersFutures/A/y": {"hasOdds": True},
    }


def test_the_key_of_a_row_of_futures_is_its_odds_id_of_three_parts_or_of_five() -> None:
    """OP-A29: never taken apart, and no member of the unit."""
    rows = [{"oddsId": "A:x:7", "price": 2}, {"oddsId": "A:x:1:7:0", "price": 3}]
    found = content(FUTURE_ODDS, {"futureId": "A", "bookmakers": {"x": {"odds": rows}}})

    assert found.rows["oddsFutures"] == {
        "oddsFutures/A/x/A:x:7": {"price": 2},
        "oddsFutures/A/x/A:x:1:7:0": {"price": 3},
    }


# Faults.


def futures_body(**members: Any) -> dict[str, Any]:
    return {"futureId": "A", "bookmakers": {"x": {"odds": [], **members}}}


@pytest.mark.parametrize(
    "body",
    [
        None, 7, "x", [], {},
        {"futureId": "A"}, {"futureId": "A", "bookmakers": None},
        {"futureId": "A", "bookmakers": []}, {"bookmakers": {}},
        {"futureId": "B", "bookmakers": {}}, {"fixtureId": "A", "bookmakers": {}},
        {"futureId": "A", "bookmakers": {"x": None}}, {"futureId": "A", "bookmakers": {"x": []}},
        {"futureId": "A", "bookmakers": {"x": {}}},
        futures_body(odds=None), futures_body(odds={}), futures_body(odds={"r": {}}),
        futures_body(odds=[None]), futures_body(odds=["r"]), futures_body(odds=[[]]),
        futures_body(odds=[{}]), futures_body(odds=[{"oddsId": None}]),
        futures_body(odds=[{"oddsId": 7}]), futures_body(odds=[{"oddsId": ""}]),
        futures_body(odds=[{"oddsId": ["r"]}]),
        futures_body(odds=[{"oddsId": "r"}, {"price": 2}]),
        futures_body(odds=[{"oddsId": "r", "price": 1}, {"oddsId": "r", "price": 2}]),
    ],
)  # fmt: skip
def test_odds_of_a_future_of_another_shape_are_no_state(body: Any) -> None:
    assert isinstance(read(FUTURE_ODDS, body), SnapshotFault)


def test_a_row_that_is_told_twice_alike_is_one_row() -> None:
    row = {"oddsId": "r", "price": 1}

    assert content(FUTURE_ODDS, futures_body(odds=[row, row])).rows["oddsFutures"] == {
        "oddsFutures/A/x/r": {"price": 1}
    }


@pytest.mark.parametrize(
    "body",
    [None, 7, "x", {}, [7], [{}], [{"currency": 7}], [{"currency": ""}], [[]], {"EUR": 1},
     {"rates": None}, {"rates": []}, {"rates": {"EUR": "1"}}, {"error": 429, "message": "no"},
     [{"currency": "EUR", "currencyValue": 1}, {"currency": "EUR", "currencyValue": 2}]],
)  # fmt: skip
def test_currencies_of_another_shape_are_no_state(body: Any) -> None:
    assert isinstance(read(CURRENCIES, body), SnapshotFault)


@pytest.mark.parametrize("source", [FIXTURES, FUTURES])
@pytest.mark.parametrize(
    "body",
    [None, 7, {}, "x", [7], [None], [[]], [SPORT], [{**SPORT, "fixtureId": 7, "futureId": 7}],
     [{**SPORT, "fixtureId": "", "futureId": ""}]],
)  # fmt: skip
def test_a_list_of_another_shape_is_no_state(source: SnapshotSource, body: Any) -> None:
    """Nor is it a roster, for who asks for odds alone."""
    assert isinstance(read(source, body), SnapshotFault)
    assert isinstance(read(source, body, channels=("odds", "oddsFutures")), SnapshotFault)


@pytest.mark.parametrize("member", ["clock", "scores"])
@pytest.mark.parametrize("value", [7, "x", [], [{}], False])
def test_a_member_of_another_shape_is_a_fault_where_its_channel_is_asked_for(
    member: str, value: Any
) -> None:
    body = [{"fixtureId": "A", **SPORT, member: value}]
    channel = "clocks" if member == "clock" else "scores"

    assert isinstance(read(FIXTURES, body), SnapshotFault)
    assert isinstance(read(FIXTURES, body, channels=(channel,)), SnapshotFault)


def test_a_member_of_another_shape_costs_nothing_where_nobody_asked_for_its_channel() -> None:
    """INV-L3; and what could not be read must not pass for a state."""
    odd = {"fixtureId": "A", **SPORT, "clock": 7, "scores": {"p1": {}}}
    good = {"fixtureId": "B", **SPORT, "clock": {"stopped": True}}
    rows = content(FIXTURES, [odd, good], channels=DEFAULT_CHANNELS).rows

    assert set(rows) == {"fixtures", "scores", "odds", "bookmakers"}
    assert set(rows["fixtures"]) == {"fixtures/A", "fixtures/B"}
    assert rows["scores"] == {"scores/A/p1": {}}


@pytest.mark.parametrize(
    ("row", "clock"),
    [
        ({}, None),
        ({"clock": None}, None),
        ({"clock": {}}, {}),
        ({"clock": {"currentTime": None}}, {"currentTime": None}),
        ({"clock": {"stopped": False}}, {"stopped": False}),
    ],
)
def test_a_fixture_has_a_clock_when_it_is_an_object(row: dict[str, Any], clock: Any) -> None:
    """Facts 6.4: null, absent, or an object whose members may all be null and then say nothing."""
    rows = content(FIXTURES, [{"fixtureId": "A", **SPORT, **row}]).rows

    assert rows["clocks"] == ({} if clock is None else {"clocks/A": clock})
    assert rows["fixtures"] == {"fixtures/A": {"fixtureId": "A", **SPORT}}


def test_a_future_is_listed_without_its_bookmakers() -> None:
    """Facts 6.0: the channels of the bookmakers know better."""
    rows = content(FUTURES, [{"futureId": "A", **SPORT, "bookmakers": {"x": {}}}]).rows

    assert rows["futures"] == {"futures/A": {"futureId": "A", **SPORT}}
