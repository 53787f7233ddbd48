"""What a client asks of PolyNode: a preset and filters, as a subscribe frame can say them."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, cast, final

import attrs

from lastseen.coverage import HistoryRequest
from lastseen.dialects.polynode.events import CONFIRMATION, PRESETS, SETTLEMENT, Preset
from lastseen.dialects.polynode.wire import Filters, Subscribe
from lastseen.errors import ConfigurationError

__all__ = ["FILTER_ITEMS_MAX", "Subscription"]

FILTER_ITEMS_MAX = 10_000
"""Per subscription, all lists together (`facts/polynode.md` §8)."""

_TEXT_CHARACTERS_MAX = 256
_TEXT = f"printable text of 1 to {_TEXT_CHARACTERS_MAX} characters"
_TOKEN_DIGITS_MAX = 78
_TWAP_WINDOWS = (30, 60)
_COUNT_MAX = 500
"""What the largest plan gives (§6); a smaller plan's limit is the peer's to enforce."""

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "side": ("BUY", "SELL"),
    "status": ("pending", "confirmed", "all"),
}


def _preset(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if type(value) is not Preset:
        raise ConfigurationError(f"{attribute.name} must be a Preset")


def _texts(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    _check_items(attribute.name, value, _is_text, _TEXT)


def _tokens(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    # Decimal text: most are far beyond what a number on the wire could hold.
    words = f"texts of at most {_TOKEN_DIGITS_MAX} decimal digits"
    _check_items(attribute.name, value, _is_token, words)


def _integers(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    _check_items(attribute.name, value, _is_natural, "integers, 0 or above")


def _windows(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    _check_items(attribute.name, value, _TWAP_WINDOWS.__contains__, "30 and 60, in seconds")


def _choice(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    allowed = _CHOICES[attribute.name]
    if value is not None and value not in allowed:
        raise ConfigurationError(f"{attribute.name} must be one of {', '.join(allowed)}")


def _text(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is not None and not _is_text(value):
        raise ConfigurationError(f"{attribute.name} must be {_TEXT}")


def _amount(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is None:
        return
    if type(value) not in (int, float, Decimal) or not (isfinite(value) and value >= 0):
        raise ConfigurationError(f"{attribute.name} must be a number, 0 or above")


def _count(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is not None and not (_is_natural(value) and value <= _COUNT_MAX):
        raise ConfigurationError(f"{attribute.name} must be an integer from 0 to {_COUNT_MAX}")


def _moment(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is not None and not _is_natural(value):
        raise ConfigurationError(f"{attribute.name} must be epoch milliseconds")


@final
@attrs.frozen(kw_only=True)
class Subscription:
    """One preset with its filters; all that is given narrows, what is empty does not.

    `snapshot_count` and `since` are for the first time only, and `since` wins (`facts` §2.1): after
    a connection was lost, `Coverage` says what to ask for.
    """

    preset: Preset = attrs.field(default=Preset.SETTLEMENTS, validator=_preset)
    wallets: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    tokens: tuple[str, ...] = attrs.field(default=(), validator=_tokens)
    markets: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    slugs: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    condition_ids: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    side: str | None = attrs.field(default=None, validator=_choice)
    status: str | None = attrs.field(default=None, validator=_choice)
    """`pending` may keep the confirmations away (§9.4); filter by the item's state instead."""
    min_size: int | float | Decimal | None = attrs.field(default=None, validator=_amount)
    max_size: int | float | Decimal | None = attrs.field(default=None, validator=_amount)
    """Both documented as USD; what the peer compares them with is unclear (§9.5)."""
    event_types: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    """Replaces what the preset delivers."""
    snapshot_count: int | None = attrs.field(default=None, validator=_count)
    since_ms: int | None = attrs.field(default=None, validator=_moment)
    feeds: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    twap_windows: tuple[int, ...] = attrs.field(default=(), validator=_windows)
    combo_condition_ids: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    leg_position_ids: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    event_ids: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    module_ids: tuple[int, ...] = attrs.field(default=(), validator=_integers)
    action: str | None = attrs.field(default=None, validator=_text)
    direction: str | None = attrs.field(default=None, validator=_text)

    def __attrs_post_init__(self) -> None:
        if sum(map(_length, attrs.astuple(self, recurse=False))) > FILTER_ITEMS_MAX:
            raise ConfigurationError(f"more than {FILTER_ITEMS_MAX} filter items")
        if (
            self.min_size is not None
            and self.max_size is not None
            and self.min_size > self.max_size
        ):
            raise ConfigurationError("min_size must not be above max_size")
        priced = bool(self.feeds or self.twap_windows)
        if priced != (self.preset is Preset.CHAINLINK):
            raise ConfigurationError("feeds or twap_windows go with chainlink, and with no other")

    @property
    def delivers(self) -> frozenset[str]:
        """The event types that this should bring, as far as they are published."""
        return frozenset(self.event_types) or PRESETS[self.preset]

    @property
    def brings_confirmations(self) -> bool:
        """Whether items that it makes pending will also be confirmed (HZ-G17).

        True where it makes none pending. Otherwise all of them would time out, which then says
        nothing about them.
        """
        if SETTLEMENT not in self.delivers:
            return True
        return CONFIRMATION in self.delivers and self.status != "pending"

    @property
    def has_history(self) -> bool:
        """Whether a history snapshot answers it; prices have none (§3.2)."""
        return self.preset is not Preset.CHAINLINK

    def frame(self, history: HistoryRequest) -> Subscribe:
        """The subscribe frame; what is empty is left out."""
        count, since_ms = history.count, history.since_ms
        if count is None and since_ms is None:
            count, since_ms = self.snapshot_count, self.since_ms
        if not self.has_history:
            count = since_ms = None
        filters = Filters(
            wallets=list(self.wallets) or None,
            tokens=list(self.tokens) or None,
            markets=list(self.markets) or None,
            slugs=list(self.slugs) or None,
            condition_ids=list(self.condition_ids) or None,
            side=self.side,
            status=self.status,
            min_size=self.min_size,
            max_size=self.max_size,
            event_types=list(self.event_types) or None,
            snapshot_count=count if since_ms is None else None,
            since=since_ms,
            feeds=list(self.feeds) or None,
            twap_windows=list(self.twap_windows) or None,
            combo_condition_ids=list(self.combo_condition_ids) or None,
            leg_position_ids=list(self.leg_position_ids) or None,
            event_ids=list(self.event_ids) or None,
            module_ids=list(self.module_ids) or None,
            action=self.action,
            direction=self.direction,
        )
        return Subscribe(type=self.preset.value, filters=None if filters == Filters() else filters)


def _length(value: object) -> int:
    return len(cast("tuple[object, ...]", value)) if type(value) is tuple else 0


def _check_items(name: str, value: Any, is_usable: Callable[[object], bool], words: str) -> None:
    items = cast("tuple[object, ...]", value) if type(value) is tuple else None
    if items is None or not all(map(is_usable, items)):
        raise ConfigurationError(f"{name} must be a tuple of {words}")
    if len(set(items)) != len(items):
        raise ConfigurationError(f"{name} must be without repeats")


def _is_text(value: object) -> bool:
    if type(value) is not str or not 0 < len(value) <= _TEXT_CHARACTERS_MAX:
        return False
    return value.isprintable() and value.strip() == value


def _is_token(value: object) -> bool:
    if type(value) is not str or not 0 < len(value) <= _TOKEN_DIGITS_MAX:
        return False
    return value.isascii() and value.isdigit()


def _is_natural(value: object) -> bool:
    return type(value) is int and value >= 0
