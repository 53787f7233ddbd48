"""OddsPapi v5 as a `Dialect`: which frame, which fetch and which close mean what."""

from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar, final

import attrs
import msgspec

from lastseen.dialect import (
    End,
    HttpResponse,
    ScopeKind,
    SnapshotContent,
    SnapshotFault,
    SnapshotSource,
)
from lastseen.dialects.oddspapi.channels import read_units, stamp_of, traits_of, view
from lastseen.dialects.oddspapi.codec import decode_entries, decode_frame
from lastseen.dialects.oddspapi.snapshots import (
    BUDGETS,
    budget_class,
    read_snapshot,
    snapshot_requests,
)
from lastseen.dialects.oddspapi.subscription import Subscription
from lastseen.dialects.oddspapi.wire import Login, encode_text
from lastseen.effects import Request
from lastseen.errors import LocalProtocolError, PayloadError
from lastseen.events import Entry, Failure
from lastseen.messages import LoginAccepted, Message
from lastseen.position import Position
from lastseen.secret import Secret
from lastseen.shapes import as_list

__all__ = ["CLOSES", "OddsPapi"]

CLOSES: Mapping[int, Failure] = {
    1000: Failure.TRANSIENT,
    1001: Failure.TRANSIENT,
    1005: Failure.TRANSIENT,
    1006: Failure.TRANSIENT,
    1009: Failure.TRANSIENT,
    1011: Failure.TRANSIENT,
    1012: Failure.TRANSIENT,
    1013: Failure.TRANSIENT,
    # A slow network can make us miss the login deadline once; twice is a mistake of ours.
    4000: Failure.REJECTED,
    4001: Failure.FATAL,
    4002: Failure.BACKPRESSURE,
    4003: Failure.LIMIT,
}
"""Close codes (`facts` §3); any other is unknown and retried."""

_UPGRADE_REFUSALS: Mapping[int, Failure] = {
    401: Failure.REJECTED,
    403: Failure.REJECTED,
    408: Failure.TRANSIENT,
    425: Failure.TRANSIENT,
    429: Failure.LIMIT,
}
"""HTTP answers to the upgrade; otherwise 5xx is transient, the rest no feed (HZ-H6, K6)."""

_BOOKMAKERS_MAX = 100
"""Most bookmakers that we let the peer name for us (HZ-J17); 27 were seen (`facts` §5)."""

_T = TypeVar("_T")

_LAST_WORDS = (Failure.FATAL, Failure.REJECTED)


