"""Which event is which: the key that stays the same when an event comes again (`facts` §7).

Nothing on this wire is promised to be unique. An `event_id` is taken where there is one, else the
members of `events.IDENTITY_MEMBERS`, else the event's time with its whole content. What has none of
these cannot be told from its like, and gets the empty key: such an event is never a duplicate
(HZ-F2).
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from lastseen.dialects.polynode.events import CONFIRMATION, IDENTITY_MEMBERS, SETTLEMENT
from lastseen.lifecycle import ItemKey

__all__ = ["PART_CHARACTERS_MAX", "by_content", "by_event_id", "by_members", "item_key"]

PART_CHARACTERS_MAX = 128
"""Of one part of a key; an event that names itself at greater length goes by its content (HZ-J17).

A hash has 66 characters, a wallet 42, a token at most 78.
"""

_DIGEST_BYTES = 16


def by_event_id(kind: str, event_id: object) -> tuple[str, ...]:
    """The key by the event's own id; empty without a usable one.

    >>> by_event_id("trade", "e-1")
    ('trade', 'event_id', 'e-1')
    """
    if type(event_id) is not str or not 0 < len(event_id) <= PART_CHARACTERS_MAX:
        return ()
    return (kind, "event_id", event_id)


def by_members(kind: str, data: Mapping[str, Any]) -> tuple[str, ...]:
    """The key by the members that name an event of this type; empty when they are not there.

    >>> by_members("trade", {"tx_hash": "0xaa", "log_index": 17})
    ('trade', '0xaa', '17')
    """
    names = IDENTITY_MEMBERS.get(kind)
    if names is None:
        return ()
    parts = tuple(_part(data.get(name)) for name in names)
    missing = [name for name, part in zip(names, parts, strict=True) if not part]
    if names[0] in missing or not set(missing) <= _OPTIONAL.get(kind, frozenset()):
        return ()
    return (kind, *parts) if max(map(len, parts)) <= PART_CHARACTERS_MAX else ()


def by_content(kind: str, timestamp_ms: int | None, body: bytes | msgspec.Raw) -> tuple[str, ...]:
    """The key by time and content, for an event that names itself in no other way.

    Without a time two events may well say the same, so that there is no key.
    """
    if timestamp_ms is None:
        return ()
    digest = blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()
    return (kind, "content", str(timestamp_ms), digest)


def item_key(data: Mapping[str, Any]) -> ItemKey:
    """The item that a settlement is about; empty when it names no transaction (`facts` §7).

    Several settlements of one transaction are several items.
    """
    key = by_members(SETTLEMENT, data)
    return key[1:]


_OPTIONAL: Mapping[str, frozenset[str]] = {
    SETTLEMENT: frozenset({"taker_wallet", "taker_token", "taker_side"}),
    CONFIRMATION: frozenset({"token_id"}),
    "price_feed": frozenset({"twap_window_seconds"}),
}
"""Members that an event may lack and still be told from the others of its type."""


def _part(value: object) -> str:
    """A member as text; nothing for what names nothing."""
    if type(value) is str:
        return value
    return str(value) if type(value) in (int, float) else ""
