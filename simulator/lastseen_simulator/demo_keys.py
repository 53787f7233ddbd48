"""The public key that each gateway takes unless it is told of others."""

from typing import Final

__all__ = ["ODDSPAPI", "POLYMARKET_US", "POLYNODE"]

ODDSPAPI: Final = "0123456789abcdef0123456789abcdef"
POLYMARKET_US: Final = "demo-" + "0" * 27
POLYNODE: Final = "pn_live_" + "0" * 32
