"""The states of a client, a gateway and the network between them, and every step from one to next.

A state is a small tuple. The client and the gateway in it are numbers: each stands for one real
session, or one real gateway, that is never touched again. What happens to one of them is played on
a copy, once: the same thing happening to the same client or gateway in another state has the same
outcome, so it is looked up. That is no abstraction, since neither can see anything of the other but
what is handed in.

What a client sends is at the gateway at once, as nothing can tell that from its being sent later.
What a gateway sends waits until it is delivered, in the order of each connection. Time passes to
the next deadline: at any moment when that is near (`LATENCY_S`), else when all is quiet.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, final

from lastseen.dialect import HttpResponse, SnapshotFault
from lastseen.mechanisms import Mechanisms
from lastseen_simulator.explore.casts import Cast
from lastseen_simulator.explore.hosts import Host
from lastseen_simulator.explore.oracle import Log, Publication
from lastseen_simulator.explore.scopes import KINDS, Bounds, Situation
from lastseen_simulator.explore.states import (
    Action,
    KeptClient,
    KeptVenue,
    Outcome,
    Socket,
    State,
    Step,
    ends,
    socket_of,
    with_socket,
)

__all__ = ["LATENCY_S", "World"]

LATENCY_S: Final = 1.0
"""Nothing is longer on its way than this, unless nothing else happens meanwhile."""

REST_S: Final = 120.0
"""What is further away than this, when all is quiet, is a sign of life and nothing else."""

GRACE_S: Final = 3.0

_CONN_ID: Final = re.compile(r'"connId":"[^"]*"')
_FAILED: Final = -2
_ASKED: Final = -1
_LOST_CODE: Final = 1006

_PUBLISH, _DROP, _CRASH, _RESTART, _NOTICE, _DEMAND, _FAILURE, _STALE = range(8)


@final
class World:
    """Makes states and steps of some situations; `mechanisms` are what the clients are made of."""

    def __init__(
        self, cast: Cast, situations: tuple[Situation, ...], mechanisms: Mechanisms | None = None
    ) -> None:
        self.cast = cast
        self.situations = situations
        self.mechanisms = mechanisms or Mechanisms()
        self.played = 0
        """Steps that were played and not looked up."""
        self.kept_clients: list[KeptClient] = []
        self.kept_venues: list[KeptVenue] = []
        self.client_ids: dict[tuple[int, bytes], int] = {}
        self._venue_ids: dict[tuple[int, bytes], int] = {}
        self._starts: dict[tuple[int, bytes], Outcome] = {}
        self._texts: list[Any] = []
        self._text_ids: dict[Any, int] = {}
        self._logs: list[Log] = [()]
        self._log_ids: dict[Log, int] = {(): 0}
        self._judged: dict[tuple[int, int], tuple[str, ...]] = {}
        self._stages: list[Any] = []
        """What the clients of each situation are told of its gateway."""

    def roots(self) -> Iterator[Step]:
        """Each situation at its beginning: a client starts, and nothing else has happened."""
        for index, situation in enumerate(self.situations):
            venue = self.cast.open(situation)
            self._stages.append(self.cast.stage(situation, venue))
            state = State(index, -1, self._keep_venue(index, venue), (), (), situation.bounds, 0, 0)
            state, problems = self._with_new_client(state, None)
            start = self._judge(("start",), state, problems)
            yield start if start.problems or situation.settled is None else self._settle(start)

    def _settle(self, step: Step) -> Step:
        """Lets a client come to rest, and then some entries reach it one by one."""
        situation = self.situations[step.state.situation]
        channel, unit = situation.units[0]
        step = self._come_to_rest(step)
        for _ in range(situation.settled or 0):
            if not step.problems:
                state = step.state._replace(left=situation.bounds._replace(publish=1))
                step = self._come_to_rest(self._publish(state, channel, unit))
        if situation.under_way and not step.problems:
            state = step.state._replace(left=situation.bounds._replace(publish=1))
            step = self._publish(state, channel, unit)
        state = step.state._replace(left=situation.bounds)
        return Step(("settle", situation.settled, situation.under_way), state, step.problems)

    def _come_to_rest(self, step: Step) -> Step:
        """Takes fault-free steps as long as there is one to take without waiting."""
        while not step.problems:
            following = self.fair_step(step.state)
            if following is None or (
                following.action[0] == "sleep" and following.action[1] > LATENCY_S
            ):
                break
            step = following
        return step

    @property
    def machines(self) -> tuple[int, int]:
        """How many distinct clients and gateways there are."""
        return len(self.kept_clients), len(self.kept_venues)

    def client(self, state: State) -> Any:
        """The client of a state, until the next step is taken; look, do not touch."""
        kept = self.kept_clients[state.client]
        return kept.host.load(kept.image)

    def venue(self, state: State) -> Any:
        """The gateway of a state; look, do not touch."""
        return self.kept_venues[state.venue].machine

    def log(self, state: State) -> Log:
        """What was published on the way to a state."""
        return self._logs[state.log]

    def text(self, number: int) -> Any:
        """A frame or an answer, by its number."""
        return self._texts[number]

    # What may happen.

    def steps(self, state: State) -> Iterator[Step]:
        """Every step from a state."""
        yield from self._environment(state)
        yield from self._trouble(state)

    def fair_step(self, state: State) -> Step | None:
        """The step that a fault-free schedule takes; None when nothing more can happen."""
        return next(self._environment(state), None)

    def is_converged(self, state: State) -> bool:
        """Whether the client is synced, says so, and is right, with nothing under way."""
        summary = self.kept_clients[state.client].summary
        return (
            not state.fetches
            and len(state.sockets) == 1
            and not state.sockets[0].items
            and self.cast.is_true(summary, self._logs[state.log])
        )

    def _environment(self, state: State) -> Iterator[Step]:
        """What happens without any fault, most urgent first."""
        client = self.kept_clients[state.client]
        drained = client.summary.drained
        if not drained:
            yield self._client_step(("take",), state, ("take",))
        if client.staged:
            yield self._client_step(("commit",), state, ("committed",))
        waiting = False
        for socket in state.sockets:
            if socket.items:
                waiting = True
                yield self._deliver(state, socket)
            elif socket.line == 0:
                waiting = True
                yield self._open(state, socket)
        for fetch in state.fetches:
            waiting = True
            if fetch[2] == _ASKED:
                yield self._serve(state, fetch, ("serve", fetch[0]), stale=False)
            else:
                yield self._answer(state, fetch)
        quiet = drained and not client.staged and not waiting
        moments = [
            each
            for each in (client.deadline, self.kept_venues[state.venue].deadline)
            if each is not None
        ]
        if moments and min(moments) <= (REST_S if quiet else LATENCY_S):
            step = self._sleep(state, min(moments))
            if step.state != state:
                yield step

    def _trouble(self, state: State) -> Iterator[Step]:
        situation = self.situations[state.situation]
        left = state.left
        if left.publish:
            for channel, unit in situation.units:
                if not situation.once or not self._versions(state, channel, unit):
                    yield self._publish(state, channel, unit)
        if not left.faults:
            return
        if left.drop:
            for socket in state.sockets:
                if not socket.deaf:
                    yield self._drop(state, socket)
        if left.crash:
            yield from self._crashes(state)
        if left.restart:
            spent = self._spend(state, _RESTART)
            yield self._venue_step(("restart",), spent, ("restart",))
        lines = self.kept_venues[state.venue].lines
        if left.notice and lines:
            spent = self._spend(state, _NOTICE)
            yield self._venue_step(("notice",), spent, ("notice", GRACE_S))
        if left.demand:
            for line in lines:
                spent = self._spend(state, _DEMAND)
                yield self._venue_step(("demand", line), spent, ("demand", line))
        for fetch in state.fetches:
            if left.failure and fetch[2] == _ASKED:
                spent = self._spend(state, _FAILURE)
                changed = self._with_answer(spent, fetch, _FAILED)
                yield self._judge(("fail", fetch[0]), changed)
            if left.stale and fetch[2] == _ASKED:
                spent = self._spend(state, _STALE)
                yield self._serve(spent, fetch, ("serve stale", fetch[0]), stale=True)

    # Each of them.

    def _deliver(self, state: State, socket: Socket) -> Step:
        item, rest = socket.items[0], socket.items[1:]
        action = ("deliver", socket.number, item)
        if item < 0:
            state = state._replace(
                sockets=tuple(each for each in state.sockets if each.number != socket.number)
            )
            code = -item if -item != _LOST_CODE else None
            return self._client_step(action, state, ("closed", socket.number, code))
        state = with_socket(state, socket._replace(items=rest))
        return self._client_step(action, state, ("frame", socket.number, item))

    def _open(self, state: State, socket: Socket) -> Step:
        line = state.lines + 1
        state = with_socket(state._replace(lines=line), socket._replace(line=line))
        state = self._play_venue(state, ("connected", line))
        return self._client_step(("open", socket.number), state, ("opened", socket.number))

    def _serve(
        self, state: State, fetch: tuple[int, int, int], action: Action, *, stale: bool
    ) -> Step:
        kept, outs = self._venue_outcome(state, ("request", fetch[1], stale))
        state = self._with_answer(state._replace(venue=kept), fetch, self._number(outs[0]))
        return self._judge(action, state)

    def _answer(self, state: State, fetch: tuple[int, int, int]) -> Step:
        state = state._replace(fetches=tuple(each for each in state.fetches if each != fetch))
        return self._client_step(
            ("answer", fetch[0], fetch[2]), state, ("answered", fetch[0], fetch[2])
        )

    def _sleep(self, state: State, seconds: float) -> Step:
        state = self._play_venue(state, ("tick", seconds))
        return self._client_step(("sleep", round(seconds, 3)), state, ("sleep", seconds))

    def _publish(self, state: State, channel: str, unit: str) -> Step:
        name = self.cast.unit(self._stages[state.situation], channel, unit)
        version = 1 + self._versions(state, channel, unit)
        kept, outs = self._venue_outcome(state, ("publish", channel, unit, version))
        log = (*self._logs[state.log], Publication(channel, name, version, outs[-1]))
        number = self._log_ids.setdefault(log, len(self._logs))
        if number == len(self._logs):
            self._logs.append(log)
        state = self._spend(state, _PUBLISH)._replace(venue=kept, log=number)
        state = self._carry(state, outs[:-1])
        return self._judge(("publish", channel, unit, version), state)

    def _versions(self, state: State, channel: str, unit: str) -> int:
        """How often a unit has been published."""
        name = self.cast.unit(self._stages[state.situation], channel, unit)
        return sum(each.unit == name for each in self._logs[state.log])

    def _drop(self, state: State, socket: Socket) -> Step:
        state = self._spend(state, _DROP)
        if socket.line:
            state = self._play_venue(state, ("gone", socket.line))
        state = state._replace(
            sockets=tuple(each for each in state.sockets if each.number != socket.number)
        )
        return self._client_step(("drop", socket.number), state, ("closed", socket.number, None))

    def _crashes(self, state: State) -> Iterator[Step]:
        for name, disk in self.kept_clients[state.client].disks:
            after = self._spend(state, _CRASH)
            for socket in after.sockets:
                if socket.line and not socket.deaf:
                    after = self._play_venue(after, ("gone", socket.line))
            after = after._replace(sockets=(), fetches=())
            after, problems = self._with_new_client(after, disk)
            yield self._judge((name,), after, problems)

    def _with_new_client(self, state: State, disk: Any) -> tuple[State, tuple[str, ...]]:
        """What a client does at its start depends on what it finds, and on nothing else."""
        key = state.situation, self.cast.client_prints.of(disk, now=0.0)
        known = self._starts.get(key)
        if known is None:
            client = self.cast.start(self._stages[state.situation], self.mechanisms, disk)
            host = Host(client, self.cast.client_copier)
            known = self._starts[key] = self._keep_client(state.situation, host)
        return self._obey(state._replace(client=known[0]), known[1]), known[2]

    # The two machines.

    def _client_step(self, action: Action, state: State, what: tuple[Any, ...]) -> Step:
        kept = self.kept_clients[state.client]
        known = kept.done.get(what)
        if known is None:
            known = kept.done[what] = self._play_client(state.situation, kept, what)
        return self._judge(action, self._obey(state._replace(client=known[0]), known[1]), known[2])

    def _play_client(self, situation: int, kept: KeptClient, what: tuple[Any, ...]) -> Outcome:
        self.played += 1
        client = kept.host.load(kept.image)
        match what:
            case ("frame", number, item):
                client.frame(number, self._texts[item])
            case ("answered", fetch, item):
                client.answered(fetch, _FAULT if item == _FAILED else self._texts[item])
            case (name, *arguments):
                getattr(client, name)(*arguments)
            case _:
                raise AssertionError(what)
        client.work()
        return self._keep_client(situation, kept.host)

    def _keep_client(self, situation: int, host: Host) -> Outcome:
        client = host.machine
        outs, problems = tuple(client.out), tuple(client.witness.problems)
        # Emptied and not replaced, so that the host finds them where they were.
        client.out.clear()
        client.witness.problems.clear()
        key = situation, self.cast.client_prints.of(client, now=client.now)
        number = self.client_ids.setdefault(key, len(self.kept_clients))
        if number == len(self.kept_clients):
            disks = [("crash", client.disk)]
            if client.staged is not None:
                disks.append(("crash after the commit", client.staged[1]))
            self.kept_clients.append(
                KeptClient(
                    host,
                    host.save(),
                    client.deadline(),
                    client.summary(self.situations[situation].channels),
                    tuple(disks),
                )
            )
        return number, outs, problems

    def _play_venue(self, state: State, what: tuple[Any, ...]) -> State:
        kept, outs = self._venue_outcome(state, what)
        return self._carry(state._replace(venue=kept), outs)

    def _venue_step(self, action: Action, state: State, what: tuple[Any, ...]) -> Step:
        return self._judge(action, self._play_venue(state, what))

    def _venue_outcome(self, state: State, what: tuple[Any, ...]) -> tuple[int, tuple[Any, ...]]:
        kept = self.kept_venues[state.venue]
        known = kept.done.get(what)
        if known is None:
            self.played += 1
            venue = self.cast.venue_copier.copy(kept.machine)
            extra: tuple[Any, ...] = ()
            match what:
                case ("request", number, stale):
                    extra = (self._responses(venue, number, stale=stale),)
                case ("frame", line, number):
                    venue.frame(line, self._texts[number])
                case ("publish", channel, unit, version):
                    extra = (tuple(venue.publish(channel, unit, version)),)
                case (name, *arguments):
                    getattr(venue, name)(*arguments)
                case _:
                    raise AssertionError(what)
            outs = tuple(self._numbered(each) for each in venue.out)
            venue.out = []
            known = kept.done[what] = (
                self._keep_venue(state.situation, venue), (*outs, *extra), ()
            )  # fmt: skip
        return known[0], known[1]

    def _keep_venue(self, situation: int, venue: Any) -> int:
        key = situation, self.cast.venue_prints.of(venue, now=venue.now)
        number = self._venue_ids.setdefault(key, len(self.kept_venues))
        if number == len(self.kept_venues):
            self.kept_venues.append(KeptVenue(venue, venue.deadline(), venue.logged_in()))
        return number

    def _responses(self, venue: Any, number: int, *, stale: bool) -> tuple[HttpResponse, ...]:
        answers: list[HttpResponse] = []
        for request in self._texts[number]:
            response = venue.request(request, stale=stale)
            headers = tuple((name.lower(), value) for name, value in response.headers)
            answers.append(
                HttpResponse(status=response.status, headers=headers, body=response.body)
            )
        return tuple(answers)

    # The network between them.

    def _obey(self, state: State, outs: tuple[Any, ...]) -> State:
        """Does what the client wants of the network."""
        for out in outs:
            match out:
                case ("connect", number):
                    socket = Socket(number, 0, (), deaf=False)
                    state = state._replace(sockets=(*state.sockets, socket))
                case ("send", number, text):
                    state = self._send(state, socket_of(state, number), text)
                case ("close", number, abandon):
                    state = self._close(state, socket_of(state, number), abandon=abandon)
                case ("fetch", fetch, requests):
                    asked = (fetch, self._number(requests), _ASKED)
                    state = state._replace(fetches=(*state.fetches, asked))
                case ("cancel", fetch):
                    rest = tuple(each for each in state.fetches if each[0] != fetch)
                    state = state._replace(fetches=rest)
                case _:
                    raise AssertionError(out)
        return state

    def _send(self, state: State, socket: Socket | None, text: Any) -> State:
        if socket is None or not socket.line or ends(socket):
            return state
        state = self._play_venue(state, ("frame", socket.line, self._number(text)))
        poisoned = self.situations[state.situation].poison and self.cast.resumes(text)
        after = socket_of(state, socket.number)
        if poisoned and after is not None and not ends(after):
            state = self._play_venue(state, ("gone", socket.line))
            state = with_socket(state, after._replace(items=(after.items[0], -_LOST_CODE)))
        return state

    def _close(self, state: State, socket: Socket | None, *, abandon: bool) -> State:
        """What is under way still arrives, unless the client does not wait for it."""
        if socket is None:
            return state
        if not ends(socket) and socket.line:
            state = self._play_venue(state, ("gone", socket.line))
        if abandon or not socket.line:
            items: tuple[int, ...] = (-_LOST_CODE,)
        else:
            items = socket.items if ends(socket) else (*socket.items, -_LOST_CODE)
        return with_socket(state, socket._replace(items=items, deaf=True, line=socket.line or -1))

    def _carry(self, state: State, outs: tuple[Any, ...]) -> State:
        """Puts what the gateway sends on its way."""
        for kind, line, item in outs:
            for socket in state.sockets:
                if socket.line == line and not ends(socket):
                    put = item if kind == "transmit" else -item
                    state = with_socket(state, socket._replace(items=(*socket.items, put)))
        return state

    def _numbered(self, out: tuple[Any, ...]) -> tuple[Any, ...]:
        kind, line, what = out
        return (kind, line, self._number(what)) if kind == "transmit" else out

    def _number(self, thing: Any) -> int:
        """Frames that differ in nothing but the name of their connection are the same."""
        key = _CONN_ID.sub("", thing) if isinstance(thing, str) else thing
        number = self._text_ids.setdefault(key, len(self._texts))
        if number == len(self._texts):
            self._texts.append(thing)
        return number

    def _with_answer(self, state: State, fetch: tuple[int, int, int], answer: int) -> State:
        return state._replace(
            fetches=tuple(
                (each[0], each[1], answer) if each == fetch else each for each in state.fetches
            )
        )

    def _spend(self, state: State, kind: int) -> State:
        left = list(state.left)
        left[kind] -= 1
        if kind != _PUBLISH:
            left[KINDS.index("faults")] -= 1
        return state._replace(left=Bounds(*left))

    def _judge(self, action: Action, state: State, problems: tuple[str, ...] = ()) -> Step:
        key = state.client, state.log
        found = self._judged.get(key)
        if found is None:
            summary, log = self.kept_clients[state.client].summary, self._logs[state.log]
            situation = self.situations[state.situation]
            found = self._judged[key] = tuple(self.cast.judge(summary, log, situation))
        return Step(action, state, (*problems, *found))


_FAULT: Final = SnapshotFault(reason="the request failed")
