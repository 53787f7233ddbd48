"""What happens on a connection: subscribing, answers in their order, keepalive, live events."""

from collections.abc import Mapping
from typing import Any, Final, cast

import attrs
import msgspec

from lastseen_simulator.alarms import Alarms
from lastseen_simulator.delivery import Delivery
from lastseen_simulator.effects import Ping
from lastseen_simulator.lines import Outgoing
from lastseen_simulator.mischief import Mischief, Placed
from lastseen_simulator.polynode.buffer import Buffer, Snapshot
from lastseen_simulator.polynode.connections import Answer, Connection
from lastseen_simulator.polynode.events import Event
from lastseen_simulator.polynode.markets import Markets
from lastseen_simulator.polynode.options import Answering, PolyNodeOptions
from lastseen_simulator.polynode.subscriptions import (
    Refusal,
    Subscription,
    judge_subscribe,
    known_filters,
)
from lastseen_simulator.polynode.timers import SessionTimer
from lastseen_simulator.polynode.truth import PolyNodeTruth
from lastseen_simulator.strikes import Strikes

__all__ = ["Sessions"]

Frame = dict[str, Any]

_UNKNOWN: Final = Refusal(code="invalid_message", message="unknown action")
_NO_JSON: Final = Refusal(code="invalid_json", message="not JSON")
_NO_OBJECT: Final = Refusal(code="invalid_message", message="not an object")

IDLE_CODE: Final = 1000


