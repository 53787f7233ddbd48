"""Drivers of streams that keep, apply or report one thing wrong."""

import re
from typing import Any, Final, cast

from lastseen.events import Event
from lastseen_conformance.drivers.in_process_streams import PolymarketUSClient

__all__ = [
    "AppliesAtOnce",
    "AppliesParts",
    "ClaimsAtOnce",
    "GapUntold",
    "KeepsZeroes",
    "MergesBooks",
    "MergesSnapshots",
    "NeverFalls",
    "TellsTwice",
    "TokenWithoutState",
]

_NAME: Final = re.compile(rb'"id":"(x-\d+)"')


class _Tells(PolymarketUSClient):
    """Reports something else than what is so."""

    def begin(self) -> None:
        """Starts, with a report of its own."""
        self.truly = self.say
        self.say = self.told_otherwise
        super().begin()

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line, or others."""
        raise NotImplementedError


class GapUntold(_Tells):
    """Keeps to itself that something may be missing."""

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line, if it is no gap."""
        if line.get("event") != "gap":
            self.truly(line)


class NeverFalls(_Tells):
    """Once synced, always synced."""

    synced = False

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line, if it is no fall."""
        self.synced = self.synced or line.get("state") == "synced"
        if line.get("event") != "status" or not self.synced or line.get("state") == "synced":
            self.truly(line)


class TellsTwice(_Tells):
    """Applies each execution twice."""

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line, some of them twice."""
        self.truly(line)
        if line.get("event") == "applied":
            self.truly(line)


class ClaimsAtOnce(PolymarketUSClient):
    """Calls a stream synced when it is granted."""

    def answered(self, connection: int, content_type: str | None) -> None:
        """The head of a success came."""
        self.say({"event": "status", "channel": self.channels[0], "state": "synced"})
        super().answered(connection, content_type)


class AppliesAtOnce(PolymarketUSClient):
    """Applies what comes, whether there is a snapshot or not."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A piece of the body came."""
        body = data.encode() if isinstance(data, str) else data
        if self.session.status().state.value in ("cold", "syncing") and b'"update"' in body:
            for name in _NAME.findall(body):
                line = {"event": "applied", "channel": self.channels[0], "id": name.decode()}
                self.say({**line, "epoch": None, "src": "live"})
        super().hear(connection, data)


class AppliesParts(PolymarketUSClient):
    """Makes what it can of half a record."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A piece of the body came."""
        body = data.encode() if isinstance(data, str) else data
        if not body.endswith(b"\n"):
            for name in _NAME.findall(body):
                line = {"event": "applied", "channel": self.channels[0], "id": name.decode()}
                self.say({**line, "epoch": None, "src": "live"})
        super().hear(connection, data)


class MergesSnapshots(PolymarketUSClient):
    """Puts a snapshot on top of what it knows."""

    ever: dict[str, Any] | None = None

    def _take(self, event: Event) -> None:
        super()._take(event)
        self.ever = {**(self.ever or {}), **super().state()}

    def state(self) -> dict[str, Any]:
        """All units that there ever were, as they were last."""
        return {**(self.ever or {}), **super().state()}


class MergesBooks(PolymarketUSClient):
    """Puts the levels of a book on top of those that it knows."""

    levels: dict[tuple[str, str, str], Any] | None = None

    def state(self) -> dict[str, Any]:
        """The replica's, with every level that there ever was."""
        known = self.levels = self.levels or {}
        merged: dict[str, Any] = {}
        for key, value in super().state().items():
            unit = dict(cast("dict[str, Any]", value))
            for side in ("bids", "offers"):
                for level in unit.get(side, ()):
                    known[key, side, str(level.get("px"))] = level
                unit[side] = [each for name, each in known.items() if name[:2] == (key, side)]
            merged[key] = unit
        return merged


class KeepsZeroes(PolymarketUSClient):
    """Keeps what it knows of a member that is zero."""

    known: dict[str, dict[str, Any]] | None = None

    def state(self) -> dict[str, Any]:
        """The replica's, with what was known of members that are zero."""
        known = self.known = self.known or {}
        for key, value in super().state().items():
            members = cast("dict[str, Any]", value)
            shown = {n: v for n, v in members.items() if v not in (0, (), False, "CLOSED", None)}
            known[key] = {**known.get(key, {}), **shown}
        return {key: known[key] for key in super().state()}


class TokenWithoutState(PolymarketUSClient):
    """Makes its token durable, and not what it describes."""

    def begin(self) -> None:
        """Starts, from a token alone."""
        if self.disk is not None:
            self.disk.scopes = {}
        super().begin()
