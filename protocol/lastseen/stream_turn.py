"""Waiting for what the account of a stream allows: a slot, a message, a token to be known by."""

from typing import final

import attrs

from lastseen.accounts import Account, Place
from lastseen.delivery import Delivery
from lastseen.effects import Effect, FetchToken
from lastseen.events import Queued
from lastseen.secret import Secret

__all__ = ["Turn"]

_STREAMS, _MESSAGES, _TOKEN = "streams", "messages", "token"


@final
@attrs.define(eq=False, repr=False)
class Turn:
    """One session's waiting; everybody else's is in the account.

    With a `key` every request bears it, and no token is fetched; `anonymous` ones bear nothing.
    """

    account: Account
    delivery: Delivery
    effects: list[Effect]
    key: Secret | None
    anonymous: bool
    token_timeout_s: float
    place: Place = attrs.field(init=False)
    queued: str | None = attrs.field(init=False, default=None)
    """What it waits for, in words."""
    bearer: Secret | None = attrs.field(init=False, default=None, repr=False)
    """What the present request was sent with."""
    _needs_bearer: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.place = self.account.join()

    @property
    def fetches(self) -> bool:
        """Whether tokens are obtained for this stream."""
        return self.key is None and not self.anonymous

    def may_connect(self, now: float) -> bool:
        """Whether there is room for this stream, and a token to open it with; takes the slot."""
        self.account.streams_line.join(self.place)
        self._needs_bearer = self.fetches and self.account.bearer(now=now) is None
        if self._needs_bearer:
            self._wait(_TOKEN)
            fetch = self.account.start_fetch(self.place, now=now)
            if fetch is not None:
                self.effects.append(FetchToken(fetch=fetch, timeout_s=self.token_timeout_s))
            return False
        if not self.place.take_stream(now=now):
            self._wait(_STREAMS)
            return False
        self.queued = None
        return True

    def may_send(self, *, now: float) -> bool:
        """Whether one message more is allowed; takes it, and settles what the request bears."""
        if not self.place.take_message(now=now):
            self._wait(_MESSAGES)
            return False
        self.queued = None
        if self.anonymous:
            self.bearer = None
        else:
            self.bearer = self.key if self.key is not None else self.account.last_bearer()
        return True

    def at(self) -> float | None:
        """When to try again; None while others, or an answer, have to come first."""
        if self.queued is None:
            return None
        if self.queued == _MESSAGES:
            return self.place.message_at()
        if not self._needs_bearer:
            return self.place.stream_at()
        return float("-inf") if self.refusal is not None else self.account.fetch_at()

    @property
    def refusal(self) -> str | None:
        """Why there will be no token, when one is needed."""
        return self.account.refusal if self._needs_bearer else None

    @property
    def ahead(self) -> int:
        """How many streams come first."""
        account = self.account
        line = account.messages_line if self.queued == _MESSAGES else account.streams_line
        return line.ahead(self.place) or 0

    def give_up(self, *, messages_only: bool = False) -> None:
        """Waits no more."""
        if self.queued is None or (messages_only and self.queued != _MESSAGES):
            return
        self.queued = None
        self.place.give_up()

    def _wait(self, budget: str) -> None:
        if self.queued == budget:
            return
        self.queued = budget
        if budget != _TOKEN:
            self.delivery.put(Queued(budget=budget, ahead=self.ahead))
