"""What a client was told by its peer, and what it told its application: seen from outside.

A witness reads the frames itself and remembers what they disclose. It shares no code with the
session, and says at once what no later state could excuse.
"""

from typing import Any, Final, cast

import attrs
import msgspec

from lastseen.events import Entry, Event, StatusChanged

__all__ = ["Attempts", "Witness"]

_SYNCED: Final = "SYNCED"
_ROUNDING_S: Final = 1e-6


@attrs.define(eq=False)
class Attempts:
    """The connections of one process, from its start: which one counts, and who came too soon."""

    base_s: float
    cap_s: float
    stable_after_s: float
    owner: int | None = None
    logged_in_at: float | None = None
    failures: int = 0
    """Attempts since a connection was last good."""
    floor_at: float | None = None
    """No attempt may come sooner (R12)."""
    candidate: int | None = None
    """The attempt that is under way."""
    problems: list[str] = attrs.field(factory=list[str])
    """What is wrong, since somebody last looked."""

    def saw_login(self, number: int, *, now: float) -> None:
        """From here on this connection counts."""
        self.owner, self.candidate, self.logged_in_at = number, None, now

    def saw_connect(self, number: int, *, now: float) -> None:
        """The client begins an attempt."""
        if self.floor_at is not None:
            if now < self.floor_at - _ROUNDING_S:
                self.problems.append("INV-S14: an attempt to connect comes before its backoff")
            self.failures += 1
        self.floor_at = None
        self.candidate = number

    def saw_end(self, number: int, *, planned: bool = False, now: float) -> None:
        """A connection, or an attempt, is over for the client."""
        if number == self.owner:
            self.owner = None
            self.over(planned=planned, now=now)
        elif number == self.candidate:
            self.candidate = None
            self.over(planned=False, now=now)

    def over(self, *, planned: bool, now: float) -> None:
        """From here on the next attempt waits; one that waits already, or is under way, stays."""
        if self.logged_in_at is not None and now - self.logged_in_at >= self.stable_after_s:
            self.failures = 0
        if self.candidate is None:
            # The candidate of a hand-over is on probation only once it has logged in.
            self.logged_in_at = None
        if self.floor_at is not None or self.candidate is not None:
            return
        wait_s = min(self.cap_s, self.base_s * 2 ** min(self.failures, 20)) / 2
        self.floor_at = now if planned and not self.failures else now + wait_s


@attrs.define(eq=False)
class Witness(Attempts):
    """Reads what the connection that counts says, too.

    `told` is the last status of each channel that the application took; `disclosed` the newest id
    of each channel and epoch that the frames of the counting connection spoke of.
    """

    told: dict[str, str] = attrs.field(factory=dict[str, str])
    disclosed: dict[tuple[str, str], tuple[int, int]] = attrs.field(
        factory=dict[tuple[str, str], tuple[int, int]]
    )
    epoch: str | None = None
    _before: dict[str, int] = attrs.field(init=False, factory=dict[str, int])

    def saw_frame(self, number: int, text: str | bytes, *, now: float) -> None:
        """A frame is about to be handed in."""
        frame = _decoded(text)
        kind = frame.get("type")
        resume = frame.get("resume")
        if kind == "login_ok" and isinstance(resume, dict):
            members = cast("dict[str, Any]", resume)
            self.saw_login(number, now=now)
            self.epoch = str(members["serverEpoch"])
            self._disclose(members.get("serverEntryIds"))
        elif number == self.owner and kind == "reconnect":
            self.over(planned=True, now=now)
        elif number == self.owner and kind == "snapshot_required":
            self.epoch = str(frame["serverEpoch"])
            self._disclose(frame.get("serverEntryIds"))
        elif number == self.owner and "entryId" in frame:
            self._disclose({frame["channel"]: frame["entryId"]})

    def saw_fence_broken(self, number: int) -> None:
        """An entry of a connection that does not count was accepted."""
        self.problems.append(f"INV-S7: an entry of connection {number} counts, which is replaced")

    def saw_fetch(self) -> None:
        """The client asks for a snapshot."""
        if self.owner is None:
            self.problems.append("INV-S8: a snapshot is asked for without a login before it")

    def saw_event(self, event: Event, versions: dict[str, int]) -> None:
        """The application was given an event and has not acted on it."""
        if isinstance(event, StatusChanged):
            self.told[event.channel] = event.state.name
        elif isinstance(event, Entry):
            based = any(unit.startswith(f"{event.channel}/") for unit in versions)
            if not based:
                self.problems.append("INV-S3: an entry is applied where there is no base")
        self._before = versions

    def saw_effect(self, versions: dict[str, int]) -> None:
        """The application has acted on it."""
        before, self._before = self._before, {}
        for unit, version in versions.items():
            channel = unit.partition("/")[0]
            if version < before.get(unit, version) and self.told.get(channel) == _SYNCED:
                self.problems.append(f"INV-S6: {channel} goes back while it is called synced")

    def _disclose(self, heads: object) -> None:
        if not isinstance(heads, dict) or self.epoch is None:
            return
        for channel, text in cast("dict[str, str | None]", heads).items():
            if text is None:
                continue
            high, _, low = text.partition("-")
            order = int(high), int(low)
            key = channel, self.epoch
            self.disclosed[key] = max(order, self.disclosed.get(key, order))


def _decoded(text: str | bytes) -> dict[str, Any]:
    value: object = msgspec.json.decode(text)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
