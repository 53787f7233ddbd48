"""The mutants of PolyNode clients, each with the rules it breaks."""

from functools import partial
from typing import Final

from lastseen.mechanisms import Mechanisms
from lastseen_conformance.drivers.in_process import PolyNodeClient
from lastseen_conformance.zoo import polynode_drivers as drivers
from lastseen_conformance.zoo import polynode_mechanisms as wrong
from lastseen_conformance.zoo import sockets
from lastseen_conformance.zoo.mutant import Mutant, mutant

__all__ = ["MUTANTS"]

_mutant = partial(mutant, "polynode")
_NEVER_S: Final = 1e9

MUTANTS: Final[tuple[Mutant, ...]] = (
    _mutant(
        "greets-first",
        "Says something before it subscribes.",
        hazards="",
        fails=(
            "pn.alive.quiet-is-alive pn.input.survives pn.item.outcome "
            "pn.subscribe.again pn.subscribe.asks pn.subscribe.waits"
        ),
        client=drivers.GreetsFirst,
    ),
    _mutant(
        "asks-twice",
        "Sends each subscribe twice.",
        hazards="",
        fails="pn.subscribe.one-at-a-time",
        client=drivers.AsksTwice,
    ),
    _mutant(
        "subscribes-once",
        "Thinks that a subscription outlives its connection.",
        hazards="HZ-H7",
        fails="pn.alive.notices-silence pn.subscribe.again pn.subscribe.waits",
        client=drivers.SubscribesOnce,
    ),
    _mutant(
        "asks-for-no-history",
        "Asks for no history, also after a loss.",
        hazards="HZ-G10",
        fails="pn.history.reaches-back",
        client=drivers.NoHistory,
    ),
    _mutant(
        "history-unread",
        "Reads what comes live, and no history.",
        hazards="HZ-G1",
        fails="pn.history.reaches-back pn.item.outcome",
        client=drivers.HistoryUnread,
    ),
    _mutant(
        "updates-of-history-unread",
        "Looks for settlements in a history, and not for what became of them.",
        hazards="HZ-G1 HZ-G3",
        fails="pn.item.outcome",
        client=drivers.UpdatesUnread,
    ),
    _mutant(
        "orphans-forgotten",
        "Forgets a confirmation of what it does not know.",
        hazards="HZ-G2 HZ-G3",
        fails="pn.item.outcome",
        mechanisms=Mechanisms(lifecycle=wrong.forgets_orphans),
    ),
    _mutant(
        "never-times-out",
        "Waits for a confirmation for ever.",
        hazards="HZ-G10",
        fails="pn.item.times-out",
        timers={"pending_timeout_s": 600.0},
    ),
    _mutant(
        "late-is-lost",
        "Takes a timeout for the end.",
        hazards="HZ-G5",
        fails="pn.item.late-counts pn.item.outcome",
        mechanisms=Mechanisms(lifecycle=wrong.late_is_lost),
    ),
    _mutant(
        "no-tombstones",
        "Forgets what is over, and meets it as something new.",
        hazards="HZ-G6",
        fails="pn.item.forward pn.item.once",
        mechanisms=Mechanisms(lifecycle=wrong.no_tombstones, identities=wrong.nothing_seen),
    ),
    _mutant(
        "confirms-one-of-several",
        "Thinks that a transaction has one settlement.",
        hazards="HZ-G4",
        fails="pn.item.outcome",
        mechanisms=Mechanisms(lifecycle=wrong.first_only),
    ),
    _mutant(
        "born-pending",
        "Takes every settlement for a pending one.",
        hazards="HZ-G11",
        fails="pn.item.outcome",
        client=drivers.BornPending,
    ),
    _mutant(
        "tells-again",
        "Tells of each confirmation twice.",
        hazards="HZ-G13",
        fails="pn.item.once",
        client=drivers.TellsAgain,
    ),
    _mutant(
        "timeout-is-failure",
        "Calls an item failed when its time is up.",
        hazards="HZ-G14",
        fails="pn.item.times-out",
        client=drivers.CallsItFailed,
    ),
    _mutant(
        "history-replaces",
        "Takes a history for the state.",
        hazards="HZ-G18",
        fails="pn.item.history-merges",
        client=drivers.ForgetsOmitted,
    ),
    _mutant(
        "history-takes-back",
        "Takes the last that is said of an item for what is true of it.",
        hazards="HZ-G1 HZ-G3",
        fails="pn.item.forward pn.item.once",
        client=drivers.TellsBack,
    ),
    _mutant(
        "waits-for-the-answer",
        "Waits for an answer to its subscribe for ever.",
        hazards="HZ-H8",
        fails="pn.subscribe.waits",
        timers={"login_timeout_s": _NEVER_S},
    ),
    _mutant(
        "no-pause-between-attempts",
        "Connects again at once, always.",
        hazards="HZ-H1",
        fails="pn.connect.backs-off",
        timers={"backoff_base_s": 0.0001, "backoff_cap_s": 0.0001},
    ),
    _mutant(
        "gives-up",
        "Tries three times in a row, and then no more.",
        hazards="HZ-H4",
        fails="pn.subscribe.again",
        client=sockets.with_fault(sockets.GivesUp, PolyNodeClient),
    ),
    _mutant(
        "dies-of-close",
        "Ends when the server speaks of trouble.",
        hazards="HZ-H7",
        fails="all.process.lives",
        client=sockets.with_fault(sockets.DiesOfClose, PolyNodeClient),
    ),
    _mutant(
        "refusal-is-transient",
        "Takes a refused key for one more lost connection.",
        hazards="HZ-H6",
        fails="pn.connect.rejected-stops",
        client=sockets.with_fault(sockets.RefusalIsTransient, PolyNodeClient),
    ),
    _mutant(
        "no-pongs",
        "Never answers a ping.",
        hazards="HZ-I1",
        fails="pn.alive.pongs",
        client=sockets.with_fault(sockets.NoPongs, PolyNodeClient),
    ),
    _mutant(
        "never-pings",
        "Does not notice that a connection is dead.",
        hazards="HZ-I3",
        fails="pn.alive.notices-silence",
        timers={"ping_interval_s": _NEVER_S},
    ),
    _mutant(
        "quiet-is-dead",
        "Takes a connection without data for dead.",
        hazards="HZ-I4 HZ-I5",
        fails="pn.alive.quiet-is-alive",
        client=sockets.with_fault(sockets.CountsDataOnly, PolyNodeClient),
    ),
    _mutant(
        "dies-of-nonsense",
        "Reads frames without a guard.",
        hazards="HZ-J1 HZ-J2 HZ-J3",
        fails="all.process.lives pn.input.survives",
        client=sockets.with_fault(sockets.DiesOfNonsense, PolyNodeClient),
    ),
    _mutant(
        "leaves-on-nonsense",
        "Takes an unreadable frame for a broken connection.",
        hazards="HZ-J1",
        fails="pn.input.survives",
        client=sockets.with_fault(sockets.LeavesOnNonsense, PolyNodeClient),
    ),
    _mutant(
        "dies-of-the-unknown",
        "Ends at a frame of an unknown type.",
        hazards="HZ-J15",
        fails=(
            "all.process.lives pn.alive.quiet-is-alive pn.input.ignores-unknown pn.input.survives"
        ),
        client=sockets.with_fault(sockets.DiesOfTheUnknown, PolyNodeClient),
    ),
    _mutant(
        "leaves-on-the-unknown",
        "Reconnects at a frame of an unknown type.",
        hazards="HZ-J15",
        fails=(
            "pn.alive.quiet-is-alive pn.history.reaches-back "
            "pn.input.ignores-unknown pn.input.survives"
        ),
        client=sockets.with_fault(sockets.LeavesOnTheUnknown, PolyNodeClient),
    ),
    _mutant(
        "prints-its-key",
        "Says what it connects with, in full.",
        hazards="HZ-K3 HZ-K5",
        fails="all.secret.not-printed",
        client=sockets.with_fault(sockets.PrintsItsKey, PolyNodeClient),
    ),
)
