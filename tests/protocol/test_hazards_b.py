"""Replay and live entries interleaved: the minimal schedule of each hazard B1 to B13."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lastseen import AnomalyCode, Entry, LocalProtocolError, ScopeState, SessionOptions, Source, Why

if TYPE_CHECKING:
    from tests.protocol.conftest import Stage


def resuming(stage: type[Stage], head: str | None = "100-12", **play: object) -> tuple[Stage, int]:
    """A second connection that has sent the cursor 100-10 and waits for its replay."""
    s = stage(**play)  # type: ignore[arg-type] # members of Stage
    first = s.sync()
    s.hear(first, s.update("100-10"))
    s.drop(first)
    second = s.log_in(heads={} if head is None else {"scores": head})
    assert s.sent() == {"scores": "100-10"}
    return s, second


def test_a_live_entry_waits_for_the_replay_it_overtook(stage: type[Stage]) -> None:
    """HZ-B1, R3."""
    s, second = resuming(stage)
    s.hear(second, s.update("100-13"))

    assert s.session.counters()["scores"].held == 1

    s.hear(second, s.update("100-11"), s.update("100-12"), s.rc())

    assert s.applied == ["100-10", "100-11", "100-12", "100-13"]
    assert s.score() == 13
    assert s.state() is ScopeState.SYNCED
    sources = [event.source for event in s.events if isinstance(event, Entry)]
    assert sources == [Source.LIVE, Source.REPLAY, Source.REPLAY, Source.LIVE]


@pytest.mark.parametrize("batched", [False, True])
def test_an_entry_on_neither_side_of_the_head_ends_in_a_snapshot(
    stage: type[Stage], batched: bool
) -> None:
    """HZ-A7, R3: the clock stepped back while we were away, so it may be replayed or live."""
    s, second = resuming(stage, head="90-12")
    s.scores["A"] = 12
    frames = [s.update("100-11"), s.update("90-12")]
    for batch in [frames] if batched else [[frame] for frame in frames]:
        s.hear(second, *batch)

    # The later one overtook the earlier one: no cursor may say that both are there.
    assert s.cursor() is None
    assert s.state() is ScopeState.RESUMING

    s.hear(second, s.rc())
    s.settle(2.0)

    assert s.anomalies(AnomalyCode.ID_ORDER) > 0
    assert len(s.fetched_at) == 1
    assert s.score() == 12
    assert s.state() is ScopeState.SYNCED


def test_a_drop_in_mid_replay_resumes_from_what_was_replayed(stage: type[Stage]) -> None:
    """HZ-B2."""
    s, second = resuming(stage)
    s.hear(second, s.update("100-13"), s.update("100-11"))
    s.drop(second)
    third = s.log_in(heads={"scores": "100-13"})

    assert s.sent() == {"scores": "100-11"}

    s.hear(third, s.update("100-12"), s.update("100-13"), s.rc())

    assert s.applied == ["100-10", "100-11", "100-12", "100-13"]
    assert s.score() == 13


@pytest.mark.parametrize("head", ["100-12", None])
def test_a_replay_without_a_verdict_becomes_a_snapshot(
    stage: type[Stage], head: str | None
) -> None:
    """HZ-B3, OP-A20."""
    s, second = resuming(stage, head)
    s.scores["A"] = 14
    s.hear(second, s.update("100-13"))
    s.wait(14.9)

    assert s.state() is ScopeState.RESUMING
    assert not s.fetched_at

    s.wait(0.2)

    assert s.cursor() is None
    assert s.anomalies(AnomalyCode.REPLAY_TIMEOUT) == 1
    assert len(s.fetches) == 1

    s.settle(1.0)

    assert s.state() is ScopeState.SYNCED
    assert s.score() == 14


def test_live_entries_held_for_a_verdict_are_bounded(stage: type[Stage]) -> None:
    """HZ-B3, HZ-B13, R14: crossing the cap is a resync, not a loss."""
    options = SessionOptions(hold_items_max=5, report_discarded=True)
    s, second = resuming(stage, options=options)
    s.scores["A"] = 25
    s.hear(second, *[s.update(f"100-{n}") for n in range(13, 18)])

    assert s.state() is ScopeState.RESUMING
    assert s.session.counters()["scores"].held == 5

    s.hear(second, s.update("100-18"))

    assert s.session.counters()["scores"].held == 0
    assert s.session.counters()["scores"].dropped == 6
    assert len(s.discarded(Why.RESYNC)) == 6
    assert s.anomalies(AnomalyCode.HOLD_OVERFLOW) == 1
    assert s.cursor() is None

    s.hear(second, s.update("100-19"), s.rc())
    s.settle(2.0)

    assert s.state() is ScopeState.SYNCED
    assert s.applied == ["100-10", "100-19"]


def test_resume_complete_out_of_place_changes_nothing(stage: type[Stage]) -> None:
    """HZ-B4: after a cold login, twice, and before login_ok."""
    s = stage()
    first = s.open()
    s.hear(first, s.rc())
    s.hear(first, s.login_ok(), s.rc(), s.rc())

    assert s.state() in (ScopeState.COLD, ScopeState.SYNCING)
    assert s.anomalies(AnomalyCode.UNEXPECTED_FRAME) == 3

    s.settle(20.0)
    told = s.said()
    s.hear(first, s.rc())

    assert s.said() == told
    assert s.state() is ScopeState.SYNCED


def test_resume_complete_after_every_channel_was_named_marks_nothing_synced(
    stage: type[Stage],
) -> None:
    """HZ-B4, INV-S11."""
    s, second = resuming(stage)
    s.hear(second, s.sr(["scores"]), s.rc())

    assert s.state() is ScopeState.SYNCING
    assert s.cursor() is None
    assert s.anomalies(AnomalyCode.UNEXPECTED_FRAME) == 1


@pytest.mark.parametrize("order", ["sr rc", "rc sr", "replay sr replay rc"])
def test_one_channel_is_replayed_while_another_needs_a_snapshot(
    stage: type[Stage], order: str
) -> None:
    """HZ-B5, HZ-B7."""
    s = stage(channels=("fixtures", "scores"), scores={"A": 3})
    first = s.sync()
    s.hear(first, s.update("1-1", "fixtures"), s.update("1-1"))
    s.drop(first)
    second = s.log_in(heads={"fixtures": "1-2", "scores": "1-3"})
    replayed = iter([s.update("1-2", "fixtures"), s.update("1-3", "fixtures", value=3)])
    frames = {"sr": s.sr(["scores"]), "rc": s.rc()}
    s.hear(second, *[frames.get(word) or next(replayed) for word in order.split()])

    assert s.state("fixtures") is ScopeState.SYNCED
    assert s.state("scores") is ScopeState.SYNCING
    assert s.cursor("scores") is None
    assert len(s.fetches) == 1

    s.serve()

    assert s.state("scores") is ScopeState.SYNCED
    # The fetch is for scores only: fixtures took no new base.
    assert {snapshot.channel for snapshot in s.snapshots[-1:]} == {"scores"}


def test_a_demand_for_a_snapshot_counts_on_a_healthy_connection(stage: type[Stage]) -> None:
    """HZ-B6."""
    s = stage()
    first = s.sync()
    s.wait(7200.0)
    s.hear(first, s.sr(reason="client_backpressure"))

    assert s.said()[-1] in (ScopeState.STALE, ScopeState.SYNCING)
    assert s.state() is not ScopeState.SYNCED


def test_a_partial_replay_is_not_shown_as_synced(stage: type[Stage]) -> None:
    """HZ-B7."""
    s, second = resuming(stage)
    s.hear(second, s.update("100-11"), s.update("100-12"))
    s.hear(second, s.sr(reason="client_backpressure"))

    assert s.state() is not ScopeState.SYNCED
    assert s.cursor() is None

    s.drop(second)
    s.open()

    assert s.sent() is None


@pytest.mark.parametrize("head", ["100-12", None])
def test_an_inclusive_replay_is_a_duplicate(stage: type[Stage], head: str | None) -> None:
    """HZ-B8."""
    s, second = resuming(stage, head)
    s.hear(second, s.update("100-10"), s.update("100-11"), s.rc())

    assert s.applied == ["100-10", "100-11"]
    assert s.discarded(Why.DUPLICATE) == ["100-10"]
    assert s.cursor() == "100-11"


def test_a_gap_in_the_sequence_is_no_loss(stage: type[Stage]) -> None:
    """HZ-B9."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-10"), s.update("100-14"), s.update("101-15"))

    assert s.applied == ["100-10", "100-14", "101-15"]
    assert s.state() is ScopeState.SYNCED
    assert not s.fetched_at
    assert len(s.connects) == 1
    assert s.cursor() == "101-15"


