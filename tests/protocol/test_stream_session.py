"""A stream with its snapshot inside: replace, continue, begin anew; as minimal schedules."""

import pytest
from toy_stream import Stage, Toy, error, heartbeat, snapshot, update

from lastseen import Position, ScopeKey, Secret
from lastseen.accounts import Account, Bearer, TokenFault
from lastseen.dialect import End
from lastseen.events import (
    AnomalyCode,
    Discarded,
    Disconnected,
    LoggedIn,
    StateSnapshot,
    StatusChanged,
    Stopped,
)
from lastseen.options import StreamOptions
from lastseen.stream_dialect import Base
from lastseen.stream_messages import StreamEntry

TOKENS = Toy(has_tokens=True)
DROP_COPY = Toy(base=Base.NONE, has_tokens=True)
LIVE = Toy(base=Base.NONE)
BOOKS = Toy(base=Base.UNITS, units_asked=frozenset({"aaa", "bbb"}), tells_events=False)


def count(s: Stage, code: AnomalyCode) -> int:
    return sum(n for (kind, _), n in s.session.anomalies().items() if kind is code)


# Snapshots.


def test_a_snapshot_then_deltas() -> None:
    s = Stage().begin()
    s.serve(snapshot({"o-1": 0}), update(("x-1", "o-1", 4)))
    assert s.state == "synced"
    assert s.view() == {"o-1": 4}
    assert s.states == ["cold", "syncing", "synced"]


def test_hz_c7_a_snapshot_replaces_and_never_merges() -> None:
    s = Stage().begin()
    n = s.serve(snapshot({"a": 1, "b": 1}))
    s.send(n, snapshot({"b": 2}))
    assert s.view() == {"b": 2}
    assert s.state == "synced"
    assert s.gaps == []


def test_hz_c18_the_first_snapshot_of_a_subscription_is_never_a_duplicate() -> None:
    s = Stage(TOKENS).begin()
    n = s.serve(snapshot({"o-1": 5}, at=20, token="t20"))
    s.drop(n)
    # The very same record: an older or equal moment, and it replaces all the same.
    s.serve(snapshot({"o-1": 5}, at=20, token="t20"), update(("x-21", "o-1", 6)))
    assert s.sent() == [None, "t20"]
    assert len(s.bases) == 2
    assert s.view() == {"o-1": 6}


def test_a_redelivered_older_snapshot_does_not_replace() -> None:
    s = Stage().begin()
    first = snapshot({"a": 1}, at=10)
    n = s.serve(first, snapshot({"a": 1, "b": None}, at=20), update(("x-1", "c", None)))
    s.send(n, first)
    assert s.view() == {"a": 1, "b": None, "c": None}
    assert count(s, AnomalyCode.SNAPSHOT_STALE) == 1
    # The same one once more: what came since would be lost.
    s.send(n, snapshot({"a": 1, "b": None}, at=20))
    assert s.view() == {"a": 1, "b": None, "c": None}


def test_hz_c6_a_snapshot_that_is_behind_does_not_set_a_unit_back() -> None:
    s = Stage().begin()
    n = s.serve(snapshot({"o-1": 0}), update(("x-1", "o-1", 6)))
    s.send(n, snapshot({"o-1": 4}))
    assert s.view() == {"o-1": 6}
    assert count(s, AnomalyCode.SNAPSHOT_STALE) == 1
    s.send(n, snapshot({"o-1": 6, "o-2": 0}))
    assert s.view() == {"o-1": 6, "o-2": 0}


def test_snapshots_that_contradict_again_and_again_are_believed_after_a_reopen() -> None:
    s = Stage().begin()
    n = s.serve(snapshot({"o-1": 6}))
    for _ in range(3):
        s.send(n, snapshot({"o-1": 4}))
    assert s.state == "stale"
    s.gone()
    s.serve(snapshot({"o-1": 4}))
    assert (s.state, s.view()) == ("synced", {"o-1": 4})


