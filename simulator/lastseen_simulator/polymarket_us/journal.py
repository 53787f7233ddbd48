"""What can be resumed over: the newest changes of each channel, and the tokens that name places."""

import base64
import binascii
import collections
from collections.abc import Mapping
from typing import Any

import attrs

from lastseen_simulator.polymarket_us.connections import Change
from lastseen_simulator.polymarket_us.market import CHANNELS

__all__ = ["Journal"]


@attrs.define(eq=False)
class Journal:
    """Changes by channel, `size` of each, within sessions of the gateway."""

    size: int
    session: str = "s-1"
    _seqs: dict[str, int] = attrs.field(init=False, factory=lambda: dict.fromkeys(CHANNELS, 0))
    _changes: dict[str, collections.deque[Change]] = attrs.field(init=False)
    _sessions: set[str] = attrs.field(init=False, factory=lambda: {"s-1"})
    """Whose tokens are still known."""

    def __attrs_post_init__(self) -> None:
        self._changes = {name: collections.deque(maxlen=self.size) for name in CHANNELS}

    def add(self, channel: str, name: str, item: Mapping[str, Any]) -> Change:
        """Numbers a change and keeps it."""
        self._seqs[channel] += 1
        change = Change(channel=channel, entry_id=name, seq=self._seqs[channel], item=item)
        self._changes[channel].append(change)
        return change

    def restart(self, *, forgets: bool) -> None:
        """Another session begins; unless it forgets, earlier tokens go on."""
        number = int(self.session.removeprefix("s-")) + 1
        self.session = f"s-{number}"
        if forgets:
            self._sessions.clear()
            for changes in self._changes.values():
                changes.clear()
        self._sessions.add(self.session)

    def token(self, channel: str, seq: int | None = None) -> str:
        """Names the place after a change; the newest one when none is given."""
        place = self._seqs[channel] if seq is None else seq
        return base64.b64encode(f"{self.session}:{channel}:{place}".encode()).decode()

    def since(self, channel: str, token: str) -> list[Change] | None:
        """The changes after a place; None for a token that nobody knows, or not any more."""
        try:
            session, name, place = base64.b64decode(token, validate=True).decode().split(":")
            seq = int(place)
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
        if session not in self._sessions or name != channel or seq > self._seqs[channel]:
            return None
        changes = [each for each in self._changes[channel] if each.seq > seq]
        # A place is known as long as all that came after it is.
        return changes if len(changes) == self._seqs[channel] - seq else None
