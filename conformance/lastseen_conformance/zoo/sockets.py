"""Drivers that treat sockets, frames or orders wrongly, whatever they speak.

Each goes in front of a client: `with_fault(GivesUp, OddsPapiClient)` is a client that gives up.
"""

import json
from typing import Any, Final, cast, final

from lastseen.dialect import End
from lastseen.effects import Close, Connect, Effect
from lastseen_conformance.drivers.in_process import SessionClient
from lastseen_simulator import effects as gateway

__all__ = [
    "CountsDataOnly",
    "DiesOfClose",
    "DiesOfNonsense",
    "DiesOfTheUnknown",
    "GivesUp",
    "IgnoresStop",
    "LeavesOnNonsense",
    "LeavesOnTheUnknown",
    "NoPongs",
    "OpensThree",
    "PrintsItsKey",
    "RefusalIsTransient",
    "parsed",
    "with_fault",
]

ATTEMPTS_MAX: Final = 3
UNKNOWN: Final = ("weather", "maintenance", "heartbeat", "notice", "dict")

Client = SessionClient[Any]


def parsed(data: str | bytes) -> dict[str, Any] | None:
    """A frame that is a JSON object."""
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def with_fault(fault: type[Client], client: type[Client]) -> type[Client]:
    """The client with the fault."""
    return type(f"{fault.__name__}{client.__name__}", (fault, client), {})


class GivesUp(Client):
    """Tries three times in a row, and then no more."""

    failures = 0

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        self.failures = 0
        super().hear(connection, data)

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Connect):
            self.failures += 1
            if self.failures > ATTEMPTS_MAX:
                return
        super()._do(effect)


class DiesOfClose(Client):
    """Takes a close frame with a code of trouble for the end of everything."""

    def lose(self, connection: int, end: End) -> None:
        """A connection is over, or never came to be."""
        if end.code in (1011, 1012, 1013, 4002, 4003) or (end.http_status or 0) >= 500:
            self.crash(f"the server said {end.code or end.http_status}")
            return
        super().lose(connection, end)


class RefusalIsTransient(Client):
    """Takes a refused key for one more lost connection."""

    def lose(self, connection: int, end: End) -> None:
        """A connection is over, or never came to be."""
        refused = end.code == 4001 or end.http_status in (401, 403)
        super().lose(connection, End(code=1006) if refused else end)


class OpensThree(Client):
    """Three of its parts each connect when a connection is needed."""

    def _do(self, effect: Effect) -> None:
        super()._do(effect)
        if isinstance(effect, Connect):
            for _ in range(2):
                self.network.dial("/ws", (), _Deaf())


@final
class _Deaf:
    """The end of a socket that nobody uses."""

    def opened(self, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Nothing."""

    def refused(self, response: gateway.HttpResponse | None) -> None:
        """Nothing."""

    def received(self, data: str | bytes) -> None:
        """Nothing."""

    def ended(self, code: int | None, reason: str) -> None:
        """Nothing."""


class NoPongs(Client):
    """Never answers a ping."""

    def begin(self) -> None:
        """Starts, deaf to pings."""
        self.network.answers_pings = False
        super().begin()


class CountsDataOnly(Client):
    """Takes a connection without data for dead; pongs and heartbeats do not count."""

    heard_at = 0.0

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        if "heartbeat" not in str(data) and "pong" not in str(data):
            self._arm(connection)
        super().hear(connection, data)

    def _arm(self, connection: int) -> None:
        self.heard_at = heard_at = self.clock.now

        def check() -> None:
            if self.alive and self.heard_at == heard_at and connection in self.sockets:
                self._close(Close(connection=connection, code=1000, reason="quiet", abandon=False))

        self.clock.after(1.5, check)


class DiesOfNonsense(Client):
    """Reads JSON objects without a guard."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        try:
            json.loads(data)["type"].lower()
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
            self.crash(f"uncaught {type(error).__name__}")
            return
        super().hear(connection, data)


class LeavesOnNonsense(Client):
    """Takes a frame that it cannot read for a broken connection."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        if parsed(data) is not None:
            super().hear(connection, data)
        else:
            self._close(Close(connection=connection, code=1002, reason="nonsense", abandon=False))


def _is_unknown(data: str | bytes) -> bool:
    return (parsed(data) or {}).get("type") in UNKNOWN


class DiesOfTheUnknown(Client):
    """Knows a list of frame types, and nothing else may come."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        if _is_unknown(data):
            self.crash("unknown frame type")
        else:
            super().hear(connection, data)


class LeavesOnTheUnknown(Client):
    """Takes a frame type that it does not know for a sign that something is wrong."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        if _is_unknown(data):
            self._close(Close(connection=connection, code=1002, reason="unknown", abandon=False))
        else:
            super().hear(connection, data)


class IgnoresStop(Client):
    """Does not look at its standard input."""

    def told(self, command: str) -> bool:
        """A line on its standard input; False when that ends it."""
        return super().told(command) or command == "stop"


class PrintsItsKey(Client):
    """Says what it connects with, in full."""

    def begin(self) -> None:
        """Starts, and talks about it."""
        super().begin()
        self.say({"event": "anomaly", "code": f"connecting with key {self.key}"})
