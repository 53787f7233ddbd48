"""The table of channels: what the units of each are, when they changed, and which are shown."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastseen import Entry, OddsPapi, PayloadError, Replica
from lastseen.dialect import ScopeKind
from lastseen.dialects.oddspapi import DEFAULT_CHANNELS, SNAPSHOT_CHANNELS
from lastseen.dialects.oddspapi.channels import (
    CHANNELS,
    read_units,
    restored_by,
    stamp_of,
    traits_of,
    view,
)

LIVE_ONLY = ("events", "stats", "injuries", "lineups", "nope")
ISO = "2026-09-21T14:13:24.5+00:00"


def entry(channel: str, payload: Any, entity: str | None = None) -> Entry:
    return Entry(channel=channel, entity=entity, id="1-1", raw=msgspec.json.encode(payload))


def test_every_documented_channel_is_in_the_table() -> None:
    """Facts 2.1."""
    assert set(CHANNELS) == {
        "fixtures", "futures", "bookmakers", "bookmakersFutures", "odds", "oddsFutures", "scores",
        "currencies", "stats", "events", "injuries", "lineups", "clocks",
    }  # fmt: skip
    assert set(CHANNELS) - set(SNAPSHOT_CHANNELS) == set(LIVE_ONLY) - {"nope"}
    assert DEFAULT_CHANNELS == ("fixtures", "scores", "odds", "bookmakers")


@pytest.mark.parametrize(
    ("kind", "channels"),
    [
        ("fixtures", {"fixtures", "scores", "clocks", "odds", "bookmakers"}),
        ("odds", {"odds", "bookmakers"}),
        ("futures", {"futures", "oddsFutures", "bookmakersFutures"}),
        ("future_odds", {"oddsFutures", "bookmakersFutures"}),
        ("currencies", {"currencies"}),
        ("nope", set()),
    ],
)
def test_each_fetch_restores_its_channels(kind: str, channels: set[str]) -> None:
    assert set(restored_by(kind)) == channels


CLOCK = {"currentPeriod": "p1", "currentTime": "02:40", "stopped": False}
UNITS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "fixtures",
        {"fixtureId": "A", "startTime": 1, "scores": {}, "clock": CLOCK, "bookmakers": {"x": {}}},
        {"fixtures/A": {"fixtureId": "A", "startTime": 1}},
    ),
    (
        "scores",
        {"fixtureId": "A", "scores": {"p1": {"period": "p1"}, "result": {}}},
        {"scores/A/p1": {"period": "p1"}, "scores/A/result": {}},
    ),
    ("clocks", {"fixtureId": "A", "clock": CLOCK}, {"clocks/A": CLOCK}),
    ("clocks", {"fixtureId": "A", "clock": {"stopped": None}}, {"clocks/A": {"stopped": None}}),
    ("clocks", {"fixtureId": "A", "clock": None}, {"clocks/A": {}}),
    (
        "odds",
        {"fixtureId": "A", "odds": {"x": {"A:x:1:0": {"price": 2}}, "y": {}}},
        {"odds/A/x/A:x:1:0": {"price": 2}},
    ),
    (
        "bookmakers",
        {"fixtureId": "A", "bookmakers": {"x": {"hasOdds": True}}},
        {"bookmakers/A/x": {"hasOdds": True}},
    ),
    (
        "futures",
        {"futureId": "F", "market": None, "participants": [], "bookmakers": {"x": {}}},
        {"futures/F": {"futureId": "F", "market": None, "participants": []}},
    ),
    (
        "oddsFutures",
        {"futureId": "F", "oddsFutures": {"x": {"F:x:7": {"price": 2}, "F:x:1:7:0": {}}}},
        {"oddsFutures/F/x/F:x:7": {"price": 2}, "oddsFutures/F/x/F:x:1:7:0": {}},
    ),
    (
        "bookmakersFutures",
        {"futureId": "F", "bookmakers": {"x": {"suspended": False}}},
        {"bookmakersFutures/F/x": {"suspended": False}},
    ),
    (
        "currencies",
        {"EUR": {"currency": "EUR", "currencyValue": 0.5}},
        {"currencies/EUR": {"currency": "EUR", "currencyValue": Decimal("0.5")}},
    ),
    (
        "currencies",
        {"rates": {"EUR": 0.5, "JPY": 150}, "base": "USD"},
        {"currencies/EUR": Decimal("0.5"), "currencies/JPY": 150},
    ),
    ("currencies", {"rates": {}}, {}),
    ("currencies", {}, {}),
    *((channel, {"fixtureId": "A", channel: [1]}, {}) for channel in LIVE_ONLY),
    *((channel, {}, {}) for channel in LIVE_ONLY),
]


@pytest.mark.parametrize(("channel", "payload", "units"), UNITS)
def test_the_units_of_an_update(
    channel: str, payload: dict[str, Any], units: dict[str, Any]
) -> None:
    """Facts 6.0 to 6.8; OP-A14, OP-A29."""
    entity = None
    if traits_of(channel).kind is ScopeKind.PER_ENTITY:
        entity = payload.get("fixtureId", payload.get("futureId"))

    assert OddsPapi().units(entry(channel, payload, entity)) == units


@pytest.mark.parametrize("value", [None, 7, "x", [], [{}], {"x": 7}, {"x": None}, {"x": []}])
@pytest.mark.parametrize(
    ("channel", "name", "member"),
    [
        ("scores", "fixtureId", "scores"),
        ("odds", "fixtureId", "odds"),
        ("bookmakers", "fixtureId", "bookmakers"),
        ("oddsFutures", "futureId", "oddsFutures"),
        ("bookmakersFutures", "futureId", "bookmakers"),
    ],
)
def test_a_payload_without_its_items_is_refused(
    channel: str, name: str, member: str, value: Any
) -> None:
    with pytest.raises(PayloadError):
        read_units(channel, {name: "A", member: value})


@pytest.mark.parametrize("row", [None, 7, "x", []])
@pytest.mark.parametrize(("channel", "name"), [("odds", "fixtureId"), ("oddsFutures", "futureId")])
def test_a_row_that_is_no_object_is_refused(channel: str, name: str, row: Any) -> None:
    with pytest.raises(PayloadError):
        read_units(channel, {name: "A", channel: {"x": {"r": row}}})


@pytest.mark.parametrize("payload", [{}, {"clock": 7}, {"clock": []}, {"clock": False}])
def test_an_update_of_a_clock_without_a_clock_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(PayloadError, match="clock"):
        read_units("clocks", {"fixtureId": "A", **payload})


@pytest.mark.parametrize(
    "payload",
    [{"rates": None}, {"rates": []}, {"rates": {"EUR": None}}, {"rates": {"EUR": True}},
     {"rates": {"EUR": "1"}}, {"rates": {"EUR": {"currencyValue": 1}}}, {"rates": {"EUR": []}},
     {"EUR": 1}, {"EUR": None}, {"EUR": {}, "JPY": []}],
)  # fmt: skip
def test_currencies_in_neither_shape_are_refused(payload: dict[str, Any]) -> None:
    """OP-A14."""
    with pytest.raises(PayloadError):
        read_units("currencies", payload)


@pytest.mark.parametrize("name", [None, "", 7, [], {}])
@pytest.mark.parametrize(
    "channel", [name for name in SNAPSHOT_CHANNELS if CHANNELS[name].family is not None]
)
def test_an_update_about_nothing_is_refused(channel: str, name: Any) -> None:
    payload = {"fixtureId": name, "futureId": name, "clock": {}, "scores": {}, "bookmakers": {}}
    with pytest.raises(PayloadError):
        read_units(channel, {**payload, "odds": {}, "oddsFutures": {}})


@pytest.mark.parametrize(
    ("channel", "payload"),
    [
        ("odds", {"fixtureId": "B", "futureId": "A", "odds": {}}),
        ("oddsFutures", {"futureId": "G", "fixtureId": "A", "oddsFutures": {}}),
    ],
)
def test_a_payload_about_another_entity_than_its_entry_is_refused(
    channel: str, payload: dict[str, Any]
) -> None:
    """HZ-J11: a payload that names two fixtures, or two futures."""
    with pytest.raises(PayloadError, match="two"):
        OddsPapi().units(entry(channel, payload, "A"))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["rates", "odds", "oddsFutures", "scores", "clock", "bookmakers", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(
    st.sampled_from([*CHANNELS, "nope"]),
    st.dictionaries(
        st.sampled_from(
            ["rates", "odds", "oddsFutures", "scores", "clock", "bookmakers", "EUR", "status"]
        ),
        junk,
        max_size=4,
    ),
)
def test_any_payload_has_units_or_is_refused(channel: str, payload: dict[str, Any]) -> None:
    """INV-S17; and whatever the units are, they can be dated and shown."""
    try:
        units = read_units(channel, {"fixtureId": "A", "futureId": "A", **payload})
    except PayloadError:
        return
    assert all(key.partition("/")[0] == channel for key in units)
    for value in units.values():
        stamp_of(channel, value)
    view(units)


@pytest.mark.parametrize(
    ("channel", "value", "stamp"),
    [
        ("odds", {"changedAt": 5}, 5),
        ("odds", {"changedAt": "5"}, None),
        ("odds", {"changedAt": True}, None),
        ("odds", {"updatedAt": ISO}, None),
        ("oddsFutures", {"changedAt": 5}, 5),
        ("oddsFutures", {}, None),
        ("scores", {"updatedAt": ISO}, "2026-09-21T14:13:24.500000000"),
        ("bookmakers", {"updatedAt": "2026-09-21T14:13:24Z"}, "2026-09-21T14:13:24.000000000"),
        ("bookmakersFutures", {"updatedAt": ISO}, "2026-09-21T14:13:24.500000000"),
        ("bookmakersFutures", {"changedAt": 5}, None),
        ("currencies", {"updatedAt": ISO}, "2026-09-21T14:13:24.500000000"),
        ("currencies", {"updatedAt": 7}, None),
        ("currencies", Decimal("0.91"), None),
        ("currencies", 7, None),
        ("scores", {"updatedAt": "2026-09-21T14:13:24"}, None),
        ("scores", {"updatedAt": "2026-09-21 14:13+00:00"}, None),
        ("scores", {"updatedAt": None}, None),
        ("fixtures", {"updatedAt": ISO, "changedAt": 5}, None),
        ("futures", {"updatedAt": ISO, "changedAt": 5}, None),
        ("clocks", {"updatedAt": ISO, "changedAt": 5}, None),
        ("events", {"updatedAt": ISO, "changedAt": 5}, None),
    ],
)
def test_the_own_time_of_a_unit(channel: str, value: Any, stamp: Any) -> None:
    """OP-A6, OP-A30: milliseconds for odds, ISO text elsewhere."""
    assert stamp_of(channel, value) == stamp
    assert OddsPapi().stamp(channel, value) == stamp


def over(status: Any) -> dict[str, Any]:
    return {"status": {"statusId": status}}


@pytest.mark.parametrize("status", [2, 3])
@pytest.mark.parametrize(
    ("roster", "rows", "statuses"),
    [("fixtures", "odds", "bookmakers"), ("futures", "oddsFutures", "bookmakersFutures")],
)
def test_odds_of_what_is_over_are_not_shown(
    roster: str, rows: str, statuses: str, status: int
) -> None:
    """Facts 5."""
    other = {f"{rows}/B/x/r": {"active": True}, f"{statuses}/B/x": {}}
    shown = {f"{roster}/A": over(status), f"{roster}/B": over(1), "scores/A/p1": {}, **other}

    assert view({**shown, f"{rows}/A/x/r": {"active": True}, f"{statuses}/A/x": {}}) == shown


def test_a_fixture_that_is_over_hides_nothing_of_a_future_and_the_other_way_round() -> None:
    units: dict[str, Any] = {
        "fixtures/A": over(2), "oddsFutures/A/x/r": {}, "bookmakersFutures/A/x": {},
        "futures/B": over(2), "odds/B/x/r": {}, "bookmakers/B/x": {},
    }  # fmt: skip

    assert view(units) == units


@pytest.mark.parametrize("status", [None, "2", True, 2.0, [2], {}])
def test_a_status_of_another_shape_ends_nothing(status: Any) -> None:
    units = {"futures/A": over(status), "oddsFutures/A/x/r": {}}

    assert view(units) == units


@pytest.mark.parametrize("channel", ["odds", "oddsFutures"])
def test_only_rows_that_say_so_are_inactive(channel: str) -> None:
    """OP-A27."""
    shown: dict[str, Any] = {f"{channel}/A/x/{n}": {"active": a} for n, a in enumerate((True, 0))}
    shown[f"{channel}/A/x/none"] = {}

    assert view({**shown, f"{channel}/A/x/off": {"active": False}}) == shown


def test_a_clock_of_nothing_but_nulls_is_none() -> None:
    """Facts 6.4: a fixture without a clock has null, or an object that says nothing."""
    shown: dict[str, Any] = {
        "clocks/A": {"stopped": False, "currentTime": None}, "clocks/B": {"currentTime": ""},
        "clocks/E": 7, "fixtures/A": {}, "scores/A/p1": {"s": None}, "stats/A": {},
    }  # fmt: skip
    blank: dict[str, Any] = {"clocks/C": {}, "clocks/D": {"stopped": None, "currentTime": None}}

    assert view({**shown, **blank}) == shown


@pytest.mark.parametrize("clock", [None, {}, {"currentTime": None}])
def test_a_clock_that_is_taken_away_is_gone(clock: Any) -> None:
    replica = Replica(OddsPapi())
    replica.apply(entry("clocks", {"fixtureId": "A", "clock": CLOCK}))
    replica.apply(entry("clocks", {"fixtureId": "A", "clock": clock}))

    assert replica.state() == {}


def test_what_is_no_row_of_odds_is_shown_whatever_it_says() -> None:
    units: dict[str, Any] = {
        "currencies/EUR": Decimal("0.91"), "currencies/JPY": {"active": False},
        "scores/A/p1": {"active": False}, "bookmakersFutures/A/x": {"active": False},
        "nope/A": 7,
    }  # fmt: skip

    assert view(units) == units


def test_a_replica_keeps_currencies_of_either_shape() -> None:
    """OP-A14: the value is what was received, a number or an object."""
    replica = Replica(OddsPapi())
    replica.apply(entry("currencies", {"rates": {"EUR": 0.5, "JPY": 150}}))
    replica.apply(entry("currencies", {"EUR": {"currencyValue": 0.75}}))

    assert replica.state() == {
        "currencies/EUR": {"currencyValue": Decimal("0.75")},
        "currencies/JPY": 150,
    }


@pytest.mark.parametrize("channel", LIVE_ONLY)
def test_a_live_only_update_is_no_part_of_a_replica(channel: str) -> None:
    replica = Replica(OddsPapi())
    replica.apply(entry(channel, {"fixtureId": "A", channel: {"x": {}}}))

    assert replica.state() == {}
