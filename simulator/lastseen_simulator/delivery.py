"""The way out: every frame to a connection passes here, and so does every fault that meets it."""

from collections.abc import Callable, Mapping
from typing import Final

import attrs
import msgspec

from lastseen_simulator.effects import Abort, CloseConnection, Effect, Stall, Transmit
from lastseen_simulator.faults import Fault
from lastseen_simulator.gateways import Recorder
from lastseen_simulator.lines import Line, Outgoing
from lastseen_simulator.mischief import Mischief, Placed

__all__ = ["DRIP_BYTES_PER_S", "UNKNOWABLE", "Delivery"]

DRIP_BYTES_PER_S: Final = 64.0
"""Default pace of a drip: a frame of a few hundred bytes takes some seconds."""

Strike = Callable[[Placed, Line, float], None]
Withheld = Callable[[Line, Outgoing, Fault, float], None]
Rewrite = Callable[[Fault, Outgoing], tuple[str | bytes, str]]

_WHOLE: Final = ("end",)
"""Kinds that cut what is said and not how it is encoded: what is left is in good order."""

UNKNOWABLE: Final = frozenset({"coalesced", "lost", "skipped"})
"""Why a frame was withheld so that its receiver cannot know: no part of it came, and no end."""

_CHANGES: Final = ("duplicate", "gap", "reorder", "drip", "split")
"""What can be done to a data frame without touching what it says."""


def _cut_in_half(_: Fault, out: Outgoing) -> tuple[str | bytes, str]:
    size = len(out.data) // 2
    return out.data[:size], f"sent {size} of {len(out.data)}"


