"""Plays a plan: two phases, every step watched."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, final

import attrs

from lastseen.mechanisms import Mechanisms
from lastseen_simulator.world.calm import watch_loss, watch_quiet
from lastseen_simulator.world.clock import Clock
from lastseen_simulator.world.deeds import DEEDS
from lastseen_simulator.world.network import Network
from lastseen_simulator.world.oddspapi_world import OddsPapiCast
from lastseen_simulator.world.outcome import Outcome
from lastseen_simulator.world.plan import Action, Plan, PlanError
from lastseen_simulator.world.polymarket_us_world import PolymarketUSCast
from lastseen_simulator.world.polynode_world import PolyNodeCast
from lastseen_simulator.world.tally import VERDICTS
from lastseen_simulator.world.trace import Trace
from lastseen_simulator.world.watching import BrokenInvariantError, Violation

__all__ = ["World", "play"]

STEPS_MAX: Final = 200_000
"""More than any run takes: a client that needs more does not let time pass."""

LOOK_S: Final = 0.25
"""Between two looks whether everything is in order again."""

QUIET_S: Final = 6.0
"""From the last entries to the last look: longer than any socket takes to close."""

SPARES: Final = "spares"
"""The channels that a permanent fault hits, which need not be in order (INV-L3)."""

_CASTS: Final[Mapping[str, type[Any]]] = {
    "oddspapi": OddsPapiCast,
    "polynode": PolyNodeCast,
    "polymarket-us": PolymarketUSCast,
}


def play(plan: Plan, *, mechanisms: Mechanisms | None = None, told: bool = False) -> Outcome:
    """Plays one plan; the same plan gives the same outcome, byte for byte.

    Raises `PlanError` for a plan that names what there is not.
    """
    return World(plan, mechanisms or Mechanisms(), told=told).run()


@final
@attrs.define(eq=False)
class World:
    """One run. `trace.story` has what happened in words when it is `told`."""

    plan: Plan
    mechanisms: Mechanisms
    told: bool = attrs.field(default=False, kw_only=True)
    clock: Clock = attrs.field(init=False, factory=Clock)
    trace: Trace = attrs.field(init=False)
    marks: set[str] = attrs.field(init=False, factory=set[str])
    network: Network = attrs.field(init=False)
    cast: Any = attrs.field(init=False)
    watches: list[Any] = attrs.field(init=False, factory=list[Any])
    disks: list[Any] = attrs.field(init=False, factory=list[Any])
    hosts: list[Any] = attrs.field(init=False, factory=list[Any])
    lives: list[int] = attrs.field(init=False, factory=list[int])
    healed: bool = attrs.field(init=False, default=False)
    recovered_s: float | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.trace = Trace(told=self.told)
        make = _CASTS.get(self.plan.dialect)
        if make is None:
            raise PlanError(f"no such dialect: {self.plan.dialect}")
        with _usable("options, knobs or settings"):
            self.cast = make(self.plan, self.mechanisms, self.clock, self.trace, self.marks)
        self.network = Network(
            core=self.cast.core,
            clock=self.clock,
            trace=self.trace,
            seed=self.plan.seed,
            latency_s=self.plan.latency_s,
            jitter_s=self.plan.jitter_s,
            settled=self.cast.read,
            seen=self.cast.seen,
        )

    @property
    def key(self) -> str:
        """What the clients log in with: a canary that nothing may show (INV-S16)."""
        key: str = self.cast.canary.key
        return key

    def run(self) -> Outcome:
        """Plays it to its end, or to the first invariant that does not hold."""
        violation = None
        try:
            self._break()
            self._recover()
        except BrokenInvariantError as broken:
            violation = broken.violation
            self.trace.tell(self.clock.now, "watch", "watch", str(violation))
        if self.network.cut_inside:
            self.marks.add("drop inside a frame")
        verdicts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
        for watch in self.watches:
            # A run that did not come to its end has entries that are on their way.
            published = watch.published() if violation is None else ()
            for verdict, count in watch.tally.count(published).items():
                verdicts[verdict] += count
        self.trace.note(self.clock.now, "end", str(violation))
        return Outcome(
            dialect=self.plan.dialect,
            seed=self.plan.seed,
            violation=violation,
            digest=self.trace.digest(),
            marks=frozenset(self.marks),
            verdicts=verdicts,
            steps=self.clock.steps,
            events=sum(watch.deliveries for watch in self.watches),
            recovered_s=self.recovered_s,
        )

    # Two phases.

    def _break(self) -> None:
        self.network.step(lambda: self.network.core.handle_deadline(now=self.clock.now))
        for client in range(self.plan.clients):
            with _usable("options, knobs or settings"):
                self.watches.append(self.cast.watch(client))
                self.disks.append(self.cast.disk(client))
            self.hosts.append(None)
            self.lives.append(0)
            self.launch(client)
        for action in self.plan.actions:
            self.clock.at(action.at, partial(self._act, action))
        self.until(self.plan.heal_at)

    def _recover(self) -> None:
        """Everything ends but the permanent fault, and by the bound all is in order."""
        self.healed = True
        self._heal()
        begun = self.clock.now
        self._await_order("the faults ended")
        self.recovered_s = self.clock.now - begun
        publish = self.network.core.publish
        for channel in self.cast.probes():
            with _usable(f"channel {channel}"):
                self.network.step(partial(publish, channel, None, now=self.clock.now))
        self.until(self.clock.now + QUIET_S)
        self._await_order("the last entries")
        if self.cast.settles():
            for client, watch in enumerate(self.watches):
                if len(watch.sockets.open) != 1:
                    self._blame(
                        "L7", client, f"{len(watch.sockets.open)} sockets when all is quiet"
                    )
            watch_quiet(self)
            watch_loss(self)
            self._await_order("one more loss")
        self._check_secrecy()
        self._check_verdicts()

    def _check_secrecy(self) -> None:
        """INV-S16: nothing that is left of the run shows the key."""
        sought = self.cast.canary.is_in
        for client, host in enumerate(self.hosts):
            host.check_claims()
            durable = self.disks[client].durable
            if durable is not None and sought(f"{durable.position} {durable.scopes}"):
                self._blame("S16", client, "the disk shows the key")
        if sought(self.plan.to_json()) or any(sought(each.text) for each in self.trace.story):
            self._blame("S16", 0, "the story shows the key")

    def _check_verdicts(self) -> None:
        """INV-S10, S7: nothing is lost, nor was anything made up."""
        for client, watch in enumerate(self.watches):
            verdicts = watch.tally.count(watch.published())
            if verdicts["lost"]:
                missing = watch.tally.lost(watch.published())
                self._blame("S10", client, f"{missing} is lost, and nothing accounts for it")
            if verdicts["phantom"]:
                self._blame("S7", client, f"told {verdicts['phantom']} times of what never came")

    def _await_order(self, since: str) -> None:
        """INV-L1, L2, L3: by the bound everything is in order but what the permanent fault hits."""
        begun, bound_s = self.clock.now, self.cast.bound_s()
        why = self._out_of_order()
        while why is not None and self.clock.now < begun + bound_s:
            steps = self.clock.steps
            self.until(min(self.clock.now + LOOK_S, begun + bound_s))
            if self.clock.steps > steps or self.clock.now >= begun + bound_s:
                # Time alone puts nothing in order.
                why = self._out_of_order()
        if why is not None:
            self._blame("L1", why[0], f"{bound_s:.1f} s after {since} {why[1]}")

    def _heal(self) -> None:
        self.trace.tell(self.clock.now, "world", "world", "every fault ends")
        self.trace.note(self.clock.now, "heal")
        self.network.heal()
        self.network.core.heal()
        for client, host in enumerate(self.hosts):
            disk = self.disks[client]
            disk.held_until, disk.failures, disk.ambush = 0.0, 0, None
            if host is None:
                self.launch(client)
            else:
                host.setting.rejects, host.setting.slow_until = 0, 0.0
                if self.plan.settings.get("slow", False):
                    host.wake()

        permanent = self.plan.permanent
        if permanent is not None:
            values = {name: each for name, each in permanent.values.items() if name != SPARES}
            self._do(attrs.evolve(permanent, values=values))

    def _out_of_order(self) -> tuple[int, str] | None:
        permanent = self.plan.permanent
        spared = frozenset[str](() if permanent is None else permanent.values.get(SPARES, ()))
        for client, host in enumerate(self.hosts):
            difference = self.cast.difference(host, spared)
            if difference is not None:
                return client, difference
        return None

    def until(self, moment: float) -> None:
        """Lets time pass up to a moment."""
        clock, limit = self.clock, self.clock.steps + STEPS_MAX
        while clock.step(moment):
            if clock.steps > limit:
                self._blame("S20", 0, "it keeps asking to be woken")

    def _blame(self, invariant: str, client: int, words: str) -> None:
        raise BrokenInvariantError(
            Violation(invariant=invariant, client=client, at=self.clock.now, words=words)
        )

    def launch(self, client: int, *, forgets: int | None = None) -> None:
        """Begins another life of a client, without what it had of one of its channels."""
        self.lives[client] += 1
        with _usable("options, knobs or settings"):
            host = self.hosts[client] = self.cast.host(
                self.network,
                client,
                self.lives[client],
                self.disks[client],
                self.watches[client],
            )
        self.trace.tell(self.clock.now, f"client {client}", "world", f"life {self.lives[client]}")
        if forgets is not None:
            channels = self.plan.channels
            host.setting.forgets = channels[forgets % len(channels)]
        host.begin()

    # What befalls it.

    def _act(self, action: Action) -> None:
        if self.healed:
            return
        shown = " ".join(f"{name} {value}" for name, value in action.values.items())
        self.trace.tell(self.clock.now, "world", "world", f"{action.what} {shown}".strip())
        self._do(action)

    def _do(self, action: Action) -> None:
        perform = DEEDS.get(action.what)
        if perform is None:
            raise PlanError(f"no such action: {action.what}")
        with _usable(f"action {action.what} at {action.at}"):
            perform(self, action)


@contextmanager
def _usable(what: str) -> Generator[None]:
    """Says which part of a plan nothing can be made of; its cause stays to be seen."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise PlanError(f"{what}: {type(error).__name__}: {error}") from error
