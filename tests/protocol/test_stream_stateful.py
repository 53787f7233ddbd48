"""A stream's session against a peer, a network and an application that do as they please."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tiny_stream_gateway import Gateway, Link
from toy_stream import Stage, Toy

from lastseen import Position, Replica, ScopeKey
from lastseen.dialect import End
from lastseen.events import Gap, StateSnapshot
from lastseen.mechanisms import Mechanisms
from lastseen.options import StreamOptions
from lastseen.pages import Pages
from lastseen.progress import Progress
from lastseen.replica import ScopeImage, Unit
from lastseen.stream_dialect import Base
from lastseen.stream_messages import StreamEntry, StreamSnapshot
from lastseen.tokens import TokenKeeper

OPTIONS = StreamOptions(
    delivery_items_max=40, hold_items_max=12, identities_max=1000, commit_interval_s=0.01
)


class StreamMachine(RuleBasedStateMachine):
    """One kind of stream at a time; the truth is the gateway's."""

    stage: Stage
    gateway: Gateway

    @initialize(seed=st.integers(0, 2**32), kind=st.sampled_from(["orders", "tokens", "copy"]))
    def begin(self, seed: int, kind: str) -> None:
        self.kind = kind
        self.mechanisms = self.broken()
        self.rng = random.Random(seed)
        self.dialect = Toy(
            base=Base.NONE if kind == "copy" else Base.SNAPSHOT, has_tokens=kind != "orders"
        )
        self.gateway = Gateway(self.rng, tokens=self.dialect.has_tokens, snapshots=kind != "copy")
        self.durable: tuple[Position, dict[str, Any]] = (Position(), {})
        self.committing: dict[int, tuple[Position, dict[str, Any]]] = {}
        self.told: dict[str, int] = {}
        self.since: int | None = None
        """How much of the log is older than the first stream that anybody remembers."""
        self._start(Position(), {}, bases=())

    def _start(self, position: Position, state: dict[str, Any], bases: Any) -> None:
        self.stage = Stage(
            self.dialect,
            OPTIONS,
            mechanisms=self.mechanisms,
            seed=self.rng.randrange(1 << 30),
            takes=False,
        )
        self.stage.replica = Replica(self.dialect)
        self.stage.replica.load(_images(state))
        self.seen = 0
        self.life: set[str] = set()
        self.rejected: set[str] = set()
        self.twice = False
        self.stage.begin(position, bases)
        self._follow()

    def broken(self) -> Mechanisms:
        """The mechanisms; another machine replaces one of them."""
        return Mechanisms()

    # The peer.

    @rule(times=st.integers(1, 4))
    def trade(self, times: int) -> None:
        for _ in range(times):
            self.gateway.trade()

    @rule()
    def finish(self) -> None:
        self.gateway.finish()

    @property
    def link(self) -> Link | None:
        live = self.stage.sockets - self.stage.closing
        return next((self.gateway.links[n] for n in live if n in self.gateway.links), None)

    @precondition(lambda self: self.link)
    @rule(what=st.sampled_from(["snapshot", "repeat", "beat", "restart", "unavailable"]))
    def say(self, what: str) -> None:
        link, gateway = self.link, self.gateway
        assert link is not None
        if what == "snapshot" and gateway.snapshots:
            gateway.send_snapshot(link)
        elif what == "repeat":
            gateway.repeat(link)
        elif what == "beat":
            gateway.beat(link)
        elif what == "restart":
            gateway.restart(link)
            # Ids of another session may mean something else, so all are new (HZ-A9).
            self.twice = True
        elif what == "unavailable":
            gateway.fail(link, 14)

    # The network.

    @precondition(lambda self: self.stage.sockets - self.stage.closing and not self.link)
    @rule(refuse=st.sampled_from([0, 0, 0, 0, 400, 429, 503]))
    def answer(self, refuse: int) -> None:
        (number,) = self.stage.sockets - self.stage.closing
        self.stage.session.handle_opened(number, now=self.stage.now)
        self.stage.settle()
        token = self.stage.requests[-1][1].get("token")
        if refuse == 400 and token is None:
            refuse = 503
        link = None if refuse else self.gateway.open(number, token)
        if link is None:
            self.stage.drop(number, End(http_status=refuse or 400, reason="HTTP"))
        else:
            self.stage.answer(number)
        self._follow()

    @precondition(lambda self: self.link and self.link.queue)
    @rule(count=st.integers(1, 6), cut=st.floats(0, 1))
    def deliver(self, count: int, cut: float) -> None:
        """Some records, and the beginning of the next."""
        link = self.link
        assert link is not None
        data = b""
        whole = [link.queue.popleft() for _ in range(min(count, len(link.queue)))]
        for record in whole:
            data += record.data[len(link.partial) :]
            link.partial = b""
        if link.queue:
            link.partial = link.queue[0].data[: int(cut * len(link.queue[0].data))][:-1]
            data += link.partial
        pieces = [data[i : i + 7] for i in range(0, len(data), 7)] if cut < 0.2 else [data]
        self.stage.session.handle_frames(link.number, pieces, now=self.stage.now)
        self.stage.settle()
        if whole and self.since is None:
            self.since = link.since
        for record in whole:
            if record.base is not None:
                link.known = dict(record.base)
            for _, name, progress in record.events:
                if link.known is not None:
                    link.known[name] = max(progress, link.known.get(name, 0))
        self._follow()

    @precondition(lambda self: self.stage.sockets)
    @rule()
    def drop(self) -> None:
        self._drop()

    def _drop(self) -> None:
        for number in sorted(self.stage.sockets):
            self.gateway.links.pop(number, None)
            self.stage.drop(number)
        self._follow()

    @rule(seconds=st.sampled_from([0.1, 1.0, 20.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.stage.advance(seconds)
        for number in sorted(self.stage.closing):
            self.gateway.links.pop(number, None)
        self.stage.gone()
        self._follow()

    # The application.

    @rule(limit=st.integers(1, 50))
    def process(self, limit: int) -> None:
        self.stage.take(limit)
        self._follow()

    @rule()
    def reject(self) -> None:
        self.stage.answers = False
        given = self.stage.take(1)
        self.stage.answers = True
        if given and isinstance(given[0], StreamEntry):
            self.rejected.add(given[0].id or "")
            self.stage.session.handle_rejected(given[0], now=self.stage.now)
        elif given:
            self.stage.replica.apply(given[0])
            self.stage.session.handle_processed(given[0], now=self.stage.now)
        self.stage.settle()
        self._follow()

    @rule()
    def commit(self) -> None:
        """The store answers; what it holds is of the moment when it was asked."""
        for commit in self.stage.commits:
            self.durable = self.committing.pop(commit.commit)
            self.stage.session.handle_committed(commit.commit, now=self.stage.now)
        self.stage.commits.clear()
        self.stage.settle()
        self._follow()

    @rule()
    def crash(self) -> None:
        """The process dies, and another one starts from what is durable."""
        self.gateway.links.clear()
        self.committing.clear()
        position, state = self.durable
        bases = [ScopeKey("orders", None)] if position.tokens else []
        kept = state if position.tokens else {}
        if not position.tokens:
            # Nobody remembers that anything was ever told.
            self.told.clear()
            self.since = None
        self._start(position, kept, bases)

    def _follow(self) -> None:
        for commit in self.stage.commits:
            if commit.commit not in self.committing:
                self.committing[commit.commit] = (commit.position, self.stage.view())
        for event in self.stage.events[self.seen :]:
            if isinstance(event, StreamEntry) and event.id and not event.repeated:
                known = event.id in self.life and event.id not in self.rejected
                assert not known or self.twice, "told twice"
                self.life.add(event.id)
                self.told[event.id] = self.told.get(event.id, 0) + 1
        self.seen = len(self.stage.events)

    # The claims.

    @invariant()
    def synced_means_all_that_was_disclosed(self) -> None:
        if not hasattr(self, "stage") or self.kind == "copy":
            return
        link = self.link
        if self.stage.state == "synced":
            assert link is not None
            if link.known is not None:
                assert self._caught_up() == link.known

    def _caught_up(self) -> dict[str, Any]:
        """What the reader will hold once it has taken what waits."""
        copy = Replica(self.dialect)
        copy.load(_images(self.stage.view()))
        # A look at what waits, without taking it.
        for item in self.stage.session._delivery._queue:
            event = item
            if not isinstance(item, StreamEntry):
                say = getattr(item, "say", None)
                cell = getattr(say, "args", ())
                event = cell[0] if cell else item
            if isinstance(event, StreamEntry | StateSnapshot):
                copy.apply(event)
        return copy.state()

    @invariant()
    def the_durable_token_describes_the_durable_state(self) -> None:
        if not hasattr(self, "stage") or self.kind != "tokens":
            return
        position, state = self.durable
        if position.tokens:
            place = int(position.tokens[0][1].reveal())
            for name, progress in _truth_at(self.gateway, place).items():
                # Behind is impossible; an order that is over may be gone.
                assert name not in state or state[name] >= progress

    def teardown(self) -> None:
        """Whatever happened: left in peace, it comes right."""
        if not hasattr(self, "stage"):
            return
        self._drop()
        self.stage.takes = True
        self.stage.settle()
        for _ in range(400):
            self.stage.advance(1.0)
            for number in sorted(self.stage.closing):
                self.gateway.links.pop(number, None)
            self.stage.gone()
            if self.stage.sockets and not self.link:
                self.answer(0)
            link = self.link
            if link is not None:
                while link.queue and self.link is link:
                    self.deliver(5, 0.0)
                self.gateway.beat(link)
            self._follow()
        assert self.stage.state == ("live_only" if self.kind == "copy" else "synced")
        if self.kind != "copy":
            self.gateway.send_snapshot(self.link)  # type: ignore[arg-type]
            while self.link and self.link.queue:
                self.deliver(5, 0.0)
            assert self.stage.view() == self.gateway.orders
        elif not self.stage.told(Gap) and not self.rejected:
            assert self.since is not None
            assert {name for name, *_ in self.gateway.log[self.since :]} <= set(self.told)


def _truth_at(gateway: Gateway, place: int) -> dict[str, int]:
    state: dict[str, int] = {}
    for _, name, progress in gateway.log[:place]:
        state[name] = progress
    return state


def _images(state: dict[str, Any]) -> Any:
    units = {key: Unit(value, streamed=True) for key, value in state.items()}
    return {("orders", None): ScopeImage(unproven=False, units=units)} if units else {}


TestStream = StreamMachine.TestCase
TestStream.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


class LongStreamMachine(StreamMachine):
    """The same, for longer."""


TestStreamLong = pytest.mark.soak(LongStreamMachine.TestCase)
TestStreamLong.settings = settings(max_examples=2000, stateful_step_count=60, deadline=None)


SAYINGS = ["snapshot", "repeat", "beat", "restart", "unavailable"]
STEPS: dict[str, Any] = {
    "trade": lambda rng: {"times": rng.randint(1, 4)},
    "finish": lambda _: {},
    "wait": lambda rng: {"seconds": rng.choice([0.1, 1.0, 20.0, 200.0])},
    "process": lambda rng: {"limit": rng.randint(1, 50)},
    "commit": lambda _: {},
    "reject": lambda _: {},
    "crash": lambda _: {},
    "drop": lambda _: {},
    "say": lambda rng: {
        "what": rng.choice(["snapshot", "repeat", "beat", "restart", "unavailable"])
    },
    "answer": lambda rng: {"refuse": rng.choice([0, 0, 0, 0, 400, 429, 503])},
    "deliver": lambda rng: {"count": rng.randint(1, 6), "cut": rng.random()},
}


def play(seed: int, steps: int, machine: type[StreamMachine] = StreamMachine) -> None:
    """One random schedule, without the search for a shorter one."""
    rng = random.Random(seed)
    m = machine()
    machine.begin(m, seed=seed, kind=rng.choice(["orders", "tokens", "copy"]))
    for _ in range(steps):
        possible = ["trade", "finish", "wait", "process", "process", "commit"]
        possible += ["reject", "crash"] if rng.random() < 0.2 else []
        possible += ["say"] if m.link else []
        possible += ["answer"] * 4 if m.stage.sockets - m.stage.closing and not m.link else []
        possible += ["deliver"] * 4 if m.link and m.link.queue else []
        possible += ["drop"] if m.stage.sockets else []
        step = rng.choice(possible)
        getattr(m, step)(**STEPS[step](rng))
        m.synced_means_all_that_was_disclosed()
        m.the_durable_token_describes_the_durable_state()
    m.teardown()


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_random_schedules(first: int) -> None:
    for seed in range(first, first + 10):
        play(seed, 40)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(1000, 6000, 500))
def test_many_random_schedules(first: int) -> None:
    for seed in range(first, first + 500):
        play(seed, 60)


class _Unguarded(Progress):
    def admit(self, unit: str, progress: tuple[int, ...]) -> bool:
        super().admit(unit, progress)
        return True

    def regressing(self, units: Any) -> str | None:
        super().regressing(units)
        return None


class _PageByPage(Pages):
    def put(self, page: StreamSnapshot) -> StreamSnapshot | None:
        return msgspec.structs.replace(page, last=True)


class _AheadOfState(TokenKeeper):
    """A token that no base holds back (R2, R9)."""

    def advance(self, channel: str, entry_id: str) -> None:
        super().advance(channel, str(int(entry_id) + 1))


@pytest.mark.parametrize(
    "mechanisms",
    [
        Mechanisms(progress=_Unguarded),
        Mechanisms(pages=_PageByPage),
        Mechanisms(tokens=_AheadOfState),
    ],
    ids=["units step back", "half a snapshot", "token ahead"],
)
def test_a_session_with_one_rule_off_is_found_out(mechanisms: Mechanisms) -> None:
    machine = type("Broken", (StreamMachine,), {"broken": lambda _: mechanisms})
    with pytest.raises(AssertionError):
        _sweep(machine)


def _sweep(machine: type[StreamMachine]) -> None:
    for seed in range(400):
        play(seed, 30, machine)