@attrs.define(eq=False)
class Sessions:
    """Speaks to one connection after another, from the gateway's side."""

    options: PolyNodeOptions
    truth: PolyNodeTruth
    markets: Markets
    buffer: Buffer
    delivery: Delivery
    mischief: Mischief
    alarms: Alarms
    strikes: Strikes

    def open(self, connection: Connection, *, now: float) -> None:
        """Begins to look after a connection."""
        number = connection.number
        self.alarms.set(SessionTimer.HEARTBEAT, now + self.options.heartbeat_s, connection=number)
        if self.options.idle_close_s is not None:
            self.alarms.set(SessionTimer.IDLE, now + self.options.idle_close_s, connection=number)

    def hear(self, connection: Connection, data: str | bytes, *, wall_ms: int, now: float) -> None:
        """Takes a frame of the client and answers it (§2)."""
        connection.last_heard_at = now
        frame = _read(data)
        if isinstance(frame, Refusal):
            self._refuse(connection, frame, now)
            return
        match frame.get("action"):
            case "subscribe":
                self._subscribe(connection, frame, wall_ms=wall_ms, now=now)
            case "unsubscribe":
                self._unsubscribe(connection, frame.get("subscription_id"), now)
            case "ping":
                timed = {"ts": wall_ms} if self.options.pong_ts else {}
                self.delivery.control(connection.line, "pong", {"type": "pong", **timed}, now)
            case _:
                self._refuse(connection, _UNKNOWN, now)

    def stream(self, connection: Connection, event: Event, *, now: float) -> None:
        """Sends a live event once if any subscription lets it pass (§3.2).

        A subscription to fills changes the form of settlements for the whole connection (§2.1).
        """
        if connection.is_gone() or not connection.subscriptions:
            return
        asked = connection.subscriptions.values()
        reshaped = (
            [each for each in asked if each.reshapes] if event.channel == "settlement" else []
        )
        sent: dict[str, Event] = {}
        for each in reshaped or asked:
            sent |= {form.entry_id: form for form in each.forms(event, self.markets)}
        for form in sent.values():
            data = form.deflated if connection.grant.compressed else form.text
            self.delivery.deliver(
                connection.line, Outgoing(name="live", data=data, entry=form), now=now
            )
        if sent and connection.answers and connection.answers[0].or_live:
            self.answer(connection, now=now, live=True)

    def answer(self, connection: Connection, *, now: float, live: bool = False) -> None:
        """Gives the answers that are due; `live` says that those which wait for that are."""
        answers = connection.answers
        while answers and (answers[0].at <= now or (live and answers[0].or_live)):
            self.delivery.deliver(connection.line, answers.popleft().out, now=now)
        if answers:
            self.alarms.set(SessionTimer.ANSWER, answers[0].at, connection=connection.number)

    def beat(self, connection: Connection, *, wall_ms: int, now: float) -> None:
        """Sends heartbeat and ping, or closes a connection that no longer answers them (§8)."""
        options, line = self.options, connection.line
        if now - connection.last_pong_at >= options.pong_timeout_s:
            self.end(connection, options.pong_close_code, "no pong", now=now)
            return
        self.alarms.set(
            SessionTimer.HEARTBEAT, now + options.heartbeat_s, connection=connection.number
        )
        if line.is_gone() or now < connection.silent_until:
            return
        if options.heartbeats in ("both", "ping"):
            self.delivery.effects.append(Ping(connection=connection.number))
        if options.heartbeats in ("both", "text"):
            self.delivery.control(line, "heartbeat", {"type": "heartbeat", "ts": wall_ms}, now)

    def judge_idleness(self, connection: Connection, *, now: float) -> None:
        """Closes a connection whose client has sent nothing for long, where that is the rule."""
        limit_s = self.options.idle_close_s or 0.0
        idle_at = connection.last_heard_at + limit_s
        if idle_at <= now:
            self.end(connection, IDLE_CODE, "idle", now=now)
        else:
            self.alarms.set(SessionTimer.IDLE, idle_at, connection=connection.number)

    def judge_backlog(self, connection: Connection, pending_bytes: int, *, now: float) -> None:
        """Closes a reader that is too slow (§5)."""
        if pending_bytes > self.options.backlog_bytes:
            self.end(connection, self.options.slow_close_code, "client too slow", now=now)

    def end(self, connection: Connection, code: int | None, reason: str, *, now: float) -> None:
        """Ends a connection, with a close frame if there is a code and it can still be sent."""
        if code is None or connection.is_gone():
            self.delivery.abort(connection.line, reset=False, now=now)
        else:
            self.delivery.close(connection.line, code, reason, now=now)

    def _subscribe(self, connection: Connection, frame: Frame, *, wall_ms: int, now: float) -> None:
        connection.asked += 1
        struck = self._strikes_at(connection, now)
        if connection.is_gone():
            return
        verdict = judge_subscribe(frame, self.markets, self.options)
        full = len(connection.subscriptions) >= self.options.subscriptions_max
        if full and isinstance(verdict, Subscription):
            verdict = Refusal(code="invalid_message", message="too many subscriptions")
        elif _has_chainlink(connection, verdict):
            verdict = Refusal(code="invalid_message", message="one chainlink a connection")
        if (no_ack := struck.get("no_ack")) is not None:
            self.strikes.fired(no_ack, f"connection {connection.line.ordinal}: unanswered", now)
            self._write_subscribe(connection, frame, "unanswered", None, now)
        elif isinstance(verdict, Refusal):
            for placed in struck.values():
                placed.miss("the subscribe was refused")
            self._write_subscribe(connection, frame, verdict.code, None, now)
            self._owe(connection, _error(verdict), at=now)
            self.answer(connection, now=now)
        else:
            self._accept(connection, verdict, frame, struck, wall_ms=wall_ms, now=now)

    def _accept(
        self,
        connection: Connection,
        asked: Subscription,
        frame: Frame,
        struck: Mapping[str, Placed],
        *,
        wall_ms: int,
        now: float,
    ) -> None:
        name = f"{connection.subscriber_id}:{connection.subscribed}"
        connection.subscribed += 1
        self._write_subscribe(connection, frame, "subscribed", name, now)
        snapshot = self.buffer.snapshot(asked, connection.grant.plan, wall_ms=wall_ms)
        warnings = [*asked.warnings, *(snapshot.warnings if snapshot is not None else ())]
        connection.subscriptions[name] = asked
        acks = [_ack(connection, name, asked, warnings)]
        order = self.options.order
        for kind, placed in struck.items():
            if kind == "double_ack":
                acks *= 2
            elif kind == "order":
                order = cast("Answering", placed.fault.order)
            self.strikes.fired(placed, f"connection {connection.line.ordinal}: {name}", now)
        shown = [] if snapshot is None else [_shown(snapshot, self.options.snapshot_shape)]
        outs = shown + acks if order == "snapshot_first" else acks + shown
        patience_s = self.options.live_first_patience_s if order == "live_first" else 0.0
        for number, out in enumerate(outs):
            pause_s = self.options.answer_gap_s if number else 0.0
            live_first = order == "live_first"
            self._owe(connection, out, at=now + patience_s + pause_s, or_live=live_first)
        self.answer(connection, now=now)

    def _unsubscribe(self, connection: Connection, name: object, now: float) -> None:
        verdict, told = "unsubscribed", {"subscription_id": name}
        if name is None:
            told = {}
            connection.subscriptions.clear()
        elif not isinstance(name, str) or connection.subscriptions.pop(name, None) is None:
            verdict = "invalid_message"
        shown = name if verdict == "unsubscribed" else None
        self.truth.write(
            "unsubscribe",
            now=now,
            connection=connection.number,
            subscription=shown,
            verdict=verdict,
        )
        if verdict == "unsubscribed":
            frame = {"type": verdict, "subscriber_id": connection.subscriber_id, **told}
            out = _control(verdict, frame)
        else:
            out = _error(Refusal(code=verdict, message="no such subscription"))
        self._owe(connection, out, at=now)
        self.answer(connection, now=now)

    def _refuse(self, connection: Connection, refusal: Refusal, now: float) -> None:
        self._owe(connection, _error(refusal), at=now)
        self.answer(connection, now=now)

    def _owe(
        self, connection: Connection, out: Outgoing, *, at: float, or_live: bool = False
    ) -> None:
        """Queues an answer behind those owed before it: without ids, order is all there is."""
        connection.answers.append(Answer(out=out, at=at, or_live=or_live))

    def _strikes_at(self, connection: Connection, now: float) -> dict[str, Placed]:
        """Performs the faults at this subscribe and returns those that change its answers."""
        changes: dict[str, Placed] = {}
        strikes = self.mischief.on_subscribe(connection.line.ordinal, connection.asked, now=now)
        for placed in strikes:
            if placed.fault.kind in ("no_ack", "double_ack", "order"):
                changes[placed.fault.kind] = placed
            else:
                self.strikes.strike(placed, connection.line, now)
        return changes

    def _write_subscribe(
        self, connection: Connection, frame: Frame, verdict: str, name: str | None, now: float
    ) -> None:
        preset = frame.get("type")
        self.truth.write(
            "subscribe",
            now=now,
            connection=connection.number,
            type=preset if isinstance(preset, str) else None,
            filters=known_filters(frame),
            verdict=verdict,
            subscription=name,
        )


