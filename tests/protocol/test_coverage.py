"""What a history can cover of the time away, in moments of the server's clock."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen.coverage import Coverage, HistoryRequest
from lastseen.errors import ConfigurationError
from lastseen.events import Gap, GapReason

START = 1_790_000_000_000
"""The server's clock at our 0.0, in ms."""


def at(seconds: float) -> int:
    return START + round(seconds * 1000)


def coverage(**options: Any) -> Coverage:
    """One that has its subscription, and heard nothing yet."""
    made = Coverage(**{"lookback_ms": 30_000, "count_max": 20, "overlap_ms": 5_000, **options})
    assert made.request("s") == HistoryRequest()
    assert made.covered("s", [], now=0.0) is None
    return made


def live_until(seconds: float, **options: Any) -> Coverage:
    """One that heard an event at that moment, and lost its connection then."""
    made = coverage(**options)
    made.heard(at(seconds), now=seconds)
    made.accepted(at(seconds), now=seconds)
    made.lost(heard_at=seconds)
    return made


def test_a_first_request_is_left_to_the_subscription() -> None:
    assert Coverage().request("s") == HistoryRequest()


def test_after_a_loss_everything_since_the_last_event_is_asked_for_with_an_overlap() -> None:
    assert live_until(100.0).request("s") == HistoryRequest(since_ms=at(95.0))


def test_the_greatest_event_time_counts_whatever_came_last() -> None:
    """Facts 8: pending events come in no order."""
    made = coverage()
    for seconds in (99.0, 101.0, 100.0):
        made.accepted(at(seconds), now=101.0)
    made.lost(heard_at=101.0)

    assert made.request("s") == HistoryRequest(since_ms=at(96.0))


def test_the_last_few_can_be_asked_for_instead() -> None:
    assert live_until(100.0, by_count=100).request("s") == HistoryRequest(count=100)


def test_a_since_is_not_below_zero() -> None:
    made = coverage()
    made.accepted(10, now=0.0)
    made.lost(heard_at=0.0)

    assert made.request("s") == HistoryRequest(since_ms=0)


def test_one_that_heard_nothing_at_all_has_nothing_to_ask_for() -> None:
    made = coverage()
    made.lost(heard_at=5.0)

    assert made.request("s") == HistoryRequest()
    assert made.covered("s", [at(1.0)], now=6.0) is None


def test_one_that_heard_only_the_servers_clock_goes_by_it() -> None:
    made = coverage()
    made.heard(at(60.0), now=60.0)
    made.lost(heard_at=90.0)

    assert made.request("s") == HistoryRequest(since_ms=at(80.0))


def gap_of(since_s: float, until_ms: int | None, reason: GapReason) -> Gap:
    return Gap(since_ms=at(since_s), until_ms=until_ms, reason=reason, subscription="s")


# Gaps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "back_at", "times", "expected"),
    [
        # Inside the window, whatever the history brings.
        ({}, 110.0, [], None),
        ({}, 110.0, [at(104.0)], None),
        ({}, 129.9, [at(104.0)], None),
        # Beyond it: what the window left out reaches to the first event that it did not.
        ({}, 131.0, [at(112.0), at(104.0)], (at(104.0), GapReason.WINDOW)),
        ({}, 131.0, [], (at(131.0), GapReason.WINDOW)),
        ({}, 131.0, [None], (at(131.0), GapReason.WINDOW)),
        ({"lookback_ms": 300_000}, 131.0, [at(104.0)], None),
        # An answer that reaches back to where we were shows a longer window than promised.
        ({}, 500.0, [at(104.0), at(100.0)], None),
        ({}, 500.0, [at(98.0), None], None),
        # As many as there can be.
        ({}, 110.0, [at(102.0)] * 20, (at(102.0), GapReason.COUNT)),
        ({}, 110.0, [*[at(102.0)] * 19, at(99.9)], None),
        # The one before the first may be as old as that.
        ({}, 110.0, [*[at(102.0)] * 19, at(100.0)], (at(102.0), GapReason.COUNT)),
        ({}, 110.0, [at(102.0)] * 19, None),
        ({}, 110.0, [at(102.0)] * 21, None),
        ({"by_count": 10}, 110.0, [at(102.0)] * 9, None),
        ({"by_count": 10}, 110.0, [at(102.0)] * 10, (at(102.0), GapReason.COUNT)),
        ({"by_count": 100}, 110.0, [at(102.0)] * 19, None),
        ({"by_count": 100}, 110.0, [at(102.0)] * 20, (at(102.0), GapReason.COUNT)),
        ({"by_count": 100}, 110.0, [at(102.0)] * 100, (at(102.0), GapReason.COUNT)),
    ],
)
def test_a_gap_is_named_unless_it_can_be_ruled_out(
    options: dict[str, Any], back_at: float, times: list[int | None], expected: Any
) -> None:
    """HZ-G10: the window, or the count, cannot cover the time away."""
    made = live_until(100.0, **options)
    made.request("s")
    gap = made.covered("s", times, now=back_at)

    if expected is None:
        assert gap is None
    else:
        until_ms, reason = expected
        assert gap == gap_of(100.0, until_ms, reason)
    assert made.request("s") == HistoryRequest()


