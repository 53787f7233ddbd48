"""What every gateway core offers to the server around it, whatever it speaks."""

from collections.abc import Mapping
from typing import Any, Protocol

from lastseen_simulator.effects import Effect, HttpRequest
from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.truth import Record

__all__ = ["GatewayCore", "Recorder", "Truth"]


class Recorder(Protocol):
    """Somebody who writes down what happens."""

    def write(self, kind: str, /, *, now: float, **members: Any) -> None:
        """Appends a record."""
        ...


class Truth(Recorder, Protocol):
    """A truth log: the records, and the state that follows from them."""

    @property
    def records(self) -> tuple[Record, ...]:
        """The kept records, oldest first."""
        ...

    @property
    def written(self) -> int:
        """How many records there ever were; the number of the newest."""
        ...

    def records_after(self, number: int) -> tuple[Record, ...]:
        """The kept records numbered above `number`, oldest first."""
        ...

    def state(self, *args: Any, **filters: Any) -> dict[str, Any]:
        """The true state; which filters there are is up to the dialect."""
        ...

    def to_jsonl(self) -> str:
        """The kept records, one JSON object a line, in order."""
        ...


class GatewayCore(Protocol):
    """A gateway as one state machine: see `gateway.core` for how to drive it.

    A connection is judged by `handle_upgrade` first: unless `RefuseUpgrade` is among the effects,
    it is granted and `handle_connected` follows.
    """

    @property
    def dialect(self) -> str:
        """What it speaks."""
        ...

    @property
    def truth(self) -> Truth:
        """What it has published and done."""
        ...

    @property
    def epoch(self) -> str | None:
        """The epoch that serves new logins; None where there are none."""
        ...

    @property
    def filters(self) -> Mapping[str, tuple[str, type]]:
        """The parameters of `GET truth/state`: keyword of `Truth.state` and kind of its items."""
        ...

    def opens_stream(self, http: HttpRequest) -> bool:
        """Whether a plain request asks for a stream, and so is judged as an upgrade is."""
        ...

    def handle_upgrade(self, connection: int, http: HttpRequest, *, now: float) -> None:
        """A client asks for a WebSocket, or for a stream."""
        ...

    def handle_connected(self, connection: int, *, now: float) -> None:
        """Its upgrade was granted; numbers are unique and ascend."""
        ...

    def handle_frame(self, connection: int, data: str | bytes, *, now: float) -> None:
        """A whole message arrived."""
        ...

    def handle_pong(self, connection: int, *, now: float) -> None:
        """A pong arrived, asked for or not."""
        ...

    def handle_disconnected(self, connection: int, *, now: float) -> None:
        """The socket has ended, whoever ended it."""
        ...

    def handle_backlog(self, connection: int, pending_bytes: int, *, now: float) -> None:
        """So many bytes wait for a slow reader."""
        ...

    def handle_request(self, request: int, http: HttpRequest, *, now: float) -> None:
        """A plain HTTP request arrived; exactly one `Respond` answers it."""
        ...

    def handle_deadline(self, *, now: float) -> None:
        """Time has passed."""
        ...

    def poll_effects(self) -> list[Effect]:
        """What the driver must do now, in order."""
        ...

    def poll_deadline(self) -> tuple[float, str] | None:
        """When to call `handle_deadline`, and why."""
        ...

    def publish(self, channel: str, payload: dict[str, Any] | None = None, *, now: float) -> str:
        """Publishes one entry and returns its id."""
        ...

    def restart(self, *, announce: bool, now: float) -> None:
        """Restarts the service."""
        ...

    def notice_reconnect(
        self, *, connection: int | None, reason: str, grace_s: float, now: float
    ) -> None:
        """Tells clients to move; raises ValueError where there is no such notice."""
        ...

    def drop(self, connection: int | None, *, reset: bool, now: float) -> None:
        """Ends one connection or all without a close frame."""
        ...

    def pause(self, *, now: float) -> None:
        """Stops the market."""
        ...

    def resume(self, *, now: float) -> None:
        """Lets the market go on."""
        ...

    def place(self, fault: Fault) -> int:
        """Places a fault and returns its number; raises `FaultError`."""
        ...

    def heal(self) -> None:
        """Lets no placed fault strike any more."""
        ...

    def receipts(self) -> tuple[Receipt, ...]:
        """What became of each fault."""
        ...

    def connections(self) -> tuple[Any, ...]:
        """The open connections, attrs records with a `connection` each."""
        ...
