"""A gateway core that writes into a history everything that goes in and out."""

from collections.abc import Mapping
from typing import Any, final

import attrs

from lastseen_conformance.history import (
    Answered,
    Asked,
    BytesSent,
    ClientFrame,
    CloseSent,
    Connected,
    Dropped,
    Ended,
    History,
    Listening,
    Pinged,
    Ponged,
    Refused,
    ServerFrame,
    Stalled,
    StreamAsked,
    Struck,
)
from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    Effect,
    HttpRequest,
    OpenStream,
    Ping,
    RefuseConnections,
    RefuseUpgrade,
    Respond,
    Stall,
    Transmit,
    TransmitRaw,
)
from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.gateways import GatewayCore, Truth
from lastseen_simulator.truth import REDACTED, is_secret

__all__ = ["Tap"]


@final
@attrs.define(eq=False)
class Tap:
    """Stands between a gateway and its driver and changes nothing.

    Both drivers use it, so a history says the same of a socket as of a virtual wire. `secret` never
    gets into the history.
    """

    core: GatewayCore
    history: History
    secret: str
    _now: float = 0.0
    _written: int = 0

    @property
    def dialect(self) -> str:
        """What it speaks."""
        return self.core.dialect

    @property
    def truth(self) -> Truth:
        """What it has published and done."""
        return self.core.truth

    @property
    def epoch(self) -> str | None:
        """The epoch that serves new logins."""
        return self.core.epoch

    @property
    def filters(self) -> Mapping[str, tuple[str, type]]:
        """The parameters of `GET truth/state`."""
        return self.core.filters

    def opens_stream(self, http: HttpRequest) -> bool:
        """Whether a plain request asks for a stream."""
        return self.core.opens_stream(http)

    def handle_upgrade(self, connection: int, http: HttpRequest, *, now: float) -> None:
        """A client asks for a WebSocket or a stream."""
        self._now = now
        if self.core.opens_stream(http):
            self.history.add(
                StreamAsked,
                at=now,
                connection=connection,
                method=http.method,
                path=http.path,
                query=_safe_query(http.query),
                headers=tuple((name, self._safe_text(value)) for name, value in http.headers),
                body=self._safe_bytes(http.body),
            )
        self.core.handle_upgrade(connection, http, now=now)
        self._note_faults()

    def handle_connected(self, connection: int, *, now: float) -> None:
        """Its upgrade was granted."""
        self._now = now
        self.history.add(Connected, at=now, connection=connection)
        self.core.handle_connected(connection, now=now)
        self._note_faults()

    def handle_frame(self, connection: int, data: str | bytes, *, now: float) -> None:
        """A whole message arrived."""
        self._now = now
        self.history.add(ClientFrame, at=now, connection=connection, data=self._safe(data))
        self.core.handle_frame(connection, data, now=now)
        self._note_faults()

    def handle_pong(self, connection: int, *, now: float) -> None:
        """A pong arrived."""
        self._now = now
        self.history.add(Ponged, at=now, connection=connection)
        self.core.handle_pong(connection, now=now)

    def handle_disconnected(self, connection: int, *, now: float) -> None:
        """The socket has ended."""
        self._now = now
        self.history.add(Ended, at=now, connection=connection)
        self.core.handle_disconnected(connection, now=now)

    def handle_backlog(self, connection: int, pending_bytes: int, *, now: float) -> None:
        """So many bytes wait for a slow reader."""
        self._now = now
        self.core.handle_backlog(connection, pending_bytes, now=now)

    def handle_request(self, request: int, http: HttpRequest, *, now: float) -> None:
        """A plain HTTP request arrived."""
        self._now = now
        query = _safe_query(http.query)
        self.history.add(
            Asked, at=now, request=request, method=http.method, path=http.path, query=query
        )
        self.core.handle_request(request, http, now=now)
        self._note_faults()

    def handle_deadline(self, *, now: float) -> None:
        """Time has passed."""
        self._now = now
        self.core.handle_deadline(now=now)
        self._note_faults()

    def poll_effects(self) -> list[Effect]:
        """What the driver must do now, in order."""
        effects = self.core.poll_effects()
        for effect in effects:
            self._note(effect)
        return effects

    def poll_deadline(self) -> tuple[float, str] | None:
        """When to call `handle_deadline`, and why."""
        return self.core.poll_deadline()

    def publish(self, channel: str, payload: dict[str, Any] | None = None, *, now: float) -> str:
        """Publishes one entry and returns its id."""
        self._now = now
        published = self.core.publish(channel, payload, now=now)
        self._note_faults()
        return published

    def restart(self, *, announce: bool, now: float) -> None:
        """Restarts the service."""
        self._now = now
        self.core.restart(announce=announce, now=now)

    def notice_reconnect(
        self, *, connection: int | None, reason: str, grace_s: float, now: float
    ) -> None:
        """Tells clients to move."""
        self._now = now
        self.core.notice_reconnect(connection=connection, reason=reason, grace_s=grace_s, now=now)

    def drop(self, connection: int | None, *, reset: bool, now: float) -> None:
        """Ends one connection or all without a close frame."""
        self._now = now
        self.core.drop(connection, reset=reset, now=now)

    def pause(self, *, now: float) -> None:
        """Stops the market."""
        self.core.pause(now=now)

    def resume(self, *, now: float) -> None:
        """Lets the market go on."""
        self.core.resume(now=now)

    def place(self, fault: Fault) -> int:
        """Places a fault and returns its number."""
        return self.core.place(fault)

    def heal(self) -> None:
        """Lets no placed fault strike any more."""
        self.core.heal()

    def receipts(self) -> tuple[Receipt, ...]:
        """What became of each fault."""
        return self.core.receipts()

    def connections(self) -> tuple[Any, ...]:
        """The open connections."""
        return self.core.connections()

    def _note_faults(self) -> None:
        truth = self.core.truth
        for record in truth.records_after(self._written):
            if record["kind"] == "fault":
                self.history.add(
                    Struck,
                    at=self._now,
                    fault=record["fault"],
                    kind=record["fault_kind"],
                    detail=record["detail"],
                )
        self._written = truth.written

    def _note(self, effect: Effect) -> None:
        add, at = self.history.add, self._now
        match effect:
            case Transmit():
                add(
                    ServerFrame,
                    at=at,
                    connection=effect.connection,
                    data=self._safe(effect.data),
                    cut_at=effect.cut_at,
                )
            case TransmitRaw():
                add(BytesSent, at=at, connection=effect.connection, data=effect.data)
            case OpenStream():
                # `Connected` has said it.
                pass
            case Ping():
                add(Pinged, at=at, connection=effect.connection)
            case CloseConnection():
                code, reason = effect.code, effect.reason
                add(CloseSent, at=at, connection=effect.connection, code=code, reason=reason)
            case Abort():
                add(Dropped, at=at, connection=effect.connection, reset=effect.reset)
            case Stall():
                add(Stalled, at=at, connection=effect.connection, stalled=effect.stalled)
            case RefuseUpgrade():
                status = effect.response.status
                add(Refused, at=at, connection=effect.connection, status=status)
            case RefuseConnections():
                add(Listening, at=at, mode=effect.mode)
            case Respond():
                response = effect.response
                cut = response.cut_at is not None and response.cut_at < len(response.body)
                add(
                    Answered,
                    at=at,
                    request=effect.request,
                    status=response.status,
                    headers=response.headers,
                    body=response.body,
                    whole=not (cut or response.stall or response.silent),
                )

    def _safe(self, data: str | bytes) -> str | bytes:
        return self._safe_text(data) if isinstance(data, str) else self._safe_bytes(data)

    def _safe_text(self, text: str) -> str:
        return text.replace(self.secret, REDACTED)

    def _safe_bytes(self, data: bytes) -> bytes:
        return data.replace(self.secret.encode(), REDACTED.encode())


def _safe_query(query: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, REDACTED if is_secret(name) else value) for name, value in query)
