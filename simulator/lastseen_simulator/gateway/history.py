"""The market as it was: REST answers from the past, for lagging and stale snapshots."""

import collections
from typing import Final

import attrs

from lastseen_simulator.market import Tables, Undo

__all__ = ["History", "Picture"]

CHANGES_MAX: Final = 20_000
"""Changes that can be undone; a picture older than that is as old as they reach."""


@attrs.frozen(kw_only=True)
class Picture:
    """A state to answer from, and the newest entry per channel it covers in `epoch`."""

    tables: Tables
    epoch: str
    heads: dict[str, str]


@attrs.frozen(kw_only=True)
class _Change:
    undo: Undo
    at: float
    heads_before: dict[str, str | None]


@attrs.define(eq=False)
class History:
    """The changes of the market, newest last, each with the heads before it per epoch."""

    _changes: collections.deque[_Change] = attrs.field(
        init=False, factory=lambda: collections.deque[_Change](maxlen=CHANGES_MAX)
    )

    def note(self, undo: Undo, heads_before: dict[str, str | None], *, now: float) -> None:
        """Remembers one published change; `heads_before` maps epoch to the channel's old head."""
        self._changes.append(_Change(undo=undo, at=now, heads_before=heads_before))

    def picture(
        self,
        tables: Tables,
        epoch: str,
        heads: dict[str, str],
        *,
        since: float | None = None,
        entries: int = 0,
        channels: tuple[str, ...] = (),
    ) -> Picture:
        """The state now, or before everything later than `since`, or before the last `entries`.

        `entries` counts changes on `channels` only, but everything newer is undone with them.
        """
        past: Tables = {channel: dict(table) for channel, table in tables.items()}
        past_heads = dict(heads)
        left = entries
        for change in reversed(self._changes):
            too_new = since is not None and change.at > since
            if not too_new and left <= 0:
                break
            left -= change.undo.channel in channels
            if epoch not in change.heads_before:
                # Published before this epoch began: a state without it is of the one before.
                epoch, past_heads = list(change.heads_before)[-1], {}
            _take_back(change, past, past_heads, epoch)
        return Picture(tables=past, epoch=epoch, heads=past_heads)


def _take_back(change: _Change, past: Tables, heads: dict[str, str], epoch: str) -> None:
    undo = change.undo
    if undo.entity is not None and undo.previous is None:
        past[undo.channel].pop(undo.entity, None)
    elif undo.entity is not None:
        past[undo.channel][undo.entity] = undo.previous
    if epoch in change.heads_before:
        head = change.heads_before[epoch]
        if head is None:
            heads.pop(undo.channel, None)
        else:
            heads[undo.channel] = head
