"""Putting the pages of a snapshot together: it replaces once the last one is in (HZ-C8, HZ-C17)."""

from typing import Any

import attrs

from lastseen.stream_messages import StreamSnapshot

__all__ = ["Freshness", "Pages"]

_BEHIND_MAX = 3
"""Snapshots in a row that are behind what is known, before it is doubted what is known."""


@attrs.define(eq=False, repr=False)
class Pages:
    """At most one snapshot that is not complete, of at most `rows_max` rows."""

    rows_max: int
    _rows: dict[str, Any] | None = attrs.field(init=False, default=None)
    _progress: dict[str, tuple[int, ...]] = attrs.field(
        init=False, factory=dict[str, tuple[int, ...]]
    )
    _taken_at: tuple[int, ...] | None = attrs.field(init=False, default=None)

    @property
    def open(self) -> bool:
        """Whether a page came, and not the last one."""
        return self._rows is not None

    def put(self, page: StreamSnapshot) -> StreamSnapshot | None:
        """Takes a page; the whole snapshot when it was the last one.

        It is as old as its oldest page.
        """
        if self._rows is None:
            if page.last:
                return page
            self._rows = {}
            self._taken_at = page.taken_at
        self._rows.update(page.rows)
        self._progress.update(page.progress)
        if page.taken_at is not None and self._taken_at is not None:
            self._taken_at = min(self._taken_at, page.taken_at)
        if not page.last:
            return None
        whole = StreamSnapshot(
            rows=self._rows, progress=self._progress, taken_at=self._taken_at, last=True
        )
        self.clear()
        return whole

    @property
    def full(self) -> bool:
        """Whether there are more rows than may be kept."""
        return self._rows is not None and len(self._rows) > self.rows_max

    def clear(self) -> None:
        """What has come of it counts no more."""
        self._rows, self._progress, self._taken_at = None, {}, None


@attrs.define(eq=False)
class Freshness:
    """Whether a later snapshot of the same answer is newer than what it would replace."""

    _taken_at: tuple[int, ...] | None = attrs.field(init=False, default=None)
    _behind: int = attrs.field(init=False, default=0)

    def restart(self) -> None:
        """Another answer, or session of the peer: nothing can be compared any more."""
        self._taken_at, self._behind = None, 0

    def accept(self, snapshot: StreamSnapshot) -> None:
        """It was taken in."""
        self._behind = 0
        if snapshot.taken_at is not None:
            self._taken_at = snapshot.taken_at

    def complaint(self, snapshot: StreamSnapshot, behind: str | None) -> str | None:
        """Why it must not replace; the empty text for one that is known already.

        `behind` is a unit that is known to be further along than it says.
        """
        if snapshot.taken_at is not None and self._taken_at is not None:
            if snapshot.taken_at < self._taken_at:
                return "older than the last"
            if snapshot.taken_at == self._taken_at:
                return ""
        if behind is None:
            return None
        self._behind += 1
        return f"behind in {behind}"

    @property
    def contradicts(self) -> bool:
        """Snapshots say so often less than is known that they may be right."""
        return self._behind >= _BEHIND_MAX
