"""Client against truth, unit by unit."""

from decimal import Decimal
from typing import Any

import pytest

from lastseen_simulator.verdict import ChannelVerdict, compare

CHANNELS = (
    "fixtures", "scores", "clocks", "odds", "bookmakers",
    "futures", "oddsFutures", "bookmakersFutures", "currencies",
)  # fmt: skip
ROW = {"bookmaker": "stake", "price": Decimal("1.90"), "active": True, "limit": None}


def truth(**units: Any) -> dict[str, Any]:
    return {
        "fixtures/f1": {"fixtureId": "f1", "status": {"statusId": 1}},
        "scores/f1/p1": {"participant1Score": 1},
        "odds/f1/stake/a": dict(ROW),
        "bookmakers/f1/stake": {"hasOdds": True},
        "clocks/f1": {"currentTime": "01:00", "stopped": False},
        "futures/g1": {"futureId": "g1", "status": {"statusId": 0}},
        "oddsFutures/g1/stake/a": dict(ROW),
        "bookmakersFutures/g1/stake": {"hasOdds": True},
        "currencies/EUR": {"currencyValue": 0.91},
        **units,
    }


def judge(client: dict[str, Any], true: dict[str, Any] | None = None) -> dict[str, ChannelVerdict]:
    verdicts = compare(client, truth() if true is None else true, CHANNELS)
    return {verdict.channel: verdict for verdict in verdicts}


def differences(
    client: dict[str, Any], true: dict[str, Any] | None = None
) -> dict[str, str | None]:
    found = judge(client, true)
    return {name: verdict.difference for name, verdict in found.items() if not verdict.equal}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in truth().items() if name != key}


def test_equal_states_are_equal_in_every_channel_and_counted() -> None:
    verdicts = judge(truth())

    assert list(verdicts) == list(CHANNELS)
    assert all(verdict.equal and verdict.units == 1 for verdict in verdicts.values())


def test_a_missing_unit_is_named_in_its_channel_only() -> None:
    assert differences(without("scores/f1/p1")) == {"scores": "scores/f1/p1 is missing"}


def test_a_unit_too_many_is_named() -> None:
    extra = {"odds/f1/stake/b": dict(ROW)}

    assert differences(truth(**extra)) == {"odds": "odds/f1/stake/b should not be there"}


def test_a_different_member_is_named_with_both_values() -> None:
    wrong = {"scores/f1/p1": {"participant1Score": 2}}

    assert differences(truth(**wrong)) == {
        "scores": "scores/f1/p1: participant1Score is 2, should be 1"
    }


def test_the_first_difference_is_told_and_is_short() -> None:
    wrong = {"fixtures/f0": {}, "fixtures/f1": {"name": "x" * 1000}}
    found = judge(truth(**wrong))["fixtures"].difference

    assert found == "fixtures/f0 should not be there"
    shown = judge(truth(**{"fixtures/f1": {"name": "x" * 1000}}))["fixtures"].difference
    assert shown is not None
    assert len(shown) <= 200


def test_numbers_are_compared_by_value_whoever_spelled_them() -> None:
    same: tuple[Any, ...] = (Decimal("1.9"), 1.9, Decimal("1.900"))
    other: tuple[Any, ...] = (Decimal("1.91"), 1.91, "1.90", None)

    for price in same:
        assert not differences(truth(**{"odds/f1/stake/a": {**ROW, "price": price}}))
    for price in other:
        assert "odds" in differences(truth(**{"odds/f1/stake/a": {**ROW, "price": price}}))


def test_a_float_is_the_number_it_prints_as() -> None:
    """MessagePack has prices as floats; 0.1 is meant as 0.1."""
    units = {"odds/f1/stake/a": {"price": Decimal("0.1")}}

    assert not differences(truth(**{"odds/f1/stake/a": {"price": 0.1}}), truth(**units))


def test_true_is_not_1() -> None:
    assert "odds" in differences(truth(**{"odds/f1/stake/a": {**ROW, "active": 1}}))


