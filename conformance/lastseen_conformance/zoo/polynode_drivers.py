"""PolyNode drivers that ask, hear or report one thing wrong."""

import json
from typing import Any, Final, cast

import msgspec

from lastseen.effects import Effect, Send
from lastseen.secret import Secret
from lastseen_conformance.drivers.in_process import PolyNodeClient
from lastseen_conformance.zoo.sockets import parsed

__all__ = [
    "AsksTwice",
    "BornPending",
    "CallsItFailed",
    "ForgetsOmitted",
    "GreetsFirst",
    "HistoryUnread",
    "NoHistory",
    "SubscribesOnce",
    "TellsAgain",
    "TellsBack",
    "UpdatesUnread",
]


class GreetsFirst(PolyNodeClient):
    """Says something before it subscribes."""

    greeted: frozenset[int] = frozenset()

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Send) and effect.connection in self.sockets:
            if effect.connection not in self.greeted:
                self.network.send(self.sockets[effect.connection].wire, '{"action":"hello"}')
            self.greeted |= {effect.connection}
        super()._do(effect)


class AsksTwice(PolyNodeClient):
    """Sends each subscribe twice, to be sure."""

    def _do(self, effect: Effect) -> None:
        super()._do(effect)
        if isinstance(effect, Send) and "subscribe" in effect.text.reveal():
            super()._do(effect)


class SubscribesOnce(PolyNodeClient):
    """Thinks that a subscription outlives its connection."""

    subscribed = 0

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Send) and "subscribe" in effect.text.reveal():
            self.subscribed = self.subscribed or effect.connection
            if effect.connection != self.subscribed:
                return
        super()._do(effect)


class NoHistory(PolyNodeClient):
    """Asks for no history, also after a loss."""

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            frame: dict[str, Any] = json.loads(effect.text.reveal())
            filters = cast("dict[str, Any]", frame.get("filters") or {})
            filters.pop("since", None)
            filters.pop("snapshot_count", None)
            effect = msgspec.structs.replace(effect, text=Secret(json.dumps(frame)))
        super()._do(effect)


class _Hears(PolyNodeClient):
    """Makes something else of a frame, or nothing."""

    def made_of(self, frame: dict[str, Any]) -> dict[str, Any] | None:
        """What it takes a frame for."""
        raise NotImplementedError

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        frame = parsed(data)
        if frame is None:
            super().hear(connection, data)
            return
        made = self.made_of(frame)
        if made is not None:
            super().hear(connection, data if made is frame else json.dumps(made))


class HistoryUnread(_Hears):
    """Reads what comes live, and no history."""

    def made_of(self, frame: dict[str, Any]) -> dict[str, Any] | None:
        """No snapshot has an event."""
        return {**frame, "events": []} if frame.get("type") == "snapshot" else frame


class UpdatesUnread(_Hears):
    """Looks for settlements in a history, and not for what became of them."""

    def made_of(self, frame: dict[str, Any]) -> dict[str, Any] | None:
        """No snapshot has a status_update."""
        events = frame.get("events")
        if frame.get("type") != "snapshot" or not isinstance(events, list):
            return frame
        rest = [
            each for each in cast("list[object]", events) if "status_update" not in json.dumps(each)
        ]
        return {**frame, "events": rest}


class BornPending(_Hears):
    """Takes every settlement for a pending one."""

    def made_of(self, frame: dict[str, Any]) -> dict[str, Any] | None:
        """No settlement is confirmed from the beginning."""
        data = frame.get("data")
        if frame.get("type") != "settlement" or not isinstance(data, dict):
            return frame
        return {**frame, "data": {**cast("dict[str, Any]", data), "status": "pending"}}


class _Tells(PolyNodeClient):
    """Reports something else than what is so."""

    def begin(self) -> None:
        """Starts, with a report of its own."""
        self.truly = self.say
        self.say = self.told_otherwise
        super().begin()

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line, or others."""
        raise NotImplementedError


class TellsAgain(_Tells):
    """Tells of each confirmation twice."""

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line, some of them twice."""
        self.truly(line)
        if line.get("state") == "confirmed":
            self.truly(line)


class CallsItFailed(_Tells):
    """Calls an item failed when its confirmation does not come."""

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line, and before it what it makes of it."""
        if line.get("state") == "timed_out":
            self.truly({**line, "state": "failed"})
        self.truly(line)


class ForgetsOmitted(PolyNodeClient):
    """Takes a history for the state: what it does not list is gone."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        super().hear(connection, data)
        frame = parsed(data)
        if frame is not None and frame.get("type") == "snapshot":
            text = json.dumps(frame)
            for key in [key for key in self.items if key[0] not in text]:
                del self.items[key]


_STATES: Final = ("pending", "timed_out", "confirmed")


class TellsBack(_Tells):
    """Takes the last that is said of an item for what is true of it."""

    known: tuple[str, ...] = ()

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line."""
        if line.get("event") == "item" and line.get("state") in _STATES:
            self.known = (*self.known, str(line.get("key")))
        self.truly(line)

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        super().hear(connection, data)
        frame = parsed(data) or {}
        events = frame.get("events") if frame.get("type") == "snapshot" else None
        text = json.dumps(events or [])
        for key in dict.fromkeys(self.known):
            pending = key.split("/")[1] in text and '"pending"' in text
            if pending:
                self.truly({"event": "item", "key": key, "state": "pending"})
