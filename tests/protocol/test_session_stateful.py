"""A real session against a miniature gateway, in random interleavings, judged after every step.

What is demanded: the invariants of `hazards.md` §N that can be seen from outside (S1, S2, S4, S6 to
S11, S13 to S15, S17, S20, S21), and at the end of every run, when the faults stop, convergence
within a bound of virtual time (L1, L7).
"""

import random
from collections.abc import Mapping

import attrs
import pytest
from driving import Violation
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tiny_gateway import (
    OPERATIONS,
    Knobs,
    Operation,
    World,
    draw_knobs,
    draw_operations,
    perform,
    run_schedule,
)

from lastseen.events import Entry, Event
from lastseen.mechanisms import Mechanisms
from lastseen_simulator.broken import WITHOUT

FOUND: Mapping[str, tuple[Knobs, list[Operation]]] = {
    # Each was the shortest schedule that showed a defect.
    "a live-only channel stays within its cap (S13)": (
        Knobs(delivery_items=1),
        [("accept", (1,)), ("serve", (1,)), ("publish", (3, 1, 1, 6)), ("publish", (3, 0, 0, 6))],
    ),
    "heads of another epoch are no barrier (R11)": (
        Knobs(),
        [
            ("accept", (2,)),
            ("publish", (2, 2, 1, 2)),
            ("serve", (0,)),
            ("restart", (0, 9)),
            ("deliver", (2, 3)),
            ("flip", (1,)),
        ],
    ),
    "a roster read in the old epoch is no barrier for the new one (R11)": (
        Knobs(),
        [
            ("publish", (0, 2, 0, 7)),
            ("calm", (2,)),
            ("restart", (2, 9)),
            ("flip", (0,)),
        ],
    ),
    "what a scope wanted before a doubt is not fetched in vain (L1)": (
        Knobs(),
        [
            ("accept", (3,)),
            ("serve", (0,)),
            ("publish", (2, 3, 0, 3)),
            ("demand", (0, 5, 5)),
        ],
    ),
    "after a doubt a base must reach what was received before it (S1)": (
        Knobs(lag_s=8.0, hold_items=1),
        [
            ("accept", (3,)),
            ("serve", (1,)),
            ("publish", (2, 1, 0, 3)),
            ("publish", (3, 1, 1, 7)),
            ("publish", (0, 1, 1, 5)),
            ("publish", (1, 0, 1, 5)),
            ("deliver", (0, 2)),
            ("publish", (1, 1, 0, 6)),
            ("capture", (3, 0)),
            ("publish", (1, 2, 0, 1)),
            ("deliver", (2, 5)),
            ("publish", (1, 0, 0, 2)),
            ("deliver", (2, 5)),
            ("publish", (1, 3, 0, 5)),
            ("answer", (1, 7)),
            ("capture", (0, 1)),
        ],
    ),
    "a cursor that fell while the login was on its way resumes nothing (L1)": (
        Knobs(),
        [
            ("accept", (1,)),
            ("serve", (0,)),
            ("deliver", (2, 2)),
            ("publish", (1, 1, 1, 2)),
            ("wait", (5,)),
            ("answer", (3, 6)),
            ("drain", ()),
            ("lose", (2, 4)),
            ("wait", (3,)),
            ("accept", (5,)),
            ("resync", (1,)),
        ],
    ),
    "the claim of a fixture that is gone does not outlive it (S10)": (
        Knobs(),
        [
            ("calm", (1,)),
            ("publish", (2, 3, 0, 0)),
            ("publish", (0, 1, 0, 6)),
            ("calm", (0,)),
            ("garbage", (1, 0)),
            ("wait", (1,)),
            ("answer", (2, 6)),
            ("calm", (1,)),
            ("lose", (1, 1)),
        ],
    ),
    "an entry on its way when its base was taken does not move the state back (S1)": (
        Knobs(),
        [
            ("accept", (0,)),
            ("serve", (0,)),
            ("deliver", (0, 5)),
            ("wait", (2,)),
            ("publish", (1, 0, 0, 0)),
            ("publish", (1, 0, 0, 0)),
            ("answer", (0, 0)),
            ("drain", ()),
            ("deliver", (0, 0)),
            ("take", (5,)),
            ("apply", (5,)),
            ("acknowledge", (5,)),
        ],
    ),
    "a replay without heads does not repeat what a base has brought (S1)": (
        Knobs(heads=False, inclusive=True),
        [
            ("publish", (2, 0, 1, 7)),
            ("publish", (0, 0, 1, 7)),
            ("calm", (2,)),
            ("publish", (1, 1, 1, 7)),
            ("lose", (2, 0)),
            ("publish", (0, 0, 1, 7)),
            ("calm", (3,)),
            ("notice", (0,)),
            ("publish", (0, 0, 0, 2)),
            ("deliver", (2, 2)),
            ("wait", (4,)),
            ("publish", (1, 2, 0, 6)),
        ],
    ),
    "what is left of a given-up replay is not laid over a newer base (S10)": (
        Knobs(as_of=False, hold_items=1),
        [
            ("calm", (3,)),
            ("publish", (0, 0, 1, 6)),
            ("wait", (3,)),
            ("calm", (2,)),
            ("publish", (1, 0, 0, 3)),
            ("deliver", (1, 0)),
            ("drain", ()),
            ("publish", (1, 3, 0, 2)),
            ("blip", (4, 3, 4)),
            ("publish", (0, 1, 1, 0)),
        ],
    ),
    "without a head a dated snapshot is not proven, and is fetched again (R11)": (
        Knobs(heads=False, lag_s=8.0),
        [
            ("calm", (0,)),
            ("blip", (4, 0, 4)),
            ("deliver", (2, 0)),
            ("capture", (1, 2)),
        ],
    ),
}
"""Schedules that once ended in a violation, by what they ask for."""


