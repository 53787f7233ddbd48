"""Published events: their wire forms, their identity, and what filters can ask of them."""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import msgspec

from lastseen.shapes import as_list, as_object
from lastseen_simulator.polynode.markets import Markets, PredictionMarket

__all__ = ["Event", "Traits", "deflated", "identity_of", "item_key"]

_RAW_DEFLATE: Final = -15
"""Window bits without a zlib header (§4)."""

_WALLETS: Final = (
    "taker_wallet", "maker", "taker", "signer", "from", "to", "stakeholder", "redeemer", "user",
)  # fmt: skip
_TOKENS: Final = ("taker_token", "token_id")
_ITEM: Final = ("tx_hash", "taker_wallet", "taker_token", "taker_side")
_ROWS: Final = ("trades", "confirmed_fills")

_GREATEST: Final = 1e18
"""Beyond this a number is no size or price; events may be scripted."""


def deflated(text: str) -> bytes:
    """One event compressed by itself, without header or checksum (§4)."""
    packer = zlib.compressobj(wbits=_RAW_DEFLATE)
    return packer.compress(text.encode()) + packer.flush()


@attrs.frozen(kw_only=True)
class Traits:
    """What a filter can ask of an event; wallets and condition ids in lower case.

    `size` counts shares, `usd` is size times price. None is what an event does not have.
    """

    event_type: str
    wallets: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()
    slugs: frozenset[str] = frozenset()
    condition_ids: frozenset[str] = frozenset()
    side: str | None = None
    size: float | None = None
    usd: float | None = None
    status: str | None = None
    feed: str | None = None
    window_s: int | None = None
    data: Mapping[str, Any]


@attrs.define(eq=False)
class Event:
    """One event as it was published; `published_ms` is the wall clock of then.

    `linked` are the traits of the settlements that a status_update confirms: filters that would
    have let those pass let it pass too.
    """

    envelope: Mapping[str, Any]
    published_ms: int
    entry_id: str
    traits: Traits
    linked: tuple[Traits, ...] = ()
    _text: str | None = attrs.field(init=False, default=None)
    _deflated: bytes | None = attrs.field(init=False, default=None)
    _fills: tuple["Event", ...] | None = attrs.field(init=False, default=None)

    @classmethod
    def published(
        cls,
        envelope: Mapping[str, Any],
        *,
        markets: Markets,
        linked: tuple[Traits, ...] = (),
        serial: int,
        wall_ms: int,
    ) -> "Event":
        """An event from its envelope; `serial` tells those apart that nothing else does."""
        event_type, data = _kind(envelope), _data(envelope)
        return cls(
            envelope=envelope,
            published_ms=wall_ms,
            entry_id=identity_of(event_type, data, serial=serial),
            traits=_traits(event_type, data, markets),
            linked=linked,
        )

    @property
    def channel(self) -> str:
        """The type of the event."""
        return self.traits.event_type

    @property
    def data(self) -> Mapping[str, Any]:
        """Its data object."""
        return _data(self.envelope)

    @property
    def text(self) -> str:
        """Its frame as JSON text, made once."""
        if self._text is None:
            self._text = msgspec.json.encode(self.envelope).decode()
        return self._text

    @property
    def deflated(self) -> bytes:
        """Its frame compressed, made once for everybody (§4)."""
        if self._deflated is None:
            self._deflated = deflated(self.text)
        return self._deflated

    @property
    def flat(self) -> str:
        """Its data alone, with the event's time, as some clients expect snapshots (PN-9.6)."""
        timestamp = self.envelope.get("timestamp")
        timed = {} if timestamp is None else {"timestamp": timestamp}
        return msgspec.json.encode({**timed, **self.data}).decode()

    def fills(self, markets: Markets) -> tuple["Event", ...]:
        """A settlement re-shaped for the fills presets: one flat `event` for each fill."""
        if self._fills is None:
            self._fills = tuple(
                Event.published(
                    {"type": "event", "data": fill},
                    markets=markets,
                    serial=number,
                    wall_ms=self.published_ms,
                )
                for number, fill in enumerate(_fills_of(self, markets))
            )
        return self._fills


def item_key(data: Mapping[str, Any]) -> str:
    """What makes a settlement an item (§7): a transaction can have several.

    >>> item_key({"tx_hash": "0xaa", "taker_wallet": "0xb1", "taker_token": "7"})
    'settlement/0xaa/0xb1/7/-'
    """
    return "/".join(["settlement", *(str(data.get(part, "-")) for part in _ITEM)])


