"""A gateway's truth log, read for what every unit was worth at every moment.

It knows the log's records and the documented payloads, and shares no code with gateway or client.
"""

import bisect
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
from second_opinion import GATED, PRICED, units_in

__all__ = ["Login", "Moment", "Truth", "plain"]

_OVER = (2, 3)


def plain(value: Any) -> Any:
    """Equal for equal values: 1.90 is 1.9, a member that is null is none, true is not 1."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int | float):
        return Decimal(str(value))
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@attrs.frozen
class Moment:
    """What a unit was worth from the n-th record on."""

    n: int
    value: Any


@attrs.frozen
class Login:
    """One login as the gateway heard it, and how it was met."""

    n: int
    at: float
    connection: int
    epoch: str | None
    cursors: Mapping[str, str]
    accepted: bool


@attrs.define(eq=False)
class Truth:
    """One gateway process, from its first record to its last."""

    units: dict[str, list[Moment]] = attrs.field(factory=dict[str, list[Moment]])
    """By unit key, in order; a value that is published again is not repeated."""
    entries: dict[tuple[str, str, str], int] = attrs.field(factory=dict[tuple[str, str, str], int])
    """Epoch, channel and id of every entry, and its record's number."""
    epochs: set[str] = attrs.field(factory=set[str])
    logins: list[Login] = attrs.field(factory=list[Login])
    replays: dict[int, int] = attrs.field(factory=dict[int, int])
    """Entries replayed to a connection."""
    completed: set[int] = attrs.field(factory=set[int])
    """Connections that were told `resume_complete`."""
    sent: set[tuple[int, str, str]] = attrs.field(factory=set[tuple[int, str, str]])
    """Connection, channel and id of every data frame that went out."""
    requests: list[tuple[float, str]] = attrs.field(factory=list[tuple[float, str]])
    """When, and to which path."""
    empty_lists: list[float] = attrs.field(factory=list[float])
    """When a list of everything was answered with nothing, and without a date."""
    _times: list[float] = attrs.field(factory=list[float])

    @classmethod
    def read(cls, path: Path) -> "Truth":
        """Reads a truth log; a last line that is cut short is left out."""
        truth = cls()
        lines = path.read_text(encoding="utf-8").split("\n")
        for line in lines[:-1]:
            truth.take(json.loads(line, parse_float=Decimal))
        return truth

    def take(self, record: Mapping[str, Any]) -> None:
        """Takes the next record."""
        n = record["n"]
        self._times.append(record["at"])
        match record["kind"]:
            case "epoch":
                self.epochs.add(record["epoch"])
            case "base":
                self._write(n, record["state"])
            case "entry":
                self.entries[record["epoch"], record["channel"], record["entryId"]] = n
                self._write(n, units_in(record["channel"], record["payload"]))
            case "login":
                login = record["login"] if isinstance(record["login"], Mapping) else {}
                self.logins.append(
                    Login(
                        n=n,
                        at=record["at"],
                        connection=record["connection"],
                        epoch=login.get("serverEpoch"),
                        cursors=login.get("lastSeenId") or {},
                        accepted=record["verdict"] == "login_ok",
                    )
                )
            case "sent":
                connection = record["connection"]
                self.sent.add((connection, record["channel"], record["entryId"]))
                if record["how"] == "replayed":
                    self.replays[connection] = self.replays.get(connection, 0) + 1
            case "control":
                if record["frame"].get("type") == "resume_complete":
                    self.completed.add(record["connection"])
            case "request":
                self.requests.append((record["at"], record["path"]))
            case "fault":
                if record["fault_kind"] == "empty":
                    self.empty_lists.append(record["at"])
            case _:
                pass

    def newest_at(self, at: float) -> int:
        """The number of the last record no later than this moment."""
        return bisect.bisect_right(self._times, at)

    def values(self, key: str, first: int, last: int) -> list[Any]:
        """What a unit was worth from one record to another: the value then, and those since.

        Nothing stands for a moment at which it did not exist.
        """
        moments = self.units.get(key, [])
        start = bisect.bisect_right(moments, first, key=lambda moment: moment.n)
        end = bisect.bisect_right(moments, last, key=lambda moment: moment.n)
        before: list[Any] = [moments[start - 1].value] if start else [None]
        return before + [moment.value for moment in moments[start:end]]

    def ever(self, key: str) -> list[Any]:
        """Everything that a unit was ever worth."""
        return [moment.value for moment in self.units.get(key, [])]

    def was_hidden(self, key: str, first: int, last: int) -> bool:
        """Whether a snapshot between two records may have left the unit out.

        It was not there yet, said nothing, was an inactive row, or of what is over (`facts` §5).
        """
        channel, _, rest = key.partition("/")
        for value in self.values(key, first, last):
            if value is None or value == {}:
                return True
            if channel in PRICED and value.get("active") != ("bool", True):
                return True
        if channel not in GATED:
            return False
        described = self.values(_described_by(channel, rest), first, last)
        return any(value is None or value["status"]["statusId"] in _OVER for value in described)

    def sport_of(self, key: str) -> int | None:
        """The sport of the fixture or future that a unit is about."""
        channel, _, rest = key.partition("/")
        described = self.ever(_described_by(channel, rest))
        return int(described[0]["sport"]["sportId"]) if described else None

    def keys_of(self, channel: str) -> Iterator[str]:
        """Every unit of a channel that there ever was."""
        prefix = f"{channel}/"
        return (key for key in self.units if key.startswith(prefix))

    def _write(self, n: int, units: Mapping[str, Any]) -> None:
        for key, value in units.items():
            moments = self.units.setdefault(key, [])
            now = plain(value)
            if not moments or moments[-1].value != now:
                moments.append(Moment(n, now))


def _described_by(channel: str, rest: str) -> str:
    root = "futures" if channel.lower().endswith("futures") else "fixtures"
    return f"{root}/{rest.partition('/')[0]}"
