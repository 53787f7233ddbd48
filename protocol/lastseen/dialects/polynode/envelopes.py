"""The short way: known events as documented, of which only what names them is decoded.

Whatever is not quite as documented is left to the careful way, in `oddities`, which gives the same
result where both would do.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, cast

import msgspec

from lastseen.dialects.polynode.events import CONFIRMATION, IDENTITY_MEMBERS, SETTLEMENT
from lastseen.dialects.polynode.identity import PART_CHARACTERS_MAX, by_event_id, by_members
from lastseen.dialects.polynode.values import EPOCH_MS
from lastseen.history_messages import News, WireEvent

__all__ = ["read_documented"]

_Part = Annotated[str, msgspec.Meta(max_length=PART_CHARACTERS_MAX)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=PART_CHARACTERS_MAX)]
_Moment = Annotated[int, msgspec.Meta(ge=EPOCH_MS[0], lt=EPOCH_MS[1])]
_Span = Annotated[int, msgspec.Meta(ge=0)]

_Nothing = Annotated[str, msgspec.Meta(pattern="a^")]
"""A type that no value has: a member of ours that a peer cannot set."""


class _Settlement(msgspec.Struct, gc=False):
    tx_hash: _Name
    status: Literal["pending", "confirmed"]
    taker_wallet: _Part = ""
    taker_token: _Part = ""
    taker_side: _Part = ""
    event_id: _Name | None = None
    detected_at: _Moment | None = None


class _Confirmation(msgspec.Struct, gc=False):
    tx_hash: _Name
    token_id: _Part = ""
    event_id: _Name | None = None
    pending_detected_at: _Moment | None = None
    latency_ms: _Span | None = None


def _envelope_type() -> type[WireEvent]:
    """An event as the wire spells it, decoded in one step; no member of ours is on the wire."""
    fields: list[Any] = [
        ("channel", str),
        ("raw", msgspec.Raw),
        ("timestamp_ms", _Moment),
        ("event_id", str | None, None),
    ]
    taken = {name for name, *_ in fields}
    for field in msgspec.structs.fields(WireEvent):
        if field.name not in taken:
            fields.append((field.name, _Nothing, field.default))
    made = msgspec.defstruct(
        "WireEvent",
        fields,
        bases=(WireEvent,),
        rename={"channel": "type", "raw": "data", "timestamp_ms": "timestamp"},
        kw_only=True,
        gc=False,
        eq=False,
    )
    return cast("type[WireEvent]", made)


_envelope = msgspec.json.Decoder(_envelope_type()).decode
_settlement = msgspec.json.Decoder(_Settlement).decode
_confirmation = msgspec.json.Decoder(_Confirmation).decode


def read_documented(text: str) -> WireEvent | None:
    """Reads a known event that is as documented; None when it needs the careful way.

    Raises what msgspec raises for text that is no JSON, or not of the documented form.
    """
    event = _envelope(text)
    read = _READERS.get(event.channel)
    if read is None:
        return None
    read(event)
    return event if event.identity else None


def _read_settlement(event: WireEvent) -> None:
    data = _settlement(event.raw)
    event.item = key = (data.tx_hash, data.taker_wallet, data.taker_token, data.taker_side)
    event_id = data.event_id or event.event_id
    event.identity = (SETTLEMENT, *key) if event_id is None else by_event_id(SETTLEMENT, event_id)
    event.news = _PENDING if data.status == "pending" else _CONFIRMED
    event.detected_at_ms = data.detected_at


def _read_confirmation(event: WireEvent) -> None:
    data = _confirmation(event.raw)
    transaction = data.tx_hash
    event.item = (transaction,)
    event_id = data.event_id or event.event_id
    event.identity = (
        (CONFIRMATION, transaction, data.token_id)
        if event_id is None
        else by_event_id(CONFIRMATION, event_id)
    )
    event.news = _UPDATE
    event.detected_at_ms = data.pending_detected_at
    event.latency_ms = data.latency_ms


_PENDING, _CONFIRMED, _UPDATE = News


def _reader(kind: str) -> Callable[[WireEvent], None]:
    """For a type of which nothing is read but its name."""
    members = IDENTITY_MEMBERS[kind]
    fields = [(name, str | int | float | None, None) for name in ("event_id", *members)]
    decode = msgspec.json.Decoder(msgspec.defstruct("_Naming", fields, gc=False)).decode

    def read(event: WireEvent) -> None:
        data = msgspec.structs.asdict(decode(event.raw))
        event.identity = (
            by_event_id(kind, data["event_id"])
            or by_event_id(kind, event.event_id)
            or by_members(kind, data)
        )

    return read


_READERS: Mapping[str, Callable[[WireEvent], None]] = {
    **{kind: _reader(kind) for kind in IDENTITY_MEMBERS},
    SETTLEMENT: _read_settlement,
    CONFIRMATION: _read_confirmation,
}
