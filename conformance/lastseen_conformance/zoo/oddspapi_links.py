"""The mutants of OddsPapi clients that treat connections and what comes over them wrongly."""

from functools import partial
from typing import Final

from lastseen.mechanisms import Mechanisms
from lastseen_conformance.drivers.in_process import OddsPapiClient
from lastseen_conformance.zoo import oddspapi_drivers as drivers
from lastseen_conformance.zoo import oddspapi_mechanisms as wrong
from lastseen_conformance.zoo import oddspapi_readings as readings
from lastseen_conformance.zoo import oddspapi_words as words
from lastseen_conformance.zoo import sockets
from lastseen_conformance.zoo.mutant import Mutant, mutant
from lastseen_simulator.broken import WITHOUT

__all__ = ["MUTANTS"]

_mutant = partial(mutant, "oddspapi")
_NEVER_S: Final = 1e9

MUTANTS: Final[tuple[Mutant, ...]] = (
    _mutant(
        "old-socket-counts",
        "Goes on applying what the replaced connection says.",
        hazards="HZ-D4 HZ-D10",
        fails="op.connect.lets-go op.state.nothing-skipped op.state.one-owner",
        mechanisms=WITHOUT["R10"],
        client=drivers.KeepsOldSocket,
    ),
    _mutant(
        "backoff-ends-at-login",
        "Begins its backoff anew with every login.",
        hazards="HZ-H2 HZ-D3",
        fails=("op.connect.backs-off op.connect.comes-back op.snapshot.after-login"),
        mechanisms=WITHOUT["R12"],
    ),
    _mutant(
        "says-something-first",
        "Greets before it logs in.",
        hazards="",
        fails=(
            "op.connect.comes-back op.connect.moves-when-told op.login.first "
            "op.login.once op.login.waits"
        ),
        client=words.SaysSomethingFirst,
    ),
    _mutant(
        "says-more-after-login",
        "Subscribes once more over the same connection.",
        hazards="",
        fails="op.login.once",
        client=words.SaysMore,
    ),
    _mutant(
        "binary-login",
        "Sends its login in a binary frame.",
        hazards="",
        fails=("op.connect.comes-back op.connect.moves-when-told op.login.first op.login.waits"),
        client=words.SpeaksBinary,
    ),
    _mutant(
        "no-pause-between-attempts",
        "Connects again at once, always.",
        hazards="HZ-H1",
        fails="op.connect.backs-off op.connect.comes-back",
        timers={"backoff_base_s": 0.0001, "backoff_cap_s": 0.0001},
    ),
    _mutant(
        "moves-without-pause",
        "Follows each reconnect at once, however many there are.",
        hazards="HZ-D3",
        fails="op.connect.backs-off",
        mechanisms=Mechanisms(gate=wrong.MovesWithoutPause),
    ),
    _mutant(
        "gives-up",
        "Tries three times in a row, and then no more.",
        hazards="HZ-H4",
        fails="op.connect.comes-back",
        client=sockets.with_fault(sockets.GivesUp, OddsPapiClient),
    ),
    _mutant(
        "dies-of-close",
        "Ends when a close code speaks of trouble.",
        hazards="HZ-H7 HZ-H9",
        fails="all.process.lives",
        client=sockets.with_fault(sockets.DiesOfClose, OddsPapiClient),
    ),
    _mutant(
        "refusal-is-transient",
        "Takes a refused key for one more lost connection.",
        hazards="HZ-H6",
        fails="op.connect.rejected-stops",
        client=sockets.with_fault(sockets.RefusalIsTransient, OddsPapiClient),
    ),
    _mutant(
        "waits-for-login-ok",
        "Waits for an answer to its login for ever.",
        hazards="HZ-H8",
        fails="op.login.waits",
        timers={"login_timeout_s": _NEVER_S},
    ),
    _mutant(
        "never-pings",
        "Does not notice that a connection is dead.",
        hazards="HZ-I3",
        fails="op.connect.notices-silence",
        timers={"ping_interval_s": _NEVER_S},
    ),
    _mutant(
        "quiet-is-dead",
        "Takes a connection without data for dead.",
        hazards="HZ-I4",
        fails=("op.connect.quiet-is-alive op.snapshot.keeps-connection op.state.nothing-skipped"),
        client=sockets.with_fault(sockets.CountsDataOnly, OddsPapiClient),
    ),
    _mutant(
        "no-moves",
        "Does not know reconnect.",
        hazards="HZ-D1",
        fails="op.connect.moves-when-told",
        client=words.reader("NoMoves", readings.no_moves),
    ),
    _mutant(
        "known-moves-only",
        "Follows reconnect for the known reason only.",
        hazards="HZ-D2",
        fails="op.connect.moves-when-told",
        client=words.reader("KnownMovesOnly", readings.known_moves_only),
    ),
    _mutant(
        "keeps-old-socket",
        "Leaves the closing of a replaced connection to the server.",
        hazards="HZ-D10",
        fails="op.connect.lets-go",
        client=drivers.KeepsOldSocket,
    ),
    _mutant(
        "opens-three",
        "Three of its parts each connect when a connection is needed.",
        hazards="HZ-D11 HZ-D6",
        fails=(
            "op.connect.backs-off op.connect.comes-back op.connect.limit "
            "op.connect.moves-when-told op.connect.one-replacement "
            "op.snapshot.keeps-connection"
        ),
        client=sockets.with_fault(sockets.OpensThree, OddsPapiClient),
    ),
    _mutant(
        "dies-of-nonsense",
        "Reads frames without a guard.",
        hazards="HZ-J1 HZ-J2 HZ-J3",
        fails="all.process.lives op.input.no-poison-loop",
        client=sockets.with_fault(sockets.DiesOfNonsense, OddsPapiClient),
    ),
    _mutant(
        "leaves-on-nonsense",
        "Takes an unreadable frame for a broken connection.",
        hazards="HZ-H14 HZ-J1",
        fails="op.input.no-poison-loop",
        client=sockets.with_fault(sockets.LeavesOnNonsense, OddsPapiClient),
    ),
    _mutant(
        "skips-the-unreadable",
        "Passes over what it cannot read.",
        hazards="HZ-H14 HZ-I7",
        fails="op.input.doubts-unreadable",
        client=drivers.IgnoresUnreadable,
    ),
    _mutant(
        "dies-of-the-unknown",
        "Ends at a frame of an unknown type.",
        hazards="HZ-J15",
        fails="all.process.lives op.input.ignores-unknown",
        client=sockets.with_fault(sockets.DiesOfTheUnknown, OddsPapiClient),
    ),
    _mutant(
        "leaves-on-the-unknown",
        "Reconnects at a frame of an unknown type.",
        hazards="HZ-J15",
        fails="op.input.ignores-unknown",
        client=sockets.with_fault(sockets.LeavesOnTheUnknown, OddsPapiClient),
    ),
    _mutant(
        "gap-is-loss",
        "Takes a skip in the numbers for a lost entry.",
        hazards="HZ-B9",
        fails="op.input.gaps-are-normal",
        client=drivers.GapIsLoss,
    ),
    _mutant(
        "ignores-stop",
        "Does not end when told to.",
        hazards="",
        fails="all.process.stops",
        client=sockets.with_fault(sockets.IgnoresStop, OddsPapiClient),
    ),
    _mutant(
        "prints-its-key",
        "Says what it connects with, in full.",
        hazards="HZ-K3 HZ-K4 HZ-K5",
        fails="all.secret.not-printed",
        client=sockets.with_fault(sockets.PrintsItsKey, OddsPapiClient),
    ),
)
