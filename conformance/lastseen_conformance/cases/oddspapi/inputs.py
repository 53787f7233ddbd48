"""What comes in: nonsense, novelties, repetitions, and ids that look odd."""

import json
from collections.abc import Iterator
from typing import Any, Final

from lastseen_conformance.case import Case, Finding, Judge, Scene, Script, broken, kept
from lastseen_conformance.cases.oddspapi.scripts import (
    accepted,
    agree,
    comes_back,
    enter,
    feed,
    looked_again,
    made,
    settled,
    whole,
)
from lastseen_conformance.history import History, Struck
from lastseen_conformance.judges.oddspapi_connections import left_alone
from lastseen_conformance.judges.oddspapi_reports import reports
from lastseen_conformance.judges.oddspapi_wire import Wire
from lastseen_conformance.steps import Condition, Linger, Place, Publish, Steps, Wait, now
from lastseen_conformance.timers import TIMERS
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

UNKNOWN: Final = "op.input.ignores-unknown"
SURVIVES: Final = "op.input.survives"
POISON: Final = "op.input.no-poison-loop"
DOUBTS: Final = "op.input.doubts-unreadable"
GAPS: Final = "op.input.gaps-are-normal"

FAR_AHEAD_MS: Final = 4_102_444_800_000
"""In the year 2100: no entry has come so far."""

LOOK_S: Final = 0.6
"""How long to look whether a client does something that it should not."""

LOOK_TWICE_S: Final = TIMERS["verify_after_s"] * 1.5
"""So long that what it fetched for nothing is fetched once more, because its age is unknown."""


def _struck(history: History) -> int | None:
    struck = next(history.of(Struck), None)
    return None if struck is None else struck.n


def _left_alone(rule: str, *, fetches: bool = True) -> Judge:
    return left_alone(rule, _struck, fetches=fetches)


def _injected(**fault: Any) -> Script:
    """On a healthy connection something arrives that should change nothing."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        yield now(**fault)
        yield Linger(seconds=LOOK_TWICE_S, why="nothing has to happen")
        yield from feed(scene, "scores")
        yield from agree(scene)

    play.__doc__ = _injected.__doc__
    return play


def _nonsense(**fault: Any) -> Script:
    """On a healthy connection something arrives that nobody can read."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        yield now(**fault)
        yield Publish("scores")
        yield Linger(seconds=LOOK_S, why="the client has to bear it")
        yield Wait(until=whole(scene), what="it is whole again", rule=SURVIVES)
        yield from feed(scene, "scores")
        yield from agree(scene)

    play.__doc__ = _nonsense.__doc__
    return play


def _stays(history: History) -> Iterator[Finding]:
    """One frame that cannot be read is no reason to leave."""
    yield from _left_alone(POISON, fetches=False)(history)


def spoilt_entry(scene: Scene) -> Steps:
    """An entry arrives with its second half missing; what it said is lost."""
    yield from enter(scene)
    yield from feed(scene, "scores")
    yield from looked_again(scene)
    yield Place(Fault(kind="malformed", at="before live 2 of scores"))
    yield Publish("scores")

    def struck(history: History) -> bool:
        return _struck(history) is not None

    yield Wait(until=struck, what="the entry was sent")

    def asked_again(history: History) -> bool:
        start = _struck(history) or 0
        return any(query.good for query in history.view(Wire).asked_after(start, "scores"))

    yield Wait(until=asked_again, what="scores are fetched again", rule=DOUBTS)
    yield Publish("scores")
    yield from agree(scene)


def _violated(name: str) -> Script:
    """The gateway breaks the WebSocket protocol; the connection is lost, the client is not."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        yield now("raw", violation=name)
        yield Publish("scores")
        yield Wait(until=accepted(2), what="the client is back", rule="op.connect.comes-back")
        yield from settled(scene, logins=2)
        yield from agree(scene)

    play.__doc__ = _violated.__doc__
    return play


def too_big(scene: Scene) -> Steps:
    """A message larger than the vendor's template takes; the connection may be given up for it."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield now("oversize", size_bytes=6 << 20)
    yield Publish("scores")
    yield Linger(seconds=LOOK_S, why="the client has to bear it")
    yield Wait(until=whole(scene), what="it is whole again", rule=SURVIVES)
    yield from feed(scene, "scores")
    yield from agree(scene)


