"""Sees the coverage marks of OddsPapi: what a client of it has met."""

from collections.abc import Mapping
from typing import Any, Final, final

import attrs

from lastseen.events import Anomaly, AnomalyCode
from lastseen.states import ScopeState
from lastseen_simulator.world.oddspapi_frames import Frame, reaches

__all__ = ["OddsPapiMarks"]

_REASONS: Final[Mapping[Any, str]] = {
    "resume_window_exceeded": "required: resume_window_exceeded",
    "server_restarted": "required: server_restarted",
    "client_backpressure": "required: client_backpressure",
}
_WHILE: Final[Mapping[ScopeState, str]] = {
    ScopeState.SYNCING: "required while syncing",
    ScopeState.RESUMING: "required while resuming",
    ScopeState.SYNCED: "required while synced",
    ScopeState.STALE: "required while stale",
}
_ANOMALIES: Final[Mapping[AnomalyCode, str]] = {
    AnomalyCode.ID_ORDER: "id order anomaly",
    AnomalyCode.SNAPSHOT_STALE: "stale snapshot rejected",
    AnomalyCode.RESUME_ABANDONED: "cold escalation",
    AnomalyCode.HOLD_OVERFLOW: "hold overflow",
    AnomalyCode.DELIVERY_OVERFLOW: "delivery overflow",
}
_DROPS: Final[Mapping[str, str]] = {
    "login_ok": "drop after login",
    "replayed": "drop inside a replay",
    "resume_complete": "drop after resume_complete",
    "snapshot_required": "drop after snapshot_required",
    "live": "drop among live entries",
}
_RESUMES: Final = ("resume with 0 replayed", "resume with 1 replayed", "resume with many replayed")


@final
@attrs.define(eq=False)
class OddsPapiMarks:
    """What the present connection has said, as far as marks depend on it."""

    marks: set[str]
    last: str = ""
    """The kind of the last frame."""
    replaying: bool = False
    replayed: int = 0
    live: int = 0
    """Live entries since the login, while a replay is under way."""
    limits: dict[str, str] = attrs.field(factory=dict[str, str])
    """Channel → the newest id that was delivered, at first that of the login."""
    _told: set[str] = attrs.field(factory=set[str])

    def logged_in(
        self,
        cursors: Mapping[str, str],
        *,
        warm: bool,
        beside_another: bool,
        new_epoch: bool,
        fetching: bool,
    ) -> None:
        """A login was accepted."""
        if beside_another:
            self.marks.add("both sockets live")
            if new_epoch and fetching:
                self.marks.add("fetch crosses a new epoch")
        if warm and not cursors and not new_epoch:
            self.marks.add("cold login after a warm one")
        self.last, self.replaying, self.replayed, self.live = "login_ok", bool(cursors), 0, 0
        self.limits = dict(cursors)
        self._told.clear()

    def entry(self, frame: Frame, *, is_live: bool, known: bool) -> None:
        """An entry of the present connection."""
        limit = self.limits.get(frame.channel)
        if known and limit is not None and reaches(limit, frame.entryId):
            self.marks.add("duplicate suppressed by cursor")
        elif known:
            self.marks.add("duplicate suppressed by ring")
        else:
            self.limits[frame.channel] = frame.entryId
        if not self.replaying:
            self.last = "live"
        elif is_live:
            self.last, self.live = "live", self.live + 1
        else:
            if self.live:
                self.marks.add("live between replays")
            self.last, self.replayed = "replayed", self.replayed + 1

    def required(self, frame: Frame, states: set[ScopeState]) -> None:
        """A snapshot is demanded of channels whose scopes are in these states."""
        self.marks.add(_REASONS.get(frame.reason, "required: unknown reason"))
        self.marks.update(_WHILE[state] for state in states if state in _WHILE)
        if "resume_complete" in self._told:
            self.marks.add("resume_complete before snapshot_required")
        self._told.add("snapshot_required")
        self.last = "snapshot_required"

    def completed(self) -> None:
        """The replay is over."""
        if "snapshot_required" in self._told:
            self.marks.add("resume_complete after snapshot_required")
        self._told.add("resume_complete")
        if self.replaying:
            self.marks.add(_RESUMES[min(self.replayed, 2)])
            if self.live:
                self.marks.add("hold not empty at resume_complete")
        self.last, self.replaying = "resume_complete", False

    def dropped(self, *, fetching: bool) -> None:
        """The connection that counted has ended."""
        if self.last:
            self.marks.add(_DROPS[self.last])
        if fetching:
            self.marks.add("fetch crosses a drop")
        self.last = ""

    def stale_socket(self) -> None:
        """An entry came over a connection that counts no more."""
        self.marks.add("old socket outlives the new login")

    def refused(self) -> None:
        """A replacement failed while the old connection lives."""
        self.marks.add("new socket refused")

    def crossed(self) -> None:
        """A demand met a fetch under way."""
        self.marks.add("fetch crosses snapshot_required")

    def garbled(self) -> None:
        """A frame that cannot be read."""
        self.marks.add("undecodable frame")

    def control_in_binary(self) -> None:
        """A control frame as text, where data is binary."""
        self.marks.add("control text frame in binary mode")

    def told(self, anomaly: Anomaly) -> None:
        """The session noticed something odd."""
        mark = _ANOMALIES.get(anomaly.code)
        if mark is not None:
            self.marks.add(mark)
