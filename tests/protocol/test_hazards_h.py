"""Liveness, backoff and limits (H1 to H18), health and backpressure (I2, I6 to I8)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from lastseen import (
    AnomalyCode,
    Disconnected,
    Entry,
    Failure,
    LocalProtocolError,
    ScopeState,
    SessionOptions,
    SnapshotFault,
    Why,
)

if TYPE_CHECKING:
    from tests.protocol.conftest import Stage


def last_end(s: Stage) -> Disconnected:
    return [event for event in s.events if isinstance(event, Disconnected)][-1]


def test_an_open_socket_does_not_reset_the_backoff(stage: type[Stage]) -> None:
    """HZ-H1, R12."""
    s = stage()
    delays: list[float] = []
    for _ in range(8):
        s.drop(s.open(), 1011)
        delays.append(last_end(s).retry_in_s or 0.0)

    for failures, delay in enumerate(delays):
        top = min(30.0, 2.0**failures)
        assert top / 2 <= delay <= top


@pytest.mark.parametrize("code", [1000, 1001, 1005])
def test_a_clean_close_passes_the_same_gate(stage: type[Stage], code: int) -> None:
    """HZ-H2."""
    s = stage()
    delays: list[float] = []
    for _ in range(7):
        s.drop(s.log_in(), code)
        delays.append(last_end(s).retry_in_s or 0.0)

    for failures, delay in enumerate(delays):
        top = min(30.0, 2.0**failures)
        assert top / 2 <= delay <= top


def test_every_delay_is_jittered(stage: type[Stage]) -> None:
    """HZ-H3: a hundred clients, still apart at the fourth attempt."""
    fourth: list[float] = []
    for seed in range(100):
        s = stage(seed=seed)
        for _ in range(4):
            s.drop(s.open())
        s.dial()
        fourth.append(s.now)

    assert max(fourth) - min(fourth) > 4.0
    assert len({round(at, 1) for at in fourth}) > 40


def test_an_outage_of_hours_is_survived(stage: type[Stage]) -> None:
    """HZ-H4, HZ-H12: never gives up, stays under the cap, and relaxes once things are good."""
    s = stage()
    while s.now < 7200.0:
        s.dial()
        assert s.dialling is not None
        s.drop(s.dialling, None, reason="connection refused")
    number = s.log_in()
    back_within = s.connects[-1][0] - s.connects[-2][0]
    s.wait(3600.0)
    s.drop(number)

    assert back_within <= 30.0
    assert 0.5 <= (last_end(s).retry_in_s or 0.0) <= 1.0


@pytest.mark.parametrize("how", ["silence", 1005, 1006, None])
def test_a_resume_without_a_verdict_is_given_up_at_the_third_time(
    stage: type[Stage], how: int | str | None
) -> None:
    """HZ-H5, R13: attempt four carries no cursor, and neither does the durable position."""
    s = stage()
    first = s.sync()
    s.hear(first, s.update("100-1"))
    s.drop(first)
    for _ in range(3):
        number = s.open()
        if how == "silence":
            s.wait(10.1)
        else:
            s.drop(number, how)  # type: ignore[arg-type] # a code or None
    s.open()
    s.wait(1.0)

    assert [s.sent(n) for n in range(1, 5)] == [{"scores": "100-1"}] * 3 + [None]
    assert s.commits[-1].position.cursors == ()
    assert s.session.status().durable.cursors == ()


def test_drops_during_a_replay_that_makes_progress_are_no_reason_to_give_up(
    stage: type[Stage],
) -> None:
    """HZ-H5, INV-L4: another cursor each time."""
    s = stage()
    number = s.sync()
    s.hear(number, s.update("100-1"))
    for n in range(2, 12):
        s.drop(number)
        number = s.log_in(heads={"scores": "100-99"})
        s.hear(number, s.update(f"100-{n}"))

    assert [s.sent(n) for n in range(1, 11)] == [{"scores": f"100-{n}"} for n in range(1, 11)]


@pytest.mark.parametrize(
    "words", ["login_failed", "first message must be login", "api_key_revoked"]
)
def test_a_refused_key_stops_the_session(stage: type[Stage], words: str) -> None:
    """HZ-H6, OP-A32: one clear word from the gateway is enough, and no socket stays."""
    s = stage()
    number = s.open()
    s.hear(number, s.error(words, "nope"))

    assert s.stopped is not None
    assert s.stopped.failure is Failure.FATAL
    assert words in s.stopped.reason
    assert not s.sockets
    assert s.session.finished
    assert s.session.poll_deadline() is None


@pytest.mark.parametrize("end", [{"http_status": 401}, {"http_status": 403}, {"code": 4000}])
def test_a_refusal_has_to_be_repeated_to_be_believed(
    stage: type[Stage], end: dict[str, int]
) -> None:
    """HZ-H6, HZ-H7."""
    s = stage()
    s.drop(s.open(), **{"code": None, **end})

    assert s.session.status().stopped is None

    s.drop(s.open(), **{"code": None, **end})

    assert s.stopped is not None
    assert s.stopped.failure is Failure.REJECTED


def test_a_refusal_between_other_failures_is_not_believed(stage: type[Stage]) -> None:
    """HZ-H7."""
    s = stage()
    for _ in range(5):
        s.drop(s.open(), 4000)
        s.drop(s.open(), 1006)

    assert s.stopped is None


def test_what_the_gateway_says_never_shows_the_key(stage: type[Stage]) -> None:
    """HZ-K4: a gateway that echoes the login."""
    s = stage()
    number = s.open()
    key = s.logins[0]["apiKey"]
    s.hear(number, s.error("login_failed", f"key {key} unknown"))

    assert key not in repr(s.events)
    assert "***" in (s.stopped.reason if s.stopped else "")


@pytest.mark.parametrize(
    "end",
    [{"http_status": 503}, {"http_status": 500}, {"code": 1012}, {"code": 1013}, {"code": 1006},
     {"reason": "certificate has expired"}, {"reason": "no such host"}, {"http_status": 408}],
)  # fmt: skip
def test_transient_errors_are_retried_for_ever(
    stage: type[Stage], end: dict[str, int | str]
) -> None:
    """HZ-H7."""
    s = stage()
    for _ in range(10):
        s.drop(s.open(), **{"code": None, **end})  # type: ignore[arg-type] # fields of End
        assert last_end(s).failure is Failure.TRANSIENT

    s.log_in()

    assert s.session.status().connected


def test_an_upgrade_that_never_answers_is_given_up(stage: type[Stage]) -> None:
    """HZ-H8, INV-S20: also when the driver forgets its own deadline."""
    s = stage()
    s.wait(15.1)

    assert [close.abandon for close in s.closes] == [True]
    assert last_end(s).reason == "connect timed out"
    assert last_end(s).retry_in_s is not None


def test_an_unanswered_login_is_given_up(stage: type[Stage]) -> None:
    """HZ-H8."""
    s = stage()
    s.open()
    s.wait(9.9)

    assert not s.closes

    s.wait(0.2)

    assert [close.abandon for close in s.closes] == [True]
    assert last_end(s).reason == "login timed out"
    assert (last_end(s).retry_in_s or 0.0) >= 0.5


@pytest.mark.parametrize("how", ["frame", "close", "upgrade"])
def test_a_connection_limit_is_waited_out(stage: type[Stage], how: str) -> None:
    """HZ-H9: ten seconds at least, and Retry-After when it is longer."""
    s = stage()
    number = s.open()
    if how == "frame":
        s.hear(number, s.error("too_many_connections"))
    elif how == "close":
        s.drop(number, 4003)
    else:
        s.drop(number, None, http_status=429, retry_after_s=60.0)

    assert last_end(s).failure is Failure.LIMIT
    assert (last_end(s).retry_in_s or 0.0) >= (60.0 if how == "upgrade" else 10.0)
    assert s.stopped is None
    assert not s.sockets


def test_logins_stay_inside_the_message_budget(stage: type[Stage]) -> None:
    """HZ-H10: one login frame carries all; here the budget is one in a second."""
    options = SessionOptions(messages_per_s=1, backoff_base_s=0.01, backoff_cap_s=0.01)
    s = stage(options=options)
    at: list[float] = []
    while len(at) < 5:
        number = s.open()
        while len(s.logins) == len(at):
            deadline = s.session.poll_deadline()
            assert deadline is not None
            s.step(deadline.at)
        at.append(s.now)
        s.drop(number)

    assert all(b - a >= 1.0 for a, b in itertools.pairwise(at))


def test_a_poison_entry_costs_its_scope_a_resync_and_nothing_else(stage: type[Stage]) -> None:
    """HZ-H14, table O: the connection stays, what follows is applied."""
    s = stage(channels=("odds",), odds={"A": 1, "B": 1}, greedy=False)
    first = s.log_in()
    s.settle(30.0)
    s.consume()
    s.hear(first, *[s.update(f"100-{n}", "odds", fixture=f) for n, f in enumerate("ABA", 1)])
    one, poison, three = [event for event in s.take() if isinstance(event, Entry)]
    s.finish(one)
    s.session.handle_rejected(poison, now=s.now)
    s.drain()

    assert s.session.counters()["odds"].quarantined == 1
    assert s.anomalies(AnomalyCode.ENTRY_REJECTED) == 1
    assert s.state("odds") is not ScopeState.SYNCED
    assert s.cursor("odds") is None

    s.finish(three)
    s.greedy = True
    s.settle(2.0)

    assert s.state("odds") is ScopeState.SYNCED
    assert len(s.connects) == 1
    assert list(s.fetches) == []
    assert [snapshot.entity for snapshot in s.snapshots][-1] == "B"


def test_a_poison_entry_that_comes_back_makes_the_resyncs_rarer(stage: type[Stage]) -> None:
    """HZ-H14: k times, then mostly stale."""
    s = stage(greedy=False)
    first = s.log_in()
    s.settle(30.0)
    s.consume()
    s.fetched_at.clear()
    start, n = s.now, 0
    while s.now - start < 120.0:
        n += 1
        s.hear(first, s.update(f"100-{n}"))
        for event in s.take():
            if isinstance(event, Entry):
                s.session.handle_rejected(event, now=s.now)
            else:
                s.session.handle_processed(event, now=s.now)
        s.drain()
        s.settle(0.1)

    assert len(s.fetched_at) < 15
    assert len(s.connects) == 1


def test_pairs_of_faults_in_one_step_leave_no_dead_state(stage: type[Stage]) -> None:
    """HZ-H16, INV-S20: every stage checks it after each step; here the worst pairs."""
    s = stage(scores={"A": 1}, durable=None)
    first = s.sync()
    s.hear(first, s.update("100-1"))
    s.hear(first, s.sr())
    s.wait_for_fetch()
    (fetch,) = s.fetches
    s.drop(first)
    s.session.handle_snapshot(fetch, SnapshotFault(reason="late"), now=s.now)
    s.wait(0.3)
    commit = s.commits[-1]
    s.session.handle_committed(commit.commit, trouble="disk full", now=s.now)
    s.drain()
    s.durable = True
    second = s.log_in()
    s.settle(5.0)
    s.hear(second, s.update("100-2"))

    assert s.state() is ScopeState.SYNCED
    assert s.session.status().durable_failed is False


def test_a_machine_that_slept_reconnects_once(stage: type[Stage]) -> None:
    """HZ-H17: eight hours between two inputs; no ping, no avalanche."""
    s = stage()
    s.sync()
    s.now += 8 * 3600.0
    pings = len(s.pings)
    s.step(s.now)
    s.step(s.now)
    s.dial(within=1.0)

    assert len(s.pings) == pings
    assert len(s.connects) == 2
    assert last_end(s).reason == "no sign of life"


def test_every_connect_is_a_decision_of_the_core(stage: type[Stage]) -> None:
    """HZ-H18: an end nobody asked about, twice over, changes nothing."""
    s = stage()
    first = s.sync()
    s.drop(first)
    s.drop(first)
    s.drop(99)
    s.dial()

    assert len(s.connects) == 2


def test_silence_is_asked_about_and_then_believed(stage: type[Stage]) -> None:
    """HZ-I3: within forty seconds."""
    s = stage(lively=False)
    s.sync()
    s.pings.clear()
    s.hear(1, s.update("100-1"))
    at = s.now
    s.wait(40.0)

    assert s.pings == [at + 20.0]
    assert last_end(s).reason == "no sign of life"
    assert s.state() is ScopeState.RESUMING


def test_a_quiet_feed_is_not_a_dead_one(stage: type[Stage]) -> None:
    """HZ-I4."""
    s = stage()
    s.sync()
    s.wait(36_000.0)

    assert len(s.connects) == 1
    assert s.state() is ScopeState.SYNCED
    assert len(s.pings) >= 1700


def test_pongs_do_not_hide_a_wedged_consumer(stage: type[Stage]) -> None:
    """HZ-I2: the lag is there to be read."""
    s = stage(greedy=False)
    first = s.log_in()
    s.settle(30.0)
    s.consume()
    s.hear(first, *[s.update(f"100-{n}") for n in range(1, 51)])
    s.take(10)
    s.wait(3600.0)

    assert s.session.status().channel("scores").lag == 50


@pytest.mark.parametrize(
    "options",
    [
        SessionOptions(delivery_items_max=10, report_discarded=True),
        SessionOptions(delivery_bytes_max=2000, report_discarded=True),
    ],
)
def test_an_application_that_takes_nothing_costs_a_bounded_buffer(
    stage: type[Stage], options: SessionOptions
) -> None:
    """HZ-I6, HZ-I7, INV-S13: the fall is told before any later entry."""
    s = stage(greedy=False, options=options)
    first = s.log_in()
    s.settle(30.0)
    s.consume()
    told = len(s.events)
    for n in range(1, 500):
        s.hear(first, s.update(f"100-{n}"))
        assert s.session.counters()["scores"].buffered <= 40

    row = s.session.counters()["scores"]
    assert row.dropped > 0
    assert s.cursor() is None
    assert s.anomalies(AnomalyCode.DELIVERY_OVERFLOW) == 1

    s.scores["A"] = 499
    s.consume()
    said = s.events[told:]
    fell = next(i for i, e in enumerate(said) if getattr(e, "state", None) is ScopeState.STALE
                or getattr(e, "state", None) is ScopeState.SYNCING)  # fmt: skip
    assert not [event for event in said[:fell] if isinstance(event, Entry)]

    s.greedy = True
    s.settle(60.0)

    assert s.state() is ScopeState.SYNCED
    assert s.score() == 499
    assert set(s.discarded(Why.RESYNC))


def test_one_slow_channel_leaves_the_others_alone(stage: type[Stage]) -> None:
    """HZ-I8: fixtures overflow; scores neither lag nor resync."""
    s = stage(
        channels=("fixtures", "scores"), greedy=False, options=SessionOptions(delivery_items_max=10)
    )
    first = s.log_in()
    s.settle(30.0)
    s.consume()
    s.hear(first, *[s.update(f"100-{n}", "fixtures") for n in range(1, 20)], s.update("100-1"))
    s.consume()

    assert s.state("fixtures") is not ScopeState.SYNCED
    assert s.state("scores") is ScopeState.SYNCED
    assert s.session.status().channel("scores").lag == 0
    assert s.cursor("scores") == "100-1"


def test_the_end_is_told_even_when_notices_have_overflowed(stage: type[Stage]) -> None:
    """INV-S13, INV-S20: nobody took an event for very long."""
    s = stage(greedy=False)
    first = s.log_in()
    s.settle(30.0)
    s.consume()
    frame = s.update("100-1")
    for _ in range(1010):
        s.session.handle_frames(first, [frame] * 100, now=s.now)
    s.session.handle_close(now=s.now)
    s.drain()
    s.consume(1_000_000)

    assert s.stopped is not None
    assert s.session.finished


def test_closing_with_a_store_that_fails_does_not_spin(stage: type[Stage]) -> None:
    """HZ-E9 as seen by the core: a failed last commit is tried again, ever more slowly."""
    s = stage(durable=None)
    first = s.sync()
    s.hear(first, s.update("100-1"))
    s.session.handle_close(now=s.now)
    s.drain()
    start = s.now
    while s.now - start < 10.0 or s.session.poll_deadline() is not None:
        deadline = s.session.poll_deadline()
        if deadline is not None:
            s.step(deadline.at)
        else:
            failing = s.commits[-1].commit
            s.session.handle_committed(failing, trouble="disk full", now=s.now)
            s.drain()

    assert 3 < len(s.commits) < 20
    assert not s.is_over()

    s.session.handle_committed(s.commits[-1].commit, now=s.now)
    s.drain()

    assert s.session.finished
    assert s.session.status().durable.cursor("scores") == "100-1"


def test_a_login_that_waited_and_was_given_up_leaves_no_deadline_behind(
    stage: type[Stage],
) -> None:
    """A deadline that stays in the past would keep the driver busy until the socket closes."""
    s = stage(options=SessionOptions(messages_per_s=1), polite=False)
    s.drop(s.open())
    s.open()
    assert len(s.logins) == 1
    s.session.handle_close(now=s.now)
    s.drain()
    s.step(s.now + 1.0)
    deadline = s.session.poll_deadline()

    assert deadline is not None
    assert deadline.at > s.now


def test_a_session_begins_once(stage: type[Stage]) -> None:
    """A second beginning would connect past the gate, and call new what is known."""
    s = stage()
    s.sync()
    with pytest.raises(LocalProtocolError, match="begun before"):
        s.session.handle_begin(now=s.now)
    s.drain()

    assert len(s.connects) == 1
