"""The mutants of Polymarket US clients, each with the rules it breaks."""

from functools import partial
from typing import Final

from lastseen.mechanisms import Mechanisms
from lastseen_conformance.drivers.in_process_streams import PolymarketUSClient
from lastseen_conformance.zoo import polymarket_us_drivers as drivers
from lastseen_conformance.zoo import polymarket_us_mechanisms as wrong
from lastseen_conformance.zoo import polymarket_us_reports as reports
from lastseen_conformance.zoo import sockets
from lastseen_conformance.zoo.mutant import Mutant, mutant

__all__ = ["MUTANTS"]

_mutant = partial(mutant, "polymarket-us")
_NEVER_S: Final = 1e9

MUTANTS: Final[tuple[Mutant, ...]] = (
    _mutant(
        "asks-in-text",
        "Calls its body a text.",
        hazards="",
        fails="pm.ask.request",
        client=drivers.AsksInText,
    ),
    _mutant(
        "key-in-body",
        "Says its key in the body as well.",
        hazards="HZ-K3",
        fails="pm.ask.bearer",
        client=drivers.KeyInBody,
    ),
    _mutant(
        "no-participant",
        "Does not say whose stream it wants.",
        hazards="",
        fails="pm.ask.participant pm.ask.request",
        client=drivers.NoParticipant,
    ),
    _mutant(
        "asks-thrice",
        "Three of its parts ask for the stream.",
        hazards="HZ-D8 HZ-D11",
        fails=(
            "pm.alive.quiet-is-alive pm.apply.all pm.connect.backs-off "
            "pm.connect.failed-open pm.connect.limit-waits pm.connect.one-stream "
            "pm.connect.rejected-stops pm.connect.retry-after pm.frame.lines "
            "pm.token.refused-dropped pm.token.sent"
        ),
        client=drivers.AsksThrice,
    ),
    _mutant(
        "end-is-the-end",
        "Takes the end of a body for the end of everything.",
        hazards="HZ-H4 HZ-H7",
        fails="pm.connect.comes-back",
        client=drivers.EndIsTheEnd,
    ),
    _mutant(
        "gives-up",
        "Tries three times in a row, and then no more.",
        hazards="HZ-H4",
        fails="pm.connect.comes-back pm.token.gives-up-stuck",
        client=sockets.with_fault(sockets.GivesUp, PolymarketUSClient),
    ),
    _mutant(
        "no-pause-between-attempts",
        "Asks again at once, always.",
        hazards="HZ-H1",
        fails="pm.connect.backs-off pm.connect.failed-open",
        timers={"backoff_base_s": 0.0001, "backoff_cap_s": 0.0001},
    ),
    _mutant(
        "open-is-good",
        "Takes every answer for a good one.",
        hazards="HZ-H1 HZ-H2",
        fails="pm.connect.backs-off pm.connect.failed-open",
        mechanisms=Mechanisms(gate=wrong.OpenIsGood),
    ),
    _mutant(
        "rejection-is-transient",
        "Takes a refusal for one more loss.",
        hazards="HZ-H6",
        fails="pm.connect.rejected-stops",
        client=drivers.RejectionIsTransient,
    ),
    _mutant(
        "limit-is-transient",
        "Takes too much for one more loss.",
        hazards="HZ-H9 HZ-H10",
        fails="pm.connect.limit-waits pm.connect.retry-after",
        client=drivers.LimitIsTransient,
    ),
    _mutant(
        "ignores-retry-after",
        "Does not look at when it may come back.",
        hazards="HZ-H9",
        fails="pm.connect.retry-after",
        client=drivers.IgnoresRetryAfter,
    ),
    _mutant(
        "waits-for-the-answer",
        "Waits for an answer for ever.",
        hazards="HZ-K9 HZ-H8",
        fails="pm.connect.answer-waits",
        timers={"connect_timeout_s": _NEVER_S},
    ),
    _mutant(
        "waits-for-the-snapshot",
        "Waits for a snapshot for ever.",
        hazards="HZ-C22",
        fails="pm.session.changed pm.snapshot.owed",
        timers={"login_timeout_s": _NEVER_S},
    ),
    _mutant(
        "never-notices",
        "Does not notice that a stream is dead.",
        hazards="HZ-I3",
        fails="pm.alive.notices-silence",
        timers={"silence_limit_s": _NEVER_S},
    ),
    _mutant(
        "quiet-is-dead",
        "Takes a stream without changes for dead.",
        hazards="HZ-I4",
        fails="pm.alive.quiet-is-alive",
        client=drivers.CountsChangesOnly,
    ),
    _mutant(
        "session-unseen",
        "Does not look at the session.",
        hazards="",
        fails="pm.session.changed",
        client=drivers.SessionUnseen,
    ),
    _mutant(
        "normalises-token",
        "Sends a token in a spelling of its own.",
        hazards="HZ-F8",
        fails=("pm.apply.all pm.token.as-given pm.token.processed-last pm.token.with-state"),
        client=drivers.NormalisesToken,
    ),
    _mutant(
        "sends-no-token",
        "Never sends a token.",
        hazards="HZ-A14",
        fails="pm.apply.all pm.token.sent",
        mechanisms=Mechanisms(tokens=wrong.NoToken),
    ),
    _mutant(
        "sends-first-token",
        "Sends the first token that it was given.",
        hazards="HZ-A17",
        fails="pm.token.processed-last",
        mechanisms=Mechanisms(tokens=wrong.FirstToken),
    ),
    _mutant(
        "never-forgets-token",
        "Keeps a token that was refused.",
        hazards="HZ-H5",
        fails="pm.state.agrees pm.token.gives-up-stuck pm.token.refused-dropped",
        mechanisms=Mechanisms(tokens=wrong.NeverForgets),
    ),
    _mutant(
        "never-gives-up-token",
        "Tries one token for ever.",
        hazards="HZ-H5",
        fails="pm.token.gives-up-stuck",
        mechanisms=Mechanisms(escalation=wrong.NeverEscalates),
    ),
    _mutant(
        "token-without-state",
        "Keeps its token and not its state.",
        hazards="HZ-A4 HZ-E1",
        fails="pm.state.agrees pm.token.with-state",
        client=reports.TokenWithoutState,
    ),
    _mutant(
        "merges-snapshots",
        "Puts a snapshot on top of what it knows.",
        hazards="HZ-C7",
        fails="pm.snapshot.replaces pm.state.agrees",
        client=reports.MergesSnapshots,
    ),
    _mutant(
        "snapshot-by-name",
        "Takes a snapshot whose name it has seen for a duplicate.",
        hazards="HZ-C18",
        fails="pm.snapshot.never-duplicate",
        client=drivers.SnapshotByName,
    ),
    _mutant(
        "applies-at-once",
        "Applies what comes before the snapshot.",
        hazards="HZ-C22",
        fails="pm.snapshot.before-change",
        client=reports.AppliesAtOnce,
    ),
    _mutant(
        "page-is-whole",
        "Takes every page for a snapshot.",
        hazards="HZ-C8 HZ-C17",
        fails=(
            "pm.snapshot.at-once pm.snapshot.older-ignored pm.snapshot.replaces "
            "pm.state.agrees pm.status.no-base-no-claim"
        ),
        mechanisms=Mechanisms(pages=wrong.PageIsWhole),
    ),
    _mutant(
        "time-unseen",
        "Does not look at when a record was sent.",
        hazards="HZ-C6",
        fails="pm.snapshot.older-ignored",
        client=drivers.TimeUnseen,
    ),
    _mutant(
        "believes-the-last",
        "Believes whatever was said last of an order.",
        hazards="HZ-F5",
        fails="pm.state.forward",
        mechanisms=Mechanisms(progress=wrong.NeverAhead),
    ),
    _mutant(
        "keeps-zeroes",
        "Keeps what it knows of what is left out.",
        hazards="",
        fails="pm.state.agrees pm.state.forward pm.state.spellings pm.state.zeroes",
        client=reports.KeepsZeroes,
    ),
    _mutant(
        "drops-unnamed",
        "Takes what has no name for a duplicate.",
        hazards="HZ-F2",
        fails="pm.state.agrees pm.state.no-name pm.state.zeroes",
        client=drivers.DropsUnnamed,
    ),
    _mutant(
        "merges-books",
        "Puts a book on top of what it knows.",
        hazards="HZ-C7",
        fails="pm.state.agrees pm.state.whole-book pm.state.zeroes",
        client=reports.MergesBooks,
    ),
    _mutant(
        "spells-one-way",
        "Knows one spelling.",
        hazards="",
        fails="pm.apply.all pm.state.spellings",
        client=drivers.SpellsOneWay,
    ),
    _mutant(
        "by-first-name",
        "Knows a trade by its id alone.",
        hazards="HZ-F5",
        fails="pm.trade.identity",
        mechanisms=Mechanisms(identities=wrong.by_first_name),
    ),
    _mutant(
        "nothing-seen",
        "Remembers nothing that it was told.",
        hazards="HZ-F4 HZ-E2",
        fails="pm.apply.once pm.trade.identity",
        mechanisms=Mechanisms(identities=wrong.nothing_seen),
    ),
    _mutant(
        "tells-twice",
        "Applies each execution twice.",
        hazards="HZ-F4 HZ-E2",
        fails="pm.apply.once",
        client=reports.TellsTwice,
    ),
    _mutant(
        "reads-one-of-batch",
        "Looks at the first execution of a record.",
        hazards="",
        fails="pm.apply.all",
        client=drivers.ReadsOneOfBatch,
    ),
    _mutant(
        "beginning-unread",
        "Thinks that there was nothing before.",
        hazards="",
        fails=(
            "pm.apply.all pm.frame.lines pm.frame.lying-type pm.snapshot.at-once "
            "pm.snapshot.before-change pm.snapshot.older-ignored "
            "pm.snapshot.replaces pm.state.agrees pm.state.spellings"
        ),
        client=drivers.BeginningUnread,
    ),
    _mutant(
        "past-unread",
        "Does not read a snapshot of events.",
        hazards="",
        fails="pm.apply.all pm.state.agrees",
        client=drivers.PastUnread,
    ),
    _mutant(
        "gap-untold",
        "Keeps to itself that something may be missing.",
        hazards="",
        fails="pm.gap.told",
        client=reports.GapUntold,
    ),
    _mutant(
        "claims-at-once",
        "Calls a stream synced when it is granted.",
        hazards="",
        fails="pm.status.no-base-no-claim",
        client=reports.ClaimsAtOnce,
    ),
    _mutant(
        "never-falls",
        "Once synced, always synced.",
        hazards="",
        fails="pm.status.falls",
        client=reports.NeverFalls,
    ),
    _mutant(
        "dies-of-nonsense",
        "Reads records without a guard.",
        hazards="HZ-J1 HZ-J2 HZ-J3",
        fails="all.process.lives pm.input.survives",
        client=drivers.DiesOfNonsense,
    ),
    _mutant(
        "passes-over",
        "Goes on after what it cannot read.",
        hazards="HZ-J2",
        fails="pm.input.doubts-unreadable",
        client=drivers.PassesOver,
    ),
    _mutant(
        "leaves-on-novelty",
        "Reconnects at a member that it does not know.",
        hazards="HZ-J15",
        fails="pm.apply.all pm.input.ignores-unknown pm.state.agrees",
        client=drivers.LeavesOnNovelty,
    ),
    _mutant(
        "names-only",
        "Passes over what has a number for a state.",
        hazards="HZ-J15",
        fails="pm.apply.all",
        client=drivers.NamesOnly,
    ),
    _mutant(
        "chunk-is-record",
        "Takes each piece of a body for a record.",
        hazards="",
        fails="pm.frame.lines",
        client=drivers.ChunkIsRecord,
    ),
    _mutant(
        "lines-only",
        "Reads lines, whatever a body is.",
        hazards="",
        fails="pm.frame.connect pm.frame.events pm.frame.lying-type",
        client=drivers.LinesOnly,
    ),
    _mutant(
        "believes-the-type",
        "Reads a body as what it is called.",
        hazards="",
        fails="pm.frame.lying-type",
        client=drivers.BelievesTheType,
    ),
    _mutant(
        "applies-parts",
        "Makes what it can of half a record.",
        hazards="HZ-K2",
        fails="pm.apply.once pm.frame.cut-is-nothing",
        client=reports.AppliesParts,
    ),
    _mutant(
        "prints-its-key",
        "Says what it connects with, in full.",
        hazards="HZ-K3 HZ-K5",
        fails="all.secret.not-printed",
        client=sockets.with_fault(sockets.PrintsItsKey, PolymarketUSClient),
    ),
)