def test_data_of_unknown_channels_and_before_the_login_leaves_no_trace(
    stage: type[Stage],
) -> None:
    """HZ-B10, HZ-J17."""
    s = stage()
    first = s.open()
    s.hear(first, s.update("9-9"))

    assert s.discarded(Why.BEFORE_LOGIN) == ["9-9"]

    s.hear(first, s.login_ok())
    s.settle(20.0)
    for n in range(3000):
        s.hear(first, s.update(f"5-{n}", f"futures{n}"))

    assert s.applied == []
    assert set(s.session.counters()) == {"scores", "?"}
    assert s.session.counters()["?"].discarded == 3000
    assert s.state() is ScopeState.SYNCED

    s.hear(first, s.update("9-9"))

    assert s.applied == ["9-9"]


def test_an_entry_without_a_channel_costs_a_resync(stage: type[Stage]) -> None:
    """HZ-B10, table O: it might have been anybody's."""
    s = stage()
    first = s.sync()
    s.hear(first, '{"type":7,"payload":{},"entryId":"1-1"}')

    assert s.anomalies(AnomalyCode.UNDECODABLE) == 1
    assert s.state() is not ScopeState.SYNCED


def test_an_application_that_acts_in_mid_batch_sees_each_entry_once(stage: type[Stage]) -> None:
    """HZ-B11: the next login is built from what was finished; the rest comes by replay, once."""
    s = stage(greedy=False)
    first = s.log_in()
    s.settle(20.0)
    s.consume()
    s.hear(first, s.update("100-11"), s.update("100-12"))
    (entry,) = s.take(1)
    s.finish(entry)
    s.hear(first, s.move())
    second = s.open()

    assert s.sent() == {"scores": "100-11"}

    s.hear(second, s.login_ok(heads={"scores": "100-12"}), s.update("100-12"), s.rc())
    s.consume()

    assert s.applied == ["100-11", "100-12"]
    assert s.discarded(Why.FENCED) == ["100-12"]


