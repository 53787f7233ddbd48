"""Subscriptions: what a subscribe frame asks for, and which events that is (§2.1)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from lastseen.shapes import as_list, as_object, as_text
from lastseen_simulator.polynode.events import Event, Traits
from lastseen_simulator.polynode.markets import Markets
from lastseen_simulator.polynode.options import PolyNodeOptions

__all__ = ["PRESETS", "Refusal", "Subscription", "judge_subscribe", "known_filters"]

_ON_CHAIN: Final = (
    "position_change", "position_split", "position_merge", "positions_converted", "redemption",
)  # fmt: skip

PRESETS: Final[Mapping[str, frozenset[str]]] = {
    "settlements": frozenset({"settlement", "status_update"}),
    "trades": frozenset({"settlement", "trade", "status_update"}),
    "prices": frozenset({"settlement", "trade"}),
    "blocks": frozenset({"block"}),
    "wallets": frozenset({"settlement", "trade", "status_update", "deposit", *_ON_CHAIN}),
    "markets": frozenset({"settlement", "trade", "status_update", *_ON_CHAIN}),
    "large_trades": frozenset({"settlement", "trade"}),
    "global": frozenset(),
    "oracle": frozenset({"oracle"}),
    "chainlink": frozenset({"price_feed"}),
    "fills": frozenset({"event"}),
    "dome": frozenset({"event"}),
    "combos": frozenset({"combo_execution", "combo_status_update"}),
    "redemptions": frozenset({"redemption"}),
    "redemption": frozenset({"redemption"}),
    "deposits": frozenset({"deposit"}),
}
"""The types of events each preset has; `global` has all but a few."""

_NOT_GLOBAL: Final = frozenset({"price_feed", "event"})
_SPLITS: Final = frozenset({"position_split", "position_merge"})

_LARGE: Final = 1000.0
"""`min_size` of large_trades when none is given (§2.1)."""

_TEXT_LISTS: Final = ("wallets", "tokens", "markets", "slugs", "condition_ids", "event_types")
_OTHER_LISTS: Final[Mapping[str, str]] = {
    "combo_condition_ids": "combo_condition_id",
    "leg_position_ids": "leg_position_ids",
    "event_ids": "event_id",
}
_OTHER_TEXTS: Final = ("action", "direction")
_SOURCES: Final[Mapping[tuple[int, ...], str]] = {
    (): "follow_main",
    (30,): "twap30",
    (60,): "twap60",
    (30, 60): "both",
}


@attrs.frozen(kw_only=True)
class Refusal:
    """Why a frame got an `error` (§5)."""

    code: str
    message: str


@attrs.frozen(kw_only=True)
class Subscription:
    """What one subscription lets pass; None is no filter.

    A value passes a filter that lists it, an event must pass all of them. Of `side` and size only
    a status_update without a known settlement has none and passes all the same, for a confirmation
    that is held back helps nobody.
    """

    preset: str
    types: frozenset[str] | None
    without: frozenset[str] = frozenset()
    wallets: frozenset[str] | None = None
    tokens: frozenset[str] | None = None
    markets: frozenset[str] | None = None
    slugs: frozenset[str] | None = None
    condition_ids: frozenset[str] | None = None
    side: str | None = None
    status: str | None = None
    min_size: float | None = None
    max_size: float | None = None
    in_usd: bool = True
    updates_are_confirmed: bool = False
    feeds: frozenset[str] | None = None
    windows: tuple[int, ...] = ()
    others: tuple[tuple[str, frozenset[Any]], ...] = ()
    snapshot_count: int | None = None
    since_ms: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def reshapes(self) -> bool:
        """Whether settlements take the form of fills on its connection."""
        return self.types is not None and "event" in self.types

    @property
    def price_source(self) -> str | None:
        """What a chainlink ack says of the windows; None for other presets."""
        return _SOURCES[self.windows] if self.preset == "chainlink" else None

    def forms(self, event: Event, markets: Markets) -> tuple[Event, ...]:
        """What it gets of an event: nothing, the event, or its fills."""
        if self.reshapes and event.channel == "settlement":
            return tuple(fill for fill in event.fills(markets) if self.passes(fill))
        return (event,) if self.passes(event) else ()

    def passes(self, event: Event) -> bool:
        """Whether it lets an event pass, itself or for the sake of its settlements."""
        kind = event.channel
        if kind in self.without or not (self.types is None or kind in self.types):
            return False
        if kind == "price_feed" and not self._follows(event.traits):
            return False
        if not self._has_status(event.traits):
            return False
        candidates = (event.traits, *event.linked)
        lenient = kind == "status_update" and not event.linked
        return any(self._concerns(each) and self._fits(each, lenient) for each in candidates)

    def _follows(self, traits: Traits) -> bool:
        if self.feeds is not None and traits.feed not in self.feeds:
            return False
        return traits.window_s in self.windows if self.windows else traits.window_s is None

    def _has_status(self, traits: Traits) -> bool:
        if self.status in (None, "all"):
            return True
        if traits.event_type == "settlement":
            return traits.status == self.status
        return self.status == "confirmed" or not self.updates_are_confirmed

    def _concerns(self, traits: Traits) -> bool:
        named = (
            (self.wallets, traits.wallets),
            (self.tokens, traits.tokens),
            (self.markets, traits.slugs | traits.condition_ids),
            (self.slugs, traits.slugs),
            (self.condition_ids, traits.condition_ids),
        )
        if any(wanted is not None and not wanted & has for wanted, has in named):
            return False
        return all(_member_in(traits.data.get(name), wanted) for name, wanted in self.others)

    def _fits(self, traits: Traits, lenient: bool) -> bool:
        if self.side is not None and traits.side != self.side:
            return lenient and traits.side is None
        if self.min_size is None and self.max_size is None:
            return True
        size = traits.usd if self.in_usd else traits.size
        if size is None:
            return lenient
        at_most = float("inf") if self.max_size is None else self.max_size
        return (self.min_size or 0.0) <= size <= at_most


class _RefusedError(Exception):
    def __init__(self, message: str, code: str = "invalid_message") -> None:
        super().__init__(message)
        self.refusal = Refusal(code=code, message=message)


def judge_subscribe(
    frame: Mapping[str, Any], markets: Markets, options: PolyNodeOptions
) -> Subscription | Refusal:
    """Reads a subscribe frame; anything that is no filter is passed over with a warning."""
    try:
        return _read(frame, markets, options)
    except _RefusedError as error:
        return error.refusal


def _read(frame: Mapping[str, Any], markets: Markets, options: PolyNodeOptions) -> Subscription:
    preset = frame.get("type", "settlements")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise _RefusedError("unknown subscription type")
    given = as_object(frame.get("filters", {}))
    if given is None and frame["filters"] is not None:
        raise _RefusedError("filters must be an object")
    filters = {name: value for name, value in (given or {}).items() if value is not None}
    lists = {name: _text_list(filters, name) for name in (*_TEXT_LISTS, *_OTHER_LISTS, "feeds")}
    _check_items(filters, options)
    warnings = [
        *_unknown(filters),
        *_unresolved(lists, markets, options),
    ]
    types = lists["event_types"]
    windows = _windows(filters)
    if preset == "chainlink" and lists["feeds"] is None and not windows:
        raise _RefusedError("chainlink needs feeds or twap_windows")
    min_size = _amount(filters, "min_size")
    if min_size is None and preset == "large_trades":
        min_size = _LARGE
    without = _NOT_GLOBAL if options.global_splits else _NOT_GLOBAL | _SPLITS
    everything = preset == "global" and types is None
    return Subscription(
        preset=preset,
        types=None if everything else types or PRESETS[preset],
        without=without if everything else frozenset(),
        wallets=_lowered(lists["wallets"]),
        tokens=lists["tokens"],
        markets=_lowered(lists["markets"]),
        slugs=lists["slugs"],
        condition_ids=_lowered(lists["condition_ids"]),
        side=_choice(filters, "side", ("BUY", "SELL")),
        status=_choice(filters, "status", ("pending", "confirmed", "all")),
        min_size=min_size,
        max_size=_amount(filters, "max_size"),
        in_usd=options.size_unit == "usd",
        updates_are_confirmed=options.status_filter == "all_events",
        feeds=lists["feeds"],
        windows=windows,
        others=tuple(_others(filters, lists)),
        snapshot_count=_count(filters, "snapshot_count"),
        since_ms=_count(filters, "since"),
        warnings=tuple(warnings),
    )


_KNOWN: Final = frozenset({
    *_TEXT_LISTS, *_OTHER_LISTS, *_OTHER_TEXTS, "side", "status", "min_size", "max_size", "feeds",
    "snapshot_count", "since", "twap_windows", "module_ids",
})  # fmt: skip


def known_filters(frame: Mapping[str, Any]) -> dict[str, Any]:
    """The filters of a frame as they may be recorded: whatever else it has may be a secret."""
    filters = as_object(frame.get("filters")) or {}
    return {name: value for name, value in filters.items() if name in _KNOWN}


def _unknown(filters: Mapping[str, Any]) -> list[str]:
    return [f"unknown filter: {name[:40]}" for name in filters if name not in _KNOWN]


def _unresolved(
    lists: Mapping[str, frozenset[str] | None], markets: Markets, options: PolyNodeOptions
) -> list[str]:
    slugs = markets.unknown_slugs(lists["slugs"] or ())
    conditions = markets.unknown_conditions(_lowered(lists["condition_ids"]) or ())
    found: list[str] = []
    for code, missing in (("unresolved_slugs", slugs), ("unresolved_condition_ids", conditions)):
        if missing:
            message = f"{code.replace('_', ' ')}: {', '.join(missing)[:200]}"
            if options.unresolved == "refused":
                raise _RefusedError(message, code)
            found.append(message)
    return found


def _check_items(filters: Mapping[str, Any], options: PolyNodeOptions) -> None:
    items = sum(len(as_list(each) or ()) for each in filters.values())
    if items > options.filter_items_max:
        raise _RefusedError(f"filters have {items} items, {options.filter_items_max} at most")


def _text_list(filters: Mapping[str, Any], name: str) -> frozenset[str] | None:
    """The texts of a list; none when it is left out or empty."""
    if name not in filters:
        return None
    texts = as_list(filters[name])
    if texts is None or not all(isinstance(each, str) for each in texts):
        raise _RefusedError(f"{name} must be a list of strings")
    return frozenset(texts) or None


def _windows(filters: Mapping[str, Any]) -> tuple[int, ...]:
    windows = as_list(filters.get("twap_windows", []))
    if windows is None or not all(type(each) is int and each in (30, 60) for each in windows):
        raise _RefusedError("twap_windows takes 30 and 60")
    return tuple(sorted(set(windows)))


def _choice(filters: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str | None:
    value = as_text(filters.get(name))
    if name in filters and value not in choices:
        raise _RefusedError(f"{name} must be one of {', '.join(choices)}")
    return value


def _amount(filters: Mapping[str, Any], name: str) -> float | None:
    value = filters.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise _RefusedError(f"{name} must be a number")
    return value


def _count(filters: Mapping[str, Any], name: str) -> int | None:
    value = filters.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _RefusedError(f"{name} must be a whole number")
    return value


def _others(
    filters: Mapping[str, Any], lists: Mapping[str, frozenset[str] | None]
) -> Iterable[tuple[str, frozenset[Any]]]:
    """The filters that compare a member of the data as it is."""
    for name, member in _OTHER_LISTS.items():
        if (wanted := lists[name]) is not None:
            yield member, wanted
    for name in _OTHER_TEXTS:
        if name in filters:
            if not isinstance(filters[name], str):
                raise _RefusedError(f"{name} must be a string")
            yield name, frozenset({filters[name]})
    if "module_ids" in filters:
        modules = as_list(filters["module_ids"])
        if modules is None or not all(type(each) is int for each in modules):
            raise _RefusedError("module_ids must be a list of whole numbers")
        yield "module_id", frozenset(modules)


def _member_in(value: object, wanted: frozenset[Any]) -> bool:
    listed = as_list(value)
    if listed is not None:
        return any(_member_in(each, wanted) for each in listed)
    return isinstance(value, str | int) and value in wanted


def _lowered(texts: frozenset[str] | None) -> frozenset[str] | None:
    return None if texts is None else frozenset(each.lower() for each in texts)
