"""One frame becomes one message: the place where encodings are told apart.

A text frame is JSON. A binary frame is sniffed by its first byte (`facts` §1): JSON bytes or a
MessagePack map; another encoding is another row here. Nothing in this file raises for any bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from operator import attrgetter, contains
from typing import Any, Literal, cast

import msgspec

from lastseen.dialects.oddspapi.channels import ENTITY_MEMBERS
from lastseen.events import Entry, Failure, Source
from lastseen.messages import (
    LoginAccepted,
    LoginRefused,
    Malformed,
    Message,
    MoveRequested,
    ReplayCompleted,
    SnapshotDemanded,
    Unknown,
)
from lastseen.payload import Encoding
from lastseen.position import Cursor, parse_cursor
from lastseen.shapes import as_list, as_object, as_text

__all__ = ["decode_entries", "decode_frame"]

_NAME_CHARACTERS_MAX = 256
"""Longest epoch, fixture or future id that is remembered (HZ-J17)."""

_REASONS = frozenset({"server_restarted", "resume_window_exceeded", "client_backpressure"})

_READABLE = ("json", "binary")
"""Modes in force that this codec reads (`facts` §1); the echo says which one it is."""

_LOGIN_ERRORS: Mapping[str, Failure] = {
    "login_failed": Failure.FATAL,
    "first message must be login": Failure.FATAL,
    "api_key_revoked": Failure.FATAL,
    "too_many_connections": Failure.LIMIT,
}
"""What the words of an `error` frame mean (`facts` §3, OP-A32)."""

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)

_OBJECT = ord("{")


_Update = cast(
    "type[Entry]",
    msgspec.defstruct(
        "_Update",
        [
            ("raw", msgspec.Raw),
            ("id", str | None, None),
            ("type", Literal["UPDATE"], "UPDATE"),
            ("entity", None, None),
            ("encoding", Literal["json"], Encoding.JSON),
            ("source", Literal["live"], Source.LIVE),
        ],
        bases=(Entry,),
        rename={"raw": "payload", "id": "entryId"},
        kw_only=True,
        gc=False,
        eq=False,
    ),
)
"""An entry as the wire spells it, decoded in one step.

Every member that is ours is typed so narrowly here that a peer cannot set it.
"""


class _LooseEnvelope(msgspec.Struct):
    channel: str
    payload: msgspec.Raw
    entryId: Any = None  # noqa: N815 - the wire's spelling


class _Named(msgspec.Struct, gc=False):
    entity: str


def _naming(member: str) -> type[_Named]:
    """A payload of which only the member that names its entity is read."""
    made = msgspec.defstruct(
        "_Named", [("entity", str)], bases=(_Named,), rename={"entity": member}, gc=False
    )
    return cast("type[_Named]", made)


_json_update = msgspec.json.Decoder(_Update).decode
_msgpack_update = msgspec.msgpack.Decoder(_Update).decode
_json_loose = msgspec.json.Decoder(_LooseEnvelope).decode
_msgpack_loose = msgspec.msgpack.Decoder(_LooseEnvelope).decode
_channel = attrgetter("channel")

_NAMING = {member: _naming(member) for member in set(ENTITY_MEMBERS.values())}
_json_entity: Mapping[str, Callable[[bytes | msgspec.Raw], _Named]] = {
    channel: msgspec.json.Decoder(_NAMING[member]).decode
    for channel, member in ENTITY_MEMBERS.items()
}
_msgpack_entity: Mapping[str, Callable[[bytes | msgspec.Raw], _Named]] = {
    channel: msgspec.msgpack.Decoder(_NAMING[member]).decode
    for channel, member in ENTITY_MEMBERS.items()
}

_OBJECT_PAYLOAD = '"payload":{'
_NAMED_PAYLOADS: Mapping[str, str] = {
    channel: f'{_OBJECT_PAYLOAD}"{member}":"' for channel, member in ENTITY_MEMBERS.items()
}
"""How payloads begin on the wire; a frame that looks otherwise gets a closer look.

