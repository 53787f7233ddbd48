"""The reference copy: replace at the unit, merge down to it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from lastseen import Entry, OddsPapi, PayloadError, Proof, Replica, Secret, StateSnapshot

DIALECT = OddsPapi(key=Secret("k"))


def entry(channel: str, payload: Any, entity: str | None = None) -> Entry:
    return Entry(channel=channel, entity=entity, id="1-1", raw=json.dumps(payload).encode())


def odds(rows: dict[str, Any], *, book: str = "pin", fixture: str = "A") -> Entry:
    return entry("odds", {"fixtureId": fixture, "odds": {book: rows}}, fixture)


def row(price: float, changed: int | None = None, **more: Any) -> dict[str, Any]:
    stamp = {} if changed is None else {"changedAt": changed}
    return {"price": price, "active": True, **stamp, **more}


def base(
    rows: dict[str, Any], channel: str = "odds", entity: str | None = "A", **more: Any
) -> StateSnapshot:
    return StateSnapshot(channel=channel, entity=entity, rows=rows, **more)


def test_an_update_leaves_its_siblings_alone() -> None:
    """Facts 6.0: rows, periods and books are the units."""
    replica = Replica(DIALECT)
    replica.apply(odds({"r1": row(1), "r2": row(2)}))
    replica.apply(odds({"r1": row(3)}))
    replica.apply(odds({"r1": row(4)}, book="stake"))

    assert {key: unit["price"] for key, unit in replica.state().items()} == {
        "odds/A/pin/r1": 3, "odds/A/pin/r2": 2, "odds/A/stake/r1": 4,
    }  # fmt: skip


@pytest.mark.parametrize(("keep", "limit"), [(False, None), (True, 10)])
def test_an_omitted_member_is_gone_or_kept(keep: bool, limit: int | None) -> None:
    """OP-A26, both ways."""
    replica = Replica(DIALECT, keep_omitted=keep)
    replica.apply(odds({"r": row(1, limit=10)}))
    replica.apply(odds({"r": row(2)}))

    unit = replica.state()["odds/A/pin/r"]
    assert (unit["price"], unit.get("limit")) == (2, limit)


def test_a_fixture_does_not_overwrite_what_other_channels_built() -> None:
    """Facts 6.0, fourth consequence."""
    replica = Replica(DIALECT)
    replica.apply(entry("scores", {"fixtureId": "A", "scores": {"p1": {"s": 3}}}))
    replica.apply(
        entry("fixtures", {"fixtureId": "A", "scores": {}, "clock": None, "bookmakers": {}, "x": 1})
    )

    assert replica.state() == {
        "scores/A/p1": {"s": 3}, "fixtures/A": {"fixtureId": "A", "x": 1},
    }  # fmt: skip


def test_a_snapshot_replaces_its_own_scope_only() -> None:
    """HZ-C7."""
    replica = Replica(DIALECT)
    replica.apply(odds({"r": row(1)}))
    replica.apply(odds({"r": row(1)}, fixture="B"))
    replica.apply(base({"odds/A/pin/new": row(9)}))

    assert set(replica.state()) == {"odds/A/pin/new", "odds/B/pin/r"}


def test_a_roster_forgets_the_others() -> None:
    replica = Replica(DIALECT)
    for fixture in "AB":
        replica.apply(odds({"r": row(1)}, fixture=fixture))
    replica.apply(base({}, entity=None, entities=frozenset("B")))

    assert set(replica.state()) == {"odds/B/pin/r"}


@pytest.mark.parametrize(("proof", "price"), [(Proof.UNPROVEN, 5), (Proof.PROVEN, 4)])
def test_against_an_unproven_base_the_units_own_time_decides(proof: Proof, price: int) -> None:
    """OP-A6, OP-A25: the base may already hold what a later entry says."""
    replica = Replica(DIALECT)
    replica.apply(base({"odds/A/pin/r": row(5, 200)}, proof=proof))
    replica.apply(odds({"r": row(4, 100)}))

    assert replica.state()["odds/A/pin/r"]["price"] == price


def test_between_entries_the_order_of_delivery_decides() -> None:
    replica = Replica(DIALECT)
    replica.apply(base({"odds/A/pin/r": row(5, 200)}))
    replica.apply(odds({"r": row(6, 300)}))
    replica.apply(odds({"r": row(7, 250)}))

    assert replica.state()["odds/A/pin/r"]["price"] == 7


@pytest.mark.parametrize(
    ("ours", "theirs", "kept"),
    [
        ("2026-01-01T00:00:00.000000+00:00", "2026-01-01T00:00:00.000001+00:00", False),
        ("2026-01-01T00:00:00.5+00:00", "2026-01-01T00:00:00.499999+00:00", True),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001+00:00", False),
        ("2026-01-01T00:00:01Z", "2026-01-01T00:00:00.999999+00:00", True),
        ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.000000+00:00", True),
        ("2026-01-01T01:00:00+02:00", "2026-01-01T00:00:00+00:00", True),
        ("soon", "2026-01-01T00:00:00+00:00", True),
    ],
)
def test_scores_order_by_their_iso_times(ours: str, theirs: str, kept: bool) -> None:
    """OP-A30; a tie, and a time that cannot be compared, goes to the stream."""
    replica = Replica(DIALECT)
    replica.apply(base({"scores/A/p1": {"updatedAt": theirs, "s": 0}}, "scores", None))
    replica.apply(
        entry("scores", {"fixtureId": "A", "scores": {"p1": {"updatedAt": ours, "s": 1}}})
    )

    assert replica.state()["scores/A/p1"]["s"] == int(kept)


def test_an_overlay_is_applied_in_the_same_step() -> None:
    """INV-S9, and a unit's own time decides there as well."""
    replica = Replica(DIALECT)
    replica.apply(odds({"old": row(1)}))
    replica.apply(
        base(
            {"odds/A/pin/r": row(5, 200), "odds/A/pin/s": row(5, 200)},
            overlay=(odds({"r": row(6, 300), "s": row(4, 100)}),),
        )
    )

    assert {k: v["price"] for k, v in replica.state().items()} == {
        "odds/A/pin/r": 6, "odds/A/pin/s": 5,
    }  # fmt: skip


