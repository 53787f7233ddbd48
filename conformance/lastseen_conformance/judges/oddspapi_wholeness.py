"""Whether anything is missing: entries that were passed over, and units that should be there."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from lastseen_conformance.case import Finding, broken, kept
from lastseen_conformance.history import History, Moment, Said, Struck
from lastseen_conformance.judges.oddspapi_wire import STATEFUL, Sent, Wire
from lastseen_simulator.truth import TruthLog, unit_keys
from lastseen_simulator.verdict import compare

__all__ = ["none_skipped", "synced_is_whole"]

_LIES: Final = ("stale", "gap")
"""Faults by which the gateway itself says less than the truth."""

_OVER: Final = (2, 3)
"""`statusId` of what is finished or cancelled (`facts` §6.1)."""


def none_skipped(history: History) -> Iterator[Finding]:
    """op.state.nothing-skipped: an entry that the client has passed is in its report, or replaced.

    It has passed an entry when it says that it applied one which came later, over the same
    connection, of the same channel and fixture. A snapshot asked for in between makes up for all.
    """
    rule = "op.state.nothing-skipped"
    wire = history.view(Wire)
    told: set[tuple[str, str]] = set()
    applied: dict[tuple[str, str], Said] = {}
    for said in history.of(Said):
        line = said.line or {}
        if line.get("event") in ("applied", "duplicate", "discarded"):
            name = (str(line.get("channel")), str(line.get("id")))
            told.add(name)
            if line.get("event") == "applied":
                applied.setdefault(name, said)
    if not applied:
        return
    later: dict[tuple[int, str, object], Said] = {}
    for entry in reversed(wire.sent):
        if entry.entry_id is None or entry.channel not in STATEFUL:
            continue
        place = (entry.connection, entry.channel, _fixture(entry))
        name = (entry.channel, entry.entry_id)
        passed = later.get(place)
        if name not in told and passed is not None and not _replaced(wire, entry, passed.n):
            yield broken(rule, f"{name[0]} {name[1]} was passed over", passed.n)
            return
        mine = applied.get(name)
        if mine is not None and mine.n > entry.n and (passed is None or mine.n < passed.n):
            later[place] = mine
    yield kept(rule)


def _replaced(wire: Wire, entry: Sent, before: int) -> bool:
    return any(query.n < before for query in wire.asked_after(entry.n, entry.channel))


def _fixture(entry: Sent) -> object:
    said: object = entry.payload
    if not isinstance(said, dict):
        return None
    payload = cast("dict[str, Any]", said)
    return payload.get("fixtureId") or payload.get("futureId")


def synced_is_whole(history: History) -> Iterator[Finding]:
    """op.status.no-base-no-claim: what is called synced has everything from before its login.

    Only units that have not changed since are looked at, so nothing can still be under way.
    """
    rule = "op.status.no-base-no-claim"
    if any(struck.kind in _LIES for struck in history.of(Struck)):
        return
    answers = [said for said in history.of(Said) if said.line and said.line.get("event") == "state"]
    if not answers:
        return
    changes = _changes(history)
    claims: dict[str, Said | None] = {}
    run, tested = 0, False
    for said in history.of(Said):
        line = said.line or {}
        if said.run != run:
            run = said.run
            claims.clear()
        if line.get("event") == "status":
            channel, synced = str(line.get("channel")), line.get("state") == "synced"
            claims[channel] = (claims.get(channel) or said) if synced else None
        state: Any = line.get("state")
        if line.get("event") != "state" or not isinstance(state, dict):
            continue
        shown = cast("dict[str, Any]", state)
        for channel, claim in claims.items():
            login_at = None if claim is None else _login_at(history, claim)
            if login_at is None:
                continue
            standing = dict(_standing(changes, channel, login_at, said.at))
            tested = tested or bool(standing)
            mine = {key: shown[key] for key in standing if key in shown}
            (verdict,) = compare(mine, standing, (channel,))
            if not verdict.equal:
                text = f"{verdict.difference}, and {channel} is called synced"
                yield broken(rule, text, said.n)
                return
    if tested:
        yield kept(rule)


Changes = list[tuple[float, dict[str, Any], frozenset[str]]]
"""When, the state then, and which units had changed."""


def _changes(history: History) -> Changes:
    found: Changes = []
    log = TruthLog()
    state: dict[str, Any] = {}
    for record in history.truth:
        if record["kind"] == "base":
            state = dict(record["state"])
            found.append((record["at"], state, frozenset(state)))
        elif record["kind"] == "entry":
            channel, payload = record["channel"], record["payload"]
            log.fold(channel, payload)
            keys = frozenset(unit_keys(channel, payload))
            folded = log.state(channels=(channel,))
            state = {**state, **{key: folded.get(key) for key in keys}}
            found.append((record["at"], state, keys))
    return found


def _standing(
    changes: Changes, channel: str, since: float, until: float
) -> Iterator[tuple[str, Any]]:
    """The units of a channel that were there at one moment and have not changed up to another."""
    before = [change for change in changes if change[0] <= since]
    if not before:
        return
    moved = {key for at, _, keys in changes if since < at <= until for key in keys}
    state = before[-1][1]
    for key, value in state.items():
        if key.startswith(f"{channel}/") and key not in moved and _counts(key, value, state):
            yield key, value


def _counts(key: str, value: Any, state: Mapping[str, Any]) -> bool:
    """An inactive row may be left out, a clock of nulls, and the odds of what is finished."""
    if not isinstance(value, Mapping):
        return value is not None
    members = cast("Mapping[str, Any]", value)
    if members.get("active") is False or all(each is None for each in members.values()):
        return False
    fixture: Any = state.get(f"fixtures/{key.split('/')[1]}")
    status: Any = fixture.get("status") if isinstance(fixture, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    over = isinstance(status, Mapping) and status.get("statusId") in _OVER  # pyright: ignore[reportUnknownMemberType]
    return not over or key.startswith(("fixtures/", "scores/", "clocks/"))


def _login_at(history: History, claim: Moment) -> float | None:
    """When the oldest login was accepted that a claim may rest on."""
    links = history.view(Wire).links.values()
    rests_on = [
        link.accepted_at
        for link in links
        if link.accepted_n is not None
        and link.accepted_at is not None
        and link.accepted_n < claim.n
        and (link.ended_n is None or link.ended_n > claim.n)
        and (link.let_go_n is None or link.let_go_n > claim.n)
    ]
    return min(rests_on, default=None)
