"""Each subscription's way: asked for, granted or refused, and caught up by a history.

Neither answers nor histories say which request they answer. So one request is in flight at a time
(`Asks`), and the next one waits until the history of the last has come or will not come any more.
"""

from collections.abc import Hashable, Sequence
from enum import Enum
from typing import Any, NamedTuple, final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.asks import Asks
from lastseen.backoff import Backoff, Rng
from lastseen.coverage import Coverage, HistoryRequest
from lastseen.delivery import Delivery
from lastseen.errors import LocalProtocolError
from lastseen.events import (
    AnomalyCode,
    Gap,
    GapReason,
    HistoryApplied,
    Subscribed,
    SubscribeRefused,
)
from lastseen.gaps import Gaps
from lastseen.history_dialect import HistoryDialect
from lastseen.history_messages import History, PeerError
from lastseen.history_messages import Subscribed as Granted
from lastseen.options import HistoryOptions
from lastseen.secret import Secret
from lastseen.status import SubscriptionState, SubscriptionStatus

__all__ = ["Ask", "AskKind", "Subscriptions"]


class AskKind(Enum):
    """What a request is for."""

    SUBSCRIBE = "subscribe"
    LOOK_BACK = "look back"
    """A second subscribe to the same, for its history; the first is ended once it is granted."""
    UNSUBSCRIBE = "unsubscribe"


class Ask(NamedTuple):
    """One request; `number` tells it from an earlier one for the same."""

    kind: AskKind
    subscription: Hashable
    number: int
    id: str | None = None
    """Of the grant that an unsubscribe ends."""
    since_ms: int | None = None
    """From where a look back should reach, whatever coverage says."""


@attrs.define(eq=False)
class _Wanted:
    """One subscription of the application."""

    ask: Ask
    state: SubscriptionState = SubscriptionState.WAITING
    id: str | None = None
    failures: int = 0
    """Refusals in a row that may pass."""
    retry_at: float | None = None
    looking_back: bool = False
    unplaced: bool = False
    """Was granted and lost before anything told the peer's time."""


@attrs.define(eq=False)
class _Awaited:
    """The history that may answer the last subscribe, until it and its grant have both come."""

    subscription: Hashable
    expected: bool
    times: list[int | None] | None = None
    granted: bool = False
    warned: bool = False
    until: float | None = None


