"""What all streams of one account share: how many there are, how much they ask, and who we are.

One `Account` is handed to every session of a process that uses the same account. It is as pure as
they are: it reads no clock and calls nobody but the `wake` of the places in it, which only means
that `poll_deadline` of that session may say something else now.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, final

import attrs

from lastseen.backoff import Backoff, Rng
from lastseen.budget import Budget
from lastseen.errors import ConfigurationError
from lastseen.secret import Secret

__all__ = ["PROFILE_2026_09", "STRICT", "Account", "AccountLimits", "Bearer", "Place", "TokenFault"]

WINDOW_MARGIN: Final = 1.05
"""Clocks do not run alike, so that a window of the peer may be a little longer than ours."""

_REFUSALS_MAX: Final = 2
"""Refusals of a token in a row before it is believed (HZ-H6)."""

_TOKEN_BACKOFF = Backoff(base_s=1.0, cap_s=60.0)


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not value > 0:
        raise ConfigurationError(f"{attribute.name} must be above 0, not {value}")


@final
@attrs.frozen(kw_only=True)
class AccountLimits:
    """What a peer allows an account (`facts/polymarket_us.md` §1, §6)."""

    messages: int = attrs.field(default=20, validator=_positive)
    window_s: float = attrs.field(default=1.0, validator=_positive)
    """At most so many client messages in any window of so many seconds."""
    streams: int = attrs.field(default=10, validator=_positive)
    """Open at the same time."""


STRICT: Final = AccountLimits()
"""The least of all revisions of the page, and the default."""

PROFILE_2026_09: Final = AccountLimits(messages=6000, window_s=60.0, streams=20)
"""100 a second for a firm, averaged over a minute, so that short bursts are allowed; 20 streams."""


@final
@attrs.frozen(kw_only=True)
class Bearer:
    """A bearer token and how long it lives; 180 s at this peer (`facts` §2)."""

    token: Secret
    lives_s: float


@final
@attrs.frozen(kw_only=True)
class TokenFault:
    """Why no token was obtained; `permanent` when it was refused to us."""

    reason: str
    permanent: bool = False


@final
@attrs.define(eq=False)
class Line:
    """First come, first served."""

    _places: "dict[Place, None]" = attrs.field(init=False, factory=dict["Place", None])

    def join(self, place: "Place") -> bool:
        """Goes to the end, unless it stands there already; True when it is first."""
        self._places.setdefault(place, None)
        return next(iter(self._places)) is place

    def leave(self, place: "Place") -> None:
        """Stands there no more."""
        self._places.pop(place, None)

    def is_first(self, place: "Place") -> bool:
        """Whether it is this one's turn."""
        return next(iter(self._places), None) is place

    def ahead(self, place: "Place") -> int | None:
        """How many come before; None when it does not wait."""
        if place not in self._places:
            return None
        return list(self._places).index(place)

    def __iter__(self) -> "Iterator[Place]":
        return iter(list(self._places))

    def first(self) -> "Place | None":
        """Whose turn it is."""
        return next(iter(self._places), None)


@final
@attrs.define(eq=False)
class Place:
    """One session in an account."""

    account: "Account"
    wake: Callable[[], None] | None = None
    """The driver's: called when it may be this session's turn. It must not call a session."""
    streams: int = attrs.field(init=False, default=0)
    """Slots that it holds."""
    messages: int = attrs.field(init=False, default=0)
    """Sent, and not known to have arrived."""

    def take_stream(self, *, now: float) -> bool:
        """Takes a slot when it is this one's turn; otherwise it waits in line."""
        account = self.account
        first = account.streams_line.join(self)
        free = account.open_streams < account.limits.streams
        if not (first and free and now >= account.paused_until):
            return False
        account.streams_line.leave(self)
        self.streams += 1
        account.open_streams += 1
        account.wake_next()
        return True

    def return_stream(self) -> None:
        """A slot is free: its socket is really gone."""
        if self.streams:
            self.streams -= 1
            self.account.open_streams -= 1
            self.account.wake_next()

    def take_message(self, *, now: float) -> bool:
        """Takes one client message when it is this one's turn; otherwise it waits in line.

        It is on its way until `message_arrived`.
        """
        first = self.account.messages_line.join(self)
        at = self.message_at() if first else None
        if at is None or now < at:
            return False
        self.account.messages_line.leave(self)
        self.messages += 1
        self.account.messages_on_way += 1
        self.account.wake_next()
        return True

    def message_arrived(self, *, now: float) -> None:
        """The peer has a message by now, or will never have it: it counts from here.

        Whatever is sent a window later cannot reach the peer sooner than a window after it, however
        long each was on its way.
        """
        if self.messages:
            self.messages -= 1
            self.account.messages_on_way -= 1
            self.account.messages.record(now=now)
            self.account.wake_next()

    def give_up(self) -> None:
        """Waits for nothing any more."""
        self.account.streams_line.leave(self)
        self.account.messages_line.leave(self)
        self.account.wake_next()

    def leave(self, *, now: float) -> None:
        """The session is gone, with all its sockets."""
        self.account.forget_fetch(self)
        while self.messages:
            self.message_arrived(now=now)
        while self.streams:
            self.return_stream()
        self.give_up()

    def stream_at(self) -> float | None:
        """When `take_stream` can succeed; None while nobody knows."""
        account = self.account
        if not account.streams_line.is_first(self):
            return None
        if account.open_streams >= account.limits.streams:
            return None
        return account.paused_until

    def message_at(self) -> float | None:
        """When `take_message` can succeed; None while others, or arrivals, come first."""
        account = self.account
        wanted = account.messages_on_way + 1
        if not account.messages_line.is_first(self) or wanted > account.limits.messages:
            return None
        return account.messages.earliest(wanted, now=float("-inf"))


