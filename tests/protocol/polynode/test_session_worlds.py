"""Random schedules against a little peer that writes the truth down, on virtual time."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tiny_polynode import World

from lastseen.coverage import Coverage
from lastseen.identities import Identities, Verdict
from lastseen.lifecycle import Lifecycle
from lastseen.mechanisms import Mechanisms

SEEDS = range(60)
SOAK_SEEDS = range(1000, 4000)

MARKS = {
    "drop", "lost in flight", "long outage", "refused connection", "duplicate", "grant first",
    "history first", "granted twice", "no grant", "no history", "transient error",
    "several of one transaction", "late confirmation", "born confirmed", "outcome by history",
    "missing and told", "gap window", "gap count", "gap unanswered",
}  # fmt: skip
"""What some run has to meet, or all of them prove less than they seem to."""


def play(seed: int, *, slow: bool = False) -> World:
    world = World(seed, slow_application=slow)
    world.run()
    world.verify()
    return world


def test_every_outcome_is_told_once_and_on_time_and_nothing_is_missing_without_a_word() -> None:
    seen: set[str] = set()
    for seed in SEEDS:
        seen |= play(seed).marks

    assert seen >= MARKS


def test_an_application_that_is_too_slow_is_told_what_it_missed() -> None:
    seen: set[str] = set()
    for seed in SEEDS:
        seen |= play(seed, slow=True).marks

    assert "gap overflow" in seen
    assert "missing and told" in seen


def test_the_same_seed_is_the_same_run() -> None:
    first, second = (play(7).stage for _ in range(2))

    assert first.times == second.times
    assert first.sent == second.sent
    assert [type(event) for event in first.events] == [type(event) for event in second.events]


class Broken:
    """A mechanism of which one method is replaced."""

    def __init__(self, real: Any, name: str, instead: Callable[..., Any]) -> None:
        self._real, self._name, self._instead = real, name, instead

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            return lambda *args, **options: self._instead(self._real, *args, **options)
        return getattr(self._real, name)


def broken(kind: Any, name: str, instead: Callable[..., Any]) -> Any:
    return lambda *args, **options: Broken(kind(*args, **options), name, instead)


def in_array_order(real: Lifecycle, key: Any, *, now: float) -> Sequence[Any]:
    """Forgets a confirmation that comes before its settlement."""
    real._confirmed.clear()  # pyright: ignore[reportPrivateUsage]
    return real.pending(key, now=now)


def in_silence(name: str) -> Callable[..., None]:
    """Does what it should, and does not say so."""

    def instead(real: Any, *args: Any, **options: Any) -> None:
        getattr(real, name)(*args, **options)

    return instead


VARIANTS: dict[str, dict[str, Any]] = {
    "never names a gap": {"coverage": broken(Coverage, "covered", in_silence("covered"))},
    "forgets that a history did not come": {
        "coverage": broken(Coverage, "uncovered", in_silence("uncovered"))
    },
    "asks for nothing it missed": {"coverage": broken(Coverage, "lost", lambda *_, **__: None)},
    "takes amendments for repetitions": {
        "identities": broken(
            Identities,
            "admit",
            lambda real, *args: (
                Verdict.REPEATED if (verdict := real.admit(*args)) is Verdict.AMENDED else verdict
            ),
        )
    },
    "never times out": {"lifecycle": broken(Lifecycle, "expire", lambda *_, **__: ())},
    "ignores confirmations": {"lifecycle": broken(Lifecycle, "update", lambda *_, **__: ())},
    "needs the settlement first": {"lifecycle": broken(Lifecycle, "pending", in_array_order)},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_session_with_one_mechanism_broken_is_found_out(variant: str) -> None:
    """The runs above prove something only if they can fail (HZ-L9)."""
    caught = False
    for seed in SEEDS:
        world = World(seed, mechanisms=Mechanisms(**VARIANTS[variant]))
        try:
            world.run()
            world.verify()
        except AssertionError:
            caught = True
            break

    assert caught


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
def test_more_schedules(seed: int) -> None:
    play(seed, slow=seed % 4 == 0)