def twice(scene: Scene) -> Steps:
    """Entries arrive twice."""
    yield from enter(scene)
    yield Place(Fault(kind="duplicate", at="before live 1 of scores"))
    yield Place(Fault(kind="duplicate", at="before live 1 of fixtures"))
    yield from feed(scene, "scores", "fixtures", count=2)
    yield from agree(scene)


def passes(scene: Scene) -> Steps:
    """Entries of two channels overtake each other."""
    yield from enter(scene)
    yield Place(Fault(kind="reorder", at="before live 1 of scores"))
    yield Publish("scores")
    yield Publish("fixtures")
    yield from feed(scene, "scores", "fixtures")
    yield from agree(scene)


def skips(scene: Scene) -> Steps:
    """The numbers of entries skip, as they do all the time."""
    yield from enter(scene)
    yield Place(Fault(kind="gap", at="before live 2 of odds", loss="coalesced"))
    yield from feed(scene, "scores")
    yield Publish("odds", count=6)
    yield Linger(seconds=LOOK_TWICE_S, why="nothing has to happen")
    yield from feed(scene, "scores")
    yield from agree(scene)


def lost_and_told(scene: Scene) -> Steps:
    """An entry is lost, and the gateway says so."""
    yield from enter(scene)
    yield from feed(scene, "scores")
    yield Place(Fault(kind="gap", at="before live 2 of scores", loss="lost"))
    yield Publish("scores", count=2)
    yield Wait(until=lambda h: bool(h.view(Wire).demands), what="the gateway admits it")
    yield from settled(scene, "op.snapshot.when-required")
    yield from agree(scene)


def counts_over(scene: Scene) -> Steps:
    """The numbers of entries grow a digit, so text compares them wrongly."""
    yield from enter(scene)
    yield from feed(scene, "scores", count=12)
    yield from feed(scene, "fixtures")
    yield now("drop")
    yield Publish("scores")
    yield from comes_back(scene)
    # Two entries of one millisecond, as a busy channel has them.
    moment = f"{FAR_AHEAD_MS}"
    for number in (99, 100):
        text = _entry(
            "scores", f"{moment}-{number}", {"fixtureId": scene.fixtures[0], "scores": {}}
        )
        yield now("send", text=text)
    wanted = {("scores", f"{moment}-{number}") for number in (99, 100)}
    yield Wait(until=_applied(wanted), what="both are applied", rule="op.state.nothing-skipped")


def _applied(wanted: set[tuple[str, str]]) -> Condition:
    """The client has said of all of these that it applied them."""

    def met(history: History) -> bool:
        said = {(line.get("channel"), line.get("id")) for _, line in reports(history, "applied")}
        return wanted <= said

    return met


def same_id(scene: Scene) -> Steps:
    """Two channels use the same number in the same millisecond."""
    yield from enter(scene)
    fixture, entry_id = scene.fixtures[0], f"{FAR_AHEAD_MS}-7"
    yield now("send", text=_entry("scores", entry_id, {"fixtureId": fixture, "scores": {}}))
    yield now("send", text=_entry("odds", entry_id, {"fixtureId": fixture, "odds": {}}))
    wanted = {("scores", entry_id), ("odds", entry_id)}
    yield Wait(until=_applied(wanted), what="both are applied", rule="op.state.nothing-skipped")


def _cursor_is_newest(history: History) -> Iterator[Finding]:
    """Of twelve entries the twelfth is the cursor, though 9 looks greater than 12."""
    wire, rule = history.view(Wire), "op.resume.processed-last"
    if len(wire.logins) < 2:
        return
    cursor = (wire.logins[1].cursors or {}).get("scores")
    ids = [entry.entry_id for entry in wire.sent if entry.channel == "scores"][:12]
    if cursor is None or len(ids) < 12:
        return
    yield (
        kept(rule)
        if cursor == ids[11]
        else broken(rule, f"the cursor is {cursor}, {ids[11]} was the last", wire.logins[1].n)
    )


