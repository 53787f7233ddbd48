"""The streams, one row each: what each begins with, and who may have it (§2-§5)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

import attrs

__all__ = ["CHANNELS", "HEALTH_PATH", "PATHS", "TOKEN_PATH", "Channel", "channel_at"]

TOKEN_PATH: Final = "/oauth/token"
HEALTH_PATH: Final = "/v1/health"

_LAYER_2: Final = "/api/v1beta1/create_{}_subscription"
_LAYER_3: Final = "/polymarket.v1.{}/Create{}Subscription"


@attrs.frozen(kw_only=True)
class Channel:
    """One stream.

    `base` is what it begins with: a snapshot of all there is, every unit whole, or nothing.
    `items` is the member that holds its objects, `path` its name on the trader's guide, and
    `aliases` are its names on the older gateway and in Connect.
    """

    name: str
    path: str
    aliases: tuple[str, ...]
    scope: str
    items: str
    base: Literal["snapshot", "units", "nothing"]
    tokens: bool = False
    of_account: bool = True
    of_firms: bool = False


def _row(
    name: str, word: str, older: str, service: str, method: str, **members: object
) -> tuple[str, Channel]:
    return name, Channel(
        name=name,
        path=f"/v1/{word}/subscribe",
        aliases=(_LAYER_2.format(older), _LAYER_3.format(service, method)),
        **members,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - rows below
    )


CHANNELS: Final[Mapping[str, Channel]] = MappingProxyType(
    dict(
        (
            _row(
                "orders", "orders", "order", "OrderEntryAPI", "Order",
                scope="read:orders", items="orders", base="snapshot", tokens=True,
            ),
            _row(
                "market_data", "marketdata", "market_data", "MarketDataSubscriptionAPI",
                "MarketData", scope="read:marketdata", items="books", base="units",
                of_account=False,
            ),
            _row(
                "positions", "positions", "position", "PositionAPI", "Position",
                scope="read:positions", items="positions", base="snapshot",
            ),
            _row(
                "drop_copy", "dropcopy", "drop_copy", "DropCopyAPI", "DropCopy",
                scope="read:dropcopy", items="executions", base="nothing", tokens=True,
                of_firms=True,
            ),
            _row(
                "trade_capture", "tradecapture", "trade_capture_report", "DropCopyAPI",
                "TradeCaptureReport", scope="read:dropcopy", items="tradeCaptureReports",
                base="nothing", tokens=True, of_firms=True,
            ),
            _row(
                "position_changes", "positionchanges", "position_change", "DropCopyAPI",
                "PositionChange", scope="read:dropcopy", items="positionChanges",
                base="nothing", tokens=True, of_firms=True,
            ),
            _row(
                "instruments", "instruments", "instrument_state_change", "DropCopyAPI",
                "InstrumentStateChange", scope="read:instruments", items="instruments",
                base="units", tokens=True, of_account=False,
            ),
        )
    )
)  # fmt: skip
"""By name. Only the first two paths are the vendor's (§0); the others follow their pattern."""

PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        path: channel.name
        for channel in CHANNELS.values()
        for path in (channel.path, *channel.aliases)
    }
)
"""Every path of a stream, and its channel."""


def channel_at(path: str) -> Channel | None:
    """The stream at a path, however it is spelled.

    >>> channel_at("/api/v1beta1/create_order_subscription").path
    '/v1/orders/subscribe'
    """
    name = PATHS.get(path)
    return None if name is None else CHANNELS[name]
