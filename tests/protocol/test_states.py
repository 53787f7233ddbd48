"""The lifecycles as tables, over their whole product."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastseen.connections import Connection
from lastseen.delivery import Delivery
from lastseen.hold import Hold, Share
from lastseen.liveness import Liveness
from lastseen.scopes import Scope
from lastseen.snapshots import ScopeKey
from lastseen.states import (
    CONNECTION_TRANSITIONS,
    SCOPE_TRANSITIONS,
    STREAM_TRANSITIONS,
    ConnectionInput,
    ConnectionState,
    ScopeInput,
    ScopeState,
    StreamInput,
)

TABLES = [
    (CONNECTION_TRANSITIONS, ConnectionState, ConnectionInput, [ConnectionState.CONNECTING]),
    (SCOPE_TRANSITIONS, ScopeState, ScopeInput, [ScopeState.COLD, ScopeState.LIVE_ONLY]),
    (STREAM_TRANSITIONS, ScopeState, StreamInput, [ScopeState.COLD]),
]
Table = Mapping[tuple[Any, Any], Any]


def reachable(table: Table, starts: list[Any]) -> set[Any]:
    seen, frontier = set(starts), list(starts)
    while frontier:
        state = frontier.pop()
        for (before, _), after in table.items():
            if before is state and after not in seen:
                seen.add(after)
                frontier.append(after)
    return seen


@pytest.mark.parametrize(("table", "states", "inputs", "starts"), TABLES)
def test_every_state_is_reached_and_every_input_used(
    table: Table, states: type[Enum], inputs: type[Enum], starts: list[Any]
) -> None:
    # A restored scope starts in RESUMING; it is reached from COLD all the same.
    assert reachable(table, starts) == set(states)
    assert {what for _, what in table} == set(inputs)


def test_a_closed_connection_stays_closed() -> None:
    assert not [state for state, _ in CONNECTION_TRANSITIONS if state is ConnectionState.CLOSED]


def test_every_open_connection_can_end_and_can_be_closed_by_us() -> None:
    for state in set(ConnectionState) - {ConnectionState.CLOSED}:
        assert CONNECTION_TRANSITIONS[state, ConnectionInput.ENDED] is ConnectionState.CLOSED
        if state is not ConnectionState.CLOSING:
            after = CONNECTION_TRANSITIONS[state, ConnectionInput.CLOSE_SENT]
            assert after is ConnectionState.CLOSING


def test_the_count_of_legal_pairs_is_known() -> None:
    tables = (CONNECTION_TRANSITIONS, SCOPE_TRANSITIONS, STREAM_TRANSITIONS)
    assert [len(table) for table in tables] == [14, 26, 29]


def test_a_stream_that_is_lost_or_in_doubt_claims_nothing() -> None:
    """INV-S10, and R13: what was doubted has no token to come back with."""
    good = {ScopeState.SYNCED, ScopeState.LIVE_ONLY}
    for what in (StreamInput.LOST, StreamInput.LOST_RESUMABLE, StreamInput.DOUBTED):
        assert not good & {
            after for (_, given_), after in STREAM_TRANSITIONS.items() if given_ is what
        }
        for state in good:
            assert (state, what) in STREAM_TRANSITIONS
    for state in ScopeState:
        assert STREAM_TRANSITIONS[state, StreamInput.DOUBTED] in (ScopeState.COLD, ScopeState.STALE)


def test_a_lost_connection_and_a_doubt_leave_no_scope_synced() -> None:
    """INV-S10: whatever comes first, the claim falls."""
    for what in (ScopeInput.CONNECTION_LOST, ScopeInput.DOUBTED, ScopeInput.LOGIN_COLD):
        assert ScopeState.SYNCED not in {
            after for (_, given_), after in SCOPE_TRANSITIONS.items() if given_ is what
        }
    for state in ScopeState:
        for what in (ScopeInput.CONNECTION_LOST, ScopeInput.DOUBTED):
            known = (state, what) in SCOPE_TRANSITIONS
            assert known, f"{state} knows nothing of {what}"


def test_only_a_replay_or_a_snapshot_makes_a_scope_synced() -> None:
    into = {
        what for (state, what), after in SCOPE_TRANSITIONS.items()
        if after is ScopeState.SYNCED and state is not ScopeState.SYNCED
    }  # fmt: skip

    assert into == {ScopeInput.REPLAYED, ScopeInput.SNAPSHOT_APPLIED}


def test_live_only_is_for_ever() -> None:
    for (state, _), after in SCOPE_TRANSITIONS.items():
        assert (state is ScopeState.LIVE_ONLY) == (after is ScopeState.LIVE_ONLY)


@given(st.lists(st.sampled_from(list(ConnectionInput)), max_size=12))
def test_a_connection_obeys_its_table_and_nothing_else(inputs: list[ConnectionInput]) -> None:
    connection = Connection(number=1, liveness=Liveness(1.0, 1.0, 0.0), deadline=0.0)
    for what in inputs:
        before = connection.state
        legal = connection.apply(what)

        assert legal == ((before, what) in CONNECTION_TRANSITIONS)
        assert connection.state is CONNECTION_TRANSITIONS.get((before, what), before)


@given(st.sampled_from(list(ScopeState)), st.lists(st.sampled_from(list(ScopeInput)), max_size=12))
def test_a_scope_obeys_its_table_and_tells_each_change(
    start: ScopeState, inputs: list[ScopeInput]
) -> None:
    delivery = Delivery(100, 100)
    scope = Scope(key=ScopeKey("scores", None), source=None, hold=Hold(1, 1, Share(1)), state=start)
    for what in inputs:
        before = scope.state
        legal = scope.apply(what, delivery)
        told = delivery.take(10)

        assert legal == ((before, what) in SCOPE_TRANSITIONS)
        assert scope.state is SCOPE_TRANSITIONS.get((before, what), before)
        assert [event.state for event in told] == (  # type: ignore[union-attr] # status changes
            [scope.state] if scope.state is not before else []
        )


@given(st.lists(st.sampled_from(list(ScopeInput)), max_size=12), st.sampled_from(list(ScopeState)))
def test_what_was_told_last_is_never_better_than_what_is_so(
    inputs: list[ScopeInput], start: ScopeState
) -> None:
    """INV-S10: nobody reads between the steps; a rise that no longer holds is not told."""
    delivery = Delivery(100, 100)
    scope = Scope(key=ScopeKey("scores", None), source=None, hold=Hold(1, 1, Share(1)), state=start)
    for what in inputs:
        scope.apply(what, delivery)
    told = [event.state for event in delivery.take(100)]  # type: ignore[union-attr]

    assert (told or [start])[-1] is scope.state or ScopeState.SYNCED not in told
    if scope.state is not ScopeState.SYNCED:
        assert ScopeState.SYNCED not in told