def clock_back(scene: Scene) -> Steps:
    """The server's clock steps back, so ids fall in one half and grow in the other."""
    yield from enter(scene)
    yield from feed(scene, "scores", count=2)
    yield now("clock_step", offset_ms=-30_000)
    yield from feed(scene, "scores", count=2)
    yield from agree(scene)


def unnumbered(scene: Scene) -> Steps:
    """Entries of a channel have no ids; each is as good as any."""
    yield from enter(scene)
    yield Publish("scores", count=2)
    yield from feed(scene, "fixtures")
    yield Publish("scores", count=2)
    yield from feed(scene, "fixtures")
    yield from agree(scene)
    yield now("drop")
    yield Publish("scores")
    yield from comes_back(scene)


def _none_is_known(history: History) -> Iterator[Finding]:
    """Of two entries without ids both have been applied when a later fixture has."""
    rule = "op.state.nothing-skipped"
    sent = [entry for entry in history.view(Wire).sent if entry.channel == "fixtures"]
    first = sent[0].entry_id if sent else None
    count = 0
    for said, line in reports(history, "applied"):
        count += line.get("channel") == "scores" and line.get("id") is None
        if line.get("channel") == "fixtures" and line.get("id") == first:
            if count < 2:
                yield broken(rule, f"{count} of 2 entries without an id were applied", said.n)
            else:
                yield kept(rule)
            return


def _entry(channel: str, entry_id: object, payload: object) -> str:
    return json.dumps(
        {"channel": channel, "type": "UPDATE", "ts": 1, "entryId": entry_id, "payload": payload}
    )


_NOVELTIES: Final[tuple[tuple[str, str, str], ...]] = (
    ("type", "a control frame of an unknown type", '{"type":"weather","forecast":"rain"}'),
    ("heartbeat", "a heartbeat nobody announced", '{"type":"heartbeat","ts":1}'),
    ("error", "an error after login_ok", '{"type":"error","error":"internal","message":"later"}'),
    ("dict", "a dictionary nobody asked for", '{"type":"dict","channel":"odds","dictId":7}'),
    (
        "channel",
        "an entry of a channel that was not subscribed",
        _entry("futures", "5-1", {"futureId": "x"}),
    ),
    ("stranger", "an entry of a channel nobody knows", _entry("weather", "9-9", {"x": 1})),
    ("complete", "resume_complete once more", '{"type":"resume_complete"}'),
    (
        "members",
        "a control frame with unknown members and an id",
        '{"type":"notice","entryId":"9-9","x":{}}',
    ),
)

_NONSENSE: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("cut", "half a JSON text", {"text": '{"type":'}),
    ("list", "a JSON list", {"text": "[]"}),
    ("null", "null", {"text": "null"}),
    ("string", "a JSON string", {"text": '"x"'}),
    ("empty", "an empty message", {"text": ""}),
    ("typed-list", "a list for a type", {"text": '{"type":[]}'}),
    ("nested", "a hundred thousand brackets", {"text": "[" * 100_000}),
    ("digits", "a number of five thousand digits", {"text": '{"type":' + "9" * 5000 + "}"}),
    (
        "nan",
        "a price that is no number",
        {"text": '{"channel":"odds","type":"UPDATE","ts":1,"entryId":"1-1","payload":NaN}'},
    ),
    ("bytes", "bytes that are no MessagePack", {"data_hex": "c1c1c1c1"}),
    ("utf16", "JSON in UTF-16", {"data_hex": '{"a":1}'.encode("utf-16").hex()}),
    ("id-number", "a number for an id", {"text": _entry("scores", 7, {"fixtureId": "x"})}),
    ("id-text", "a word for an id", {"text": _entry("scores", "soon", {"fixtureId": "x"})}),
    (
        "id-signs",
        "an id with signs in it",
        {"text": _entry("scores", "+1-2", {"fixtureId": "x", "scores": {}})},
    ),
    ("channels", "a number for the channels", {"text": '{"type":"login_ok","channels":7}'}),
    ("payload-list", "a list for a payload", {"text": _entry("scores", "1-1", [1, 2])}),
)