@pytest.mark.parametrize("found", FOUND)
def test_a_schedule_that_once_failed_ends_well(found: str) -> None:
    run_schedule(*FOUND[found])


def test_a_verified_base_that_a_login_took_back_is_verified_again() -> None:
    world = World.make(Knobs(as_of=False, lag_s=8.0))
    world.publish(1, 0, 0)
    world.calm(1)
    world.pass_time(1.0)
    world.publish(1, 0, 1)
    world.deliver(0, 9)
    while world.fetches:
        world.capture(0, 3)
        world.answer(0)
    world.finish_all()
    assert world.state()["scores/f0/a"] == 2, "the base should be older than the login"
    world.pass_time(11.0)
    world.calm(2)
    assert world.session.waiting, "the verification should wait for the application"

    world.lose(0, 0)
    world.pass_time(3.0)
    world.calm(2)

    assert world.logins[-1].cursors
    world.heal()


def test_cursors_given_up_while_the_owner_still_streams_lead_to_snapshots_at_once() -> None:
    world = World.make(Knobs())
    world.calm(3)
    world.publish(1, 0, 0)
    world.calm(3)
    assert world.cursors
    world.notice(0)
    world.deliver(0, 1)

    for _ in range(3):
        for _ in range(20):
            world.pass_time(0.5)
            if world.latest("connecting") is not None:
                break
        world.drop(world.open().number)

    assert [bool(login.cursors) for login in world.logins[-3:]] == [True] * 3
    assert not world.cursors
    world.pass_time(1.0)
    assert world.fetches, "the owner is alive: its bases can be fetched now"
    world.heal()


