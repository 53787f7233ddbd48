"""Putting the pages of a snapshot together: it replaces once the last one is in (HZ-C8, HZ-C17)."""

from typing import Any

import attrs

from lastseen.stream_messages import StreamSnapshot

__all__ = ["Pages"]


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
