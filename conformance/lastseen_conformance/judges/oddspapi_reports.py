"""What a client says it made of the stream, judged against what was sent to it."""

from collections.abc import Iterator, Mapping
from typing import Any

from lastseen_conformance.case import Finding, broken, kept
from lastseen_conformance.history import (
    CloseSent,
    Dropped,
    Ended,
    History,
    Launched,
    Moment,
    Said,
)
from lastseen_conformance.judges.oddspapi_wire import STATEFUL, Query, Sent, Wire

__all__ = ["applied_once", "claims_have_bases", "last_claim", "old_socket_fenced", "reports"]


def reports(history: History, event: str) -> Iterator[tuple[Said, Mapping[str, Any]]]:
    """The report objects of a kind, in order."""
    for said in history.of(Said):
        if said.line is not None and said.line.get("event") == event:
            yield said, said.line


def last_claim(history: History, channel: str) -> str | None:
    """What the client said last of a channel's status."""
    claims = [
        line.get("state")
        for _, line in reports(history, "status")
        if line.get("channel") == channel
    ]
    return claims[-1] if claims else None


def applied_once(history: History) -> Iterator[Finding]:
    """op.state.once: within a life of the client, unless its state began anew in between."""
    seen: dict[tuple[int, Any, Any, Any], int] = {}
    any_applied = False
    for said, line in reports(history, "applied"):
        if line.get("id") is None:
            continue
        any_applied = True
        key = (said.run, line.get("epoch"), line.get("channel"), line.get("id"))
        if key in seen:
            text = f"{line.get('channel')} {line.get('id')} was applied before"
            yield broken("op.state.once", text, said.n)
            return
        seen[key] = said.n
    if any_applied:
        yield kept("op.state.once")


def old_socket_fenced(history: History) -> Iterator[Finding]:
    """op.state.one-owner: what only an old connection carried after the new login stays out.

    Nothing orders two connections, so that a client may read the old one first. An entry of the
    old one counts when the client says that it is of the new one's epoch, or when it was sent after
    the client had said that it applied one which only the new one carried. A client that closes the
    old one itself has nothing more to keep out.
    """
    wire = history.view(Wire)
    accepted = {link.number: link.accepted_n for link in wire.links.values() if link.accepted_n}
    epochs = {link.epoch: link.accepted_n for link in wire.links.values() if link.accepted_n}
    carried: dict[tuple[Any, Any], list[Sent]] = {}
    for entry in wire.sent:
        if entry.entry_id is not None and entry.connection in accepted:
            carried.setdefault((entry.channel, entry.entry_id), []).append(entry)
    owners: list[tuple[int, int]] = []

    def is_late(entry: Sent) -> bool:
        return any(since < entry.n and accepted[entry.connection] < n for since, n in owners)

    for said, line in reports(history, "applied"):
        epoch = line.get("epoch")
        named = carried.get((line.get("channel"), line.get("id")), [])
        possible = [entry for entry in named if epoch in (None, entry.epoch)]
        of_old = [entry for entry in named if accepted[entry.connection] < epochs.get(epoch, 0)]
        if named and (all(map(is_late, possible)) if possible else of_old == named):
            text = f"{line.get('channel')} {line.get('id')} came from the old connection only"
            yield broken("op.state.one-owner", text, said.n)
            return
        connections = {entry.connection for entry in possible if entry.n < said.n}
        if len(connections) == 1:
            owners.append((said.n, accepted[connections.pop()]))
    if _closed_an_old_one(wire) or any(all(map(is_late, sent)) for sent in carried.values()):
        yield kept("op.state.one-owner")


def _closed_an_old_one(wire: Wire) -> bool:
    logins = [link.accepted_n for link in wire.links.values() if link.accepted_n is not None]
    return any(
        link.accepted_n is not None
        and link.ended_n is not None
        and link.let_go_n is None
        and any(link.accepted_n < n < link.ended_n for n in logins)
        for link in wire.links.values()
    )


def claims_have_bases(history: History) -> Iterator[Finding]:
    """op.status.no-base-no-claim: `synced` only when a base can have arrived.

    A line is read later than it was written. So a claim counts as made after a loss only when the
    client has said in between that it fell; before the first base there is nothing to be late.
    """
    wire, fallen, restored = Wire(), dict[str, int](), False
    launched_n = lost_n = 0
    claims: dict[str, str] = {}
    for moment in history.moments:
        wire.take(moment)
        if isinstance(moment, Launched):
            launched_n = lost_n = moment.n
            restored = False
            claims.clear()
            fallen.clear()
        if isinstance(moment, CloseSent | Dropped | Ended) and (
            wire.owner is not None and wire.owner.number == moment.connection
        ):
            lost_n = moment.n
        if not isinstance(moment, Said) or moment.line is None:
            continue
        if moment.line.get("event") == "restored":
            restored = bool(moment.line.get("cursors"))
        if moment.line.get("event") != "status":
            continue
        channel, state = str(moment.line.get("channel")), moment.line.get("state")
        before, claims[channel] = claims.get(channel), str(state)
        if state != "synced":
            if before == "synced" or channel not in fallen:
                fallen[channel] = lost_n
            continue
        if channel not in STATEFUL or restored:
            continue
        finding = _judge_claim(wire, channel, fallen.get(channel, launched_n), moment)
        if finding is not None:
            yield finding
            if not finding.kept:
                return


def _judge_claim(wire: Wire, channel: str, since: int, moment: Moment) -> Finding | None:
    rule = "op.status.no-base-no-claim"
    accepted = [link.accepted_n for link in wire.links.values() if (link.accepted_n or 0) > since]
    since = min((n for n in accepted if n is not None), default=moment.n)
    answered = [q for q in wire.asked_after(since, channel) if q.answered_n is not None]
    # What only ever came with 200 and is none leaves a hole that the other answers do not fill.
    fine = {_asked_for(q) for q in answered if q.good}
    spoilt = any(q.status == 200 and _asked_for(q) not in fine for q in answered)
    good = bool(fine) and not spoilt
    resumed = any(
        channel in link.resumed and (link.completed_n or 0) > since for link in wire.links.values()
    )
    if good or resumed:
        return kept(rule)
    text = f"{channel} is called synced; no snapshot or resume since moment {since}"
    return broken(rule, text, moment.n)


def _asked_for(query: Query) -> tuple[str, frozenset[tuple[str, str]]]:
    return query.path, frozenset(query.query.items())
