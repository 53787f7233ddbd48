"""Rolling windows."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lastseen.budget import Budget

steps = st.lists(
    st.tuples(
        st.floats(0, 3).map(lambda x: round(x, 3)),
        st.integers(1, 4),
        st.none() | st.floats(0, 2).map(lambda x: round(x, 3)),
    ),
    max_size=40,
)


@settings(max_examples=500)
@given(st.integers(4, 8), st.sampled_from([0.5, 1.0, 2.5]), steps)
@example(4, 1.0, [(0.0, 4, 0.0), (0.0, 4, None)])
@example(4, 2.5, [(0.0, 4, 0.1), (0.2, 4, None)])
def test_no_window_holds_more_than_the_limit(
    limit: int, window_s: float, plan: list[tuple[float, int, float | None]]
) -> None:
    """INV-S14: wherever the window starts, and whatever pauses the peer asked for."""
    budget = Budget(limit, window_s)
    used: list[float] = []
    now, quiet_until = 100.0, 0.0
    for wait, count, pause in plan:
        now += wait
        earliest = budget.earliest(count, now=now)
        taken = budget.take(count, now=now)
        assert taken == (earliest <= now)
        if taken:
            assert now >= quiet_until
            used.extend([now] * count)
        else:
            assert budget.take(count, now=earliest)
            now = earliest
            used.extend([now] * count)
        if pause is not None:
            budget.pause(pause, now=now)
            quiet_until = max(quiet_until, now + pause)
    for start in used:
        assert sum(start <= at < start + window_s for at in used) <= limit


def test_more_than_the_limit_at_once_waits_for_an_empty_window() -> None:
    budget = Budget(2, 1.0)

    assert budget.take(5, now=0.0)
    assert not budget.take(now=0.9)
    assert budget.earliest(now=0.9) == 1.0
    assert budget.take(now=1.0)


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    budget = Budget(2, 1.0)
    budget.pause(10.0, now=0.0)
    budget.pause(1.0, now=0.0)

    assert not budget.take(now=5.0)
    assert budget.earliest(now=5.0) == 10.0
    assert budget.take(now=10.0)
