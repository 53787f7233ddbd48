"""Resume tokens: what a request may and must carry, as scripts and as a matrix."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs

from lastseen_conformance.case import Case, Finding, Judge, Scene, Script, broken, kept
from lastseen_conformance.cases.polymarket_us.scripts import (
    NAMED,
    again,
    agree,
    asked,
    change,
    digest,
    enter,
    happens,
    made,
    nothing,
    path,
    seen,
)
from lastseen_conformance.history import History
from lastseen_conformance.judges.polymarket_us import said, survives
from lastseen_conformance.judges.polymarket_us_wire import PmWire
from lastseen_conformance.steps import Drop, Linger, Place, Restart, Steps, Wait, now
from lastseen_simulator.faults import Fault

__all__ = ["CASES", "MATRIX", "Row"]

SENT: Final = "pm.token.sent"
LAST: Final = "pm.token.processed-last"
REFUSED: Final = "pm.token.refused-dropped"
GAP: Final = "pm.gap.told"
STUCK_PATIENCE_S: Final = 60.0
EVENTS: Final = ("drop_copy", "trade_capture", "position_changes")
"""The streams that have tokens and no snapshot."""


@attrs.frozen(kw_only=True)
class Row:
    """One way in which a venue takes a request that follows a loss.

    `known` says whether it knows the token, `fault` what makes it so for the second request.
    """

    slug: str
    title: str
    streams: tuple[str, ...]
    known: bool
    knobs: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    fault: Callable[[str], Fault] | None = None
    restart: bool = False
    meanwhile: tuple[int, ...] = (0, 1)
    """How many changes there are between the loss and the request."""


def _refusal(stream: str) -> Fault:
    return Fault(kind="refuse_token", at=f"on request {path(stream)} 2")


MATRIX: Final[tuple[Row, ...]] = (
    Row(slug="goes-on", title="goes on behind it", streams=EVENTS, known=True),
    Row(
        slug="repeats",
        title="begins with the change that it names",
        streams=EVENTS,
        known=True,
        knobs={"resume_inclusive": True},
    ),
    Row(
        slug="batches",
        title="goes on with several changes in one record",
        streams=("drop_copy", "trade_capture"),
        known=True,
        knobs={"replay_batch": 3},
        meanwhile=(4,),
    ),
    Row(
        slug="snapshot-too",
        title="begins with a snapshot all the same",
        streams=("orders",),
        known=True,
        knobs={"resume_snapshot": True},
        meanwhile=(0, 2),
    ),
    Row(
        slug="only-snapshots",
        title="has no tokens, and begins with a snapshot",
        streams=("orders",),
        known=True,
        knobs={"order_tokens": False},
        meanwhile=(0, 2),
    ),
    Row(
        slug="refuses",
        title="refuses it with 400",
        streams=("drop_copy", "trade_capture"),
        known=False,
        knobs={"refused_token": "status"},
        fault=_refusal,
        meanwhile=(1,),
    ),
    Row(
        slug="refuses-inside",
        title="refuses it inside an answer that began well",
        streams=("drop_copy", "trade_capture"),
        known=False,
        fault=_refusal,
        meanwhile=(1,),
    ),
    Row(
        slug="expired",
        title="says that it has expired",
        streams=("orders", "drop_copy"),
        known=False,
        knobs={"resume_lives_s": 0.001},
        meanwhile=(1,),
    ),
    Row(
        slug="overrun",
        title="has kept less than what happened since",
        streams=("orders", "drop_copy"),
        known=False,
        knobs={"journal": 2},
        meanwhile=(4,),
    ),
    Row(
        slug="restarted",
        title="has restarted and knows none any more",
        streams=("orders", "drop_copy"),
        known=False,
        restart=True,
        meanwhile=(1,),
    ),
    Row(
        slug="restarted-knows",
        title="has restarted and knows it still",
        streams=("orders", "drop_copy"),
        known=True,
        knobs={"restart_forgets": False},
        restart=True,
        meanwhile=(1,),
    ),
)
"""What a venue may make of a token; a case for each of `streams` and each of `meanwhile`."""


def _lost(row: Row, stream: str, changes: int) -> Script:
    """A stream is lost, things happen, and it is asked for again with a token."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from happens(scene, stream, 1)
        yield from happens(scene, stream, 2)
        yield from digest(scene)
        if row.fault is not None:
            yield Place(row.fault(stream))
        yield Restart() if row.restart else Drop()
        missed: list[str] = []
        for number in range(changes):
            missed += yield change(stream, 3 + number)
        yield from _back(row, scene, stream)
        yield Linger(seconds=0.2, why="the stream may go on")
        if row.known and stream in NAMED:
            for name in missed:
                yield from _brought(scene, stream, name)
        yield from happens(scene, stream, 9)
        if row.known or stream == "orders":
            yield from agree(scene)

    play.__doc__ = _lost.__doc__
    return play


