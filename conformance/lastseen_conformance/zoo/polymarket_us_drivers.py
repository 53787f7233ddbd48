"""Drivers of streams that ask or read one thing wrong, or make something else of an end."""

import json
import re
from typing import Any, Final, cast

import attrs

from lastseen.dialect import End
from lastseen.effects import Close, Connect, Effect, Subscribe
from lastseen_conformance.drivers.in_process_streams import Answer, PolymarketUSClient
from lastseen_conformance.zoo.sockets import parsed
from lastseen_simulator import effects as gateway

__all__ = [
    "AsksInText",
    "AsksThrice",
    "BeginningUnread",
    "BelievesTheType",
    "ChunkIsRecord",
    "CountsChangesOnly",
    "DiesOfNonsense",
    "DropsUnnamed",
    "EndIsTheEnd",
    "IgnoresRetryAfter",
    "KeyInBody",
    "LeavesOnNovelty",
    "LimitIsTransient",
    "LinesOnly",
    "NoParticipant",
    "NormalisesToken",
    "PassesOver",
    "PastUnread",
    "ReadsOneOfBatch",
    "RejectionIsTransient",
    "SessionUnseen",
    "SnapshotByName",
    "SpellsOneWay",
    "TimeUnseen",
]

_TIME: Final = re.compile(rb',"processedSentTime":"[^"]*"')
_SESSION: Final = re.compile(rb',"sessionId":"[^"]*"|"sessionId":"[^"]*",')
_STRICT: Final = re.compile(
    rb'"(?:cum_qty|orderStatus|status)"|"state":"(?!ORDER_STATE_|INSTRUMENT|TRADE)|"cumQty":\d'
)
_QUIET_S: Final = 1.5


class AsksInText(PolymarketUSClient):
    """Calls its body a text."""

    def written(self, effect: Subscribe) -> gateway.HttpRequest:
        """A request as it goes on the wire."""
        http = super().written(effect)
        return _with_header(http, "content-type", "text/plain")


class KeyInBody(PolymarketUSClient):
    """Says its key in the body as well."""

    def written(self, effect: Subscribe) -> gateway.HttpRequest:
        """A request as it goes on the wire."""
        http = super().written(effect)
        members = {**(parsed(http.body) or {}), "apiKey": self.key}
        return attrs.evolve(http, body=json.dumps(members).encode())


class NoParticipant(PolymarketUSClient):
    """Does not say whose stream it wants."""

    def written(self, effect: Subscribe) -> gateway.HttpRequest:
        """A request as it goes on the wire."""
        return _with_header(super().written(effect), "x-participant-id", None)


class NormalisesToken(PolymarketUSClient):
    """Sends a token without the padding that it thinks it need not have."""

    def written(self, effect: Subscribe) -> gateway.HttpRequest:
        """A request as it goes on the wire."""
        http = super().written(effect)
        members = parsed(http.body) or {}
        if isinstance(token := members.get("resumeToken"), str):
            members["resumeToken"] = token.rstrip("=").swapcase()
        return attrs.evolve(http, body=json.dumps(members).encode())


def _with_header(http: gateway.HttpRequest, name: str, value: str | None) -> gateway.HttpRequest:
    others = tuple(each for each in http.headers if each[0] != name)
    added = () if value is None else ((name, value),)
    return attrs.evolve(http, headers=(*others, *added))


class AsksThrice(PolymarketUSClient):
    """Three of its parts ask for the stream when one is needed."""

    def _do(self, effect: Effect) -> None:
        super()._do(effect)
        if isinstance(effect, Subscribe):
            for _ in range(2):
                deaf = Answer(self, 0, over=True)
                self.network.ask_stream(self.written(effect), _Deaf(deaf))


class _Deaf:
    """Takes a stream, and does not read it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def opened(self, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Nothing."""

    def refused(self, response: gateway.HttpResponse | None) -> None:
        """Nothing."""

    def received(self, data: str | bytes) -> None:
        """Nothing."""

    def ended(self, code: int | None, reason: str) -> None:
        """Nothing."""


