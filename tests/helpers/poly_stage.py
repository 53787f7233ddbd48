"""A session with histories on a stage: virtual time, a peer by hand, a lagging application."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from lastseen.dialect import End
from lastseen.dialects.polynode import PolyNode, Subscription
from lastseen.dialects.polynode.inflate import deflate
from lastseen.effects import Close, Connect, Effect, Ping, Send
from lastseen.events import Anomaly, AnomalyCode, Entry, Event, Gap, HistoryApplied, ItemChanged
from lastseen.history_session import HistorySession
from lastseen.mechanisms import Mechanisms
from lastseen.options import HistoryOptions
from lastseen.secret import Secret
from lastseen.status import SubscriptionState

__all__ = ["EPOCH_MS", "KEY", "Stage", "block", "settlement", "update"]

KEY = "pn_live_0123456789abcdef"
EPOCH_MS = 1_790_000_000_000
"""The peer's clock when ours is at 0."""

TIMED_OUT, CONFIRMED, PENDING = "timed_out", "confirmed", "pending"


def settlement(tx: str, *, at: float = 0.0, status: Any = "pending", token: str = "1",
               wallet: str = "0xa1", **more: Any) -> dict[str, Any]:  # fmt: skip
    stamp = EPOCH_MS + round(at * 1000)
    data = {
        "event_type": "settlement", "tx_hash": tx, "status": status, "detected_at": stamp,
        "block_number": None, "taker_wallet": wallet, "taker_token": token, "taker_side": "BUY",
        "taker_price": 0.41, "taker_size": 120.5, "trades": [], **more,
    }  # fmt: skip
    return {"type": "settlement", "timestamp": stamp, "data": data}


def update(tx: str, *, at: float = 0.0, token: str = "1", **more: Any) -> dict[str, Any]:
    stamp = EPOCH_MS + round(at * 1000)
    data = {
        "event_type": "status_update", "tx_hash": tx, "token_id": token, "block_number": 9,
        "confirmed_at": stamp, "pending_detected_at": stamp - 3050, "latency_ms": 3050, **more,
    }  # fmt: skip
    return {"type": "status_update", "timestamp": stamp, "data": data}


def block(name: str, *, at: float = 0.0, **more: Any) -> dict[str, Any]:
    stamp = EPOCH_MS + round(at * 1000)
    data = {"event_type": "block", "block_hash": name, "timestamp": stamp, **more}
    return {"type": "block", "timestamp": stamp, "data": data}


