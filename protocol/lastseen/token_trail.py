"""How the token of a stream moves: with what has been processed, and no further (R2, R6, R9)."""

from collections.abc import Callable
from functools import partial
from typing import final

import attrs

from lastseen.delivery import Delivery, Notice
from lastseen.events import Entry, Event
from lastseen.position import Position, PositionKeeper
from lastseen.secret import Secret
from lastseen.stream_messages import StreamEntry
from lastseen.tokens import TokenKeeper, move, rest

__all__ = ["TokenTrail"]


@final
@attrs.define(eq=False, repr=False)
class TokenTrail:
    """The tokens that lie among a stream's entries on their way to the application."""

    channel: str
    has_tokens: bool
    keeper: TokenKeeper
    delivery: Delivery
    era: int = attrs.field(init=False, default=0)
    """The present stretch of trust; only its own entries may move the token."""

    def current(self) -> Secret | None:
        """The last token that everything before it has been processed of."""
        return self.keeper.token(self.channel) if self.has_tokens else None

    def counts(self, token: Secret | None) -> bool:
        """Whether a record's token is one that a request may carry."""
        return token is not None and self.has_tokens

    def put(self, token: Secret) -> None:
        """It counts once all that is queued before it has been processed."""
        self._put(partial(move, channel=self.channel, token=token))

    def put_base(self, token: Secret | None) -> None:
        """A base is queued before this: with its token, or with none."""
        kept = token if self.has_tokens else None
        self._put(partial(rest, channel=self.channel, token=kept))

    def distrust(self) -> None:
        """Nothing of the present stretch moves the token any more."""
        self.era += 1

    def drop(self, *, blocked: bool) -> None:
        """Forgets the token; `blocked` until there is another base."""
        self.distrust()
        self.keeper.drop(self.channel)
        if not blocked:
            self.keeper.unblock(self.channel)

    def pass_over(self, entry: StreamEntry) -> None:
        """An entry is done with, though it was not used."""
        if self.counts(entry.token):
            self.advance(self.keeper, self.era, [entry])

    def advance(self, keeper: PositionKeeper, era: int, entries: list[Entry]) -> None:
        """The application is done with these entries of a stretch."""
        if era != self.era or not self.has_tokens:
            return
        for entry in reversed(entries):
            token = entry.token if isinstance(entry, StreamEntry) else None
            if token is not None:
                keeper.advance(self.channel, token.reveal())
                return

    def after(self, event: Event) -> Position:
        """The position once this event and all given before it are processed."""
        keeper = self.keeper.copy()

        def finished(_: str, era: int, entries: list[Entry]) -> None:
            self.advance(keeper, era, entries)

        for marker in self.delivery.try_finish(event, finished):
            if marker.moves is not None:
                marker.moves(keeper)
        return keeper.value()

    def _put(self, moves: Callable[[PositionKeeper], None]) -> None:
        era = self.era

        def tried(keeper: PositionKeeper) -> None:
            if era == self.era:
                moves(keeper)

        self.delivery.put(Notice(self.channel, reached=lambda: tried(self.keeper), moves=tried))
