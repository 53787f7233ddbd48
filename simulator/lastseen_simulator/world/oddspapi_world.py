"""The world of OddsPapi: its gateway, its clients, and what has to be true in the end."""

import random
from collections.abc import Mapping
from typing import Any, Final, final

import attrs

from lastseen.mechanisms import Mechanisms
from lastseen.options import SessionOptions
from lastseen_simulator.gateway.core import Gateway
from lastseen_simulator.gateway.options import GatewayOptions, KeyGrant
from lastseen_simulator.verdict import compare
from lastseen_simulator.world.clock import Clock
from lastseen_simulator.world.disk import Disk
from lastseen_simulator.world.effort import EffortWatch, Facts
from lastseen_simulator.world.host import Setting
from lastseen_simulator.world.keeping import Record
from lastseen_simulator.world.ledger import Ledger
from lastseen_simulator.world.network import Network
from lastseen_simulator.world.oddspapi_fetches import FetchWatch, Kept
from lastseen_simulator.world.oddspapi_host import OddsPapiHost
from lastseen_simulator.world.oddspapi_watch import OddsPapiWatch
from lastseen_simulator.world.ordering import OrderWatch
from lastseen_simulator.world.plan import Action, Plan, tuples
from lastseen_simulator.world.secrecy import Canary, SecrecyWatch
from lastseen_simulator.world.stuck import StuckWatch
from lastseen_simulator.world.trace import Trace
from lastseen_simulator.world.watching import SocketWatch

__all__ = ["OddsPapiCast"]

WALL_MS: Final = 1_790_000_000_000
_BUDGET_S: Final = 66.0
"""The longest window of the peer's limits on requests, with its margin (`facts` §5)."""

_KNOBS: Final[Mapping[str, Any]] = {
    "rate": 0.0,
    "fixtures": 2,
    "futures": 0,
    "bookmakers": ("stake",),
}
"""A small market in which only the plan lets something happen."""

_RESTS: Final = 3
"""Fetches of one scope that may fail or be refused before the one that counts."""


@final
@attrs.define(eq=False)
class OddsPapiCast:
    """Who plays, in a run of OddsPapi."""

    plan: Plan
    mechanisms: Mechanisms
    clock: Clock
    trace: Trace
    marks: set[str]
    canary: Canary = attrs.field(init=False)
    core: Gateway = attrs.field(init=False)
    ledger: Ledger = attrs.field(init=False)
    options: SessionOptions = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        plan = self.plan
        self.options = SessionOptions(**plan.options)
        self.canary = Canary(f"canary/{self.plan.seed:08x}+oddspapi==")
        keys = (KeyGrant(key=self.canary.key),)
        knobs: dict[str, Any] = {**_KNOBS, "keys": keys, **tuples(plan.knobs)}
        options = GatewayOptions(**knobs)
        rng = random.Random(f"{plan.seed} gateway")
        self.core = Gateway(options, rng=rng, wall_ms_at_zero=WALL_MS)
        self.ledger = Ledger(self.core.truth, lag_s=options.snapshot_lag_s)

    def read(self) -> None:
        """Takes in what the gateway has published."""
        self.ledger.read()

    def seen(self, path: str) -> int:
        """How far the truth had come that the newest answer was made from."""
        return self.ledger.seen(path)

    def watch(self, client: int) -> OddsPapiWatch:
        """Watches one client."""
        options, settings = self.options, self.plan.settings
        sockets = SocketWatch(
            client=client,
            clock=self.clock,
            marks=self.marks,
            base_s=options.backoff_base_s,
            cap_s=options.backoff_cap_s,
            stable_after_s=options.stable_after_s,
            messages_per_s=options.messages_per_s,
            sockets_max=min(2, options.connection_limit),
        )
        return OddsPapiWatch(
            client=client,
            clock=self.clock,
            marks=self.marks,
            ledger=self.ledger,
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
            causes=FetchWatch(client=client, clock=self.clock, marks=self.marks),
            secrecy=SecrecyWatch(canary=self.canary, in_login=True),
            sequence=OrderWatch(client=client, clock=self.clock, marks=self.marks),
            channels=self.plan.channels,
            held_max=options.hold_items_max,
            waiting_max=options.delivery_items_max,
            prompt=not settings.get("slow", False),
            roomy=not any(name.endswith("_max") for name in self.plan.options),
            binary=settings.get("receive_type") == "binary",
            # Without heads a cursor waits for resume_complete, so a restart may hear it all again.
            once=self.core.options.server_entry_ids,
        )

    def disk(self, client: int) -> Disk[Record[Kept]]:
        """The disk of one client."""
        rng = random.Random(f"{self.plan.seed} disk {client}")
        return Disk(self.clock, rng, self.plan.disk_s, Record())

    def host(
        self,
        network: Network,
        client: int,
        life: int,
        disk: Disk[Record[Kept]],
        watch: OddsPapiWatch,
    ) -> OddsPapiHost:
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
            stubborn=settings.get("stubborn", False),
        )
        return OddsPapiHost(
            setting,
            watch.sockets,
            watch,
            disk,
            self.options,
            self.mechanisms,
            self.canary.key,
            receive_type=settings.get("receive_type", "json"),
            life=life,
        )

    def difference(self, host: OddsPapiHost, spared: frozenset[str]) -> str | None:
        """INV-L1: what of a client is not as it should be, channel by channel.

        A base that nothing could expose as old is beyond any client, which says `unproven` of it.
        """
        spared |= host.watch.excused_channels
        for status in host.session.status().channels:
            good = status.state.value in ("synced", "live_only")
            if not good and status.channel not in spared:
                return f"{status.channel} is {status.state.value}"
        truth = self.core.truth.state()
        for verdict in compare(host.replica.state(), truth, self.plan.channels):
            if not verdict.equal and verdict.channel not in spared:
                return verdict.difference
        return host.watch.behind(host.session.position, host.session.status().durable)

    def fails(self, permanent: Action) -> bool:
        """Whether a fault that stays makes requests fail for ever."""
        return permanent.values.get("kind") == "status"

    def probes(self) -> tuple[str, ...]:
        """What is published when everything is in order again."""
        return self.plan.channels

    def settles(self) -> bool:
        """Whether a quiet client keeps its one socket; without room to move it goes on asking."""
        limit = self.plan.knobs.get("connection_limit")
        return limit is None or self.plan.clients == 1 or limit >= 2 * self.plan.clients

    def bound_s(self) -> float:
        """B of INV-L1: how long everything may take to be in order again."""
        o = self.options
        notice_s = o.ping_interval_s + o.ping_timeout_s + o.close_timeout_s
        connect_s = max(o.backoff_cap_s, o.limit_backoff_s) + o.connect_timeout_s
        login_s = o.login_timeout_s + o.resume_timeout_s
        rest_s = o.snapshot_timeout_s + o.snapshot_backoff_cap_s
        settled_s = o.snapshot_settled_s + o.verify_after_s + o.snapshot_jitter_s
        return notice_s + 2 * (connect_s + login_s) + _RESTS * rest_s + settled_s + _BUDGET_S

    def _facts(self) -> Facts:
        o = self.options
        return Facts(
            base_s=o.backoff_base_s,
            settle_s=5 * (o.verify_after_s + o.snapshot_jitter_s) + o.commit_interval_s,
            answer_s=min(o.login_timeout_s, o.resume_timeout_s),
            silence_s=o.ping_interval_s + o.ping_timeout_s,
            pings_s=(o.ping_interval_s,),
        )
