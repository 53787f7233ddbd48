"""What every watch shares: how a violation is told, and what can be said of any client's sockets.

A watch judges from what went over the wires, what the application was told, and the gateway's truth
log. It shares no code with the sessions.
"""

from typing import Final, NoReturn, final

import attrs

from lastseen_simulator.world.clock import Clock

__all__ = ["BrokenInvariantError", "SocketWatch", "Violation", "Watch"]

_SLACK_S: Final = 1e-6
_SOCKETS_MAX: Final = 2


@final
@attrs.frozen(kw_only=True)
class Violation:
    """An invariant of `hazards.md` N that did not hold, where, and when."""

    invariant: str
    client: int
    at: float
    words: str

    def __str__(self) -> str:
        return f"{self.invariant} at {self.at:.3f} s, client {self.client}: {self.words}"


class BrokenInvariantError(Exception):
    """Ends a run: an invariant did not hold."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(str(violation))
        self.violation = violation


@attrs.define(eq=False, kw_only=True)
class Watch:
    """Watches one client through all its lives."""

    client: int
    clock: Clock
    marks: set[str]

    def blame(self, invariant: str, words: str) -> NoReturn:
        """An invariant does not hold."""
        raise BrokenInvariantError(
            Violation(invariant=invariant, client=self.client, at=self.clock.now, words=words)
        )


@final
@attrs.define(eq=False, kw_only=True)
class SocketWatch(Watch):
    """INV-S14, S15: one attempt at a time, few sockets, and the backoff's floor between attempts.

    The floor of the n-th attempt since a connection was last good is half of
    min(cap, base·2ⁿ) after the one before (design §5a); only a login that lasted makes it good.
    """

    base_s: float
    cap_s: float
    stable_after_s: float
    messages_per_s: int
    sockets_max: int = _SOCKETS_MAX
    connecting: int | None = None
    open: set[int] = attrs.field(factory=set[int])
    attempts: int = 0
    """Since the last good connection."""
    connects: int = 0
    fast: bool = False
    """The next attempt is a planned move from a good connection."""
    _last_at: float | None = None
    _stable_at: float | None = None
    _said: list[float] = attrs.field(factory=list[float])

    def reborn(self) -> None:
        """Another life of the client begins."""
        self.connecting, self.attempts, self.connects, self.fast = None, 0, 0, False
        self.open.clear()
        self._last_at = self._stable_at = None
        self._said.clear()

    def connect(self, number: int) -> None:
        """The session wants a socket."""
        now = self.clock.now
        if self.connecting is not None:
            self.blame("S15", f"connects while connection {self.connecting} is on its way")
        self.open.add(number)
        if len(self.open) > self.sockets_max:
            self.blame("S15", f"{len(self.open)} sockets at once")
        self._settle()
        if self._last_at is not None:
            floor_s = min(self.cap_s, self.base_s * 2.0 ** min(self.attempts, 60)) / 2
            waited_s = now - self._last_at
            if not (self.fast and self.attempts == 0) and waited_s < floor_s - _SLACK_S:
                self.blame(
                    "S14",
                    f"attempt {self.attempts + 1} since a good connection comes {waited_s:.3f} s "
                    f"after the one before, not {floor_s:.3f} s",
                )
            self.attempts += 1
            if self.base_s * 2.0 ** min(self.attempts, 60) >= 2 * self.cap_s:
                self.marks.add("backoff at its cap")
        self._last_at, self.connecting, self.fast = now, number, False
        self.connects += 1

    def said(self) -> None:
        """The session sends a message."""
        now = self.clock.now
        self._said.append(now)
        recent = self._said[-self.messages_per_s - 1 :]
        if len(recent) > self.messages_per_s and now - recent[0] < 1.0 - _SLACK_S:
            self.blame("S14", f"{len(recent)} messages within {now - recent[0]:.3f} s")
        self._said = recent

    def arrived(self, number: int) -> None:
        """A socket is open."""
        if self.connecting == number:
            self.connecting = None

    def gone(self, number: int) -> None:
        """A socket, or an attempt, has ended."""
        self.open.discard(number)
        if self.connecting == number:
            self.connecting = None

    def good_from_now(self) -> None:
        """A login was accepted: after a while the connection is good."""
        self._settle()
        self._stable_at = self.clock.now + self.stable_after_s

    def lost(self, *, planned: bool = False) -> None:
        """The logged-in connection has ended, or was told to go."""
        self._settle()
        self._stable_at = None
        self.fast = planned

    def _settle(self) -> None:
        if self._stable_at is not None and self.clock.now >= self._stable_at - _SLACK_S:
            self.attempts, self._stable_at = 0, None
