"""One channel: where it is, what of it has a base, and what waits for one."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from lastseen_conformance.clients.python.units import BY_FIXTURE, LIVE_ONLY, Units, stamp

SEEN_MAX = 4096

_ID = re.compile(r"([0-9]{1,19})-([0-9]{1,19})", re.ASCII)


def order_of(entry_id: Any) -> tuple[int, int] | None:
    """An id as two numbers; None when it is none."""
    match = _ID.fullmatch(entry_id) if isinstance(entry_id, str) else None
    return None if match is None else (int(match[1]), int(match[2]))


class Entry(NamedTuple):
    """One entry of a channel."""

    id: str | None
    payload: Any


class Scope:
    """What one answer restores: a channel, or one fixture of it."""

    def __init__(self) -> None:
        self.state: Units = {}
        self.synced = False
        self.doubts = 0
        """Counts; an answer that was asked for before the last one is no base."""
        self.held: list[tuple[Entry, Units]] | None = []
        """Since the last doubt; they go on top of a snapshot. None once it has been looked at
        twice."""
        self.fetched: set[str] = set()
        """Rows of a snapshot that no entry has touched; one of them may be the newer."""

    def doubt(self) -> None:
        """Its base is not to be trusted, and what waited is older than the next one."""
        self.synced, self.held, self.doubts = False, [], self.doubts + 1

    def put(self, fresh: Units) -> None:
        """Replaces units; a snapshot's row that is newer than the entry stays."""
        for key, value in fresh.items():
            if key in self.fetched:
                ours, theirs = stamp(value), stamp(self.state[key])
                if ours is not None and theirs is not None and ours < theirs:
                    continue
                self.fetched.discard(key)
            self.state[key] = value

    def replace(self, rows: Units) -> list[Entry]:
        """Puts a snapshot in place, and on top of it what came since; returns what had waited."""
        first, held = not self.synced, self.held or []
        self.state, self.fetched, self.synced = dict(rows), set(rows), True
        for _, fresh in held:
            self.put(fresh)
        if not first:
            self.held = None
        return [entry for entry, _ in held] if first else []


class Channel:
    """A channel of the subscription."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scopes: dict[str, Scope] = {} if name in LIVE_ONLY else {"": Scope()}
        """By fixture where snapshots are, with the list of fixtures as one more; else one."""
        self.cursor: str | None = None
        self.newest: str | None = None
        self.seen: dict[str, None] = {}
        self.replaying = False
        self.head: tuple[int, int] | None = None
        """Where the server was at the login: what is above came live."""
        self.waiting: list[Entry] = []
        self.said: str | None = None

    @property
    def whole(self) -> bool:
        """All of it has a base."""
        return not self.replaying and all(scope.synced for scope in self.scopes.values())

    def knows(self, entry_id: str | None) -> bool:
        """Whether it was there: the very id, or one that is not above in either half."""
        order, newest = order_of(entry_id), order_of(self.newest)
        if order is None:
            return False
        if entry_id in self.seen:
            return True
        return newest is not None and order[0] <= newest[0] and order[1] <= newest[1]

    def note(self, entry_id: str | None) -> None:
        """An entry was processed; one without a proper id moves nothing."""
        if entry_id is None or order_of(entry_id) is None:
            return
        self.newest = entry_id
        self.seen[entry_id] = None
        if len(self.seen) > SEEN_MAX:
            del self.seen[next(iter(self.seen))]

    def replayed(self) -> Iterator[tuple[Entry, str]]:
        """Ends the replay; gives out what waited, the replayed entries first."""
        if not self.replaying:
            return
        self.replaying, waiting = False, self.waiting
        self.waiting = []
        head = self.head
        if head is None:
            waiting.sort(key=lambda entry: order_of(entry.id) or (1 << 64, 0))
            head = (1 << 64, 0)
        old = [e for e in waiting if (order_of(e.id) or (1 << 65, 0)) <= head]
        yield from ((entry, "replay") for entry in old)
        yield from ((entry, "live") for entry in waiting if entry not in old)

    def doubt(self) -> None:
        """No position, and no base, until a snapshot has come."""
        self.cursor, self.replaying, self.waiting = None, False, []
        for scope in self.scopes.values():
            scope.doubt()

    def forget(self) -> None:
        """Of another epoch: no id that was seen means anything."""
        self.cursor, self.newest, self.replaying = None, None, False
        self.seen.clear()

    def lose(self) -> None:
        """The connection is gone; what was whole stays so, up to its cursor."""
        self.waiting, self.replaying = [], False
        for scope in self.scopes.values():
            if scope.synced:
                scope.held = None
            else:
                scope.doubt()

    def claim(self, *, connected: bool) -> str | None:
        """What may be said of it; None when that was said last."""
        if self.name in LIVE_ONLY:
            now = "live_only"
        elif not connected:
            now = "stale"
        elif self.replaying:
            now = "resuming"
        else:
            now = "synced" if self.whole else "syncing"
        if now == self.said or (self.said is None and now == "stale"):
            return None
        self.said = now
        return now


__all__ = ["BY_FIXTURE", "Channel", "Entry", "Scope", "order_of"]