def test_hz_c8_pages_replace_once_the_last_one_is_in() -> None:
    s = Stage().begin()
    n = s.serve(snapshot({"a": 1}, last=False))
    assert (s.state, s.view()) == ("syncing", {})
    s.send(n, update(("x-1", "a", 2)), snapshot({"b": 1}))
    assert (s.state, s.view()) == ("synced", {"a": 2, "b": 1})
    # A periodic one: what comes between its pages is applied at once, and survives it.
    s.send(n, snapshot({"a": 2}, last=False), update(("x-2", "b", 3), ("x-3", "c", 1)))
    assert s.view() == {"a": 2, "b": 3, "c": 1}
    s.send(n, snapshot({"b": 1}))
    assert s.view() == {"a": 2, "b": 3, "c": 1}
    assert s.state == "synced"


def test_pages_that_are_cut_count_for_nothing() -> None:
    s = Stage().begin()
    n = s.serve(snapshot({"a": 1}, last=False))
    s.drop(n)
    s.serve(snapshot({"b": 1}))
    assert s.view() == {"b": 1}


def test_a_snapshot_beyond_the_cap_is_no_base() -> None:
    s = Stage(options=StreamOptions(snapshot_rows_max=3)).begin()
    s.serve(snapshot({"a": 1, "b": 1}, last=False), snapshot({"c": 1, "d": 1}, last=False))
    assert s.state == "stale"
    assert s.closing
    assert count(s, AnomalyCode.SNAPSHOT_FAILED) == 1


def test_hz_c22_deltas_before_the_snapshot_wait_for_it() -> None:
    s = Stage().begin()
    n = s.serve(update(("x-6", "o-1", 6), (None, "o-2", None)))
    assert (s.view(), s.ids) == ({}, [])
    assert count(s, AnomalyCode.NO_SNAPSHOT) == 1
    assert not s.told(LoggedIn)
    s.send(n, snapshot({"o-1": 5, "o-2": None}), update(("x-7", "o-1", 7)))
    assert s.view() == {"o-1": 7, "o-2": None}
    # The one that says nothing of its progress is older than the snapshot, by the stream's order.
    assert s.ids == ["x-6", "x-7"]


def test_hz_c22_without_a_snapshot_in_time_the_stream_is_reopened() -> None:
    s = Stage().begin()
    n = s.serve(update(("x-6", "o-1", 6)), heartbeat())
    s.advance(14.9).send(n, heartbeat())
    assert not s.closing
    s.advance(0.2)
    assert s.closing == {n}
    assert s.told(Disconnected)[-1].reason == "first snapshot timed out"
    s.gone()
    s.serve(snapshot({"o-1": 6}))
    assert s.state == "synced"


def test_what_waits_for_a_snapshot_is_bounded() -> None:
    s = Stage(options=StreamOptions(hold_items_max=10)).begin()
    s.serve(update(*[(f"x-{n}", "o-1", n) for n in range(11)]))
    assert s.closing
    assert s.session.counters()["orders"].dropped == 11
    assert count(s, AnomalyCode.HOLD_OVERFLOW) == 1


def test_a_heartbeat_is_no_snapshot() -> None:
    s = Stage().begin()
    s.serve(heartbeat(), heartbeat(token="t"))
    assert (s.state, s.told(LoggedIn)) == ("syncing", [])


# Duplicates and order.


def test_hz_f2_entries_without_identity_are_never_duplicates() -> None:
    s = Stage().begin()
    s.serve(snapshot({}), update((None, None, None)), update((None, None, None)), heartbeat())
    assert s.ids == [None, None]


def test_hz_f4_the_same_execution_counts_once_also_across_connections() -> None:
    s = Stage(TOKENS).begin()
    n = s.serve(snapshot({}, token="t10"))
    s.send(n, update(("x-11", "o-1", 5)), update(("x-11", "o-1", 5)))
    s.drop(n)
    s.serve(update(("x-11", "o-1", 5), token="t11"))
    assert s.ids == ["x-11"]
    assert s.session.counters()["orders"].duplicate == 2
    # The token of a record that brought nothing new counts all the same.
    assert s.session.position.token("orders") == Secret("t11")


def test_hz_f1_what_is_remembered_is_bounded() -> None:
    s = Stage(options=StreamOptions(identities_max=100, units_max=50)).begin()
    n = s.serve(snapshot({}))
    for batch in range(20):
        s.send(n, update(*[(f"x-{batch}-{i}", f"o-{batch}-{i}", 1) for i in range(20)]))
    assert len(s.session._intake.admission) == 100
    assert len(s.session._intake.admission.progress) == 50


