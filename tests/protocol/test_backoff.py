"""Delays before connections: growth, jitter, cap and floor (R12)."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastseen.backoff import Backoff, ConnectGate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.protocol.conftest import Stage


def gate(seed: int = 1) -> ConnectGate:
    return ConnectGate(
        backoff=Backoff(base_s=1.0, cap_s=30.0),
        rng=random.Random(seed),
        stable_after_s=10.0,
        planned_jitter_s=1.0,
    )


@given(st.integers(0, 10_000), st.integers(), st.floats(0.001, 10), st.floats(10, 1000))
def test_a_delay_lies_between_half_and_whole(
    failures: int, seed: int, base_s: float, cap_s: float
) -> None:
    top = min(cap_s, base_s * 2 ** min(failures, 60))
    delay = Backoff(base_s=base_s, cap_s=cap_s).delay(failures, random.Random(seed))

    assert top / 2 <= delay <= top


def test_delays_fill_their_range() -> None:
    rng = random.Random(3)
    delays = sorted(Backoff(base_s=2.0, cap_s=9.0).delay(0, rng) for _ in range(1000))

    assert delays[0] < 1.02
    assert delays[-1] > 1.98
    assert 1.4 < delays[500] < 1.6


def test_the_first_attempt_waits_for_nothing() -> None:
    first = gate()
    first.request_first(now=5.0)

    assert first.take(now=5.0)
    assert not first.take(now=5.0)


def test_requests_do_not_postpone_each_other() -> None:
    """HZ-D11."""
    one = gate()
    delay = one.request(now=0.0)

    assert one.request(planned=True, now=delay / 2) == pytest.approx(delay / 2)
    assert one.request(now=delay + 5.0) == 0.0
    assert not one.take(now=delay * 0.99)
    assert one.take(now=delay)


def test_a_planned_move_from_a_good_connection_is_a_short_jitter() -> None:
    """HZ-D9."""
    delays = [gate(seed).request(planned=True, now=0.0) for seed in range(200)]

    assert all(0.0 <= delay <= 1.0 for delay in delays)
    assert max(delays) - min(delays) > 0.9


def test_a_planned_move_from_a_connection_on_probation_is_a_failure() -> None:
    """HZ-D3."""
    one = gate()
    one.request(now=0.0)
    one.take(now=1.0)
    one.logged_in(now=1.0)
    one.settle(now=10.9)

    assert 1.0 <= one.request(planned=True, now=10.9) <= 2.0


def test_only_a_connection_that_lasted_resets_the_count() -> None:
    one = gate()
    for _ in range(5):
        one.request(now=0.0)
        one.take(now=100.0)
    one.logged_in(now=0.0)
    one.settle(now=9.9)
    assert one.failures == 5

    one.lost()
    one.settle(now=100.0)
    assert one.failures == 5

    one.logged_in(now=100.0)
    one.settle(now=110.0)
    assert one.failures == 0
    assert 0.5 <= one.request(now=200.0) <= 1.0


def test_a_least_wait_is_kept() -> None:
    assert gate().request(at_least_s=60.0, now=0.0) == 60.0


def refused(s: Stage) -> None:
    s.dial()
    assert s.dialling is not None
    s.drop(s.dialling, None, reason="connection refused")


def accepted_then_closed(s: Stage) -> None:
    s.drop(s.open(), 1006)


def closed_after_login(s: Stage) -> None:
    s.drop(s.log_in(), 1000)


def told_to_reconnect(s: Stage) -> None:
    number = s.log_in()
    s.hear(number, s.move())


@pytest.mark.parametrize(
    "peer", [refused, accepted_then_closed, closed_after_login, told_to_reconnect]
)
def test_thirty_seconds_of_a_peer_that_never_lasts(
    stage: type[Stage], peer: object, tell: Callable[[str], None]
) -> None:
    """HZ-H1, HZ-H2, HZ-D3: tells each delay, and demands growth, jitter, cap and floor."""
    runs: list[list[float]] = []
    for seed in range(20):
        s = stage(seed=seed)
        while s.now < 30.0:
            peer(s)  # type: ignore[operator] # each row is a function of a stage
        moments = [at for at, _ in s.connects]
        runs.append([b - a for a, b in itertools.pairwise(moments)])
    shown = " ".join(f"{delay:.2f}" for delay in runs[0])
    tell(f"seconds between connects, {peer.__name__}: {shown}")  # type: ignore[attr-defined]
    for delays in runs:
        planned = peer is told_to_reconnect
        for failures, delay in enumerate(delays):
            top = min(30.0, 2.0**failures)
            # The move away from the first connection is planned: a jitter of at most 1 s.
            floor = 0.0 if planned and failures == 0 else top / 2
            assert floor <= delay <= top, (failures, delays)
        assert len(delays) <= 8
        assert max(delays) >= 8.0
    for attempt in range(4):
        assert len({round(delays[attempt], 3) for delays in runs}) >= 18


def test_the_cap_is_reached_and_kept(stage: type[Stage]) -> None:
    s = stage()
    while s.now < 1800.0:
        refused(s)
    moments = [at for at, _ in s.connects]
    delays = [b - a for a, b in itertools.pairwise(moments)]

    assert all(15.0 <= delay <= 30.0 for delay in delays[5:])