def play(seed: int, length: int, mechanisms: Mechanisms | None = None) -> World:
    """One random gateway and one random schedule; a failure names the seed."""
    rng = random.Random(seed)
    knobs = draw_knobs(rng)
    operations = draw_operations(rng, rng.randrange(length // 4, length))
    try:
        return run_schedule(knobs, operations, mechanisms)
    except Violation as violation:
        raise Violation(f"{violation} (seed {seed}, length {length})") from None


def test_random_schedules_break_no_invariant_and_all_converge() -> None:
    seen: set[str] = set()

    for seed in range(240):
        world = play(seed, 200)
        seen.update(name for name, count in world.sights().items() if count)

    assert seen == set(world.sights()), "some situation never came up"


@pytest.mark.soak
@pytest.mark.parametrize("block", range(40))
def test_very_many_random_schedules_break_no_invariant(block: int) -> None:
    for seed in range(1_000_000 + block * 500, 1_000_000 + (block + 1) * 500):
        play(seed, 500)


@pytest.mark.parametrize("broken", [rule for rule in WITHOUT if rule != "R15"])  # has no items
def test_random_schedules_find_every_broken_rule(broken: str) -> None:
    def search() -> None:
        for seed in range(2000):
            play(seed, 250, WITHOUT[broken])

    with pytest.raises(Violation):
        search()


def told(event: Event) -> str:
    """An event as text, without the address of an undecoded payload."""
    return f"{event.id} {event.payload}" if isinstance(event, Entry) else repr(event)


def test_two_runs_of_one_schedule_are_the_same() -> None:
    first, second = play(7, 200), play(7, 200)

    assert [told(event) for event in first.events] == [told(event) for event in second.events]
    assert first.connects == second.connects
    assert first.requests == second.requests


BOUNDS = {name: bounds for name, _, bounds in OPERATIONS}
COMMON = ("publish", "deliver", "serve", "accept", "replay", "answer", "take", "calm", "blip")


def chosen(*names: str) -> st.SearchStrategy[Operation]:
    """An operation of one of these names, with its integers."""
    return st.one_of(
        *(
            st.tuples(
                st.just(name), st.tuples(*(st.integers(0, limit - 1) for limit in BOUNDS[name]))
            )
            for name in names
        )
    )


class SessionMachine(RuleBasedStateMachine):
    """Hypothesis chooses the gateway and every operation, and shortens what fails."""

    world: World | None = None
    faults: int = 0

    @initialize(knobs=st.integers(0, 1 << 16).map(lambda seed: draw_knobs(random.Random(seed))))
    def begin(self, knobs: Knobs) -> None:
        self.world = World.make(knobs)

    @rule(operation=chosen(*COMMON))
    def go_on(self, operation: Operation) -> None:
        assert self.world is not None
        perform(self.world, operation)

    @rule(operation=chosen("capture", "apply", "acknowledge", "drain", "wait", "commit", "repeat"))
    def move_on(self, operation: Operation) -> None:
        assert self.world is not None
        perform(self.world, operation)

    @precondition(lambda self: self.faults < 8)
    @rule(operation=chosen("lose", "restart", "flip", "demand", "notice", "garbage", "crash"))
    def go_wrong(self, operation: Operation) -> None:
        assert self.world is not None
        self.faults += 1
        perform(self.world, operation)

    @precondition(lambda self: self.faults < 8)
    @rule(operation=chosen("decline", "resync"))
    def object(self, operation: Operation) -> None:
        assert self.world is not None
        self.faults += 1
        perform(self.world, operation)

    def teardown(self) -> None:
        if self.world is not None:
            self.world.heal()


QUICK = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

TestSession = SessionMachine.TestCase
TestSession.settings = QUICK


class _Soaked(SessionMachine):
    """The same, for much longer."""


TestSoakedSession = pytest.mark.soak(_Soaked.TestCase)
TestSoakedSession.settings = settings(
    QUICK, max_examples=5000, stateful_step_count=120, derandomize=False
)


def test_the_judge_sees_a_state_that_is_wrong() -> None:
    world = World.make(Knobs())
    world.calm(3)
    world.calm(3)
    world.publish(1, 0, 0)
    world.calm(0)
    world.check()
    scope = world.replica._scopes["scores", None]
    del scope["scores/f0/a"]

    with pytest.raises(Violation, match="scores/f0/a is missing"):
        world.check()


def test_knobs_of_a_seed_are_always_the_same() -> None:
    assert attrs.asdict(draw_knobs(random.Random(3))) == attrs.asdict(draw_knobs(random.Random(3)))


def test_a_position_is_foretold_past_a_rise_that_fell_again() -> None:
    """R6: a notice that had nothing to say any more stands in the way of no marker."""
    world = World.make(
        Knobs(seed=507408220, inclusive=True, interleaved=False, as_of=False, window_s=5.0, limit=1,
              hold_items=1, replayable=None)
    )  # fmt: skip
    for operation in (
        ("calm", (2,)), ("calm", (3,)), ("blip", (0, 1, 1)), ("answer", (2, 15)), ("lose", (0, 1)),
        ("take", (5,)), ("take", (4,)), ("apply", (4,)), ("apply", (0,)), ("acknowledge", (0,)),
        ("acknowledge", (1,)), ("apply", (2,)), ("acknowledge", (5,)),
    ):  # fmt: skip
        perform(world, operation)
