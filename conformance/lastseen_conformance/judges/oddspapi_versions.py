"""Whether a client's state ever went back behind what it says it has applied."""

from collections.abc import Iterator, Mapping
from typing import Any, cast, final

import attrs

from lastseen_conformance.case import Finding, broken, kept
from lastseen_conformance.history import History, Launched, Said
from lastseen_conformance.judges.oddspapi_wire import Wire
from lastseen_simulator.truth import TruthLog, unit_keys

__all__ = ["demands_count", "never_back", "unproven_stays_unproven"]


@final
@attrs.define(eq=False)
class _Versions:
    """Every value a unit ever had, in order, and which entry made it."""

    values: dict[str, list[Any]] = attrs.field(factory=dict[str, list[Any]])
    made_by: dict[tuple[str, str], dict[str, int]] = attrs.field(
        factory=dict[tuple[str, str], dict[str, int]]
    )
    """Channel and entry id to, by unit, the number of the version."""

    @classmethod
    def of(cls, history: History) -> "_Versions":
        """Folds the gateway's entries once more, one by one."""
        found, log = cls(), TruthLog()
        for record in history.truth:
            if record["kind"] == "base":
                found.values = {key: [_plain(value)] for key, value in record["state"].items()}
            elif record["kind"] == "entry":
                channel, payload = record["channel"], record["payload"]
                log.fold(channel, payload)
                state = log.state(channels=(channel,))
                made = found.made_by.setdefault((channel, record["entryId"]), {})
                for key in unit_keys(channel, payload):
                    versions = found.values.setdefault(key, [])
                    versions.append(_plain(state.get(key)))
                    made[key] = len(versions) - 1
        return found


def never_back(history: History) -> Iterator[Finding]:
    """op.state.never-back: what a state shows is at least as new as what was applied before."""
    answers = [said for said in history.of(Said) if said.line and "state" in said.line]
    answers = [said for said in answers if said.line and said.line.get("event") == "state"]
    if not answers:
        return
    versions = _Versions.of(history)
    applied: dict[str, tuple[int, str]] = {}
    claims: dict[str, str] = {}
    run, tested = 0, False
    for said in history.of(Said):
        line = said.line or {}
        if said.run != run:
            run = said.run
            applied.clear()
            claims.clear()
        match line.get("event"):
            case "status":
                claims[str(line.get("channel"))] = str(line.get("state"))
            case "applied":
                name = (str(line.get("channel")), str(line.get("id")))
                for key, number in versions.made_by.get(name, {}).items():
                    if number >= applied.get(key, (-1, ""))[0]:
                        applied[key] = (number, name[1])
            case "state":
                state = line.get("state")
                shown = cast("dict[str, Any]", state if isinstance(state, dict) else {})
                for key, (number, entry_id) in applied.items():
                    if claims.get(key.partition("/")[0]) != "synced":
                        continue
                    tested = True
                    value = _plain(shown.get(key))
                    alike = [n for n, old in enumerate(versions.values[key]) if old == value]
                    if alike and alike[-1] < number:
                        text = f"{key} is older than {entry_id}, which was applied"
                        yield broken("op.state.never-back", text, said.n)
                        return
            case _:
                pass
    if tested:
        yield kept("op.state.never-back")


def demands_count(history: History) -> Iterator[Finding]:
    """op.status.demand-counts: a claim after a demand rests on a request from after it.

    A client has certainly read a demand once it says that it applied something that came later
    over the same connection.
    """
    rule = "op.status.demand-counts"
    wire = history.view(Wire)
    if not wire.demands:
        return
    sent = {(entry.channel, entry.entry_id): entry for entry in wire.sent}
    read: dict[int, int] = {}
    launches = [launched.n for launched in history.of(Launched)]
    tested = False
    for said in history.of(Said):
        began = launches[said.run - 1]
        line = said.line or {}
        if line.get("event") == "applied":
            entry = sent.get((str(line.get("channel")), str(line.get("id"))))
            if entry is not None:
                read[entry.connection] = max(entry.n, read.get(entry.connection, 0))
        if line.get("event") != "status" or line.get("state") != "synced":
            continue
        channel = str(line.get("channel"))
        demands = [
            n
            for n, connection, names in wire.demands
            if channel in names and began < n < read.get(connection, 0)
        ]
        if not demands:
            continue
        later = [link for link in wire.links.values() if demands[-1] < (link.completed_n or 0)]
        if any(channel in link.resumed for link in later):
            continue
        good = [
            query
            for query in wire.asked_after(demands[-1], channel)
            if query.good and query.n < said.n
        ]
        tested = True
        if not good:
            text = f"{channel} is called synced, nothing was fetched since moment {demands[-1]}"
            yield broken(rule, text, said.n)
            return
    if tested:
        yield kept(rule)


def unproven_stays_unproven(history: History) -> Iterator[Finding]:
    """op.status.stays-honest-unproven: nothing is called proven when no snapshot said its age."""
    rule = "op.status.stays-honest-unproven"
    if any("x-as-of" in query.headers for query in history.view(Wire).queries.values()):
        return
    proofs = [
        said
        for said in history.of(Said)
        if said.line and said.line.get("event") == "status" and "proof" in said.line
    ]
    wrong = [
        said
        for said in proofs
        if said.line and said.line.get("proof") == "proven" and said.line.get("state") == "synced"
    ]
    if wrong:
        yield broken(rule, "a base of unknown age is called proven", wrong[0].n)
    elif proofs:
        yield kept(rule)


def _plain(value: Any) -> Any:
    """Values as they compare: null members are as if they were not there (OP-A26)."""
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return {name: _plain(item) for name, item in members.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[Any]", value)]
    return value
