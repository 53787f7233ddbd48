"""What the drivers need to know of a dialect: its gateway, its judges, and how states compare."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast, final

import attrs

from lastseen_conformance.case import Case, Judge, Scene
from lastseen_conformance.judges import (
    oddspapi_connections,
    oddspapi_logins,
    oddspapi_reports,
    oddspapi_versions,
    oddspapi_wholeness,
    polymarket_us,
    polynode,
)
from lastseen_conformance.judges.polymarket_us_state import difference
from lastseen_simulator.gateway.core import Gateway, GatewayOptions, KeyGrant
from lastseen_simulator.gateways import GatewayCore, Truth
from lastseen_simulator.polymarket_us.core import PolymarketUSGateway
from lastseen_simulator.polymarket_us.options import KeyGrant as PolymarketUSGrant
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions
from lastseen_simulator.polynode.core import PolyNodeGateway
from lastseen_simulator.polynode.options import KeyGrant as PolyNodeGrant
from lastseen_simulator.polynode.options import PolyNodeOptions
from lastseen_simulator.verdict import compare

__all__ = ["DIALECTS", "Dialect"]


@final
@attrs.frozen(kw_only=True)
class Dialect:
    """One dialect; `key` is what its gateway accepts, made for the suite, and opens nothing."""

    name: str
    key: str
    make: Callable[[Case, random.Random, int], GatewayCore]
    always: Sequence[Judge]
    """Judges that hold for every history."""
    fixtures: Callable[[GatewayCore], tuple[str, ...]]
    difference: Callable[[Case, Mapping[str, Any], Truth], str | None]
    streams: bool = False
    """It streams over HTTP, and paths are appended to the bare address."""
    account: str | None = None
    """Whose streams the client asks for."""

    def gateway(self, case: Case, rng: random.Random, *, wall_ms_at_zero: int) -> GatewayCore:
        """The gateway that a case wants."""
        return self.make(case, rng, wall_ms_at_zero)

    def scene(
        self, case: Case, core: GatewayCore, *, reported: bool, timers: Mapping[str, float]
    ) -> Scene:
        """What the case may know; the gateway has begun."""
        return Scene(
            reported=reported,
            channels=case.channels,
            timers=timers,
            fixtures=self.fixtures(core),
            truth=core.truth.state(),
        )


ODDSPAPI_KEY: Final = "5a17e0f5c0ffee0ddba11ca5cade0001"
ODDSPAPI_DEFAULTS: Final[Mapping[str, Any]] = {
    "rate": 0.0,
    "fixtures": 2,
    "futures": 1,
    "bookmakers": ("pinnacle",),
}


def _oddspapi_gateway(case: Case, rng: random.Random, wall_ms_at_zero: int) -> GatewayCore:
    options = GatewayOptions(
        keys=(KeyGrant(key=ODDSPAPI_KEY),), **{**ODDSPAPI_DEFAULTS, **case.knobs}
    )
    return Gateway(options, rng=rng, wall_ms_at_zero=wall_ms_at_zero)


def _oddspapi_fixtures(core: GatewayCore) -> tuple[str, ...]:
    return tuple(
        key.partition("/")[2]
        for key, value in core.truth.state().items()
        if key.startswith("fixtures/")
        and cast("dict[str, Any]", value).get("status", {}).get("statusId") not in (2, 3)
    )


def _oddspapi_difference(case: Case, state: Mapping[str, Any], truth: Truth) -> str | None:
    for verdict in compare(state, truth.state(), case.channels):
        if not verdict.equal:
            return verdict.difference
    return None


POLYNODE_KEY: Final = "pn_live_5a17e0f5c0ffee0ddba11ca5cade0002"
POLYNODE_DEFAULTS: Final[Mapping[str, Any]] = {
    "rate": 0.0,
    "price_feed_s": 0.0,
    "block_s": 3600.0,
    "heartbeat_s": 0.4,
    "confirm_min_s": 3600.0,
    "confirm_max_s": 3600.0,
}
"""Nothing happens but what a case publishes; confirmations too."""


def _polynode_gateway(case: Case, rng: random.Random, wall_ms_at_zero: int) -> GatewayCore:
    options = PolyNodeOptions(
        keys=(PolyNodeGrant(key=POLYNODE_KEY),), **{**POLYNODE_DEFAULTS, **case.knobs}
    )
    return PolyNodeGateway(options, rng=rng, wall_ms_at_zero=wall_ms_at_zero)


def _polynode_difference(case: Case, state: Mapping[str, Any], truth: Truth) -> str | None:
    del case
    told = [record["connection"] for record in truth.records if record["kind"] == "sent"]
    true_state = truth.state(types=("settlement",), connections=sorted(set(told)))
    return polynode.item_difference(state, true_state)


POLYMARKET_US_KEY: Final = "pmus-5a17e0f5c0ffee0ddba11ca5cade0003"
POLYMARKET_US_ACCOUNT: Final = "acct-demo"
POLYMARKET_US_DEFAULTS: Final[Mapping[str, Any]] = {
    "rate": 0.0,
    "symbols": 2,
    "orders": 0,
    "auth": "required",
    "heartbeat_s": 0.5,
    "snapshot_s": None,
    "resend_s": None,
}
"""Nothing happens but what a case publishes."""


def _polymarket_us_gateway(case: Case, rng: random.Random, wall_ms_at_zero: int) -> GatewayCore:
    options = PolymarketUSOptions(
        keys=(PolymarketUSGrant(key=POLYMARKET_US_KEY),),
        **{**POLYMARKET_US_DEFAULTS, **case.knobs},
    )
    return PolymarketUSGateway(options, rng=rng, wall_ms_at_zero=wall_ms_at_zero)


def _polymarket_us_difference(case: Case, state: Mapping[str, Any], truth: Truth) -> str | None:
    (stream,) = case.channels
    # The oldest guide tells the state of an order and nothing else.
    only = ("state",) if case.knobs.get("style") == "guide" else None
    # A number is one state on this page and another on that.
    but = () if case.knobs.get("enums", "names") == "names" else ("state",)
    return difference(stream, state, truth.state(channels=(stream,)), only=only, but=but)


def _nothing_on_offer(core: GatewayCore) -> tuple[str, ...]:
    del core
    return ()


DIALECTS: Final[Mapping[str, Dialect]] = {
    "oddspapi": Dialect(
        name="oddspapi",
        key=ODDSPAPI_KEY,
        make=_oddspapi_gateway,
        always=(
            oddspapi_logins.login_first,
            oddspapi_logins.login_once,
            oddspapi_logins.pairs_whole,
            oddspapi_logins.cursor_of_epoch,
            oddspapi_logins.cursor_not_in_doubt,
            oddspapi_logins.replayable_only,
            oddspapi_logins.subscribed_only,
            oddspapi_logins.forward_only,
            oddspapi_connections.sockets_within(5),
            oddspapi_connections.few_sockets,
            oddspapi_reports.applied_once,
            oddspapi_reports.old_socket_fenced,
            oddspapi_reports.claims_have_bases,
            oddspapi_versions.never_back,
            oddspapi_versions.demands_count,
            oddspapi_versions.unproven_stays_unproven,
            oddspapi_wholeness.none_skipped,
            oddspapi_wholeness.synced_is_whole,
        ),
        fixtures=_oddspapi_fixtures,
        difference=_oddspapi_difference,
    ),
    "polynode": Dialect(
        name="polynode",
        key=POLYNODE_KEY,
        make=_polynode_gateway,
        always=(
            polynode.asks,
            polynode.one_at_a_time,
            polynode.reaches_back,
            polynode.once,
            polynode.forward,
            polynode.pongs,
        ),
        fixtures=_nothing_on_offer,
        difference=_polynode_difference,
    ),
    "polymarket-us": Dialect(
        name="polymarket-us",
        key=POLYMARKET_US_KEY,
        make=_polymarket_us_gateway,
        always=(
            polymarket_us.asks_for_the_stream,
            polymarket_us.bearer,
            polymarket_us.participant(POLYMARKET_US_ACCOUNT),
            polymarket_us.tokens_as_given,
            polymarket_us.within_rate,
            polymarket_us.few_streams,
            polymarket_us.applied_once,
            polymarket_us.base_before_claim,
        ),
        fixtures=_nothing_on_offer,
        difference=_polymarket_us_difference,
        streams=True,
        account=POLYMARKET_US_ACCOUNT,
    ),
}
