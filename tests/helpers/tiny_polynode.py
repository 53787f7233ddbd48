"""A little PolyNode and a hostile network around one session, with the truth written down.

It shares nothing with the client but the spelling of frames. `World.run` plays a random schedule,
then heals, and `verify` compares what the application was told with what happened.
"""

import random
from collections import deque
from typing import Any, NamedTuple

import attrs
from poly_stage import EPOCH_MS, Stage, block, settlement, update

from lastseen.dialects.polynode import Plan, Preset, Subscription
from lastseen.events import Gap, ItemCause, ItemChanged
from lastseen.lifecycle import ItemState
from lastseen.mechanisms import Mechanisms
from lastseen.options import HistoryOptions

__all__ = ["World"]

TIMEOUT_S = 15.0
LATENCY_S = 4.0
"""No frame travels for longer; the session's overlap must be above it."""

PLAN = Plan(snapshot_count_max=12, lookback_ms=20_000)
ASKED = (Subscription(), Subscription(preset=Preset.BLOCKS))
TYPES = {"settlements": ("settlement", "status_update"), "blocks": ("block",)}


class Moment(NamedTuple):
    """When something reached the client; `order` tells what came together apart."""

    order: int
    at: float


@attrs.define(eq=False)
class Published:
    """One event of the truth."""

    at: float
    frame: dict[str, Any]

    @property
    def channel(self) -> str:
        name: str = self.frame["type"]
        return name

    @property
    def tx(self) -> str:
        name: str = self.frame["data"].get("tx_hash", "")
        return name


@attrs.define(eq=False)
class Link:
    """The peer's side of one connection: what was granted, and what is on its way to the client."""

    number: int
    queue: deque[tuple[float, dict[str, Any], list[Published]]] = attrs.field(factory=deque)
    subscriptions: dict[str, str] = attrs.field(factory=dict)
    asked: list[tuple[float, dict[str, Any]]] = attrs.field(factory=list)
    """Requests that the peer has not looked at yet."""


