"""Where a client of OddsPapi says it is, against what it has: cursors, durability, counters."""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping

import attrs

from lastseen.events import Proof, StateSnapshot
from lastseen.position import Position
from lastseen.states import ScopeState
from lastseen.status import Counters
from lastseen_simulator.world.ledger import Ledger, Publication
from lastseen_simulator.world.oddspapi_frames import BY_ENTITY, PATHS, Scope
from lastseen_simulator.world.watching import Watch

__all__ = ["CursorWatch"]


@attrs.define(eq=False, kw_only=True)
class CursorWatch(Watch):
    """What a client has, in numbers of publications, unit by unit.

    `bases` says up to which publication the last snapshot of a scope goes, `units` which
    publication set a unit since.
    """

    ledger: Ledger
    channels: tuple[str, ...]
    held_max: int
    """What a scope may hold, and a channel in a replay."""
    waiting_max: int
    """What may wait for the application."""
    bases: dict[Scope, int] = attrs.field(factory=dict[Scope, int])
    units: dict[str, int] = attrs.field(factory=dict[str, int])
    claims: dict[Scope, tuple[ScopeState, Proof]] = attrs.field(
        factory=dict[Scope, tuple[ScopeState, Proof]]
    )
    epoch: str | None = None
    excused: set[Scope] = attrs.field(factory=set[Scope])
    """Scopes whose base came from an answer that lied and that nothing could expose."""
    issued: set[tuple[str, str, str]] = attrs.field(factory=set[tuple[str, str, str]])
    """(epoch, channel, id) that the client was ever given."""
    received: dict[str, int] = attrs.field(factory=dict[str, int])
    without_base: set[str] = attrs.field(factory=set[str])
    covered: dict[str, int] = attrs.field(factory=dict[str, int])
    """Channel → up to which publication the cursor was found to be covered."""
    position: Position = attrs.field(factory=Position)
    dated: dict[Scope, int] = attrs.field(factory=dict[Scope, int])
    """Scope → up to which publication its base says to go."""
    syncing: set[Scope] = attrs.field(factory=set[Scope])
    """Scopes that are said to be on their way to a base."""
    owed: set[Scope] = attrs.field(factory=set[Scope])
    """Scopes that were synced when the application asked for everything anew, and still wait."""
    last: dict[str, tuple[str, str]] = attrs.field(factory=dict[str, tuple[str, str]])
    """Channel → epoch and id of the entry that was applied last."""

    def have(self, unit: str, scope: Scope) -> int:
        """As of which publication the client has a unit."""
        set_by = self.units.get(unit)
        return self.bases.get(scope, 0) if set_by is None else set_by

    def check_monotone(self, position: Position) -> None:
        """INV-S6: within an epoch a cursor only grows, or goes."""
        before = self.position
        if before.epoch != position.epoch:
            return
        cursors = dict(position.cursors)
        for channel, old in before.cursors:
            new = cursors.get(channel)
            if new is None or new == old:
                continue
            left = self.ledger.number(position.epoch, channel, old)
            right = self.ledger.number(position.epoch, channel, new)
            if left is not None and right is not None and right < left:
                self.blame("S6", f"the cursor of {channel} goes back from {old} to {new}")

    def check_position(self, position: Position, what: str) -> None:
        """INV-S1, S2, S4: each cursor was issued in its epoch, delivered, and has its state."""
        for channel, cursor in position.cursors:
            number = self.ledger.number(position.epoch, channel, cursor)
            if number is None or position.epoch is None:
                self.blame("S4", f"{what} pairs {cursor} of {channel} with {position.epoch}")
            if (position.epoch, channel, cursor) not in self.issued:
                self.blame("S4", f"{what} has {cursor} of {channel}, which was never delivered")
            if channel in self.without_base and position.epoch == self.epoch:
                self.blame("S1", f"{what} has a cursor of {channel}, whose base is in doubt")
            self._check_cursor(channel, number, what)

    def _check_cursor(self, channel: str, number: int, what: str) -> None:
        """INV-S1: the state covers the truth at the cursor."""
        reached = self.covered.get(channel, 0)
        if number <= reached:
            return
        for publication in self.ledger.by_channel.get(channel, ()):
            if publication.number <= reached or publication.number in self.ledger.withheld:
                continue
            if publication.number > number:
                break
            scope = (channel, publication.entity if channel in BY_ENTITY else None)
            if scope in self.excused or (scope not in self.claims and scope not in self.bases):
                continue
            for unit in publication.units:
                if self.have(unit, scope) < publication.number:
                    self.blame(
                        "S1",
                        f"{what} is past publication {publication.number} of {channel}, and {unit} "
                        f"is as of {self.have(unit, scope)}",
                    )
        self.covered[channel] = number

    def check_cover(self, unit: str, disclosed: int) -> None:
        """INV-S10: of what is called synced, every unit is as it was handed in."""
        channel, _, rest = unit.partition("/")
        scope = (channel, rest.partition("/")[0] if channel in BY_ENTITY else None)
        claim = self.claims.get(scope)
        if claim is None or claim[0] is not ScopeState.SYNCED or scope in self.excused:
            return
        have = self.have(unit, scope)
        if have < disclosed:
            self.blame(
                "S10",
                f"{channel} {scope[1] or ''} is called synced, and {unit} is as of publication "
                f"{have}, while {disclosed} was handed in",
            )

    def overlaid(self, snapshot: StateSnapshot) -> set[str]:
        """The units of a base and of what is laid on it."""
        numbers = (
            self.ledger.number(self.epoch, snapshot.channel, entry.id) for entry in snapshot.overlay
        )
        units = {unit for n in numbers if n for unit in self.ledger.publications[n - 1].units}
        return units.union(snapshot.rows)

    def check_claims(self, owner: int | None, fetched: Collection[str | None]) -> None:
        """INV-S10, L3: what is synced is fed, and for what is syncing a fetch is under way.

        `fetched` names the fixtures and futures of the fetches; None stands for all others.
        """
        for channel, entity in self.syncing:
            if entity not in fetched and (channel, entity) in self.claims:
                self.blame("L3", f"calls {channel} {entity or ''} syncing, and fetches nothing")
        if owner is None:
            self._check_alone()

    def _check_alone(self) -> None:
        for (channel, entity), (state, _) in self.claims.items():
            if state in (ScopeState.SYNCED, ScopeState.LIVE_ONLY):
                words = f"calls {channel} {entity or ''} {state.value} without a connection"
                self.blame("S10", words)

    def ask_anew(self) -> None:
        """The application wants new bases for all that is synced."""
        self.owed = {
            scope for scope in self.claims if scope[0] in PATHS and self._calls_synced(scope)
        }

    def _calls_synced(self, scope: Scope) -> bool:
        claim = self.claims.get(scope)
        return claim is not None and claim[0] is ScopeState.SYNCED

    def check_entry(self, scope: Scope, entry_id: str, number: int) -> None:
        """INV-S6: an entry that a base says to have is not laid on top of it."""
        if number <= self.dated.get(scope, 0):
            self.blame("S6", f"applies {scope[0]} {entry_id} on a base that says to have it")

    def check_proof(self, channel: str, seen: int, heads: int) -> None:
        """INV-S10, R11: a base that is called proven has what was published before the login."""
        for publication in reversed(self.ledger.by_channel.get(channel, ())):
            if publication.number <= heads:
                if publication.number > seen:
                    words = f"calls a base of {channel} as of {seen} proven"
                    self.blame("S10", f"{words}, and {publication.number} came before the login")
                return

    def behind(self, position: Position, durable: Position) -> str | None:
        """What of a position lags for ever behind what was applied (R2, R6), or was asked for."""
        for channel, (epoch, entry_id) in self.last.items():
            cursor = position.cursor(channel)
            if epoch != position.epoch or cursor is None:
                continue
            number, applied = (
                self.ledger.number(epoch, channel, each) for each in (cursor, entry_id)
            )
            if number is not None and applied is not None and number < applied:
                return f"the cursor of {channel} stays at {cursor}, and {entry_id} was applied"
        for scope in sorted(self.owed, key=str):
            if self._calls_synced(scope):
                return f"{scope[0]} {scope[1] or ''} was asked for anew, and has no new base"
        return None if durable == position else "what was applied does not become durable"

    def check_caps(self, counters: Mapping[str, Counters]) -> None:
        """INV-S13: no channel holds or queues more than its caps allow."""
        for channel, row in counters.items():
            scopes = 2
            if row.held > scopes * self.held_max:
                scopes += sum(name == channel for name, _ in self.claims)
            if row.held > scopes * self.held_max:
                self.blame("S13", f"{channel} holds {row.held}, not {scopes} times {self.held_max}")
            if row.buffered > self.waiting_max:
                self.blame("S13", f"{row.buffered} of {channel} wait, not {self.waiting_max}")

    def check_counters(self, counters: Mapping[str, Counters]) -> None:
        """INV-S21: every entry that was handed in is counted exactly once."""
        for channel in self.channels:
            row = counters.get(channel)
            if row is None:
                continue
            if not row.conserved:
                self.blame("S21", f"{channel}: {row}")
            counted = row.received - row.malformed
            if counted != self.received.get(channel, 0):
                self.blame(
                    "S21",
                    f"{channel}: {self.received.get(channel, 0)} entries were handed in, and "
                    f"{counted} counted",
                )

    def published(self) -> Iterator[tuple[Iterable[Hashable], bool]]:
        """Every publication by its names, and whether the client may do without it."""
        named: dict[int, list[Hashable]] = {}
        for (epoch, channel), ids in self.ledger.ids.items():
            for entry_id, number in ids.items():
                named.setdefault(number, []).append((epoch, channel, entry_id))
        for each in self.ledger.publications:
            if each.channel in self.channels:
                yield named[each.number], self._may_lack(each)

    def _may_lack(self, publication: Publication) -> bool:
        """Coalesced, below a base, of a channel that no base restores, or of one that is stale."""
        channel, number = publication.channel, publication.number
        scope = (channel, publication.entity if channel in BY_ENTITY else None)
        if channel not in PATHS or number in self.ledger.withheld or scope in self.excused:
            return True
        claim = self.claims.get(scope)
        if claim is not None and claim[0] is not ScopeState.SYNCED:
            # It says itself that it is not in order; whether it may say so is INV-L1 and L3.
            return True
        return all(self.have(unit, scope) >= number for unit in publication.units)
