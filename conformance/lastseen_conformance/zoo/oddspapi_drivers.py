"""OddsPapi drivers that fetch, keep or report one thing wrong."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs
import msgspec

from lastseen.dialect import HttpResponse, SnapshotFault
from lastseen.effects import Close, Commit, Effect, FetchSnapshot, Request
from lastseen.events import Event, StateSnapshot
from lastseen.position import parse_cursor
from lastseen.replica import ScopeImage, ScopeName
from lastseen_conformance.drivers.in_process import OddsPapiClient
from lastseen_conformance.drivers.network import LATENCY_S
from lastseen_conformance.zoo.sockets import parsed
from lastseen_simulator import effects as gateway

__all__ = [
    "AcceptsAnyAnswer",
    "ClaimsAtLogin",
    "ClaimsOnComplete",
    "ClaimsProof",
    "FetchesOneFixture",
    "FetchesUntilTheFirstFailure",
    "ForgetsNoDoubt",
    "GapIsLoss",
    "IgnoresRetryAfter",
    "IgnoresUnreadable",
    "KeepsClaims",
    "KeepsOldSocket",
    "LeavesOnDemand",
    "LeavesOnFailedFetch",
    "Merges",
    "OneForAll",
    "PollsInstead",
    "PositionFirst",
    "PositionOnly",
    "UnnumberedOnce",
]

_FAILED_MIN: Final = 400

Answer = tuple[HttpResponse, ...] | SnapshotFault


def _is_bad(answer: Answer) -> bool:
    if isinstance(answer, SnapshotFault):
        return answer.reason != "cancelled"
    return any(each.status >= _FAILED_MIN or each.body[:1] not in (b"[", b"{") for each in answer)


class LeavesOnDemand(OddsPapiClient):
    """Answers `snapshot_required` with a new connection."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        frame = parsed(data)
        super().hear(connection, data)
        if frame is not None and frame.get("type") == "snapshot_required":
            self._close(Close(connection=connection, code=1000, reason="anew", abandon=False))


class IgnoresUnreadable(OddsPapiClient):
    """Skips what it cannot read."""

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        if parsed(data) is not None:
            super().hear(connection, data)


class UnnumberedOnce(OddsPapiClient):
    """Remembers what it has seen by id, and the lack of one is such an id."""

    seen: frozenset[str] = frozenset()

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        frame = parsed(data)
        channel = frame.get("channel") if frame is not None else None
        if frame is not None and isinstance(channel, str) and frame.get("entryId") is None:
            if channel in self.seen:
                return
            self.seen |= {channel}
        super().hear(connection, data)


class OneForAll(OddsPapiClient):
    """Remembers what it has seen by id alone, for all channels together."""

    seen: frozenset[str] = frozenset()
    owner = 0

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        frame = parsed(data) or {}
        if frame.get("type") == "login_ok":
            self.seen = frozenset()
        entry_id = frame.get("entryId")
        if isinstance(entry_id, str):
            if any(entry_id == known for known in self.seen):
                return
            self.seen |= {entry_id}
        super().hear(connection, data)


class GapIsLoss(OddsPapiClient):
    """Takes a skip in the numbers for a lost entry."""

    last: int | None = None

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        frame = parsed(data) or {}
        super().hear(connection, data)
        if frame.get("type") == "login_ok":
            self.last = None
        cursor = parse_cursor(str(frame.get("entryId")))
        if cursor is None or frame.get("channel") != "odds":
            return
        before, self.last = self.last, cursor[1]
        if before is not None and cursor[1] > before + 1:
            self.step(lambda s, now: s.handle_resync("odds", now=now))


class KeepsOldSocket(OddsPapiClient):
    """Leaves the closing of a replaced connection to the server."""

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Close) and effect.reason == "replaced":
            return
        super()._do(effect)


class LeavesOnFailedFetch(OddsPapiClient):
    """Takes a failed snapshot for a broken connection."""

    def _answer(self, fetch: int, answer: Answer, *, soon: bool = False) -> None:
        bad = fetch not in self._answered and _is_bad(answer)
        super()._answer(fetch, answer, soon=soon)
        if bad:
            for connection in list(self.sockets):
                self._close(Close(connection=connection, code=1000, reason="anew", abandon=False))


class FetchesUntilTheFirstFailure(OddsPapiClient):
    """Waits for the answer of a request that has failed."""

    def _answer(self, fetch: int, answer: Answer, *, soon: bool = False) -> None:
        if not _is_bad(answer):
            super()._answer(fetch, answer, soon=soon)


class IgnoresRetryAfter(OddsPapiClient):
    """Does not read Retry-After."""

    def _answer(self, fetch: int, answer: Answer, *, soon: bool = False) -> None:
        if not isinstance(answer, SnapshotFault):
            answer = tuple(attrs.evolve(each, headers=_kept(each)) for each in answer)
        super()._answer(fetch, answer, soon=soon)


def _kept(response: HttpResponse) -> tuple[tuple[str, str], ...]:
    return tuple(header for header in response.headers if header[0] != "retry-after")


