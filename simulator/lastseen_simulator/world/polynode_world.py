"""The world of PolyNode: its gateway, its clients, and what has to be true in the end."""

import random
from collections.abc import Mapping
from typing import Any, Final, final

import attrs

from lastseen.dialects.polynode.dialect import Plan as AccountPlan
from lastseen.dialects.polynode.events import PRESETS, Preset
from lastseen.mechanisms import Mechanisms
from lastseen.options import HistoryOptions
from lastseen_simulator.polynode.core import PolyNodeGateway
from lastseen_simulator.polynode.options import KeyGrant, PolyNodeOptions
from lastseen_simulator.world.clock import Clock
from lastseen_simulator.world.disk import Disk
from lastseen_simulator.world.effort import EffortWatch, Facts
from lastseen_simulator.world.host import Setting
from lastseen_simulator.world.network import Network
from lastseen_simulator.world.plan import Action, Plan, tuples
from lastseen_simulator.world.polynode_host import PolyNodeHost
from lastseen_simulator.world.polynode_watch import PolyNodeWatch
from lastseen_simulator.world.secrecy import Canary, SecrecyWatch
from lastseen_simulator.world.trace import Trace
from lastseen_simulator.world.watching import SocketWatch

__all__ = ["PolyNodeCast"]

WALL_MS: Final = 1_790_000_000_000
_ASKS: Final = 4
"""Requests that may go unanswered before the one that counts."""

_LOOKS: Final = 2
_LOOKS_CRAMPED: Final = 30
"""Looks at the history that may still be due when everything is in order."""

_UNSTEADY: Final = ("restart", "clock_step", "confirmation_in_snapshot_only", "lose_confirmation")
_KNOBS: Final[Mapping[str, Any]] = {"rate": 0.0, "price_feed_s": 0.0, "plan": "enterprise"}
"""Only the plan lets something happen."""


@final
@attrs.define(eq=False)
class PolyNodeCast:
    """Who plays, in a run of PolyNode."""

    plan: Plan
    mechanisms: Mechanisms
    clock: Clock
    trace: Trace
    marks: set[str]
    canary: Canary = attrs.field(init=False)
    core: PolyNodeGateway = attrs.field(init=False)
    options: HistoryOptions = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.options = HistoryOptions(**self.plan.options)
        self.canary = Canary(f"pn_live_canary_{self.plan.seed:016x}")
        keys = (KeyGrant(key=self.canary.key),)
        knobs: dict[str, Any] = {**_KNOBS, "keys": keys, **tuples(self.plan.knobs)}
        rng = random.Random(f"{self.plan.seed} gateway")
        self.core = PolyNodeGateway(PolyNodeOptions(**knobs), rng=rng, wall_ms_at_zero=WALL_MS)

    def read(self) -> None:
        """The truth is read at the end."""

    def seen(self, path: str) -> int:
        """Nothing is asked for over HTTP."""
        del path
        return 0

    def watch(self, client: int) -> PolyNodeWatch:
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
            sockets_max=1,
        )
        types = frozenset[str]().union(*(PRESETS[Preset(each)] for each in self.plan.channels))
        befallen = {action.values.get("kind", action.what) for action in self.plan.actions}
        return PolyNodeWatch(
            client=client,
            clock=self.clock,
            marks=self.marks,
            truth=self.core.truth,
            sockets=sockets,
            effort=EffortWatch(
                client=client, clock=self.clock, marks=self.marks, facts=self._facts()
            ),
            secrecy=SecrecyWatch(canary=self.canary, in_login=False),
            types=types,
            timeout_s=options.pending_timeout_s,
            strict=not settings.get("nasty", False),
            prompt=not settings.get("slow", False),
            steady=befallen.isdisjoint(_UNSTEADY),
        )

    def disk(self, client: int) -> Disk[None]:
        """A disk on which nothing is written."""
        return Disk(self.clock, random.Random(f"{self.plan.seed} disk {client}"), 0.01, None)

    def host(
        self, network: Network, client: int, life: int, disk: Disk[None], watch: PolyNodeWatch
    ) -> PolyNodeHost:
        """Another life of a client."""
        del disk
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
        # The client knows its plan: a peer that keeps less than it sells cannot be found out.
        account = AccountPlan(
            snapshot_count_max=self.plan.knobs.get("snapshot_count_max", 20),
            lookback_ms=int(self.plan.knobs.get("lookback_s", 30.0) * 1000),
        )
        return PolyNodeHost(
            setting,
            watch.sockets,
            watch,
            self.plan.channels,
            account,
            settings.get("compress", False),
            self.options,
            self.mechanisms,
            self.canary.key,
        )

    def difference(self, host: PolyNodeHost, spared: frozenset[str]) -> str | None:
        """INV-L1, L2: what of a client is not as it should be."""
        del spared
        status = host.session.status()
        for each in status.subscriptions:
            if each.state.value not in ("live", "refused"):
                return f"{each.subscription} is {each.state.value}"
        if status.items.pending:
            return f"{status.items.pending} items are pending"
        return host.watch.missing()

    def fails(self, permanent: Action) -> bool:
        """No fault that stays makes requests fail."""
        del permanent
        return False

    def probes(self) -> tuple[str, ...]:
        """What is published when everything is in order again."""
        return ("settlement", "status_update")

    def settles(self) -> bool:
        """Whether a quiet client keeps its one socket."""
        # A gateway that never pings hears no pong, and ends each connection after a while.
        options = self.core.options
        return options.idle_close_s is None and options.heartbeats in ("both", "ping")

    def bound_s(self) -> float:
        """B of INV-L1: how long everything may take to be in order again."""
        o = self.options
        notice_s = o.ping_interval_s + o.ping_timeout_s + o.close_timeout_s
        connect_s = max(o.backoff_cap_s, o.limit_backoff_s) + o.connect_timeout_s
        asking_s = _ASKS * (o.login_timeout_s + o.history_timeout_s) + o.history_interval_s
        return notice_s + 2 * (connect_s + asking_s) + o.pending_timeout_s

    def _facts(self) -> Facts:
        o = self.options
        looks = _LOOKS_CRAMPED if self.plan.settings.get("nasty", False) else _LOOKS
        return Facts(
            base_s=o.backoff_base_s,
            # With tiny caps each look at the history brings a few events that there is room for.
            settle_s=looks * o.history_interval_s + o.pending_timeout_s,
            answer_s=min(o.login_timeout_s, o.history_timeout_s),
            silence_s=o.ping_interval_s + o.ping_timeout_s,
            pings_s=(o.ping_interval_s, o.keepalive_interval_s),
        )
