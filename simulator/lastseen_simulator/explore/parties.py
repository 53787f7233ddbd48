"""What every client and every gateway does here alike, whatever they speak."""

from collections.abc import Callable, Collection
from typing import Any, ClassVar, Final

import attrs

from lastseen.dialect import End
from lastseen.replica import Replica
from lastseen.status import Counters
from lastseen_simulator.effects import (
    Abort,
    CloseConnection,
    Effect,
    OpenStream,
    Ping,
    RefuseUpgrade,
    Transmit,
)

__all__ = ["Follower", "Head", "Keeper", "Server", "adds_up"]

_SCHEDULED_S: Final = 1e-9
_LOST_CODE: Final = 1006


@attrs.frozen
class Head:
    """The head of a success, before the first piece of a body."""

    content_type: str | None


@attrs.define(eq=False)
class Follower:
    """One process with a session and its own clock; `acts_on` are the events that stop its taking.

    `out` is what leaves it: connect, send, close, fetch and cancel, each with its number.
    """

    acts_on: ClassVar[tuple[type[Any], ...]]
    session: Any
    now: float = attrs.field(default=0.0, kw_only=True)
    out: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]], kw_only=True)

    def opened(self, number: int) -> None:
        """A connection is there."""
        self.session.handle_opened(number, now=self.now)

    def closed(self, number: int, code: int | None) -> None:
        """A socket is gone."""
        self.session.handle_closed(number, End(code=code), now=self.now)

    def take(self) -> None:
        """The application takes events up to one that it acts on, and is done with it."""
        while events := self.session.poll_events(1):
            event = events[0]
            self.tell(event)
            self.session.handle_processed(event, now=self.now)
            if isinstance(event, self.acts_on):
                break

    def tell(self, event: Any) -> None:
        """The application is given an event, and acts on it."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Time passes, to the next deadline at most."""
        deadline = self.session.poll_deadline()
        self.now += seconds
        if deadline is not None and deadline.at <= self.now + _SCHEDULED_S:
            self.now = max(self.now, deadline.at)
            self.session.handle_deadline(now=self.now)

    def deadline(self) -> float | None:
        """Seconds until it wants to be woken."""
        deadline = self.session.poll_deadline()
        return None if deadline is None else max(0.0, deadline.at - self.now)


@attrs.define(eq=False)
class Keeper(Follower):
    """One with a copy of the state and a disk; `staged` is a commit under way and its number."""

    replica: Replica
    witness: Any
    disk: Any
    staged: tuple[int, Any] | None = None

    def committed(self) -> None:
        """The commit under way is durable."""
        if self.staged is not None:
            number, self.disk = self.staged
            self.staged = None
            self.session.handle_committed(number, now=self.now)

    def tell(self, event: Any) -> None:
        """The application is given an event, and lays it on its copy."""
        self.witness.saw_event(event, self.versions())
        self.replica.apply(event)
        self.witness.saw_effect(self.versions())

    def versions(self) -> dict[str, int]:
        """What the application knows, by unit."""
        raise NotImplementedError


@attrs.define(eq=False)
class Server:
    """One gateway with its own clock; `out` is what leaves it, each with its connection."""

    gateway: Any
    now: float = attrs.field(default=0.0, kw_only=True)
    out: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]], kw_only=True)

    def gone(self, number: int) -> None:
        """A socket has ended."""
        self.act(lambda: self.gateway.handle_disconnected(number, now=self.now))

    def restart(self) -> None:
        """It dies and another one takes its place."""
        self.act(lambda: self.gateway.restart(announce=False, now=self.now))

    def tick(self, seconds: float) -> None:
        """Time passes, to the next deadline at most."""
        self.now += seconds
        deadline = self.gateway.poll_deadline()
        if deadline is not None and deadline[0] <= self.now + _SCHEDULED_S:
            self.now = max(self.now, deadline[0])
            self.act(lambda: self.gateway.handle_deadline(now=self.now))

    def deadline(self) -> float | None:
        """Seconds until it wants to be woken."""
        deadline = self.gateway.poll_deadline()
        return None if deadline is None else max(0.0, deadline[0] - self.now)

    def logged_in(self) -> tuple[int, ...]:
        """The connections that a notice or a demand could be about: there is neither."""
        return ()

    def act(self, what: Callable[[], object]) -> None:
        """Does something, and puts what follows from it on its way."""
        what()
        while effects := self.gateway.poll_effects():
            for effect in effects:
                self._send(effect)

    def _send(self, effect: Effect) -> None:
        match effect:
            case OpenStream():
                kind = dict(effect.headers).get("Content-Type")
                self.out.append(("transmit", effect.connection, Head(kind)))
            case Transmit():
                self.out.append(("transmit", effect.connection, effect.data))
            case CloseConnection():
                self.out.append(("end", effect.connection, effect.code))
            case RefuseUpgrade():
                self.out.append(("end", effect.connection, effect.response.status))
            case Abort():
                self.out.append(("end", effect.connection, _LOST_CODE))
            case Ping():
                self.gateway.handle_pong(effect.connection, now=self.now)
            case _:
                raise AssertionError(f"no network for {effect}")


def adds_up(rows: Collection[Counters]) -> bool:
    """Whether every entry that was received went somewhere (INV-S21)."""
    return all(
        row.received
        == row.applied
        + row.duplicate
        + row.buffered
        + row.held
        + row.discarded
        + row.malformed
        + row.quarantined
        + row.dropped
        for row in rows
    )