@attrs.define(eq=False)
class Stage:
    """Feeds one `HistorySession` by hand; after every step its laws are checked.

    `greedy` lets the application take and finish everything at once, `polite` lets sockets close as
    soon as we ask, `lively` answers WebSocket pings.
    """

    subscriptions: tuple[Subscription, ...] = (Subscription(),)
    options: HistoryOptions = attrs.field(factory=HistoryOptions)
    greedy: bool = True
    polite: bool = True
    lively: bool = True
    seed: int = 1
    dialect: dict[str, Any] = attrs.field(factory=dict[str, Any])
    mechanisms: Mechanisms = attrs.field(factory=Mechanisms)
    now: float = 0.0
    on_sent: Callable[[int, dict[str, Any]], None] | None = None
    session: HistorySession = attrs.field(init=False)
    events: list[Event] = attrs.field(init=False, factory=list[Event])
    times: list[float] = attrs.field(init=False, factory=list[float])
    """When each event was taken."""
    sent: list[dict[str, Any]] = attrs.field(init=False, factory=list[dict[str, Any]])
    sent_at: list[float] = attrs.field(init=False, factory=list[float])
    connects: list[tuple[float, int]] = attrs.field(init=False, factory=list[tuple[float, int]])
    closes: list[Close] = attrs.field(init=False, factory=list[Close])
    pings: list[float] = attrs.field(init=False, factory=list[float])
    dialling: int | None = attrs.field(init=False, default=None)
    sockets: set[int] = attrs.field(init=False, factory=set[int])
    _told: set[Any] = attrs.field(init=False, factory=set[Any])
    _grants: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        asked = {"subscriptions": self.subscriptions, "key": Secret(KEY), **self.dialect}
        self.session = HistorySession(
            PolyNode(**asked), random.Random(self.seed), self.options, self.mechanisms
        )
        self.session.handle_begin(now=self.now)
        self.drain()

    # What happens.

    def open(self) -> int:
        """The next connection opens, when it is wanted."""
        end = self.now + 7200
        while self.dialling is None:
            deadline = self.session.poll_deadline()
            assert deadline is not None, "nothing is armed"
            assert deadline.at <= end, "no connection is wanted in time"
            self.step(deadline.at)
        number, self.dialling = self.dialling, None
        self.session.handle_opened(number, now=self.now)
        self.drain()
        return number

    def join(self, *events: dict[str, Any]) -> int:
        """Opens, and answers every subscribe with a grant and a history of these events."""
        number = self.open()
        self.grant(number, *events)
        return number

    def grant(self, number: int, *events: dict[str, Any]) -> None:
        """Answers subscribes for as long as one is due."""
        answered = 0
        while self.session._subscriptions.asks.in_flight is not None:  # pyright: ignore[reportPrivateUsage]
            if self.sent[-1]["action"] == "unsubscribe":
                self.hear(number, self.unsubscribed(self.sent[-1].get("subscription_id")))
            else:
                self.hear(number, self.subscribed(), self.snapshot(*events))
            answered += 1
            assert answered < 100

    def subscribed(self, name: str | None = None, **more: Any) -> dict[str, Any]:
        self._grants += 1
        return {
            "type": "subscribed", "subscriber_id": "c", "subscription_type": "settlements",
            "subscription_id": name or f"c:{self._grants}", **more,
        }  # fmt: skip

    @staticmethod
    def unsubscribed(name: str | None) -> dict[str, Any]:
        frame = {"type": "unsubscribed", "subscriber_id": "c", "subscription_id": name}
        return {key: value for key, value in frame.items() if value is not None}

    @staticmethod
    def snapshot(*events: dict[str, Any]) -> dict[str, Any]:
        return {"type": "snapshot", "count": len(events), "events": list(events)}

    @staticmethod
    def error(code: str | None, message: str = "no") -> dict[str, Any]:
        return {"type": "error", "code": code, "message": message}

    def heartbeat(self) -> dict[str, Any]:
        return {"type": "heartbeat", "ts": self.server_ms}

    @property
    def server_ms(self) -> int:
        return EPOCH_MS + round(self.now * 1000)

    def hear(self, number: int, *frames: dict[str, Any] | str | bytes) -> None:
        raw = [json.dumps(f) if isinstance(f, dict) else f for f in frames]
        self.session.handle_frames(number, raw, now=self.now)
        self.drain()

    def hear_deflated(self, number: int, *frames: dict[str, Any]) -> None:
        self.hear(number, *(deflate(json.dumps(frame).encode()) for frame in frames))

    def drop(self, number: int, code: int | None = 1006, **end: Any) -> None:
        if self.dialling == number:
            self.dialling = None
        self.sockets.discard(number)
        self.session.handle_closed(number, End(code=code, **end), now=self.now)
        self.drain()

    def wait(self, seconds: float) -> None:
        """Time passes; every deadline on the way is kept."""
        end = self.now + seconds
        while (deadline := self.session.poll_deadline()) is not None and deadline.at <= end:
            self.step(deadline.at)
        self.step(end)

    def step(self, moment: float) -> None:
        self.now = max(self.now, moment)
        before = self.session.poll_deadline()
        self.session.handle_deadline(now=self.now)
        self.drain()
        after = self.session.poll_deadline()
        if before is not None and before.at <= self.now:
            assert after is None or after.at > self.now, ("a deadline that stays", before, after)

    # The application.

    def take(self, limit: int = 1_000_000) -> list[Event]:
        """Takes events without finishing them."""
        events = self.session.poll_events(limit)
        for event in events:
            self._witness(event)
        return events

    def consume(self, limit: int = 1_000_000) -> list[Event]:
        events = self.take(limit)
        if events:
            self.session.handle_processed(events[-1], now=self.now)
            self.drain()
        return events

    def _witness(self, event: Event) -> None:
        self.events.append(event)
        self.times.append(self.now)
        if isinstance(event, ItemChanged):
            outcome = (event.key, event.state)
            assert outcome not in self._told, ("told twice", outcome)
            self._told.add(outcome)
            assert event.waited_s >= 0

    # What came of it.

    def drain(self) -> None:
        while effects := self.session.poll_effects():
            for effect in effects:
                self._obey(effect)
        if self.greedy and self.session.waiting:
            self.consume()
        for name, row in self.session.counters().items():
            assert row.conserved, (name, row)
        deadline, stopped = self.session.poll_deadline(), self.session.stopped
        assert stopped is not None or deadline is not None or self.sockets, "a dead state"

    def _obey(self, effect: Effect) -> None:
        match effect:
            case Connect():
                assert self.dialling is None, "two connects outstanding"
                self.dialling = effect.connection
                self.sockets.add(effect.connection)
                self.connects.append((self.now, effect.connection))
                # A socket that nobody reports as closed counts as gone after a while.
                assert not self.polite or len(self.sockets) <= self.options.connection_limit
            case Send():
                frame = json.loads(effect.text.reveal())
                self.sent.append(frame)
                self.sent_at.append(self.now)
                if self.on_sent is not None:
                    self.on_sent(effect.connection, frame)
            case Ping():
                self.pings.append(self.now)
                if self.lively:
                    self.session.handle_alive(effect.connection, now=self.now)
            case Close():
                self.closes.append(effect)
                if self.dialling == effect.connection:
                    self.dialling = None
                if self.polite:
                    self.sockets.discard(effect.connection)
                    end = End(code=effect.code)
                    self.session.handle_closed(effect.connection, end, now=self.now)
            case _:
                raise AssertionError(effect)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def entries(self) -> list[Entry]:
        return self.of(Entry)

    @property
    def gaps(self) -> list[Gap]:
        return self.of(Gap)

    @property
    def histories(self) -> list[HistoryApplied]:
        return self.of(HistoryApplied)

    def outcomes(self, tx: str) -> list[str]:
        """What was told of a transaction's items, in order."""
        return [e.state.value for e in self.of(ItemChanged) if e.key[0] == tx]

    def asked(self, action: str) -> list[dict[str, Any]]:
        return [frame for frame in self.sent if frame["action"] == action]

    def filters(self) -> dict[str, Any]:
        """Of the last subscribe."""
        found: dict[str, Any] = self.asked("subscribe")[-1].get("filters", {})
        return found

    def state(self, subscription: Subscription) -> SubscriptionState:
        return self.session.status().subscription(subscription).state

    def noted(self, code: AnomalyCode) -> int:
        return sum(n for (kind, _), n in self.session.anomalies().items() if kind is code)

    def anomaly(self, code: AnomalyCode) -> Sequence[Anomaly]:
        return [event for event in self.of(Anomaly) if event.code is code]