def test_hz_f5_a_filled_order_does_not_open_again() -> None:
    s = Stage().begin()
    s.serve(snapshot({"o-1": 0}), update(("x-12", "o-1", 12)), update(("x-9", "o-1", 9)))
    assert s.view() == {"o-1": 12}
    # An execution is an event of its own: told, and it sets nothing.
    assert s.ids == ["x-12", "x-9"]
    assert s.told(StreamEntry)[-1].unit is None
    assert count(s, AnomalyCode.UNIT_REGRESSED) == 1


def test_hz_f5_a_state_without_identity_that_is_behind_is_not_told() -> None:
    s = Stage(options=StreamOptions(report_discarded=True)).begin()
    s.serve(snapshot({"o-1": 0}), update((None, "o-1", 12)), update((None, "o-1", 9)))
    assert s.view() == {"o-1": 12}
    assert [event.why.value for event in s.told(Discarded)] == ["superseded"]


def test_hz_e4_a_rejected_entry_is_new_when_it_comes_again() -> None:
    s = Stage(answers=False).begin()
    n = s.serve(snapshot({"o-1": 0}), update(("x-1", "o-1", 4)), update(("x-2", "o-1", 6)))
    entry = s.told(StreamEntry)[0]
    s.session.handle_rejected(entry, now=s.now)
    s.settle()
    assert (s.state, s.closing) == ("stale", {n})
    assert s.states[-1] == "stale"
    s.answers = True
    s.gone()
    s.serve(snapshot({"o-1": 6}), update(("x-1", "o-1", 4)))
    # It is told again; the unit stays where it is.
    assert s.ids.count("x-1") == 2
    assert s.view() == {"o-1": 6}
    row = s.session.counters()["orders"]
    assert (row.quarantined, row.duplicate) == (1, 0)


def test_hz_e3_a_known_execution_still_sets_an_order_that_the_new_base_has_behind() -> None:
    s = Stage().begin()
    s.drop(s.serve(snapshot({"o-1": 0}), update(("x-1", "o-1", 4))))
    # The peer's state is behind what it told us, and it tells it again.
    n = s.serve(snapshot({"o-1": 0}), update(("x-1", "o-1", 4)))
    assert s.view() == {"o-1": 4}
    assert [(entry.id, entry.repeated) for entry in s.told(StreamEntry)] == [
        ("x-1", False),
        ("x-1", True),
    ]
    s.send(n, update(("x-1", "o-1", 4)))
    assert len(s.ids) == 2
    assert s.session.counters()["orders"].duplicate == 1


# Tokens.


def test_after_a_resume_deltas_continue_on_the_state_before() -> None:
    s = Stage(TOKENS).begin()
    n = s.serve(snapshot({"o-1": 0}, token="t1"), update(("x-2", "o-1", 2), token="t2"))
    s.drop(n)
    assert s.state == "resuming"
    s.serve(heartbeat())
    # A heartbeat proves the peer, not the state.
    assert (s.state, len(s.told(LoggedIn))) == ("resuming", 2)
    assert s.told(LoggedIn)[-1].resumed == ("orders",)
    s.send(2, update(("x-3", "o-1", 3), token="t3"))
    assert (s.state, s.view(), s.gaps) == ("synced", {"o-1": 3}, [])
    assert len(s.bases) == 1


def test_after_a_resume_a_snapshot_replaces() -> None:
    s = Stage(TOKENS).begin()
    s.drop(s.serve(snapshot({"o-1": 0, "o-2": 0}, token="t1")))
    s.serve(snapshot({"o-1": 3}))
    assert (s.state, s.view()) == ("synced", {"o-1": 3})
    # The state is whole; what happened meanwhile is known by its outcome only.
    assert s.gaps == ["replaced"]
    # Its place has no token: the one before does not describe it (R9).
    assert s.session.position == Position()


def test_deltas_without_a_token_sent_are_no_continuation() -> None:
    s = Stage().begin()
    s.drop(s.serve(snapshot({"o-1": 0})))
    assert s.state == "stale"
    s.serve(update(("x-3", "o-1", 3)))
    assert (s.state, s.view()) == ("syncing", {"o-1": 0})
    s.advance(15.0)
    assert s.closing


def test_hz_f8_tokens_go_back_as_they_came() -> None:
    for token in ("dG9rMTI==", "0007", ' t\u00e9 \u2028"\\ ', "x" * 4096, ""):
        s = Stage(TOKENS).begin()
        s.drop(s.serve(snapshot({}, token=token)))
        s.open()
        assert s.sent() == [None, token]


