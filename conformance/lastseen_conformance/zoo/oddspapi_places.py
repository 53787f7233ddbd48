"""The mutants of OddsPapi clients that lose their place: epochs, cursors, ids."""

from functools import partial
from typing import Final

from lastseen.mechanisms import Mechanisms
from lastseen_conformance.zoo import oddspapi_drivers as drivers
from lastseen_conformance.zoo import oddspapi_mechanisms as wrong
from lastseen_conformance.zoo import oddspapi_readings as readings
from lastseen_conformance.zoo import oddspapi_words as words
from lastseen_conformance.zoo.mutant import Mutant, mutant
from lastseen_simulator.broken import WITHOUT

__all__ = ["MUTANTS"]

_mutant = partial(mutant, "oddspapi")
_NEVER_S: Final = 1e9

MUTANTS: Final[tuple[Mutant, ...]] = (
    _mutant(
        "epoch-kept-cursors",
        "Stores a new epoch beside the cursors of the last one.",
        hazards="HZ-A1",
        fails=("op.resume.cursor-of-epoch op.resume.no-cursor-in-doubt op.state.nothing-skipped"),
        mechanisms=WITHOUT["R1"],
    ),
    _mutant(
        "cursor-grows-in-doubt",
        "Lets a cursor grow again while the base is missing.",
        hazards="HZ-A2 HZ-B7",
        fails="op.resume.no-cursor-in-doubt",
        mechanisms=WITHOUT["R2"],
    ),
    _mutant(
        "live-ends-replay",
        "Applies what comes live during a replay at once.",
        hazards="HZ-B1 HZ-B2",
        fails="op.resume.processed-last op.status.no-base-no-claim",
        mechanisms=WITHOUT["R3"],
    ),
    _mutant(
        "cursor-ahead-of-state",
        "Makes a cursor durable that is ahead of what was processed.",
        hazards="HZ-E1",
        fails="op.resume.cursor-of-epoch op.status.demand-counts",
        mechanisms=WITHOUT["R6"],
    ),
    _mutant(
        "cursor-outlives-state",
        "Keeps its place across restarts, and its state in memory.",
        hazards="HZ-A4",
        fails="op.status.no-base-no-claim",
        mechanisms=WITHOUT["R9"],
        client=drivers.PositionOnly,
    ),
    _mutant(
        "never-gives-a-position-up",
        "Resumes from the same position for ever.",
        hazards="HZ-H5",
        fails="op.resume.gives-up-stuck",
        mechanisms=WITHOUT["R13"],
    ),
    _mutant(
        "applies-duplicates",
        "Applies whatever comes, however often.",
        hazards="HZ-F4 HZ-B8",
        fails="op.state.once",
        mechanisms=Mechanisms(dedup=wrong.AcceptsAll),
    ),
    _mutant(
        "ids-outlive-epoch",
        "Remembers ids of an epoch that is over.",
        hazards="HZ-A9",
        fails="op.state.nothing-skipped",
        mechanisms=Mechanisms(dedup=wrong.KeepsAcrossEpochs),
    ),
    _mutant(
        "ids-without-channel",
        "Remembers ids for all channels together.",
        hazards="HZ-A8",
        fails="op.state.nothing-skipped",
        client=drivers.OneForAll,
    ),
    _mutant(
        "ids-as-text",
        "Compares ids as texts.",
        hazards="HZ-A5",
        fails="op.state.nothing-skipped",
        mechanisms=Mechanisms(dedup=wrong.NumbersAsText),
    ),
    _mutant(
        "ids-by-time",
        "Takes an entry with an older time for old.",
        hazards="HZ-A7",
        fails="op.state.nothing-skipped",
        mechanisms=Mechanisms(dedup=wrong.ClockDecides),
    ),
    _mutant(
        "no-id-seen-before",
        "Takes a second entry without an id for a duplicate.",
        hazards="HZ-F2",
        fails="op.state.nothing-skipped",
        client=drivers.UnnumberedOnce,
    ),
    _mutant(
        "cursor-of-last-received",
        "Its cursors are what arrived last, processed or not.",
        hazards="HZ-A3 HZ-B2 HZ-A17",
        fails=("op.resume.cursor-of-epoch op.resume.processed-last op.status.no-base-no-claim"),
        client=words.CursorOfLastReceived,
    ),
    _mutant(
        "replay-moves-no-cursor",
        "Only what comes live moves its cursors.",
        hazards="HZ-A16",
        fails="op.resume.cursor-of-epoch op.resume.processed-last",
        client=words.IdsOfReplayUnseen,
    ),
    _mutant(
        "adopts-server-heads",
        "Takes the server's newest ids for its own place.",
        hazards="HZ-A10",
        fails=("op.resume.cursor-of-epoch op.resume.no-cursor-in-doubt op.resume.replayable-only"),
        client=words.AdoptsHeads,
    ),
    _mutant(
        "sends-every-cursor",
        "Does not look at replayChannels.",
        hazards="HZ-A13",
        fails=("op.resume.no-cursor-in-doubt op.resume.replayable-only"),
        client=words.SendsEveryCursor,
    ),
    _mutant(
        "sends-foreign-cursor",
        "Sends the cursor of a channel that it does not subscribe to.",
        hazards="HZ-A21",
        fails=("op.resume.cursor-of-epoch op.resume.replayable-only op.resume.subscribed-only"),
        client=words.SendsForeignCursor,
    ),
    _mutant(
        "epoch-alone",
        "Names the epoch although it has no cursor.",
        hazards="HZ-A18",
        fails="op.resume.epoch-and-cursors",
        client=words.EpochAlone,
    ),
    _mutant(
        "made-up-epoch",
        "Keeps cursors although login_ok named no epoch.",
        hazards="HZ-A18",
        fails="op.resume.cursor-of-epoch",
        client=words.reader("MakesUpAnEpoch", readings.makes_up_an_epoch),
    ),
    _mutant(
        "never-resumes",
        "Logs in as if for the first time.",
        hazards="HZ-A14 HZ-A15",
        fails="op.resume.sent-when-valid",
        mechanisms=Mechanisms(position=wrong.NoPlace),
    ),
    _mutant(
        "waits-for-complete",
        "Waits for resume_complete for ever.",
        hazards="HZ-B3",
        fails="op.resume.times-out",
        timers={"resume_timeout_s": _NEVER_S},
    ),
    _mutant(
        "doubt-not-kept",
        "Makes new cursors durable, and never that one has fallen.",
        hazards="HZ-C9",
        fails="op.resume.no-cursor-in-doubt",
        client=drivers.ForgetsNoDoubt,
    ),
    _mutant(
        "place-before-state",
        "Makes its place durable a commit before the state.",
        hazards="HZ-E1 HZ-E6 HZ-C10",
        fails="op.status.no-base-no-claim",
        client=drivers.PositionFirst,
    ),
)
