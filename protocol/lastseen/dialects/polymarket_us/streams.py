"""The streams, as a table: where each is, what it begins with, what names its entries and units."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

import attrs

from lastseen.dialects.polymarket_us.spelling import ORDER_ZEROES, Zeroes
from lastseen.stream_dialect import Base

__all__ = ["STREAMS", "Stream", "StreamRow"]


class Stream(Enum):
    """What can be subscribed to (`facts/polymarket_us.md` §3); the values name channels."""

    ORDERS = "orders"
    MARKET_DATA = "market_data"
    POSITIONS = "positions"
    DROP_COPY = "drop_copy"
    TRADE_CAPTURE = "trade_capture"
    POSITION_CHANGES = "position_changes"
    INSTRUMENTS = "instruments"


@attrs.frozen(kw_only=True)
class StreamRow:
    """One stream."""

    path: str
    base: Base
    has_tokens: bool = False
    tells_events: bool = False
    """Its entries happened; a new base does not bring back those that were missed."""
    of_account: bool = True
    """It wants to know whose account (`x-participant-id`)."""
    items: str
    """The member that holds its objects, in snapshots and updates."""
    identity: tuple[str, ...] = ()
    """Members that tell an entry from its like; none, and none is ever a duplicate (HZ-F2)."""
    unit: tuple[str, ...] = ()
    """Members that name the unit an object sets; none for what only happens."""
    time: str | None = None
    """The member that says when an object was so."""
    zeroes: Zeroes = MappingProxyType({})
    """What an object that is whole means by leaving a member out (§7.7)."""


_BOOK_ZEROES: Final[Zeroes] = MappingProxyType(
    {"bids": (), "offers": (), "state": "CLOSED", "bookHidden": False}
)
_POSITION_ZEROES: Final[Zeroes] = MappingProxyType(
    dict.fromkeys(("netPosition", "cost", "qtyBought", "qtySold", "realized", "expired"), 0)
)


STREAMS: Final[Mapping[Stream, StreamRow]] = MappingProxyType(
    {
        Stream.ORDERS: StreamRow(
            path="/v1/orders/subscribe",
            base=Base.SNAPSHOT,
            # The oldest and the newest page disagree (§7.3): a token is kept if one comes.
            has_tokens=True,
            tells_events=True,
            items="orders",
            identity=("id",),
            unit=("id",),
            zeroes=ORDER_ZEROES,
        ),
        Stream.MARKET_DATA: StreamRow(
            path="/v1/marketdata/subscribe",
            base=Base.UNITS,
            of_account=False,
            items="books",
            unit=("symbol",),
            time="transactTime",
            zeroes=_BOOK_ZEROES,
        ),
        Stream.POSITIONS: StreamRow(
            path="/v1/positions/subscribe",
            base=Base.SNAPSHOT,
            items="positions",
            unit=("account", "symbol"),
            time="updateTime",
            zeroes=_POSITION_ZEROES,
        ),
        Stream.DROP_COPY: StreamRow(
            path="/v1/dropcopy/subscribe",
            base=Base.NONE,
            has_tokens=True,
            tells_events=True,
            items="executions",
            identity=("id",),
        ),
        Stream.TRADE_CAPTURE: StreamRow(
            path="/v1/tradecapture/subscribe",
            base=Base.NONE,
            has_tokens=True,
            tells_events=True,
            items="tradeCaptureReports",
            identity=("id", "state"),
            unit=("id",),
        ),
        Stream.POSITION_CHANGES: StreamRow(
            path="/v1/positionchanges/subscribe",
            base=Base.NONE,
            has_tokens=True,
            tells_events=True,
            items="positionChanges",
            unit=("account", "symbol"),
            time="changeTime",
            zeroes=_POSITION_ZEROES,
        ),
        Stream.INSTRUMENTS: StreamRow(
            path="/v1/instruments/subscribe",
            # Every message has whole instruments, and nothing tells the first ones from later ones.
            base=Base.UNITS,
            of_account=False,
            items="instruments",
            unit=("symbol",),
            zeroes=MappingProxyType({"state": "CLOSED"}),
        ),
    }
)
"""By stream (§3 to §5); the paths of the oldest page, and others in its style."""