@pytest.mark.parametrize("how", ["status", "record"])
def test_a_refused_token_is_dropped_and_the_gap_told(how: str) -> None:
    s = Stage(TOKENS).begin()
    s.drop(s.serve(snapshot({"o-1": 0}, token="t1")))
    n = s.open()
    if how == "status":
        s.drop(n, End(http_status=400, reason="HTTP 400"))
    else:
        s.answer(n)
        s.send(n, error(9))
        s.gone()
    assert s.gaps == ["resume_refused"]
    assert s.state == "stale"
    assert s.session.position == Position()
    s.serve(snapshot({"o-1": 7}, token="t9"))
    assert s.sent() == [None, "t1", None]
    assert (s.state, s.view()) == ("synced", {"o-1": 7})


def test_hz_h5_a_token_that_leads_nowhere_three_times_is_dropped() -> None:
    s = Stage(TOKENS).begin()
    s.drop(s.serve(snapshot({"o-1": 0}, token="t1")))
    for _ in range(3):
        s.drop(s.open())
    assert s.sent() == [None, "t1", "t1", "t1"]
    assert count(s, AnomalyCode.RESUME_ABANDONED) == 1
    assert s.gaps == ["resume_refused"]
    s.serve(snapshot({"o-1": 1}))
    assert s.sent()[-1] is None


def test_an_outage_that_says_so_costs_no_token() -> None:
    s = Stage(TOKENS).begin()
    s.drop(s.serve(snapshot({"o-1": 0}, token="t1")))
    for status in (503, 429, 502, 503, 503, 504):
        s.drop(s.open(), End(http_status=status, reason=f"HTTP {status}"))
    s.serve(update(("x-1", "o-1", 1)))
    assert set(s.sent()[1:]) == {"t1"}
    assert (s.state, s.gaps) == ("synced", [])


def test_a_quiet_resumed_stream_that_is_cut_off_keeps_its_token() -> None:
    s = Stage(TOKENS).begin()
    n = s.serve(snapshot({"o-1": 0}, token="t1"))
    for _ in range(5):
        s.drop(n)
        n = s.serve(heartbeat())
        for _ in range(6):
            s.advance(100.0).send(n, heartbeat())
    assert set(s.sent()[1:]) == {"t1"}
    assert s.gaps == []


def test_the_token_moves_only_with_what_has_been_processed() -> None:
    s = Stage(TOKENS, answers=False).begin()
    n = s.serve(
        snapshot({}, token="t1"),
        update(("x-2", "a", 1), ("x-3", "b", 1), token="t3"),
        heartbeat(token="t4"),
        update(("x-5", "a", 2), token="t5"),
    )
    base = s.told(StateSnapshot)[0]
    entries = s.told(StreamEntry)

    def token_after(event: object) -> object:
        after = s.session.position_after(event).token("orders")  # type: ignore[arg-type]
        return None if after is None else after.reveal()

    assert s.session.position == Position()
    assert [token_after(event) for event in (base, *entries)] == ["t1", "t1", "t4", "t5"]
    s.session.handle_processed(entries[0], now=s.now)
    assert s.session.position.token("orders") == Secret("t1")
    s.session.handle_processed(entries[1], now=s.now)
    assert s.session.position.token("orders") == Secret("t4")
    s.drop(n)
    s.open()
    # What is with the application, unfinished, comes again and is known.
    assert s.sent() == [None, "t4"]


def test_what_nobody_took_is_fenced_by_a_resume_and_comes_again() -> None:
    s = Stage(TOKENS, takes=False).begin()
    n = s.serve(snapshot({"o-1": 0}, token="t1"))
    s.take()
    s.send(n, update(("x-2", "o-1", 2), token="t2"), update(("x-3", "o-1", 3), token="t3"))
    s.drop(n)
    s.serve(update(("x-2", "o-1", 2), token="t2"), update(("x-3", "o-1", 3), token="t3"))
    s.take()
    assert s.sent() == [None, "t1"]
    assert s.ids == ["x-2", "x-3"]
    assert s.view() == {"o-1": 3}
    assert s.session.counters()["orders"].discarded == 2


