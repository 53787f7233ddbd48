"""What must hold of a client of OddsPapi, judged from the wire, its events, and the truth."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, final

import attrs
import msgspec

from lastseen.dialect import HttpResponse
from lastseen.events import (
    Anomaly,
    Entry,
    Event,
    Proof,
    StateSnapshot,
    StatusChanged,
)
from lastseen.position import Position
from lastseen.shapes import as_object
from lastseen.states import ScopeState
from lastseen.status import Counters
from lastseen_simulator.world.effort import EffortWatch
from lastseen_simulator.world.oddspapi_cursors import CursorWatch
from lastseen_simulator.world.oddspapi_fetches import Fetch, FetchWatch, Kept
from lastseen_simulator.world.oddspapi_frames import (
    BY_ENTITY,
    PATHS,
    STAMPED,
    Frame,
    Scope,
    read_frame,
)
from lastseen_simulator.world.oddspapi_marks import OddsPapiMarks
from lastseen_simulator.world.ordering import OrderWatch
from lastseen_simulator.world.secrecy import SecrecyWatch
from lastseen_simulator.world.stuck import StuckWatch
from lastseen_simulator.world.tally import Tally
from lastseen_simulator.world.watching import SocketWatch

__all__ = ["OddsPapiWatch"]

_SYNCING: Final = ScopeState.SYNCING
_TRUSTED: Final = (ScopeState.SYNCED, ScopeState.RESUMING)


@final
@attrs.define(eq=False, kw_only=True)
class OddsPapiWatch(CursorWatch):
    """Follows one client through its lives: what it is given, asks for, is told and claims."""

    sockets: SocketWatch
    effort: EffortWatch
    secrecy: SecrecyWatch
    stuck: StuckWatch
    causes: FetchWatch
    prompt: bool = True
    """The application takes everything at once, so that what it was told is what was handed in."""
    binary: bool = False
    roomy: bool = True
    """No cap is so small that entries are legally given up."""
    once: bool = True
    """No id is forgotten while it may come again."""
    tally: Tally = attrs.field(factory=Tally)
    sequence: OrderWatch
    owner: int | None = None
    logins: int = 0
    deliveries: int = 0
    """Entries handed in."""
    _disclosed: dict[str, int] = attrs.field(factory=dict[str, int])
    _scopes: dict[Scope, set[str]] = attrs.field(factory=dict[Scope, set[str]])
    """The units disclosed, by scope."""
    _doubtful: set[str] = attrs.field(factory=set[str])
    """Units whose cover has to be looked at again."""
    _handed: dict[tuple[str, str], int] = attrs.field(factory=dict[tuple[str, str], int])
    """(channel, id) → how often, since the last login."""
    _arrived: dict[str, int] = attrs.field(factory=dict[str, int])
    """Channel → the publication that came last."""
    _applied: set[tuple[str, str, str]] = attrs.field(factory=set[tuple[str, str, str]])
    _order: list[tuple[str, str, str]] = attrs.field(factory=list[tuple[str, str, str]])
    _demands: dict[str, int] = attrs.field(factory=dict[str, int])
    """Channel → how often a snapshot of it was demanded."""
    _rebased: set[Scope] = attrs.field(factory=set[Scope])
    """Scopes with a new base, which is not claimed yet."""
    _sent: dict[int, Position] = attrs.field(factory=dict[int, Position])
    _fetches: dict[int, Fetch] = attrs.field(factory=dict[int, Fetch])
    _answers: dict[tuple[str, str | None], Fetch] = attrs.field(
        factory=dict[tuple[str, str | None], Fetch]
    )
    _accepted: set[int] = attrs.field(factory=set[int])
    """The connections that logged in."""
    _heads: int = 0
    """How far the truth was at the login."""
    seen: OddsPapiMarks = attrs.field(
        init=False, default=attrs.Factory(lambda self: OddsPapiMarks(self.marks), takes_self=True)
    )

    @property
    def excused_channels(self) -> frozenset[str]:
        """Channels that rest on an answer which lied, and which nothing could expose."""
        return frozenset(channel for channel, _ in self.excused)

    # Its lives.

    def kept(self) -> Kept:
        """What a commit of this moment contains."""
        bases, units = dict(self.bases), dict(self.units)
        return Kept(bases, units, frozenset(self.excused), len(self._order))

    def reborn(self, kept: Kept | None, position: Position, lost: str | None) -> None:
        """The client starts from what was durable, without the state of a channel."""
        self.sockets.reborn()
        self.effort.reborn()
        self.secrecy.reborn()
        self.stuck.reborn()
        self.causes.reborn()
        self.bases = dict(kept.bases) if kept is not None else {}
        self.units = dict(kept.units) if kept is not None else {}
        length = kept.applied if kept is not None else 0
        for key in self._order[length:]:
            self._applied.discard(key)
        del self._order[length:]
        self.claims.clear()
        self._handed.clear()
        self.received.clear()
        self._fetches.clear()
        self._answers.clear()
        self.covered.clear()
        self.dated.clear()
        self.last.clear()
        self.owed.clear()
        self._sent.clear()
        self._accepted.clear()
        self._doubtful.clear()
        self.excused = set(kept.excused) if kept is not None else set()
        cursors = tuple((name, text) for name, text in position.cursors if name != lost)
        position = attrs.evolve(position, cursors=cursors)
        for scope in [each for each in self.bases if each[0] == lost]:
            self._forget(scope)
        held = {name for name, _ in position.cursors}
        self._rebased = {scope for scope in self.bases if scope[0] in held}
        self.without_base = set(self.channels) - {name for name, _ in position.cursors}
        self.owner, self.position = None, position
        self.check_position(position, "what was durable")

    # What goes out.

    def logging_in(self, connection: int, text: str) -> None:
        """INV-S4, S15, R2: the login, as it leaves."""
        if connection in self._sent:
            self.blame("S15", f"a second login on connection {connection}")
        login = msgspec.json.decode(text, type=dict[str, Any])
        if login.get("type") != "login":
            self.blame("S15", f"the first message is {login.get('type')!r}, not a login")
        cursors: dict[str, str] = login.get("lastSeenId") or {}
        position = Position(login.get("serverEpoch"), tuple(sorted(cursors.items())))
        for channel in cursors:
            if channel not in self.channels:
                self.blame("S4", f"sends a cursor of {channel}, which is not asked for")
        self._sent[connection] = position
        if cursors:
            self.stuck.resumes(position)
        self.check_position(position, "a login")

    def fetching(self, fetch: int, requests: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """INV-S8, S15: a snapshot is asked for."""
        path, query = requests[0]
        entity = query.get("fixtureId") or query.get("futureId")
        if self.owner is None:
            self.blame("S8", f"asks for {path} without a login")
        for other in self._fetches.values():
            if (other.path, other.entity) == (path, entity):
                self.blame("S15", f"asks for {path} {entity or ''} while it is being fetched")
        self.causes.fetches(path, entity)
        self._fetches[fetch] = Fetch(
            path, entity, self.logins, self.ledger.count, dict(self._demands)
        )

    def answering(self, fetch: int, responses: Iterable[tuple[HttpResponse, int]]) -> None:
        """The answers are about to be handed in."""
        begun = self._fetches.pop(fetch, None)
        if begun is None:
            return
        answers = list(responses)
        if not answers:
            self.causes.failed(begun.path, begun.entity)
            return
        begun.seen = min(seen for _, seen in answers)
        self._answers[begun.path, begun.entity] = begun
        if begun.seen < begun.count:
            # Refused where it says so; else it and the next one contradict each other.
            self.causes.failed(begun.path, begun.entity, times=2)
        for response, _ in answers:
            self._note_as_of(response, begun)

    def cancelled(self, fetch: int) -> None:
        """The answer will not be handed in, or says nothing."""
        begun = self._fetches.pop(fetch, None)
        if begun is not None:
            self.causes.failed(begun.path, begun.entity)

    def committing(self, position: Position) -> None:
        """INV-S2: what is about to become durable, together with the present state."""
        self.check_position(position, "a commit")

    def lost(self, connection: int) -> None:
        """A connection is over."""
        if connection == self.owner:
            self.owner = None
            self.sockets.lost()
            self.seen.dropped(fetching=bool(self._fetches))
        elif self.owner is not None and connection not in self._accepted:
            self.seen.refused()

    # What comes in.

    def handed(self, connection: int, frames: Iterable[str | bytes]) -> None:
        """Frames are about to be handed to the session."""
        for frame in frames:
            read = read_frame(frame)
            if read is None:
                self.seen.garbled()
                self.effort.odd(connection)
                self.causes.doubted(None)
            elif read.is_entry:
                self._entry(connection, read)
            else:
                if self.binary and isinstance(frame, str):
                    self.seen.control_in_binary()
                self._control(connection, read)

    def _entry(self, connection: int, frame: Frame) -> None:
        channel, entry_id = frame.channel, frame.entryId
        self.received[channel] = self.received.get(channel, 0) + 1
        self.deliveries += 1
        if not (self.roomy and self.prompt):
            self.effort.odd(connection)
            self.causes.doubted(channel)
        if connection != self.owner or not isinstance(entry_id, str):
            if connection != self.owner and connection in self._accepted:
                self.seen.stale_socket()
            return
        key = (channel, entry_id)
        self._handed[key] = self._handed.get(key, 0) + 1
        self.stuck.led()
        number = self.ledger.number(self.epoch, channel, entry_id)
        if number is None or self.epoch is None or number <= self._arrived.get(channel, 0):
            # Three in a row that have no place in the order cost a snapshot.
            self.causes.doubted(channel)
        if number is None or self.epoch is None:
            return
        self._arrived[channel] = number
        self.issued.add((self.epoch, channel, entry_id))
        self.tally.comes((self.epoch, channel, entry_id))
        self.sequence.comes(channel, entry_id)
        known = self._handed[key] > 1 or (self.epoch, *key) in self._applied
        self.seen.entry(frame, is_live=number > self._heads, known=known)
        publication = self.ledger.publications[number - 1]
        scope = (channel, publication.entity if channel in BY_ENTITY else None)
        units = self._scopes.setdefault(scope, set())
        for unit in publication.units:
            units.add(unit)
            if number > self._disclosed.get(unit, 0):
                self._disclosed[unit] = number
            self._doubtful.add(unit)

    def _control(self, connection: int, frame: Frame) -> None:
        match frame.type:
            case "login_ok":
                self._logged_in(connection, frame)
            case "snapshot_required" if connection == self.owner:
                self._required(frame)
            case "resume_complete" if connection == self.owner:
                self.stuck.led()
                self.seen.completed()
            case "reconnect" if connection == self.owner:
                self.sockets.lost(planned=True)
                self.effort.told(connection)
            case "reconnect" | "error":
                self.effort.odd(connection)
            case _:
                pass

    def _logged_in(self, connection: int, frame: Frame) -> None:
        if connection not in self.sockets.open:
            return
        resume: Mapping[str, Any] = as_object(frame.resume) or {}
        epoch = resume.get("serverEpoch")
        sent = self._sent.get(connection, Position())
        self.seen.logged_in(
            dict(sent.cursors),
            warm=bool(self._accepted),
            beside_another=self.owner is not None,
            new_epoch=epoch != self.epoch,
            fetching=bool(self._fetches),
        )
        if epoch is None or epoch != self.epoch or sent.epoch != epoch:
            self.without_base |= {name for name in self.channels if sent.epoch != epoch}
        self.without_base |= set(self.channels) - {name for name, _ in sent.cursors}
        self.owner, self.epoch = connection, epoch
        self.logins += 1
        self._heads = self.ledger.count
        # Once for the login itself, and once for a replay that does not end, or in no order.
        self.causes.wide += 2
        self._accepted.add(connection)
        self._handed.clear()
        self.sequence.begins()
        self.sockets.good_from_now()
        self.effort.accepted(connection)
        self.effort.answered(connection)

    def _required(self, frame: Frame) -> None:
        named: Any = frame.channels
        known = [name for name in self.channels if name in named] if isinstance(named, list) else []
        if not isinstance(named, list) or not named:
            known = list(self.channels)
        states = {state for (name, _), (state, _) in self.claims.items() if name in known}
        self.seen.required(frame, states)
        self.effort.odd(self.owner)
        self.stuck.led()
        paths = {PATHS.get(channel) for channel in known}
        if any(fetch.path in paths for fetch in self._fetches.values()):
            self.seen.crossed()
        for channel in known:
            self._demands[channel] = self._demands.get(channel, 0) + 1
            self.causes.doubted(channel)
            self.without_base.add(channel)

    # What the application is told.

    def told(self, event: Event) -> None:
        """An event that the application takes."""
        match event:
            case Entry():
                self._apply(event)
            case StateSnapshot():
                self._rebase(event)
            case StatusChanged():
                self._claim(event)
            case Anomaly():
                self.seen.told(event)
            case _:
                pass

    def rejected(self, entry: Entry) -> None:
        """The application cannot use an entry."""
        self.effort.odd(None)
        self.causes.doubted(entry.channel)

    def doubted(self) -> None:
        """The application wants everything anew."""
        self.ask_anew()
        self.effort.odd(None)
        self.causes.doubted(None)

    def _apply(self, entry: Entry) -> None:
        channel, entry_id = entry.channel, entry.id
        scope = (channel, entry.entity)
        if entry_id is None:
            return
        key = (channel, entry_id)
        if key not in self._handed:
            self.blame("S7", f"applies {channel} {entry_id}, which this login never delivered")
        number = self.ledger.number(self.epoch, channel, entry_id)
        if number is None or self.epoch is None:
            return
        state = self.claims.get(scope, (ScopeState.COLD, Proof.UNPROVEN))[0]
        if channel in PATHS and state not in _TRUSTED and scope not in self._rebased:
            named = f"{channel} {entry.entity or ''}".strip()
            self.blame("S3", f"applies {channel} {entry_id} while {named} is {state.value}")
        if self.prompt and channel in self.without_base and channel in PATHS:
            self.blame("S3", f"applies {channel} {entry_id} while its base is in doubt")
        self.check_entry(scope, entry_id, number)
        self.sequence.tells(channel, entry_id, entry.entity or "", entry.source.value)
        self.last[channel] = (self.epoch, entry_id)
        once = (self.epoch, *key)
        if once in self._applied and self.once:
            self.blame("S5", f"applies {channel} {entry_id} twice")
        self._applied.add(once)
        self._order.append(once)
        self.tally.tells(once)
        for unit in self.ledger.publications[number - 1].units:
            before = self.units.get(unit, 0)
            if number < before and state is ScopeState.SYNCED:
                self.blame("S6", f"{unit} goes back from {before} to {number}")
            self._set(unit, number, scope)
            self._doubtful.add(unit)

    def _set(self, unit: str, number: int, scope: Scope) -> None:
        """An entry sets a unit; one that says when it was does not set an older base back."""
        guarded = unit not in self.units and scope[0] in STAMPED
        claim = self.claims.get(scope)
        if guarded and number in self.ledger.slow and claim and claim[1] is Proof.UNPROVEN:
            # A base that may be newer, by a clock that cannot be trusted: nobody can tell.
            self.excused.add(scope)
        older = number < self.bases.get(scope, 0) and unit not in self.units
        if not (older and scope[0] in STAMPED):
            self.units[unit] = number

    def _rebase(self, snapshot: StateSnapshot) -> None:
        channel, entity = snapshot.channel, snapshot.entity
        if snapshot.entities is not None:
            for scope in [each for each in self.claims if each[0] == channel and each[1]]:
                if scope[1] not in snapshot.entities:
                    self._forget(scope)
                    del self.claims[scope]
            roster = self._answers.get(("/fixtures", None))
            if self.prompt:
                self._check_fence(snapshot, roster)
            if roster is not None and (roster.seen or 0) < roster.count:
                self.excused.add((channel, None))
            else:
                self.excused.discard((channel, None))
            self.without_base.discard(channel)
            self.owed.discard((channel, None))
            return
        begun = self._answers.get((PATHS.get(channel, ""), entity))
        if begun is None or begun.seen is None:
            self.blame("S8", f"a base of {channel} {entity or ''} that was never answered")
        if self.prompt:
            self._check_fence(snapshot, begun)
        scope = (channel, entity)
        self._forget(scope)
        self.owed.discard(scope)
        self.bases[scope] = max(begun.seen, 0)
        if self.prompt and channel in begun.dated and not snapshot.verification:
            self.dated[scope] = begun.seen
        if self.prompt and snapshot.proof is Proof.PROVEN:
            self.check_proof(channel, begun.seen, self._heads)
        if begun.seen < begun.count and snapshot.proof is Proof.UNPROVEN:
            self.excused.add(scope)
        else:
            self.excused.discard(scope)
        self.without_base.discard(channel)
        self._rebased.add(scope)
        self.covered.pop(channel, None)
        for entry in snapshot.overlay:
            number = self.ledger.number(self.epoch, channel, entry.id)
            for unit in self.ledger.publications[number - 1].units if number else ():
                self._set(unit, number or 0, scope)
        self._doubtful |= self._scopes.get(scope, set())

    def _check_fence(self, snapshot: StateSnapshot, begun: Fetch | None) -> None:
        channel = snapshot.channel
        if begun is None:
            return
        if begun.login != self.logins:
            self.blame("S8", f"a base of {channel} that was asked for before this login")
        if begun.demands.get(channel, 0) != self._demands.get(channel, 0):
            self.blame("S8", f"a base of {channel} that was asked for before snapshot_required")

    def _claim(self, change: StatusChanged) -> None:
        scope = (change.channel, change.entity)
        self.claims[scope] = (change.state, change.proof)
        self.syncing = {each for each, (state, _) in self.claims.items() if state is _SYNCING}
        self._rebased.discard(scope)
        if change.state is ScopeState.SYNCED:
            if self.prompt and change.channel in self.without_base and change.entity is None:
                self.blame("S11", f"calls {change.channel} synced without a base")
            self._doubtful |= self._scopes.get(scope, set())

    # After every step.

    def stepped(
        self, position: Position, counters: Mapping[str, Counters] | None, *, idle: bool
    ) -> None:
        """INV-S1, S10, S21: what is claimed after a step."""
        if counters is not None:
            self.check_counters(counters)
            self.check_caps(counters)
        if position != self.position:
            self.check_monotone(position)
            self.position = position
            if idle:
                self.check_position(position, "the position")
        if idle and self.prompt:
            self.check_claims(self.owner, {each.entity for each in self._fetches.values()})
        if idle and self._doubtful:
            doubtful, self._doubtful = self._doubtful, set()
            for unit in doubtful:
                self.check_cover(unit, self._disclosed.get(unit, 0))

    # How it is known.

    def _forget(self, scope: Scope) -> None:
        channel, entity = scope
        prefix = f"{channel}/" if entity is None else f"{channel}/{entity}/"
        for unit in [each for each in self.units if each.startswith(prefix)]:
            del self.units[unit]
        self.bases.pop(scope, None)
        self.dated.pop(scope, None)

    def _note_as_of(self, response: HttpResponse, begun: Fetch) -> None:
        epoch, _, rest = (response.header("x-as-of") or "").partition(";")
        for item in rest.split(","):
            channel, _, text = item.strip().partition("=")
            if epoch.strip() != self.epoch:
                self.effort.odd(self.owner)
            if text:
                begun.dated.add(channel)
                self.issued.add((epoch.strip(), channel, text))
