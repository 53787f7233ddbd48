"""The careful way: events of unknown types, flat ones, and those with something wrong in them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lastseen.dialects.polynode.events import CONFIRMATION, IDENTITY_MEMBERS, SETTLEMENT
from lastseen.dialects.polynode.identity import by_content, by_event_id, by_members, item_key
from lastseen.dialects.polynode.values import STATUSES, duration_ms, epoch_ms
from lastseen.history_messages import Malformed, News, WireEvent
from lastseen.shapes import as_object, as_text

__all__ = ["NAME_CHARACTERS_MAX", "read_odd_event"]

NAME_CHARACTERS_MAX = 256
"""Longest type or subscription id that is passed on (HZ-J17)."""


class _Loose(msgspec.Struct, gc=False):
    data: msgspec.Raw


_loose = msgspec.json.Decoder(_Loose).decode


def read_odd_event(members: Mapping[str, Any], text: str) -> WireEvent | Malformed:
    """An event of an unknown type, a flat one, or one with something wrong in it."""
    name = as_text(members.get("type")) or as_text(members.get("event_type"))
    if name is None or len(name) > NAME_CHARACTERS_MAX:
        return Malformed(detail="no usable type")
    known = name in IDENTITY_MEMBERS
    wrapped = as_object(members.get("data"))
    if wrapped is None and known and "data" in members:
        return Malformed(detail=f"{name} whose data is not an object")
    # Some read events flat, against the documented form (§9.6).
    data: Mapping[str, Any] = members if wrapped is None else wrapped
    event = WireEvent(
        channel=name,
        raw=text.encode() if wrapped is None or not known else bytes(_loose(text).data),
        event_id=as_text(members.get("event_id")),
        timestamp_ms=_event_time(members, data),
        known=known,
    )
    event.identity = (
        by_event_id(name, data.get("event_id"))
        or by_event_id(name, event.event_id)
        or by_members(name, data)
        or by_content(name, event.timestamp_ms, event.raw)
    )
    if name == SETTLEMENT:
        _note_settlement(event, data)
    elif name == CONFIRMATION:
        _note_confirmation(event, data)
    return event


def _note_settlement(event: WireEvent, data: Mapping[str, Any]) -> None:
    event.item = item_key(data)
    if not event.item:
        event.oddity = "settlement without a usable tx_hash"
        return
    status = data.get("status")
    event.news = STATUSES.get(status) if type(status) is str else None
    if event.news is None:
        # Whatever it means, the item must not wait for ever (HZ-G11).
        event.news = News.PENDING
        event.oddity = f"settlement of unknown status {status!r}"
    event.detected_at_ms = epoch_ms(data.get("detected_at"))


def _note_confirmation(event: WireEvent, data: Mapping[str, Any]) -> None:
    key = by_members(CONFIRMATION, data)
    if not key:
        event.oddity = "status_update without a usable tx_hash"
        return
    event.item = key[1:2]
    event.news = News.UPDATE
    event.detected_at_ms = epoch_ms(data.get("pending_detected_at"))
    event.latency_ms = duration_ms(data.get("latency_ms"))


def _event_time(members: Mapping[str, Any], data: Mapping[str, Any]) -> int | None:
    """The first sane one of the envelope's time and those inside (§9.8)."""
    stamps = (
        members.get("timestamp"),
        data.get("timestamp"),
        data.get("detected_at"),
        data.get("confirmed_at"),
    )
    return next((moment for stamp in stamps if (moment := epoch_ms(stamp)) is not None), None)