def test_an_entry_taken_but_not_finished_is_not_given_twice(stage: type[Stage]) -> None:
    """HZ-B11: 12 is with the application while the connection moves."""
    s = stage(greedy=False)
    first = s.log_in()
    s.settle(20.0)
    s.consume()
    s.hear(first, s.update("100-11"), s.update("100-12"), s.update("100-13"))
    taken = s.take(2)
    s.finish(taken[0])
    s.drop(first)
    second = s.log_in(heads={"scores": "100-13"})
    s.hear(second, s.update("100-12"), s.update("100-13"), s.update("100-14"), s.rc())
    s.finish(taken[1])
    s.consume()

    assert s.sent() == {"scores": "100-11"}
    assert s.applied == ["100-11", "100-12", "100-13", "100-14"]
    assert s.discarded(Why.DUPLICATE) == ["100-12"]
    assert s.cursor() == "100-14"


def test_finishing_what_is_not_outstanding_is_refused_and_changes_nothing(
    stage: type[Stage],
) -> None:
    s = stage(greedy=False)
    first = s.log_in()
    s.settle(20.0)
    s.consume()
    s.hear(first, s.update("100-11"))
    (entry,) = s.take()
    s.finish(entry)
    before = (s.session.status(), s.session.counters())

    with pytest.raises(LocalProtocolError, match="not outstanding"):
        s.session.handle_processed(entry, now=s.now)
    with pytest.raises(LocalProtocolError, match="not outstanding"):
        s.session.handle_rejected(entry, now=s.now)  # type: ignore[arg-type] # it is an entry

    assert (s.session.status(), s.session.counters()) == before


def test_a_replay_burst_for_a_slow_application_becomes_a_resync(stage: type[Stage]) -> None:
    """HZ-B13, R14."""
    options = SessionOptions(delivery_items_max=100, report_discarded=True)
    s, second = resuming(stage, head="100-999", options=options)
    s.greedy = False
    s.scores["A"] = 999
    s.hear(second, *[s.update(f"100-{n}") for n in range(11, 999)])

    assert s.session.counters()["scores"].buffered <= 101
    assert s.anomalies(AnomalyCode.DELIVERY_OVERFLOW) >= 1
    assert s.cursor() is None

    s.hear(second, s.update("100-999"), s.rc())
    s.consume()
    s.greedy = True
    s.settle(30.0)

    assert s.state() is ScopeState.SYNCED
    assert s.score() == 999


