"""The same failure at the same position, three times: stop resuming (R13, HZ-H5, HZ-A16)."""

import attrs

from lastseen.position import Position

__all__ = ["Escalation"]

_FAILURES_MAX_DEFAULT = 3


@attrs.define(eq=False)
class Escalation:
    """Counts resume logins that led nowhere from one and the same position."""

    failures_max: int = _FAILURES_MAX_DEFAULT
    _position: Position = attrs.field(init=False, factory=Position)
    _failures: int = attrs.field(init=False, default=0)

    def failed(self, position: Position) -> bool:
        """Notes a resume login with this position that got no further; True: drop the cursors."""
        if position != self._position:
            self._position = position
            self._failures = 0
        self._failures += 1
        return self._failures >= self.failures_max

    def succeeded(self) -> None:
        """A resume login got a verdict and moved on."""
        self._failures = 0