def test_inv_s10_a_resume_is_not_synced_before_all_that_was_fenced_has_come_again() -> None:
    s = Stage(TOKENS, takes=False).begin()
    n = s.serve(snapshot({"o-1": 0}, token="t1"))
    s.take()
    s.send(n, update(("x-2", "o-1", 2), token="t2"), update(("x-3", "o-1", 3), token="t3"))
    s.drop(n)
    n = s.serve(update(("x-2", "o-1", 2), token="t2"))
    s.take()
    # The frames have disclosed x-3, which is not here again.
    assert (s.state, s.view()) == ("resuming", {"o-1": 2})
    s.send(n, update(("x-3", "o-1", 3), token="t3"))
    s.take()
    assert (s.state, s.view()) == ("synced", {"o-1": 3})


def test_inv_s10_what_was_fenced_and_never_comes_again_is_made_up_for_by_a_base() -> None:
    s = Stage(TOKENS, takes=False).begin()
    n = s.serve(snapshot({"o-1": 0}, token="t1"))
    s.take()
    s.send(n, update(("x-2", "o-1", 2), token="t2"))
    s.drop(n)
    n = s.serve(update(("x-3", "o-1", 3), token="t3"))
    s.take()
    assert s.state == "resuming"
    s.send(n, snapshot({"o-1": 3}, token="t4"))
    s.take()
    assert (s.state, s.view()) == ("synced", {"o-1": 3})


def test_hz_e1_a_commit_holds_the_token_of_what_was_processed() -> None:
    s = Stage(TOKENS, answers=False).begin()
    s.serve(snapshot({}, token="t1"), update(("x-2", "a", 1), token="t2"))
    s.session.handle_processed(s.told(StateSnapshot)[0], now=s.now)
    s.settle().advance(1.0)
    (commit,) = s.commits
    assert commit.position.token("orders") == Secret("t1")
    s.session.handle_committed(commit.commit, now=s.now)
    assert s.session.status().durable == commit.position
    s.session.handle_processed(s.told(StreamEntry)[0], now=s.now)
    s.settle().advance(1.0)
    assert s.commits[-1].position.token("orders") == Secret("t2")


def test_r9_a_stored_token_without_its_state_is_not_sent() -> None:
    position = Position(tokens=(("orders", Secret("t7")),))
    cold = Stage(TOKENS).begin(position)
    cold.open()
    assert cold.sent() == [None]
    warm = Stage(TOKENS).begin(position, [ScopeKey("orders", None)])
    assert warm.state == "resuming"
    warm.serve(update(("x-8", "o-1", 8), token="t8"))
    assert warm.sent() == ["t7"]
    assert warm.state == "synced"


def test_what_was_missed_while_nobody_ran_is_a_gap_also_without_a_token() -> None:
    kept = Stage(TOKENS).begin(Position(), [ScopeKey("orders", None)])
    kept.serve(snapshot({"o-1": 1}))
    assert (kept.state, kept.gaps) == ("synced", ["replaced"])
    new = Stage(TOKENS).begin()
    new.serve(snapshot({"o-1": 1}))
    assert (new.state, new.gaps) == ("synced", [])


def test_a_quiet_resume_is_synced_after_a_while_and_unproven() -> None:
    s = Stage(TOKENS).begin()
    s.drop(s.serve(snapshot({"o-1": 0}, token="t1")))
    n = s.serve(heartbeat())
    s.advance(14.0).send(n, heartbeat())
    assert s.state == "resuming"
    s.advance(2.0).send(n, heartbeat())
    assert (s.state, s.session.status().proof.value) == ("synced", "unproven")
    s.send(n, update(("x-2", "o-1", 2)))
    assert (s.state, s.session.status().proof.value) == ("synced", "proven")
    claims = [(event.state.value, event.proof.value) for event in s.told(StatusChanged)]
    assert claims[-2:] == [("synced", "unproven"), ("synced", "proven")]


# Streams without a base.


def test_a_stream_with_tokens_and_no_base_is_live_only_and_complete() -> None:
    s = Stage(DROP_COPY).begin()
    n = s.serve(update(("x-1", None, None), token="t1"))
    assert s.state == "live_only"
    s.drop(n)
    assert s.state == "resuming"
    s.serve(update(("x-1", None, None), token="t1"), update(("x-2", None, None), token="t2"))
    assert (s.state, s.ids, s.gaps) == ("live_only", ["x-1", "x-2"], [])
    assert s.sent() == [None, "t1"]


