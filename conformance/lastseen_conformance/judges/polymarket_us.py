"""What holds for every Polymarket US history."""

from collections.abc import Callable, Iterator
from typing import Final

from lastseen_conformance.case import Finding, Judge, broken, kept
from lastseen_conformance.history import Asked, Connected, Exited, History, Said, StreamAsked
from lastseen_conformance.judges.polymarket_us_wire import PmLink, PmWire
from lastseen_simulator.polymarket_us.channels import channel_at
from lastseen_simulator.truth import REDACTED

__all__ = [
    "applied",
    "applied_once",
    "asks_for_the_stream",
    "base_before_claim",
    "bearer",
    "few_streams",
    "granted_first",
    "last_status",
    "no_new_request",
    "participant",
    "said",
    "survives",
    "tokens_as_given",
    "within_rate",
]

_BASED: Final = frozenset({"orders", "positions"})
"""The streams that begin with a snapshot."""

_RATE: Final = 20
_WINDOW_S: Final = 1.0


def said(history: History, event: str) -> Iterator[Said]:
    """The lines of a report that tell of an event."""
    return (each for each in history.of(Said) if each.line and each.line.get("event") == event)


def applied(history: History, name: str) -> list[Said]:
    """Where an entry was said to be applied."""
    return [each for each in said(history, "applied") if (each.line or {}).get("id") == name]


def last_status(history: History) -> str | None:
    """What the client claims now."""
    state = None
    for each in said(history, "status"):
        state = (each.line or {}).get("state")
    return state if isinstance(state, str) else None


def asks_for_the_stream(history: History) -> Iterator[Finding]:
    """pm.ask.request: POST, to the path of the stream, an object in JSON."""
    rule = "pm.ask.request"
    for link in history.view(PmWire).asks:
        channel = channel_at(link.asked.path)
        kind = dict(link.asked.headers).get("content-type", "")
        if channel is None or channel.name not in history.channels:
            yield broken(rule, f"it asked for {link.asked.path}", link.n)
        elif link.members is None and not kind.lower().startswith("application/connect"):
            yield broken(rule, "the body is no JSON object", link.n)
        elif not kind.lower().startswith(("application/json", "application/connect+json")):
            yield broken(rule, f"the body is called {kind or 'nothing'}", link.n)
        else:
            yield kept(rule)


def bearer(history: History) -> Iterator[Finding]:
    """pm.ask.bearer: in the one header that is for it, and nowhere else."""
    rule = "pm.ask.bearer"
    for link in history.view(PmWire).asks:
        headers = dict(link.asked.headers)
        kind, _, key = headers.pop("authorization", "").partition(" ")
        elsewhere = any(REDACTED in value for value in headers.values())
        elsewhere = elsewhere or bool(link.asked.query) or REDACTED.encode() in link.asked.body
        if kind.lower() != "bearer" or key != REDACTED:
            yield broken(rule, "no Authorization: Bearer with the key", link.n)
        elif elsewhere or REDACTED in link.asked.path:
            yield broken(rule, "the key is elsewhere too", link.n)
        else:
            yield kept(rule)


def participant(account: str) -> Judge:
    """pm.ask.participant: of streams that are somebody's."""

    def judge(history: History) -> Iterator[Finding]:
        rule = "pm.ask.participant"
        for link in history.view(PmWire).asks:
            channel = channel_at(link.asked.path)
            if channel is None or not channel.of_account:
                continue
            named = dict(link.asked.headers).get("x-participant-id")
            if named == account:
                yield kept(rule)
            else:
                yield broken(rule, f"x-participant-id is {named or 'missing'}", link.n)

    return judge


def tokens_as_given(history: History) -> Iterator[Finding]:
    """pm.token.as-given: a token is one that was sent to this client, to the letter."""
    rule = "pm.token.as-given"
    wire = history.view(PmWire)
    given: set[str] = set()
    records = sorted(
        (record for link in wire.asks for record in link.records if record.token is not None),
        key=lambda record: record.n,
    )
    at = 0
    for link in wire.asks:
        while at < len(records) and records[at].n < link.n:
            given.add(records[at].token or "")
            at += 1
        if link.token is None:
            continue
        if link.token in given:
            yield kept(rule)
        else:
            yield broken(rule, f"nobody sent it the token {link.token[:40]!r}", link.n)


def within_rate(history: History) -> Iterator[Finding]:
    """pm.limit.messages: in any second."""
    rule = "pm.limit.messages"
    moments = [each for each in history.moments if isinstance(each, StreamAsked | Asked)]
    for first, later in zip(moments, moments[_RATE:], strict=False):
        if later.at - first.at < _WINDOW_S:
            text = f"{_RATE + 1} requests in {later.at - first.at:.2f} s"
            yield broken(rule, text, later.n)
            return
    if moments:
        yield kept(rule)


def few_streams(history: History) -> Iterator[Finding]:
    """pm.connect.one-stream: two while one takes over from the other."""
    wire = history.view(PmWire)
    if wire.crowded_n is not None:
        yield broken("pm.connect.one-stream", "a third stream at the same time", wire.crowded_n)
    elif wire.granted:
        yield kept("pm.connect.one-stream")


def applied_once(history: History) -> Iterator[Finding]:
    """pm.apply.once: since the last snapshot, which may have taken it back; in one life."""
    rule = "pm.apply.once"
    seen: set[tuple[int, str]] = set()
    some = False
    for each in history.of(Said):
        line = each.line or {}
        if line.get("event") == "snapshot_applied":
            seen.clear()
        if line.get("event") != "applied" or not isinstance(name := line.get("id"), str):
            continue
        some = True
        if "trade_capture" in history.channels:
            # One name, and a record for each state that it goes through.
            continue
        if (each.run, name) in seen:
            yield broken(rule, f"{name} is applied once more", each.n)
            return
        seen.add((each.run, name))
    if some:
        yield kept(rule)


def base_before_claim(history: History) -> Iterator[Finding]:
    """pm.status.no-base-no-claim: no stream is synced before a snapshot of it was sent whole."""
    rule = "pm.status.no-base-no-claim"
    if not _BASED.intersection(history.channels):
        return
    wire = history.view(PmWire)
    bases = [
        record.n
        for link in wire.asks
        for record in link.records
        if record.kind == "snapshot" and record.last
    ]
    for each in said(history, "status"):
        if (each.line or {}).get("state") != "synced":
            continue
        if not any(n < each.n for n in bases):
            yield broken(rule, "it says synced, and there was no snapshot", each.n)
            return
        yield kept(rule)


def survives(history: History) -> Iterator[Finding]:
    """pm.input.survives: it has not ended by itself."""
    gone = next((each for each in history.of(Exited) if not each.asked), None)
    if gone is not None:
        yield broken("pm.input.survives", f"the client ended: {gone.how}", gone.n)
    else:
        yield kept("pm.input.survives")


def granted_first(history: History) -> int | None:
    """When the first stream was granted."""
    first = next(history.of(Connected), None)
    return None if first is None else first.n


def no_new_request(rule: str, since: Callable[[History], int | None]) -> Judge:
    """The client stays in the answer it has from a moment on."""

    def judge(history: History) -> Iterator[Finding]:
        start = since(history)
        if start is None:
            return
        later: list[PmLink] = [link for link in history.view(PmWire).asks if link.n > start]
        if later:
            yield broken(rule, "it asked for the stream anew", later[0].n)
        elif history.count(Connected):
            yield kept(rule)

    return judge
