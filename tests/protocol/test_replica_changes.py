"""What a tracked replica says of its changes is enough to bring any copy up to date."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lastseen import (
    Entry,
    Event,
    OddsPapi,
    Proof,
    Replica,
    ReplicaChanges,
    ScopeImage,
    Secret,
    StateSnapshot,
    Unit,
)

DIALECT = OddsPapi(key=Secret("k"))
FIXTURES = ("A", "B", "C")
ROWS = ("r1", "r2", "r3")

Copy = dict[tuple[str, str | None], tuple[bool, dict[str, Unit]]]


def update(fixture: str, row: str, price: int, changed: int) -> Entry:
    rows = {row: {"price": price, "active": True, "changedAt": changed}}
    payload = {"fixtureId": fixture, "odds": {"pin": rows}}
    return Entry(channel="odds", entity=fixture, id="1-1", raw=json.dumps(payload).encode())


def period(fixture: str, name: str, score: int) -> Entry:
    payload = {"fixtureId": fixture, "scores": {name: {"s": score}}}
    return Entry(channel="scores", id="1-1", raw=json.dumps(payload).encode())


@st.composite
def events(draw: st.DrawFn) -> Event:
    fixture, number = draw(st.sampled_from(FIXTURES)), draw(st.integers(0, 9))
    match draw(st.sampled_from(("odds", "scores", "snapshot", "whole", "roster"))):
        case "odds":
            return update(fixture, draw(st.sampled_from(ROWS)), number, draw(st.integers(0, 9)))
        case "scores":
            return period(fixture, draw(st.sampled_from(ROWS)), number)
        case "snapshot":
            rows = draw(st.sets(st.sampled_from(ROWS)))
            return StateSnapshot(
                channel="odds",
                entity=fixture,
                rows={
                    f"odds/{fixture}/pin/{row}": {"price": number, "active": True, "changedAt": 5}
                    for row in rows
                },
                overlay=(update(fixture, "r1", 77, 9),) if draw(st.booleans()) else (),
                proof=draw(st.sampled_from(Proof)),
            )
        case "whole":
            rows = draw(st.sets(st.sampled_from(ROWS)))
            return StateSnapshot(
                channel="scores",
                entity=None,
                rows={f"scores/{fixture}/{row}": {"s": number} for row in rows},
            )
        case _:
            left = draw(st.sets(st.sampled_from(FIXTURES)))
            return StateSnapshot(channel="odds", entity=None, rows={}, entities=frozenset(left))


def bring(copy: Copy, changes: ReplicaChanges) -> None:
    touched = [*changes.replaced, *changes.removed, *changes.written]
    assert len(touched) == len(set(touched))
    for name in changes.removed:
        copy.pop(name, None)
    for name, image in changes.replaced.items():
        copy[name] = image.unproven, dict(image.units)
    for name, units in changes.written.items():
        # Only what the copy has can have been written to; anything else was replaced.
        copy[name][1].update(units)


def picture(replica: Replica) -> Copy:
    return {
        name: (name in replica._unproven, dict(scope)) for name, scope in replica._scopes.items()
    }


@given(st.lists(st.one_of(events(), st.sampled_from(("take", "fail"))), max_size=40))
def test_a_copy_that_follows_the_changes_is_the_replica(steps: list[Any]) -> None:
    replica, copy = Replica(DIALECT, tracked=True), Copy()
    for step in steps:
        if step == "take":
            bring(copy, replica.take_changes())
            assert copy == picture(replica)
        elif step == "fail":
            # What came after the failed taking is part of the next, with what failed.
            replica.put_back(replica.take_changes())
        else:
            replica.apply(step)
    bring(copy, replica.take_changes())

    assert copy == picture(replica)
    assert not replica.take_changes()


@given(st.lists(events(), max_size=20), st.lists(events(), max_size=20))
def test_changes_put_back_later_join_those_made_meanwhile(
    before: list[Event], after: list[Event]
) -> None:
    replica, copy = Replica(DIALECT, tracked=True), Copy()
    for event in before:
        replica.apply(event)
    failed = replica.take_changes()
    for event in after:
        replica.apply(event)
    replica.put_back(failed)
    bring(copy, replica.take_changes())

    assert copy == picture(replica)


@given(st.lists(events(), max_size=20), st.lists(events(), max_size=20))
def test_a_loaded_replica_goes_on_as_the_one_that_was_kept(
    before: list[Event], after: list[Event]
) -> None:
    """Also where an unproven base decides by a unit's own time (OP-A6)."""
    replica, copy = Replica(DIALECT, tracked=True), Copy()
    for event in before:
        replica.apply(event)
    bring(copy, replica.take_changes())
    other = Replica(DIALECT)
    other.load(
        {name: ScopeImage(unproven=flag, units=units) for name, (flag, units) in copy.items()}
    )
    for event in after:
        replica.apply(event)
        other.apply(event)

    assert picture(other) == picture(replica)
    assert not other.take_changes()


def test_an_untracked_replica_remembers_no_changes() -> None:
    replica = Replica(DIALECT)
    replica.apply(update("A", "r1", 1, 1))

    assert not replica.take_changes()
