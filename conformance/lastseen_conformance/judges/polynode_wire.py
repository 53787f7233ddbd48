"""A PolyNode history as a reader of the wire understands it."""

import json
import zlib
from typing import Any, cast, final

import attrs

from lastseen_conformance.history import (
    ClientFrame,
    CloseSent,
    Connected,
    Dropped,
    Ended,
    Moment,
    ServerFrame,
)

__all__ = ["Heard", "PnLink", "PnWire", "Subscribe"]


@attrs.frozen(kw_only=True)
class Subscribe:
    """What a subscribe asked for."""

    n: int
    connection: int
    kind: str | None
    filters: dict[str, Any]


@attrs.frozen(kw_only=True)
class Heard:
    """An event that was sent, live or in a snapshot."""

    n: int
    connection: int
    type: str
    timestamp: int | None
    data: dict[str, Any]
    live: bool


@attrs.define(kw_only=True)
class PnLink:
    """One connection."""

    number: int
    n: int
    at: float
    frames: list[ClientFrame] = attrs.field(factory=list[ClientFrame])
    subscribes: list[Subscribe] = attrs.field(factory=list[Subscribe])
    acked_n: int | None = None
    answers: int = 0
    """Acks and errors."""
    snapshot_n: int | None = None
    ended_n: int | None = None
    let_go_n: int | None = None

    @property
    def is_open(self) -> bool:
        """Neither side has ended it."""
        return self.ended_n is None and self.let_go_n is None


@final
@attrs.define(eq=False)
class PnWire:
    """Everything so far, understood."""

    links: dict[int, PnLink] = attrs.field(factory=dict[int, PnLink])
    events: list[Heard] = attrs.field(factory=list[Heard])
    in_flight_max: int = 0
    crowded_n: int | None = None

    def take(self, moment: Moment) -> None:
        """Takes the next moment."""
        match moment:
            case Connected():
                link = PnLink(number=moment.connection, n=moment.n, at=moment.at)
                self.links[moment.connection] = link
            case ClientFrame():
                if moment.connection in self.links:
                    self._take_client(moment, self.links[moment.connection])
            case ServerFrame():
                if moment.cut_at is None and moment.connection in self.links:
                    self._take_server(moment, self.links[moment.connection])
            case CloseSent() | Dropped():
                if moment.connection in self.links:
                    self.links[moment.connection].let_go_n = moment.n
            case Ended():
                if moment.connection in self.links:
                    self.links[moment.connection].ended_n = moment.n
            case _:
                pass

    @property
    def owner(self) -> PnLink | None:
        """The newest connection with an answered subscribe."""
        acked = [link for link in self.links.values() if link.acked_n is not None]
        return acked[-1] if acked else None

    @property
    def subscribed(self) -> int:
        """How many connections have an answered subscribe."""
        return sum(link.acked_n is not None for link in self.links.values())

    def newest_ms(self, before: int) -> int | None:
        """The newest time of an event that was sent before a moment."""
        times = [event.timestamp for event in self.events if event.n < before and event.timestamp]
        return max(times, default=None)

    def _take_client(self, frame: ClientFrame, link: PnLink) -> None:
        link.frames.append(frame)
        value = _object(frame.data)
        if value is None or value.get("action") != "subscribe":
            return
        kind, filters = value.get("type"), value.get("filters")
        asked = Subscribe(
            n=frame.n,
            connection=frame.connection,
            kind=kind if isinstance(kind, str) else None,
            filters=cast("dict[str, Any]", filters if isinstance(filters, dict) else {}),
        )
        link.subscribes.append(asked)
        waiting = len(link.subscribes) - link.answers
        if waiting > 1 and self.crowded_n is None:
            self.crowded_n = frame.n

    def _take_server(self, frame: ServerFrame, link: PnLink) -> None:
        value = _object(frame.data)
        if value is None:
            return
        match value.get("type"):
            case "subscribed":
                link.answers += 1
                link.acked_n = link.acked_n or frame.n
            case "error":
                link.answers += 1
            case "snapshot":
                link.snapshot_n = frame.n
                events = value.get("events")
                for event in cast("list[object]", events if isinstance(events, list) else []):
                    self._take_event(frame, event, live=False)
            case _:
                self._take_event(frame, value, live=True)

    def _take_event(self, frame: ServerFrame, value: Any, *, live: bool) -> None:
        if not isinstance(value, dict):
            return
        event = cast("dict[str, Any]", value)
        data: Any = event.get("data", event)
        timestamp = event.get("timestamp")
        if isinstance(data, dict):
            body = cast("dict[str, Any]", data)
            heard = Heard(
                n=frame.n,
                connection=frame.connection,
                type=str(event.get("type") or body.get("event_type")),
                timestamp=timestamp if isinstance(timestamp, int) else None,
                data=body,
                live=live,
            )
            self.events.append(heard)


def _object(data: str | bytes) -> dict[str, Any] | None:
    try:
        if isinstance(data, bytes):
            data = zlib.decompressobj(wbits=-15).decompress(data, 1 << 20).decode()
        value: Any = json.loads(data)
    except (ValueError, RecursionError, zlib.error):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
