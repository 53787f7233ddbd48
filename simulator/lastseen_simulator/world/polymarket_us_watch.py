"""What must hold of a client of one Polymarket US stream, judged from its bodies and its events."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, final

import attrs
import msgspec

from lastseen.events import Entry, Event, Gap, StateSnapshot, StatusChanged
from lastseen.position import Position
from lastseen.shapes import as_list, as_object
from lastseen.states import ScopeState
from lastseen.status import Counters
from lastseen.stream_messages import StreamEntry
from lastseen_simulator.gateways import Truth
from lastseen_simulator.world.effort import EffortWatch
from lastseen_simulator.world.ordering import OrderWatch
from lastseen_simulator.world.polymarket_us_marks import PolymarketUSMarks
from lastseen_simulator.world.secrecy import SecrecyWatch
from lastseen_simulator.world.stuck import StuckWatch
from lastseen_simulator.world.tally import Tally, withheld_unseen
from lastseen_simulator.world.watching import SocketWatch, Watch

__all__ = ["EVENTS", "Kept", "PolymarketUSWatch"]

EVENTS: Final = ("orders", "drop_copy")
"""Streams whose entries are executions, named by their ids (`facts/polymarket_us.md` §4)."""

_WITH_SNAPSHOT: Final = ("orders", "positions")
_ITEMS: Final = {"orders": "executions", "drop_copy": "executions", "positions": "positions"}
_GOOD: Final = (ScopeState.SYNCED, ScopeState.LIVE_ONLY)


Progress = tuple[bool, int, str]
"""Whether an order is over, how many of its shares are filled; or the time of anything else."""

_OVER: Final = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "REPLACED"})
_TIMES: Final = ("updateTime", "transactTime")


@final
@attrs.frozen(eq=False)
class Kept:
    """What a watch has to go back to when its client restarts from a commit."""

    told: int
    """How many executions had been told."""


@final
@attrs.define(eq=False, kw_only=True)
class PolymarketUSWatch(Watch):
    """Follows executions by id, tokens by what came before them, and claims by what came at all."""

    truth: Truth
    sockets: SocketWatch
    effort: EffortWatch
    secrecy: SecrecyWatch
    stuck: StuckWatch
    stable_after_s: float
    channel: str
    held_max: int
    """What may be held until there is a base, and what may wait for the application."""
    waiting_max: int
    prompt: bool = True
    strict: bool = True
    """No cap is so small, and nothing so odd, that entries are legally dropped."""
    sequence: OrderWatch
    tally: Tally = attrs.field(factory=Tally)
    deliveries: int = 0
    claim: ScopeState = ScopeState.COLD
    fed_since: float | None = None
    """When this durable life first had a stream that counted."""
    durable_at: float = 0.0
    """When a commit last succeeded."""
    gaps: int = 0
    moving: bool = False
    """The application asks for a new stream just now."""
    owed: bool = False
    """It did so while all was in order, and still waits for a base."""
    inclusive: bool = False
    """A resume brings the entry of its token once more, and nobody can know that it was told."""
    _bodies: dict[int, bytes] = attrs.field(factory=dict[int, bytes])
    _token_sent: dict[int, bool] = attrs.field(factory=dict[int, bool])
    _asked: dict[int, str | None] = attrs.field(factory=dict[int, str | None])
    """Connection → the token that it asked with."""
    _granted_at: float = 0.0
    _sessions: dict[int, object] = attrs.field(factory=dict[int, object])
    _progress: dict[str, Progress] = attrs.field(factory=dict[str, Progress])
    """Unit → how far along it was told to be, since the last base or connection."""
    _owner: int | None = None
    _based: bool = False
    """A whole snapshot came over the present connection."""
    _updated: bool = False
    _arrivals: list[str] = attrs.field(factory=list[str])
    """Ids of executions in the order in which they came, over all lives."""
    _since: int = 0
    """What came before has been replaced by a base, or owned up to by a gap."""
    _tokens: dict[str, int] = attrs.field(factory=dict[str, int])
    """Token → how many executions had come with it."""
    _handed: set[str] = attrs.field(factory=set[str])
    _told: set[str] = attrs.field(factory=set[str])
    _heard_in_life: set[str] = attrs.field(factory=set[str])
    _order: list[str] = attrs.field(factory=list[str])
    _fresh: list[str] = attrs.field(factory=list[str])
    _position: Position = attrs.field(factory=Position)
    seen: PolymarketUSMarks = attrs.field(
        init=False,
        default=attrs.Factory(lambda self: PolymarketUSMarks(self.marks), takes_self=True),
    )

    # Its lives.

    def kept(self) -> Kept:
        """What a commit of this moment contains."""
        return Kept(len(self._order))

    def reborn(self, kept: Kept | None, position: Position) -> None:
        """The client starts from what was durable."""
        self.sockets.reborn()
        self.effort.reborn()
        self.secrecy.reborn()
        self.stuck.reborn()
        length = kept.told if kept is not None else 0
        for key in self._order[length:]:
            self._told.discard(key)
        del self._order[length:]
        self._bodies.clear()
        self._token_sent.clear()
        self._asked.clear()
        self._sessions.clear()
        self._progress.clear()
        self._heard_in_life.clear()
        self._fresh.clear()
        self._owner, self.claim, self._position = None, ScopeState.COLD, position
        self.fed_since, self.owed = None, False
        self._check_token(position, "what was durable")
        # What came in earlier lives comes again, or is replaced.
        self._since = len(self._arrivals)

    # What goes out.

    def asking(self, connection: int, body: str) -> None:
        """INV-S1, S4: the request, as it leaves."""
        if connection in self._token_sent:
            self.blame("S15", f"a second request on connection {connection}")
        request = msgspec.json.decode(body, type=dict[str, Any])
        token = request.get("resumeToken")
        self._token_sent[connection] = token is not None
        self._asked[connection] = token
        if isinstance(token, str):
            self._check(token, "a request")

    def committing(self, position: Position) -> None:
        """INV-S2: what is about to become durable, together with the present state."""
        self._check_token(position, "a commit")

    def _check_token(self, position: Position, what: str) -> None:
        token = position.token(self.channel)
        if token is not None:
            self._check(token.reveal(), what)

    def _check(self, token: str, what: str) -> None:
        reached = self._tokens.get(token)
        if reached is None:
            self.blame("S4", f"{what} has a token that was never delivered")
        for key in self._arrivals[self._since : reached]:
            if key not in self._told:
                self.blame("S1", f"{what} has a token from after {key}, which was never told")

    # What comes in.

    def granted(self, connection: int) -> None:
        """The head of a success came."""
        self._bodies[connection] = b""
        if (token := self._asked.get(connection)) is not None:
            # A refusal drops the token, or says nothing about it.
            self.stuck.resumes(token)
        self._granted_at = self.clock.now

    def lost(self, connection: int) -> None:
        """A connection is over, or was let go."""
        if self._bodies.pop(connection, None) is not None and (
            self.moving or self.clock.now >= self._granted_at + self.stable_after_s
        ):
            self.stuck.led()
        if connection == self._owner:
            self._owner = None
            self.sockets.lost(planned=self.moving)
            self.seen.dropped()
        self._fresh.clear()

    def handed(self, connection: int, pieces: Iterable[bytes]) -> None:
        """Pieces of a body are about to be handed to the session."""
        before = self._bodies.get(connection)
        if before is None:
            return
        *lines, rest = (before + b"".join(pieces)).split(b"\n")
        self._bodies[connection] = rest
        if rest:
            self.seen.part()
        for line in lines:
            if line.strip():
                self._record(connection, line)

    def garbled(self, connection: int) -> None:
        """A record that says nothing a client could use."""
        self.seen.garbled()
        self.effort.odd(connection)

    def _record(self, connection: int, line: bytes) -> None:
        try:
            read = as_object(msgspec.json.decode(line)) or {}
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            self.garbled(connection)
            return
        record: Mapping[str, Any] = as_object(read.get("result")) or read
        if self._owner != connection:
            self._owner = connection
            self._based = self._updated = False
            self._progress.clear()
            self.sequence.begins()
            self.sockets.good_from_now()
            self.effort.accepted(connection)
            self.seen.begun(resumes=self._token_sent.get(connection, False))
        session = record.get("sessionId") or read.get("sessionId")
        if session is not None and self._sessions.setdefault(connection, session) != session:
            # The peer began anew: what it owes is owed from now on, and is not to be compared.
            self._sessions[connection] = session
            self._progress.clear()
            self.effort.odd(connection)
        if (error := read.get("error")) is not None:
            self.seen.failed(error)
            self.effort.odd(connection)
        elif (snapshot := as_object(record.get("snapshot"))) is not None:
            self._based |= snapshot.get("eof", True) is not False
            self._since = len(self._arrivals)
            self.seen.snapshot(whole=self._based)
        elif "heartbeat" not in record:
            self._updated = True
            self._update(connection, record)
        if error is None and "heartbeat" not in record:
            self.stuck.led()
        self.effort.fed += "heartbeat" not in record or "resumeToken" in record
        owed = self.channel in _WITH_SNAPSHOT and not self._token_sent.get(connection, False)
        if self.fed_since is None and error is None and (self._based or not owed):
            # A stream whose first word is an error was never open, nor one without its base.
            self.fed_since = self.clock.now
        if self._based or (self._updated and not owed):
            self.effort.answered(connection)
        token = record.get("resumeToken")
        if isinstance(token, str):
            self._tokens[token] = len(self._arrivals)

    def _update(self, connection: int, record: Mapping[str, Any]) -> None:
        update: Mapping[str, Any] = as_object(record.get("update")) or record
        name = _ITEMS.get(self.channel)
        items: Sequence[object] = as_list(update.get(name)) or () if name is not None else ()
        self.deliveries += max(1, len(items))
        if not self.strict or not (items or "symbol" in update):
            # It may cross a cap, or say nothing a client could use.
            self.effort.odd(connection)
        self.seen.update(based=self._based, snapshots=self.channel in _WITH_SNAPSHOT)
        if self.channel not in EVENTS:
            for _ in range(max(1, len(items))):
                self.tally.comes(None)
            return
        for item in items:
            key = (as_object(item) or {}).get("id")
            if not isinstance(key, str):
                continue
            self.tally.comes(key)
            if key in self._handed:
                self.seen.repeated()
            self._handed.add(key)
            self._arrivals.append(key)
            self.sequence.comes(self.channel, key)
            self._fresh.append(key)

    # What the application is told.

    def told(self, event: Event) -> None:
        """An event that the application takes."""
        match event:
            case Entry():
                self._entry(event)
            case StatusChanged():
                self._claim(event)
            case Gap():
                self.gaps += 1
                self._since = len(self._arrivals)
                self._fresh.clear()
                self.seen.gap()
            case StateSnapshot():
                self._base(event)
                self.seen.rebased()
            case _:
                self.seen.told(event)

    def _entry(self, entry: Entry) -> None:
        key = entry.id
        self.tally.tells(key if self.channel in EVENTS else None)
        if isinstance(entry, StreamEntry):
            self._check_base(entry)
            self._check_progress(entry)
        if self.channel not in EVENTS or key is None:
            return
        if key not in self._handed:
            self.blame("S7", f"tells of {key}, which nobody delivered")
        repeated = isinstance(entry, StreamEntry) and entry.repeated
        once_more = self.inclusive and key not in self._heard_in_life
        if key in self._told and not (repeated or once_more) and self.strict:
            self.blame("S5", f"tells of {key} twice")
        self.sequence.tells(self.channel, key)
        self._told.add(key)
        self._heard_in_life.add(key)
        self._order.append(key)

    def _base(self, snapshot: StateSnapshot) -> None:
        """From here on units are as far along as this says."""
        self.owed = False
        self._progress = {unit: _progress(value) for unit, value in snapshot.rows.items()}
        for entry in snapshot.overlay:
            if isinstance(entry, StreamEntry):
                self._check_progress(entry)

    def _check_base(self, entry: StreamEntry) -> None:
        """INV-S3: nothing is laid on what never came."""
        owner = self._owner
        if owner is None or not self.prompt or self.channel not in _WITH_SNAPSHOT:
            return
        if entry.unit is not None and not (self._based or self._token_sent.get(owner, False)):
            self.blame("S3", f"applies {entry.id or entry.unit} before any snapshot came")

    def _check_progress(self, entry: StreamEntry) -> None:
        """INV-S5, S6: what sets a unit is not behind what set it before.

        Only what a base did not know may be told once more.
        """
        unit = entry.unit
        if unit is None:
            if entry.repeated:
                self.blame("S5", f"tells of {entry.id} once more, and it sets nothing")
            return
        item = msgspec.json.decode(bytes(entry.raw), type=dict[str, Any])
        progress = _progress(as_object(item.get("order")) or item)
        before = self._progress.get(unit)
        if before is not None and progress < before:
            self.blame("S6", f"{unit} goes back from {before} to {progress}")
        if before == progress and entry.repeated:
            self.blame("S5", f"tells of {entry.id} once more, and {unit} was there already")
        self._progress[unit] = progress

    def rejected(self, entry: Entry) -> None:
        """The application cannot use an entry, which is dealt with by that."""
        self.effort.odd(None)
        self.strict = False
        if entry.id is not None:
            self._told.add(entry.id)
            self._order.append(entry.id)

    def ask_anew(self) -> None:
        """The application wants a fresh snapshot."""
        self.owed = self.channel in _WITH_SNAPSHOT and self.claim in _GOOD

    def _claim(self, change: StatusChanged) -> None:
        self.claim = change.state
        if change.state is not ScopeState.SYNCED or not self.prompt or self._owner is None:
            return
        resumed = self._token_sent.get(self._owner, False)
        if self.channel in _WITH_SNAPSHOT and not (self._based or resumed):
            self.blame("S10", f"calls {self.channel} synced before any snapshot came")

    def stepped(self, position: Position, counters: Mapping[str, Counters], *, idle: bool) -> None:
        """INV-S1, S10, S21, after every step."""
        for channel, row in counters.items():
            if not row.conserved:
                self.blame("S21", f"{channel}: {row}")
            if row.held > self.held_max or row.buffered > self.waiting_max:
                self.blame("S13", f"{channel}: {row}, with {self.held_max} and {self.waiting_max}")
        if position != self._position:
            self._position = position
            if idle:
                self._check_token(position, "the position")
        if idle and self.prompt and self._owner is None and self.claim in _GOOD:
            self.blame("S10", f"calls {self.channel} {self.claim.value} without a connection")
        if not (idle and self.prompt and self.strict) or self.claim not in _GOOD:
            return
        for key in self._fresh:
            if key not in self._told:
                self.blame("S10", f"{self.channel} is {self.claim.value}, and {key} is nowhere")
        self._fresh.clear()

    def missing(self) -> str | None:
        """A base that was asked for, or an execution, that never came, with no gap told."""
        if self.owed and self.claim in _GOOD:
            return f"{self.channel} was asked for anew, and has no new base"
        missing = self.tally.lost(self.published())
        return None if missing is None else f"{missing} never came, and no gap tells of it"

    def published(self) -> Iterator[tuple[Iterable[Hashable], bool]]:
        """Every execution, and whether the client may do without it."""
        if self.channel not in EVENTS:
            return
        judged, since = self.strict and not self.gaps, self.fed_since
        withheld = withheld_unseen(self.truth.records)
        for record in self.truth.records:
            if record["kind"] != "entry" or record["channel"] != self.channel:
                continue
            key = record["entryId"]
            before = since is None or record["at"] <= since
            yield (key,), not judged or before or key in self._told or key in withheld


def _progress(value: object) -> Progress:
    members = as_object(value) or {}
    state = str(members.get("state")).removeprefix("ORDER_STATE_")
    time = next((str(members[name]) for name in _TIMES if name in members), "")
    return (state in _OVER, int(members.get("cumQty") or 0), "" if "cumQty" in members else time)