def test_a_stream_with_neither_tells_every_absence() -> None:
    s = Stage(LIVE).begin()
    n = s.serve(update(("x-1", None, None), token="ignored"))
    s.drop(n)
    assert s.state == "stale"
    assert s.gaps == []
    s.serve(heartbeat())
    assert (s.state, s.gaps, s.sent()) == ("live_only", ["away"], [None, None])


def test_a_live_stream_that_was_quiet_tells_its_absence_too() -> None:
    s = Stage(DROP_COPY).begin()
    s.drop(s.serve(heartbeat()))
    s.serve(heartbeat())
    assert s.gaps == ["away"]


def test_a_refused_token_of_a_stream_without_base_goes_on_live() -> None:
    s = Stage(DROP_COPY).begin()
    s.drop(s.serve(update(("x-1", None, None), token="t1")))
    s.drop(s.open(), End(http_status=400, reason="HTTP 400"))
    s.serve(update(("x-9", None, None), token="t9"))
    assert (s.state, s.gaps[0]) == ("live_only", "resume_refused")
    s.drop(3)
    s.open()
    assert s.sent() == [None, "t1", None, "t9"]


def test_an_unreadable_record_of_a_stream_without_base_is_a_gap() -> None:
    s = Stage(DROP_COPY).begin()
    n = s.serve(update(("x-1", None, None), token="t1"), b"nonsense\n")
    assert s.gaps == ["undecodable"]
    assert not s.closing
    s.send(n, b"nonsense\n", b"nonsense\n")
    assert s.closing


def test_books_are_synced_once_each_has_come() -> None:
    s = Stage(BOOKS).begin()
    n = s.serve(update((None, "aaa", 10)))
    assert s.state == "syncing"
    s.send(n, update((None, "bbb", 10)), update((None, "aaa", 11)), update((None, "aaa", 9)))
    assert (s.state, s.view()) == ("synced", {"aaa": 11, "bbb": 10})
    s.drop(n)
    assert s.state == "stale"
    # Another server's clock: only within a subscription times must not go back.
    s.serve(update((None, "aaa", 5)), update((None, "bbb", 5)))
    assert (s.state, s.view(), s.gaps) == ("synced", {"aaa": 5, "bbb": 5}, [])


def test_books_of_the_whole_universe_are_live_only() -> None:
    s = Stage(Toy(base=Base.UNITS, tells_events=False)).begin()
    s.drop(s.serve(update((None, "aaa", 10))))
    assert s.state == "stale"
    s.serve(update((None, "aaa", 1)))
    assert (s.state, s.view()) == ("live_only", {"aaa": 1})


# The peer begins anew.


def test_another_session_within_an_answer_means_a_peer_that_began_anew() -> None:
    s = Stage(TOKENS).begin()
    n = s.serve(
        snapshot({"o-1": 5}, session="s1", token="t1"),
        update(("x-1", "o-2", 1), session="s1"),
    )
    s.send(n, update(("x-1", "o-9", 1), session="s2", token="u1"))
    assert s.state == "syncing"
    assert s.session.position == Position()
    assert s.view() == {"o-1": 5, "o-2": 1}
    s.send(n, snapshot({"o-9": 1}, session="s2", token="u2"))
    assert (s.state, s.view()) == ("synced", {"o-9": 1})
    assert s.ids == ["x-1", "x-1"]
    assert count(s, AnomalyCode.SESSION_CHANGED) == 1


def test_a_peer_that_began_anew_owes_a_snapshot() -> None:
    s = Stage().begin()
    n = s.serve(snapshot({}, session="s1"))
    s.send(n, heartbeat(session="s2"))
    s.advance(15.0)
    assert s.closing == {n}


# Life and death of a connection.


def test_a_lost_connection_is_told_before_any_doubtful_data() -> None:
    s = Stage(takes=False).begin()
    n = s.serve(snapshot({"o-1": 0}))
    s.take()
    s.send(n, update(("x-1", "o-1", 1)))
    s.drop(n)
    first, *rest = s.take()
    assert isinstance(first, StatusChanged)
    assert first.state.value == "stale"
    assert any(isinstance(event, StreamEntry) for event in rest)


