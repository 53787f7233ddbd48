"""The feed of a wire with positions, as an application holds it."""

import ssl
from typing import assert_never, final

import attrs
import trio

from lastseen.dialect import Dialect, HttpResponse, SnapshotFault
from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.effects import CancelFetch, Commit, FetchSnapshot, FetchToken
from lastseen.secret import Secret
from lastseen.session import Session
from lastseen.status import SessionStatus
from lastseen_trio.addresses import Address
from lastseen_trio.http import fetch_snapshot
from lastseen_trio.kept import KeptDriver
from lastseen_trio.store import Binding

__all__ = ["Feed"]

_LANGUAGE = "en"


@final
@attrs.define(eq=False, repr=False)
class Feed(KeptDriver[Session]):
    """Every event of a subscription, in order. Made by `open_feed`.

    Iterating is taking: asking for the next event says that the last one is done with. Leaving the
    loop by `break`, an exception or a cancellation says nothing, so the position never runs ahead
    of the application. One task at a time may take events. A rejected entry's scope resyncs.
    """

    _key: Secret
    _rest: Address | None
    _ssl_context: ssl.SSLContext | None
    _fetches: dict[int, trio.CancelScope] = attrs.field(
        init=False, factory=dict[int, trio.CancelScope]
    )

    # For the application.

    def resync(self, channel: str | None = None) -> None:
        """Asks for a fresh snapshot of one channel, or of all."""
        self._step(lambda now: self._session.handle_resync(channel, now=now))

    def resubscribe(self, subscription: Subscription) -> None:
        """Changes the subscription by a new login; the old one feeds until that is accepted."""
        dialect = OddsPapi(subscription=subscription, key=self._key)
        if self._session.status().stopped is None:
            self._store.rebind(self._binding_of(dialect))
        self._step(lambda now: self._session.handle_resubscribe(dialect, now=now))

    def status(self) -> SessionStatus:
        """What the session claims at this moment."""
        return self._session.status()

    # The driver.

    def _binding(self) -> Binding:
        return self._binding_of(self._session.dialect)

    def _binding_of(self, dialect: Dialect) -> Binding:
        return Binding(
            dialect=dialect,
            name=dialect.name,
            endpoint=str(self._transport.address),
            account=self._key,
            subscription=dialect.identity,
        )

    def _do_more(self, effect: FetchSnapshot | CancelFetch | FetchToken | Commit) -> None:
        match effect:
            case FetchSnapshot():
                scope = self._fetches[effect.fetch] = trio.CancelScope()
                self._nursery.start_soon(self._fetch, effect, scope)
            case CancelFetch():
                if effect.fetch in self._fetches:
                    self._fetches[effect.fetch].cancel()
            case Commit():
                self._start_commit(effect)
            case FetchToken():
                raise NotImplementedError
            case _:
                assert_never(effect)

    async def _fetch(self, effect: FetchSnapshot, scope: trio.CancelScope) -> None:
        answer: tuple[HttpResponse, ...] | SnapshotFault = SnapshotFault(reason="cancelled")
        with scope:
            answer = await fetch_snapshot(self._rest_base(), effect, ssl_context=self._ssl_context)
        del self._fetches[effect.fetch]
        self._step(lambda now: self._session.handle_snapshot(effect.fetch, answer, now=now))

    def _rest_base(self) -> Address:
        """As given, or beside the WebSocket with the language as its path (`facts` §1)."""
        if self._rest is not None:
            return self._rest
        dialect = self._session.dialect
        assert isinstance(dialect, OddsPapi)
        return _rest_beside(self._transport.address, dialect.subscription.lang or _LANGUAGE)


def _rest_beside(websocket: Address, language: str) -> Address:
    scheme = "https" if websocket.secure else "http"
    return attrs.evolve(websocket, scheme=scheme, target=f"/{language}")
