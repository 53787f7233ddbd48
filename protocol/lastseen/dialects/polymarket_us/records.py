"""One record becomes one message, whichever page it follows (`facts/polymarket_us.md` §4)."""

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from lastseen.deframing import is_too_deep
from lastseen.dialects.polymarket_us.spelling import (
    TERMINAL,
    camel,
    filled,
    moment,
    order_of,
    spelled,
)
from lastseen.dialects.polymarket_us.streams import STREAMS, Stream, StreamRow
from lastseen.errors import PayloadError
from lastseen.events import Source
from lastseen.payload import decode_json
from lastseen.secret import Secret
from lastseen.shapes import as_list, as_object, as_text
from lastseen.stream_dialect import Base
from lastseen.stream_messages import (
    Heartbeat,
    Malformed,
    PeerError,
    Record,
    StreamEntry,
    StreamMessage,
    StreamSnapshot,
    StreamUpdate,
)

__all__ = ["read_record", "unit_of", "value_of"]

TOKEN_CHARACTERS_MAX: Final = 64 * 1024
_NAME_CHARACTERS_MAX: Final = 512

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)

_Raws = dict[str, msgspec.Raw]
_raws = msgspec.json.Decoder(_Raws).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_any = msgspec.json.Decoder().decode

_Body = StreamSnapshot | StreamUpdate | Heartbeat | PeerError | Malformed


def read_record(record: Record, stream: Stream) -> StreamMessage:
    """Reads one record of a stream; never raises.

    >>> read_record(b'{"result":{"heartbeat":{}}}', Stream.ORDERS).body
    Heartbeat()
    """
    if is_too_deep(record):
        return StreamMessage(body=Malformed(detail="a record that is nested too deeply"))
    try:
        # The parts that nobody looks at now must be text too (HZ-J8).
        members = _raws(record.decode())
        if "error" in members and _any(members["error"]) is not None:
            return StreamMessage(body=_error(_any(members["error"])))
        if "result" in members:
            members = _raws(members["result"])
        return _message({camel(name): raw for name, raw in members.items()}, record, stream)
    except _UNDECODABLE as error:
        return StreamMessage(body=Malformed(detail=f"undecodable: {type(error).__name__}"))
    except PayloadError as error:
        return StreamMessage(body=Malformed(detail=str(error)))


def unit_of(members: Mapping[str, Any], stream: Stream) -> str | None:
    """The key of the unit that an object in our spelling sets; None when it names none.

    >>> unit_of({"account": "a", "symbol": "s"}, Stream.POSITIONS)
    'positions/a/s'
    """
    names = STREAMS[stream].unit
    parts = [as_text(members.get(name)) for name in names]
    if not parts or not all(parts):
        return None
    return "/".join((stream.value, *cast("list[str]", parts)))


def value_of(raw: bytes | msgspec.Raw, stream: Stream) -> dict[str, Any]:
    """What an entry says of its unit, in our spelling; raises `PayloadError`."""
    members = _object(decode_json(raw))
    match stream:
        case Stream.ORDERS if "order" in members:
            return order_of(_object(members["order"]), partly=False)
        case Stream.ORDERS:
            return order_of(
                {name: each for name, each in members.items() if name not in _OF_A_DELTA},
                partly=True,
            )
        case Stream.POSITION_CHANGES:
            return filled(_moved(members), STREAMS[stream].zeroes)
        case _:
            return filled(members, STREAMS[stream].zeroes)


_OF_A_DELTA: Final = frozenset({"id", "type", "execId", "resumeToken", "sessionId"})
"""Members of an old-style delta that are the message's, and not the order's (§4.1)."""


def _message(members: _Raws, record: Record, stream: Stream) -> StreamMessage:
    token, oddity = _token(members.get("resumeToken"))
    session = _any(members["sessionId"]) if "sessionId" in members else None
    return StreamMessage(
        body=_body(members, record, stream),
        token=token,
        session_id=session if type(session) is str else None,
        oddity=oddity,
    )


def _token(raw: msgspec.Raw | None) -> tuple[Secret | None, str | None]:
    """Exactly as it came (HZ-F8)."""
    value = _any(raw) if raw is not None else None
    if type(value) is str and 0 < len(value) <= TOKEN_CHARACTERS_MAX:
        return Secret(value), None
    return None, None if value in (None, "") else "a resume token that is no text"


def _error(value: object) -> PeerError:
    members = as_object(value) or {}
    code = members.get("code")
    message = as_text(members.get("message")) or (value if type(value) is str else "")
    return PeerError(code=code if type(code) in (int, str) else None, message=message)


def _body(members: _Raws, record: Record, stream: Stream) -> _Body:
    row = STREAMS[stream]
    kind = _any(members["type"]) if "type" in members else None
    if "heartbeat" in members or kind == "heartbeat":
        return Heartbeat()
    taken_at = (
        moment(_any(members["processedSentTime"])) if "processedSentTime" in members else None
    )
    if kind == "snapshot":
        inner = _raws(members["data"]) if "data" in members else members
        return _snapshot({camel(name): raw for name, raw in inner.items()}, stream, taken_at)
    if kind == "delta":
        return StreamUpdate(entries=(_delta(members, record, stream),))
    if "snapshot" in members:
        inner = _raws(members["snapshot"])
        return _snapshot({camel(name): raw for name, raw in inner.items()}, stream, taken_at)
    if "update" in members:
        return _update(members["update"], stream)
    if row.items in members:
        return StreamUpdate(entries=_entries(members[row.items], stream))
    if not members.keys() - _BESIDE:
        # A message of nothing but a token or a session: it says that the peer is there.
        return Heartbeat()
    return Malformed(detail="a record of no known shape")