def test_silence_is_life_until_the_limit_and_any_byte_counts() -> None:
    s = Stage().begin()
    n = s.serve(snapshot({}))
    s.advance(179.0).send(n, b" ").advance(179.0)
    assert not s.closing
    s.advance(1.0)
    assert s.closing == {n}


def test_hz_h1_an_error_right_after_200_is_a_failed_open() -> None:
    s = Stage().begin()
    for _ in range(6):
        n = s.serve()
        s.send(n, error(14))
        s.gone()
    gaps = [b - a for (a, _), (b, _) in zip(s.connects, s.connects[1:], strict=False)]
    assert all(later >= 0.5 * 2**i for i, later in enumerate(gaps)), gaps


def test_hz_h1_delivering_for_a_while_resets_the_backoff_and_not_before() -> None:
    s = Stage().begin()
    for _ in range(5):
        s.drop(s.serve(snapshot({})))
    assert s.told(Disconnected)[-1].retry_in_s > 7.0
    n = s.serve(snapshot({}))
    s.advance(10.0).drop(n)
    assert s.told(Disconnected)[-1].retry_in_s <= 1.0


def test_hz_h6_permission_denied_stops_after_a_confirmation() -> None:
    s = Stage().begin()
    s.drop(s.open(), End(http_status=403, reason="HTTP 403"))
    assert not s.told(Stopped)
    s.drop(s.open(), End(http_status=403, reason="HTTP 403"))
    assert s.told(Stopped)[0].failure.value == "rejected"
    assert s.session.finished or s.session.stopped


def test_hz_h10_a_refusal_for_too_much_is_waited_out_and_grows() -> None:
    s = Stage().begin()
    for _ in range(6):
        s.drop(s.open(), End(http_status=429, reason="HTTP 429"))
    gaps = [b - a for (a, _), (b, _) in zip(s.connects, s.connects[1:], strict=False)]
    assert gaps[0] >= 1.0
    assert gaps[-1] >= 8.0


def test_one_deadline_over_connect_and_head() -> None:
    s = Stage().begin()
    s.advance(6.0)
    n = s.open()
    s.advance(3.0)
    assert not s.closing
    s.advance(6.5)
    assert s.closing == {n}
    assert s.told(Disconnected)[-1].reason == "answer timed out"


def test_three_unreadable_records_are_doubt_at_the_first() -> None:
    s = Stage().begin()
    n = s.serve(snapshot({"o-1": 1}), b"nonsense\n", update(("x-1", "o-1", 2)))
    assert (s.state, s.closing) == ("stale", {n})
    row = s.session.counters()["orders"]
    assert (row.malformed, row.discarded) == (1, 1)


def test_a_record_without_an_end_ends_the_stream() -> None:
    s = Stage(DROP_COPY).begin()
    n = s.serve(b"x" * 200_000)
    assert s.closing == {n}


# A slow application.


def test_r14_an_overflow_becomes_a_fresh_snapshot() -> None:
    s = Stage(options=StreamOptions(delivery_items_max=10), takes=False).begin()
    n = s.serve(snapshot({"o-1": 0}))
    s.take()
    s.send(n, update(*[(f"x-{i}", "o-1", i) for i in range(1, 20)]))
    assert (s.state, s.closing) == ("stale", {n})
    s.gone()
    s.serve(snapshot({"o-1": 19}))
    s.takes = True
    s.settle()
    assert (s.state, s.view(), s.ids) == ("synced", {"o-1": 19}, [])
    assert "overflow" in s.gaps or "replaced" in s.gaps
    assert s.session.counters()["orders"].dropped == 19


def test_r14_an_overflow_of_a_stream_without_base_is_a_gap() -> None:
    s = Stage(DROP_COPY, options=StreamOptions(delivery_items_max=10), takes=False).begin()
    n = s.serve(update(*[(f"x-{i}", None, None) for i in range(11)], token="t11"))
    s.send(n, update(("x-12", None, None), token="t12"))
    assert not s.closing
    s.takes = True
    s.settle()
    assert (s.ids, s.gaps) == (["x-12"], ["overflow"])
    assert s.session.position.token("orders") == Secret("t12")


