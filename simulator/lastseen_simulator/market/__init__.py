"""A small, plausible betting market that changes at the turn of a seeded generator."""

from lastseen_simulator.market.ledger import Change, Payload, Tables, Undo, status_of
from lastseen_simulator.market.model import Market, MarketOptions

__all__ = ["Change", "Market", "MarketOptions", "Payload", "Tables", "Undo", "status_of"]