def identity_of(event_type: str, data: Mapping[str, Any], *, serial: int) -> str:
    """What makes an event the same as another (§7), its parts with slashes between.

    >>> identity_of("trade", {"tx_hash": "0xaa", "log_index": 17}, serial=1)
    'trade/0xaa/17'
    """
    match event_type:
        case _ if "event_id" in data:
            parts = ["event_id"]
        case "settlement":
            parts = [*_ITEM]
        case "status_update":
            parts = ["tx_hash", "token_id"]
        case "block":
            parts = ["block_hash"]
        case "price_feed":
            parts = ["feed", "twap_window_seconds", "timestamp"]
        case "event":
            parts = ["tx_hash", "order_hash", "user"]
        case _ if "tx_hash" in data and "log_index" in data:
            parts = ["tx_hash", "log_index"]
        case _:
            return f"{event_type}/#{serial}"
    return "/".join([event_type, *(str(data.get(part, "-")) for part in parts)])


def _kind(envelope: Mapping[str, Any]) -> str:
    return str(envelope.get("type"))


def _data(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    return as_object(envelope.get("data")) or {}


def _traits(event_type: str, data: Mapping[str, Any], markets: Markets) -> Traits:
    rows = [row for name in _ROWS for row in _objects(data.get(name))]
    tokens = _texts(each.get(name) for each in (data, *rows) for name in _TOKENS)
    found = [market for token in sorted(tokens) if (market := markets.of_token(token))]
    size, price = _trade_of(data, rows)
    return Traits(
        event_type=event_type,
        wallets=_lower(
            [
                *(each.get(name) for each in (data, *rows) for name in _WALLETS),
                *(as_list(data.get("maker_wallets")) or ()),
            ]
        ),
        tokens=tokens,
        slugs=_texts(
            [
                *(data.get(name) for name in ("market_slug", "event_slug")),
                *(slug for market in found for slug in (market.slug, market.event_slug)),
            ]
        ),
        condition_ids=_lower([data.get("condition_id"), *(each.condition_id for each in found)]),
        side=_text(data.get("taker_side", data.get("side"))),
        size=size,
        usd=None if size is None or price is None else size * price,
        status=_text(data.get("status")),
        feed=_text(data.get("feed")),
        window_s=_whole(data.get("twap_window_seconds")),
        data=data,
    )


def _trade_of(
    data: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]
) -> tuple[float | None, float | None]:
    """Shares and price: of the event itself, or of all its fills together."""
    for prefix in ("taker_", ""):
        size = _number(data.get(f"{prefix}size", data.get("shares_normalized")))
        if size is not None:
            return size, _number(data.get(f"{prefix}price", data.get("price")))
    fills = [(_number(row.get("size")), _number(row.get("price"))) for row in rows]
    total = sum(size for size, _ in fills if size)
    paid = sum(size * price for size, price in fills if size and price)
    return (total, paid / total) if total else (None, None)


def _fills_of(event: Event, markets: Markets) -> Iterable[dict[str, Any]]:
    data = event.data
    for row in _objects(data.get("trades")):
        token = row.get("token_id")
        market: PredictionMarket | None = markets.of_token(token)
        size = _number(row.get("size")) or 0.0
        yield {
            "event_type": "event",
            "token_id": token,
            "token_label": None if market is None else market.outcome_of(str(token)),
            "side": row.get("side"),
            "market_slug": None if market is None else market.slug,
            "condition_id": None if market is None else market.condition_id,
            "shares": round(size * 1_000_000),
            "shares_normalized": size,
            "price": row.get("price"),
            "tx_hash": data.get("tx_hash"),
            "block_number": data.get("block_number"),
            "log_index": None,
            "title": None if market is None else market.title,
            # Seconds here, milliseconds elsewhere (PN-9.8).
            "timestamp": event.published_ms // 1000,
            "order_hash": row.get("order_hash"),
            "user": row.get("maker"),
            "taker": row.get("taker"),
        }


def _objects(value: object) -> list[dict[str, Any]]:
    objects = (as_object(each) for each in as_list(value) or ())
    return [each for each in objects if each is not None]


def _texts(values: Iterable[object]) -> frozenset[str]:
    return frozenset(each for each in values if isinstance(each, str))


def _lower(values: Iterable[object]) -> frozenset[str]:
    return frozenset(each.lower() for each in values if isinstance(each, str))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _GREATEST:
        return None
    return float(value)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
