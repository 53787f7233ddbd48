"""The world of Polymarket US: its gateway, a client for each stream, and what has to be true."""

import random
from collections.abc import Mapping
from typing import Any, Final, final

import attrs

from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen.mechanisms import Mechanisms
from lastseen.options import StreamOptions
from lastseen_simulator.polymarket_us.core import PolymarketUSGateway
from lastseen_simulator.polymarket_us.options import KeyGrant, PolymarketUSOptions
from lastseen_simulator.polymarket_us.verdict import STATEFUL, compare
from lastseen_simulator.world.clock import Clock
from lastseen_simulator.world.disk import Disk
from lastseen_simulator.world.effort import EffortWatch, Facts
from lastseen_simulator.world.host import Setting
from lastseen_simulator.world.keeping import Record
from lastseen_simulator.world.network import Network
from lastseen_simulator.world.ordering import OrderWatch
from lastseen_simulator.world.plan import Action, Plan, tuples
from lastseen_simulator.world.polymarket_us_host import PolymarketUSHost
from lastseen_simulator.world.polymarket_us_watch import Kept, PolymarketUSWatch
from lastseen_simulator.world.secrecy import Canary, SecrecyWatch
from lastseen_simulator.world.stuck import StuckWatch
from lastseen_simulator.world.trace import Trace
from lastseen_simulator.world.watching import SocketWatch

__all__ = ["PolymarketUSCast"]

WALL_MS: Final = 1_790_000_000_000
_SYMBOLS: Final = ("demo-aaa", "demo-bbb")
"""All that are traded; asked for by name, so that it is known when each has come."""

_KNOBS: Final[Mapping[str, Any]] = {"rate": 0.0, "symbols": 2, "orders": 3}
"""A small venue in which only the plan lets something happen."""

_MESSAGES_PER_S: Final = 20
_COMMIT_S: Final = 3.0
"""A write that is under way, and the one after it."""

_ASKS: Final = 4
"""Requests that may fail before the one that counts."""


@final
@attrs.define(eq=False)
class PolymarketUSCast:
    """Who plays, in a run of Polymarket US; client n has the n-th channel of the plan."""

    plan: Plan
    mechanisms: Mechanisms
    clock: Clock
    trace: Trace
    marks: set[str]
    canary: Canary = attrs.field(init=False)
    core: PolymarketUSGateway = attrs.field(init=False)
    options: StreamOptions = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.options = StreamOptions(**self.plan.options)
        self.canary = Canary(f"canary/{self.plan.seed:08x}+polymarket==")
        keys = (KeyGrant(key=self.canary.key),)
        knobs: dict[str, Any] = {**_KNOBS, "keys": keys, **tuples(self.plan.knobs)}
        rng = random.Random(f"{self.plan.seed} gateway")
        options = PolymarketUSOptions(**knobs)
        self.core = PolymarketUSGateway(options, rng=rng, wall_ms_at_zero=WALL_MS)

    def read(self) -> None:
        """The truth is read at the end."""

    def seen(self, path: str) -> int:
        """Nothing is asked for beside the streams."""
        del path
        return 0

    def watch(self, client: int) -> PolymarketUSWatch:
        """Watches one client."""
        options, settings = self.options, self.plan.settings
        sockets = SocketWatch(
            client=client,
            clock=self.clock,
            marks=self.marks,
            base_s=options.backoff_base_s,
            cap_s=options.backoff_cap_s,
            stable_after_s=options.stable_after_s,
            messages_per_s=_MESSAGES_PER_S,
            sockets_max=1,
        )
        return PolymarketUSWatch(
            client=client,
            clock=self.clock,
            marks=self.marks,
            truth=self.core.truth,
            sockets=sockets,
            effort=EffortWatch(
                client=client, clock=self.clock, marks=self.marks, facts=self._facts()
            ),
            stuck=StuckWatch(
                client=client,
                clock=self.clock,
                marks=self.marks,
                tries_max=options.escalate_after,
            ),
            stable_after_s=options.stable_after_s,
            secrecy=SecrecyWatch(canary=self.canary, in_login=False),
            sequence=OrderWatch(client=client, clock=self.clock, marks=self.marks),
            channel=self.plan.channels[client],
            held_max=options.hold_items_max,
            waiting_max=options.delivery_items_max,
            prompt=not settings.get("slow", False),
            strict=not settings.get("nasty", False),
            inclusive=self.plan.knobs.get("resume_inclusive", False),
        )

    def disk(self, client: int) -> Disk[Record[Kept]]:
        """The disk of one client."""
        rng = random.Random(f"{self.plan.seed} disk {client}")
        return Disk(self.clock, rng, self.plan.disk_s, Record[Kept]())

    def host(
        self,
        network: Network,
        client: int,
        life: int,
        disk: Disk[Record[Kept]],
        watch: PolymarketUSWatch,
    ) -> PolymarketUSHost:
        """Another life of a client."""
        settings = self.plan.settings
        setting = Setting(
            clock=self.clock,
            network=network,
            trace=self.trace,
            number=client,
            rng=random.Random(f"{self.plan.seed} client {client} {life}"),
            one_by_one=settings.get("one_by_one", False),
            linger_s=settings.get("linger_s", 0.0),
        )
        stream = Stream(self.plan.channels[client])
        symbols = _SYMBOLS if stream is Stream.MARKET_DATA else ()
        dialect = PolymarketUS(subscription=Subscription(stream=stream, symbols=symbols))
        return PolymarketUSHost(
            setting,
            watch.sockets,
            watch,
            disk,
            dialect,
            self.options,
            self.mechanisms,
            self.canary.key,
        )

    def difference(self, host: PolymarketUSHost, spared: frozenset[str]) -> str | None:
        """INV-L1: what of a client is not as it should be."""
        del spared
        status, channel = host.session.status(), host.watch.channel
        if not status.synced:
            return f"{channel} is {status.state.value}"
        if channel in STATEFUL:
            truth = self.core.truth.state(channels=(channel,))
            for verdict in compare(host.replica.state(), truth, (channel,)):
                if not verdict.equal:
                    return verdict.difference
        # Tokens come with every heartbeat, so that the newest is hardly ever durable.
        late = self.clock.now > host.watch.durable_at + self.options.commit_interval_s + _COMMIT_S
        if late and status.durable != status.position:
            return "what was applied does not become durable"
        return host.watch.missing()

    def fails(self, permanent: Action) -> bool:
        """No fault that stays makes requests fail."""
        del permanent
        return False

    def probes(self) -> tuple[str, ...]:
        """What is published when everything is in order again."""
        return self.plan.channels

    def settles(self) -> bool:
        """Whether a quiet client keeps its one socket."""
        return self.core.options.lifetime_s is None

    def bound_s(self) -> float:
        """B of INV-L1: how long everything may take to be in order again."""
        o = self.options
        notice_s = o.silence_limit_s + o.close_timeout_s
        connect_s = max(o.backoff_cap_s, o.limit_backoff_s) + o.connect_timeout_s
        return notice_s + _ASKS * (connect_s + o.login_timeout_s)

    def _facts(self) -> Facts:
        o = self.options
        # A silence that began among the faults may be noticed after their end.
        noticed_s = o.silence_limit_s + o.backoff_cap_s
        return Facts(
            base_s=o.backoff_base_s,
            settle_s=noticed_s + o.commit_interval_s + 2 * self.plan.disk_s,
            answer_s=min(o.login_timeout_s, o.connect_timeout_s),
            silence_s=o.silence_limit_s,
            pings_s=(o.silence_limit_s,),
        )
