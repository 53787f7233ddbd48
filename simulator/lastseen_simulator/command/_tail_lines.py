"""Events as lines for programs: JSON Lines, and the report of a client under test."""

from collections.abc import Hashable, Mapping
from enum import Enum
from typing import Any, Final, Protocol, final

import attrs
import msgspec
from msgspec.structs import asdict

from lastseen.errors import PayloadError
from lastseen.events import (
    Anomaly,
    Committed,
    Discarded,
    Disconnected,
    DurabilityChanged,
    Entry,
    Event,
    Gap,
    HistoryApplied,
    ItemChanged,
    LoggedIn,
    Queued,
    StateSnapshot,
    StatusChanged,
    Stopped,
    Subscribed,
    SubscribeRefused,
    Why,
)
from lastseen.lifecycle import ItemKey
from lastseen.position import Position
from lastseen_simulator.command._tail_claims import Claim

__all__ = ["JsonLines", "Lines", "ReportLines", "item_name", "json_line", "name_of", "printable"]

REPORT_SCHEMA: Final = "lastseen.report/1"

_TEXT_CHARACTERS_MAX: Final = 200

# Prices keep their exact digits: a Decimal becomes a JSON number with its own text.
_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


class Lines(Protocol):
    """One way to tell what happens; each line is without its line end."""

    def opening(self) -> list[str]:
        """What is said before anything happens."""
        ...

    def restored(self, file: str, position: Position, units: int) -> list[str]:
        """What is said of the state that a file brought back."""
        ...

    def event(self, event: Event, *, epoch: str | None, at: float) -> list[str]:
        """What an event is worth saying; `at` in seconds since the start."""
        ...

    def claim(self, channel: str, claim: Claim, *, at: float) -> list[str]:
        """What a channel's new claim is worth saying."""
        ...

    def summary(self, summary: Mapping[str, Any], *, at: float) -> list[str]:
        """What is said last."""
        ...


def json_line(members: Mapping[str, Any]) -> str:
    """One object on one line."""
    return _ENCODER.encode(members).decode()


def printable(text: str, limit: int = _TEXT_CHARACTERS_MAX) -> str:
    """A peer's words without what a terminal would obey (HZ-K12).

    >>> printable("bye" + chr(27) + "]0;owned" + chr(7))
    'bye�]0;owned�'
    """
    return "".join(c if c.isprintable() else "�" for c in text[:limit])


@final
@attrs.frozen
class JsonLines:
    """Every event as one object with an `event` member."""

    def opening(self) -> list[str]:
        """Nothing: the first line is the first event."""
        return []

    def restored(self, file: str, position: Position, units: int) -> list[str]:
        """One line."""
        return [_restored(file, position, units)]

    def event(self, event: Event, *, epoch: str | None, at: float) -> list[str]:
        """One line an event."""
        del epoch, at
        match event:
            case Entry():
                return [json_line(_entry(event))]
            case StateSnapshot():
                return [json_line(_snapshot(event))]
            case StatusChanged():
                members = {
                    "event": "status",
                    "channel": event.channel,
                    "entity": event.entity,
                    "state": event.state.value,
                    "proof": event.proof.value,
                }
            case LoggedIn():
                members = {"event": "logged_in", **asdict(event)}
            case Disconnected():
                members = {"event": "disconnected", **asdict(event)}
                members["failure"] = event.failure.value
            case Stopped():
                failure = event.failure.value if event.failure is not None else None
                members = {"event": "stopped", "failure": failure, "reason": event.reason}
            case Anomaly():
                members = {
                    "event": "anomaly",
                    **asdict(event),
                    "code": event.code.value,
                }
            case Discarded():
                members = {
                    "event": "discarded",
                    **asdict(event),
                    "why": event.why.value,
                }
            case DurabilityChanged():
                members = {"event": "durability", **asdict(event)}
            case Committed():
                members = _committed(event)
            case ItemChanged():
                members = {"event": "item", **_item(event)}
            case HistoryApplied():
                members = {"event": "history_applied", **_about(event)}
            case Gap():
                members = {"event": "gap", **_about(event), "reason": event.reason.value}
            case Subscribed():
                members = {"event": "subscribed", **_about(event)}
            case SubscribeRefused():
                members = {"event": "subscribe_refused", **_about(event)}
            case Queued():
                members = {"event": "queued", **asdict(event)}
        return [json_line(members)]

    def claim(self, channel: str, claim: Claim, *, at: float) -> list[str]:
        """Nothing: the events say it scope by scope, the summary by channel."""
        del channel, claim, at
        return []

    def summary(self, summary: Mapping[str, Any], *, at: float) -> list[str]:
        """The last line."""
        return [json_line({"event": "summary", "seconds": round(at, 3), **summary})]