def test_snapshots_that_nobody_takes_do_not_pile_up() -> None:
    s = Stage(takes=False).begin()
    n = s.serve(snapshot({"o-1": 0}))
    for i in range(1, 100):
        s.send(n, snapshot({"o-1": i}), update((f"x-{i}", "o-1", i)))
    s.take()
    assert len(s.bases) <= 4
    assert (s.view(), s.states[-1]) == ({"o-1": 99}, "synced")
    assert "overflow" in s.gaps
    for i in range(100, 110):
        s.send(n, snapshot({"o-1": i}))
        s.drop(n)
        n = s.serve(snapshot({"o-1": i}))
    assert s.session.waiting < 60
    s.takes = True
    s.settle()
    assert s.view() == {"o-1": 109}


# Bearer tokens.


def fetching(**options: object) -> Stage:
    return Stage(anonymous=False, **options).begin()  # type: ignore[arg-type]


def test_a_bearer_is_fetched_once_and_used_until_it_ages() -> None:
    s = fetching()
    assert (s.fetches, s.connects) == ([1], [])
    s.give_token()
    n = s.serve(snapshot({}))
    assert s.requests[-1][2].headers[-1][1] == Secret("Bearer bearer-1")
    s.advance(140.0).drop(n)
    n = s.serve(snapshot({}))
    assert not s.fetches
    # Ten seconds short of its end it is not taken to another connect; the stream goes on.
    s.advance(100.0).send(n, heartbeat())
    assert not s.closing
    s.drop(n).advance(1.0)
    assert s.fetches == [2]
    s.give_token()
    s.open()
    assert s.requests[-1][2].headers[-1][1] == Secret("Bearer bearer-2")


def test_unauthenticated_is_answered_with_a_fresh_token_and_believed_if_that_fails() -> None:
    s = fetching()
    s.give_token()
    s.drop(s.open(), End(http_status=401, reason="HTTP 401"))
    s.advance(2.0)
    assert s.fetches == [2]
    s.give_token()
    s.serve(snapshot({}))
    assert s.state == "synced"
    again = fetching()
    for _ in range(3):
        again.advance(5.0)
        again.give_token()
        again.drop(again.open(), End(http_status=401, reason="HTTP 401"))
    assert again.told(Stopped)


def test_a_token_that_cannot_be_had_is_asked_for_ever_more_slowly() -> None:
    s = fetching()
    moments = []
    for _ in range(5):
        s.give_token(TokenFault(reason="no route"))
        before = s.now
        while not s.fetches:
            s.advance(0.25)
        moments.append(s.now - before)
    assert moments[0] >= 0.5
    assert moments[-1] >= 8.0
    assert not s.connects
    assert count(s, AnomalyCode.TOKEN_UNAVAILABLE) == 5


def test_a_refused_client_stops_every_stream_that_needs_it() -> None:
    account = Account()
    one, two = fetching(account=account), fetching(account=account)
    one.give_token(TokenFault(reason="HTTP 401", permanent=True))
    one.advance(2.0), two.advance(2.0)
    fetcher = one if one.fetches else two
    fetcher.give_token(TokenFault(reason="HTTP 401", permanent=True))
    one.advance(1.0), two.advance(1.0)
    assert one.told(Stopped)
    assert two.told(Stopped)


def test_a_fetch_whose_session_is_gone_is_made_by_another() -> None:
    account = Account()
    one, two = fetching(account=account), fetching(account=account)
    assert (one.fetches, two.fetches) == ([1], [])
    one.session.leave(now=0.0)
    two.advance(0.1)
    assert two.fetches == [2]


def test_a_short_lived_bearer_still_serves_its_connect() -> None:
    s = fetching()
    s.give_token(Bearer(token=Secret("b"), lives_s=5.0))
    s.serve(snapshot({}))
    assert s.state == "synced"


def test_hz_k5_a_peer_that_repeats_our_secrets_is_not_quoted() -> None:
    s = Stage(TOKENS, key=Secret("sesame-open"), anonymous=False).begin()
    s.drop(s.serve(snapshot({}, token="tok-secret-1")))
    n = s.open()
    words = "who is sesame-open, and what is tok-secret-1?"
    s.drop(n, End(http_status=503, reason=words))
    end = s.told(Disconnected)[-1]
    assert end.reason == "who is ***, and what is ***?"
    shown = repr((s.events, s.session.status(), s.account, s.session._turn, s.commits))
    assert "sesame" not in shown
    assert "tok-secret" not in shown