@attrs.define(eq=False)
class Account:
    """Budgets and bearer token of one account, for all sessions of this process that use it.

    A token is refreshed for the next connect only, once less than `refresh_before_s` of its life is
    left; a stream that runs goes on with the one it was opened with (`facts` §2).
    """

    limits: AccountLimits = STRICT
    refresh_before_s: float = attrs.field(default=30.0, kw_only=True, validator=_positive)
    messages: Budget = attrs.field(init=False)
    messages_on_way: int = attrs.field(init=False, default=0)
    open_streams: int = attrs.field(init=False, default=0)
    streams_line: Line = attrs.field(init=False, factory=Line)
    messages_line: Line = attrs.field(init=False, factory=Line)
    paused_until: float = attrs.field(init=False, default=float("-inf"))
    refusal: str | None = attrs.field(init=False, default=None)
    """Why no token will be given to us; as good as final."""
    _bearer: Secret | None = attrs.field(init=False, default=None, repr=False)
    _usable_until: float = attrs.field(init=False, default=float("-inf"))
    _fetch: int = attrs.field(init=False, default=0)
    _fetcher: Place | None = attrs.field(init=False, default=None)
    _retry_at: float = attrs.field(init=False, default=float("-inf"))
    _failures: int = attrs.field(init=False, default=0)
    _refusals: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self.messages = Budget(self.limits.messages, self.limits.window_s * WINDOW_MARGIN)

    def join(self) -> Place:
        """A place for one more session."""
        return Place(self)

    def pause(self, seconds: float, *, now: float) -> None:
        """The peer says that it is too much: nobody asks for anything for so long (HZ-H9)."""
        self.paused_until = max(self.paused_until, now + seconds)
        self.messages.pause(seconds, now=now)
        self.wake_next()

    def bearer(self, *, now: float) -> Secret | None:
        """The token for a connect at this moment; None when a fresh one is needed first."""
        return self._bearer if now < self._usable_until else None

    def last_bearer(self) -> Secret | None:
        """The token there is, for a request whose connect has begun."""
        return self._bearer

    def start_fetch(self, place: Place, *, now: float) -> int | None:
        """The number of a fetch that this session should make; None when none is due."""
        if self._fetcher is not None or now < self._retry_at or self.refusal is not None:
            return None
        self._fetch += 1
        self._fetcher = place
        return self._fetch

    def fetched(
        self, fetch: int, answer: Bearer | TokenFault, rng: Rng, *, now: float
    ) -> TokenFault | None:
        """A fetch came back; returns what was wrong with it. A late one may still bring a token."""
        current = fetch == self._fetch and self._fetcher is not None
        if isinstance(answer, Bearer):
            self._bearer = answer.token
            # A life shorter than the margin still serves the connect that it was fetched for.
            lives_s = max(answer.lives_s - self.refresh_before_s, answer.lives_s / 2)
            self._usable_until = now + lives_s
            self._failures = self._refusals = 0
        elif current:
            self._retry_at = now + _TOKEN_BACKOFF.delay(self._failures, rng)
            self._failures += 1
            self._refusals = self._refusals + 1 if answer.permanent else 0
            if self._refusals >= _REFUSALS_MAX:
                self.refusal = answer.reason
        if current:
            self._fetcher = None
        self.wake_all()
        return answer if isinstance(answer, TokenFault) else None

    def forget_fetch(self, place: Place) -> None:
        """Whoever was fetching is gone: another one may."""
        if self._fetcher is place:
            self._fetcher = None
            self.wake_next()

    def refuse_bearer(self, bearer: Secret) -> None:
        """The peer did not accept this token; a newer one is not affected."""
        if self._bearer == bearer:
            self._usable_until = float("-inf")

    def fetch_at(self) -> float | None:
        """When a fetch may start; None while one is under way."""
        return self._retry_at if self._fetcher is None else None

    def wake_next(self) -> None:
        """It may be the turn of whoever is first."""
        for line in (self.streams_line, self.messages_line):
            place = line.first()
            if place is not None and place.wake is not None:
                place.wake()

    def wake_all(self) -> None:
        """Something changed for everybody who waits."""
        for place in [*self.streams_line, *self.messages_line]:
            if place.wake is not None:
                place.wake()
