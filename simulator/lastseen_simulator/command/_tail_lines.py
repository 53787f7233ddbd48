"""Events as lines: JSON Lines for programs, the report of a client under test, words for people."""

from collections.abc import Mapping
from typing import Any, Final, Protocol, final

import attrs
import msgspec

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
from lastseen.position import Position
from lastseen_simulator.command._tail_claims import Claim

__all__ = ["HumanLines", "JsonLines", "Lines", "ReportLines", "json_line", "printable"]

REPORT_SCHEMA: Final = "lastseen.report/1"

_TEXT_CHARACTERS_MAX: Final = 200
_LINE_CHARACTERS_MAX: Final = 2000

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
                members = {"event": "logged_in", **attrs.asdict(event)}
            case Disconnected():
                members = {"event": "disconnected", **attrs.asdict(event)}
                members["failure"] = event.failure.value
            case Stopped():
                failure = event.failure.value if event.failure is not None else None
                members = {"event": "stopped", "failure": failure, "reason": event.reason}
            case Anomaly():
                members = {"event": "anomaly", **attrs.asdict(event), "code": event.code.value}
            case Discarded():
                members = {"event": "discarded", **attrs.asdict(event), "why": event.why.value}
            case DurabilityChanged():
                members = {"event": "durability", **attrs.asdict(event)}
            case Committed():
                members = _committed(event)
            case Queued():
                members = {"event": "queued", **attrs.asdict(event)}
            case ItemChanged() | HistoryApplied() | Gap() | Subscribed() | SubscribeRefused():
                # Of feeds without positions, which this command does not follow.
                return []
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


@final
@attrs.frozen
class HumanLines:
    """One line for what a person would want to know; entries are counted, not shown."""

    def opening(self) -> list[str]:
        """Nothing."""
        return []

    def restored(self, file: str, position: Position, units: int) -> list[str]:
        """What was there, and from where it goes on."""
        where = ", ".join(f"{channel} {cursor}" for channel, cursor in position.cursors)
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
        lines = [f"{at:9.3f}  done: {summary['units']} units"]
        for name, row in summary["channels"].items():
            counts = row["counters"]
            noted = [f"{counts['applied']} applied"]
            noted += [
                f"{count} {what}"
                for what, count in counts.items()
                if count and what not in ("received", "applied")
            ]
            lines.append(f"           {name:<12} {row['state']:<10} {', '.join(noted)}")
        if summary["anomalies"]:
            odd = (f"{code} {count}" for code, count in summary["anomalies"].items())
            lines.append(f"           anomalies    {', '.join(odd)}")
        return lines


def _said(event: Event) -> str | None:
    if isinstance(event, LoggedIn):
        how = f", resuming {', '.join(event.resumed)}" if event.resumed else ""
        denied = f", denied {', '.join(event.denied)}" if event.denied else ""
        epoch = event.epoch or "none"
        return printable(f"connection {event.connection} logged in, epoch {epoch}{how}{denied}")
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


def _restored(file: str, position: Position, units: int) -> str:
    members = {"event": "restored", "file": file, **_position(position), "units": units}
    return json_line(members)


def _committed(event: Committed) -> dict[str, Any]:
    return {"event": "committed", **_position(event.position)}


def _position(position: Position) -> dict[str, Any]:
    return {"epoch": position.epoch, "cursors": dict(position.cursors)}


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
