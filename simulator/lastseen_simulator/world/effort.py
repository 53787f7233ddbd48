"""What a client may cost: each connection has a cause, calm is cheap, and trouble is forgotten.

INV-L5: a connection is opened because a life began, an earlier one ended or was told to go; and a
client ends one itself only for something that went over it, or that did not come in time.
INV-L6: after a stable time of good service the next loss costs the base delay.
INV-L8: while nothing happens there are pings, and nothing else.
"""

from typing import Final, final

import attrs

from lastseen_simulator.world.watching import Watch

__all__ = ["EffortWatch", "Facts", "Spent"]

_SLACK_S: Final = 1e-3
_WAKES_A_PING: Final = 2
"""One to ask and one to look whether there was an answer."""
_WAKES_SPARE: Final = 6
"""Timers that were set before it became quiet."""


@final
@attrs.frozen(kw_only=True)
class Facts:
    """The timers of a client, in seconds, as its options say."""

    base_s: float
    """The first delay of the backoff."""
    answer_s: float
    """The least that any question may wait for its answer."""
    silence_s: float
    """So long a connection says nothing before it is given up."""
    pings_s: tuple[float, ...]
    """The intervals of the timers that run while all is quiet."""
    settle_s: float
    """So long after the last happening timers may still ring that it set."""


@final
@attrs.frozen(kw_only=True)
class Spent:
    """What a client has done so far, as it looks from outside."""

    connects: int = 0
    messages: int = 0
    """All but pings, of the socket's kind or the application's."""
    pings: int = 0
    fetches: int = 0
    commits: int = 0
    fed: int = 0
    """What the peer said that may move a place to come back to."""
    wakes: int = 0
    """How often a timer of its own rang."""


@attrs.define(eq=False)
class _Line:
    """What is known of one socket."""

    began_at: float
    told: bool = False
    odd: bool = False
    accepted: bool = False
    ended: bool = False
    said_at: float | None = None
    half: str | None = None
    heard_at: float = 0.0


@final
@attrs.define(eq=False, kw_only=True)
class EffortWatch(Watch):
    """Counts what one client does against what befell it, through all its lives."""

    facts: Facts
    connects: int = 0
    messages: int = 0
    pings: int = 0
    fetches: int = 0
    commits: int = 0
    fed: int = 0
    wakes: int = 0
    causes: int = 0
    """Reasons to connect, in this life."""
    attempts: int = 0
    """Connects, in this life."""
    calm: bool = False
    """The next connection follows a loss after good service."""
    _lost_at: float | None = None
    _lines: dict[int, _Line] = attrs.field(factory=dict[int, _Line])

    def spent(self) -> Spent:
        """What it has done so far."""
        return Spent(
            connects=self.connects,
            messages=self.messages,
            pings=self.pings,
            fetches=self.fetches,
            commits=self.commits,
            fed=self.fed,
            wakes=self.wakes,
        )

    def reborn(self) -> None:
        """Another life begins, which is reason enough for a first connection."""
        self.causes, self.attempts, self._lost_at = 1, 0, None
        self._lines.clear()

    # What the client does.

    def connect(self, number: int) -> None:
        """INV-L5, L6: the session wants a socket."""
        self.connects += 1
        self.attempts += 1
        self._lines[number] = _Line(began_at=self.clock.now, heard_at=self.clock.now)
        if self.attempts > self.causes:
            self.blame("L5", f"connection {number} is wanted for no reason: none was lost")
        if self.calm and self._lost_at is not None:
            waited_s = self.clock.now - self._lost_at
            if waited_s > self.facts.base_s + _SLACK_S:
                self.blame(
                    "L6",
                    f"connects {waited_s:.3f} s after a loss in good service, not within "
                    f"{self.facts.base_s:g} s",
                )
        self._lost_at = None

    def said(self, number: int) -> None:
        """It sends a message that wants an answer."""
        self.messages += 1
        line = self._lines.get(number)
        if line is not None:
            line.said_at, line.half = self.clock.now, None

    def closing(self, number: int) -> None:
        """INV-L5: it ends a connection, which must have had it coming."""
        line = self._lines.get(number)
        if line is None or line.ended:
            return
        if not self._has_cause(number, line):
            self.blame("L5", f"ends connection {number}, over which nothing has gone wrong")
        self._over(line)

    # What befalls it.

    def heard(self, number: int) -> None:
        """Bytes came."""
        line = self._lines.get(number)
        if line is not None:
            line.heard_at = self.clock.now

    def half_answered(self, number: int, half: str) -> None:
        """One of the two frames that answer what was asked last, in either order."""
        line = self._lines.get(number)
        if line is not None and line.half not in (None, half):
            self.answered(number)
        elif line is not None:
            line.half = half

    def answered(self, number: int) -> None:
        """What was asked last has its answer."""
        line = self._lines.get(number)
        if line is not None:
            line.said_at = None

    def accepted(self, number: int) -> None:
        """A login was accepted, or whatever makes this connection the one that counts."""
        line = self._lines.get(number)
        if line is not None:
            line.accepted = True

    def told(self, number: int) -> None:
        """The peer asks for another connection in place of this one."""
        line = self._lines.get(number)
        if line is not None and not line.told:
            line.told = True
            self.causes += 1

    def odd(self, number: int | None) -> None:
        """Something came over it that a client may well leave it for; None is all of them."""
        for each, line in self._lines.items():
            line.odd |= number is None or each == number

    def ended(self, number: int) -> None:
        """It is over, and not by the client's will."""
        line = self._lines.get(number)
        if line is not None and not line.ended:
            self._over(line)
            self._lost_at = self.clock.now

    def _over(self, line: _Line) -> None:
        line.ended = True
        self.causes += 1

    def _has_cause(self, number: int, line: _Line) -> bool:
        now, facts = self.clock.now, self.facts
        silent = now - line.heard_at >= facts.silence_s - _SLACK_S
        owed = line.said_at is not None and now - line.said_at >= facts.answer_s - _SLACK_S
        # One deadline may cover the connecting and the first answer.
        mute = not line.accepted and now - line.began_at >= facts.answer_s - _SLACK_S
        replaced = any(each > number and other.accepted for each, other in self._lines.items())
        return line.told or line.odd or replaced or silent or owed or mute

    # When all is quiet.

    def check_quiet(
        self, before: Spent, seconds: float, *, failing: bool, cramped: bool = False
    ) -> None:
        """INV-L8: so long nothing happened, and the client did next to nothing.

        Where a permanent fault keeps a request `failing`, it is repeated; a `cramped` client asks
        again for what it had no room for.
        """
        after = self.spent()
        fed = after.fed - before.fed
        wakes = self._rings(seconds, _WAKES_A_PING) + _WAKES_SPARE + fed
        for what, limit in (
            ("connects", 0),
            ("messages", None if cramped else 0),
            # What came just before may be committed just after.
            ("commits", fed + (fed > 0)),
            ("fetches", None if failing else 0),
            ("pings", self._rings(seconds, 1)),
            ("wakes", None if failing or cramped else wakes),
        ):
            count = getattr(after, what) - getattr(before, what)
            if limit is not None and count > limit:
                self.blame("L8", f"{count} {what} in {seconds:g} s of quiet, not {limit}")

    def _rings(self, seconds: float, each: int) -> int:
        return sum(each * (int(seconds / interval) + 1) for interval in self.facts.pings_s)
