"""The bare session of a stream over HTTP as a client: no sockets, no processes."""

import random
from functools import partial
from typing import Any, Final, final

import attrs

from lastseen.dialect import End
from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen.dialects.polymarket_us.streams import STREAMS
from lastseen.effects import Close, Commit, Connect, Effect, Subscribe
from lastseen.errors import PayloadError
from lastseen.events import Entry, Event, Proof, StatusChanged
from lastseen.options import StreamOptions
from lastseen.replica import Replica
from lastseen.secret import Secret
from lastseen.states import ScopeState
from lastseen.status import worst
from lastseen.stream_session import StreamSession
from lastseen_conformance.drivers.disk import Kept
from lastseen_conformance.drivers.in_process import SessionClient, revealed
from lastseen_conformance.drivers.network import LATENCY_S
from lastseen_simulator import effects as gateway
from lastseen_simulator.command._tail_claims import Claim

__all__ = ["Answer", "PolymarketUSClient"]

_COLD: Final = Claim(ScopeState.COLD, Proof.UNPROVEN)


@final
@attrs.define(eq=False)
class Answer:
    """The client's end of one connection: one request, and its answer."""

    client: "PolymarketUSClient"
    number: int
    wire: int = 0
    over: bool = False

    def opened(self, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """The head of the answer came."""
        self.client.answered(self.number, dict(headers).get("Content-Type"))

    def refused(self, response: gateway.HttpResponse | None) -> None:
        """There is no stream; None when nobody listens."""
        if response is None:
            self._end(End(reason="refused"))
        elif response.status == 200:
            self.opened(response.headers)
            self.received(response.body)
            self._end(End(reason="the body is over"))
        else:
            after = dict(response.headers).get("Retry-After")
            seconds = None if after is None else float(after)
            self._end(
                End(
                    http_status=response.status,
                    retry_after_s=seconds,
                    words=response.body.decode(errors="replace"),
                )
            )

    def received(self, data: str | bytes) -> None:
        """A piece of the body came."""
        if not self.over:
            self.client.hear(self.number, data)

    def ended(self, code: int | None, reason: str) -> None:
        """The body is over, well when there is a code."""
        self._end(End(reason=reason or ("cut" if code is None else "over")))

    def _end(self, end: End) -> None:
        if not self.over:
            self.over = True
            self.client.answers.pop(self.number, None)
            self.client.lose(self.number, end)


@attrs.define(eq=False)
class PolymarketUSClient(SessionClient[StreamSession]):
    """A session of one stream, a replica, and a disk that keeps token and state, or neither."""

    replica: Replica = attrs.field(init=False)
    answers: dict[int, Answer] = attrs.field(init=False, factory=dict[int, Answer])
    _kept: Kept = attrs.field(init=False)
    _told: Claim = attrs.field(init=False, default=_COLD)
    _said: Claim = attrs.field(init=False, default=_COLD)

    def __attrs_post_init__(self) -> None:
        (name,) = self.channels
        stream = Stream(name)
        account = self.account if STREAMS[stream].of_account else None
        dialect = PolymarketUS(subscription=Subscription(stream=stream, account=account))
        options = StreamOptions(
            report_discarded=True,
            report_commits=self.disk is not None,
            **self._options(StreamOptions),
        )
        self.session = StreamSession(
            dialect,
            random.Random(self.seed),
            options,
            mechanisms=self.mechanisms,
            key=Secret(self.key),
        )
        # A change of the oldest page says a part of an order.
        self.replica = Replica(dialect, keep_omitted=stream is Stream.ORDERS, tracked=True)
        self._kept = Kept(self.replica, self.disk)

    def begin(self) -> None:
        """Starts, from what the disk has."""
        self._tell(self._lines.opening())
        position, bases = self._kept.load()
        if self.disk is not None:
            self._tell(self._lines.restored("disk", position, len(self.replica)))
        self.step(lambda s, now: s.handle_begin(position, bases, now=now))

    def answered(self, connection: int, content_type: str | None) -> None:
        """The head of a success came."""
        self.step(lambda s, now: s.handle_answered(connection, content_type, now=now))

    def written(self, effect: Subscribe) -> gateway.HttpRequest:
        """A request as it goes on the wire."""
        request = effect.request
        return gateway.HttpRequest(
            method="POST",
            path=request.path,
            headers=tuple((name.lower(), value) for name, value in revealed(request.headers)),
            body=request.body.reveal().encode(),
        )

    def state(self) -> dict[str, Any]:
        """The replica's."""
        return self.replica.state()

    def die(self) -> None:
        """Nothing of it acts any more, and its connections are gone."""
        super().die()
        for answer in list(self.answers.values()):
            answer.over = True
            self.network.hang_up(answer.wire)
        self.answers.clear()

    def _take(self, event: Event) -> None:
        now = self.clock.now
        if isinstance(event, Entry):
            try:
                self.replica.dialect.units(event)
            except PayloadError:
                self.session.handle_rejected(event, now=now)
                self._drain()
                return
        self.replica.apply(event)
        self._tell(self._lines.event(event, epoch=None, at=now))
        if isinstance(event, StatusChanged):
            self._told = Claim(event.state, event.proof)
            self._say_claims()
        self.session.handle_processed(event, now=now)
        self._drain()

    def _say_claims(self) -> None:
        """The worse of what was told by events and what the session says now."""
        status = self.session.status()
        proven = self._told.proof is Proof.PROVEN and status.proof is Proof.PROVEN
        claim = Claim(
            worst([self._told.state, status.state]), Proof.PROVEN if proven else Proof.UNPROVEN
        )
        if claim != self._said:
            self._said = claim
            self._tell(self._lines.claim(status.channel, claim, at=self.clock.now))

    def _do(self, effect: Effect) -> None:
        match effect:
            case Connect():
                self._connect(effect.connection)
            case Subscribe():
                self._subscribe(effect)
            case Close():
                self._close(effect)
            case Commit():
                self._commit(effect)
            case _:
                raise AssertionError(f"a stream wants no {type(effect).__name__}")

    def _connect(self, number: int) -> None:
        answer = self.answers[number] = Answer(self, number)
        if self.network.listens:
            act = partial(self.step, lambda s, now: s.handle_opened(number, now=now))
        else:
            act = partial(answer.refused, None)
        self.clock.after(LATENCY_S, lambda: None if answer.over else act())

    def _subscribe(self, effect: Subscribe) -> None:
        answer = self.answers.get(effect.connection)
        if answer is not None:
            answer.wire = self.network.ask_stream(self.written(effect), answer)

    def _close(self, effect: Close) -> None:
        answer = self.answers.pop(effect.connection, None)
        if answer is None or answer.over:
            return
        answer.over = True
        self.network.hang_up(answer.wire)
        end = End(reason=effect.reason)
        self.clock.after(
            LATENCY_S,
            lambda: self.step(lambda s, now: s.handle_closed(effect.connection, end, now=now)),
        )

    def _commit(self, effect: Commit) -> None:
        image = self._kept.image()

        def durable() -> None:
            if self.alive:
                self._kept.write(effect.position, image)
                self.step(lambda s, now: s.handle_committed(effect.commit, now=now))

        self.clock.after(LATENCY_S, durable)
