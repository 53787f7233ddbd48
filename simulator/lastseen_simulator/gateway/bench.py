"""A gateway on a workbench: virtual time, no sockets, everything it does laid out."""

import random
from typing import Any

import attrs
import msgspec

from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    Effect,
    HttpRequest,
    HttpResponse,
    Respond,
    Transmit,
)
from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.gateway.core import Gateway
from lastseen_simulator.gateway.options import DEMO_KEY, GatewayOptions
from lastseen_simulator.virtual_driver import VirtualDriver

__all__ = ["WALL_MS", "Bench"]

WALL_MS = 1_790_000_000_000
"""The wall clock of every bench at its moment zero."""

Frame = dict[str, Any]


@attrs.define(eq=False)
class Bench:
    """Drives a `Gateway` the way an adapter would, and keeps what comes out.

    Whatever is due is done before a call returns. `effects` has all effects in order, `frames` the
    whole messages each connection received, decoded where they can be.
    """

    options: GatewayOptions = attrs.field(factory=GatewayOptions)
    seed: int = 0
    _begins_at: float = attrs.field(default=0.0, alias="now")
    gateway: Gateway = attrs.field(init=False)
    frames: dict[int, list[Any]] = attrs.field(init=False, factory=dict[int, list[Any]])
    endings: dict[int, CloseConnection | Abort] = attrs.field(
        init=False, factory=dict[int, CloseConnection | Abort]
    )
    _numbers: int = attrs.field(init=False, default=0)
    _driver: VirtualDriver = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.gateway = Gateway(self.options, rng=random.Random(self.seed), wall_ms_at_zero=WALL_MS)
        self._driver = VirtualDriver(self.gateway, self._take, self._begins_at)
        self.settle()

    @property
    def now(self) -> float:
        """Seconds of the gateway's clock."""
        return self._driver.now

    @now.setter
    def now(self, moment: float) -> None:
        self._driver.now = moment

    @property
    def effects(self) -> list[Effect]:
        """Everything the gateway wanted done, in order."""
        return self._driver.effects

    def settle(self) -> None:
        """Drains effects and rings whatever is due by now."""
        self._driver.settle()

    def advance(self, seconds: float) -> None:
        """Lets time pass, stopping at every deadline on the way."""
        self._driver.advance(seconds)

    def connect(self) -> int:
        """Opens a connection and returns its number."""
        self._numbers += 1
        self.frames[self._numbers] = []
        self.gateway.handle_connected(self._numbers, now=self.now)
        self.settle()
        return self._numbers

    def send(self, connection: int, data: str | bytes) -> None:
        """Sends a message from the client's side."""
        self.gateway.handle_frame(connection, data, now=self.now)
        self.settle()

    def login(self, **members: Any) -> int:
        """Opens a connection and logs in with the demo key, unless told otherwise."""
        connection = self.connect()
        login = {"type": "login", "apiKey": DEMO_KEY, **members}
        self.send(connection, msgspec.json.encode(login).decode())
        return connection

    def leave(self, connection: int) -> None:
        """Ends a connection from the client's side."""
        self.gateway.handle_disconnected(connection, now=self.now)
        self.settle()

    def backlog(self, connection: int, pending_bytes: int) -> None:
        """Reports unsent bytes."""
        self.gateway.handle_backlog(connection, pending_bytes, now=self.now)
        self.settle()

    def publish(self, channel: str, payload: Frame | None = None) -> str:
        """Publishes one entry and returns its id."""
        entry_id = self.gateway.publish(channel, payload, now=self.now)
        self.settle()
        return entry_id

    def place(self, kind: str, at: str, **parameters: Any) -> int:
        """Places a fault and returns its number."""
        number = self.gateway.place(Fault(kind=kind, at=at, **parameters))
        self.settle()
        return number

    def receipt(self, number: int) -> Receipt:
        """The receipt of one fault."""
        return self.gateway.receipts()[number - 1]

    def get(self, path: str, *, key: str | None = DEMO_KEY, **query: Any) -> HttpResponse:
        """Makes a REST request, `path` without the language."""
        parameters = tuple((name, str(value)) for name, value in query.items())
        if key is not None:
            parameters += (("apiKey", key),)
        return self.request(HttpRequest(method="GET", path=f"/en{path}", query=parameters))

    def request(self, http: HttpRequest) -> HttpResponse:
        """Makes any REST request and returns its answer."""
        self.gateway.handle_request(1, http, now=self.now)
        before = len(self.effects)
        self.settle()
        answers = [each for each in self.effects[before:] if isinstance(each, Respond)]
        assert len(answers) == 1
        return answers[0].response

    def updates(self, connection: int, channel: str | None = None) -> list[Frame]:
        """The data frames a connection received, of one channel or all."""
        return [
            frame
            for frame in self.frames[connection]
            if "channel" in frame and channel in (None, frame["channel"])
        ]

    def controls(self, connection: int) -> list[Frame]:
        """The control frames a connection received."""
        return [frame for frame in self.frames[connection] if "channel" not in frame]

    def ids(self, connection: int, channel: str | None = None) -> list[str]:
        """The entry ids a connection received."""
        return [frame["entryId"] for frame in self.updates(connection, channel)]

    def _take(self, effect: Effect) -> None:
        match effect:
            case Transmit(cut_at=None):
                self.frames[effect.connection].append(_decoded(effect.data))
            case CloseConnection() | Abort():
                self.endings[effect.connection] = effect
            case _:
                pass


def _decoded(data: str | bytes) -> Any:
    try:
        if isinstance(data, str) or data.startswith(b"{"):
            return msgspec.json.decode(data)
        return msgspec.msgpack.decode(data)
    except msgspec.DecodeError:
        return {"undecodable": data}
