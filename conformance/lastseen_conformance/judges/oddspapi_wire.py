"""An OddsPapi history as a reader of the wire understands it: logins, entries, doubts and bases.

It is read from the frames themselves, with nothing of the client's code, and only as far as what
follows from them is certain.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast, final

import attrs
import msgspec

from lastseen_conformance.history import (
    Answered,
    Asked,
    ClientFrame,
    CloseSent,
    Connected,
    Dropped,
    Ended,
    Moment,
    ServerFrame,
)

__all__ = ["Link", "Login", "Query", "Sent", "Wire", "order_of"]

_ID: Final = re.compile(r"([0-9]{1,19})-([0-9]{1,19})", re.ASCII)

RESTORES: Final[Mapping[str, tuple[str, ...]]] = {
    "/fixtures": ("fixtures", "scores", "clocks"),
    "/fixtures/odds": ("odds", "bookmakers"),
    "/futures": ("futures",),
    "/futures/odds": ("oddsFutures", "bookmakersFutures"),
    "/currencies": ("currencies",),
}
"""Which channels an answer restores (`facts` §5); odds, one fixture or future at a time."""

_TAKEN: Final = frozenset(
    (Connected, ClientFrame, ServerFrame, CloseSent, Dropped, Ended, Asked, Answered)
)

STATEFUL: Final = frozenset(name for names in RESTORES.values() for name in names)


def order_of(entry_id: str) -> tuple[int, int] | None:
    """The halves of an entry id as numbers, None when it is none."""
    match = _ID.fullmatch(entry_id)
    return None if match is None else (int(match[1]), int(match[2]))


@attrs.frozen(kw_only=True)
class Login:
    """What a login said; `epoch` and `cursors` None when they were left out."""

    n: int
    at: float
    connection: int
    epoch: str | None
    cursors: Mapping[str, Any] | None
    channels: tuple[str, ...] | None

    @property
    def resumes(self) -> bool:
        """Whether it claims a position."""
        return bool(self.cursors)


@attrs.frozen(kw_only=True)
class Sent:
    """An entry that was sent whole."""

    n: int
    at: float
    connection: int
    channel: str
    entry_id: str | None
    epoch: str | None
    payload: Any


@attrs.define(kw_only=True)
class Query:
    """An HTTP request and what it got; `path` without the language."""

    n: int
    at: float
    number: int
    path: str
    query: Mapping[str, str]
    answered_n: int | None = None
    answered_at: float | None = None
    status: int | None = None
    whole: bool = False
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: bytes = b""

    @property
    def entity(self) -> str | None:
        """The fixture or future that it is about, for the paths that take one."""
        return self.query.get("fixtureId") or self.query.get("futureId")

    @property
    def good(self) -> bool:
        """Answered in full, with something that can be a snapshot."""
        return self.whole and self.status == 200 and self.body[:1] in (b"[", b"{")


@attrs.define(kw_only=True)
class Link:
    """One connection."""

    number: int
    n: int
    at: float
    frames: list[ClientFrame] = attrs.field(factory=list[ClientFrame])
    login: Login | None = None
    accepted_n: int | None = None
    accepted_at: float | None = None
    epoch: str | None = None
    replayable: frozenset[str] | None = None
    completed_n: int | None = None
    noticed_n: int | None = None
    noticed_at: float | None = None
    refused_n: int | None = None
    ended_n: int | None = None
    ended_at: float | None = None
    let_go_n: int | None = None
    """When the gateway closed or dropped it."""
    resuming: set[str] = attrs.field(factory=set[str])
    """Channels that its resume covers, or will once it is complete."""
    resumed: frozenset[str] = frozenset()
    """Those it covered when it was completed."""

    @property
    def is_open(self) -> bool:
        """Neither side has ended it."""
        return self.ended_n is None and self.let_go_n is None


@final
@attrs.define(eq=False)
class Wire:
    """Everything so far, understood."""

    links: dict[int, Link] = attrs.field(factory=dict[int, Link])
    logins: list[Login] = attrs.field(factory=list[Login])
    sent: list[Sent] = attrs.field(factory=list[Sent])
    queries: dict[int, Query] = attrs.field(factory=dict[int, Query])
    demands: list[tuple[int, int, frozenset[str]]] = attrs.field(
        factory=list[tuple[int, int, frozenset[str]]]
    )
    """`snapshot_required`: moment, connection, the subscribed channels it concerns."""
    doubts: dict[str, int] = attrs.field(factory=dict[str, int])
    """By channel, the moment from which a snapshot must have been asked for."""
    owner: Link | None = None
    """The connection whose login was accepted last."""
    issued: dict[tuple[str | None, str], set[str]] = attrs.field(
        factory=dict[tuple[str | None, str], set[str]]
    )
    replayable: dict[str, frozenset[str] | None] = attrs.field(
        factory=dict[str, frozenset[str] | None]
    )
    """By epoch, what its last login_ok listed."""

    def take(self, moment: Moment) -> None:
        """Takes the next moment."""
        if type(moment) not in _TAKEN:
            return
        match moment:
            case Connected():
                link = Link(number=moment.connection, n=moment.n, at=moment.at)
                self.links[moment.connection] = link
            case ClientFrame():
                self._take_client(moment)
            case ServerFrame():
                if moment.cut_at is None and moment.connection in self.links:
                    self._take_server(moment, self.links[moment.connection])
            case CloseSent() | Dropped():
                if moment.connection in self.links:
                    self.links[moment.connection].let_go_n = moment.n
            case Ended():
                if moment.connection in self.links:
                    link = self.links[moment.connection]
                    link.ended_n, link.ended_at = moment.n, moment.at
            case Asked():
                path = "/" + moment.path.lstrip("/").partition("/")[2]
                self.queries[moment.request] = Query(
                    n=moment.n,
                    at=moment.at,
                    number=moment.request,
                    path=path,
                    query=dict(moment.query),
                )
            case Answered():
                self._take_answer(moment)
            case _:
                pass

    # What may be asked.

    def restored(self, channel: str, *, fixtures: Iterable[str] = ()) -> bool:
        """Whether a good answer, asked for after the last doubt, has come for all of a channel."""
        doubt = self.doubts.get(channel)
        if doubt is None:
            return True
        return not self._missing(channel, doubt, tuple(fixtures))

    def resumed(self, channel: str) -> bool:
        """Whether the present connection has resumed it to the end."""
        owner = self.owner
        return (
            owner is not None
            and channel in owner.resuming
            and owner.completed_n is not None
            and self.doubts.get(channel, 0) < owner.completed_n
        )

    def settled(self, channels: Iterable[str], fixtures: Iterable[str] = ()) -> bool:
        """Whether the client has had the chance to be whole: logged in, and a base everywhere."""
        owner = self.owner
        if owner is None or not owner.is_open:
            return False
        for channel in channels:
            if channel not in STATEFUL:
                continue
            if channel in owner.resuming:
                if owner.completed_n is None:
                    return False
            elif not self.restored(channel, fixtures=fixtures):
                return False
        return True

    def asked_after(self, n: int, channel: str) -> list[Query]:
        """The requests for a channel's snapshot that came after a moment."""
        return [
            query
            for query in self.queries.values()
            if query.n > n and channel in RESTORES.get(query.path, ())
        ]

    def open_links(self) -> list[Link]:
        """The connections that neither side has ended."""
        return [link for link in self.links.values() if link.is_open]

    # How it is understood.

    def _missing(self, channel: str, doubt: int, fixtures: tuple[str, ...]) -> bool:
        good = [query for query in self.asked_after(doubt, channel) if query.good]
        if channel in ("odds", "bookmakers") and fixtures:
            named = {query.query.get("fixtureId") for query in good}
            return not set(fixtures) <= named
        return not good

    def _take_client(self, frame: ClientFrame) -> None:
        link = self.links.get(frame.connection)
        if link is None:
            return
        link.frames.append(frame)
        value = _object(frame.data)
        if value is None or value.get("type") != "login" or link.login is not None:
            return
        epoch, cursors, channels = (
            value.get(name) for name in ("serverEpoch", "lastSeenId", "channels")
        )
        login = Login(
            n=frame.n,
            at=frame.at,
            connection=frame.connection,
            epoch=epoch if isinstance(epoch, str) else None,
            cursors=cast("Mapping[str, Any]", cursors) if isinstance(cursors, dict) else None,
            channels=_names(channels),
        )
        link.login = login
        self.logins.append(login)

    def _take_server(self, frame: ServerFrame, link: Link) -> None:
        value = _object(frame.data)
        if value is None:
            return
        if "channel" in value:
            self._take_entry(frame, link, value)
            return
        match value.get("type"):
            case "login_ok":
                self._take_login_ok(frame, link, value)
            case "error":
                if link.accepted_n is None:
                    link.refused_n = frame.n
            case "resume_complete":
                if link.accepted_n is not None and link.completed_n is None:
                    link.completed_n = frame.n
                    link.resumed = frozenset(link.resuming)
            case "reconnect":
                if link.noticed_n is None:
                    link.noticed_n, link.noticed_at = frame.n, frame.at
            case "snapshot_required":
                if link is self.owner:
                    self._take_demand(frame, link, value)
            case _:
                pass

    def _take_entry(self, frame: ServerFrame, link: Link, value: dict[str, Any]) -> None:
        channel, entry_id = value.get("channel"), value.get("entryId")
        if not isinstance(channel, str):
            return
        known = isinstance(entry_id, str)
        entry = Sent(
            n=frame.n,
            at=frame.at,
            connection=frame.connection,
            channel=channel,
            entry_id=entry_id if known else None,
            epoch=link.epoch,
            payload=value.get("payload"),
        )
        self.sent.append(entry)
        if entry.entry_id is not None:
            self.issued.setdefault((link.epoch, channel), set()).add(entry.entry_id)

    def _take_login_ok(self, frame: ServerFrame, link: Link, value: dict[str, Any]) -> None:
        if link.login is None or link.accepted_n is not None:
            return
        resume = value.get("resume")
        block = cast("dict[str, Any]", resume) if isinstance(resume, dict) else {}
        epoch = block.get("serverEpoch")
        link.accepted_n, link.accepted_at = frame.n, frame.at
        link.epoch = epoch if isinstance(epoch, str) else None
        link.replayable = None
        if "replayChannels" in block:
            link.replayable = frozenset(_names(block["replayChannels"]) or ())
        if link.epoch is not None:
            self.replayable[link.epoch] = link.replayable
        self.owner = link
        channels = _names(value.get("channels")) or link.login.channels or ()
        same = link.epoch is not None and link.login.epoch == link.epoch
        for channel in channels:
            cursors = link.login.cursors or {}
            listed = link.replayable is None or channel in link.replayable
            if same and channel in cursors and listed:
                link.resuming.add(channel)
            elif channel in STATEFUL:
                self.doubts[channel] = frame.n

    def _take_demand(self, frame: ServerFrame, link: Link, value: dict[str, Any]) -> None:
        subscribed = link.login.channels if link.login is not None else None
        named = value.get("channels")
        wanted = set(_names(named) or ())
        if not isinstance(named, list) or not named:
            wanted = set(subscribed or ())
        epoch = value.get("serverEpoch")
        if isinstance(epoch, str) and epoch != link.epoch:
            wanted = set(subscribed or ())
        if subscribed is not None:
            wanted &= set(subscribed)
        self.demands.append((frame.n, frame.connection, frozenset(wanted)))
        for channel in wanted & STATEFUL:
            self.doubts[channel] = frame.n
            link.resuming.discard(channel)

    def _take_answer(self, answer: Answered) -> None:
        query = self.queries.get(answer.request)
        if query is None:
            return
        query.answered_n, query.answered_at = answer.n, answer.at
        query.status, query.whole, query.body = answer.status, answer.whole, answer.body
        query.headers = {name.lower(): value for name, value in answer.headers}


def _object(data: str | bytes) -> dict[str, Any] | None:
    try:
        if isinstance(data, str) or data[:1] in (b"{", b"["):
            value: Any = json.loads(data)
        else:
            value = msgspec.msgpack.decode(data)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _names(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple):
        return None
    return tuple(name for name in cast("list[object]", value) if isinstance(name, str))
