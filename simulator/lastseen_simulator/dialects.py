"""The gateways there are, one row each: what makes one, what opens it, and how it is judged."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

import attrs

from lastseen_simulator import verdict
from lastseen_simulator.channels import STATEFUL_CHANNELS
from lastseen_simulator.gateway import options as oddspapi
from lastseen_simulator.gateway.core import Gateway
from lastseen_simulator.gateways import GatewayCore
from lastseen_simulator.polymarket_us import options as polymarket_us
from lastseen_simulator.polymarket_us import verdict as polymarket_us_verdict
from lastseen_simulator.polymarket_us.core import PolymarketUSGateway
from lastseen_simulator.polynode import options as polynode
from lastseen_simulator.polynode import verdict as polynode_verdict
from lastseen_simulator.polynode.core import PolyNodeGateway
from lastseen_simulator.verdict import ChannelVerdict

__all__ = ["DEFAULT", "GATEWAYS", "AnyOptions", "GatewayKind", "kind_of"]

AnyOptions = oddspapi.GatewayOptions | polynode.PolyNodeOptions | polymarket_us.PolymarketUSOptions
"""The knobs of a gateway; their class says what it speaks."""


class _Compare(Protocol):
    def __call__(
        self, client: Mapping[str, Any], truth: Mapping[str, Any], channels: Iterable[str]
    ) -> tuple[ChannelVerdict, ...]: ...


@attrs.frozen(kw_only=True)
class GatewayKind:
    """A gateway of one dialect."""

    options: type[AnyOptions]
    grant: type[Any]
    """What lets a key in; `keys` of the options are a tuple of these."""
    demo_key: str
    make: Callable[..., GatewayCore]
    """Takes options, and by keyword `rng` and `wall_ms_at_zero`."""
    login: tuple[str, str]
    """The kind and the verdict of the record that says that a client has been let in."""
    stateful: tuple[str, ...]
    """The channels that leave a state to compare."""
    compare: _Compare
    """Compares a client's state, unit key → value, with the truth of some of them."""


GATEWAYS: Final[Mapping[str, GatewayKind]] = MappingProxyType(
    {
        "oddspapi": GatewayKind(
            options=oddspapi.GatewayOptions,
            grant=oddspapi.KeyGrant,
            demo_key=oddspapi.DEMO_KEY,
            make=Gateway,
            login=("login", "login_ok"),
            stateful=STATEFUL_CHANNELS,
            compare=verdict.compare,
        ),
        "polynode": GatewayKind(
            options=polynode.PolyNodeOptions,
            grant=polynode.KeyGrant,
            demo_key=polynode.DEMO_KEY,
            make=PolyNodeGateway,
            login=("subscribe", "subscribed"),
            stateful=polynode_verdict.STATEFUL,
            compare=polynode_verdict.compare,
        ),
        "polymarket-us": GatewayKind(
            options=polymarket_us.PolymarketUSOptions,
            grant=polymarket_us.KeyGrant,
            demo_key=polymarket_us.DEMO_KEY,
            make=PolymarketUSGateway,
            login=("asked", "granted"),
            stateful=polymarket_us_verdict.STATEFUL,
            compare=polymarket_us_verdict.compare,
        ),
    }
)
"""By dialect."""

DEFAULT: Final = "oddspapi"


def kind_of(options: AnyOptions) -> tuple[str, GatewayKind]:
    """The dialect that these knobs are for, and its row."""
    return next(
        (name, kind) for name, kind in GATEWAYS.items() if isinstance(options, kind.options)
    )
