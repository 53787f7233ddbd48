"""The shapes of the frames whose shape is open: data, heads, `snapshot_required`."""

from typing import Any, Final

import msgspec

from lastseen.dialects.oddspapi.wire import SnapshotRequired, Update, encode_binary, encode_text
from lastseen.shapes import member
from lastseen_simulator.channels import CHANNELS, ROOTS, entity_of
from lastseen_simulator.gateway.journal import Entry, Epoch
from lastseen_simulator.gateway.login import Subscription
from lastseen_simulator.gateway.narrowing import narrowed
from lastseen_simulator.gateway.options import SERVED_CHANNELS, GatewayOptions
from lastseen_simulator.market import Tables

__all__ = ["data_frame", "heads_of", "snapshot_required"]

Heads = dict[str, str | None]

NO_CHANNEL: Final = "weather"
"""What `snapshot_required` names beside the rest when every served channel is subscribed."""

_PREGAME = 0
"""The `statusId` of a fixture or future that has not begun (§6.1)."""


class _UnnumberedUpdate(msgspec.Struct, kw_only=True):
    """A data envelope without `entryId` (OP-A24)."""

    channel: str
    type: str = "UPDATE"
    ts: int
    payload: Any


class _NamelessSnapshotRequired(
    msgspec.Struct, tag_field="type", tag="snapshot_required", kw_only=True, omit_defaults=True
):
    """`snapshot_required` without `channels` (OP-A19)."""

    reason: str
    serverEpoch: str  # noqa: N815 - the wire's spelling
    resumeWindowMs: int  # noqa: N815
    serverEntryIds: Heads | None = None  # noqa: N815


def data_frame(
    entry: Entry,
    subscription: Subscription,
    tables: Tables,
    options: GatewayOptions,
    *,
    binary: bool,
) -> str | bytes | None:
    """An entry as it goes out: text or, in binary mode, bytes; None when nothing of it is left."""
    payload = _covered(entry, subscription, tables)
    if payload is None:
        return None
    frame: msgspec.Struct
    if entry.channel in options.unnumbered_channels:
        frame = _UnnumberedUpdate(channel=entry.channel, ts=entry.ts, payload=payload)
    else:
        frame = Update(channel=entry.channel, ts=entry.ts, entryId=entry.entry_id, payload=payload)
    if not binary:
        return encode_text(frame)
    if options.binary_channels == "all" or entry.channel in ("odds", "oddsFutures"):
        return encode_binary(frame)
    return encode_text(frame).encode()


def heads_of(
    channels: tuple[str, ...],
    subscription: Subscription,
    epoch: Epoch,
    tables: Tables,
    options: GatewayOptions,
) -> Heads:
    """`serverEntryIds` of these channels: whatever came last, or what this subscription may see.

    Channels without such an entry are left out, or null (OP-A22, OP-A23).
    """
    heads: Heads = {}
    for channel in channels:
        if channel not in epoch.journals:
            continue
        if options.heads == "global":
            head = epoch.journals[channel].head
        else:
            head = epoch.journals[channel].newest(
                lambda entry: _covered(entry, subscription, tables) is not None
            )
        if head is not None or options.null_heads:
            heads[channel] = None if head is None else head.entry_id
    return heads


def snapshot_required(
    reason: str,
    channels: tuple[str, ...],
    subscribed: tuple[str, ...],
    epoch: Epoch,
    heads: Heads | None,
    options: GatewayOptions,
) -> msgspec.Struct:
    """The frame that asks for a snapshot of channels, spelled as the knobs say (OP-A19)."""
    if options.snapshot_required_channels == "missing":
        return _NamelessSnapshotRequired(
            reason=reason,
            serverEpoch=epoch.name,
            resumeWindowMs=options.resume_window_ms,
            serverEntryIds=heads,
        )
    named = list(channels)
    if options.snapshot_required_channels == "empty":
        named = []
    elif options.snapshot_required_channels == "extra":
        others = (channel for channel in SERVED_CHANNELS if channel not in subscribed)
        named.append(next(others, NO_CHANNEL))
    return SnapshotRequired(
        reason=reason,
        channels=named,
        serverEpoch=epoch.name,
        resumeWindowMs=options.resume_window_ms,
        serverEntryIds=heads,
    )


def _covered(entry: Entry, subscription: Subscription, tables: Tables) -> dict[str, Any] | None:
    if _left_out(entry, subscription, tables):
        return None
    return narrowed(entry.channel, entry.payload, subscription, tables)


def _left_out(entry: Entry, subscription: Subscription, tables: Tables) -> bool:
    """Whether the entry is about a class of fixtures or futures that is not seen (OP-A12).

    Live is what says so, pregame what has not begun; what is over belongs to neither.
    """
    if subscription.live and subscription.pregame:
        return False
    channel = CHANNELS[entry.channel]
    entity = entity_of(channel, entry.payload)
    if channel.entity is None or entity is None:
        return False
    subject: Any = tables[ROOTS[channel.entity]].get(entity)
    if member(subject, "status", "live") is True:
        return not subscription.live
    return not subscription.pregame and member(subject, "status", "statusId") == _PREGAME