def test_a_gap_is_told_once() -> None:
    made = live_until(100.0)

    assert made.covered("s", [], now=200.0) is not None
    assert made.covered("s", [], now=200.0) is None
    assert made.uncovered("s", now=200.0) is None


def test_without_the_servers_clock_only_an_answer_that_reaches_back_rules_a_gap_out() -> None:
    made = coverage()
    made.accepted(at(100.0), now=100.0)
    made.lost(heard_at=100.0)

    assert made.covered("s", [], now=101.0) == gap_of(100.0, None, GapReason.WINDOW)


def test_the_peers_own_warning_counts() -> None:
    made = live_until(100.0)

    assert made.covered("s", [at(104.0), at(99.0)], warned=True, now=101.0) == gap_of(
        100.0, at(104.0), GapReason.WARNED
    )


def test_a_quiet_time_with_a_live_connection_is_no_time_away() -> None:
    """HZ-I4: heartbeats went on for minutes after the last event."""
    made = coverage()
    made.accepted(at(100.0), now=100.0)
    made.heard(at(400.0), now=400.0)
    made.lost(heard_at=410.0)

    assert made.request("s") == HistoryRequest(since_ms=at(95.0))
    # The warning may be about what we asked for on top.
    assert made.covered("s", [at(416.0)], warned=True, now=420.0) is None


def test_but_what_follows_the_quiet_is_missed_from_then_on() -> None:
    made = coverage()
    made.accepted(at(100.0), now=100.0)
    made.heard(at(400.0), now=400.0)
    made.lost(heard_at=410.0)

    assert made.covered("s", [], now=450.0) == gap_of(405.0, at(450.0), GapReason.WINDOW)


def test_a_history_that_never_comes_leaves_a_gap() -> None:
    made = live_until(100.0)

    assert made.uncovered("s", now=110.0) == gap_of(100.0, at(110.0), GapReason.UNANSWERED)
    assert made.request("s") == HistoryRequest()
    assert made.uncovered("never asked", now=110.0) is None


def test_who_is_lost_again_before_the_history_still_misses_all_since_the_first_time() -> None:
    made = live_until(100.0)
    made.request("s")
    # Live events of the new connection say nothing about the time before.
    made.heard(at(110.0), now=110.0)
    made.accepted(at(110.0), now=110.0)
    made.lost(heard_at=111.0)

    assert made.request("s") == HistoryRequest(since_ms=at(95.0))
    assert made.covered("s", [at(106.0)], now=131.0) == gap_of(100.0, at(106.0), GapReason.WINDOW)


def test_each_subscription_catches_up_by_itself() -> None:
    made = coverage()
    made.request("other")
    made.heard(at(100.0), now=100.0)
    made.accepted(at(100.0), now=100.0)
    made.lost(heard_at=100.0)
    made.covered("s", [at(99.0)], now=101.0)
    made.accepted(at(102.0), now=102.0)
    assert made.accepted_ms == at(102.0)
    made.lost(heard_at=102.0)

    assert made.request("s") == HistoryRequest(since_ms=at(97.0))
    assert made.request("other") == HistoryRequest(since_ms=at(95.0))
    made.drop("other")
    assert made.request("other") == HistoryRequest()


