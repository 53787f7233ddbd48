"""What a state file may hold after a kill, and what may be printed, judged by the truth log.

The history of a client that was killed again and again is data: what it printed in each life, what
its file held before and after, and the truth of every gateway. Each check takes it and returns what
is wrong, in one line each.

A cursor promises that the file's units are worth what they were worth at that entry, or later: a
snapshot may be newer than the cursor, never older (R6, R9). A unit may be missing where a snapshot
of that time leaves it out.

Nothing is promised of a base whose source did not say how old it was (R11). The file says so of
each scope that has units, and such scopes are only held to having been true at some time. Of the
list of fixtures that a channel is synced by, only the truth knows: a channel is not asked for units
that are missing if the list may have been one of the gateway's undated, empty ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from second_opinion import GATED
from state_copy import StateCopy
from truth_file import Login, Truth

__all__ = [
    "History",
    "Life",
    "applied_once",
    "ends_true",
    "moved",
    "never_ahead",
    "never_unsaid",
    "only_issued",
    "resumes_from_the_file",
    "resumptions",
]

_Applied = tuple[str, str, str]
"""Epoch, channel and id."""


@attrs.frozen(kw_only=True, eq=False)
class Life:
    """One process from its start to its end; times are seconds on its gateway's clock."""

    number: int
    gateway: int
    """Index of the gateway that was there."""
    began_at: float
    ended_at: float
    said: tuple[Mapping[str, Any], ...]
    """Its report; a line that the kill cut short is left out."""
    before: StateCopy
    after: StateCopy

    def applied(self) -> list[_Applied]:
        """What it printed as applied, in order."""
        return [
            (line["epoch"], line["channel"], line["id"])
            for line in self.said
            if line.get("event") == "applied" and line["id"] is not None
        ]


@attrs.frozen(kw_only=True)
class History:
    """All lives, in order, and the truth of every gateway there was."""

    lives: Sequence[Life]
    truths: Sequence[Truth]
    channels: tuple[str, ...]
    sports: tuple[int, ...]

    def logins(self, life: Life) -> list[Login]:
        """The logins of a life, in order."""
        logins = self.truths[life.gateway].logins
        return [login for login in logins if life.began_at <= login.at <= life.ended_at]

    def truth_of(self, epoch: str | None) -> int | None:
        """Which gateway issued an epoch's entries."""
        for index, truth in enumerate(self.truths):
            if epoch is not None and epoch in truth.epochs:
                return index
        return None

    def had_an_empty_list(self, life: Life, channel: str) -> bool:
        """Whether one was answered since the channel last had no cursor of this epoch."""
        for each in reversed(self.lives[: self.lives.index(life) + 1]):
            lists = self.truths[each.gateway].empty_lists
            if any(each.began_at <= at <= each.ended_at for at in lists):
                return True
            if channel not in each.before.cursors or each.before.epoch != life.after.epoch:
                return False
        return False

    def covers(self, truth: Truth, key: str) -> bool:
        """Whether the subscription has a unit in it."""
        sport = truth.sport_of(key)
        return key.startswith("currencies/") or sport is None or sport in self.sports


def never_ahead(history: History) -> Iterator[str]:
    """After no kill is a cursor in the file ahead of the file's state."""
    for life in history.lives:
        for problem in _ahead(history, life):
            yield f"life {life.number}: {problem}"


def _ahead(history: History, life: Life) -> Iterator[str]:
    after = life.after
    for key, value in after.units.items():
        if not any(value in truth.ever(key) for truth in history.truths):
            yield f"{key} was never what the file says"
    index = history.truth_of(after.epoch)
    if after.cursors and index is None:
        yield f"nobody issued epoch {after.epoch}"
        return
    if index is None:
        return
    truth = history.truths[index]
    last = truth.newest_at(life.ended_at if index == life.gateway else float("inf"))
    for channel, cursor in after.cursors.items():
        first = truth.entries.get((str(after.epoch), channel, cursor))
        if first is None:
            yield f"nobody issued the cursor {channel} {cursor}"
            continue
        listed = channel not in GATED or not history.had_an_empty_list(life, channel)
        for key in {*truth.keys_of(channel), *_keys_of(channel, after)}:
            if not history.covers(truth, key) or after.is_undated(key):
                continue
            if key in after.units:
                if after.units[key] not in truth.values(key, first, last):
                    yield f"{key} is not yet what it was at the cursor {channel} {cursor}"
            elif listed and not truth.was_hidden(key, first, last):
                yield f"{key} is missing at the cursor {channel} {cursor}"