@attrs.define(eq=False)
class Delivery:
    """Sends frames, ends connections, and writes both into the truth log.

    `strike` performs a fault that is no matter of the frame itself; `withheld` says what follows a
    gap; `rewrites` are a dialect's own ways to spoil what a data frame says.
    """

    effects: list[Effect]
    truth: Recorder
    mischief: Mischief
    strike: Strike
    withheld: Withheld
    rewrites: Mapping[str, Rewrite] = attrs.field(factory=dict[str, Rewrite])

    def __attrs_post_init__(self) -> None:
        self.rewrites = {"malformed": _cut_in_half, **self.rewrites}

    def control(self, connection: Line, name: str, frame: object, now: float) -> None:
        """Sends a control frame, always JSON text."""
        out = Outgoing(name=name, data=msgspec.json.encode(frame).decode(), control=frame)
        self.deliver(connection, out, now=now)

    def deliver(self, connection: Line, out: Outgoing, *, now: float) -> None:
        """Sends one frame past the faults that meet it; nothing once the connection is gone."""
        if connection.is_gone():
            return
        counts = connection.count(out)
        if not (connection.waiting or self.mischief.has_frame_faults()):
            self._transmit(connection, out, now)
            return
        if out.entry is None:
            # What waits to be overtaken must not slip behind a control frame that bounds it.
            self.release(connection, now=now)
        changes = self._strikes(connection, out, counts, "before", now)
        if out.entry is not None:
            changes = connection.armed + changes
            connection.armed = []
        if connection.is_gone() or self._cut(connection, out, counts, now):
            return
        self._send_changed(connection, out, changes, now)
        if connection.is_gone():
            return
        for placed in self._strikes(connection, out, counts, "after", now):
            if placed.fault.kind == "duplicate":
                self._repeat(connection, out, placed, now)
            else:
                connection.armed.append(placed)

    def odd(self, connection: Line, data: str | bytes, note: str, *, now: float) -> None:
        """Sends a message that no gateway should send; it counts as no frame."""
        if not connection.is_gone():
            self.effects.append(Transmit(connection=connection.number, data=data))
            self.truth.write("control", now=now, connection=connection.number, frame={"odd": note})

    def release(self, connection: Line, *, now: float) -> None:
        """Sends what waited to be overtaken, although nothing came past."""
        waiting, connection.waiting = connection.waiting, []
        placed, connection.overtaken_by = connection.overtaken_by, None
        for out in waiting:
            self._transmit(connection, out, now)
        if placed is not None:
            placed.claimed -= 1
            placed.miss("no frame of another channel came past")

    def close(self, connection: Line, code: int, reason: str, *, now: float) -> None:
        """Closes with a close frame."""
        if connection.ended:
            return
        if not connection.muted:
            self.release(connection, now=now)
        connection.ended = True
        self.effects.append(CloseConnection(connection=connection.number, code=code, reason=reason))
        self._closed(connection, "server", code, reason, now)

    def abort(self, connection: Line, *, reset: bool, now: float) -> None:
        """Ends without a close frame."""
        if connection.ended:
            return
        connection.ended = True
        self.effects.append(Abort(connection=connection.number, reset=reset))
        self._closed(connection, "server_abort", 1006, "RST" if reset else "FIN", now)

    def mute(self, connection: Line) -> None:
        """Makes it half-open: whatever comes or goes from here on is lost."""
        if not connection.is_gone():
            connection.muted = True
            self.effects.append(Stall(connection=connection.number, stalled=True))

    def stall(self, connection: Line, *, stalled: bool) -> None:
        """Stops or resumes the socket; frames go on queueing in the driver."""
        if not connection.is_gone():
            self.effects.append(Stall(connection=connection.number, stalled=stalled))

    def _closed(self, connection: Line, by: str, code: int, reason: str, now: float) -> None:
        self.truth.write(
            "closed", now=now, connection=connection.number, by=by, code=code, reason=reason
        )

    def _strikes(
        self,
        connection: Line,
        out: Outgoing,
        counts: dict[tuple[str, str | None], int],
        side: str,
        now: float,
    ) -> list[Placed]:
        """Performs the strikes on this side and returns those that change the frame instead."""
        changes: list[Placed] = []
        for placed in self.mischief.at_frame(
            connection.ordinal, counts, out.channel, side, now=now
        ):
            if placed.fault.kind in _CHANGES or placed.fault.kind in self.rewrites:
                changes.append(placed)
            else:
                self.strike(placed, connection, now)
        return changes

    def _cut(
        self,
        connection: Line,
        out: Outgoing,
        counts: dict[tuple[str, str | None], int],
        now: float,
    ) -> bool:
        """Puts a part of the frame on the wire and lets the path fail there."""
        cuts = self.mischief.at_frame(connection.ordinal, counts, out.channel, "inside", now=now)
        if not cuts:
            return False
        self.release(connection, now=now)
        cut_at = cuts[0].position.byte
        if cuts[0].fault.kind in _WHOLE:
            cut = Transmit(connection=connection.number, data=out.data[:cut_at])
        else:
            cut = Transmit(connection=connection.number, data=out.data, cut_at=cut_at)
        self.effects.append(cut)
        self.withhold(connection, out, f"cut after {cut_at} bytes", now=now)
        self.strike(cuts[0], connection, now)
        return True

    def _send_changed(
        self, connection: Line, out: Outgoing, changes: list[Placed], now: float
    ) -> None:
        by_kind: dict[str, Placed] = {}
        for placed in changes:
            if placed.fault.kind in by_kind:
                # One frame is changed once in each way; the other fault keeps its strike.
                placed.claimed -= 1
                placed.miss("another fault of this kind struck the same frame")
            else:
                by_kind[placed.fault.kind] = placed
        if (gap := by_kind.pop("gap", None)) is not None:
            self._withhold(connection, out, gap, now)
        elif self._waits(connection, out, by_kind.pop("reorder", None), now):
            connection.waiting.append(out)
        else:
            self._send_spoilt(connection, out, by_kind, now)
            self._overtaken(connection, now)
            if (duplicate := by_kind.pop("duplicate", None)) is not None:
                self._repeat(connection, out, duplicate, now)
        # What was to befall this frame too befalls the next.
        connection.armed += by_kind.values()

    def _waits(self, connection: Line, out: Outgoing, reorder: Placed | None, now: float) -> bool:
        """Whether a frame is to be overtaken, or must not pass others of its channel that are."""
        if reorder is not None and not connection.waiting:
            connection.overtaken_by = reorder
            self.strike(reorder, connection, now)
            return True
        if reorder is not None:
            reorder.claimed -= 1
            reorder.miss("another frame was already waiting")
        return bool(connection.waiting) and connection.waiting[0].channel == out.channel

    def _send_spoilt(
        self, connection: Line, out: Outgoing, by_kind: dict[str, Placed], now: float
    ) -> None:
        """Sends a frame as it is, slowly, or saying something else."""
        rewrite = next((kind for kind in by_kind if kind in self.rewrites), None)
        if rewrite is not None:
            self._spoil(connection, out, by_kind.pop(rewrite), now)
        elif (drip := by_kind.pop("drip", None)) is not None:
            pace = drip.fault.bytes_per_s or DRIP_BYTES_PER_S
            self._transmit(connection, out, now, drip_bytes_per_s=pace)
            self._fired(drip, connection, f"at {pace:g} bytes/s", now)
        elif (split := by_kind.pop("split", None)) is not None:
            half = len(out.data) // 2
            split_at = half if split.fault.cut_at is None else split.fault.cut_at
            self._transmit(connection, out, now, split_at=split_at)
            self._fired(split, connection, f"split after {split_at} bytes", now)
        else:
            self._transmit(connection, out, now)

    def _overtaken(self, connection: Line, now: float) -> None:
        placed, connection.overtaken_by = connection.overtaken_by, None
        waiting, connection.waiting = connection.waiting, []
        for out in waiting:
            self._transmit(connection, out, now)
        if placed is not None:
            self._fired(placed, connection, f"{len(waiting)} frames overtaken", now)

    def _withhold(self, connection: Line, out: Outgoing, placed: Placed, now: float) -> None:
        self.withhold(connection, out, placed.fault.loss or "coalesced", now=now)
        entry_id = "" if out.entry is None else f"{out.entry.channel} {out.entry.entry_id}"
        self._fired(placed, connection, f"withheld {entry_id}", now)
        self.withheld(connection, out, placed.fault, now)

    def _spoil(self, connection: Line, out: Outgoing, placed: Placed, now: float) -> None:
        data, detail = self.rewrites[placed.fault.kind](placed.fault, out)
        self.effects.append(Transmit(connection=connection.number, data=data))
        self.withhold(connection, out, placed.fault.kind, now=now)
        self._fired(placed, connection, detail, now)

    def _repeat(self, connection: Line, out: Outgoing, placed: Placed, now: float) -> None:
        if connection.waiting:
            # Behind its original: it must not pass others of its channel that wait with it.
            connection.waiting.append(attrs.evolve(out, name="duplicate"))
        else:
            self._transmit(connection, out, now, how="duplicate")
        entry_id = "" if out.entry is None else out.entry.entry_id
        self._fired(placed, connection, f"sent {entry_id} twice", now)

    def _transmit(
        self,
        connection: Line,
        out: Outgoing,
        now: float,
        *,
        how: str | None = None,
        drip_bytes_per_s: float | None = None,
        split_at: int | None = None,
    ) -> None:
        self.effects.append(
            Transmit(
                connection=connection.number,
                data=out.data,
                drip_bytes_per_s=drip_bytes_per_s,
                split_at=split_at,
            )
        )
        if out.entry is None:
            frame = msgspec.to_builtins(out.control)
            self.truth.write("control", now=now, connection=connection.number, frame=frame)
        for entry in out.carries or (() if out.entry is None else (out.entry,)):
            self.truth.write(
                "sent",
                now=now,
                connection=connection.number,
                channel=entry.channel,
                entryId=entry.entry_id,
                how=how or out.name,
            )

    def withhold(self, connection: Line, out: Outgoing, why: str, *, now: float) -> None:
        """Records that a frame is not sent, and why."""
        for entry in (out.carries if out.entry is not None else ()) or (out.entry,):
            self.truth.write(
                "withheld",
                now=now,
                connection=connection.number,
                channel=out.channel,
                entryId=None if entry is None else entry.entry_id,
                why=why,
            )

    def _fired(self, placed: Placed, connection: Line, detail: str, now: float) -> None:
        placed.fire(f"connection {connection.ordinal}: {detail}", now=now)
        self.truth.write(
            "fault",
            now=now,
            fault=placed.number,
            fault_kind=placed.fault.kind,
            detail=placed.detail,
        )
