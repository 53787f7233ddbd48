"""Where a stream is: an opaque token, kept under the same rules as a cursor (R2, R6, R9, HZ-F8)."""

import attrs

from lastseen.position import Position, PositionKeeper
from lastseen.secret import Secret

__all__ = ["TokenKeeper", "move", "rest"]


@attrs.define(eq=False)
class TokenKeeper(PositionKeeper):
    """A `PositionKeeper` whose cursors are tokens, which no epoch frames and nobody compares."""

    epoch: str | None = ""
    """Never None: a token always belongs to something."""

    def start_from(self, position: Position, channel: str) -> None:
        """Starts from the token that a stored position has for this stream."""
        token = position.token(channel)
        if token is not None:
            self._cursors = {channel: token.reveal()}

    def token(self, channel: str) -> Secret | None:
        """The last token that everything before it has been processed of."""
        text = self.cursor(channel)
        return Secret(text) if text is not None else None

    def rest(self, channel: str, token: Secret | None) -> None:
        """A new base was taken in; the tokens of the one before do not describe it (R9)."""
        self.drop(channel)
        self.unblock(channel)
        if token is not None:
            self.advance(channel, token.reveal())

    def value(self) -> Position:
        """The present position."""
        return Position(
            tokens=tuple((name, Secret(text)) for name, text in sorted(self._cursors.items()))
        )


def move(keeper: PositionKeeper, *, channel: str, token: Secret) -> None:
    """Everything before this token has been processed."""
    keeper.advance(channel, token.reveal())


def rest(keeper: PositionKeeper, *, channel: str, token: Secret | None) -> None:
    """The base that came with this token, or with none, has been processed."""
    assert isinstance(keeper, TokenKeeper)
    keeper.rest(channel, token)
