"""What the world watches beside the stream: each watch can fail, at a bug planted for it."""

import base64
from typing import Any

import attrs
import msgspec
import pytest

from lastseen.backoff import ConnectGate
from lastseen.delivery import Delivery
from lastseen.dialects.oddspapi import OddsPapi
from lastseen.dialects.polynode import PolyNode
from lastseen.liveness import Liveness, Pulse
from lastseen.mechanisms import Mechanisms
from lastseen.scopes import Scope
from lastseen.session import Session
from lastseen.states import ScopeInput
from lastseen.stream_session import StreamSession
from lastseen_simulator.world.calm import things_in
from lastseen_simulator.world.picture import draw_story
from lastseen_simulator.world.plan import Action, Plan
from lastseen_simulator.world.plans import draw
from lastseen_simulator.world.secrecy import ECHO, Canary, forms_of
from lastseen_simulator.world.world import World, play

SEEDS = range(30)


class Impatient(Liveness):
    """Gives a connection up without having asked whether anybody is there."""

    def check(self, *, now: float) -> Pulse:
        return Pulse.DEAD if super().check(now=now) is Pulse.ASK else Pulse.ALIVE


class Restless(Liveness):
    """Wants to be woken ten times a second."""

    def deadline(self) -> float:
        return min(super().deadline(), self.heard_at + 0.1)

    def check(self, *, now: float) -> Pulse:
        self.heard_at = max(self.heard_at, now - 0.05)
        return Pulse.ALIVE


@attrs.define
class Hoarder(Liveness):
    """Remembers each sign of life."""

    signs: list[tuple[float, int]] = attrs.field(init=False, factory=list[tuple[float, int]])

    def heard(self, *, now: float) -> None:
        super().heard(now=now)
        self.signs.append((now, len(self.signs)))


class Unforgiving(ConnectGate):
    """Never counts a connection as good enough to forget what went before."""

    def settle(self, *, now: float) -> None:
        failures = self.failures
        super().settle(now=now)
        self.failures = failures


PLANTED = {
    "given up unasked": ("polynode", "L5", Mechanisms(liveness=Impatient)),
    "given up unasked, where pings are all that comes": (
        "oddspapi",
        "L5",
        Mechanisms(liveness=Impatient),
    ),
    "backoff never relaxes": ("oddspapi", "L6", Mechanisms(gate=Unforgiving)),
    "backoff never relaxes, among histories": ("polynode", "L6", Mechanisms(gate=Unforgiving)),
    "backoff never relaxes, of a stream": ("polymarket-us", "L6", Mechanisms(gate=Unforgiving)),
    "woken for nothing": ("oddspapi", "L8", Mechanisms(liveness=Restless)),
    "woken for nothing, by a stream": ("polymarket-us", "L8", Mechanisms(liveness=Restless)),
    "memory that grows": ("polynode", "L8", Mechanisms(liveness=Hoarder)),
}


QUIETER = {"given up unasked, where pings are all that comes": 1}
"""The first seed, where one before it is so quiet that another watch is the first to see it."""


def found(dialect: str, mechanisms: Mechanisms | None = None, *, first: int = 0) -> str | None:
    outcomes = (play(draw(dialect, seed), mechanisms=mechanisms) for seed in SEEDS[first:])
    return next((each.violation.invariant for each in outcomes if each.violation), None)


@pytest.mark.parametrize("name", PLANTED)
def test_each_watch_finds_the_bug_that_is_planted_for_it(name: str) -> None:
    dialect, invariant, broken = PLANTED[name]

    assert found(dialect, broken, first=QUIETER.get(name, 0)) == invariant


@pytest.mark.parametrize(
    ("dialect", "owner", "name"),
    [
        ("oddspapi", OddsPapi, "redact"),
        ("polynode", PolyNode, "redact"),
        ("polymarket-us", StreamSession, "_redact"),
    ],
)
def test_a_key_that_the_peer_repeats_is_found_in_what_is_told(
    dialect: str, owner: type[Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, lambda _, text: text)

    assert found(dialect) == "S16"


@pytest.mark.parametrize("shift", range(3))
def test_a_canary_shows_in_four_encodings(shift: int) -> None:
    canary = Canary("canary/1+a==")
    hidden = b"x" * shift + canary.key.encode() + b"y" * (2 - shift)

    assert canary.is_in(f"say {canary.key}")
    assert canary.is_in("?key=canary%2f1%2Ba%3d%3D")
    assert canary.is_in(hidden.hex().upper())
    assert canary.is_in(base64.b64encode(hidden).decode())
    assert canary.is_in(base64.urlsafe_b64encode(hidden).decode())
    assert not canary.is_in("canary 1")
    assert not any(canary.is_in(canary.hide(f"a {form} b")) for form in forms_of(canary.key))


def test_neither_plan_nor_story_nor_picture_shows_the_key() -> None:
    echo = {"kind": "send", "text": f'{{"type":"{ECHO}"}}'}
    plan = Plan(
        dialect="oddspapi",
        seed=1,
        channels=("scores",),
        heal_at=3.0,
        actions=(Action(at=1.0, what="fault", values=echo),),
    )
    world = World(plan, Mechanisms(), told=True)

    outcome = world.run()

    artefacts = [plan.to_json(), draw_story(world.trace.story, "a run"), repr(outcome)]
    assert outcome.violation is None
    assert any("***" in each.text for each in world.trace.story)
    assert not any(world.cast.canary.is_in(text) for text in artefacts)


def test_what_a_session_remembers_is_counted() -> None:
    twice = [1, 2]

    assert things_in({"a": twice, "b": (twice, {3})}) == 9


class Kept(msgspec.Struct):
    """What a session may remember."""

    items: list[int]


def test_what_a_session_keeps_is_counted_in_structs_too() -> None:
    assert things_in([Kept([1, 2, 3])]) == 1 + 1 + 3


@pytest.mark.parametrize(
    ("session", "dialect", "seed"),
    [(Session, "oddspapi", 23), (StreamSession, "polymarket-us", 153)],
)
def test_whoever_asks_for_everything_anew_is_to_get_it(
    monkeypatch: pytest.MonkeyPatch, session: type[Session | StreamSession], dialect: str, seed: int
) -> None:
    monkeypatch.setattr(session, "handle_resync", lambda *_, **__: None)

    violation = play(draw(dialect, seed)).violation
    assert violation is not None
    assert violation.invariant == "L1"
    assert "was asked for anew" in violation.words


def test_a_base_that_could_not_be_fetched_is_said_to_be_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apply = Scope.apply

    def keep_waiting(scope: Scope, what: ScopeInput, delivery: Delivery) -> bool:
        return what is not ScopeInput.FETCH_FAILED and apply(scope, what, delivery)

    monkeypatch.setattr(Scope, "apply", keep_waiting)

    assert found("oddspapi") == "L3"
