"""One frame becomes one message: the place where encodings are told apart.

A text frame is JSON. A binary frame is sniffed by its first byte (`facts` §1): JSON bytes or a
MessagePack map; another encoding is another row here. Nothing in this file raises for any bytes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lastseen.events import Entry, Failure
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

__all__ = ["ENTITY_MEMBERS", "decode_frame"]

ENTITY_MEMBERS: Mapping[str, str] = {"odds": "fixtureId", "bookmakers": "fixtureId"}
"""Channels synced one entity at a time, and the payload's member that names it (design §5a)."""

_NAME_CHARACTERS_MAX = 256
"""Longest epoch or fixture id that is remembered (HZ-J17)."""

_REASONS = frozenset({"server_restarted", "resume_window_exceeded", "client_backpressure"})

_LOGIN_ERRORS: Mapping[str, Failure] = {
    "login_failed": Failure.FATAL,
    "first message must be login": Failure.FATAL,
    "api_key_revoked": Failure.FATAL,
    "too_many_connections": Failure.LIMIT,
}
"""What the words of an `error` frame mean (`facts` §3, OP-A32)."""

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)

_OBJECT = ord("{")


class _Envelope(msgspec.Struct, gc=False):
    channel: str
    payload: msgspec.Raw
    entryId: str | None = None  # noqa: N815 - the wire's spelling
    type: str = "UPDATE"


class _LooseEnvelope(msgspec.Struct):
    channel: str
    payload: msgspec.Raw
    entryId: Any = None  # noqa: N815


class _FixtureMember(msgspec.Struct, gc=False):
    fixtureId: str  # noqa: N815


_json_envelope = msgspec.json.Decoder(_Envelope).decode
_msgpack_envelope = msgspec.msgpack.Decoder(_Envelope).decode
_json_entity = msgspec.json.Decoder(_FixtureMember).decode
_msgpack_entity = msgspec.msgpack.Decoder(_FixtureMember).decode


def decode_frame(frame: str | bytes) -> Message:
    """Reads one frame, text as `str`, binary as `bytes`.

    >>> decode_frame('{"type":"reconnect","reason":"server_upgrade"}')
    MoveRequested(reason='server_upgrade')
    """
    if type(frame) is not str:
        return _decode_binary(frame)  # type: ignore[arg-type] # the union has two members
    try:
        envelope = _json_envelope(frame)
    except _UNDECODABLE:
        return _decode_odd(frame, Encoding.JSON)
    raw = bytes(envelope.payload)
    if raw[0] != _OBJECT or envelope.type != "UPDATE":
        return _decode_odd(frame, Encoding.JSON)
    channel = envelope.channel
    if channel in ENTITY_MEMBERS:
        return _with_entity(channel, envelope.entryId, raw, Encoding.JSON)
    return Entry(channel=channel, entity=None, id=envelope.entryId, raw=raw)


def _decode_binary(frame: bytes) -> Message:
    first = frame[0] if frame else 0
    if first == _OBJECT:
        try:
            return decode_frame(frame.decode())
        except UnicodeDecodeError:
            return Malformed(channel=None, detail="JSON bytes that are not UTF-8")
    if not (0x80 <= first <= 0x8F or first in (0xDE, 0xDF)):
        return Malformed(channel=None, detail="binary frame of unknown encoding")
    try:
        envelope = _msgpack_envelope(frame)
    except _UNDECODABLE:
        return _decode_odd(frame, Encoding.MSGPACK)
    raw = bytes(envelope.payload)
    if not _is_msgpack_map(raw) or envelope.type != "UPDATE":
        return _decode_odd(frame, Encoding.MSGPACK)
    if envelope.channel in ENTITY_MEMBERS:
        return _with_entity(envelope.channel, envelope.entryId, raw, Encoding.MSGPACK)
    return Entry(
        channel=envelope.channel,
        entity=None,
        id=envelope.entryId,
        raw=raw,
        encoding=Encoding.MSGPACK,
    )


def _is_msgpack_map(raw: bytes) -> bool:
    return 0x80 <= raw[0] <= 0x8F or raw[0] in (0xDE, 0xDF)


def _with_entity(channel: str, entry_id: str | None, raw: bytes, encoding: Encoding) -> Message:
    decode = _json_entity if encoding is Encoding.JSON else _msgpack_entity
    try:
        entity = decode(raw).fixtureId
    except _UNDECODABLE:
        return Malformed(channel=channel, detail="no readable fixtureId")
    if not entity or len(entity) > _NAME_CHARACTERS_MAX:
        return Malformed(channel=channel, detail="fixtureId of unusable length")
    return Entry(channel=channel, entity=entity, id=entry_id, raw=raw, encoding=encoding)


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
    if type(frame) is str:
        raw = bytes(msgspec.json.decode(frame, type=_LooseEnvelope).payload)
    else:
        raw = bytes(msgspec.msgpack.decode(frame, type=_LooseEnvelope).payload)  # type: ignore[arg-type] # the union has two members
    if channel in ENTITY_MEMBERS:
        return _with_entity(channel, None, raw, encoding)
    return Entry(channel=channel, entity=None, id=None, raw=raw, encoding=encoding)


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