_VIOLATIONS: Final = (
    "reserved_bits",
    "reserved_opcode",
    "masked",
    "fragmented_ping",
    "orphan_continuation",
    "invalid_utf8",
)

CASES: Final[tuple[Case, ...]] = (
    *(
        made(
            f"input/unknown-{name}",
            f"Passed over: {words}",
            f"{UNKNOWN} all.process.lives op.state.equals-truth",
            _injected(kind="send", text=text),
            _left_alone(UNKNOWN),
            template="input/unknown",
            hazards="HZ-J15 HZ-B10 HZ-B4",
        )
        for name, words, text in _NOVELTIES
    ),
    *(
        made(
            f"input/nonsense-{name}",
            f"Borne: {words}",
            f"{SURVIVES} {POISON} all.process.lives op.state.equals-truth",
            _nonsense(kind="send", **fault),
            _stays,
            template="input/nonsense",
            hazards="HZ-J1 HZ-J2 HZ-J3 HZ-J4 HZ-J5 HZ-J9 HZ-A6",
        )
        for name, words, fault in _NONSENSE
    ),
    *(
        made(
            f"input/violation-{name.replace('_', '-')}",
            f"After a violation of RFC 6455 ({name.replace('_', ' ')}) the client comes back",
            "op.connect.comes-back all.process.lives op.state.equals-truth",
            _violated(name),
            template="input/violation",
            hazards="HZ-J18",
        )
        for name in _VIOLATIONS
    ),
    made(
        "input/spoilt-entry",
        "What an unreadable entry said is fetched",
        f"{DOUBTS} {POISON} op.state.equals-truth",
        spoilt_entry,
        _stays,
        hazards="HZ-H14 HZ-I7",
    ),
    made(
        "input/too-big",
        "A message of six megabytes costs a connection at most",
        f"{SURVIVES} all.process.lives op.state.equals-truth",
        too_big,
        hazards="HZ-J12 HZ-J13",
    ),
    made(
        "input/twice",
        "An entry that comes twice is applied once",
        "op.state.once op.state.equals-truth",
        twice,
        reported_only=True,
        hazards="HZ-F4",
    ),
    made(
        "input/reordered",
        "Channels are independent of each other",
        "op.state.equals-truth op.state.once",
        passes,
        reported_only=True,
        hazards="HZ-F6",
    ),
    made(
        "input/skips",
        "Skips in the numbers cost nothing",
        f"{GAPS} op.state.equals-truth",
        skips,
        _left_alone(GAPS),
        hazards="HZ-B9",
        coalesce=0.5,
    ),
    made(
        "input/lost-and-told",
        "What was lost is fetched when the gateway says so",
        "op.snapshot.when-required op.state.equals-truth",
        lost_and_told,
        hazards="HZ-B6 HZ-I7",
    ),
    made(
        "input/counts-over",
        "Numbers are compared as numbers",
        "op.connect.comes-back op.resume.processed-last op.state.nothing-skipped "
        "op.state.equals-truth",
        counts_over,
        _cursor_is_newest,
        reported_only=True,
        hazards="HZ-A5",
    ),
    made(
        "input/same-id",
        "An id is remembered together with its channel",
        "op.state.nothing-skipped",
        same_id,
        reported_only=True,
        hazards="HZ-A8",
    ),
    made(
        "input/clock-back",
        "An id whose halves disagree is no duplicate",
        "op.state.nothing-skipped op.state.equals-truth",
        clock_back,
        reported_only=True,
        hazards="HZ-A7",
    ),
    made(
        "input/unnumbered",
        "Entries without ids are all applied, and none is a cursor",
        "op.connect.comes-back op.snapshot.after-login op.state.nothing-skipped "
        "op.state.equals-truth",
        unnumbered,
        _none_is_known,
        hazards="HZ-F2 HZ-A16",
        unnumbered_channels=("scores",),
    ),
)