_BESIDE: Final = frozenset({"resumeToken", "sessionId", "processedSentTime"})


def _snapshot(
    members: _Raws, stream: Stream, taken_at: tuple[int, ...] | None
) -> StreamSnapshot | StreamUpdate | Malformed:
    row = STREAMS[stream]
    if row.base is Base.NONE:
        return _past(members, stream)
    if row.items not in members:
        if not members:
            # An empty list is left out where defaults are (§7.7).
            return StreamSnapshot(rows={}, taken_at=taken_at)
        return Malformed(detail=f"a snapshot without {row.items}")
    rows: dict[str, Any] = {}
    progress: dict[str, tuple[int, ...]] = {}
    for item in _list(decode_json(members[row.items])):
        value = _object(item)
        if stream is Stream.ORDERS:
            value = order_of(value, partly=False)
        else:
            value = filled(value, row.zeroes)
        unit = unit_of(value, stream)
        if unit is None:
            return Malformed(detail=f"a snapshot with {row.items} that have no name")
        rows[unit] = value
        moved = _progress(value, row, stream)
        if moved is not None:
            progress[unit] = moved
    last = True
    for name in ("eof", "last"):
        if name in members:
            last = _any(members[name]) is not False
    return StreamSnapshot(rows=rows, progress=progress, taken_at=taken_at, last=last)


def _past(members: _Raws, stream: Stream) -> StreamUpdate | Malformed:
    """What a stream of events begins with at some gateways (§7.3): no state, but what happened.

    It replaces nothing. What was told before is known by its name or by its time.
    """
    items = STREAMS[stream].items
    if items not in members:
        if members.keys() <= _OF_A_PAGE:
            return StreamUpdate(entries=())
        return Malformed(detail=f"a snapshot without {items}")
    entries = _entries(members[items], stream)
    for entry in entries:
        entry.source = Source.HISTORY
    return StreamUpdate(entries=entries)


_OF_A_PAGE: Final = frozenset({"eof", "last"})


def _update(raw: msgspec.Raw, stream: Stream) -> StreamUpdate | Malformed:
    members = {camel(name): each for name, each in _raws(raw).items()}
    row = STREAMS[stream]
    name = "executions" if stream is Stream.ORDERS else row.items
    if stream is Stream.MARKET_DATA and "symbol" in members:
        return StreamUpdate(entries=(_entry(raw, stream),))
    entries: list[StreamEntry] = []
    if name in members:
        entries += _entries(members[name], stream)
    if "cancelReject" in members:
        # Nothing about an order changes, and nothing tells one from its like.
        entries.append(StreamEntry(channel=stream.value, raw=members["cancelReject"]))
    if not entries and members and name not in members:
        return Malformed(detail="an update of no known shape")
    return StreamUpdate(entries=tuple(entries))


def _entries(raw: msgspec.Raw, stream: Stream) -> tuple[StreamEntry, ...]:
    return tuple(_entry(item, stream) for item in _items(raw))


def _entry(raw: msgspec.Raw, stream: Stream) -> StreamEntry:
    row = STREAMS[stream]
    members = _object(_any(raw))
    value = members
    if stream is Stream.ORDERS:
        order = as_object(members.get("order"))
        value = {} if order is None else order_of(order, partly=False)
    elif stream is Stream.POSITION_CHANGES:
        value = _moved(members)
    names = [_part(members.get(name)) for name in row.identity]
    return StreamEntry(
        channel=stream.value,
        id=as_text(members.get("id")) or as_text(members.get("execId")),
        raw=raw,
        identity=(stream.value, *names) if names and all(names) else (),
        unit=unit_of(value, stream),
        progress=_progress(value, row, stream),
    )


def _delta(members: _Raws, record: Record, stream: Stream) -> StreamEntry:
    """One change of the oldest page: the message is the entry (§4.1)."""
    values = {name: _any(raw) for name, raw in members.items()}
    execution = _part(values.get("execId")) or _part(values.get("id"))
    order = as_text(values.get("orderId"))
    inner = _raws(record.decode())
    return StreamEntry(
        channel=stream.value,
        id=execution or None,
        raw=inner.get("result", record),
        identity=(stream.value, execution) if execution else (),
        unit=None if order is None else f"{stream.value}/{order}",
    )


def _moved(members: Mapping[str, Any]) -> dict[str, Any]:
    """A position change: the position, and when it came to be so."""
    position = as_object(members.get("position"))
    if position is None:
        return dict(members)
    change_time = members.get("changeTime")
    return position if change_time is None else {**position, "changeTime": change_time}


def _progress(value: Mapping[str, Any], row: StreamRow, stream: Stream) -> tuple[int, ...] | None:
    """How far along a unit is: what an order has filled, or the time of what is replaced whole."""
    if stream is Stream.ORDERS:
        filled = value.get("cumQty")
        if type(filled) is not int:
            return None
        return (int(value.get("state") in TERMINAL), filled)
    return moment(value.get(row.time)) if row.time is not None else None


def _object(value: object) -> dict[str, Any]:
    found = as_object(spelled(value))
    if found is None:
        raise PayloadError("something that should be an object is none")
    return found


def _list(value: object) -> list[Any]:
    found = as_list(value)
    if found is None:
        raise PayloadError("something that should be a list is none")
    return found


def _part(value: object) -> str:
    if type(value) is str and len(value) <= _NAME_CHARACTERS_MAX:
        return value
    return str(value) if type(value) is int else ""
