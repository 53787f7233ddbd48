"""A PolyNode gateway on a workbench: virtual time, no sockets, everything it does laid out."""

import random
import zlib
from typing import Any

import attrs
import msgspec

from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    Effect,
    HttpRequest,
    HttpResponse,
    Ping,
    RefuseUpgrade,
    Respond,
    Transmit,
)
from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.polynode.core import CONTROL_TYPES, PolyNodeGateway
from lastseen_simulator.polynode.options import DEMO_KEY, PolyNodeOptions
from lastseen_simulator.virtual_driver import VirtualDriver

__all__ = ["WALL_MS", "Bench"]

WALL_MS = 1_790_000_000_000
"""The wall clock of every bench at its moment zero."""

Frame = dict[str, Any]


@attrs.define(eq=False)
class Bench:
    """Drives a `PolyNodeGateway` the way an adapter would, and keeps what comes out.

    `frames` has the whole messages each connection received, decoded where they can be, `raw` the
    same as they were. Pings are answered at once, except by connections that are `deaf`.
    """

    options: PolyNodeOptions = attrs.field(factory=PolyNodeOptions)
    seed: int = 0
    gateway: PolyNodeGateway = attrs.field(init=False)
    frames: dict[int, list[Frame]] = attrs.field(init=False, factory=dict[int, list[Frame]])
    raw: dict[int, list[str | bytes]] = attrs.field(
        init=False, factory=dict[int, list[str | bytes]]
    )
    pings: dict[int, int] = attrs.field(init=False, factory=dict[int, int])
    deaf: set[int] = attrs.field(init=False, factory=set[int])
    endings: dict[int, CloseConnection | Abort] = attrs.field(
        init=False, factory=dict[int, CloseConnection | Abort]
    )
    _refusals: dict[int, HttpResponse] = attrs.field(init=False, factory=dict[int, HttpResponse])
    _numbers: int = attrs.field(init=False, default=0)
    _driver: VirtualDriver = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.gateway = PolyNodeGateway(
            self.options, rng=random.Random(self.seed), wall_ms_at_zero=WALL_MS
        )
        self._driver = VirtualDriver(self.gateway, self._take)
        self.settle()

    @property
    def now(self) -> float:
        """Seconds of the gateway's clock."""
        return self._driver.now

    @property
    def wall_ms(self) -> int:
        """The wall clock, unless a fault has stepped it."""
        return WALL_MS + round(self.now * 1000)

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

    def upgrade(self, *query: tuple[str, str]) -> int | HttpResponse:
        """Asks for a WebSocket with these parameters; the number of it, or the refusal."""
        self._numbers += 1
        number = self._numbers
        http = HttpRequest(method="GET", path="/ws", query=query)
        self.gateway.handle_upgrade(number, http, now=self.now)
        self.settle()
        refusal = self._refusals.get(number)
        if refusal is not None:
            return refusal
        self.frames[number], self.raw[number] = [], []
        self.gateway.handle_connected(number, now=self.now)
        self.settle()
        return number

    def connect(self, *, key: str = DEMO_KEY, compress: bool = False) -> int:
        """Opens a connection and returns its number."""
        compressed = (("compress", "zlib"),) if compress else ()
        opened = self.upgrade(("key", key), *compressed)
        assert isinstance(opened, int), opened
        return opened

    def send(self, connection: int, frame: Frame | str | bytes) -> None:
        """Sends a message from the client's side."""
        data = msgspec.json.encode(frame).decode() if isinstance(frame, dict) else frame
        self.gateway.handle_frame(connection, data, now=self.now)
        self.settle()

    def subscribe(self, preset: str | None = None, *, on: int | None = None, **filters: Any) -> int:
        """Subscribes, on a connection of its own unless told otherwise; returns the connection."""
        connection = self.connect() if on is None else on
        named = {} if preset is None else {"type": preset}
        given = {"filters": filters} if filters else {}
        self.send(connection, {"action": "subscribe", **named, **given})
        return connection

    def pong(self, connection: int) -> None:
        """A pong arrives, asked for or not."""
        self.gateway.handle_pong(connection, now=self.now)
        self.settle()

    def leave(self, connection: int) -> None:
        """Ends a connection from the client's side."""
        self.gateway.handle_disconnected(connection, now=self.now)
        self.settle()

    def backlog(self, connection: int, pending_bytes: int) -> None:
        """Reports unsent bytes."""
        self.gateway.handle_backlog(connection, pending_bytes, now=self.now)
        self.settle()

    def publish(self, event_type: str, **members: Any) -> str:
        """Publishes one event and returns its identity."""
        entry_id = self.gateway.publish(event_type, members or None, now=self.now)
        self.settle()
        return entry_id

    def place(self, kind: str, at: str, **parameters: Any) -> int:
        """Places a fault and returns its number."""
        number = self.gateway.place(Fault(kind=kind, at=at, **parameters))
        self.settle()
        return number

    def receipt(self, number: int = 1) -> Receipt:
        """The receipt of one fault."""
        return self.gateway.receipts()[number - 1]

    def request(self, http: HttpRequest) -> HttpResponse:
        """Makes a plain HTTP request and returns its answer."""
        before = len(self.effects)
        self.gateway.handle_request(1, http, now=self.now)
        self.settle()
        answers = [each for each in self.effects[before:] if isinstance(each, Respond)]
        assert len(answers) == 1
        return answers[0].response

    def events(self, connection: int, event_type: str | None = None) -> list[Frame]:
        """The live events a connection received, of one type or all."""
        return [
            frame
            for frame in self.frames[connection]
            if frame.get("type") not in CONTROL_TYPES and event_type in (None, frame.get("type"))
        ]

    def controls(self, connection: int, name: str | None = None) -> list[Frame]:
        """The control frames a connection received, of one name or all."""
        return [
            frame
            for frame in self.frames[connection]
            if frame.get("type") in CONTROL_TYPES and name in (None, frame["type"])
        ]

    def snapshot(self, connection: int) -> list[Frame]:
        """The events of the newest snapshot a connection received."""
        events: list[Frame] = self.controls(connection, "snapshot")[-1]["events"]
        return events

    def kinds(self, connection: int) -> list[str]:
        """The types of all frames a connection received, in order."""
        return [str(frame.get("type", "?")) for frame in self.frames[connection]]

    def sent(self, connection: int, how: str | None = None) -> list[str]:
        """The identities of what a connection was sent, by the truth log."""
        return [
            record["entryId"]
            for record in self.gateway.truth.records
            if record["kind"] == "sent"
            and record["connection"] == connection
            and how in (None, record["how"])
        ]

    def _take(self, effect: Effect) -> None:
        match effect:
            case Transmit(cut_at=None):
                self.raw[effect.connection].append(effect.data)
                self.frames[effect.connection].append(_decoded(effect.data))
            case Ping():
                self.pings[effect.connection] = self.pings.get(effect.connection, 0) + 1
                if effect.connection not in self.deaf:
                    self.gateway.handle_pong(effect.connection, now=self.now)
            case RefuseUpgrade():
                self._refusals[effect.connection] = effect.response
            case CloseConnection() | Abort():
                self.endings[effect.connection] = effect
            case _:
                pass


def _decoded(data: str | bytes) -> Frame:
    """A message as a careful client reads it: text is JSON, binary is raw deflate (§4)."""
    try:
        if isinstance(data, str):
            return msgspec.json.decode(data, type=Frame)
        unpacker = zlib.decompressobj(wbits=-15)
        text = unpacker.decompress(data)
        if not unpacker.eof or unpacker.unused_data:
            return {"undecodable": data}
        return msgspec.json.decode(text, type=Frame)
    except (msgspec.MsgspecError, zlib.error):
        return {"undecodable": data}