@final
@attrs.frozen(kw_only=True)
class OddsPapi:
    """The dialect, with what is asked for or, once logged in, what is in effect."""

    subscription: Subscription = attrs.field(factory=Subscription)
    key: Secret = attrs.field(factory=lambda: Secret(""))
    """Needed to log in and to fetch, not to read frames and payloads."""
    denied: frozenset[str] = frozenset()
    """Channels that were asked for and are not in effect."""

    @property
    def name(self) -> str:
        """Of the wire."""
        return "oddspapi"

    @property
    def identity(self) -> str:
        """Everything of the subscription but how it travels."""
        members = attrs.asdict(
            self.subscription, filter=attrs.filters.exclude("client_name", "receive_type")
        )
        return msgspec.json.encode(members, order="sorted").decode()

    @property
    def channels(self) -> tuple[str, ...]:
        """The subscribed channels."""
        return tuple(name for name in self.subscription.channels if name not in self.denied)

    @property
    def budgets(self) -> Mapping[str, tuple[int, float]]:
        """REST limits by class."""
        return BUDGETS

    def accepted(self, message: LoginAccepted) -> Self:
        """Narrows to the echo of `login_ok`; what it does not mention stays as asked (OP-A10).

        A snapshot is asked for what the echo names, so that one sport that the key may not see
        does not fail the fetch of all (`facts` §5).
        """
        asked, echo = self.subscription, message.echo
        denied = frozenset[str]()
        if message.channels is not None:
            denied = frozenset(asked.channels) - frozenset(message.channels)
        echoed = as_list(echo.get("bookmakers"))
        if echoed == []:
            # Not one book is in effect: nothing will ever come of what is sorted by them.
            denied = denied.union(name for name in asked.channels if traits_of(name).gated)
        books = tuple(dict.fromkeys(book for book in echoed or [] if type(book) is str))
        if asked.bookmakers:
            books = _narrowed(asked.bookmakers, books)
        # Each few of them are a request of their own; without names the peer gives us all it may.
        effective = books if len(books) <= _BOOKMAKERS_MAX else asked.bookmakers
        narrowed = attrs.evolve(
            asked,
            bookmakers=effective,
            sport_ids=_narrowed(asked.sport_ids, as_list(echo.get("sportIds"))),
            tournament_ids=_narrowed(asked.tournament_ids, as_list(echo.get("tournamentIds"))),
            fixture_ids=_narrowed(asked.fixture_ids, as_list(echo.get("fixtureIds"))),
            future_ids=_narrowed(asked.future_ids, as_list(echo.get("futureIds"))),
        )
        return attrs.evolve(self, subscription=narrowed, denied=denied)

    @property
    def asks(self) -> frozenset[str]:
        """What is asked for, or in effect, in words: what a login takes away can be told."""
        asked = self.subscription
        return frozenset(self.channels).union(
            (f"bookmaker {name}" for name in asked.bookmakers),
            (f"sport {number}" for number in asked.sport_ids),
            (f"tournament {number}" for number in asked.tournament_ids),
            (f"fixture {name}" for name in asked.fixture_ids),
            (f"future {name}" for name in asked.future_ids),
        )

    def login(self, position: Position) -> Secret:
        """The login frame (`facts` §2.1); empty filters are left out (OP-A9)."""
        asked = self.subscription
        cursors = dict(position.cursors)
        frame = Login(
            apiKey=self.key.reveal(),
            channels=list(asked.channels),
            sportIds=list(asked.sport_ids) or None,
            tournamentIds=list(asked.tournament_ids) or None,
            fixtureIds=list(asked.fixture_ids) or None,
            futureIds=list(asked.future_ids) or None,
            bookmakers=list(asked.bookmakers) or None,
            lang=asked.lang,
            receiveType=asked.receive_type,
            clientName=asked.client_name,
            live=asked.live,
            pregame=asked.pregame,
            serverEpoch=position.epoch if cursors else None,
            lastSeenId=cursors or None,
        )
        return Secret(encode_text(frame))

    def decode(self, frame: str | bytes) -> Message:
        """Reads one frame."""
        return decode_frame(frame)

    def decode_batch(self, frames: Sequence[str | bytes]) -> list[Entry] | None:
        """Reads many text frames when all are plain updates."""
        return decode_entries(frames)

    def scope_kind(self, channel: str) -> ScopeKind:
        """What one snapshot of the channel covers; nothing for a channel that is not known."""
        return traits_of(channel).kind

    def snapshot_source(self, channel: str, entity: str | None) -> SnapshotSource:
        """The list that restores a channel or says what there is of it, or the odds of one entity.

        Raises `LocalProtocolError` for a channel that nothing restores.
        """
        traits = traits_of(channel)
        if traits.entity_source is not None and entity is not None:
            return SnapshotSource(traits.entity_source, entity)
        if traits.source is None:
            raise LocalProtocolError(f"{channel} has no snapshots")
        return SnapshotSource(traits.source)

    def snapshot_requests(self, source: SnapshotSource) -> tuple[Request, ...]:
        """The REST calls of a fetch."""
        return snapshot_requests(source, self.subscription, self.key)

    def budget_class(self, source: SnapshotSource) -> str:
        """Each odds endpoint has a limit of its own."""
        return budget_class(source)

    def read_snapshot(
        self, source: SnapshotSource, responses: tuple[HttpResponse, ...]
    ) -> SnapshotContent | SnapshotFault:
        """Reads the answers of a fetch."""
        return read_snapshot(source, responses, self.subscription)

    def classify(self, end: End, *, noticed: bool) -> Failure:
        """What the end of a socket means; after `reconnect` any close is planned (OP-A16)."""
        if end.http_status is not None:
            if end.http_status >= 500:
                return Failure.TRANSIENT
            return _UPGRADE_REFUSALS.get(end.http_status, Failure.NOT_A_FEED)
        if end.code is None:
            return Failure.TRANSIENT
        failure = CLOSES.get(end.code, Failure.UNKNOWN)
        return Failure.PLANNED if noticed and failure not in _LAST_WORDS else failure

    def redact(self, text: str) -> str:
        """A peer's words without the key."""
        key = self.key.reveal()
        return text.replace(key, "***") if key else text

    def units(self, entry: Entry) -> Mapping[str, Any]:
        """The units an entry replaces; raises `PayloadError`."""
        payload = entry.payload
        family = traits_of(entry.channel).family
        named = payload.get(family.value) if family is not None else None
        if entry.entity is not None and named != entry.entity:
            raise PayloadError("the payload names two entities")
        return read_units(entry.channel, payload)

    def stamp(self, channel: str, value: Any) -> Any:
        """A unit's own time."""
        return stamp_of(channel, value)

    def view(self, units: Mapping[str, Any]) -> dict[str, Any]:
        """The units that a reader should see."""
        return view(units)


def _narrowed(asked: tuple[_T, ...], echoed: Sequence[object] | None) -> tuple[_T, ...]:
    """Those of the asked that are echoed; an echo that leaves none says nothing we can use."""
    return tuple(item for item in asked if item in (echoed or ())) or asked