Both could also stand deeper inside a frame; such a payload fails when it is touched, and is
rejected then (design §4).
"""


def decode_entries(frames: Sequence[str | bytes]) -> list[Entry] | None:
    """Reads many text frames that are all plain updates; None when any of them is not."""
    try:
        entries = [_json_update(frame) for frame in frames]
        if not all(map(contains, frames, repeat(_OBJECT_PAYLOAD))):
            return None
    except (*_UNDECODABLE, TypeError):
        return None
    if not ENTITY_MEMBERS.keys().isdisjoint(map(_channel, entries)):
        for entry, frame in zip(entries, frames, strict=True):
            head = _NAMED_PAYLOADS.get(entry.channel)
            if head is not None:
                entry.entity = _first_name(frame, head)  # type: ignore[arg-type] # text, as it decoded
                if entry.entity is None:
                    return None
    return entries


def _first_name(frame: str, head: str) -> str | None:
    """The id at the head of the payload; None when it needs a closer look."""
    start = frame.find(head)
    if start < 0:
        return None
    start += len(head)
    entity = frame[start : frame.find('"', start)]
    return entity if "\\" not in entity and 0 < len(entity) <= _NAME_CHARACTERS_MAX else None


def decode_frame(frame: str | bytes) -> Message:
    """Reads one frame, text as `str`, binary as `bytes`.

    >>> decode_frame('{"type":"reconnect","reason":"server_upgrade"}')
    MoveRequested(reason='server_upgrade')
    """
    if type(frame) is not str:
        return _decode_binary(cast("bytes", frame))
    try:
        update = _json_update(frame)
    except _UNDECODABLE:
        return _decode_odd(frame, Encoding.JSON)
    if _OBJECT_PAYLOAD not in frame and bytes(update.raw)[0] != _OBJECT:
        return _decode_odd(frame, Encoding.JSON)
    return _with_entity(update)


def _decode_binary(frame: bytes) -> Message:
    first = frame[0] if frame else 0
    if first == _OBJECT:
        try:
            return decode_frame(frame.decode())
        except UnicodeDecodeError:
            return Malformed(channel=None, detail="JSON bytes that are not UTF-8")
    if not _is_msgpack_map(first):
        return Malformed(channel=None, detail="binary frame of unknown encoding")
    try:
        update = _msgpack_update(frame)
    except _UNDECODABLE:
        return _decode_odd(frame, Encoding.MSGPACK)
    if not _is_msgpack_map(bytes(update.raw)[0]):
        return _decode_odd(frame, Encoding.MSGPACK)
    update.encoding = Encoding.MSGPACK
    return _with_entity(update)


def _is_msgpack_map(first: int) -> bool:
    return 0x80 <= first <= 0x8F or first in (0xDE, 0xDF)


def _with_entity(entry: Entry) -> Message:
    if entry.channel in ENTITY_MEMBERS and not _name_entity(entry):
        return Malformed(channel=entry.channel, detail=f"no usable {ENTITY_MEMBERS[entry.channel]}")
    return entry


def _name_entity(entry: Entry) -> bool:
    """Sets the entity from the payload; False when it names none that can be used."""
    decoders = _json_entity if entry.encoding is Encoding.JSON else _msgpack_entity
    try:
        entry.entity = decoders[entry.channel](entry.raw).entity
    except _UNDECODABLE:
        return False
    return 0 < len(entry.entity) <= _NAME_CHARACTERS_MAX


def _decode_odd(frame: str | bytes, encoding: Encoding) -> Message:
    """Anything but a plain update: a control frame, or a frame with something wrong in it."""
    decode = msgspec.json.decode if encoding is Encoding.JSON else msgspec.msgpack.decode
    try:
        value = decode(frame)  # type: ignore[arg-type] # the encoding goes with the frame's type
    except _UNDECODABLE as error:
        return Malformed(channel=None, detail=f"undecodable: {type(error).__name__}")
    members = as_object(value)
    if members is None:
        return Malformed(channel=None, detail=f"a frame that is {type(value).__name__}")
    if "channel" in members:
        return _decode_odd_entry(members, frame, encoding)
    name = as_text(members.get("type"))
    if name is None:
        return Malformed(channel=None, detail="neither channel nor type")
    read = _CONTROL.get(name)
    return read(members) if read is not None else Unknown(type=name)


def _decode_odd_entry(value: Mapping[str, Any], frame: str | bytes, encoding: Encoding) -> Message:
    channel, kind = value["channel"], value.get("type", "UPDATE")
    if type(channel) is not str:
        return Malformed(channel=None, detail="channel is not text")
    if type(kind) is str and kind != "UPDATE":
        return Unknown(type=f"{kind} on a channel")
    if type(value.get("payload")) is not dict:
        return Malformed(channel=channel, detail="payload is not an object")
    # What is wrong is the id: the entry is applied all the same, without it (OP-A24).
    try:
        if type(frame) is str:
            raw = _json_loose(frame).payload
        else:
            raw = _msgpack_loose(cast("bytes", frame)).payload
    except _UNDECODABLE:
        # A key that stands twice, once with another type.
        return Malformed(channel=channel, detail="envelope in contradiction with itself")
    return _with_entity(Entry(channel=channel, raw=raw, encoding=encoding))


def _read_login_ok(value: Mapping[str, Any]) -> Message:
    oddities: list[str] = []
    resume = as_object(value.get("resume"))
    if resume is None:
        oddities.append("login_ok without a resume block")
        resume = {}
    epoch = _epoch(resume.get("serverEpoch"))
    if resume and epoch is None:
        oddities.append("login_ok without a usable serverEpoch")
    replayable: frozenset[str] | None = None
    if "replayChannels" in resume:
        names = _texts(resume["replayChannels"])
        if names is None or names != tuple(as_list(resume["replayChannels"]) or ()):
            oddities.append("replayChannels is not a list of names")
        replayable = frozenset(names or ())
    channels = _texts(value.get("channels"))
    if "channels" in value and channels is None:
        oddities.append("channels is not a list of names")
    mode = value.get("receiveType", "json")
    if mode not in _READABLE:
        oddities.append("receiveType that we cannot read")
    return LoginAccepted(
        epoch=epoch,
        channels=channels,
        replayable=replayable,
        heads=_heads(resume.get("serverEntryIds")),
        echo=value,
        oddities=tuple(oddities),
    )


def _read_error(value: Mapping[str, Any]) -> Message:
    error, text = value.get("error"), value.get("message")
    code = error if type(error) is str else ""
    reason = ": ".join(part for part in (code, text) if type(part) is str and part) or "error"
    for words, failure in _LOGIN_ERRORS.items():
        if code == words or (type(text) is str and text == words):
            return LoginRefused(failure=failure, reason=reason)
    return LoginRefused(failure=Failure.UNKNOWN, reason=reason)


def _read_snapshot_required(value: Mapping[str, Any]) -> Message:
    names = _texts(value.get("channels"))
    reason = value.get("reason")
    return SnapshotDemanded(
        channels=names or None,
        epoch=_epoch(value.get("serverEpoch")),
        reason=reason if type(reason) is str else "no reason",
        expected=type(reason) is str and reason in _REASONS,
        heads=_heads(value.get("serverEntryIds")),
    )


def _read_resume_complete(value: Mapping[str, Any]) -> Message:
    return ReplayCompleted(epoch=_epoch(value.get("serverEpoch")))


def _read_reconnect(value: Mapping[str, Any]) -> Message:
    reason = value.get("reason")
    return MoveRequested(reason=reason if type(reason) is str else "no reason")


_CONTROL: Mapping[str, Callable[[Mapping[str, Any]], Message]] = {
    "login_ok": _read_login_ok,
    "error": _read_error,
    "resume_complete": _read_resume_complete,
    "snapshot_required": _read_snapshot_required,
    "reconnect": _read_reconnect,
}
"""Every control frame of `facts` §2.2 that a session understands."""


def _texts(value: Any) -> tuple[str, ...] | None:
    """The texts in a list; None when it is no list."""
    items = as_list(value)
    return None if items is None else tuple(item for item in items if type(item) is str)


def _epoch(value: Any) -> str | None:
    return value if type(value) is str and 0 < len(value) <= _NAME_CHARACTERS_MAX else None


def _heads(value: Any) -> Mapping[str, Cursor]:
    """The readable ids of `serverEntryIds`; null and nonsense are left out (OP-A22)."""
    heads: dict[str, Cursor] = {}
    for channel, item in (as_object(value) or {}).items():
        text = as_text(item)
        cursor = parse_cursor(text) if text is not None else None
        if cursor is not None:
            heads[channel] = cursor
    return heads
