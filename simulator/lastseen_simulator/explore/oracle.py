"""What must hold in every state, judged by what was published and what the client says.

The log of publications is the truth; a client is seen as a `Summary`. Nothing here is shared with
the session.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

__all__ = ["Conduct", "Log", "Publication", "Summary", "is_true", "judge", "misconduct", "truth_of"]


class Publication(NamedTuple):
    """One entry, by its id in each epoch that published it."""

    channel: str
    unit: str
    version: int
    ids: tuple[tuple[str, str], ...]


Log = tuple[Publication, ...]


class Summary(NamedTuple):
    """What can be seen of a client.

    `drained`: the application has taken all there was. `staged` is what a commit under way makes
    durable: cursors and versions.
    """

    channels: tuple[str, ...]
    told: Mapping[str, str]
    drained: bool
    epoch: str | None
    cursors: tuple[tuple[str, str], ...]
    versions: Mapping[str, int]
    disclosed: Mapping[tuple[str, str], tuple[int, int]]
    staged: tuple[str | None, tuple[tuple[str, str], ...], Mapping[str, int]] | None
    connections: int
    connected: bool
    stopped: str | None
    conserved: bool


def truth_of(log: Log, channel: str, count: int | None = None) -> dict[str, int]:
    """The newest version of each unit, after so many publications."""
    return {each.unit: each.version for each in log[:count] if each.channel == channel}


def is_true(summary: Summary, log: Log) -> bool:
    """Whether everything is synced, known to be, and right."""
    return (
        summary.drained
        and summary.connections == 1
        and summary.connected
        and all(summary.told.get(channel) == "SYNCED" for channel in summary.channels)
        and all(_covers(summary.versions, truth_of(log, channel)) for channel in summary.channels)
    )


def judge(summary: Summary, log: Log, *, fresh: bool) -> list[str]:
    """Every invariant that is broken here; `fresh`: no snapshot may be older than its request."""
    problems = _cursors_ahead("INV-S1", summary.epoch, summary.cursors, summary.versions, log)
    if summary.staged is not None:
        problems += _cursors_ahead("INV-S2", *summary.staged, log)
    for (channel, epoch), order in summary.disclosed.items():
        if not (fresh and summary.drained and summary.told.get(channel) == "SYNCED"):
            continue
        needed = _after(log, channel, epoch, f"{order[0]}-{order[1]}")
        if needed is not None and not _covers(summary.versions, needed):
            lacking = _lacking(summary.versions, needed)
            problems.append(f"INV-S10: {channel} is called synced, and lacks {lacking}")
    for channel in summary.channels:
        newest = truth_of(log, channel)
        for unit, version in summary.versions.items():
            if unit.startswith(f"{channel}/") and version > newest.get(unit, 0):
                problems.append(f"phantom: {unit} is at version {version}, which nobody published")
    return problems + misconduct(summary, sockets_max=2)


class Conduct(Protocol):
    """What is asked of any client, whatever it speaks."""

    @property
    def connections(self) -> int:
        """How many sockets it holds or wants."""
        ...

    @property
    def conserved(self) -> bool:
        """Whether its tallies add up."""
        ...

    @property
    def stopped(self) -> str | None:
        """Why it gave up."""
        ...


def misconduct(client: Conduct, *, sockets_max: int) -> list[str]:
    """Every invariant broken that does not depend on what was published."""
    problems: list[str] = []
    if client.connections > sockets_max:
        problems.append(f"INV-S15: {client.connections} sockets")
    if not client.conserved:
        problems.append("INV-S21: the tallies do not add up")
    if client.stopped is not None:
        problems.append(f"the session gave up: {client.stopped}")
    return problems


def _cursors_ahead(
    invariant: str,
    epoch: str | None,
    cursors: tuple[tuple[str, str], ...],
    versions: Mapping[str, int],
    log: Log,
) -> list[str]:
    problems: list[str] = []
    for channel, text in cursors:
        needed = _after(log, channel, epoch, text)
        if needed is None:
            problems.append(f"INV-S4: the cursor of {channel} was never issued in its epoch")
        elif not _based(versions, channel):
            problems.append(f"{invariant}: {channel} has a cursor and no state")
        elif not _covers(versions, needed):
            problems.append(
                f"{invariant}: the cursor of {channel} is ahead of its state, which lacks "
                f"{_lacking(versions, needed)}"
            )
    return problems


def _after(log: Log, channel: str, epoch: str | None, text: str) -> dict[str, int] | None:
    """What a state covers that is at this id; None when there is no such id."""
    for count, each in enumerate(log, 1):
        if each.channel == channel and (epoch, text) in each.ids:
            return truth_of(log, channel, count)
    return None


def _based(versions: Mapping[str, int], channel: str) -> bool:
    return any(unit.startswith(f"{channel}/") for unit in versions)


def _covers(versions: Mapping[str, int], needed: Mapping[str, int]) -> bool:
    return all(versions.get(unit, -1) >= version for unit, version in needed.items())


def _lacking(versions: Mapping[str, int], needed: Mapping[str, int]) -> str:
    return ", ".join(
        f"version {version} of {unit}"
        for unit, version in needed.items()
        if versions.get(unit, -1) < version
    )
