"""The control API of a running gateway: JSON over HTTP under `/_lastseen`.

For tests in any language: look at the truth, place faults, restart the feed. Every wrong request
gets one line, `{"error": <status>, "message": …}`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

import attrs
import msgspec

from lastseen_simulator.effects import HttpRequest, HttpResponse
from lastseen_simulator.faults import Fault, Receipt, fault_from, load_faults
from lastseen_simulator.http_door import json_response, problem

__all__ = ["METHODS", "Controllable", "answer_control"]

PREFIX: Final = "/_lastseen/"

COUNT_MAX: Final = 10_000
"""Most entries one `publish` may ask for."""


class Controllable(Protocol):
    """What the control API needs of a server."""

    def health(self) -> dict[str, Any]:
        """Says that the server lives, and what it is."""
        ...

    def connections(self) -> list[dict[str, Any]]:
        """Lists the open WebSocket connections."""
        ...

    def jsonl(self) -> bytes:
        """Exports the truth log."""
        ...

    def query_state(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """Exports the true state, restricted by the lists of a query."""
        ...

    def receipts(self) -> tuple[Receipt, ...]:
        """Lists the receipts of every fault."""
        ...

    def publish(self, channel: str, payload: Mapping[str, Any] | None = None) -> str:
        """Publishes an entry and returns its id."""
        ...

    def restart(self, *, announce: bool = False) -> None:
        """Starts a new epoch."""
        ...

    def drop(self, connection: int | None = None, *, reset: bool = False) -> None:
        """Drops connections."""
        ...

    def notice_reconnect(
        self,
        connection: int | None = None,
        *,
        reason: str = "server_upgrade",
        grace_s: float = 3.0,
    ) -> None:
        """Tells clients to move."""
        ...

    def place(self, fault: Fault) -> int:
        """Places a fault and returns its id."""
        ...

    def pause(self) -> None:
        """Stops the market."""
        ...

    def resume(self) -> None:
        """Starts the market."""
        ...


class _Publish(msgspec.Struct, forbid_unknown_fields=True):
    channel: str
    payload: dict[str, Any] | None = None
    count: int = 1


class _Restart(msgspec.Struct, forbid_unknown_fields=True):
    announce: bool = False


class _Drop(msgspec.Struct, forbid_unknown_fields=True):
    connection: int | None = None
    reset: bool = False


class _Reconnect(msgspec.Struct, forbid_unknown_fields=True):
    connection: int | None = None
    reason: str = "server_upgrade"
    grace_s: float = 3.0


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _RefusalError(Exception):
    """A request that is wrong; the message goes to whoever sent it."""


S = TypeVar("S", bound=msgspec.Struct)


def answer_control(server: Controllable, request: HttpRequest) -> HttpResponse:
    """Answers one request: 200 with JSON, or 400, 404, 405 with `{error, message}`."""
    name = request.path.removeprefix(PREFIX).rstrip("/")
    known = _ENDPOINTS.get(name)
    if known is None:
        names = ", ".join(sorted(_ENDPOINTS))
        return problem(404, f"no such endpoint: {request.path} (there are: {names})")
    method, answer = known
    if request.method != method:
        refusal = problem(405, f"{request.path} takes {method} only")
        return attrs.evolve(refusal, headers=(*refusal.headers, ("Allow", method)))
    try:
        return answer(server, request)
    except (_RefusalError, ValueError, LookupError) as error:
        return problem(400, str(error))


def _health(server: Controllable, _: HttpRequest) -> HttpResponse:
    return json_response(200, server.health())


def _connections(server: Controllable, _: HttpRequest) -> HttpResponse:
    return json_response(200, server.connections())


def _truth(server: Controllable, _: HttpRequest) -> HttpResponse:
    headers = (("Content-Type", "application/jsonl"), ("Cache-Control", "no-store"))
    return HttpResponse(status=200, headers=headers, body=server.jsonl())


def _truth_state(server: Controllable, request: HttpRequest) -> HttpResponse:
    lists: dict[str, list[str]] = {}
    for name, value in request.query:
        lists.setdefault(name, []).extend(part for part in value.split(",") if part)
    return json_response(200, server.query_state(lists))


def _receipts(server: Controllable, _: HttpRequest) -> HttpResponse:
    return json_response(200, server.receipts())


def _publish(server: Controllable, request: HttpRequest) -> HttpResponse:
    body = _body(request, _Publish)
    if not 1 <= body.count <= COUNT_MAX:
        raise _RefusalError(f"count must lie between 1 and {COUNT_MAX}: {body.count}")
    ids = [server.publish(body.channel, body.payload) for _ in range(body.count)]
    return json_response(200, {"entryId": ids[-1], "entryIds": ids})


def _restart(server: Controllable, request: HttpRequest) -> HttpResponse:
    server.restart(announce=_body(request, _Restart).announce)
    return json_response(200, server.health())


def _drop(server: Controllable, request: HttpRequest) -> HttpResponse:
    body = _body(request, _Drop)
    _check_connection(server, body.connection)
    server.drop(body.connection, reset=body.reset)
    return _ok()


def _reconnect(server: Controllable, request: HttpRequest) -> HttpResponse:
    body = _body(request, _Reconnect)
    _check_connection(server, body.connection)
    if not 0 <= body.grace_s <= 3600:
        raise _RefusalError(f"grace_s must lie between 0 and 3600: {body.grace_s}")
    server.notice_reconnect(body.connection, reason=body.reason, grace_s=body.grace_s)
    return _ok()


def _check_connection(server: Controllable, connection: int | None) -> None:
    if connection is None:
        return
    numbers = [each["connection"] for each in server.connections()]
    if connection not in numbers:
        raise _RefusalError(f"no open connection {connection} (open: {numbers})")


def _faults(server: Controllable, request: HttpRequest) -> HttpResponse:
    text = _text(request).strip()
    if text.startswith("{"):
        try:
            faults: tuple[Fault, ...] = (
                fault_from(msgspec.json.decode(text, type=dict[str, Any])),
            )
        except msgspec.MsgspecError as error:
            raise _RefusalError(f"not a JSON object: {error}") from None
    else:
        faults = load_faults(text + "\n")
    if not faults:
        raise _RefusalError("no fault in the body: send one as JSON, or [[fault]] tables as TOML")
    ids = [server.place(fault) for fault in faults]
    return json_response(200, {"id": ids[0], "ids": ids})


def _pause(server: Controllable, request: HttpRequest) -> HttpResponse:
    _body(request, _Nothing)
    server.pause()
    return _ok()


def _resume(server: Controllable, request: HttpRequest) -> HttpResponse:
    _body(request, _Nothing)
    server.resume()
    return _ok()


def _ok() -> HttpResponse:
    return json_response(200, {"ok": True})


def _text(request: HttpRequest) -> str:
    try:
        return request.body.decode()
    except UnicodeDecodeError:
        raise _RefusalError("the body is not UTF-8") from None


def _body(request: HttpRequest, kind: type[S]) -> S:
    try:
        return msgspec.json.decode(request.body or b"{}", type=kind)
    except msgspec.MsgspecError as error:
        raise _RefusalError(f"bad body: {error}") from None


_ENDPOINTS: Final[Mapping[str, tuple[str, Callable[[Controllable, HttpRequest], HttpResponse]]]] = {
    "health": ("GET", _health),
    "truth": ("GET", _truth),
    "truth/state": ("GET", _truth_state),
    "connections": ("GET", _connections),
    "receipts": ("GET", _receipts),
    "publish": ("POST", _publish),
    "restart": ("POST", _restart),
    "drop": ("POST", _drop),
    "reconnect": ("POST", _reconnect),
    "faults": ("POST", _faults),
    "pause": ("POST", _pause),
    "resume": ("POST", _resume),
}

METHODS: Final[Mapping[str, str]] = {name: method for name, (method, _) in _ENDPOINTS.items()}
"""The endpoints and the one method each takes."""