class EndIsTheEnd(PolymarketUSClient):
    """Takes the end of a body for the end of what there is to tell."""

    over = False

    def lose(self, connection: int, end: End) -> None:
        """A stream is over, or never came to be."""
        self.over = self.over or (end.http_status is None and end.reason not in _LOST)
        super().lose(connection, end)

    def _do(self, effect: Effect) -> None:
        if not (self.over and isinstance(effect, Connect)):
            super()._do(effect)


_LOST: Final = ("cut", "refused", "reopening", "error", "unreadable")


class RejectionIsTransient(PolymarketUSClient):
    """Takes a refusal for one more lost connection, and so an error inside an answer."""

    def lose(self, connection: int, end: End) -> None:
        """A stream is over, or never came to be."""
        refused = end.http_status in (400, 401, 403, 464) and not self.session.position.tokens
        super().lose(connection, End(reason="cut") if refused else end)

    def hear(self, connection: int, data: str | bytes) -> None:
        """A piece of the body came."""
        for code in (b"3", b"7", b"16"):
            data = _bytes(data)
            if not self.session.position.tokens:
                data = data.replace(b'{"error":{"code":' + code + b",", b'{"error":{"code":14,')
        super().hear(connection, data)


class LimitIsTransient(PolymarketUSClient):
    """Takes too much for one more lost connection."""

    def lose(self, connection: int, end: End) -> None:
        """A stream is over, or never came to be."""
        super().lose(connection, End(reason="cut") if end.http_status == 429 else end)

    def hear(self, connection: int, data: str | bytes) -> None:
        """A piece of the body came."""
        coded = _bytes(data).replace(b'{"error":{"code":8,', b'{"error":{"code":14,')
        super().hear(connection, coded)


class IgnoresRetryAfter(PolymarketUSClient):
    """Does not look at when it may come back."""

    def lose(self, connection: int, end: End) -> None:
        """A stream is over, or never came to be."""
        super().lose(connection, attrs.evolve(end, retry_after_s=None))


class CountsChangesOnly(PolymarketUSClient):
    """Takes a stream without changes for dead; heartbeats do not count."""

    heard_at = 0.0

    def answered(self, connection: int, content_type: str | None) -> None:
        """The head of a success came."""
        self._arm(connection)
        super().answered(connection, content_type)

    def hear(self, connection: int, data: str | bytes) -> None:
        """A piece of the body came."""
        if b"heartbeat" not in _bytes(data):
            self._arm(connection)
        super().hear(connection, data)

    def _arm(self, connection: int) -> None:
        self.heard_at = heard_at = self.clock.now

        def check() -> None:
            if self.alive and self.heard_at == heard_at and connection in self.answers:
                answer = self.answers[connection]
                self.network.hang_up(answer.wire)
                answer.ended(None, "cut")

        self.clock.after(_QUIET_S, check)


class _Knows(PolymarketUSClient):
    """Knows from its first byte whether a body is lines."""

    lines: dict[int, bool] | None = None

    def is_lines(self, connection: int, data: str | bytes) -> bool:
        """Whether a body is lines, of which this is a piece."""
        known = self.lines = self.lines or {}
        return known.setdefault(connection, _bytes(data)[:1] not in _FRAMED)


_FRAMED: Final = (b"\x00", b"\x02", b"d")


class ChunkIsRecord(_Knows):
    """Takes each piece of a body for a record."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A piece of the body came."""
        piece = _bytes(data)
        whole = piece.endswith(b"\n") or not self.is_lines(connection, data)
        super().hear(connection, piece if whole else piece + b"\n")


class LinesOnly(_Knows):
    """Reads lines, whatever a body is."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A piece of the body came."""
        if self.is_lines(connection, data):
            super().hear(connection, data)


class BelievesTheType(_Knows):
    """Reads a body as what it is called."""

    types: dict[int, str] | None = None

    def answered(self, connection: int, content_type: str | None) -> None:
        """The head of a success came."""
        self.types = {**(self.types or {}), connection: content_type or ""}
        super().answered(connection, content_type)

    def hear(self, connection: int, data: str | bytes) -> None:
        """A piece of the body came."""
        lines = self.is_lines(connection, data)
        if lines == ((self.types or {}).get(connection) == "application/json"):
            super().hear(connection, data)


