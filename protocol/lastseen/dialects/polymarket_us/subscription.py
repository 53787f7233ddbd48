"""What a client asks of Polymarket US: one stream, and what narrows it."""

from typing import Any, Final, cast, final

import attrs

from lastseen.dialects.polymarket_us.streams import STREAMS, Stream
from lastseen.errors import ConfigurationError

__all__ = ["SYMBOLS_MAX", "Subscription"]

SYMBOLS_MAX: Final = 1000
"""Per stream of market data (`facts/polymarket_us.md` §6)."""

_TEXT_CHARACTERS_MAX: Final = 256


def _is_text(value: object) -> bool:
    return type(value) is str and 0 < len(value) <= _TEXT_CHARACTERS_MAX and value.isprintable()


def _texts(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    texts = cast("tuple[object, ...]", value) if type(value) is tuple else None
    if texts is None or not all(map(_is_text, texts)) or len(set(texts)) < len(texts):
        raise ConfigurationError(f"{attribute.name} must be a tuple of texts without repeats")


def _text(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not _is_text(value):
        raise ConfigurationError(f"{attribute.name} must be text or None")


def _depth(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not (type(value) is int and value > 0):
        raise ConfigurationError(f"{attribute.name} must be a whole number above 0")


@final
@attrs.frozen(kw_only=True)
class Subscription:
    """One stream. What is empty narrows nothing: all symbols, all accounts of the user (§3)."""

    stream: Stream = Stream.ORDERS
    account: str | None = attrs.field(default=None, validator=_text)
    """For orders, positions and the drop copies; sent as `x-participant-id` too."""
    symbols: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    firms: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    depth: int | None = attrs.field(default=None, validator=_depth)
    """Of a book, in levels."""

    def __attrs_post_init__(self) -> None:
        if type(self.stream) is not Stream:
            raise ConfigurationError("stream must be a Stream")
        row, name = STREAMS[self.stream], self.stream.value
        if not row.of_account and self.account is not None:
            raise ConfigurationError(f"{name} has no account")
        if self.stream is Stream.MARKET_DATA and len(self.symbols) > SYMBOLS_MAX:
            raise ConfigurationError(f"at most {SYMBOLS_MAX} symbols a stream of market data")
        if self.depth is not None and self.stream is not Stream.MARKET_DATA:
            raise ConfigurationError(f"{name} has no depth")
        if self.firms and self.stream not in (
            Stream.DROP_COPY, Stream.TRADE_CAPTURE, Stream.POSITION_CHANGES,
        ):  # fmt: skip
            raise ConfigurationError(f"{name} is not narrowed by firms")

    def body(self) -> dict[str, Any]:
        """The members of the request but for the token; what is empty is left out (§3)."""
        match self.stream:
            case Stream.ORDERS:
                members: dict[str, Any] = {"accountId": self.account, "symbols": self.symbols}
            case Stream.MARKET_DATA:
                members = {"instruments": self.symbols, "dataType": "orderbook"}
                members["depth"] = self.depth
            case Stream.POSITIONS:
                accounts = () if self.account is None else (self.account,)
                members = {"accounts": accounts, "symbols": self.symbols}
            case Stream.INSTRUMENTS:
                members = {"symbols": self.symbols}
            case _:
                members = {"accountId": self.account, "symbols": self.symbols, "firms": self.firms}
        return {name: value for name, value in members.items() if value not in (None, ())}
