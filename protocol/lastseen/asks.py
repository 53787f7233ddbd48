"""Requests whose answers carry no name: one at a time, and answers belong to the one in flight.

Where a peer acknowledges without saying what, order is all there is (`facts/polynode.md` §9.7). So
a second request waits until the first has its answer, and a request that got none in time leaves a
connection on which no answer could be attributed any more: nothing else is asked on it.
"""

from collections import deque
from collections.abc import Hashable
from typing import Any, Generic, NamedTuple, TypeVar, final

import attrs

from lastseen.budget import Budget
from lastseen.errors import ConfigurationError, LocalProtocolError

__all__ = ["Asks", "Expired"]

_T = TypeVar("_T", bound=Hashable)


class Expired(NamedTuple, Generic[_T]):
    """A request was not answered in time; `given_up` when it will not be asked again."""

    ask: _T
    given_up: bool


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not value > 0:
        raise ConfigurationError(f"{attribute.name} must be above 0, not {value}")


@final
@attrs.define(eq=False, repr=False)
class Asks(Generic[_T]):
    """The requests of one session over its successive connections, in the order they were made.

    A lasting request (a subscription) is asked again on every connection until it is dropped,
    refused or given up; any other is asked once, and lost with its connection. `next` gives what to
    send; then `answered`, `refused` or `expire` says what became of it. After `expire` has given
    one out the connection is `spent`: close it, and call `reset`.
    """

    budget: Budget
    """For messages to the peer; shared with whatever else is sent."""
    timeout_s: float = attrs.field(default=10.0, validator=_positive)
    """As long as a login may take; no figure is published."""
    attempts_max: int = attrs.field(default=3, validator=_positive)
    """Unanswered in a row before a request is given up, as with any other failure (R13)."""
    items_max: int = attrs.field(default=1024, validator=_positive)
    spent: bool = attrs.field(init=False, default=False)
    """A request was never answered here, so no later answer could be told from its own."""
    _waiting: deque[_T] = attrs.field(init=False, factory=deque[_T])
    _in_flight: _T | None = attrs.field(init=False, default=None)
    _sent_at: float = attrs.field(init=False, default=0.0)
    _standing: dict[_T, None] = attrs.field(init=False, factory=dict[_T, None])
    """Lasting and answered here, in the order of their answers."""
    _lasting: set[_T] = attrs.field(init=False, factory=set[_T])
    _late: dict[_T, int] = attrs.field(init=False, factory=dict[_T, int])
    """How often in a row a request was not answered."""
    _marks: deque[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._marks = deque(maxlen=self.items_max)

    @property
    def in_flight(self) -> _T | None:
        """What an answer that comes now would answer."""
        return self._in_flight

    @property
    def standing(self) -> tuple[_T, ...]:
        """The lasting requests that this connection has granted."""
        return tuple(self._standing)

    @property
    def settled(self) -> bool:
        """Nothing waits and nothing is in flight."""
        return self._in_flight is None and not self._waiting

    def put(self, ask: _T, *, lasting: bool) -> None:
        """Queues a request; raises `LocalProtocolError` when it is there already, or too many.

        One that was dropped while it was in flight is taken back, and not asked a second time.
        """
        if lasting and ask == self._in_flight and ask not in self._lasting:
            self._lasting.add(ask)
            return
        if ask == self._in_flight or ask in self._waiting or ask in self._standing:
            raise LocalProtocolError("the same request is there already")
        if len(self._waiting) + len(self._standing) >= self.items_max:
            raise LocalProtocolError(f"more than {self.items_max} requests")
        self._waiting.append(ask)
        if lasting:
            self._lasting.add(ask)

    def drop(self, ask: _T) -> None:
        """Asks no more for this; if it is in flight, its answer is still awaited."""
        self._lasting.discard(ask)
        self._standing.pop(ask, None)
        self._late.pop(ask, None)
        if ask in self._waiting:
            self._waiting.remove(ask)

    def next(self, *, now: float) -> _T | None:
        """What to send now: nothing while an answer is awaited or the budget is used up."""
        if self._in_flight is not None or self.spent or not self._waiting:
            return None
        if not self.budget.take(now=now):
            return None
        self._in_flight, self._sent_at = self._waiting.popleft(), now
        return self._in_flight

    def answered(self, mark: str | None = None) -> _T | None:
        """The request in flight was granted; None when no request is, or `mark` came before.

        `mark` is what the answer names, if anything: an answer that comes twice must not be taken
        for the next request's.
        """
        ask = self._in_flight
        if ask is None or (mark is not None and mark in self._marks):
            return None
        if mark is not None:
            self._marks.append(mark)
        self._in_flight = None
        self._late.pop(ask, None)
        if ask in self._lasting:
            self._standing[ask] = None
        return ask

    def refused(self) -> _T | None:
        """The request in flight was refused, and is not asked again; None when there is none."""
        ask, self._in_flight = self._in_flight, None
        if ask is not None:
            self.drop(ask)
        return ask

    def expire(self, *, now: float) -> Expired[_T] | None:
        """The request whose answer is overdue, if there is one; from then on this is `spent`."""
        ask = self._in_flight
        if ask is None or now < self._sent_at + self.timeout_s:
            return None
        self.spent = True
        self._in_flight = None
        late = self._late[ask] = self._late.get(ask, 0) + 1
        if ask not in self._lasting or late >= self.attempts_max:
            self.drop(ask)
            return Expired(ask, given_up=True)
        # Behind all others, so that what is never answered keeps nobody waiting (INV-L3).
        self._waiting.append(ask)
        return Expired(ask, given_up=False)

    def reset(self) -> None:
        """The connection is gone: what lasts is asked again, what was never answered last."""
        again = [*self._standing, *([] if self._in_flight is None else [self._in_flight])]
        again = [ask for ask in (*again, *self._waiting) if ask in self._lasting]
        again.sort(key=lambda ask: ask in self._late)
        self._waiting = deque(again)
        self._in_flight = None
        self.spent = False
        self._standing.clear()
        self._marks.clear()

    def deadline(self, *, now: float) -> float | None:
        """When `expire` or `next` will have something to say."""
        if self._in_flight is not None:
            return self._sent_at + self.timeout_s
        if self._waiting and not self.spent:
            return self.budget.earliest(now=now)
        return None
