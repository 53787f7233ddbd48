"""Plays a case in virtual time, in this process, in milliseconds."""

import random
from collections.abc import Callable, Mapping
from typing import Any, Final, TypedDict, Unpack, final

import attrs

from lastseen.mechanisms import Mechanisms
from lastseen_conformance.case import Case
from lastseen_conformance.dialects import DIALECTS
from lastseen_conformance.drivers.disk import Disk
from lastseen_conformance.drivers.in_process import (
    OddsPapiClient,
    PolyNodeClient,
    SessionClient,
)
from lastseen_conformance.drivers.in_process_streams import PolymarketUSClient
from lastseen_conformance.drivers.network import Clock, Network
from lastseen_conformance.history import Exited, Heard, History, Launched, Said
from lastseen_conformance.play import Halt, Launch, Until, play
from lastseen_conformance.tap import Tap
from lastseen_conformance.timers import PATIENCE_S, TIMERS
from lastseen_conformance.verdicts import Result, judge
from lastseen_simulator.faults import Fault

__all__ = ["play_virtual", "run_virtual"]

_CLIENTS: Final[Mapping[str, type[SessionClient[Any]]]] = {
    "oddspapi": OddsPapiClient,
    "polynode": PolyNodeClient,
    "polymarket-us": PolymarketUSClient,
}

WALL_MS_AT_ZERO: Final = 1_790_000_000_000
STEPS_MAX: Final = 50_000
"""In one wait; more than any case takes. A client that needs more does not let time pass."""


class How(TypedDict, total=False):
    """What is not as usual."""

    mechanisms: Mechanisms | None
    client: type[SessionClient[Any]] | None
    """What runs the session, where it is not to be the usual one."""
    timers: Mapping[str, float]
    keeps_state: bool
    seed: int
    reported: bool


def run_virtual(case: Case, **how: Unpack[How]) -> Result:
    """Plays a case against the bare session and judges it."""
    return judge(case, play_virtual(case, **how), DIALECTS[case.dialect].always)


def play_virtual(
    case: Case,
    *,
    mechanisms: Mechanisms | None = None,
    client: type[SessionClient[Any]] | None = None,
    timers: Mapping[str, float] = TIMERS,
    keeps_state: bool = True,
    seed: int = 1,
    reported: bool = True,
) -> History:
    """Plays a case against the bare session; the same seed gives the same history."""
    stage = _VirtualStage(
        case,
        mechanisms or Mechanisms(),
        client or _CLIENTS[case.dialect],
        timers,
        keeps_state,
        seed,
        reported,
    )
    stage.run()
    return stage.history


@final
@attrs.define(eq=False)
class _VirtualStage:
    case: Case
    mechanisms: Mechanisms
    make: type[SessionClient[Any]]
    timers: Mapping[str, float]
    keeps_state: bool
    seed: int
    reported: bool
    history: History = attrs.field(init=False)
    clock: Clock = attrs.field(init=False, factory=Clock)
    tap: Tap = attrs.field(init=False)
    network: Network = attrs.field(init=False)
    disk: Disk | None = attrs.field(init=False)
    client: SessionClient[Any] | None = attrs.field(init=False, default=None)
    lives: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        dialect = DIALECTS[self.case.dialect]
        self.history = History(channels=self.case.channels, reported=self.reported)
        core = dialect.gateway(self.case, random.Random(self.seed), wall_ms_at_zero=WALL_MS_AT_ZERO)
        self.tap = Tap(core, self.history, dialect.key)
        self.network = Network(self.tap, self.clock, self.history)
        self.disk = Disk() if self.keeps_state else None
        for fault in self.case.faults:
            core.place(fault)

    @property
    def now(self) -> float:
        return self.clock.now

    def run(self) -> None:
        dialect = DIALECTS[self.case.dialect]
        self.network.step(lambda: self.tap.handle_deadline(now=self.now))
        scene = dialect.scene(self.case, self.tap.core, reported=self.reported, timers=TIMERS)
        needs = play(self.case, scene, self, PATIENCE_S)
        answer: Any = None
        try:
            while True:
                need = needs.send(answer)
                answer = None
                match need:
                    case Until():
                        answer = self._until(need.condition, need.seconds)
                    case Launch():
                        self._launch()
                    case Halt():
                        self._halt(kill=need.kill)
        except StopIteration:
            pass
        self.history.receipts = self.tap.receipts()
        self.history.truth = self.tap.truth.records

    def publish(self, channel: str, payload: dict[str, Any] | None) -> str:
        published: list[str] = []
        self.network.step(
            lambda: published.append(self.tap.publish(channel, payload, now=self.now))
        )
        # Time has passed when the next one is published, as it would have.
        self._until(lambda _: False, 0.001)
        return published[0]

    def place(self, fault: Fault) -> int:
        number = self.tap.place(fault)
        self.network.step(lambda: self.tap.handle_deadline(now=self.now))
        return number

    def restart(self, *, announce: bool) -> None:
        self.network.step(lambda: self.tap.restart(announce=announce, now=self.now))

    def drop(self, connection: int | None, *, reset: bool) -> None:
        self.network.step(lambda: self.tap.drop(connection, reset=reset, now=self.now))

    def notice(self, connection: int | None, *, reason: str, grace_s: float) -> None:
        self.network.step(
            lambda: self.tap.notice_reconnect(
                connection=connection, reason=reason, grace_s=grace_s, now=self.now
            )
        )

    def tell(self, command: str) -> None:
        self.history.add(Heard, at=self.now, run=self.lives, command=command)
        if self.client is not None and not self.client.told(command):
            self._end(asked=True, how="ended")

    def difference(self, state: Mapping[str, Any]) -> str | None:
        return DIALECTS[self.case.dialect].difference(self.case, state, self.tap.truth)

    def _until(self, condition: Callable[[History], bool], seconds: float) -> bool:
        end = self.now + seconds
        for _ in range(STEPS_MAX):
            if condition(self.history):
                return True
            due = self.clock.next_at()
            if due is None or due > end:
                self.clock.now = end
                return condition(self.history)
            self.clock.step()
        if self.client is not None:
            self._end(asked=False, how="it keeps asking to be woken")
        return condition(self.history)

    def _launch(self) -> None:
        self.lives += 1
        life = self.lives
        self.history.add(Launched, at=self.now, run=life)

        def say(line: dict[str, Any]) -> None:
            if key in repr(line):
                self.history.leaked = "report"
            if self.reported:
                self.history.add(Said, at=self.now, run=life, line=line, text="")

        key = DIALECTS[self.case.dialect].key
        self.client = self.make(
            network=self.network,
            clock=self.clock,
            say=say,
            disk=self.disk,
            channels=self.case.channels,
            key=key,
            timers=dict(self.timers),
            mechanisms=self.mechanisms,
            seed=self.seed + life,
            crash=lambda how: self._end(asked=False, how=how),
            account=DIALECTS[self.case.dialect].account,
        )
        self.client.begin()

    def _halt(self, *, kill: bool) -> None:
        if self.client is not None:
            self.history.ignored_stop |= not kill and self.client.told("stop")
            self._end(asked=True, how="ended")

    def _end(self, *, asked: bool, how: str) -> None:
        if self.client is not None:
            self.client.die()
            self.client = None
            self.history.add(Exited, at=self.now, run=self.lives, code=None, asked=asked, how=how)
