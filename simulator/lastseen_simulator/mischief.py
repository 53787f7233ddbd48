"""Which faults strike here and now, and what became of each."""

from collections.abc import Iterator
from typing import Final

import attrs

from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.positions import Position

__all__ = ["Mischief", "Placed"]

FIRED_AT_MAX: Final = 1000
"""Moments kept per fault; the count goes on."""


@attrs.define(eq=False)
class Placed:
    """A fault in its place. `claimed` counts strikes begun, `fired` those that took effect."""

    number: int
    fault: Fault
    position: Position
    claimed: int = 0
    fired: int = 0
    fired_at: list[float] = attrs.field(factory=list[float])
    detail: str = "not reached"
    window_ends: float | None = None
    next_moment: float | None = None
    over: bool = False
    """It will not strike any more."""

    def fire(self, detail: str, *, now: float) -> None:
        """Records that the fault took effect."""
        self.fired += 1
        self.detail = detail
        if len(self.fired_at) < FIRED_AT_MAX:
            self.fired_at.append(now)

    def miss(self, detail: str) -> None:
        """Records why a strike took no effect."""
        if not self.fired:
            self.detail = detail

    def claim(self, *, now: float) -> bool:
        """Takes one of the strikes that are left."""
        if self.over:
            return False
        window_s = self.fault.seconds if self.fault.kind.endswith("_after_login") else None
        if window_s is not None:
            if self.window_ends is None:
                self.window_ends = now + window_s
            if now > self.window_ends:
                return False
        elif self.fault.times and self.claimed >= self.fault.times:
            return False
        self.claimed += 1
        return True


@attrs.define(eq=False)
class Mischief:
    """All placed faults. Each question claims the strikes it returns."""

    _placed: list[Placed] = attrs.field(init=False, factory=list[Placed])
    _entries: int = attrs.field(init=False, default=0)
    _requests: dict[str, int] = attrs.field(init=False, factory=dict[str, int])

    def place(self, fault: Fault) -> Placed:
        """Adds a fault and numbers it from 1."""
        position = fault.position
        placed = Placed(number=len(self._placed) + 1, fault=fault, position=position)
        if position.scene == "time":
            placed.next_moment = position.moment_s
        self._placed.append(placed)
        return placed

    def receipts(self) -> tuple[Receipt, ...]:
        """What became of each fault, in the order of their placing."""
        return tuple(
            Receipt(
                fault_id=placed.number,
                kind=placed.fault.kind,
                at=placed.fault.at,
                fired=placed.fired,
                fired_at=tuple(placed.fired_at),
                detail=placed.detail,
            )
            for placed in self._placed
        )

    def heal(self) -> None:
        """Lets no fault strike any more."""
        for placed in self._placed:
            placed.over, placed.next_moment = True, None

    def on_open(self, ordinal: int, *, now: float) -> list[Placed]:
        """Strikes when the ordinal-th connection opens."""
        return self._claimed(self._for("open", ordinal), now)

    def on_login(self, ordinal: int, *, now: float) -> list[Placed]:
        """Strikes when its login arrives."""
        return self._claimed(self._for("login", ordinal), now)

    def on_subscribe(self, ordinal: int, count: int, *, now: float) -> list[Placed]:
        """Strikes when its count-th subscribe arrives."""
        return self._claimed(
            (p for p in self._for("subscribe", ordinal) if p.position.meets(count)), now
        )

    def has_frame_faults(self) -> bool:
        """Whether frames need to be asked about at all."""
        return any(placed.position.scene == "frame" and not placed.over for placed in self._placed)

    def at_frame(
        self,
        ordinal: int,
        counts: dict[tuple[str, str | None], int],
        channel: str | None,
        side: str,
        *,
        now: float,
    ) -> list[Placed]:
        """Strikes at a frame; `counts` maps (name, channel or None) to the frame's number."""
        return self._claimed(
            (
                placed
                for placed in self._for("frame", ordinal)
                if placed.position.side == side
                and placed.position.channel in (None, channel)
                and (key := (placed.position.what, placed.position.channel)) in counts
                and placed.position.meets(counts[key])
            ),
            now,
        )

    def on_entry(self, *, now: float) -> list[Placed]:
        """Counts a published entry and returns the strikes after it."""
        self._entries += 1
        return self._claimed(
            (p for p in self._for("entry", None) if p.position.meets(self._entries)), now
        )

    def on_request(self, path: str, *, now: float) -> list[Placed]:
        """Counts a request (path without the language) and returns the strikes at it.

        A position at a request also means the following ones, as long as strikes are left.
        """
        for key in (path, "*"):
            self._requests[key] = self._requests.get(key, 0) + 1
        return self._claimed(
            (p for p in self._for("request", None) if self._meets_request(p.position, path)), now
        )

    def next_moment(self) -> float | None:
        """Seconds after the start at which the next timed fault strikes."""
        moments = [placed.next_moment for placed in self._placed if placed.next_moment is not None]
        return min(moments, default=None)

    def at_moment(self, elapsed_s: float, *, now: float) -> list[Placed]:
        """Strikes whose time has come."""
        due: list[Placed] = []
        for placed in self._placed:
            if placed.next_moment is None or placed.next_moment > elapsed_s:
                continue
            if not placed.claim(now=now):
                placed.next_moment = None
                continue
            due.append(placed)
            if placed.position.every:
                placed.next_moment += placed.position.moment_s
            else:
                placed.next_moment = None
        return due

    def _meets_request(self, position: Position, path: str) -> bool:
        if position.what not in ("*", path):
            return False
        count = self._requests[position.what]
        return position.meets(count) if position.every else count >= position.number

    def _for(self, scene: str, ordinal: int | None) -> Iterator[Placed]:
        for placed in self._placed:
            if placed.position.scene != scene:
                continue
            if ordinal is None or placed.fault.connection in (None, ordinal):
                yield placed

    def _claimed(self, candidates: Iterator[Placed], now: float) -> list[Placed]:
        return [placed for placed in candidates if placed.claim(now=now)]
