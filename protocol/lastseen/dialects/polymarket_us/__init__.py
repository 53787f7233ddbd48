"""Polymarket US: streams over HTTP that begin with a snapshot, or go on from a token, or neither.

Where to look: `streams` is the table of streams, `subscription` what may be asked for, `records`
reads what comes, `spelling` makes one spelling of the many that the pages have, `failures` says
what an end means, `dialect` puts it together. Bodies are cut into records in `lastseen.deframing`.
"""

from lastseen.dialects.polymarket_us.dialect import PolymarketUS
from lastseen.dialects.polymarket_us.streams import Stream
from lastseen.dialects.polymarket_us.subscription import Subscription

__all__ = ["PolymarketUS", "Stream", "Subscription"]
