"""Silence, asked about once."""

import pytest

from lastseen.liveness import Liveness, Pulse


def test_silence_is_asked_about_once_and_then_believed() -> None:
    liveness = Liveness(20.0, 20.0, heard_at=0.0)

    assert liveness.deadline() == 20.0
    assert liveness.check(now=19.9) is Pulse.ALIVE
    assert liveness.check(now=20.0) is Pulse.ASK
    assert liveness.deadline() == 40.0
    assert liveness.check(now=30.0) is Pulse.ALIVE
    assert liveness.check(now=40.0) is Pulse.DEAD


@pytest.mark.parametrize("at", [1.0, 20.0, 39.9])
def test_any_sign_of_life_starts_anew(at: float) -> None:
    """HZ-I4."""
    liveness = Liveness(20.0, 20.0, heard_at=0.0)
    liveness.check(now=at)
    liveness.heard(now=at)

    assert liveness.deadline() == at + 20.0
    assert liveness.check(now=at + 20.0) is Pulse.ASK


def test_a_clock_that_jumped_over_both_is_a_loss() -> None:
    """HZ-H17: nobody is asked after eight hours of sleep."""
    assert Liveness(20.0, 20.0, heard_at=0.0).check(now=8 * 3600.0) is Pulse.DEAD
