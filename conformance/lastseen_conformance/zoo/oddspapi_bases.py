"""The mutants of OddsPapi clients that take a wrong base, or claim one."""

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
        "answer-crosses-doubt",
        "Uses an answer that was asked for before the last doubt.",
        hazards="HZ-C3",
        fails="op.status.demand-counts",
        mechanisms=WITHOUT["R4"],
    ),
    _mutant(
        "snapshot-over-live",
        "Applies live entries first and lays the older snapshot on top.",
        hazards="HZ-C2 HZ-C6",
        fails="op.state.never-back",
        mechanisms=WITHOUT["R5"],
    ),
    _mutant(
        "fetches-before-login",
        "Fetches first and subscribes second.",
        hazards="HZ-C1",
        fails=("op.connect.comes-back op.connect.moves-when-told op.status.no-base-no-claim"),
        mechanisms=WITHOUT["R7"],
    ),
    _mutant(
        "resume-covers-all",
        "Takes a resumed login to cover every channel.",
        hazards="HZ-A11 HZ-A12",
        fails="op.snapshot.after-login op.status.no-base-no-claim",
        mechanisms=WITHOUT["R8"],
    ),
    _mutant(
        "any-age-will-do",
        "Does not look at how old a snapshot says it is.",
        hazards="HZ-C5",
        fails="op.state.equals-truth",
        mechanisms=WITHOUT["R11"],
    ),
    _mutant(
        "hold-drops-oldest",
        "Makes room among what waits by forgetting the oldest.",
        hazards="HZ-I7 HZ-B13",
        fails="op.state.nothing-skipped",
        mechanisms=Mechanisms(hold=wrong.tiny_hold),
    ),
    _mutant(
        "no-demands",
        "Does not know snapshot_required.",
        hazards="HZ-B6 HZ-B5",
        fails=(
            "op.resume.no-cursor-in-doubt op.snapshot.names-lenient "
            "op.snapshot.when-required op.state.nothing-skipped "
            "op.status.demand-counts op.status.falls "
            "op.status.no-base-no-claim"
        ),
        client=words.reader("NoDemands", readings.no_demands),
    ),
    _mutant(
        "known-reasons-only",
        "Follows snapshot_required for known reasons only.",
        hazards="HZ-C12",
        fails="op.snapshot.when-required",
        client=words.reader("KnownReasonsOnly", readings.known_reasons_only),
    ),
    _mutant(
        "a-text-is-a-list",
        "Walks through the channels of snapshot_required, even the letters of a text.",
        hazards="HZ-C11",
        fails="op.snapshot.names-lenient",
        client=words.reader("ATextIsAList", readings.a_text_is_a_list),
    ),
    _mutant(
        "every-name-or-none",
        "Takes no list of which it does not know every name.",
        hazards="HZ-C11",
        fails="op.snapshot.names-lenient",
        client=words.reader("EveryNameOrNone", readings.every_name_or_none),
    ),
    _mutant(
        "unknown-names-are-all",
        "Takes unknown names in snapshot_required for all channels.",
        hazards="HZ-C11",
        fails="op.snapshot.names-lenient",
        client=words.reader("UnknownNamesAreAll", readings.unknown_demands),
    ),
    _mutant(
        "epoch-of-login-only",
        "Does not look at the epoch of snapshot_required.",
        hazards="HZ-A19",
        fails="op.snapshot.when-required",
        client=words.reader("EpochOfLoginOnly", readings.demand_without_epoch),
    ),
    _mutant(
        "leaves-on-demand",
        "Answers snapshot_required with a new connection.",
        hazards="HZ-C20",
        fails="op.snapshot.keeps-connection op.snapshot.names-lenient",
        client=drivers.LeavesOnDemand,
    ),
    _mutant(
        "leaves-on-failed-fetch",
        "Takes a failed snapshot for a broken connection.",
        hazards="HZ-C13 HZ-C14",
        fails="op.snapshot.keeps-connection",
        client=drivers.LeavesOnFailedFetch,
    ),
    _mutant(
        "waits-for-failed-fetch",
        "Never asks again for a snapshot that failed.",
        hazards="HZ-H16 HZ-C13",
        fails=("op.snapshot.after-login op.snapshot.retries op.snapshot.when-required"),
        client=drivers.FetchesUntilTheFirstFailure,
    ),
    _mutant(
        "fetches-without-pause",
        "Asks again at once for a snapshot that failed.",
        hazards="HZ-C13 HZ-C20",
        fails="op.snapshot.waits",
        timers={"snapshot_backoff_base_s": 0.001, "snapshot_backoff_cap_s": 0.001},
    ),
    _mutant(
        "ignores-retry-after",
        "Does not read Retry-After.",
        hazards="HZ-C13",
        fails="op.snapshot.waits",
        client=drivers.IgnoresRetryAfter,
    ),
    _mutant(
        "any-answer-is-whole",
        "Takes whatever comes with 200 for the whole truth.",
        hazards="HZ-C16 HZ-K2",
        fails="op.status.no-base-no-claim",
        client=drivers.AcceptsAnyAnswer,
    ),
    _mutant(
        "one-fixture-for-all",
        "Takes the odds of one fixture for those of all.",
        hazards="HZ-C15",
        fails=(
            "op.connect.comes-back op.snapshot.after-login op.snapshot.retries "
            "op.status.no-base-no-claim"
        ),
        client=drivers.FetchesOneFixture,
    ),
    _mutant(
        "fetches-over-and-over",
        "Fetches what is demanded two dozen times over.",
        hazards="HZ-C20",
        fails="op.snapshot.waits",
        client=drivers.PollsInstead,
    ),
    _mutant(
        "merges-snapshots",
        "Lays a snapshot over what it has.",
        hazards="HZ-C7",
        fails="op.state.equals-truth",
        client=drivers.Merges,
    ),
    _mutant(
        "never-looks-again",
        "Never looks again at a base whose age it does not know.",
        hazards="HZ-C5",
        fails="op.snapshot.verified",
        timers={"verify_after_s": _NEVER_S},
    ),
    _mutant(
        "calls-it-proven",
        "Calls every base proven.",
        hazards="HZ-C5",
        fails="op.status.stays-honest-unproven",
        client=drivers.ClaimsProof,
    ),
    _mutant(
        "synced-at-login",
        "Takes a login for a base.",
        hazards="HZ-A12 HZ-C1",
        fails="op.status.demand-counts op.status.no-base-no-claim",
        client=drivers.ClaimsAtLogin,
    ),
    _mutant(
        "complete-ends-doubt",
        "Takes resume_complete for the end of all doubt.",
        hazards="HZ-B4 HZ-B5",
        fails="op.status.demand-counts op.status.no-base-no-claim",
        client=drivers.ClaimsOnComplete,
    ),
    _mutant(
        "claims-never-fall",
        "Does not say that a claim has fallen.",
        hazards="HZ-B6 HZ-C9",
        fails="op.status.falls op.status.no-base-no-claim",
        client=drivers.KeepsClaims,
    ),
)
