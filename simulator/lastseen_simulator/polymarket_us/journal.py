"""What can be resumed over: the newest changes of each channel, and the tokens that name places.

A token is bytes that mean nothing to anybody else, in base64: a checksum, the place, the moment at
which it was handed out, and padding, under a mask of this gateway's own.
"""

import base64
import binascii
import collections
import zlib
from collections.abc import Mapping
from itertools import cycle
from typing import Any, Final

import attrs

from lastseen_simulator.polymarket_us.channels import CHANNELS
from lastseen_simulator.polymarket_us.connections import Change
from lastseen_simulator.polymarket_us.options import PolymarketUSOptions

__all__ = ["EXPIRED", "UNKNOWN", "Journal", "Loss"]


@attrs.frozen
class Loss:
    """Why nothing can be resumed from a token: a code and a message (§4.5)."""

    code: int
    message: str


UNKNOWN: Final = Loss(3, "the resume token is not known")
EXPIRED: Final = Loss(11, "the resume token has expired")

_SUM_BYTES: Final = 4


@attrs.define(eq=False)
class Journal:
    """Changes by channel within sessions of the gateway; `mask` hides what tokens say."""

    options: PolymarketUSOptions
    mask: bytes
    session: str = attrs.field(init=False, default="s-1")
    _restarts: int = attrs.field(init=False, default=1)
    _seqs: dict[str, int] = attrs.field(init=False, factory=lambda: dict.fromkeys(CHANNELS, 0))
    _changes: dict[str, collections.deque[Change]] = attrs.field(init=False)
    _forgotten: int = attrs.field(init=False, default=0)
    """Tokens of sessions up to this one are not known any more."""

    def __attrs_post_init__(self) -> None:
        size = self.options.journal
        self._changes = {name: collections.deque(maxlen=size) for name in CHANNELS}

    def add(self, channel: str, name: str, item: Mapping[str, Any], *, wall_ms: int) -> Change:
        """Numbers a change and keeps it."""
        self._seqs[channel] += 1
        change = Change(
            channel=channel, entry_id=name, seq=self._seqs[channel], item=item, wall_ms=wall_ms
        )
        self._changes[channel].append(change)
        return change

    def restart(self, *, forgets: bool) -> None:
        """Another session begins; unless it forgets, earlier tokens go on."""
        if forgets:
            self._forgotten = self._restarts
            for changes in self._changes.values():
                changes.clear()
        self._restarts += 1
        self.session = f"s-{self._restarts}"

    def newest(self, channel: str) -> int:
        """The number of the newest change."""
        return self._seqs[channel]

    def last(self, channel: str) -> Change | None:
        """The newest change that is kept."""
        changes = self._changes[channel]
        return changes[-1] if changes else None

    def token(self, channel: str, seq: int | None = None, *, now: float) -> str:
        """Names the place after a change; the newest one when none is given."""
        place = self._seqs[channel] if seq is None else seq
        text = f"{self._restarts}:{channel}:{place}:{round(now * 1000)}"
        data = text.encode().ljust(self.options.token_bytes - _SUM_BYTES)
        return base64.b64encode(self._masked(_summed(data) + data)).decode()

    def since(self, channel: str, token: str, *, now: float) -> list[Change] | Loss:
        """The changes after a place, or why there are none to be had."""
        try:
            data = base64.b64decode(token, validate=True)
            plain = self._masked(data)
            text = plain[_SUM_BYTES:].decode().rstrip(" ")
            session, name, *numbers = text.split(":")
            seq, at_ms = map(int, numbers)
            known = self._forgotten < int(session) <= self._restarts
        except (binascii.Error, UnicodeError, ValueError):
            return UNKNOWN
        if _summed(plain[_SUM_BYTES:]) != plain[:_SUM_BYTES]:
            return UNKNOWN
        if base64.b64encode(data).decode() != token:
            # Another spelling of the same bytes: a token is given back as it came (HZ-F8).
            return UNKNOWN
        if not known or name != channel or not 0 <= seq <= self._seqs[channel]:
            return UNKNOWN
        lives_s = self.options.resume_lives_s
        if lives_s is not None and now - at_ms / 1000 > lives_s:
            return EXPIRED
        changes = [each for each in self._changes[channel] if each.seq > seq]
        # A place is known as long as all that came after it is.
        return changes if len(changes) == self._seqs[channel] - seq else EXPIRED

    def at(self, channel: str, seq: int) -> Change | None:
        """The change with this number, if it is kept."""
        return next((each for each in self._changes[channel] if each.seq == seq), None)

    def since_time(self, channel: str, wall_ms: int) -> list[Change]:
        """The kept changes published at that time or later."""
        return [each for each in self._changes[channel] if each.wall_ms >= wall_ms]

    def _masked(self, data: bytes) -> bytes:
        return bytes(one ^ other for one, other in zip(data, cycle(self.mask), strict=False))


def _summed(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_SUM_BYTES, "big")
