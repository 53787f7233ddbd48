"""Events as words for people: what is worth a line, and how it is put."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast, final

import attrs

from lastseen.errors import PayloadError
from lastseen.events import (
    Anomaly,
    Disconnected,
    DurabilityChanged,
    Entry,
    Event,
    Gap,
    HistoryApplied,
    ItemCause,
    ItemChanged,
    LoggedIn,
    Queued,
    Stopped,
    Subscribed,
    SubscribeRefused,
)
from lastseen.lifecycle import ItemKey, ItemState
from lastseen.position import Position
from lastseen_simulator.command._tail_claims import Claim
from lastseen_simulator.command._tail_lines import name_of, printable

__all__ = ["HumanLines"]

_LINE_CHARACTERS_MAX: Final = 2000
_HASH_CHARACTERS: Final = 18
"""Of a transaction's hash: enough to find it again."""


@final
@attrs.frozen
class HumanLines:
    """One line for what a person would want to know; entries are counted, not shown."""

    def opening(self) -> list[str]:
        """Nothing."""
        return []

    def restored(self, file: str, position: Position, units: int) -> list[str]:
        """What was there, and from where it goes on."""
        places = [f"{channel} {cursor}" for channel, cursor in position.cursors]
        places += [f"a token of {channel}" for channel, _ in position.tokens]
        where = ", ".join(places)
        held = f"{units} units, resuming from {where}" if where else "starts cold"
        return [printable(f"state {file}: {held}", limit=_LINE_CHARACTERS_MAX)]

    def event(self, event: Event, *, epoch: str | None, at: float) -> list[str]:
        """A line for whatever is not data."""
        del epoch
        text = _said(event)
        return [] if text is None else [f"{at:9.3f}  {text}"]

    def claim(self, channel: str, claim: Claim, *, at: float) -> list[str]:
        """A line for a channel that rose or fell."""
        proof = f" ({claim.proof.value})" if claim.state.value == "synced" else ""
        return [f"{at:9.3f}  {channel} {claim.state.value}{proof}"]

    def summary(self, summary: Mapping[str, Any], *, at: float) -> list[str]:
        """A few lines at the end."""
        lines = [f"{at:9.3f}  done: {_held(summary)}"]
        for name, row in summary["channels"].items():
            counts = row["counters"]
            noted = [f"{counts['applied']} applied"]
            noted += [
                f"{count} {what}"
                for what, count in counts.items()
                if count and what not in ("received", "applied")
            ]
            shown = f"{name:<12} {row['state']:<10}" if "state" in row else f"{printable(name):<16}"
            lines.append(f"           {shown} {', '.join(noted)}")
        if summary["anomalies"]:
            odd = (f"{code} {count}" for code, count in summary["anomalies"].items())
            lines.append(f"           anomalies    {', '.join(odd)}")
        return lines


def _said(event: Event) -> str | None:
    if isinstance(event, LoggedIn):
        how = f", resuming {', '.join(event.resumed)}" if event.resumed else ""
        denied = f", denied {', '.join(event.denied)}" if event.denied else ""
        epoch = f", epoch {event.epoch}" if event.epoch is not None else ""
        return printable(f"connection {event.connection} logged in{epoch}{how}{denied}")
    if isinstance(event, ItemChanged):
        return _item_said(event)
    if isinstance(event, HistoryApplied):
        return f"history: {event.events} events, {event.new} of them new"
    if isinstance(event, Gap):
        return f"gap: events {_between(event)} may be missing ({event.reason.value})"
    if isinstance(event, Queued):
        return f"waits for {event.budget}, {event.ahead} ahead"
    if isinstance(event, Subscribed):
        warned = "".join(f"; {warning}" for warning in event.warnings)
        return printable(f"subscribed to {name_of(event.subscription)}{warned}")
    if isinstance(event, SubscribeRefused):
        words = f"{event.code or 'no answer'}: {event.message}"
        return printable(f"refused {name_of(event.subscription)}: {words}")
    if isinstance(event, Disconnected):
        code = f"{event.code} " if event.code is not None else ""
        again = "" if event.retry_in_s is None else f"; retry in {event.retry_in_s:.1f} s"
        text = f"connection {event.connection} ended: {code}{event.reason or event.failure.value}"
        return printable(text) + again
    if isinstance(event, Stopped) and event.failure is not None:
        return printable(f"stopped: {event.reason}")
    if isinstance(event, DurabilityChanged):
        kept = "state is kept again" if event.durable else "state is not kept"
        return printable(f"{kept}: {event.detail}" if event.detail else kept)
    if isinstance(event, Anomaly):
        where = f" {event.channel}" if event.channel is not None else ""
        return printable(f"odd: {event.code.value}{where}: {event.detail} ({event.count})")
    return None


def _held(summary: Mapping[str, Any]) -> str:
    """What there is in the end: units of a state, or items by what became of them."""
    if "units" in summary:
        return f"{summary['units']} units"
    counts = summary["items"]
    held = (
        f"{counts['confirmed']} items confirmed, {counts['timed_out']} timed out, "
        f"{counts['pending']} still within their deadline"
    )
    return f"{held}; {summary['gaps']} gaps" if summary["gaps"] else held


def _item_said(event: ItemChanged) -> str | None:
    """An item's new state; None for what a history is first to tell, which is not news."""
    if event.before is None and event.cause is ItemCause.HISTORY:
        return None
    name, waited = _short(event.key), f"{event.waited_s:.1f} s"
    late = event.before is ItemState.TIMED_OUT
    match event.state:
        case ItemState.PENDING:
            return printable(f"pending    {name}  {_trade(event.entry)}")
        case ItemState.TIMED_OUT:
            early = ", given up early: too many wait" if event.cause is ItemCause.LIMIT else ""
            return printable(f"timed out  {name}  outcome unknown after {waited}{early}")
        case ItemState.CONFIRMED:
            how = f"late, after {waited}" if late else f"after {waited}"
            first = "before its settlement was heard of" if event.before is None else how
            return printable(f"confirmed  {name}  {first}")


def _short(key: ItemKey) -> str:
    transaction = key[0]
    if len(transaction) <= _HASH_CHARACTERS:
        return transaction
    return f"{transaction[: _HASH_CHARACTERS - 5]}…{transaction[-4:]}"


def _trade(entry: Entry | None) -> str:
    """What a settlement is about, as far as it says so."""
    try:
        found = entry.payload if entry is not None else {}
    except PayloadError:
        return ""
    data = cast("Mapping[str, Any]", found)
    side, size, price, slug = (
        data.get(name) for name in ("taker_side", "taker_size", "taker_price", "market_slug")
    )
    parts = [str(part) for part in (side, size) if part is not None]
    parts += [f"@ {price}"] if price is not None else []
    return "  ".join([" ".join(parts), *([str(slug)] if slug is not None else [])])


def _between(gap: Gap) -> str:
    since, until = _moment(gap.since_ms), _moment(gap.until_ms)
    if since is None:
        return "of unknown times" if until is None else f"until {until}"
    return f"since {since}" if until is None else f"from {since} to {until}"


def _moment(at_ms: int | None) -> str | None:
    """A time of the peer's clock, in UTC."""
    if at_ms is None:
        return None
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"