@final
@attrs.define(eq=False, repr=False)
class Subscriptions:
    """All subscriptions of a session, over its successive connections."""

    options: HistoryOptions
    dialect: HistoryDialect
    rng: Rng
    asks: Asks[Ask]
    coverage: Coverage
    delivery: Delivery
    gaps: Gaps
    anomalies: Anomalies
    must_replace: bool = attrs.field(init=False, default=False)
    """Something stands on this connection that cannot be ended in any other way."""
    _of: dict[Hashable, _Wanted] = attrs.field(init=False, factory=dict[Hashable, _Wanted])
    _number: int = attrs.field(init=False, default=0)
    _awaited: _Awaited | None = attrs.field(init=False, default=None)
    _strayed: bool = attrs.field(init=False, default=False)
    """A history did not come in time: one that comes later may be any subscription's."""
    _look_back_at: float | None = attrs.field(init=False, default=None)
    _looked_back_at: float = attrs.field(init=False, default=float("-inf"))
    _look_back_ms: int | None = attrs.field(init=False, default=None)

    # What the application wants.

    def add(self, subscription: Hashable) -> None:
        """One more; raises `LocalProtocolError` for one that is there, `ConfigurationError`."""
        before = self._of.get(subscription)
        if before is not None and before.state is not SubscriptionState.REFUSED:
            raise LocalProtocolError("subscribed to already")
        wanted = [name for name in self._of if name != subscription]
        self.dialect.check((*wanted, subscription))
        ask = self._ask(AskKind.SUBSCRIBE, subscription)
        self.asks.put(ask, lasting=True)
        self._of[subscription] = _Wanted(ask)

    def remove(self, subscription: Hashable) -> None:
        """One less; raises `LocalProtocolError` for one that is not there, or the last."""
        wanted = self._of.get(subscription)
        if wanted is None:
            raise LocalProtocolError("not subscribed to")
        if len(self._of) == 1:
            raise LocalProtocolError("the last subscription: close the session instead")
        del self._of[subscription]
        self.asks.drop(wanted.ask)
        self.coverage.drop(subscription)
        if wanted.state in _GRANTED:
            self._end(subscription, wanted.id)

    def doubt(self, *, now: float) -> None:
        """Something that came could not be understood, and may have been an event (R14)."""
        self.coverage.lost(heard_at=now)
        self.look_back(now=now)

    def look_back(self, since_ms: int | None = None, *, now: float) -> None:
        """Asks for history once more, soon; `since_ms` is how far it should reach at least."""
        if since_ms is not None:
            known = self._look_back_ms
            self._look_back_ms = since_ms if known is None else min(known, since_ms)
        if self._look_back_at is None:
            earliest = self._looked_back_at + self.options.history_interval_s
            self._look_back_at = max(now, earliest)

    # What to send.

    def next(self, *, now: float) -> Secret | None:
        """The frame of the next request, when nothing stands in its way."""
        if self._awaited is not None:
            return None
        self._start_look_back(now=now)
        for due in self._of.values():
            if due.retry_at is not None and due.retry_at <= now:
                due.retry_at = None
                self.asks.put(due.ask, lasting=True)
        ask = self.asks.next(now=now)
        if ask is None:
            return None
        if ask.kind is AskKind.UNSUBSCRIBE:
            return self.dialect.unsubscribe(ask.id)
        request = self.coverage.request(ask.subscription)
        if ask.since_ms is not None:
            earliest = ask.since_ms
            if request.since_ms is not None:
                earliest = min(earliest, request.since_ms)
            request = HistoryRequest(since_ms=earliest)
        wanted = self._of.get(ask.subscription)
        if wanted is not None and ask.kind is AskKind.SUBSCRIBE:
            wanted.state = SubscriptionState.ASKED
        self._awaited = _Awaited(
            ask.subscription, self.dialect.expects_history(ask.subscription, request)
        )
        return self.dialect.subscribe(ask.subscription, request)

    def deadline(self, *, now: float) -> float | None:
        """When `next` or `expire` will have something to say, on a connection that is open."""
        asks = self.asks.deadline(now=now)
        if self._awaited is not None:
            return self._awaited.until if self._awaited.granted else asks
        moments = [wanted.retry_at for wanted in self._of.values() if wanted.retry_at is not None]
        if asks is not None:
            moments.append(asks)
        if self._look_back_at is not None and self._any_live:
            moments.append(self._look_back_at)
        return min(moments, default=None)

    # What came.

    def grant(self, message: Granted, *, now: float) -> bool:
        """An answer to a subscribe; False when none was due (HZ-B4)."""
        ask = self.asks.in_flight
        if ask is None or ask.kind is AskKind.UNSUBSCRIBE:
            return False
        if self.asks.answered(message.subscription_id) is None:
            return False
        awaited = self._awaited
        assert awaited is not None
        awaited.granted, awaited.warned = True, message.warns_of_gap
        wanted = self._of.get(ask.subscription)
        if wanted is None or not (wanted.ask is ask or wanted.looking_back):
            # The application changed its mind while this was on its way.
            self._end(ask.subscription, message.subscription_id)
        else:
            if ask.kind is AskKind.LOOK_BACK:
                wanted.looking_back = False
                self._end(ask.subscription, wanted.id)
            wanted.id, wanted.failures = message.subscription_id, 0
            wanted.state = SubscriptionState.CATCHING_UP
            self.delivery.put(
                Subscribed(
                    subscription=ask.subscription,
                    id=message.subscription_id,
                    warnings=message.warnings,
                )
            )
        self._settle(now=now)
        return True

    def hear_history(self, history: History) -> Hashable:
        """A history came; returns whose it is, or None when nobody can say."""
        awaited = self._awaited
        if awaited is None or awaited.times is not None or self._strayed:
            if not self._strayed:
                self.anomalies.note(AnomalyCode.UNEXPECTED_FRAME, None, "nobody asked for history")
            return None
        awaited.times = [
            event.timestamp_ms
            for event in history.events
            if self.dialect.is_recorded(event.channel)
        ]
        return awaited.subscription

    def merged(self, subscription: Hashable, *, events: int, new: int, now: float) -> None:
        """The history that was heard is with the application."""
        self.delivery.put(HistoryApplied(subscription=subscription, events=events, new=new))
        self._settle(now=now)

    def refuse(self, error: PeerError, *, now: float) -> bool:
        """An error came while a request was in flight; False when none was (§9.7)."""
        ask = self.asks.refused()
        if ask is None:
            return False
        words = self.dialect.redact(error.message)
        if ask.kind is not AskKind.UNSUBSCRIBE:
            self._awaited = None
        if ask.kind is not AskKind.SUBSCRIBE:
            self.anomalies.note(AnomalyCode.PEER_ERROR, None, f"{ask.kind.value}: {words}")
        wanted = self._of.get(ask.subscription)
        if wanted is not None and ask.kind is AskKind.LOOK_BACK:
            wanted.looking_back = False
            self._uncover(ask.subscription, now=now)
        if wanted is None or wanted.ask is not ask:
            return True
        wanted.failures += 1
        hopeless = wanted.failures >= self.options.attempts_max and bool(self.asks.standing)
        if hopeless or self.dialect.is_final(error):
            self._give_up(ask.subscription, error.code, words)
        else:
            self._retry(wanted, words, now=now)
        return True

    def end(self, subscription_id: str | None) -> bool:
        """The peer says that one subscription, or all, have ended; False when nobody asked."""
        ask = self.asks.in_flight
        if ask is None or ask.kind is not AskKind.UNSUBSCRIBE:
            return False
        # Whether the answer names the one that ended is not documented.
        if subscription_id not in (None, ask.id):
            return False
        self.asks.answered()
        return True

    def expire(self, *, now: float) -> bool:
        """Time passed; True when this connection is of no use any more."""
        awaited = self._awaited
        if awaited is not None and awaited.until is not None and awaited.until <= now:
            self._strayed = True
            words = "a subscribe was answered without a history"
            self.anomalies.note(AnomalyCode.HISTORY_UNANSWERED, None, words)
            self._settle(now=now)
        expired = self.asks.expire(now=now)
        if expired is None:
            return False
        self.anomalies.note(AnomalyCode.SUBSCRIBE_UNANSWERED, None, expired.ask.kind.value)
        wanted = self._of.get(expired.ask.subscription)
        if expired.given_up and wanted is not None and wanted.ask is expired.ask:
            if self.asks.standing:
                self._give_up(expired.ask.subscription, None, "never answered")
            else:
                # Nothing is answered here: that says something about the peer, not about this.
                self.asks.put(wanted.ask, lasting=True)
        return True

    def lose(self, *, heard_at: float) -> None:
        """A connection on which something was asked is gone: all is asked again on the next."""
        self.coverage.lost(heard_at=heard_at)
        placed = self.coverage.accepted_ms is not None
        placed = placed or self.coverage.server_ms(now=heard_at) is not None
        self.asks.reset()
        self._awaited = None
        self._strayed = self.must_replace = False
        self._look_back_at = self._look_back_ms = None
        for wanted in self._of.values():
            wanted.id, wanted.looking_back = None, False
            wanted.unplaced = wanted.unplaced or (wanted.state in _GRANTED and not placed)
            if wanted.retry_at is not None:
                wanted.retry_at = None
                self.asks.put(wanted.ask, lasting=True)
            if wanted.state is not SubscriptionState.REFUSED:
                wanted.state = SubscriptionState.WAITING

    # What is claimed.

    @property
    def hopeless(self) -> bool:
        """Every subscription was refused for good."""
        return all(wanted.state is SubscriptionState.REFUSED for wanted in self._of.values())

    @property
    def subscribing(self) -> bool:
        """A subscribe is in flight."""
        ask = self.asks.in_flight
        return ask is not None and ask.kind is not AskKind.UNSUBSCRIBE

    @property
    def asking(self) -> bool:
        """A request is in flight."""
        return self.asks.in_flight is not None

    def is_ours(self, subscription_id: str | None) -> bool:
        """Whether a subscription of ours would end with this one, or with all."""
        if subscription_id is None:
            return self._any_live
        return any(wanted.id == subscription_id for wanted in self._of.values())

    def status(self) -> tuple[SubscriptionStatus, ...]:
        """Every subscription, in the order in which they were added."""
        return tuple(
            SubscriptionStatus(subscription=name, state=wanted.state, id=wanted.id)
            for name, wanted in self._of.items()
        )

    @property
    def _any_live(self) -> bool:
        return any(wanted.state in _GRANTED for wanted in self._of.values())

    def _ask(self, kind: AskKind, subscription: Hashable, **more: Any) -> Ask:
        self._number += 1
        return Ask(kind, subscription, self._number, **more)

    def _end(self, subscription: Hashable, subscription_id: str | None) -> None:
        """Asks the peer to end one grant; without its id only a new connection ends it."""
        if subscription_id is None:
            self.must_replace = True
            return
        ask = self._ask(AskKind.UNSUBSCRIBE, subscription, id=subscription_id)
        self.asks.put(ask, lasting=False)

    def _settle(self, *, now: float) -> None:
        """Judges what a history covers once it has come and its subscribe was granted."""
        awaited = self._awaited
        if awaited is None or not awaited.granted:
            return
        name, gap = awaited.subscription, None
        if awaited.times is not None:
            gap = self.coverage.covered(name, awaited.times, warned=awaited.warned, now=now)
        elif awaited.expected and not self._strayed:
            if awaited.until is None:
                awaited.until = now + self.options.history_timeout_s
            return
        else:
            gap = self.coverage.uncovered(name, now=now)
        self._awaited = None
        wanted = self._of.get(name)
        if wanted is not None and wanted.state is SubscriptionState.CATCHING_UP:
            wanted.state = SubscriptionState.LIVE
            if wanted.unplaced:
                gap = self._unbounded(name, awaited.times or (), gap)
            wanted.unplaced = False
        if gap is not None:
            self.gaps.tell(gap)

    @staticmethod
    def _unbounded(name: Hashable, times: Sequence[int | None], gap: Gap | None) -> Gap:
        """Nobody knows since when, so nobody knows whether a history reaches back to it."""
        known = [stamp for stamp in times if stamp is not None]
        until_ms = min(known, default=None)
        if gap is not None and until_ms is not None:
            until_ms = None if gap.until_ms is None else max(until_ms, gap.until_ms)
        return Gap(since_ms=None, until_ms=until_ms, reason=GapReason.WINDOW, subscription=name)

    def _retry(self, wanted: _Wanted, words: str, *, now: float) -> None:
        options = self.options
        backoff = Backoff(base_s=options.backoff_base_s, cap_s=options.backoff_cap_s)
        wanted.retry_at = now + backoff.delay(wanted.failures - 1, self.rng)
        wanted.state = SubscriptionState.WAITING
        self.anomalies.note(AnomalyCode.PEER_ERROR, None, f"subscribe: {words}")

    def _give_up(self, subscription: Hashable, code: str | None, words: str) -> None:
        wanted = self._of[subscription]
        wanted.state, wanted.id = SubscriptionState.REFUSED, None
        self.coverage.drop(subscription)
        self.delivery.put(SubscribeRefused(subscription=subscription, code=code, message=words))

    def _start_look_back(self, *, now: float) -> None:
        if self._look_back_at is None or self._look_back_at > now or not self._any_live:
            return
        since_ms = self._look_back_ms
        self._look_back_at = self._look_back_ms = None
        self._looked_back_at = now
        any_history = HistoryRequest(since_ms=0)
        for name, wanted in self._of.items():
            if wanted.state not in _GRANTED or wanted.looking_back:
                continue
            # Without its id the grant that is there could not be ended afterwards.
            if wanted.id is None or not self.dialect.expects_history(name, any_history):
                self._uncover(name, now=now)
                continue
            wanted.looking_back = True
            self.asks.put(self._ask(AskKind.LOOK_BACK, name, since_ms=since_ms), lasting=False)

    def _uncover(self, subscription: Hashable, *, now: float) -> None:
        gap = self.coverage.uncovered(subscription, now=now)
        if gap is not None:
            self.gaps.tell(gap)


_GRANTED = (SubscriptionState.CATCHING_UP, SubscriptionState.LIVE)
