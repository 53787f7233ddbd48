"""A Polymarket US history as a reader of the wire understands it."""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal, cast, final

import attrs

from lastseen_conformance.history import (
    BytesSent,
    CloseSent,
    Connected,
    Dropped,
    Ended,
    Moment,
    Refused,
    ServerFrame,
    StreamAsked,
)

__all__ = ["Kind", "PmLink", "PmWire", "Sent"]

Kind = Literal["snapshot", "update", "heartbeat", "error", "other"]

_ENVELOPE_BYTES: Final = 5


@attrs.frozen(kw_only=True)
class Sent:
    """A whole record that was sent; `last` is False for a page that more pages follow."""

    n: int
    connection: int
    kind: Kind
    value: Mapping[str, Any]
    token: str | None = None
    last: bool = True


@attrs.define(kw_only=True)
class PmLink:
    """One request and its answer."""

    number: int
    n: int
    at: float
    asked: StreamAsked
    members: Mapping[str, Any] | None
    """Of the request's body; None when that is no JSON object."""
    granted_n: int | None = None
    refused_n: int | None = None
    refused_at: float | None = None
    status: int | None = None
    records: list[Sent] = attrs.field(factory=list[Sent])
    let_go_n: int | None = None
    ended_n: int | None = None
    rest: bytes = b""
    """What no record has been made of yet."""

    @property
    def token(self) -> str | None:
        """The resume token that it was asked with."""
        members = self.members or {}
        token = members.get("resumeToken", members.get("resume_token"))
        return token if isinstance(token, str) and token else None

    @property
    def is_open(self) -> bool:
        """It was granted, and neither side has ended it."""
        return self.granted_n is not None and self.ended_n is None and self.let_go_n is None


@final
@attrs.define(eq=False)
class PmWire:
    """Everything so far, understood."""

    links: dict[int, PmLink] = attrs.field(factory=dict[int, PmLink])
    tokens: dict[str, int] = attrs.field(factory=dict[str, int])
    """Every resume token that was sent whole, and when it was sent last."""
    crowded_n: int | None = None
    """When there were more than two streams at once for the first time."""

    def take(self, moment: Moment) -> None:
        """Takes the next moment."""
        if isinstance(moment, StreamAsked):
            self.links[moment.connection] = PmLink(
                number=moment.connection,
                n=moment.n,
                at=moment.at,
                asked=moment,
                members=_object(moment.body),
            )
            return
        link = self.links.get(getattr(moment, "connection", 0))
        if link is None:
            return
        match moment:
            case Connected():
                link.granted_n = moment.n
                running = sum(each.is_open for each in self.links.values())
                if running > _AT_ONCE_MAX and self.crowded_n is None:
                    self.crowded_n = moment.n
            case Refused():
                link.refused_n, link.status = moment.n, moment.status
                link.refused_at = moment.at
            case ServerFrame() if moment.cut_at is None:
                self._read(moment, link)
            case CloseSent() | Dropped() | BytesSent():
                link.let_go_n = link.let_go_n or moment.n
            case Ended():
                link.ended_n = moment.n
            case _:
                pass

    @property
    def asks(self) -> list[PmLink]:
        """Every request, in order."""
        return list(self.links.values())

    @property
    def granted(self) -> list[PmLink]:
        """The streams that were granted, in order."""
        return [link for link in self.links.values() if link.granted_n is not None]

    @property
    def owner(self) -> PmLink | None:
        """The newest stream that was granted."""
        granted = self.granted
        return granted[-1] if granted else None

    def newest_token(self, before: int) -> str | None:
        """The token of the last record with one that was sent before a moment."""
        sent = [
            record
            for link in self.links.values()
            for record in link.records
            if record.token is not None and record.n < before
        ]
        return max(sent, key=lambda record: record.n).token if sent else None

    def _read(self, frame: ServerFrame, link: PmLink) -> None:
        data = frame.data.encode() if isinstance(frame.data, str) else frame.data
        link.rest += data
        records, link.rest = _cut(link.rest)
        for record in records:
            sent = _understood(record, frame)
            link.records.append(sent)
            if sent.token is not None:
                self.tokens[sent.token] = sent.n


_AT_ONCE_MAX: Final = 2


def _cut(body: bytes) -> tuple[list[bytes], bytes]:
    """The whole records of a body so far, in whichever framing it is, and what is left."""
    if body[:1] in (b"\x00", b"\x01", b"\x02", b"\x03"):
        return _envelopes(body)
    if body.startswith((b"data:", b"id:", b":", b"event:")):
        *events, rest = body.replace(b"\r\n", b"\n").split(b"\n\n")
        return [_data(event) for event in events], rest
    *lines, rest = body.split(b"\n")
    return [line.strip() for line in lines if line.strip()], rest


def _data(event: bytes) -> bytes:
    lines = event.split(b"\n")
    return b"".join(line[5:].strip() for line in lines if line.startswith(b"data:"))


def _envelopes(body: bytes) -> tuple[list[bytes], bytes]:
    records: list[bytes] = []
    while len(body) >= _ENVELOPE_BYTES:
        size = int.from_bytes(body[1:_ENVELOPE_BYTES], "big")
        if len(body) < _ENVELOPE_BYTES + size:
            break
        records.append(body[_ENVELOPE_BYTES : _ENVELOPE_BYTES + size])
        body = body[_ENVELOPE_BYTES + size :]
    return records, body


def _understood(record: bytes, frame: ServerFrame) -> Sent:
    value = _object(record) or {}
    inner: Any = value.get("result", value)
    members = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
    token = members.get("resumeToken", members.get("resume_token"))
    snapshot: Any = members.get("snapshot", members if members.get("type") == "snapshot" else {})
    eof = snapshot.get("eof") if isinstance(snapshot, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return Sent(
        n=frame.n,
        connection=frame.connection,
        kind=_kind(value, members),
        value=members,
        token=token if isinstance(token, str) and token else None,
        last=eof is not False,
    )


def _kind(value: Mapping[str, Any], members: Mapping[str, Any]) -> Kind:
    told = members.get("type")
    if "error" in value:
        return "error"
    if "heartbeat" in members:
        return "heartbeat"
    if "snapshot" in members or told == "snapshot":
        return "snapshot"
    lists = any(isinstance(each, list) for each in members.values())
    return "update" if "update" in members or told == "delta" or lists else "other"


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
