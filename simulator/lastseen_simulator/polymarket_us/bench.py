"""A Polymarket US gateway on a workbench: virtual time, no sockets, everything it does laid out."""

import gzip
import random
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    Effect,
    HttpRequest,
    HttpResponse,
    OpenStream,
    RefuseUpgrade,
    Respond,
    Transmit,
)
from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.polymarket_us.channels import CHANNELS, TOKEN_PATH
from lastseen_simulator.polymarket_us.core import PolymarketUSGateway
from lastseen_simulator.polymarket_us.options import DEMO_KEY, PolymarketUSOptions
from lastseen_simulator.virtual_driver import VirtualDriver

__all__ = ["WALL_MS", "Bench", "records_in"]

WALL_MS = 1_790_000_000_000
"""The wall clock of every bench at its moment zero."""

Record = dict[str, Any]


@attrs.define(eq=False)
class Bench:
    """Drives a `PolymarketUSGateway` the way a server would, and keeps what comes out.

    `heads` has the head of each stream, `bodies` what its body has so far, as a reader gets it
    whose path is not cut; `records` is that taken apart.
    """

    options: PolymarketUSOptions = attrs.field(factory=PolymarketUSOptions)
    seed: int = 0
    gateway: PolymarketUSGateway = attrs.field(init=False)
    heads: dict[int, OpenStream] = attrs.field(init=False, factory=dict[int, OpenStream])
    bodies: dict[int, bytes] = attrs.field(init=False, factory=dict[int, bytes])
    endings: dict[int, CloseConnection | Abort] = attrs.field(
        init=False, factory=dict[int, CloseConnection | Abort]
    )
    _refusals: dict[int, HttpResponse] = attrs.field(init=False, factory=dict[int, HttpResponse])
    _numbers: int = attrs.field(init=False, default=0)
    _driver: VirtualDriver = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.gateway = PolymarketUSGateway(
            self.options, rng=random.Random(self.seed), wall_ms_at_zero=WALL_MS
        )
        self._driver = VirtualDriver(self.gateway, self._take)
        self.settle()

    @property
    def now(self) -> float:
        """Seconds of the gateway's clock."""
        return self._driver.now

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

    def ask(
        self,
        path: str,
        body: Mapping[str, Any] | bytes = b"",
        *headers: tuple[str, str],
        method: str = "POST",
    ) -> int | HttpResponse:
        """Makes any request: the number of a stream, or another answer."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        lower = tuple((name.lower(), value) for name, value in headers)
        http = HttpRequest(method=method, path=path, headers=lower, body=data)
        self._numbers += 1
        number = self._numbers
        if not self.gateway.opens_stream(http):
            return self._request(number, http)
        self.gateway.handle_upgrade(number, http, now=self.now)
        self.settle()
        if number in self._refusals:
            return self._refusals[number]
        self.bodies[number] = b""
        self.gateway.handle_connected(number, now=self.now)
        self.settle()
        return number

    def open(self, channel: str = "orders", *headers: tuple[str, str], **body: Any) -> int:
        """Opens a stream of a channel and returns its number."""
        opened = self.ask(CHANNELS[channel].path, body, *headers)
        assert isinstance(opened, int), opened
        return opened

    def refused(self, channel: str = "orders", *headers: tuple[str, str], **body: Any) -> Record:
        """Asks for a stream in vain: the status, and what the body says."""
        refused = self.ask(CHANNELS[channel].path, body, *headers)
        assert isinstance(refused, HttpResponse), refused
        return {"status": refused.status, **msgspec.json.decode(refused.body, type=Record)}

    def bearer(self, secret: str = DEMO_KEY) -> tuple[str, str]:
        """The header of a fresh bearer token."""
        form = {"grant_type": "client_credentials", "client_secret": secret}
        answer = self.ask(TOKEN_PATH, form)
        assert isinstance(answer, HttpResponse)
        assert answer.status == 200, answer.body
        token = msgspec.json.decode(answer.body, type=Record)["access_token"]
        return ("Authorization", f"Bearer {token}")

    def leave(self, connection: int) -> None:
        """Ends a stream from the client's side."""
        self.gateway.handle_disconnected(connection, now=self.now)
        self.settle()

    def backlog(self, connection: int, pending_bytes: int) -> None:
        """Reports unsent bytes."""
        self.gateway.handle_backlog(connection, pending_bytes, now=self.now)
        self.settle()

    def publish(self, channel: str, **members: Any) -> str:
        """Publishes one change and returns its id."""
        name = self.gateway.publish(channel, members or None, now=self.now)
        self.settle()
        return name

    def place(self, kind: str, at: str, **parameters: Any) -> int:
        """Places a fault and returns its number."""
        number = self.gateway.place(Fault(kind=kind, at=at, **parameters))
        self.settle()
        return number

    def receipt(self, number: int = 1) -> Receipt:
        """The receipt of one fault."""
        return self.gateway.receipts()[number - 1]

    def records(self, connection: int) -> list[Record]:
        """Every record of a stream so far; `undecodable` has what is none."""
        content_type = dict(self.heads[connection].headers)["Content-Type"]
        return records_in(self.bodies[connection], content_type)

    def results(self, connection: int, kind: str | None = None) -> list[Record]:
        """What the records say that are results, of one kind or all."""
        results = [each["result"] for each in self.records(connection) if "result" in each]
        return [each for each in results if kind is None or kind in each]

    def told(self, kind: str, **members: Any) -> list[Record]:
        """The records of the truth log of a kind that have these members."""
        return [
            record
            for record in self.gateway.truth.records
            if record["kind"] == kind
            and all(record[name] == value for name, value in members.items())
        ]

    def sent(self, connection: int, how: str | None = None) -> list[str]:
        """The ids of what a stream was sent, by the truth log."""
        return [
            record["entryId"]
            for record in self.told("sent", connection=connection)
            if how in (None, record["how"])
        ]

    def _request(self, number: int, http: HttpRequest) -> HttpResponse:
        before = len(self.effects)
        self.gateway.handle_request(number, http, now=self.now)
        self.settle()
        (answer,) = [each for each in self.effects[before:] if isinstance(each, Respond)]
        return answer.response

    def _take(self, effect: Effect) -> None:
        match effect:
            case OpenStream():
                self.heads[effect.connection] = effect
            case Transmit(cut_at=None):
                assert isinstance(effect.data, bytes)
                self.bodies[effect.connection] += effect.data
            case RefuseUpgrade():
                self._refusals[effect.connection] = effect.response
            case CloseConnection() | Abort():
                self.endings[effect.connection] = effect
            case _:
                pass


def records_in(body: bytes, content_type: str) -> list[Record]:
    """A body taken apart as its content type says; a tail that is no whole record is left out."""
    if content_type == "application/connect+json":
        parts = _envelopes(body)
    elif content_type == "text/event-stream":
        events = body.replace(b"\r\n", b"\n").split(b"\n\n")[:-1]
        parts = [event.removeprefix(b"data: ") for event in events]
    else:
        parts = [line for line in body.replace(b"\r\n", b"\n").split(b"\n")[:-1] if line]
    return [_decoded(part) for part in parts]


def _envelopes(body: bytes) -> list[bytes]:
    parts: list[bytes] = []
    while len(body) >= 5:
        size = int.from_bytes(body[1:5], "big")
        if len(body) < 5 + size:
            break
        part = body[5 : 5 + size]
        parts.append(gzip.decompress(part) if body[0] & 1 else part)
        body = body[5 + size :]
    return parts


def _decoded(part: bytes) -> Record:
    try:
        return msgspec.json.decode(part, type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {"undecodable": part}