def test_a_member_that_is_null_equals_one_that_is_absent() -> None:
    row = {name: value for name, value in ROW.items() if name != "limit"}

    assert not differences(truth(**{"odds/f1/stake/a": row}))
    assert "odds" in differences(truth(**{"odds/f1/stake/a": {**row, "limit": 5}}))


def test_values_inside_values_are_compared() -> None:
    def fixture(names: list[str]) -> dict[str, Any]:
        return {"fixtures/f1": {"status": {"statusId": 1}, "participants": names}}

    same = differences(truth(**fixture(["a", "b"])), truth(**fixture(["a", "b"])))
    other = differences(truth(**fixture(["b", "a"])), truth(**fixture(["a", "b"])))

    assert not same
    assert "participants" in (other["fixtures"] or "")


@pytest.mark.parametrize("status_id", [2, 3])
@pytest.mark.parametrize(
    ("root", "gated"),
    [
        ("fixtures/f1", ("odds/f1/stake/a", "bookmakers/f1/stake")),
        ("futures/g1", ("oddsFutures/g1/stake/a", "bookmakersFutures/g1/stake")),
    ],
)
def test_odds_and_bookmakers_of_what_is_over_are_nobody_s_business(
    root: str, gated: tuple[str, ...], status_id: int
) -> None:
    over = {root: {"status": {"statusId": status_id}}}
    true = {key: value for key, value in truth(**over).items() if key not in gated}

    assert not differences(truth(**over), true)
    live = {root: {"status": {"statusId": 1}}}
    assert len(differences(truth(**live), true | live)) == 2


def test_a_status_of_another_shape_ends_nothing() -> None:
    for status in (None, 2, "over", {"statusId": "2"}):
        odd = {"fixtures/f1": {"status": status}, "futures/g1": 7}

        assert not differences(truth(**odd), truth(**odd))
        assert differences(truth(**odd, **{"odds/f1/stake/b": {}}), truth(**odd))


def test_a_rate_may_be_a_bare_number() -> None:
    for same in (0.91, Decimal("0.910")):
        assert not differences(truth(**{"currencies/EUR": same}), truth(**{"currencies/EUR": 0.91}))
    found = differences(truth(**{"currencies/EUR": 0.92}), truth(**{"currencies/EUR": 0.91}))
    assert found == {"currencies": "currencies/EUR: 0.92 should be 0.91"}


@pytest.mark.parametrize("blank", [{}, {"currentTime": None, "stopped": None}, None])
def test_a_clock_of_nothing_but_nulls_is_no_clock(blank: Any) -> None:
    clocks = {"clocks/f2": blank}

    assert not differences(truth(**clocks))
    assert not differences(truth(), truth(**clocks))
    assert "clocks" in differences(truth(**{"clocks/f1": blank}))
    assert "clocks" in differences(truth(**{"clocks/f2": {"stopped": False}}))


def test_scores_of_finished_fixtures_still_count() -> None:
    over = {"fixtures/f1": {"fixtureId": "f1", "status": {"statusId": 2}}}
    true = truth(**over)
    client = {key: value for key, value in true.items() if not key.startswith("scores/")}

    assert "scores" in differences(client, true)


def test_odds_of_a_fixture_that_only_the_client_calls_finished_are_compared() -> None:
    client = without("odds/f1/stake/a")
    client["fixtures/f1"] = {"fixtureId": "f1", "status": {"statusId": 2}}

    assert differences(client)["odds"] == "odds/f1/stake/a is missing"


def test_only_the_channels_asked_for_are_judged() -> None:
    (verdict,) = compare({}, truth(), ("scores",))

    assert (verdict.channel, verdict.difference) == ("scores", "scores/f1/p1 is missing")


def test_a_channel_is_told_from_another_whose_name_begins_alike() -> None:
    (verdict,) = compare({"oddsFutures/x/y/z": {}}, {}, ("odds",))

    assert verdict.equal
    assert verdict.units == 0