def test_interleaved_replay_without_heads_does_not_leave_an_older_value(
    stage: type[Stage],
) -> None:
    """HZ-B1, INV-S10: live 13 came first, and nothing said where the replay ends."""
    s, second = resuming(stage, head=None)
    s.scores["A"] = 13
    s.hear(second, s.update("100-13"), s.update("100-11"), s.update("100-12"), s.rc())

    assert s.state() is not ScopeState.SYNCED or s.score() == 13

    s.settle(30.0)

    assert s.state() is ScopeState.SYNCED
    assert s.score() == 13


@pytest.mark.parametrize("before_the_drop", [[13], [13, 11]])
def test_an_interrupted_replay_without_heads_does_not_leave_an_older_value(
    stage: type[Stage], before_the_drop: list[int]
) -> None:
    """HZ-B1, INV-S10: live 13 came in a replay that broke off, and the next one repeats it."""
    s, second = resuming(stage, head=None)
    s.scores["A"] = 13
    s.hear(second, *[s.update(f"100-{n}") for n in before_the_drop])
    s.drop(second)
    third = s.log_in(heads={})
    s.hear(third, *[s.update(f"100-{n}") for n in (11, 12, 13)], s.rc())

    assert s.state() is not ScopeState.SYNCED or s.score() == 13

    s.settle(30.0)

    assert s.state() is ScopeState.SYNCED
    assert s.score() == 13


def test_a_replay_without_heads_moves_the_cursor_only_at_its_end(stage: type[Stage]) -> None:
    """HZ-B2 without a barrier (design 5a)."""
    s, second = resuming(stage, head=None)
    s.hear(second, s.update("100-11"), s.update("100-12"))

    assert s.cursor() == "100-10"

    s.hear(second, s.rc())

    assert s.cursor() == "100-12"
    assert s.state() is ScopeState.SYNCED


def test_a_fixture_met_in_a_replay_does_not_cost_the_channel_its_cursor_for_good(
    stage: type[Stage],
) -> None:
    """HZ-B5 per fixture: the new one's snapshot comes before resume_complete."""
    s = stage(channels=("odds",), odds={"A": 1})
    first = s.sync(replay=["odds"])
    s.hear(first, s.update("100-1", "odds"))

    assert s.cursor("odds") == "100-1"

    s.drop(first)
    second = s.log_in(replay=["odds"], heads={"odds": "100-3"})
    s.odds["B"] = 3
    s.hear(second, s.update("100-2", "odds"), s.update("100-3", "odds", fixture="B"))
    s.serve()
    s.hear(second, s.rc())

    assert s.state("odds") is ScopeState.SYNCED

    s.hear(second, s.update("100-4", "odds"))

    assert s.cursor("odds") == "100-4"


def test_a_fixture_in_doubt_at_the_end_of_a_replay_holds_the_cursor_back(
    stage: type[Stage],
) -> None:
    """R2 per fixture, without a barrier."""
    s = stage(channels=("odds",), odds={"A": 1, "B": 1})
    first = s.sync(replay=["odds"])
    s.hear(first, s.update("100-1", "odds"))
    s.drop(first)
    s.greedy = False
    second = s.log_in(replay=["odds"])
    s.hear(second, s.update("100-2", "odds", fixture="B"))
    (entry,) = [event for event in s.take() if isinstance(event, Entry)]
    s.session.handle_rejected(entry, now=s.now)
    s.drain()
    s.hear(second, s.update("100-3", "odds"), s.rc())
    s.consume()

    assert s.state("odds") is not ScopeState.SYNCED
    assert s.cursor("odds") is None


def test_a_fixture_met_in_a_replay_without_heads_waits_for_its_base(stage: type[Stage]) -> None:
    """HZ-C22, INV-S3: nothing is applied to nothing, also between login_ok and its verdict."""
    s = stage(channels=("odds",), odds={"A": 1})
    first = s.sync(replay=["odds"])
    s.hear(first, s.update("100-1", "odds"))
    s.drop(first)
    second = s.log_in(replay=["odds"])
    s.hear(second, s.update("100-2", "odds", fixture="B"), s.update("100-3", "odds"))

    assert s.applied == ["100-1", "100-3"]

    s.odds["B"] = 1
    s.settle(1.0)
    s.hear(second, s.rc())

    assert (s.price("A"), s.price("B")) == (3, 2)
    assert s.state("odds") is ScopeState.SYNCED