class _Reads(_Knows):
    """Makes something else of a record, or nothing; bodies that are no lines are read as usual."""

    rests: dict[int, bytes] | None = None

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        raise NotImplementedError

    def hear(self, connection: int, data: str | bytes) -> None:
        """A piece of the body came."""
        if not self.is_lines(connection, data):
            super().hear(connection, data)
            return
        rests = self.rests = self.rests or {}
        *lines, rests[connection] = (rests.get(connection, b"") + _bytes(data)).split(b"\n")
        made = [self.made_of(line) for line in lines]
        text = b"".join(line + b"\n" for line in made if line is not None)
        if text:
            super().hear(connection, text)


class SessionUnseen(_Reads):
    """Does not look at the session."""

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        return _SESSION.sub(b"", record)


class TimeUnseen(_Reads):
    """Does not look at when a record was sent."""

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        return _TIME.sub(b"", record)


class SnapshotByName(_Reads):
    """Takes a snapshot whose name it has seen for a duplicate."""

    names: frozenset[str] = frozenset()

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        value = parsed(record) or {}
        name = value.get("id")
        if not isinstance(name, str) or value.get("type") != "snapshot":
            return record
        if name in self.names:
            return None
        self.names |= {name}
        return record


class BeginningUnread(_Reads):
    """Follows what changes, and thinks that there was nothing before."""

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        value, result = parsed(record), _result(record)
        snapshot = result.get("snapshot")
        if value is None or not isinstance(snapshot, dict):
            return record
        items = cast("dict[str, Any]", snapshot)
        empty: dict[str, Any] = {
            name: [] if isinstance(each, list) else each for name, each in items.items()
        }
        return json.dumps({"result": {**result, "snapshot": empty}}).encode()


class PastUnread(_Reads):
    """Expects no snapshot of a stream of events, and does not read one."""

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        events = self.channels[0] in ("drop_copy", "trade_capture", "position_changes")
        return None if events and "snapshot" in _result(record) else record


class DropsUnnamed(_Reads):
    """Remembers the name of each change, and None for all that have none."""

    names: frozenset[str | None] = frozenset()

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        update = _result(record).get("update")
        if not isinstance(update, dict) or "symbol" in update:
            return record
        executions: Any = cast("dict[str, Any]", update).get("executions") or [{}]
        name = executions[0].get("id") if isinstance(executions[0], dict) else None
        if name in self.names:
            return None
        self.names |= {name}
        return record


class ReadsOneOfBatch(_Reads):
    """Looks at the first execution of a record."""

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        value = parsed(record)
        result = _result(record)
        for name in ("executions", "tradeCaptureReports"):
            listed = result.get(name)
            if value is not None and isinstance(listed, list):
                result[name] = listed[:1]
                return json.dumps({"result": result}, separators=(",", ":")).encode()
        return record


class SpellsOneWay(_Reads):
    """Knows one spelling, and passes over what is spelled otherwise."""

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        unwrapped = record.startswith((b'{"snapshot"', b'{"update"'))
        return None if unwrapped or _STRICT.search(record) else record


class PassesOver(_Reads):
    """Goes on after what it cannot read."""

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        return record if parsed(record) is not None else None


class DiesOfNonsense(_Reads):
    """Reads records without a guard."""

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        try:
            value: Any = json.loads(record) if record.strip() else {}
            value.get("result", value).get("sessionId")
        except (ValueError, RecursionError, AttributeError) as error:
            self.crash(f"uncaught {type(error).__name__}")
            return None
        return record


class LeavesOnNovelty(_Reads):
    """Takes a member that it does not know for a sign that something is wrong."""

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        if b'"novel"' not in record and b"QUANTUM" not in record:
            return record
        for answer in list(self.answers.values()):
            self._do(Close(connection=answer.number, code=1000, reason="novel", abandon=False))
        return None


class NamesOnly(_Reads):
    """Expects the state of an order to be a name."""

    def made_of(self, record: bytes) -> bytes | None:
        """What it takes a record for."""
        return None if re.search(rb'"state":\s*\d', record) else record


def _result(record: bytes) -> dict[str, Any]:
    value = parsed(record) or {}
    result: Any = value.get("result", value)
    return cast("dict[str, Any]", result) if isinstance(result, dict) else {}


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data
