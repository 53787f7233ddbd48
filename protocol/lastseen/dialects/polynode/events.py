"""Event types and presets, as tables: what there is, what names an event, what a preset delivers.

The list is open: a type that is not here is delivered all the same (`facts/polynode.md` §3.2).
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

__all__ = ["CONFIRMATION", "IDENTITY_MEMBERS", "PRESETS", "SETTLEMENT", "UNRECORDED", "Preset"]

SETTLEMENT: Final = "settlement"
CONFIRMATION: Final = "status_update"

UNRECORDED: Final = frozenset({"price_feed"})
"""Types that no history brings back (§3.2), so that they say nothing about how far we have come."""

_ON_CHAIN = ("tx_hash", "log_index")

IDENTITY_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        SETTLEMENT: ("tx_hash", "taker_wallet", "taker_token", "taker_side"),
        CONFIRMATION: ("tx_hash", "token_id"),
        "trade": _ON_CHAIN,
        "position_change": _ON_CHAIN,
        "deposit": _ON_CHAIN,
        "position_split": _ON_CHAIN,
        "position_merge": _ON_CHAIN,
        "positions_converted": _ON_CHAIN,
        "redemption": _ON_CHAIN,
        "oracle": _ON_CHAIN,
        "combo_execution": _ON_CHAIN,
        "combo_status_update": _ON_CHAIN,
        "combo_lifecycle": _ON_CHAIN,
        "combo_approval": _ON_CHAIN,
        "event": ("tx_hash", "order_hash", "user"),
        "block": ("block_hash",),
        "price_feed": ("feed", "twap_window_seconds", "timestamp"),
    }
)
"""The members of `data` that tell events of a type apart (§7); of combos only the chain is sure.

The first one must be there; without the others an event of the first two types is still itself.
"""


class Preset(Enum):
    """What the `type` of a subscribe may be (§2.1)."""

    SETTLEMENTS = "settlements"
    TRADES = "trades"
    PRICES = "prices"
    BLOCKS = "blocks"
    WALLETS = "wallets"
    MARKETS = "markets"
    LARGE_TRADES = "large_trades"
    GLOBAL = "global"
    ORACLE = "oracle"
    CHAINLINK = "chainlink"
    FILLS = "fills"
    DOME = "dome"
    COMBOS = "combos"
    REDEMPTIONS = "redemptions"
    REDEMPTION = "redemption"
    DEPOSITS = "deposits"


_POSITIONS = frozenset(
    {"position_change", "position_split", "position_merge", "positions_converted", "redemption"}
)

PRESETS: Final[Mapping[Preset, frozenset[str]]] = MappingProxyType(
    {
        Preset.SETTLEMENTS: frozenset({SETTLEMENT, CONFIRMATION}),
        Preset.TRADES: frozenset({SETTLEMENT, "trade", CONFIRMATION}),
        Preset.PRICES: frozenset({SETTLEMENT, "trade"}),
        Preset.BLOCKS: frozenset({"block"}),
        Preset.WALLETS: frozenset({SETTLEMENT, "trade", CONFIRMATION, "deposit"}) | _POSITIONS,
        Preset.MARKETS: frozenset({SETTLEMENT, "trade", CONFIRMATION}) | _POSITIONS,
        Preset.LARGE_TRADES: frozenset({SETTLEMENT, "trade"}),
        # Two lists are published; this is what both have (§9.9). Name the types to be sure.
        Preset.GLOBAL: frozenset(
            {SETTLEMENT, "trade", "position_change", "deposit", "block", CONFIRMATION, "oracle",
             "redemption"}
        ),
        Preset.ORACLE: frozenset({"oracle"}),
        Preset.CHAINLINK: frozenset({"price_feed"}),
        Preset.FILLS: frozenset({"event"}),
        Preset.DOME: frozenset({"event"}),
        Preset.COMBOS: frozenset({"combo_execution", "combo_status_update"}),
        Preset.REDEMPTIONS: frozenset({"redemption"}),
        Preset.REDEMPTION: frozenset({"redemption"}),
        Preset.DEPOSITS: frozenset({"deposit"}),
    }
)  # fmt: skip
"""The event types that each delivers, the newer revision where two differ (§2.1)."""