def _read(data: str | bytes) -> Frame | Refusal:
    if isinstance(data, bytes):
        return _NO_JSON
    try:
        frame = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return _NO_JSON
    return cast("Frame", frame) if isinstance(frame, dict) else _NO_OBJECT


def _has_chainlink(connection: Connection, verdict: Subscription | Refusal) -> bool:
    """Whether a second price subscription is asked for: it is a matter of the connection (§2.1)."""
    if isinstance(verdict, Refusal) or verdict.preset != "chainlink":
        return False
    return any(each.preset == "chainlink" for each in connection.subscriptions.values())


def _control(name: str, frame: Frame) -> Outgoing:
    return Outgoing(name=name, data=msgspec.json.encode(frame).decode(), control=frame)


def _error(refusal: Refusal) -> Outgoing:
    frame = {"type": "error", "code": refusal.code, "message": refusal.message}
    return _control("error", frame)


def _ack(connection: Connection, name: str, asked: Subscription, warnings: list[str]) -> Outgoing:
    frame: Frame = {
        "type": "subscribed",
        "subscriber_id": connection.subscriber_id,
        "subscription_id": name,
        "subscription_type": asked.preset,
        "warnings": warnings,
    }
    if asked.price_source is not None:
        frame |= {"price_source": asked.price_source, "twap_windows": list(asked.windows)}
    return _control("subscribed", frame)


def _shown(snapshot: Snapshot, shape: str) -> Outgoing:
    return Outgoing(
        name="snapshot",
        data=snapshot.frame(shape),
        control={"type": "snapshot", "count": len(snapshot.events)},
        carries=snapshot.events,
    )
