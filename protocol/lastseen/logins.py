"""What a login asks to resume from, and whether resuming leads anywhere (R13, HZ-A13)."""

from collections.abc import Collection
from typing import final

import attrs

from lastseen.connections import Connection
from lastseen.escalation import Escalation
from lastseen.messages import LoginAccepted
from lastseen.position import Position, PositionKeeper

__all__ = ["Logins"]


@final
@attrs.define(eq=False, repr=False)
class Logins:
    """The memory that logins share."""

    position: PositionKeeper
    escalation: Escalation
    cold: bool = attrs.field(init=False, default=False)
    """The next login must not resume: its cursors would describe another subscription."""

    def resume_from(self, channels: Collection[str]) -> Position:
        """Cursors of this login's channels that the peer says it can replay (HZ-A21)."""
        position = self.position.value()
        if self.cold:
            return Position()
        cursors = tuple(
            (channel, text)
            for channel, text in position.cursors
            if channel in channels
            and (position.replayable is None or channel in position.replayable)
        )
        # Both or neither (OP-A21): an epoch without cursors asks for nothing.
        return Position(position.epoch, cursors) if cursors else Position()

    def accepted(self, message: LoginAccepted) -> bool:
        """Takes on the epoch of a login; True when it is the one of our cursors (R1)."""
        self.cold = False
        changed = self.position.adopt(message.epoch)
        if message.replayable is not None:
            self.position.replayable = tuple(sorted(message.replayable))
        return not changed

    def lead_nowhere(self, ended: Connection) -> bool:
        """A connection ended; True when resuming from where it did should be given up (R13)."""
        position = ended.login_position
        if not ended.login_sent or not position.cursors:
            return False
        stuck = ended.entries > 0 and self.position.value().cursors == position.cursors
        if ended.resumed and not stuck:
            self.escalation.succeeded()
            return False
        return self.escalation.failed(position)
