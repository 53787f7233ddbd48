"""One frame becomes one message: text is JSON, binary is raw DEFLATE of it (`facts` §4).

Events are read in `envelopes` or, when they are not as documented, in `oddities`; control frames
and histories here. Nothing in this file raises for any bytes.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from lastseen.dialects.polynode.envelopes import read_documented
from lastseen.dialects.polynode.inflate import InflateLimits, Oversized, Undecodable, inflate
from lastseen.dialects.polynode.oddities import NAME_CHARACTERS_MAX, read_odd_event
from lastseen.dialects.polynode.values import epoch_ms
from lastseen.history_messages import (
    Bomb,
    HeartbeatHeard,
    History,
    Malformed,
    Message,
    PeerError,
    PongHeard,
    Subscribed,
    Unsubscribed,
    WireEvent,
)
from lastseen.shapes import as_list, as_object, as_text

__all__ = ["decode_frame"]

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)

_LIMITS = InflateLimits()


class _Typed(msgspec.Struct, gc=False):
    type: str


class _Snapshot(msgspec.Struct):
    events: msgspec.Raw
    count: Any = None


_typed = msgspec.json.Decoder(_Typed).decode
_snapshot = msgspec.json.Decoder(_Snapshot).decode
_raw_members = msgspec.json.Decoder(list[msgspec.Raw]).decode
_any = msgspec.json.Decoder().decode


def decode_frame(frame: str | bytes, limits: InflateLimits = _LIMITS) -> Message:
    """Reads one frame, text as `str`, binary as `bytes`.

    >>> decode_frame('{"type":"heartbeat","ts":1790000030000}')
    HeartbeatHeard(timestamp_ms=1790000030000)
    """
    if type(frame) is str:
        text = frame
    else:
        inflated = inflate(cast("bytes", frame), limits)
        if isinstance(inflated, Oversized):
            return Bomb(detail=f"inflates beyond {inflated.limit_bytes} bytes")
        if isinstance(inflated, Undecodable):
            return Malformed(detail=inflated.detail)
        try:
            text = inflated.decode()
        except UnicodeDecodeError:
            return Malformed(detail="an event that is not UTF-8")
    try:
        event = read_documented(text)
        if event is not None:
            return event
    except _UNDECODABLE:
        pass
    return _decode_carefully(text)


def _decode_carefully(text: str) -> Message:
    """Anything but a known event as documented."""
    try:
        if _is_snapshot(text):
            return _read_snapshot(text)
        value = _any(text)
    except _UNDECODABLE as error:
        return Malformed(detail=f"undecodable: {type(error).__name__}")
    members = as_object(value)
    if members is None:
        return Malformed(detail=f"a frame that is {type(value).__name__}")
    name = members.get("type")
    read = _CONTROL.get(name) if type(name) is str else None
    return read(members) if read is not None else read_odd_event(members, text)


def _is_snapshot(text: str) -> bool:
    try:
        return _typed(text).type == "snapshot"
    except msgspec.ValidationError:
        return False


def _read_snapshot(text: str) -> Message:
    """Reads a history; members that are no events are counted, the others stand."""
    try:
        snapshot = _snapshot(text)
        members = _raw_members(snapshot.events)
    except msgspec.ValidationError:
        return Malformed(detail="a snapshot without a list of events")
    count = _whole(snapshot.count)
    read = [_read_member(bytes(member).decode()) for member in members]
    taken = tuple(event for event in read if isinstance(event, WireEvent))
    return History(events=taken, count=count, malformed=len(read) - len(taken))


def _read_member(text: str) -> WireEvent | Malformed:
    try:
        if (event := read_documented(text)) is not None:
            return event
    except _UNDECODABLE:
        pass
    try:
        members = as_object(_any(text))
    except _UNDECODABLE:
        return Malformed(detail="undecodable")
    name = members.get("type") if members is not None else None
    if members is None or (type(name) is str and (name in _CONTROL or name == "snapshot")):
        return Malformed(detail="no event")
    return read_odd_event(members, text)


def _read_subscribed(members: Mapping[str, Any]) -> Message:
    warnings = as_list(members.get("warnings")) or []
    return Subscribed(
        subscription_id=_name(members.get("subscription_id")),
        subscription_type=_name(members.get("subscription_type")),
        warnings=tuple(item for item in warnings if type(item) is str),
    )


def _read_unsubscribed(members: Mapping[str, Any]) -> Message:
    return Unsubscribed(subscription_id=_name(members.get("subscription_id")))


def _read_error(members: Mapping[str, Any]) -> Message:
    code, message = as_text(members.get("code")), as_text(members.get("message"))
    return PeerError(code=code or None, message=message or "")


def _read_heartbeat(members: Mapping[str, Any]) -> Message:
    return HeartbeatHeard(timestamp_ms=epoch_ms(members.get("ts")))


def _read_pong(members: Mapping[str, Any]) -> Message:
    return PongHeard(timestamp_ms=epoch_ms(members.get("ts")))


_CONTROL: Mapping[object, Callable[[Mapping[str, Any]], Message]] = {
    "subscribed": _read_subscribed,
    "unsubscribed": _read_unsubscribed,
    "error": _read_error,
    "heartbeat": _read_heartbeat,
    "pong": _read_pong,
}
"""Every control frame of `facts` §3.1 but the snapshot; they are text, and taken as they come."""


def _name(value: object) -> str | None:
    return value if type(value) is str and 0 < len(value) <= NAME_CHARACTERS_MAX else None


def _whole(value: object) -> int | None:
    return value if type(value) is int else None
