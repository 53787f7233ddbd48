"""The feed an application holds of one HTTP stream."""

from collections.abc import Awaitable, Callable
from typing import assert_never, final

import attrs
import trio

from lastseen.accounts import Bearer, TokenFault
from lastseen.effects import CancelFetch, Commit, FetchSnapshot, FetchToken
from lastseen.errors import LastseenError
from lastseen.secret import Secret
from lastseen.status import StreamStatus
from lastseen.stream_session import StreamSession
from lastseen_trio.addresses import explain
from lastseen_trio.kept import KeptDriver
from lastseen_trio.store import Binding
from lastseen_trio.transport import Head

__all__ = ["StreamFeed", "TokenError", "TokenSource"]

TokenSource = Callable[[], Awaitable[Bearer]]
"""Obtains a fresh bearer token; raises `TokenError` or OSError when there is none."""


class TokenError(LastseenError):
    """No token was obtained; the text is one line for people, and holds no secret."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


@final
@attrs.define(eq=False, repr=False)
class StreamFeed(KeptDriver[StreamSession]):
    """Every event of one stream, in order. Made by `open_feed`, and taken from as a `Feed` is.

    Streams of one account wait for each other when there are more than it allows: `Queued` says so,
    and so does the status. They must run in one event loop.
    """

    _source: TokenSource | None
    _account_name: Secret
    """What the state is bound to: the key, or the name of whoever fetches tokens."""

    def resync(self) -> None:
        """Asks for a fresh snapshot, by a new subscription."""
        self._step(lambda now: self._session.handle_resync(now=now))

    def status(self) -> StreamStatus:
        """What the session claims at this moment."""
        return self._session.status()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """As every driver's; in the end other streams of the account may have this one's place."""
        self._session.place.wake = self._rearm
        try:
            await super().run(task_status=task_status)
        finally:
            self._session.leave(now=trio.current_time())

    def _binding(self) -> Binding:
        dialect = self._session.dialect
        return Binding(
            dialect=dialect,
            name=dialect.name,
            endpoint=str(self._transport.address),
            account=self._account_name,
            subscription=dialect.identity,
        )

    def _answered(self, connection: int, head: Head) -> None:
        self._step(
            lambda now: self._session.handle_answered(connection, head.content_type, now=now)
        )

    def _do_more(self, effect: FetchSnapshot | CancelFetch | FetchToken | Commit) -> None:
        match effect:
            case FetchToken():
                self._nursery.start_soon(self._fetch_token, effect)
            case Commit():
                self._start_commit(effect)
            case FetchSnapshot() | CancelFetch():
                raise NotImplementedError
            case _:
                assert_never(effect)

    async def _fetch_token(self, effect: FetchToken) -> None:
        assert self._source is not None
        answer: Bearer | TokenFault = TokenFault(reason="obtaining a token timed out")
        with trio.move_on_after(effect.timeout_s):
            try:
                answer = await self._source()
            except TokenError as error:
                answer = TokenFault(reason=str(error), permanent=error.permanent)
            except (OSError, trio.BrokenResourceError) as error:
                answer = TokenFault(reason=explain(error))
        self._step(lambda now: self._session.handle_token(effect.fetch, answer, now=now))