def test_an_entry_of_an_overlay_that_cannot_be_read_is_left_out() -> None:
    """It was delivered before; the application rejects it there, and cannot reject a snapshot."""
    replica = Replica(DIALECT)
    poison = entry("odds", {"fixtureId": "A", "odds": 7}, "A")
    replica.apply(base({"odds/A/pin/r": row(5)}, overlay=(poison, odds({"s": row(6)}))))

    assert {k: v["price"] for k, v in replica.state().items()} == {
        "odds/A/pin/r": 5, "odds/A/pin/s": 6,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("channel", "payload"),
    [
        ("odds", {"fixtureId": "A", "odds": {"pin": {"r": row(1)}, "stake": 7}}),
        ("odds", {"fixtureId": "A", "odds": {"pin": {"r": row(1), "s": 7}}}),
        ("odds", {"fixtureId": "B", "odds": {}}),
        ("odds", {"odds": {}}),
        ("scores", {"fixtureId": 7, "scores": {}}),
        ("scores", {"fixtureId": "A"}),
        ("bookmakers", {"fixtureId": "A", "bookmakers": []}),
        ("fixtures", {}),
        ("fixtures", {"fixtureId": ""}),
    ],
)
def test_a_payload_of_another_shape_changes_nothing(channel: str, payload: Any) -> None:
    replica = Replica(DIALECT)
    before = replica.state()
    entity = "A" if channel in ("odds", "bookmakers") else None

    with pytest.raises(PayloadError):
        replica.apply(entry(channel, payload, entity))
    assert replica.state() == before
    assert len(replica) == 0


def test_inactive_rows_and_odds_of_finished_fixtures_are_not_shown() -> None:
    """OP-A27, facts 5."""
    replica = Replica(DIALECT)
    replica.apply(odds({"r": row(1), "s": {"price": 1, "active": False}}))
    replica.apply(odds({"r": row(1)}, fixture="B"))
    replica.apply(entry("fixtures", {"fixtureId": "B", "status": {"statusId": 2}}))

    assert set(replica.state()) == {"odds/A/pin/r", "fixtures/B"}
    assert len(replica) == 4


@pytest.mark.parametrize("status", [[], {}, None, "2", 2.5, True, {"statusId": []}])
def test_a_status_of_another_shape_hides_nothing(status: Any) -> None:
    """HZ-J2: reading the state never raises."""
    replica = Replica(DIALECT)
    replica.apply(odds({"r": row(1)}))
    for value in (status, {"statusId": status}):
        replica.apply(entry("fixtures", {"fixtureId": "A", "status": value}))

        assert "odds/A/pin/r" in replica.state()


def test_prices_keep_their_text() -> None:
    """HZ-J16."""
    replica = Replica(DIALECT)
    raw = b'{"fixtureId":"A","odds":{"pin":{"r":{"price":1.90,"active":true}}}}'
    replica.apply(Entry(channel="odds", entity="A", raw=raw))

    assert str(replica.state()["odds/A/pin/r"]["price"]) == "1.90"
    assert type(replica.state()["odds/A/pin/r"]["price"]) is Decimal


def test_other_events_and_channels_without_units_change_nothing() -> None:
    replica = Replica(DIALECT)
    replica.apply(entry("events", {"anything": 1}))

    assert replica.state() == {}
