"""Where we are in a feed: the epoch and every channel's cursor, as one value (R1, R2).

An entry id is `<ts_ms>-<seq>`; it orders entries of one channel inside one epoch and means nothing
outside it. So the epoch cannot be stored without emptying the cursors of the one before, and a
channel whose base is in doubt can neither keep a cursor nor gain one.
"""

from collections.abc import Collection, Sequence
from typing import Self, cast, final

import attrs
import msgspec

from lastseen.errors import ConfigurationError
from lastseen.secret import Secret

__all__ = ["Cursor", "Position", "PositionKeeper", "parse_cursor", "parse_cursors"]

Cursor = tuple[int, int]
"""The two halves of an entry id: server milliseconds and sequence."""

_HALF_DIGITS_MAX = 19
_SHORT_ID = _HALF_DIGITS_MAX + 1
"""An id of this length cannot have a half that is too long."""

_BETWEEN = "],["
_JSON_SPACE = " \t\r\n"
"""All that JSON allows around a number, and an id does not."""

_pairs = msgspec.json.Decoder(list[Cursor]).decode


@final
@attrs.frozen
class Position:
    """An epoch and the text of the last processed entry id per channel; the value to keep.

    Keep it exactly as long, and as durably, as the state it describes: in one transaction (R6, R9).

    >>> Position(epoch="e1", cursors=(("scores", "100-5"),)).cursor("scores")
    '100-5'
    """

    epoch: str | None = None
    cursors: tuple[tuple[str, str], ...] = ()
    replayable: tuple[str, ...] | None = None
    """The channels that the peer could replay in this epoch; None when it never said."""
    tokens: tuple[tuple[str, Secret], ...] = ()
    """By stream, where a feed resumes by opaque tokens: kept as they came (HZ-F8)."""

    @property
    def channels(self) -> frozenset[str]:
        """Those that can be resumed from here."""
        return frozenset(name for name, _ in (*self.cursors, *self.tokens))

    def token(self, channel: str) -> Secret | None:
        """The token of a stream, as the peer gave it."""
        return dict(self.tokens).get(channel)

    def cursor(self, channel: str) -> str | None:
        """The cursor of a channel, as the peer spelled it."""
        return dict(self.cursors).get(channel)

    def to_json(self) -> str:
        """The value as text, for a store.

        >>> Position(epoch="e1", cursors=(("scores", "100-5"),)).to_json()
        '{"epoch":"e1","cursors":{"scores":"100-5"},"replayable":null}'
        """
        tokens = {name: token.reveal() for name, token in self.tokens}
        stored = _Stored(self.epoch, dict(self.cursors), self.replayable, tokens or msgspec.UNSET)
        return msgspec.json.encode(stored).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Reads what `to_json` wrote; raises `ConfigurationError` for anything else."""
        try:
            stored = msgspec.json.decode(text, type=_Stored)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ConfigurationError(f"not a position: {error}") from None
        for channel, cursor in stored.cursors.items():
            if stored.epoch is None or parse_cursor(cursor) is None:
                raise ConfigurationError(f"not a position: cursor of {channel!r}")
        tokens = {} if stored.tokens is msgspec.UNSET else stored.tokens
        return cls(
            stored.epoch,
            tuple(sorted(stored.cursors.items())),
            stored.replayable,
            tuple((name, Secret(token)) for name, token in sorted(tokens.items())),
        )


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    epoch: str | None
    cursors: dict[str, str]
    replayable: tuple[str, ...] | None = None
    tokens: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


def parse_cursor(text: str) -> Cursor | None:
    """Reads `[0-9]{1,19}-[0-9]{1,19}` and nothing else; None for any other text (HZ-A5, HZ-A6).

    >>> parse_cursor("1790000000120-48811")
    (1790000000120, 48811)
    >>> parse_cursor("+1-2")
    """
    high, _, low = text.partition("-")
    if (
        text.isascii()
        and high.isdigit()
        and low.isdigit()
        and len(high) <= _HALF_DIGITS_MAX
        and len(low) <= _HALF_DIGITS_MAX
    ):
        return int(high), int(low)
    return None


def parse_cursors(texts: Sequence[str | None]) -> list[Cursor] | None:
    """Reads many ids at once; None when any of them needs the closer look of `parse_cursor`.

    The ids become one JSON array of pairs, so that one decode reads them all. An id that is
    anything but two plain numbers breaks the array or its length.

    >>> parse_cursors(["10-1", "10-2"])
    [(10, 1), (10, 2)]
    """
    if not texts:
        return []
    ids = cast("Sequence[str]", texts)
    try:
        # A missing id raises here.
        joined = _BETWEEN.join(ids)
        if max(map(len, ids)) > _SHORT_ID or any(map(joined.__contains__, _JSON_SPACE)):
            return None
        if joined.count(",") != len(ids) - 1:
            # "1,2" would pass for "1-2".
            return None
        cursors = _pairs(f"[[{joined.replace('-', ',')}]]")
    except (TypeError, msgspec.MsgspecError):
        return None
    return cursors if len(cursors) == len(texts) else None


@attrs.define(eq=False)
class PositionKeeper:
    """The one place that changes an epoch or a cursor."""

    epoch: str | None = None
    replayable: tuple[str, ...] | None = None
    """What the peer last said it can replay, in the present epoch (HZ-A13)."""
    _cursors: dict[str, str] = attrs.field(init=False, factory=dict[str, str])
    _candidates: dict[str, str] = attrs.field(init=False, factory=dict[str, str])
    _blocked: set[str] = attrs.field(init=False, factory=set[str])
    revision: int = attrs.field(init=False, default=0)

    def restore(self, position: Position, bases: Collection[str]) -> None:
        """Starts from a stored position; a cursor without its base is not taken over (R9)."""
        self.epoch, self.replayable = position.epoch, position.replayable
        if position.epoch is not None:
            self._cursors = {name: text for name, text in position.cursors if name in bases}

    def adopt(self, epoch: str | None) -> bool:
        """Moves to an epoch; any other than the present one empties every cursor first (R1)."""
        if epoch is not None and epoch == self.epoch:
            return False
        self.drop_all()
        self.epoch, self.replayable = epoch, None
        return True

    def advance(self, channel: str, entry_id: str) -> None:
        """Notes that everything up to this entry has been processed.

        A blocked channel only remembers it as a candidate (R2); without an epoch there is nothing
        that a cursor could belong to (HZ-A18).
        """
        if channel in self._blocked or self.epoch is None:
            self._candidates[channel] = entry_id
        else:
            self._cursors[channel] = entry_id
            self.revision += 1

    def block(self, channel: str) -> None:
        """Lets the channel's cursor stay where it is until `release`."""
        self._blocked.add(channel)
        self._candidates.pop(channel, None)

    def release(self, channel: str, otherwise: str | None = None) -> None:
        """Ends a block: the base is whole again, so the candidate becomes the cursor.

        `otherwise` is where the base itself was taken, for a channel with nothing newer (R11).
        """
        self._blocked.discard(channel)
        candidate = self._candidates.pop(channel, otherwise)
        if candidate is not None:
            self.advance(channel, candidate)

    def unblock(self, channel: str) -> None:
        """Ends a block without moving: what follows continues from the present cursor."""
        self._blocked.discard(channel)
        self._candidates.pop(channel, None)

    def drop(self, channel: str) -> None:
        """Forgets the cursor of a channel whose base is missing or in doubt, and blocks it (R2)."""
        if self._cursors.pop(channel, None) is not None:
            self.revision += 1
        self.block(channel)

    def drop_all(self) -> None:
        """Forgets every cursor; what is blocked stays blocked."""
        self._cursors.clear()
        self._candidates.clear()
        self.revision += 1

    def cursor(self, channel: str) -> str | None:
        """The channel's cursor, as the peer spelled it."""
        return self._cursors.get(channel)

    def value(self) -> Position:
        """The present position, cursors sorted by channel."""
        if self.epoch is None:
            return Position()
        return Position(self.epoch, tuple(sorted(self._cursors.items())), self.replayable)

    def copy(self) -> Self:
        """A keeper to try out what would follow from something."""
        other = type(self)(epoch=self.epoch, replayable=self.replayable)
        other._cursors = dict(self._cursors)
        other._candidates = dict(self._candidates)
        other._blocked = set(self._blocked)
        return other
