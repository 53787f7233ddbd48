"""A session and a gateway joined by a network, in one virtual time: no sockets, no event loop.

The gateway is the real one, on its workbench; the session, its application and its network are the
driver's. Frames and requests take their time on the way, and nothing else passes time.
"""

import heapq
import random
from collections.abc import Callable
from functools import partial

import attrs
from driving import KEY, Driver, Fetch, Socket, Violation

from lastseen.dialect import End, HttpResponse
from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.effects import Request
from lastseen.replica import Replica
from lastseen.secret import Secret
from lastseen_simulator.effects import Abort, CloseConnection, HttpRequest, Transmit
from lastseen_simulator.gateway.bench import Bench
from lastseen_simulator.gateway.core import Gateway
from lastseen_simulator.gateway.options import GatewayOptions
from lastseen_simulator.truth import Record
from lastseen_simulator.verdict import compare

__all__ = ["Venue"]

Act = Callable[[], None]

ALL_STEPS = 10_000_000
"""Far more than any test takes: a loop that makes no headway must end."""


@attrs.define(eq=False, kw_only=True)
class Venue(Driver):
    """The application finishes every event in the step that brings it.

    `path_s` is the way to the gateway or back, `spread_s` how much longer a request may take than
    another one, `rest_s` how long an answer takes to arrive. `broken` fixtures have an answer of
    their own instead of their odds.
    """

    channels: tuple[str, ...] = ("fixtures", "scores", "odds", "bookmakers")
    now: float = 0.0
    gateway: GatewayOptions
    path_s: float = 0.02
    spread_s: float = 0.0
    rest_s: float = 0.15
    broken: dict[str, HttpResponse] = attrs.field(factory=dict[str, HttpResponse])
    bench: Bench = attrs.field(init=False)
    _lines: dict[int, int] = attrs.field(init=False, factory=dict[int, int])
    """The gateway's number of each socket, once it has got there."""
    _spread: random.Random = attrs.field(init=False)
    _arrivals: list[tuple[float, int, Act]] = attrs.field(
        init=False, factory=list[tuple[float, int, Act]]
    )
    _order: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.bench = Bench(self.gateway, self.seed, self.now)
        self._spread = random.Random(self.seed)

    def empty_replica(self) -> Replica:
        return Replica(OddsPapi(subscription=Subscription(channels=self.channels), key=Secret(KEY)))

    # Time.

    def pass_time(self, seconds: float) -> None:
        """Lets virtual time pass; whatever is due on the way happens in its order."""
        end = self.now + seconds
        for _ in range(ALL_STEPS):
            moment, act = self._soonest()
            if moment > end:
                break
            self.now = self.bench.now = max(self.now, moment)
            self.step(act)
        else:
            raise Violation("no headway")
        self.now = self.bench.now = end

    def step(self, act: Act) -> None:
        """One thing happens, and everybody reacts to it at once."""
        act()
        self._carry()
        self.finish_all()
        self.commit_done()
        self.seen()

    def seen(self) -> None:
        """A hook for judges: a step is over."""

    def operate(self, act: Callable[[Gateway], object]) -> None:
        """The operator of the gateway does something."""

        def do() -> None:
            act(self.bench.gateway)
            self.bench.settle()

        self.step(do)

    def _soonest(self) -> tuple[float, Act]:
        moments = [(moment, 0, self._arrive) for moment, _, _ in self._arrivals[:1]]
        deadline = self.bench.gateway.poll_deadline()
        if deadline is not None:
            moments.append((deadline[0], 1, self.bench.settle))
        moment, act = self._next()
        if moment is not None:
            moments.append((moment, 2, act))
        moment, _, act = min(moments, key=lambda item: item[:2], default=(float("inf"), 0, act))
        return moment, act

    def _arrive(self) -> None:
        heapq.heappop(self._arrivals)[2]()

    def _later(self, seconds: float, act: Act) -> None:
        self._order += 1
        heapq.heappush(self._arrivals, (self.now + seconds, self._order, act))

    # The network, to the gateway.

    def check(self) -> None:
        for number, socket in self.sockets.items():
            if socket.state == "connecting" and number not in self._lines:
                self._lines[number] = 0
                self._later(self.path_s, partial(self._reach, number))
            elif socket.state == "closing" and number in self._lines:
                self._later(self.path_s, partial(self.bench.leave, self._lines.pop(number)))

    def _reach(self, number: int) -> None:
        self._lines[number] = self.bench.connect()
        self._later(self.path_s, partial(self._if_there, number, self.open))

    def _if_there(self, number: int, act: Callable[[], object]) -> None:
        socket = self.sockets.get(number)
        if socket is not None and socket.state in ("connecting", "open"):
            act()

    def _sent(self, socket: Socket, text: str) -> None:
        super()._sent(socket, text)
        self._later(self.path_s, partial(self.bench.send, self._lines[socket.number], text))

    def fetch_began(self, fetch: Fetch) -> None:
        self._ask(fetch, ())

    def _ask(self, fetch: Fetch, answers: tuple[HttpResponse, ...]) -> None:
        """The requests of a fetch follow each other, until one is refused."""

        def serve() -> None:
            answer = self._answer(fetch.requests[len(answers)], fetch.fixture)
            self._later(self.rest_s, lambda: self._take_answer(fetch, (*answers, answer)))

        self._later(self.path_s + self._spread.uniform(0.0, self.spread_s), serve)

    def _answer(self, request: Request, fixture: str | None) -> HttpResponse:
        query = tuple(
            (name, value.reveal() if isinstance(value, Secret) else value)
            for name, value in request.query
        )
        http = HttpRequest(method="GET", path=f"/en{request.path}", query=query)
        response = self.bench.request(http)
        if fixture in self.broken:
            return self.broken[fixture]
        return HttpResponse(
            status=response.status,
            headers=tuple((name.lower(), value) for name, value in response.headers),
            body=response.body,
        )

    def _take_answer(self, fetch: Fetch, answers: tuple[HttpResponse, ...]) -> None:
        if fetch.number not in self.fetches:
            return
        if answers[-1].status == 200 and len(answers) < len(fetch.requests):
            self._ask(fetch, answers)
        else:
            self.respond(fetch, answers)

    # The network, from the gateway.

    def _carry(self) -> None:
        """What the gateway has done is on its way."""
        sockets = {line: number for number, line in self._lines.items()}
        for effect in self.bench.effects:
            match effect:
                case Transmit() if effect.connection in sockets:
                    number = sockets[effect.connection]
                    arrive = partial(self.give, number, [effect.data])
                    self._later(self.path_s, partial(self._if_there, number, arrive))
                case CloseConnection() | Abort() if effect.connection in sockets:
                    number = sockets[effect.connection]
                    code = effect.code if isinstance(effect, CloseConnection) else 1006
                    arrive = partial(self.drop, number, End(code=code))
                    self._later(self.path_s, partial(self._if_there, number, arrive))
                case _:
                    pass
        self.bench.effects.clear()
        for frames in self.bench.frames.values():
            frames.clear()

    # What is seen.

    def requests_since(self, moment: float, path: str = "/en/fixtures/odds") -> list[Record]:
        """What the gateway was asked, by its own log."""
        return [
            record
            for record in self.bench.gateway.truth.records
            if record["kind"] == "request" and record["path"] == path and record["at"] >= moment
        ]

    def differences(self) -> dict[str, str]:
        """Where the application's state is not the truth, by channel."""
        truth = self.bench.gateway.truth.state()
        found = compare(self.replica.state(), truth, self.channels)
        return {one.channel: one.difference for one in found if one.difference is not None}