@final
@attrs.frozen
class ReportLines:
    """The report of a client under test: what it applied and what it claims, in order (design §8).

    `status` is by channel: the worst of its scopes.
    """

    def opening(self) -> list[str]:
        """Which contract this is."""
        return [json_line({"schema": REPORT_SCHEMA})]

    def restored(self, file: str, position: Position, units: int) -> list[str]:
        """Where the client starts."""
        return [_restored(file, position, units)]

    def event(self, event: Event, *, epoch: str | None, at: float) -> list[str]:
        """The contract's objects; an event without one says nothing."""
        del at
        if isinstance(event, Entry):
            applied = {"event": "applied", "channel": event.channel, "epoch": epoch}
            return [json_line({**applied, "id": event.id, "src": event.source.value})]
        if isinstance(event, StateSnapshot):
            return [json_line(_snapshot(event))]
        if isinstance(event, Discarded):
            name = "duplicate" if event.why is Why.DUPLICATE else "discarded"
            members = {"event": name, "channel": event.channel, "id": event.id}
            return [json_line(members | ({"why": event.why.value} if name == "discarded" else {}))]
        if isinstance(event, Anomaly):
            members = {"event": "anomaly", "code": event.code.value, "channel": event.channel}
            return [json_line(members)]
        if isinstance(event, Committed):
            return [json_line(_committed(event))]
        if isinstance(event, ItemChanged):
            members = {"event": "item", "key": item_name(event.key), "state": event.state.value}
            return [json_line(members)]
        if isinstance(event, Gap):
            return [json_line({"event": "gap", **_about(event), "reason": event.reason.value})]
        return []

    def claim(self, channel: str, claim: Claim, *, at: float) -> list[str]:
        """A channel's new claim."""
        del at
        members = {"event": "status", "channel": channel, "state": claim.state.value}
        return [json_line({**members, "proof": claim.proof.value})]

    def summary(self, summary: Mapping[str, Any], *, at: float) -> list[str]:
        """Nothing: the contract has no last line."""
        del summary, at
        return []


def item_name(key: ItemKey) -> str:
    """An item in one word, as the unit key of a client's state.

    >>> item_name(("0xaa", "0xb1", "7", ""))
    'settlement/0xaa/0xb1/7/-'
    """
    return "/".join(("settlement", *(part or "-" for part in key)))


def name_of(subscription: Hashable) -> str | None:
    """What a subscription is called: its preset; None when nobody can say which one is meant."""
    preset = getattr(subscription, "preset", None)
    return preset.value if isinstance(preset, Enum) else None


def _about(event: HistoryApplied | Gap | Subscribed | SubscribeRefused) -> dict[str, Any]:
    """The members of an event about a subscription."""
    members = asdict(event)
    return members | {"subscription": name_of(event.subscription)}


def _item(event: ItemChanged) -> dict[str, Any]:
    return {
        "key": item_name(event.key),
        "state": event.state.value,
        "before": event.before.value if event.before is not None else None,
        "cause": event.cause.value,
        "waited_s": round(event.waited_s, 3),
        "detected_at_ms": event.detected_at_ms,
        "latency_ms": event.latency_ms,
    }


def _restored(file: str, position: Position, units: int) -> str:
    members = {"event": "restored", "file": file, **_position(position), "units": units}
    return json_line(members)


def _committed(event: Committed) -> dict[str, Any]:
    return {"event": "committed", **_position(event.position)}


def _position(position: Position) -> dict[str, Any]:
    place: dict[str, Any] = {"epoch": position.epoch, "cursors": dict(position.cursors)}
    # A token opens a stream again for whoever has it, so its stream alone is named.
    return place | ({"tokens": [name for name, _ in position.tokens]} if position.tokens else {})


def _entry(entry: Entry) -> dict[str, Any]:
    try:
        payload: Any = entry.payload
    except PayloadError:
        payload = None
    return {
        "event": "entry",
        "channel": entry.channel,
        "entity": entry.entity,
        "id": entry.id,
        "src": entry.source.value,
        "payload": payload,
    }


def _snapshot(snapshot: StateSnapshot) -> dict[str, Any]:
    members: dict[str, Any] = {"event": "snapshot_applied", "channel": snapshot.channel}
    if snapshot.entity is not None:
        members["entity"] = snapshot.entity
    return {**members, "rows": len(snapshot.rows), "proof": snapshot.proof.value}
