"""The rules for clients of PolyNode."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from lastseen_conformance.rules.register import Keyword, Rule, Sight, register

__all__ = ["RULES"]

_must = partial(Rule, dialect="polynode", keyword=Keyword.MUST)
_should = partial(Rule, dialect="polynode", keyword=Keyword.SHOULD)
_REPORT: Final = Sight.REPORT

RULES: Final[Mapping[str, Rule]] = register(
    _must(
        id="pn.subscribe.asks",
        text="A connection begins with a subscribe, as JSON text.",
        why="Without one the server sends nothing but heartbeats.",
        source="facts §2.1",
    ),
    _must(
        id="pn.subscribe.again",
        text="After every loss the client connects and subscribes again by itself.",
        why="The server keeps nothing across connections.",
        source="facts §1, HZ-H4, HZ-H7",
    ),
    _must(
        id="pn.subscribe.waits",
        text="A subscribe that gets no answer is repeated, on this connection or another.",
        why="Nothing else would ever come.",
        source="HZ-H8",
    ),
    _should(
        id="pn.subscribe.one-at-a-time",
        text="At most one subscribe waits for its answer.",
        why="Answers carry no id, so two at a time cannot be told apart.",
        source="facts §9.7",
    ),
    _should(
        id="pn.history.reaches-back",
        text="After a loss the subscribe asks for the history since the newest event received, or "
        "for "
        "a number of events.",
        why="What happened meanwhile is only there, and only as far as it was asked for.",
        source="facts §6",
    ),
    _should(
        id="pn.history.admits-gaps",
        text="A loss that the history does not reach back over is told.",
        why="Nobody else can know that something is missing.",
        source="facts §6, HZ-G10",
        sight=_REPORT,
        untested="The shortest history reaches back thirty seconds; a case would take longer.",
    ),
    _must(
        id="pn.connect.backs-off",
        text="Connection attempts that fail in a row become slower; none comes without a pause.",
        why="A client without backoff makes hundreds of attempts a second on a server that is ill.",
        source="R12, HZ-H1, facts §8",
    ),
    _must(
        id="pn.connect.rejected-stops",
        text="A key that is refused is not tried again and again.",
        why="Nothing changes by itself.",
        source="HZ-H6, facts §5",
    ),
    _must(
        id="pn.alive.pongs",
        text="The server's pings are answered.",
        why="Ninety seconds without a pong end the connection.",
        source="facts §8, HZ-I1",
    ),
    _must(
        id="pn.alive.quiet-is-alive",
        text="A connection on which nothing is traded is not given up as long as it is alive.",
        why="Quiet hours are normal.",
        source="HZ-I4, HZ-I5",
    ),
    _must(
        id="pn.alive.notices-silence",
        text="A connection that has died without a word is noticed and replaced.",
        why="TCP may never tell.",
        source="HZ-I3, facts §8",
    ),
    _must(
        id="pn.input.survives",
        text="A frame that makes no sense costs neither the client nor the connection.",
        why="One bad frame must not stop a feed.",
        source="HZ-J1, HZ-J2, HZ-J12, facts §4",
    ),
    _must(
        id="pn.input.ignores-unknown",
        text="Events and frames of unknown types are passed over.",
        why="Types are added all the time.",
        source="HZ-J15, facts §3",
    ),
    _must(
        id="pn.item.outcome",
        text="A settlement whose confirmation has been sent, in whatever order and frame, ends "
        "confirmed.",
        why="Snapshots repeat the pending state of what has long been confirmed.",
        source="R15, HZ-G1, HZ-G2, HZ-G3, INV-S12",
        sight=_REPORT,
    ),
    _must(
        id="pn.item.once",
        text="No outcome of an item is reported twice.",
        why="Whoever books outcomes books them twice.",
        source="HZ-G13, INV-S5",
        sight=_REPORT,
    ),
    _must(
        id="pn.item.forward",
        text="An item never goes back: confirmed is final, timed out is never pending again.",
        why="History repeats itself, and is older than what is known.",
        source="R15, HZ-G6, INV-S12",
        sight=_REPORT,
    ),
    _must(
        id="pn.item.times-out",
        text="An item whose confirmation never comes is reported as timed out, not as failed.",
        why="A confirmation can be missed; the settlement may well have happened.",
        source="HZ-G10, HZ-G14, INV-L2",
        sight=_REPORT,
    ),
    _must(
        id="pn.item.late-counts",
        text="A confirmation that comes after the timeout still confirms.",
        why="It is what happened.",
        source="HZ-G5",
        sight=_REPORT,
    ),
    _must(
        id="pn.item.history-merges",
        text="An item that a history does not list stays as it was.",
        why="A history is the last events, not the state.",
        source="HZ-G18, HZ-C7",
        sight=_REPORT,
    ),
    _must(
        id="pn.bounded.items",
        text="Pending items, orphans and identities are bounded.",
        why="A peer chooses how many there are.",
        source="HZ-G9",
        untested="A black box's memory cannot be told from its runtime's.",
    ),
)
