"""The rules for clients of Polymarket US."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from lastseen_conformance.rules.register import Keyword, Rule, Sight, register

__all__ = ["RULES"]

_must = partial(Rule, dialect="polymarket-us", keyword=Keyword.MUST)
_should = partial(Rule, dialect="polymarket-us", keyword=Keyword.SHOULD)
_REPORT: Final = Sight.REPORT

RULES: Final[Mapping[str, Rule]] = register(
    # Asking for a stream.
    _must(
        id="pm.ask.request",
        text="A stream is asked for by a POST to its path, with an object in JSON as the body.",
        why="It is one answer to one request; there is nothing else to be said on it.",
        source="facts §0, §3",
    ),
    _must(
        id="pm.ask.bearer",
        text="Every request bears the key in its Authorization header, and nowhere else.",
        why="Addresses and bodies are logged on the way; that header is known to be secret.",
        source="facts §2, HZ-K3",
    ),
    _must(
        id="pm.ask.participant",
        text="A request for a stream of an account says whose in x-participant-id.",
        why="Without it, or with another's, the venue answers 403.",
        source="facts §2",
    ),
    # Connections.
    _must(
        id="pm.connect.comes-back",
        text="However a stream ends, the client asks for it again by itself.",
        why="The end of a body is how every loss looks here; nothing says it is the last.",
        source="facts §4.5, HZ-H4, HZ-H7",
    ),
    _must(
        id="pm.connect.backs-off",
        text="Requests that fail in a row become slower; none comes without a pause.",
        why="A venue that is ill is not helped by being asked faster.",
        source="R12, HZ-H1, facts §6",
    ),
    _must(
        id="pm.connect.failed-open",
        text="An answer that begins with 200 and delivers nothing is a failure like any other, and "
        "so is one that delivers and ends at once.",
        why="An error record comes inside an answer that began well; to begin anew there is to "
        "spin.",
        source="facts §7.11, §6, R12",
    ),
    _must(
        id="pm.connect.rejected-stops",
        text="A request that is refused for good is not made again and again.",
        why="Nothing changes by itself, and accounts are blocked for less.",
        source="facts §4.5, HZ-H6",
    ),
    _must(
        id="pm.connect.limit-waits",
        text="After a refusal for too much, the next request does not come at once.",
        why="It would be one more of what there is too much of already.",
        source="facts §4.5, HZ-H9",
    ),
    _should(
        id="pm.connect.retry-after",
        text="A refusal that says when to come back is believed.",
        why="The venue knows when it will have room.",
        source="facts §4.5, judgement",
    ),
    _must(
        id="pm.connect.answer-waits",
        text="A request without an answer is given up, and another one made.",
        why="Nobody knows what became of it; waiting for ever is an outage.",
        source="HZ-K9, HZ-H8",
    ),
    _must(
        id="pm.connect.one-stream",
        text="There are never more than two streams at once: one, and the one that takes over.",
        why="They all count against ten of the account, and a firm may have one stream of orders.",
        source="facts §6, HZ-D8, INV-S15",
    ),
    _must(
        id="pm.limit.messages",
        text="There are never more than twenty requests in a second.",
        why="That is the least of all revisions of the page; more are refused, for everybody.",
        source="facts §1, HZ-H10, INV-S14",
    ),
    _must(
        id="pm.alive.quiet-is-alive",
        text="A stream in which only heartbeats come is kept.",
        why="Quiet hours are normal; to reopen in them costs a snapshot each time.",
        source="facts §6, HZ-I4",
    ),
    _must(
        id="pm.alive.notices-silence",
        text="A stream in which nothing comes for the silence limit is asked for anew.",
        why="Nothing is ever said by the reader, so that nothing else tells that it is dead.",
        source="facts §6, HZ-I3",
    ),
    _should(
        id="pm.session.changed",
        text="When the session changes inside an answer, the stream is asked for anew.",
        why="The venue began anew without a word; what it kept of the old session is nobody's.",
        source="facts §5",
    ),
    # Resume tokens.
    _must(
        id="pm.token.as-given",
        text="A resume token is sent back as it was given, to the letter.",
        why="It is opaque; another spelling of it is another token.",
        source="facts §5, HZ-F8",
    ),
    _must(
        id="pm.token.sent",
        text="After a loss, a stream of events is asked for with the last token.",
        why="It has no snapshot: without the token nobody brings back what happened meanwhile.",
        source="facts §5",
    ),
    _must(
        id="pm.token.processed-last",
        text="The token of a request is the newest of what was processed, not an older one.",
        why="An older one repeats, and replays that take long may never end.",
        source="facts §5, R6, HZ-A3",
    ),
    _must(
        id="pm.token.refused-dropped",
        text="A token that was refused is not sent again; the next request has none.",
        why="It will not be known the next time either, and the stream stays down.",
        source="facts §7.4, §4.5",
    ),
    _must(
        id="pm.token.gives-up-stuck",
        text="When requests with one token keep failing, a later one is made without it.",
        why="A place that the venue cannot serve would otherwise be tried for ever.",
        source="R13, HZ-H5",
    ),
    _must(
        id="pm.token.with-state",
        text="A client that has lost its state has lost its token too.",
        why="What follows the token would be put on nothing.",
        source="R9, HZ-A4, HZ-E1",
    ),
    # Snapshots.
    _must(
        id="pm.snapshot.replaces",
        text="A snapshot replaces all that was known of its stream, and so do later ones.",
        why="What it leaves out is gone; merged into the old state it would stay for ever.",
        source="facts §5, HZ-C7",
        sight=_REPORT,
    ),
    _must(
        id="pm.snapshot.never-duplicate",
        text="The snapshot that begins an answer is applied, whatever it is called.",
        why="A name that was seen before says nothing of what was missed in between.",
        source="facts §5, §7.1, HZ-C18",
        sight=_REPORT,
    ),
    _must(
        id="pm.snapshot.before-change",
        text="A change that comes before the snapshot of its answer is not applied before it.",
        why="It would be put on nothing, or on what the snapshot is about to replace.",
        source="facts §7.3, §7.8, HZ-C22",
        sight=_REPORT,
    ),
    _must(
        id="pm.snapshot.at-once",
        text="A snapshot in pages is applied at once, when its last page has come.",
        why="Whoever reads in between would see a mixture, or orders that are all gone.",
        source="facts §7.8, HZ-C8, INV-S9",
        sight=_REPORT,
    ),
    _must(
        id="pm.snapshot.owed",
        text="A stream of orders or positions without a snapshot is asked for anew.",
        why="Nothing can be made of it, and no other message brings one.",
        source="facts §7.8, HZ-C22",
    ),
    _should(
        id="pm.snapshot.older-ignored",
        text="A snapshot that is older than the last one of the same answer replaces nothing.",
        why="Delivery is at least once; an old one that comes again takes back what came since.",
        source="facts §5, HZ-C6",
        sight=_REPORT,
    ),
    # What it makes of what comes.
    _must(
        id="pm.state.agrees",
        text="When all is quiet, the client's state is the venue's.",
        why="That is what the stream is for.",
        source="INV-L1, facts §4",
        sight=_REPORT,
    ),
    _must(
        id="pm.state.forward",
        text="What says less of an order than is known does not set it back.",
        why="A change can be told after a snapshot that has it, and told again after later ones.",
        source="facts §7.9, HZ-F5",
        sight=_REPORT,
    ),
    _must(
        id="pm.state.zeroes",
        text="What an object that is whole leaves out is zero, and not what it was.",
        why="Defaults are left out, and they mean something: closed, nothing left, flat.",
        source="facts §7.7",
        sight=_REPORT,
    ),
    _must(
        id="pm.state.no-name",
        text="What has no name is never taken for a duplicate.",
        why="Remembered as None, the first message without an id hides all that follow.",
        source="facts §7.1, HZ-F2",
        sight=_REPORT,
    ),
    _must(
        id="pm.state.whole-book",
        text="Every update of a book is the whole book.",
        why="Levels that it leaves out are gone; merged, they are offered for ever.",
        source="facts §4.2",
        sight=_REPORT,
    ),
    _should(
        id="pm.state.spellings",
        text="Both spellings of members, numbers or their text, and both names of states are read.",
        why="The pages have all of them, and nobody knows which the venue has.",
        source="facts §4, §7.5, §7.6",
        sight=_REPORT,
    ),
    _must(
        id="pm.trade.identity",
        text="A trade is known by its id and its state: a later state of it is news, the same one "
        "again is not.",
        why="By the id alone a trade that was busted would stand.",
        source="facts §5, §4.4",
        sight=_REPORT,
    ),
    _must(
        id="pm.apply.once",
        text="An execution is applied once, until a snapshot has replaced what it did.",
        why="Delivery is at least once; what is added twice is wrong.",
        source="facts §5, HZ-F4, HZ-E2",
        sight=_REPORT,
    ),
    _must(
        id="pm.apply.all",
        text="Every execution that a stream brings is applied.",
        why="Nobody brings it again.",
        source="facts §5, HZ-E3",
        sight=_REPORT,
    ),
    _must(
        id="pm.gap.told",
        text="When events may have been missed for good, the client says so.",
        why="There is no snapshot that shows it; only whoever knows can ask for the report.",
        source="facts §5, §7.4",
        sight=_REPORT,
    ),
    _must(
        id="pm.status.no-base-no-claim",
        text="No stream that begins with a snapshot is called synced before one was sent.",
        why="A heartbeat is no snapshot.",
        source="facts §7.8, INV-S1",
        sight=_REPORT,
    ),
    _must(
        id="pm.status.falls",
        text="A stream that has ended is not called synced any more.",
        why="From then on nobody knows what happens.",
        source="INV-S10",
        sight=_REPORT,
    ),
    # Bodies and records.
    _must(
        id="pm.input.survives",
        text="A record that makes no sense does not end the client.",
        why="One bad record must not cost more than a snapshot.",
        source="HZ-J1, INV-S17",
    ),
    _must(
        id="pm.input.ignores-unknown",
        text="Members and names of states that nobody knows are borne.",
        why="The venue adds them without notice.",
        source="facts §7.5, HZ-J15",
    ),
    _must(
        id="pm.input.doubts-unreadable",
        text="After a record of orders that cannot be read, a snapshot is taken anew.",
        why="It might have said anything; to go on is to miss it.",
        source="R14, HZ-J2",
    ),
    _must(
        id="pm.frame.lines",
        text="Records are lines, however the body is cut: inside one, or inside a character; CRLF "
        "and empty lines may be between them.",
        why="Chunks are made by whoever is on the way, and mean nothing.",
        source="facts §0",
        sight=_REPORT,
    ),
    _must(
        id="pm.frame.cut-is-nothing",
        text="What a body ends with inside a record is no record.",
        why="Half of what was said is not what was said.",
        source="facts §0, HZ-K2",
        sight=_REPORT,
    ),
    _should(
        id="pm.frame.connect",
        text="Bodies of application/connect+json are read as envelopes.",
        why="One of the pages says so, and nobody knows which is right.",
        source="facts §0",
        sight=_REPORT,
    ),
    _should(
        id="pm.frame.events",
        text="Bodies of text/event-stream are read as server-sent events.",
        why="One of the pages says so, and nobody knows which is right.",
        source="facts §0",
        sight=_REPORT,
    ),
    _should(
        id="pm.frame.lying-type",
        text="A body whose content type is wrong is read as what it is.",
        why="The pages contradict each other about it; the first byte does not.",
        source="facts §0",
        sight=_REPORT,
    ),
)