class AcceptsAnyAnswer(OddsPapiClient):
    """Takes whatever comes with 200 for the whole truth, as far as it can be read."""

    wanted: Mapping[int, tuple[Request, ...]] = MappingProxyType({})

    def _do_more(self, effect: Effect) -> None:
        if isinstance(effect, FetchSnapshot):
            self.wanted = {**self.wanted, effect.fetch: effect.requests}
        super()._do_more(effect)

    def _answer(self, fetch: int, answer: Answer, *, soon: bool = False) -> None:
        wanted = self.wanted[fetch]
        if isinstance(answer, SnapshotFault) and answer.reason == "the body was cut":
            answer = tuple(HttpResponse(status=200, headers=_JSON, body=b"") for _ in wanted)
        if not isinstance(answer, SnapshotFault):
            answer = tuple(
                self._salvaged(response, request)
                for response, request in zip(answer, wanted, strict=False)
            )
        super()._answer(fetch, answer, soon=soon)

    def _salvaged(self, response: HttpResponse, request: Request) -> HttpResponse:
        try:
            good = bool(json.loads(response.body))
        except ValueError:
            good = False
        if good or response.status != 200:
            return response
        return HttpResponse(status=200, headers=_JSON, body=self._nothing(request))

    def _nothing(self, request: Request) -> bytes:
        fixture = dict(request.query).get("fixtureId")
        if fixture is None:
            return b"[]"
        return json.dumps({"fixtureId": str(fixture), "odds": {}, "bookmakers": {}}).encode()


_JSON: Final = (("content-type", "application/json"),)


class FetchesOneFixture(OddsPapiClient):
    """Takes the odds of one fixture for those of all."""

    first: str | None = None

    def _do_more(self, effect: Effect) -> None:
        if isinstance(effect, FetchSnapshot):
            fixture = dict(effect.requests[0].query).get("fixtureId")
            if fixture is not None:
                self.first = self.first or str(fixture)
                if str(fixture) != self.first:
                    return
        super()._do_more(effect)


class PollsInstead(OddsPapiClient):
    """Fetches what is demanded two dozen times over, to be sure."""

    demanded = False

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        self.demanded |= (parsed(data) or {}).get("type") == "snapshot_required"
        super().hear(connection, data)

    def _do_more(self, effect: Effect) -> None:
        super()._do_more(effect)
        if isinstance(effect, FetchSnapshot) and self.demanded:
            for request in effect.requests:
                query = tuple((name, str(value)) for name, value in request.query)
                http = gateway.HttpRequest(method="GET", path=f"/en{request.path}", query=query)
                for _ in range(24):
                    self.network.ask(http, lambda _: None)


class Merges(OddsPapiClient):
    """Lays a snapshot over what it has."""

    ever: Mapping[str, Any] = MappingProxyType({})

    def _take(self, event: Event) -> None:
        if isinstance(event, StateSnapshot):
            self.ever = {**self.ever, **self.replica.state()}
        super()._take(event)

    def state(self) -> dict[str, Any]:
        """Everything there ever was, as it was last."""
        return {**self.ever, **self.replica.state()}


class ForgetsNoDoubt(OddsPapiClient):
    """Makes new cursors durable, and never that one has fallen."""

    def _commit(self, effect: Commit) -> None:
        if self.disk is not None and self.disk.position.epoch == effect.position.epoch:
            held = {**dict(self.disk.position.cursors), **dict(effect.position.cursors)}
            position = attrs.evolve(effect.position, cursors=tuple(sorted(held.items())))
            effect = msgspec.structs.replace(effect, position=position)
        super()._commit(effect)


class PositionFirst(OddsPapiClient):
    """Keeps its place in a file, and its state in a database that is one commit behind."""

    behind: Mapping[ScopeName, ScopeImage] = MappingProxyType({})

    def _commit(self, effect: Commit) -> None:
        durable, self.behind = self.behind, self._kept.image()

        def done() -> None:
            if self.alive:
                self._kept.write(effect.position, dict(durable))
                self.step(lambda s, now: s.handle_committed(effect.commit, now=now))

        self.clock.after(LATENCY_S, done)


class PositionOnly(OddsPapiClient):
    """Keeps its place across restarts, and its state in memory."""

    def begin(self) -> None:
        """Starts, from the place that the disk has."""
        if self.disk is not None:
            self.disk.scopes = {}
        super().begin()


class _Reports(OddsPapiClient):
    """Says something else than what is so."""

    def begin(self) -> None:
        """Starts, with a report of its own."""
        self.truly = self.say
        self.say = self.told_otherwise
        super().begin()

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line, or another one."""
        raise NotImplementedError

    def claim(self, *channels: str) -> None:
        """Says that channels are synced."""
        for channel in channels:
            self.truly({"event": "status", "channel": channel, "state": "synced"})


class KeepsClaims(_Reports):
    """Does not say that a claim has fallen."""

    risen: frozenset[str] = frozenset()

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line, unless it takes something back."""
        channel = str(line.get("channel"))
        if line.get("event") == "status":
            if line.get("state") == "synced":
                self.risen |= {channel}
            elif channel in self.risen:
                return
        self.truly(line)


class ClaimsProof(_Reports):
    """Calls every base proven."""

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line."""
        proven = {"proof": "proven"} if line.get("event") == "status" else {}
        self.truly({**line, **proven})


class ClaimsAtLogin(_Reports):
    """Takes a login for a base."""

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line."""
        self.truly(line)

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        super().hear(connection, data)
        if (parsed(data) or {}).get("type") == "login_ok":
            self.claim(*self.channels)


class ClaimsOnComplete(_Reports):
    """Takes resume_complete for the end of all doubt."""

    def told_otherwise(self, line: dict[str, Any]) -> None:
        """Says a line."""
        self.truly(line)

    def hear(self, connection: int, data: str | bytes) -> None:
        """A message arrived on a connection."""
        super().hear(connection, data)
        if (parsed(data) or {}).get("type") == "resume_complete":
            self.claim(*self.channels)