@attrs.define(eq=False)
class World:
    """The peer, the network, and the session between them."""

    seed: int
    slow_application: bool = False
    mechanisms: Mechanisms = attrs.field(factory=Mechanisms)
    rng: random.Random = attrs.field(init=False)
    stage: Stage = attrs.field(init=False)
    truth: list[Published] = attrs.field(init=False, factory=list)
    link: Link | None = attrs.field(init=False, default=None)
    first_seen: dict[tuple[str, ...], Moment] = attrs.field(init=False, factory=dict)
    """When each item first reached the client, by a naive count."""
    born_confirmed: set[tuple[str, ...]] = attrs.field(init=False, factory=set)
    confirmed: dict[str, Moment] = attrs.field(init=False, factory=dict)
    """When each transaction's confirmation first reached the client."""
    claimed: dict[str, float] = attrs.field(init=False, factory=dict)
    """From when each kind of subscription owes every event, as its grant reached the client."""
    count: int = attrs.field(init=False, default=0)
    marks: set[str] = attrs.field(init=False, factory=set)
    healing: bool = attrs.field(init=False, default=False)
    grants: int = attrs.field(init=False, default=0)
    blocks: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        caps: dict[str, Any] = {"delivery_items_max": 8} if self.slow_application else {}
        self.stage = Stage(
            ASKED,
            HistoryOptions(login_timeout_s=6.0, history_timeout_s=3.0, **caps),
            dialect={"plan": PLAN},
            mechanisms=self.mechanisms,
            seed=self.seed,
            on_sent=self.hear,
        )

    # What the client says.

    def hear(self, number: int, frame: dict[str, Any]) -> None:
        link = self.link
        if link is None or link.number != number:
            return
        link.asked.append((self.stage.now, frame))

    def answer(self) -> None:
        """The peer looks at the oldest request."""
        link = self.link
        if link is None or not link.asked:
            return
        _, frame = link.asked.pop(0)
        if frame["action"] == "ping":
            self.send({"type": "pong"})
        elif frame["action"] == "unsubscribe":
            link.subscriptions.pop(frame["subscription_id"], None)
            self.send({"type": "unsubscribed", "subscription_id": frame["subscription_id"]})
        elif not self.healing and self.rng.random() < 0.05:
            self.send({"type": "error", "code": "internal", "message": "try again"})
            self.marks.add("transient error")
        else:
            self.subscribe(link, frame)

    def subscribe(self, link: Link, frame: dict[str, Any]) -> None:
        """Grants, with the history before or after, or with none at all."""
        self.grants += 1
        name = f"c:{self.grants}"
        grant = {
            "type": "subscribed", "subscription_id": name, "subscription_type": frame["type"],
            "since": self.stage.now,
        }  # fmt: skip
        past = self.history(frame)
        events = [p.frame for p in past]
        if self.rng.random() < 0.5:
            events.reverse()
        snapshot = {"type": "snapshot", "count": 0, "events": events}
        link.subscriptions[name] = frame["type"]
        style = self.rng.random()
        if not self.healing and style < 0.05:
            self.send(grant)
            self.marks.add("no history")
        elif not self.healing and style < 0.08:
            self.send(snapshot, past)
            self.marks.add("no grant")
        elif style < 0.5:
            self.send(snapshot, past)
            if self.rng.random() < 0.3:
                self.publish_something()
            self.send(grant)
            self.marks.add("history first")
        else:
            self.send(grant)
            if self.rng.random() < 0.3:
                self.publish_something()
            self.send(snapshot, past)
            self.marks.add("grant first")
        if self.rng.random() < 0.1:
            self.send(grant)
            self.marks.add("granted twice")

    def history(self, frame: dict[str, Any]) -> list[Published]:
        """What the buffer has: within the window, matching, the newest so many."""
        now_ms = EPOCH_MS + round(self.stage.now * 1000)
        since = frame.get("filters", {}).get("since", now_ms - PLAN.lookback_ms)
        since = max(since, now_ms - PLAN.lookback_ms)
        types = TYPES[frame["type"]]
        past = [p for p in self.truth if p.channel in types and p.frame["timestamp"] > since]
        return past[-PLAN.snapshot_count_max :]

    # What happens at the peer.

    def send(self, frame: dict[str, Any], told: list[Published] | None = None) -> None:
        if self.link is not None:
            self.link.queue.append((self.stage.now, frame, told or []))

    def publish(self, frame: dict[str, Any]) -> None:
        published = Published(self.stage.now, frame)
        self.truth.append(published)
        link = self.link
        wanted = link is not None and any(
            frame["type"] in TYPES[kind] for kind in link.subscriptions.values()
        )
        if wanted:
            self.send(frame, [published])
            if self.rng.random() < 0.1:
                self.send(frame, [published])
                self.marks.add("duplicate")

    def publish_something(self) -> None:
        now, roll = self.stage.now, self.rng.random()
        open_txs = [p.tx for p in self.truth[-40:] if p.channel == "settlement"]
        if roll < 0.5:
            tx = f"0x{len(self.truth):04x}"
            status = "confirmed" if self.rng.random() < 0.05 else "pending"
            self.publish(settlement(tx, at=now, status=status))
            if self.rng.random() < 0.2:
                self.publish(settlement(tx, at=now, token="2"))
                self.marks.add("several of one transaction")
        elif roll < 0.85 and open_txs:
            self.publish(update(self.rng.choice(open_txs), at=now, token=self.rng.choice("123")))
        elif roll < 0.9:
            # Its settlement comes later.
            self.publish(update(f"0x{len(self.truth) + 1:04x}", at=now))
        else:
            self.blocks += 1
            self.publish(block(f"b{self.blocks}", at=now))

    # What happens on the way.

    def deliver(self, frames: int) -> None:
        for _ in range(frames):
            if self.link is None or not self.link.queue:
                return
            _, frame, told = self.link.queue.popleft()
            if self.link.number not in self.stage.sockets:
                self.link = None
                return
            for published in sorted(told, key=lambda p: p.channel != "status_update"):
                self.note(published)
            if frame["type"] == "subscribed":
                self.claimed.setdefault(frame["subscription_type"], frame["since"])
            self.stage.hear(self.link.number, frame)
            self.forget_closed()

    def note(self, published: Published) -> None:
        """The naive count: when the client could first know what."""
        self.count += 1
        moment, tx = Moment(self.count, self.stage.now), published.tx
        if published.channel == "status_update":
            self.confirmed.setdefault(tx, moment)
        elif published.channel == "settlement":
            data = published.frame["data"]
            key = (tx, data["taker_wallet"], data["taker_token"], data["taker_side"])
            self.first_seen.setdefault(key, moment)
            if data["status"] == "confirmed":
                self.born_confirmed.add(key)

    def forget_closed(self) -> None:
        if self.link is not None and self.link.number not in self.stage.sockets:
            self.link = None

    def drop(self) -> None:
        if self.link is not None:
            number, self.link = self.link.number, None
            if number in self.stage.sockets:
                self.stage.drop(number)
                self.marks.add("drop")

    def connect(self) -> None:
        number = self.stage.dialling
        if number is None:
            return
        if not self.healing and self.rng.random() < 0.3:
            self.stage.drop(number, None, http_status=503)
            self.marks.add("refused connection")
            return
        self.link = Link(number)
        self.stage.dialling = None
        self.stage.session.handle_opened(number, now=self.stage.now)
        self.stage.drain()

    def wait(self, seconds: float) -> None:
        """Time passes, but nothing is on its way for too long."""
        end = self.stage.now + seconds
        while self.stage.now < end:
            oldest = self.link.queue[0][0] if self.link is not None and self.link.queue else end
            self.stage.wait(max(0.0, min(end, oldest + LATENCY_S) - self.stage.now))
            self.forget_closed()
            while (
                self.link is not None
                and self.link.queue
                and self.link.queue[0][0] + LATENCY_S <= self.stage.now
            ):
                self.deliver(1)

    # The schedule.

    def run(self, steps: int = 150) -> None:
        for _ in range(steps):
            self.act(self.rng.random())
        self.healing = True
        self.stage.greedy = True
        self.stage.drain()
        for _ in range(400):
            self.connect()
            self.answer()
            self.deliver(20)
            self.wait(0.5)
            if self.link is not None and self.rng.random() < 0.05:
                self.send({"type": "heartbeat", "ts": EPOCH_MS + round(self.stage.now * 1000)})
        assert not self.stage.session.status().catching_up
        assert self.stage.session.status().items.pending == 0

    def act(self, roll: float) -> None:
        if roll < 0.35:
            self.publish_something()
        elif roll < 0.55:
            self.deliver(self.rng.randrange(1, 6))
        elif roll < 0.70:
            self.answer()
        elif roll < 0.80:
            self.connect()
        elif roll < 0.93:
            self.wait(self.rng.choice((0.1, 0.5, 1.0, 3.0)))
        elif roll < 0.95:
            self.drop()
        elif roll < 0.96:
            self.drop()
            self.wait(self.rng.uniform(5, 40))
            self.marks.add("long outage")
        elif roll < 0.97 and self.link is not None and self.link.queue:
            # The tail is lost, and the connection with it.
            self.deliver(len(self.link.queue) // 2)
            self.drop()
            self.marks.add("lost in flight")
        elif roll < 0.985:
            self.send({"type": "heartbeat", "ts": EPOCH_MS + round(self.stage.now * 1000)})
        elif self.slow_application:
            self.stage.greedy = not self.stage.greedy
            self.stage.drain()

    # The verdict.

    def verify(self) -> None:
        """Nothing is told that did not happen, and nothing that did is missing without a word."""
        self.verify_items()
        self.verify_completeness()
        self.collect_marks()

    def verify_items(self) -> None:
        told: dict[tuple[str, ...], dict[str, float]] = {}
        for event, at in zip(self.stage.events, self.stage.times, strict=True):
            if isinstance(event, ItemChanged):
                told.setdefault(event.key, {})[event.state.value] = at
        assert set(told) <= set(self.first_seen)
        for key, seen in self.first_seen.items():
            outcomes = told.get(key, {})
            if self.slow_application:
                self.verify_heard(key, outcomes)
            else:
                assert outcomes == self.expected(key, seen), key

    def verify_heard(self, key: tuple[str, ...], outcomes: dict[str, float]) -> None:
        """What a slow application has heard of does not stay open."""
        if outcomes:
            assert "confirmed" in outcomes or "timed_out" in outcomes, key
            assert "confirmed" in outcomes or key[0] not in self.confirmed, key

    def expected(self, key: tuple[str, ...], seen: Moment) -> dict[str, float]:
        """By the naive count: every outcome and when it is due."""
        confirmed = self.confirmed.get(key[0])
        if key in self.born_confirmed or (confirmed is not None and confirmed < seen):
            return {"confirmed": seen.at}
        expected = {"pending": seen.at}
        if confirmed is None or confirmed.at >= seen.at + TIMEOUT_S:
            expected["timed_out"] = seen.at + TIMEOUT_S
        if confirmed is not None:
            expected["confirmed"] = confirmed.at
        return expected

    def verify_completeness(self) -> None:
        """Every event since a subscription was granted was told, or lies within a gap that was."""
        told: list[Any] = self.stage.entries
        heard = {name_of(e.channel, e.timestamp_ms, e.payload) for e in told}
        for published in self.truth:
            frame = published.frame
            kind = "blocks" if published.channel == "block" else "settlements"
            if published.at <= self.claimed.get(kind, float("inf")):
                continue
            if name_of(frame["type"], frame["timestamp"], frame["data"]) in heard:
                continue
            assert any(_covers(gap, frame["timestamp"]) for gap in self.stage.gaps), (
                published,
                self.stage.gaps,
            )
            self.marks.add("missing and told")

    def collect_marks(self) -> None:
        self.marks |= {f"gap {gap.reason.value}" for gap in self.stage.gaps}
        for event in self.stage.of(ItemChanged):
            if event.cause is ItemCause.HISTORY and event.before is not None:
                self.marks.add("outcome by history")
            if event.before is ItemState.TIMED_OUT:
                self.marks.add("late confirmation")
            if event.before is None and event.state is ItemState.CONFIRMED:
                self.marks.add("born confirmed")


def name_of(channel: str, stamp: int | None, data: dict[str, Any]) -> tuple[Any, ...]:
    """An event, by what its body says."""
    members = ("tx_hash", "token_id", "taker_token", "block_hash")
    return (channel, stamp, *(data.get(member) for member in members))


def _covers(gap: Gap, stamp: int) -> bool:
    since, until = gap.since_ms, gap.until_ms
    return (since is None or since <= stamp) and (until is None or stamp <= until)
