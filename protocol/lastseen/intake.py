"""What happens to one entry: the half of a session that runs once per frame."""

from functools import partial
from operator import attrgetter
from typing import final

import attrs

from lastseen.anomalies import Anomalies
from lastseen.channels import Channels
from lastseen.delivery import Delivery
from lastseen.dialect import ScopeKind
from lastseen.errors import LocalProtocolError
from lastseen.events import AnomalyCode, Entry, Event, Source, Why
from lastseen.join import Join, at_or_below
from lastseen.position import Cursor, Position, PositionKeeper, parse_cursor, parse_cursors
from lastseen.recovery import Recovery
from lastseen.scopes import Channel, Row, Scope

__all__ = ["UNKNOWN", "Intake"]

UNKNOWN = "?"
"""The counters' row for channels that are not part of the session."""

_id = attrgetter("id")
_channel = attrgetter("channel")

_CHUNK_ENTRIES = 1024
"""Longest run that is looked at together, so that a run cut short costs no more than this."""

_BAD_IDS_MAX = 3
"""Entries in a row without a usable id before the scope resyncs (design §5a)."""


@final
@attrs.define(eq=False, repr=False)
class Intake:
    """Entries in, in arrival order; finished and rejected entries back from the application."""

    channels: Channels
    recovery: Recovery
    delivery: Delivery
    position: PositionKeeper
    anomalies: Anomalies
    join: Join
    unknown: Row = attrs.field(init=False, factory=Row)

    def receive(self, entry: Entry, *, now: float) -> None:
        """Takes one entry of the owner's connection."""
        channel = self.channels.active.get(entry.channel)
        if channel is None:
            self.refuse(entry, Why.UNSUBSCRIBED)
            return
        channel.row.received += 1
        cursor = parse_cursor(entry.id) if entry.id is not None else None
        if cursor is None:
            self._receive_without_id(channel, entry, now=now)
            return
        channel.bad_ids = 0
        if not channel.replaying:
            self.admit(channel, entry, cursor, now=now)
        elif self.join.is_live(cursor, channel.barrier):
            self._wait_for_replay(channel, entry, cursor, now=now)
        else:
            entry.source = Source.REPLAY
            if channel.barrier is not None:
                self.admit(channel, entry, cursor, now=now)
            elif channel.dedup.admit_replayed(cursor):
                before, channel.replayed = channel.replayed, cursor
                if before is not None and at_or_below(cursor, before):
                    channel.scrambled = True
                self._place(channel, entry, now=now)
            else:
                self.channels.repeat(channel, entry)

    def admit(self, channel: Channel, entry: Entry, cursor: Cursor | None, *, now: float) -> None:
        """Judges one entry in arrival order: known already, or on its way to the application.

        Ids are judged here and never later: an entry that waits for a snapshot must not be taken
        for a duplicate because other fixtures' entries overtook it.
        """
        dedup = channel.dedup
        before = dedup.out_of_order
        if cursor is not None and not dedup.admit(cursor):
            self.channels.repeat(channel, entry)
            return
        if dedup.out_of_order != before:
            self.anomalies.note(AnomalyCode.ID_ORDER, channel.name, entry.id or "")
        self._place(channel, entry, now=now)

    def _place(self, channel: Channel, entry: Entry, *, now: float) -> None:
        """Finds an entry's scope, which is met here when it is a new fixture's."""
        scope = channel.scopes.get(entry.entity)
        if scope is None:
            scope = self.recovery.discover(channel, entry.entity, now=now)
            if scope is None:
                channel.row.dropped += 1
                self.channels.tell(entry, Why.RESYNC)
                return
        self._route(channel, scope, entry, now=now)

    def _route(self, channel: Channel, scope: Scope, entry: Entry, *, now: float) -> None:
        """Hands an entry on, or holds it until its scope has a base (R5)."""
        if channel.covered is not None:
            cursor = entry.cursor
            if cursor is not None and channel.supersedes(scope, cursor):
                self.channels.discard(channel, entry, Why.SUPERSEDED)
                return
        if self.join.must_wait(scope.state):
            channel.row.held += 1
            if not self.recovery.keep(scope, entry):
                self.recovery.overflow(channel, AnomalyCode.HOLD_OVERFLOW, entry.entity, now=now)
            return
        if scope.journal is not None and not scope.journal.put(entry):
            scope.forget_journal()
            scope.verified = True
            self.anomalies.note(
                AnomalyCode.VERIFICATION_SKIPPED, channel.name, "too much traffic to verify a base"
            )
            channel.settle()
        if not self.delivery.put_entry(entry, channel.era):
            self.recovery.overflow(channel, now=now)

    def _wait_for_replay(
        self, channel: Channel, entry: Entry, cursor: Cursor, *, now: float
    ) -> None:
        """Holds a live entry until the replay is complete (R3)."""
        if channel.barrier is not None and not at_or_below(channel.barrier, cursor):
            # The halves disagree (HZ-A7), so it may be of the replay, and what comes behind it
            # would overtake it, with the cursor: a snapshot once the replay is over.
            channel.scrambled = True
            self.position.drop(channel.name)
        channel.row.held += 1
        if not channel.replay_hold.put(entry):
            self.recovery.overflow(channel, AnomalyCode.HOLD_OVERFLOW, now=now)

    def receive_batch(self, entries: list[Entry], sizes: list[int], *, now: float) -> None:
        """Takes many entries: what `receive` does for each, at a fraction of the cost.

        `sizes` are the lengths of their frames, which is what they count against the caps.

        Runs of one channel that flows and whose ids ascend are accepted at once; whatever else
        comes takes the careful way, in its place in the order.
        """
        cursors = parse_cursors(list(map(_id, entries)))
        if cursors is None:
            for entry in entries:
                self.receive(entry, now=now)
            return
        names = list(map(_channel, entries))
        alike = names.count(names[0]) == len(names) if names else True
        start = 0
        while start < len(entries):
            channel = self.channels.active.get(names[start])
            if channel is not None and channel.flows:
                end = len(names) if alike else _end_of_run(names, start)
                chunk = slice(start, min(end, start + _CHUNK_ENTRIES))
                taken = self._receive_run(channel, entries[chunk], cursors[chunk], sizes[chunk])
                if taken:
                    start += taken
                    continue
            self.receive(entries[start], now=now)
            start += 1

    def _receive_run(
        self,
        channel: Channel,
        entries: list[Entry],
        cursors: list[Cursor],
        sizes: list[int],
    ) -> int:
        """Takes the entries of one channel as far as they need no closer look; returns how many."""
        frontier = channel.dedup.frontier()
        if frontier is None:
            return 0
        high, low = frontier
        # A channel that comes whole has one scope, and its entries name none.
        scopes = channel.scopes if channel.kind is ScopeKind.PER_ENTITY else None
        taken = 0
        for entry, (next_high, next_low) in zip(entries, cursors, strict=True):
            if next_high < high or next_low <= low:
                break
            if scopes is not None and entry.entity not in scopes:
                break
            high, low = next_high, next_low
            taken += 1
        if taken < len(entries):
            entries, cursors, sizes = entries[:taken], cursors[:taken], sizes[:taken]
        # Near a cap every entry is looked at, so that the one that crosses it is known.
        if not taken or not self.delivery.put_run(channel.name, entries, sum(sizes), channel.era):
            return 0
        channel.row.received += taken
        channel.bad_ids = 0
        channel.dedup.advance(cursors)
        return taken

    def refuse(self, entry: Entry, why: Why) -> None:
        """Counts an entry that belongs to no channel, connection or login of ours (HZ-B10)."""
        code = {
            Why.UNSUBSCRIBED: AnomalyCode.UNKNOWN_CHANNEL,
            Why.FENCED: AnomalyCode.FENCED,
            Why.BEFORE_LOGIN: AnomalyCode.BEFORE_LOGIN,
        }[why]
        channel = self.channels.active.get(entry.channel)
        if channel is None:
            self.unknown.received += 1
            self.unknown.discarded += 1
            self.anomalies.note(code, None, "entry of a channel that is not subscribed")
            return
        channel.row.received += 1
        self.channels.discard(channel, entry, why)
        if why is not Why.FENCED:
            self.anomalies.note(code, channel.name, "entry outside a login")

    def receive_malformed(self, name: str | None, detail: str, *, now: float) -> None:
        """A frame that cannot be understood might have said anything (table O, R14)."""
        channel = self.channels.active.get(name) if name is not None else None
        row = channel.row if channel is not None else self.unknown
        row.received += 1
        row.malformed += 1
        if channel is not None:
            self.anomalies.note(AnomalyCode.MALFORMED, channel.name, detail)
            self.recovery.doubt(channel, now=now)
        elif name is not None:
            self.anomalies.note(AnomalyCode.UNKNOWN_CHANNEL, None, detail)
        else:
            self.anomalies.note(AnomalyCode.UNDECODABLE, None, detail)
            self.recovery.doubt_all(now=now)

    def finish(self, event: Event) -> int:
        """The application is done with an event, and so with all that it was given before.

        Returns how many of them change a state.
        """
        if not self.delivery.holds(event):
            raise LocalProtocolError("finished an event that is not outstanding")
        return self.delivery.finish(event, self._finished)

    def reject(self, entry: Entry, *, now: float) -> int:
        """The application cannot use an entry: quarantined, and its scope resyncs (HZ-H14).

        Returns how many of those before it change a state.
        """
        if not self.delivery.holds(entry):
            raise LocalProtocolError("rejected an entry that is not outstanding")
        before = self.delivery.finish_before(entry, self._finished)
        channel = self.channels.active.get(entry.channel)
        if channel is None:
            self.channels.retired[entry.channel].row.quarantined += 1
            return before
        channel.row.quarantined += 1
        self.anomalies.note(AnomalyCode.ENTRY_REJECTED, channel.name, entry.id or "without id")
        self.recovery.doubt(channel, entry.entity, now=now)
        return before

    def position_after(self, event: Event) -> Position:
        """What `finish` would make of the position."""
        if not self.delivery.holds(event):
            raise LocalProtocolError("asked about an event that is not outstanding")
        keeper = self.position.copy()
        for marker in self.delivery.try_finish(event, partial(self._advance, keeper)):
            if marker.moves is not None:
                marker.moves(keeper)
        return keeper.value()

    def _finished(self, name: str, era: int, entries: list[Entry]) -> None:
        channel = self.channels.active.get(name) or self.channels.retired[name]
        channel.row.applied += len(entries)
        self._advance(self.position, name, era, entries)

    def _advance(self, keeper: PositionKeeper, name: str, era: int, entries: list[Entry]) -> None:
        """Only the present stretch of trust moves the cursor, over the present connection (R10)."""
        channel = self.channels.active.get(name)
        if channel is None or era != channel.era:
            return
        for entry in reversed(entries):
            if entry.id is not None and entry.cursor is not None:
                keeper.advance(name, entry.id)
                return

    def _receive_without_id(self, channel: Channel, entry: Entry, *, now: float) -> None:
        """Applied, since nobody can say whether it is a duplicate (HZ-F2); the cursor stays."""
        self.anomalies.note(AnomalyCode.BAD_ENTRY_ID, channel.name, repr(entry.id))
        channel.bad_ids += 1
        self.admit(channel, entry, None, now=now)
        if channel.bad_ids >= _BAD_IDS_MAX:
            channel.bad_ids = 0
            self.recovery.doubt(channel, entry.entity, now=now)


def _end_of_run(names: list[str], start: int) -> int:
    end = start + 1
    while end < len(names) and names[end] == names[start]:
        end += 1
    return end
