"""The rules for clients of OddsPapi."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from lastseen_conformance.rules.register import Keyword, Rule, Sight, register

__all__ = ["RULES"]

_must = partial(Rule, dialect="oddspapi", keyword=Keyword.MUST)
_should = partial(Rule, dialect="oddspapi", keyword=Keyword.SHOULD)
_REPORT: Final = Sight.REPORT

RULES: Final[Mapping[str, Rule]] = register(
    # Logging in.
    _must(
        id="op.login.first",
        text="The first message of a connection is a login, as JSON text.",
        why="The gateway closes a connection that says anything else, or nothing for ten seconds.",
        source="facts §1, §2.1",
    ),
    _must(
        id="op.login.once",
        text="A connection carries one client message: the login.",
        why="There is no other message; changing the subscription takes a new connection.",
        source="facts §1, INV-S15",
    ),
    _must(
        id="op.login.waits",
        text="A login that gets no answer is given up, and another connection tried.",
        why="A gateway that has accepted the socket may still be stuck; waiting for ever is an "
        "outage.",
        source="HZ-H8",
    ),
    # What a login may claim.
    _must(
        id="op.resume.epoch-and-cursors",
        text="A login carries both serverEpoch and lastSeenId, or neither.",
        why="Half a position has no defined meaning.",
        source="OP-A21, HZ-A18",
    ),
    _must(
        id="op.resume.cursor-of-epoch",
        text="Every cursor of a login was issued to this client, for that channel, in that epoch.",
        why="A cursor of another epoch names nothing, or another entry: the gateway replays from "
        "the wrong place and calls it complete.",
        source="R1, HZ-A1, HZ-A9, HZ-A10, INV-S4",
    ),
    _must(
        id="op.resume.no-cursor-in-doubt",
        text="A channel has no cursor from the moment its state is in doubt until a snapshot, "
        "asked "
        "for after that moment, has arrived.",
        why="Live entries go on arriving; a cursor taken from them hides the hole before them.",
        source="R2, HZ-A2, HZ-B7, HZ-C9, INV-S3",
    ),
    _must(
        id="op.resume.replayable-only",
        text="Cursors are sent only for channels that replayChannels of that epoch lists.",
        why="The gateway keeps nothing to replay for the others.",
        source="facts §2.1, HZ-A13",
    ),
    _must(
        id="op.resume.subscribed-only",
        text="Cursors are sent only for channels that the same login subscribes to.",
        why="A cursor of a channel that was left out describes nothing the client still keeps.",
        source="HZ-A21",
    ),
    _must(
        id="op.resume.forward-only",
        text="Within an epoch the cursor of a channel never goes back, compared as two numbers.",
        why="A cursor that goes back asks again for what was processed; one compared as text "
        "skips.",
        source="HZ-A17, HZ-A5, INV-S6",
    ),
    _must(
        id="op.resume.sent-when-valid",
        text="A login after a short loss carries the cursors of the channels that can be replayed.",
        why="Resuming is what the feed offers; whether it is possible is for the server to decide.",
        source="facts §4, HZ-A14, HZ-A15",
    ),
    _must(
        id="op.resume.processed-last",
        text="The cursor of a login is the newest entry that was processed, not an older or newer "
        "one.",
        why="Newer loses entries, older repeats them.",
        source="R6, HZ-A3, HZ-B2",
    ),
    _must(
        id="op.resume.gives-up-stuck",
        text="When logins from one position keep failing, a later login is sent without cursors.",
        why="A position the gateway cannot serve would otherwise be tried for ever.",
        source="R13, HZ-H5",
    ),
    _should(
        id="op.resume.times-out",
        text="A resume that is never completed is given up for a snapshot.",
        why="Without a verdict nobody knows whether the replay was whole.",
        source="HZ-B3, OP-A20",
    ),
    # Snapshots.
    _must(
        id="op.snapshot.after-login",
        text="Every subscribed channel that a login did not resume takes a snapshot asked for "
        "after "
        "login_ok.",
        why="A snapshot from before the login misses what happened in between; nobody repeats it.",
        source="R7, R8, HZ-A11, HZ-A12, HZ-C1, HZ-C3, OP-A1, OP-A2",
    ),
    _must(
        id="op.snapshot.when-required",
        text="snapshot_required makes the client fetch a snapshot of every channel it names, asked "
        "for after the frame.",
        why="The gateway has said that the stream no longer holds the whole truth.",
        source="R4, HZ-B5, HZ-B6, HZ-C12, facts §5",
    ),
    _must(
        id="op.snapshot.names-lenient",
        text="snapshot_required without a usable list of channels concerns all of them; names that "
        "are not subscribed are passed over.",
        why="Reading a broken list as an empty one clears nothing.",
        source="HZ-C11, OP-A19",
    ),
    _must(
        id="op.snapshot.retries",
        text="A snapshot that failed is asked for again.",
        why="Until it succeeds the channel has no base.",
        source="HZ-C13, HZ-C16, INV-S20",
    ),
    _must(
        id="op.snapshot.waits",
        text="A failed snapshot is not asked for again at once, and not before Retry-After says.",
        why="A service that is down is not helped by being asked faster.",
        source="HZ-C13, INV-S14",
    ),
    _must(
        id="op.snapshot.keeps-connection",
        text="A snapshot that fails does not end the connection.",
        why="The live stream is the half that works; reconnecting gives it up and storms the "
        "gateway.",
        source="HZ-C13, HZ-C14",
    ),
    # Connections.
    _must(
        id="op.connect.comes-back",
        text="After a loss the client connects again by itself.",
        why="A feed that needs a person to restart it is down until one comes.",
        source="HZ-H4, HZ-H7",
    ),
    _must(
        id="op.connect.backs-off",
        text="Connection attempts that fail in a row become slower; none comes without a pause.",
        why="A client without backoff makes hundreds of attempts a second on a gateway that is "
        "ill.",
        source="R12, HZ-H1, HZ-H2, HZ-D3",
    ),
    _must(
        id="op.connect.limit",
        text="There are never more sockets at once than the key allows.",
        why="One more is refused, and may cost the ones there are.",
        source="HZ-D6, HZ-H9, INV-S14",
    ),
    _must(
        id="op.connect.one-replacement",
        text="At most two connections are open at a time: the owner and its replacement.",
        why="Several parts that each reconnect multiply; thousands of sockets have been seen.",
        source="HZ-D8, HZ-D11, INV-S15",
    ),
    _must(
        id="op.connect.rejected-stops",
        text="A key that is refused is not tried again and again.",
        why="Nothing changes by itself, and keys are blocked for less.",
        source="HZ-H6",
    ),
    _must(
        id="op.connect.moves-when-told",
        text="reconnect makes the client open another connection at once, whatever the reason.",
        why="The gateway is about to go; what is published afterwards is only on the other one.",
        source="HZ-D1, HZ-D2, facts §2.2",
    ),
    _must(
        id="op.connect.lets-go",
        text="After the new connection has logged in, the old one is closed.",
        why="It counts against the limit, and some gateways forget to close it.",
        source="HZ-D10, INV-L7",
    ),
    _must(
        id="op.connect.quiet-is-alive",
        text="A connection on which nothing is published is not given up as long as it is alive.",
        why="Quiet hours are normal; reconnecting in them costs a snapshot each time.",
        source="HZ-I4",
    ),
    _must(
        id="op.connect.notices-silence",
        text="A connection that has died without a word is noticed and replaced.",
        why="TCP may never tell; the client would trade on old prices for ever.",
        source="HZ-I3, facts §7",
    ),
    # What comes in.
    _must(
        id="op.input.survives",
        text="A frame that makes no sense does not end the client.",
        why="One bad frame must not cost more than a resync.",
        source="HZ-J1, HZ-J2, HZ-J3, HZ-J5, HZ-J9, INV-S17",
    ),
    _must(
        id="op.input.doubts-unreadable",
        text="After a data frame that cannot be read, a snapshot is taken of what it may have "
        "concerned.",
        why="What it said is lost, and nobody will say it again.",
        source="R14, HZ-H14, HZ-I7, hazards O",
    ),
    _must(
        id="op.input.no-poison-loop",
        text="One frame that cannot be read does not end the connection.",
        why="Replay brings it back: the client would reconnect into it for ever.",
        source="HZ-H14, hazards O",
    ),
    _must(
        id="op.input.ignores-unknown",
        text="Frames of an unknown type, unknown members and channels that were not subscribed are "
        "passed over, without a snapshot or a new connection.",
        why="A gateway may say new things tomorrow.",
        source="HZ-J15, HZ-B10, OP-A33",
    ),
    _must(
        id="op.input.gaps-are-normal",
        text="A skip in the numbers of entries is not taken for loss.",
        why="Filters, coalescing and upstream skips make them all the time.",
        source="HZ-B9, facts §4",
    ),
    # What is made of it: seen in the report only.
    _must(
        id="op.state.equals-truth",
        text="Once everything has been said, the client's state is the gateway's.",
        why="This is what a feed is for.",
        source="INV-L1, HZ-B1, HZ-C2, HZ-C6, HZ-C7, HZ-D4, HZ-A11",
        sight=_REPORT,
    ),
    _must(
        id="op.state.once",
        text="No entry is applied twice.",
        why="Replays and redeliveries overlap with what was there; what adds up would add up "
        "twice.",
        source="INV-S5, HZ-F4, HZ-B8",
        sight=_REPORT,
    ),
    _must(
        id="op.state.nothing-skipped",
        text="Every entry that arrives is applied, unless a snapshot asked for later replaces it.",
        why="An entry dropped as a duplicate that it is not is a silent hole.",
        source="HZ-A5, HZ-A7, HZ-A8, HZ-B1, HZ-F2, INV-S21",
        sight=_REPORT,
    ),
    _must(
        id="op.state.never-back",
        text="While a channel is called synced, nothing that was applied is undone by something "
        "older.",
        why="A snapshot that was read before an entry does not have it; put on top, it loses it.",
        source="R5, HZ-C2, HZ-C6, INV-S6",
        sight=_REPORT,
    ),
    _must(
        id="op.state.one-owner",
        text="Once a new connection has logged in, nothing from the old one is applied.",
        why="The old gateway is behind; what it still says would undo what is newer.",
        source="R10, HZ-D4, INV-S7",
        sight=_REPORT,
    ),
    _must(
        id="op.status.no-base-no-claim",
        text="A channel is not called synced before a snapshot or a completed resume has given it "
        "a "
        "base.",
        why="Whoever reads the state would act on half of it.",
        source="INV-S10, R9, HZ-A4, HZ-B4, HZ-C16, HZ-A12",
        sight=_REPORT,
    ),
    _must(
        id="op.status.demand-counts",
        text="A snapshot that was asked for before snapshot_required is no base for calling the "
        "channel synced.",
        why="It may lack what the gateway has just said is missing.",
        source="R4, HZ-C3, INV-S8",
        sight=_REPORT,
    ),
    _must(
        id="op.status.falls",
        text="When the connection is lost or a snapshot required, the channels concerned stop "
        "being "
        "called synced.",
        why="The client can no longer know that its state is whole.",
        source="INV-S10, HZ-B6, HZ-C14",
        sight=_REPORT,
    ),
    _should(
        id="op.snapshot.verified",
        text="A snapshot whose age nobody knows is looked at once more after a while.",
        why="Caches and replicas lag; what they lacked may never be said again.",
        source="R11, HZ-C5",
        sight=_REPORT,
    ),
    _should(
        id="op.status.stays-honest-unproven",
        text="A base whose freshness nobody has shown is not called proven.",
        why="The vendor's snapshots do not say how old they are.",
        source="R11, HZ-C5",
        sight=_REPORT,
    ),
    # Without a case.
    _must(
        id="op.tls.verified",
        text="Over TLS the certificate and the host name are checked before the login is sent.",
        why="The key is in the login.",
        source="HZ-K1",
        untested="The gateway listens on this machine without TLS.",
    ),
    _must(
        id="op.durable.power-loss",
        text="State and position survive a power loss together or not at all.",
        why="A cursor that is durable before its state skips what the state lacks.",
        source="HZ-E1, HZ-E5, HZ-E6, INV-S2",
        untested="Killing a process does not lose what the kernel has; it takes a disk that can.",
    ),
    _must(
        id="op.bounded.memory",
        text="Buffers, maps and queues have a bound.",
        why="A peer chooses how many names and entries there are.",
        source="HZ-I6, HZ-F1, HZ-J17, INV-S13",
        untested="A black box's memory cannot be told from its runtime's.",
    ),
)