# Clocks ------------------------------------------------------------------------------------------


def test_the_servers_clock_is_the_greatest_reading_as_late_frames_make_it_smaller() -> None:
    made = coverage()

    assert made.server_ms(now=0.0) is None
    made.heard(at(9.0), now=10.0)
    made.heard(at(10.5), now=11.0)
    made.heard(at(10.0), now=12.0)
    assert made.server_ms(now=20.0) == at(19.5)


def test_a_clock_that_starts_at_our_own_zero_is_a_clock() -> None:
    made = coverage()
    made.heard(10_000, now=10.0)
    made.heard(10_500, now=11.0)

    assert made.server_ms(now=12.0) == 12_000


def test_a_server_clock_that_stepped_is_believed_when_it_says_so_three_times() -> None:
    made = coverage()
    made.heard(at(10.0), now=10.0)
    for turn in range(3):
        assert made.server_ms(now=20.0) == at(20.0), turn
        made.heard(at(3610.0), now=10.0)
    assert made.server_ms(now=20.0) == at(3620.0)


def test_single_readings_that_are_far_off_are_not_believed() -> None:
    made = coverage()
    for turn in range(5):
        made.heard(at(10.0 + turn), now=10.0 + turn)
        made.heard(at(9999.0), now=10.0 + turn)
        made.heard(at(-9999.0), now=10.0 + turn)

    assert made.server_ms(now=20.0) == at(20.0)


def test_an_event_from_the_future_does_not_move_us_past_what_is_still_to_come() -> None:
    made = coverage()
    made.heard(at(100.0), now=100.0)
    made.accepted(at(100.0), now=100.0)
    made.accepted(at(100_000.0), now=100.0)
    made.lost(heard_at=100.0)

    assert made.implausible == 1
    assert made.request("s") == HistoryRequest(since_ms=at(95.0))


def test_nor_does_one_that_came_before_anything_had_told_the_time() -> None:
    made = coverage()
    made.accepted(at(100_000.0), now=1.0)
    made.heard(at(100.0), now=100.0)
    made.accepted(at(100.0), now=100.0)
    made.lost(heard_at=101.0)

    assert made.implausible == 1
    assert made.request("s") == HistoryRequest(since_ms=at(96.0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lookback_ms": 0}, "lookback_ms must be above 0"),
        ({"count_max": 0}, "count_max must be above 0"),
        ({"by_count": 0}, "by_count must be above 0"),
        ({"overlap_ms": -1}, "overlap_ms must be below lookback_ms"),
        ({"overlap_ms": 30_000}, "overlap_ms must be below lookback_ms"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Coverage(**options)


@settings(max_examples=300)
@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=40),
    st.integers(0, 300),
    st.integers(1, 120),
    st.integers(1, 12),
)
def test_no_event_outside_the_named_gap_is_missed(
    event_times: list[int], lost_at: int, away_s: int, count_max: int
) -> None:
    """A peer that keeps its promises, events in order: what is not brought lies inside the gap."""
    made = coverage(count_max=count_max, overlap_ms=0)
    back_at = lost_at + away_s
    made.heard(at(0.0), now=0.0)
    known = {time for time in event_times if time <= lost_at}
    for time in sorted(known):
        made.accepted(at(time), now=time)
    made.lost(heard_at=lost_at)
    since_ms = made.request("s").since_ms
    assert since_ms is not None

    within = [
        time
        for time in sorted(event_times)
        if time <= back_at and at(time) >= max(since_ms, at(back_at) - 30_000)
    ]
    # Of a count it gives the latest.
    brought = within[-count_max:]
    gap = made.covered("s", [at(time) for time in brought], now=back_at)
    missed = {time for time in event_times if time <= back_at} - known - set(brought)
    for time in missed:
        assert gap is not None
        assert gap.since_ms is not None
        assert gap.until_ms is not None
        assert gap.since_ms <= at(time) <= gap.until_ms
