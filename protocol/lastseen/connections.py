"""The sockets of a session: who owns it, who replaces the owner, and when to try again.

The owner is the connection whose entries count. A replacement becomes the owner at its own login
(R10); until then the old one goes on, also when it was told to go (design §2, HZ-D4, HZ-D6).
"""

from collections.abc import Callable
from typing import final

import attrs

from lastseen.backoff import Backoff, ConnectGate, Rng
from lastseen.budget import Budget
from lastseen.delivery import Delivery
from lastseen.dialect import End
from lastseen.effects import Close, Connect, Effect, Ping
from lastseen.errors import LocalProtocolError
from lastseen.events import Disconnected, Failure, Stopped
from lastseen.liveness import Liveness, Pulse
from lastseen.mechanisms import Mechanisms
from lastseen.options import ConnectionOptions
from lastseen.position import Position
from lastseen.secret import Secret
from lastseen.states import CONNECTION_TRANSITIONS, ConnectionInput, ConnectionState

__all__ = ["Connection", "Connections"]

_REFUSALS_MAX = 2
"""A rejection is believed when it is repeated (HZ-H6)."""

_SOCKETS_MAX = 2
"""The owner and its replacement, or one that is still closing (INV-S15)."""

_UNDECODABLE_MAX = 3
_UNDECODABLE_WINDOW_S = 10.0
"""So many undecodable frames in so many seconds end the connection (table O)."""

_NORMAL = 1000
_GOING_AWAY = 1001
_INVALID_DATA = 1007
_POLICY = 1008

_FED = (ConnectionState.LIVE, ConnectionState.DRAINING)


@final
@attrs.define(eq=False)
class Connection:
    """One socket and its login; its state changes only by `apply`."""

    number: int
    liveness: Liveness
    deadline: float
    """Until when the present step (connect, login, close) may take."""
    state: ConnectionState = ConnectionState.CONNECTING
    noticed: bool = False
    """It was told to reconnect, so whatever ends it is planned (OP-A16)."""
    login_position: Position = attrs.field(factory=Position)
    resumed: bool = False
    """Every channel whose cursor was sent has had its verdict."""
    promoted: bool = False
    login_sent: bool = False
    entries: int = 0
    login_waits: bool = False
    """Opened, but the message budget does not allow a login yet."""
    awaits: str = "login"
    """What it waits for before it counts, in words."""
    cause: tuple[Failure, str] | None = None
    """Why we ended it ourselves."""

    def apply(self, what: ConnectionInput) -> bool:
        """Takes a step of the table; False when there is none."""
        after = CONNECTION_TRANSITIONS.get((self.state, what))
        if after is None:
            return False
        self.state = after
        return True

    @property
    def fed(self) -> bool:
        """Whether it is logged in and its frames may count."""
        return self.state in _FED