def _back(row: Row, scene: Scene, stream: str) -> Steps:
    """The client has a stream again that was not refused; told of a gap when it may have one."""
    yield Wait(
        until=asked(2), what="the client asks for the stream again", rule="pm.connect.comes-back"
    )
    if row.known:
        yield from again()
        return
    yield Wait(
        until=lambda history: _open_without_token(history),
        what="the client asks for the stream without a token",
        rule=REFUSED,
    )
    if scene.reported and stream in EVENTS:
        yield Wait(
            until=lambda history: any(True for _ in said(history, "gap")),
            what="the client says that it may have missed something",
            rule=GAP,
        )


def _brought(scene: Scene, stream: str, name: str) -> Steps:
    """A missed change came with what followed the token, or in a snapshot."""
    if stream == "orders":
        return
    yield from seen(scene, name.split("/")[0])


def _open_without_token(history: History) -> bool:
    owner = history.view(PmWire).owner
    return owner is not None and owner.n > 1 and owner.is_open and owner.token is None


def _carries(history: History) -> Iterator[Finding]:
    """pm.token.sent and pm.token.processed-last, of the second request."""
    wire = history.view(PmWire)
    if len(wire.asks) < 2:
        return
    second = wire.asks[1]
    newest = wire.newest_token(second.n)
    if second.token is None:
        yield broken(SENT, "it asked without a token", second.n)
        return
    yield kept(SENT)
    if newest is not None and wire.tokens.get(second.token) == wire.tokens[newest]:
        yield kept(LAST)
    else:
        yield broken(LAST, "its token was not the newest", second.n)


def _drops(history: History) -> Iterator[Finding]:
    """pm.token.refused-dropped: what was refused once is never sent again."""
    wire = history.view(PmWire)
    refused: set[str] = set()
    for link in wire.asks:
        if link.token in refused:
            yield broken(REFUSED, "a token that was refused is sent again", link.n)
            return
        errors = any(record.kind == "error" for record in link.records)
        if link.token is not None and (link.status == 400 or errors):
            refused.add(link.token)
    yield kept(REFUSED)


def _all_of(*judges: Judge) -> Judge:
    """What several judges find."""
    if not judges:
        return nothing

    def judge(history: History) -> Iterator[Finding]:
        for each in judges:
            yield from each(history)

    return judge


def _matrix() -> Iterator[Case]:
    for row in MATRIX:
        for stream in row.streams:
            for changes in row.meanwhile:
                events = stream in EVENTS
                judges: list[Judge] = [_carries] if events else []
                judges += [] if row.known else [_drops]
                rules = ["pm.connect.comes-back"]
                rules += [SENT, LAST, "pm.token.as-given"] if events else []
                rules += [] if row.known else [REFUSED]
                rules += [GAP] if events and not row.known else []
                rules += ["pm.state.agrees"] if stream != "drop_copy" and row.known else []
                few = "" if len(row.meanwhile) == 1 else f"-{changes}"
                yield made(
                    f"resume/{row.slug}-{stream.replace('_', '-')}{few}",
                    f"{stream}: a venue that is asked with a token {row.title}; {changes} changes",
                    " ".join(rules),
                    _lost(row, stream, changes),
                    _all_of(*judges),
                    stream=stream,
                    template=f"resume/{row.slug}",
                    hazards="HZ-F8 HZ-C18" if row.known else "HZ-H5 HZ-F8",
                    **row.knobs,
                )