def _keys_of(channel: str, state: StateCopy) -> Iterator[str]:
    return (key for key in state.units if key.startswith(f"{channel}/"))


def resumes_from_the_file(history: History) -> Iterator[str]:
    """Each life says that it starts from what the file held, and its first login asks for that."""
    for life in history.lives:
        held = (life.before.epoch, dict(life.before.cursors))
        if len(life.said) > 1:
            line = life.said[1]
            said = (line.get("epoch"), line.get("cursors"))
            if line.get("event") != "restored" or said != held:
                yield f"life {life.number}: it says {said}, the file held {held}"
        logins = history.logins(life)
        if not logins or not logins[0].cursors:
            continue
        asked = logins[0]
        if asked.epoch != held[0] or not asked.cursors.items() <= held[1].items():
            sent = (asked.epoch, dict(asked.cursors))
            yield f"life {life.number}: it logged in with {sent}, the file held {held}"


def applied_once(history: History) -> Iterator[str]:
    """What was applied, and durable at a start, is not applied again; nor anything in one life."""
    durable: set[_Applied] = set()
    before: set[_Applied] = set()
    for life in history.lives:
        cursors = {channel: _halves(text) for channel, text in life.before.cursors.items()}
        durable |= {
            each
            for each in before
            if each[0] == life.before.epoch
            and each[1] in cursors
            and _at_or_below(_halves(each[2]), cursors[each[1]])
        }
        seen: set[_Applied] = set()
        for each in life.applied():
            if each in durable:
                yield f"life {life.number}: {' '.join(each)} was durable and is applied again"
            if each in seen:
                yield f"life {life.number}: {' '.join(each)} is applied twice"
            seen.add(each)
        before |= seen


def never_unsaid(history: History) -> Iterator[str]:
    """Whatever a life made durable by itself, entry by entry, it had printed before (HZ-E12)."""
    for life in history.lives:
        truth, epoch = history.truths[life.gateway], life.after.epoch
        if epoch is None or life.before.epoch != epoch:
            continue
        rebased = {line["channel"] for line in life.said if line.get("event") == "snapshot_applied"}
        said = set(life.applied())
        connections = {login.connection for login in history.logins(life)}
        for channel in life.before.cursors.keys() & life.after.cursors.keys() - rebased:
            first = truth.entries.get((epoch, channel, life.before.cursors[channel]), 0)
            last = truth.entries.get((epoch, channel, life.after.cursors[channel]), 0)
            for each, n in truth.entries.items():
                sent = any((number, *each[1:]) in truth.sent for number in connections)
                if each[:2] == (epoch, channel) and first < n <= last and sent and each not in said:
                    yield f"life {life.number}: {' '.join(each)} is durable and was never printed"


def only_issued(history: History) -> Iterator[str]:
    """What is printed as applied was published, in the epoch that is printed with it."""
    for life in history.lives:
        for each in life.applied():
            if each not in history.truths[life.gateway].entries:
                yield f"life {life.number}: {' '.join(each)} was never published"


def ends_true(history: History) -> Iterator[str]:
    """In the end, after the market has stood still, the file holds the truth."""
    after, truth = history.lives[-1].after, history.truths[-1]
    last = truth.newest_at(float("inf"))
    keys = {*truth.units, *after.units}
    for key in sorted(key for key in keys if key.partition("/")[0] in history.channels):
        if not history.covers(truth, key) or truth.was_hidden(key, last, last):
            continue
        if key not in after.units:
            yield f"at the end {key} is missing"
        elif after.units[key] not in truth.values(key, last, last):
            yield f"at the end {key} is not what it should be"


def moved(history: History) -> int:
    """How many lives changed what a restart starts from."""
    return sum(life.before.position != life.after.position for life in history.lives)


def resumptions(history: History) -> tuple[int, int]:
    """How many first logins were resumed to the end, and how many entries they were replayed."""
    count = replayed = 0
    for life in history.lives:
        truth, logins = history.truths[life.gateway], history.logins(life)
        if logins and logins[0].cursors and logins[0].connection in truth.completed:
            count += 1
            replayed += truth.replays.get(logins[0].connection, 0)
    return count, replayed


def _halves(text: str) -> tuple[int, int]:
    milliseconds, _, sequence = text.partition("-")
    return int(milliseconds), int(sequence)


def _at_or_below(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[0] and one[1] <= other[1]