@final
@attrs.define(eq=False, repr=False)
class Connections:
    """Every socket of a session. One owner of the decision to connect (HZ-D11, INV-S15)."""

    options: ConnectionOptions
    mechanisms: Mechanisms
    rng: Rng
    delivery: Delivery
    effects: list[Effect]
    sockets_max: int
    listen: Callable[[float], Liveness]
    """Makes the liveness of a socket that is opened at this moment."""
    classify: Callable[[End, bool], Failure]
    on_lost: Callable[[Connection], None]
    """The owner is gone and nobody has taken its place."""
    on_login_ended: Callable[[Connection, float], None]
    """A connection that was connecting, logging in or fed has ended."""
    query: tuple[tuple[str, str | Secret], ...] = ()
    """What every address ends with, where a wire wants it."""
    may_connect: Callable[[float], bool] = lambda _: True
    """Asked when an attempt is due; after a False whoever said it knows when to ask again."""
    owner: Connection | None = attrs.field(init=False, default=None)
    candidate: Connection | None = attrs.field(init=False, default=None)
    """The one that is connecting or logging in."""
    stopped: str | None = attrs.field(init=False, default=None)
    open: dict[int, Connection] = attrs.field(init=False, factory=dict[int, Connection])
    refused: bool = attrs.field(init=False, default=False)
    """An attempt is due, and `may_connect` does not allow it yet."""
    gate: ConnectGate = attrs.field(init=False)
    _number: int = attrs.field(init=False, default=0)
    _refusals: int = attrs.field(init=False, default=0)
    _welcomed: bool = attrs.field(init=False, default=False)
    """We have been logged in at least once."""
    _undecodable: Budget = attrs.field(
        init=False, factory=lambda: Budget(_UNDECODABLE_MAX - 1, _UNDECODABLE_WINDOW_S)
    )

    def __attrs_post_init__(self) -> None:
        options = self.options
        self.gate = self.mechanisms.gate(
            backoff=Backoff(base_s=options.backoff_base_s, cap_s=options.backoff_cap_s),
            rng=self.rng,
            stable_after_s=options.stable_after_s,
            planned_jitter_s=options.handover_jitter_s,
        )

    def begin(self, *, now: float) -> None:
        """The first attempt waits for nothing."""
        if self._number or self.gate.due_at is not None:
            raise LocalProtocolError("begun before")
        self.gate.request_first(now=now)

    def connect_if_due(self, *, now: float) -> None:
        """Opens a socket when the gate allows one and a slot is free."""
        if self.stopped is not None or self.candidate is not None:
            return
        if self._full:
            due = self.gate.due_at is not None and self.gate.due_at <= now
            if due and self.owner is not None and self._can_make_room:
                # No slot for make-before-break: break first (HZ-D6).
                cause = (Failure.PLANNED, "moving")
                self.close(self.owner, _NORMAL, "making room", cause, now=now)
            return
        if not self.gate.is_due(now=now):
            return
        self.refused = not self.may_connect(now)
        if self.refused or not self.gate.take(now=now):
            return
        self._number += 1
        timeout = self.options.connect_timeout_s
        connection = Connection(
            number=self._number,
            liveness=self.listen(now),
            # The driver's own deadline comes first; this one catches a driver that forgets.
            deadline=now + timeout + self.options.close_timeout_s,
        )
        self.open[connection.number] = connection
        self.candidate = connection
        self.effects.append(
            Connect(connection=connection.number, timeout_s=timeout, query=self.query)
        )

    def opened(self, number: int, *, now: float) -> Connection | None:
        """The upgrade succeeded; returns the connection when it should log in."""
        connection = self.open.get(number)
        if connection is None or not connection.apply(ConnectionInput.OPENED):
            return None
        connection.liveness.heard(now=now)
        if connection.state is not ConnectionState.LOGGING_IN:
            return None
        connection.deadline = now + self.options.login_timeout_s
        return connection

    def promote(self, connection: Connection, *, now: float) -> Connection | None:
        """Its login was accepted: it becomes the owner; returns the one before, now closing."""
        connection.apply(ConnectionInput.LOGIN_OK)
        connection.promoted = self._welcomed = True
        before, self.owner = self.owner, connection
        self.candidate = None
        self._refusals = 0
        self.gate.logged_in(now=now)
        if before is not None:
            self.close(before, _NORMAL, "replaced", (Failure.PLANNED, "replaced"), now=now)
        return before

    def notice(self, connection: Connection, *, now: float) -> None:
        """The peer asks us to reconnect: act now, not at the close (HZ-D1, HZ-D8)."""
        first = not connection.noticed
        connection.noticed = True
        if connection is self.candidate:
            self.close(
                connection, _NORMAL, "moving", (Failure.PLANNED, "told to reconnect"), now=now
            )
        elif connection.apply(ConnectionInput.RECONNECT_NOTICE) and first:
            self.gate.settle(now=now)
            # What it had not proved by now it will not prove: it was told to go (HZ-D3).
            self.gate.lost()
            self.request(planned=True, now=now)

    def request(self, *, planned: bool, at_least_s: float = 0.0, now: float) -> float | None:
        """Asks for another connection; None when one is on its way already."""
        if self.stopped is not None or self.candidate is not None:
            return None
        self.gate.settle(now=now)
        return self.gate.request(planned=planned, at_least_s=at_least_s, now=now)

    def close(
        self,
        connection: Connection,
        code: int,
        reason: str,
        cause: tuple[Failure, str],
        *,
        abandon: bool = False,
        retry_after_s: float | None = None,
        now: float,
    ) -> None:
        """Ends a connection from our side; from now on nothing it sends counts (R10)."""
        if not connection.apply(ConnectionInput.CLOSE_SENT):
            return
        connection.cause = cause
        connection.deadline = now + self.options.close_timeout_s
        self.effects.append(
            Close(connection=connection.number, code=code, reason=reason, abandon=abandon)
        )
        end = End(retry_after_s=retry_after_s)
        self._release(connection, cause[0], None, cause[1], end=end, now=now)

    def ended(self, number: int, end: End, *, now: float) -> None:
        """A socket is gone, for whatever reason."""
        connection = self.open.pop(number, None)
        if connection is None:
            return
        ours = connection.state is ConnectionState.CLOSING
        connection.apply(ConnectionInput.ENDED)
        if not ours:
            failure = self.classify(end, connection.noticed)
            code = end.code if end.code is not None else end.http_status
            self._release(connection, failure, code, end.reason, end=end, now=now)

    def refuse(self, connection: Connection, failure: Failure, reason: str, *, now: float) -> None:
        """The peer refused the login in words; a close may or may not follow (OP-A32)."""
        self.close(connection, _NORMAL, "login refused", (failure, reason), now=now)

    def misunderstand(self, connection: Connection, *, now: float) -> None:
        """A frame could not be decoded; too many of them end the connection."""
        if not self._undecodable.take(now=now):
            cause = (Failure.UNKNOWN, "undecodable frames")
            self.close(connection, _INVALID_DATA, cause[1], cause, now=now)

    def abandon(self, connection: Connection, reason: str, *, now: float) -> None:
        """The peer owes an answer that nothing can go on without: end, and do not wait for it."""
        cause = (Failure.TRANSIENT, reason)
        self.close(connection, _POLICY, reason, cause, abandon=True, now=now)

    def tick(self, *, now: float) -> None:
        """Time passed: silence, steps that took too long, probation served."""
        self.gate.settle(now=now)
        for connection in list(self.open.values()):
            if connection.fed:
                self._check_pulse(connection, now)
            elif connection.deadline <= now:
                self._expire(connection, now)

    def deadline(self) -> tuple[float, str] | None:
        """The next moment that matters to a socket, and why."""
        moments: list[tuple[float, str]] = []
        for connection in self.open.values():
            if connection.fed:
                moments.append((connection.liveness.deadline(), "liveness"))
            else:
                moments.append((connection.deadline, connection.state.value))
        if self.stopped is not None:
            return min(moments, default=None)
        if self.gate.stable_at is not None:
            moments.append((self.gate.stable_at, "stable"))
        blocked = self._full and not self._can_make_room
        waits = blocked or self.refused
        if self.gate.due_at is not None and self.candidate is None and not waits:
            moments.append((self.gate.due_at, "connect"))
        return min(moments, default=None)

    def stop(self, failure: Failure | None, reason: str, *, now: float) -> None:
        """Nothing more is tried: the application closed us, or the peer will not have us."""
        if self.stopped is not None:
            return
        self.stopped = reason
        for connection in list(self.open.values()):
            cause = (failure or Failure.PLANNED, reason)
            self.close(connection, _GOING_AWAY, "client closing", cause, now=now)
        self.delivery.put(Stopped(failure=failure, reason=reason))

    @property
    def _full(self) -> bool:
        return len(self.open) >= min(self.sockets_max, _SOCKETS_MAX)

    @property
    def _can_make_room(self) -> bool:
        """Whether the owner is all that stands in the way, and was told to go anyway."""
        states = {connection.state for connection in self.open.values()}
        return states == {ConnectionState.DRAINING}

    def _check_pulse(self, connection: Connection, now: float) -> None:
        pulse = connection.liveness.check(now=now)
        if pulse is Pulse.ASK:
            self.effects.append(Ping(connection=connection.number))
        elif pulse is Pulse.DEAD:
            self.abandon(connection, "no sign of life", now=now)

    def _expire(self, connection: Connection, now: float) -> None:
        if connection.state is ConnectionState.CLOSING:
            # The driver lost it: the slot is free, whatever still comes is ignored.
            del self.open[connection.number]
            connection.apply(ConnectionInput.ENDED)
            return
        waiting = connection.state is ConnectionState.LOGGING_IN
        self.abandon(
            connection, f"{connection.awaits if waiting else 'connect'} timed out", now=now
        )

    def _release(
        self,
        connection: Connection,
        failure: Failure,
        code: int | None,
        reason: str,
        *,
        end: End,
        now: float,
    ) -> None:
        """A connection stopped counting: what follows from that."""
        was_owner, was_candidate = connection is self.owner, connection is self.candidate
        if not (was_owner or was_candidate):
            return
        self.on_login_ended(connection, now)
        if was_candidate:
            self.candidate = None
        if was_owner:
            self.gate.settle(now=now)
            self.gate.lost()
            self.owner = None
            self.on_lost(connection)
        retry = None
        if self.stopped is None:
            self._judge(failure, reason, now=now)
        if self.stopped is None:
            retry = self._try_again(connection, failure, end, now=now)
        self.delivery.put(
            Disconnected(
                connection=connection.number,
                failure=failure,
                code=code,
                reason=reason,
                retry_in_s=retry,
            )
        )

    def _judge(self, failure: Failure, reason: str, *, now: float) -> None:
        """Fatal stops at once; a rejection has to be repeated to be believed (HZ-H6, HZ-H7).

        A place where we have been logged in is a feed: what answers there meanwhile, a proxy
        without its backend, say, is waited out (HZ-H4).
        """
        refused = failure is Failure.REJECTED or (
            failure is Failure.NOT_A_FEED and not self._welcomed
        )
        if refused:
            self._refusals += 1
        elif failure is not Failure.PLANNED:
            self._refusals = 0
        # While the owner feeds us nothing is proved: it was let in with the same key.
        believed = refused and self._refusals >= _REFUSALS_MAX and self.owner is None
        if failure is Failure.FATAL or believed:
            self.stop(failure, reason, now=now)

    def _try_again(
        self, connection: Connection, failure: Failure, end: End, *, now: float
    ) -> float | None:
        at_least = end.retry_after_s or 0.0
        if failure is Failure.LIMIT:
            at_least = max(at_least, self.options.limit_backoff_s)
        elif failure is Failure.BACKPRESSURE:
            at_least = max(at_least, self.options.backoff_base_s)
        planned = failure is Failure.PLANNED and connection.promoted
        return self.request(planned=planned, at_least_s=at_least, now=now)