def echoed(scene: Scene) -> Steps:
    """Tokens are four thousand bytes long, and the stream is lost twice."""
    yield from enter(scene)
    yield from happens(scene, "drop_copy", 1)
    yield from digest(scene)
    yield Drop()
    yield from again()
    yield from happens(scene, "drop_copy", 2)
    yield from digest(scene)
    yield Drop()
    yield from again(3)
    yield from happens(scene, "drop_copy", 3)


def lost_twice(scene: Scene) -> Steps:
    """The stream is lost, and lost again before it told anything."""
    yield from enter(scene)
    yield from happens(scene, "drop_copy", 1)
    yield from digest(scene)
    yield Place(Fault(kind="drop", at="on open", connection=2))
    yield Drop()
    (name,) = yield change("drop_copy", 2)
    yield from again(3)
    yield from seen(scene, name)


def stuck(scene: Scene) -> Steps:
    """Whoever resumes is dropped before the first change comes."""
    yield from enter(scene)
    yield from happens(scene, "drop_copy", 1)
    yield from digest(scene)
    yield Place(Fault(kind="drop", at="before replayed 1", times=0))
    yield Drop()
    yield change("drop_copy", 2)
    yield Wait(
        until=_open_without_token,
        what="the client asks for the stream without a token",
        rule="pm.token.gives-up-stuck",
        patience_s=STUCK_PATIENCE_S,
    )
    yield from happens(scene, "drop_copy", 3)


def refused_away(scene: Scene) -> Steps:
    """The venue refuses to answer for a while; the token is not to blame."""
    yield from enter(scene)
    yield from happens(scene, "drop_copy", 1)
    yield from digest(scene)
    yield Place(Fault(kind="status", at=f"on request {path('drop_copy')} 2", status=503, times=4))
    yield Drop()
    (name,) = yield change("drop_copy", 2)
    yield from again()
    yield from seen(scene, name)


def spoilt(scene: Scene) -> Steps:
    """A record of orders cannot be read; its stream then ends. No token may pass over it."""
    yield from enter(scene)
    yield from happens(scene, "orders", 1)
    yield now("send", text='{"result":{"update":{"executions":[{"id":')
    yield change("orders", 2)
    yield Wait(
        until=asked(2),
        what="the client asks for the stream anew",
        rule="pm.input.doubts-unreadable",
    )
    yield from again()
    yield from happens(scene, "orders", 3)
    yield from agree(scene)


CASES: Final[tuple[Case, ...]] = (
    *_matrix(),
    made(
        "token/long",
        "A token of thousands of bytes is sent back to the letter",
        f"{SENT} {LAST} pm.token.as-given",
        echoed,
        _carries,
        stream="drop_copy",
        hazards="HZ-F8",
        token_bytes=4096,
    ),
    made(
        "token/lost-twice",
        "A token outlives a stream that told nothing",
        f"{SENT} {LAST} pm.apply.all",
        lost_twice,
        _carries,
        stream="drop_copy",
        hazards="HZ-A14",
    ),
    made(
        "token/stuck",
        "A token that leads nowhere is given up",
        "pm.token.gives-up-stuck",
        stuck,
        stream="drop_copy",
        hazards="HZ-H5",
    ),
    made(
        "token/venue-away",
        "A venue that is ill does not cost the token",
        f"{SENT} {LAST} pm.apply.all",
        refused_away,
        _carries,
        stream="drop_copy",
        hazards="HZ-H5",
    ),
    made(
        "token/unreadable",
        "A record of orders that cannot be read costs a snapshot",
        "pm.input.doubts-unreadable pm.input.survives pm.state.agrees",
        spoilt,
        survives,
        hazards="HZ-J2",
    ),
)
