"""Replays that mix with live entries, come in pieces, or never end."""

from collections.abc import Iterator
from typing import Final

from lastseen_conformance.case import Case, Finding, Scene, broken, kept
from lastseen_conformance.cases.oddspapi.scripts import (
    accepted,
    agree,
    comes_back,
    enter,
    feed,
    made,
    settled,
)
from lastseen_conformance.history import History
from lastseen_conformance.judges.oddspapi_wire import Wire, order_of
from lastseen_conformance.steps import Drop, Linger, Place, Publish, Steps, Wait, now
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

GAP_S: Final = 0.05
MISSED: Final = 4

_RULES: Final = (
    "op.connect.comes-back op.resume.sent-when-valid op.state.equals-truth op.state.once"
)


def _resumed(history: History) -> bool:
    return any(login.resumes for login in history.view(Wire).logins[1:])


def _away(scene: Scene, *channels: str) -> Steps:
    """A short loss during which entries are published, up to the client's next login."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield now("refuse", seconds=0.2)
    yield Drop()
    for channel in channels:
        yield Publish(channel, count=MISSED)
    yield Wait(until=accepted(2), what="the client logs in again", rule="op.connect.comes-back")
    yield Wait(until=_resumed, what="a login with cursors", rule="op.resume.sent-when-valid")


def live_between(scene: Scene) -> Steps:
    """While a replay comes in pieces, live entries come in between."""
    yield from _away(scene, "scores")
    for _ in range(3):
        yield Publish("scores")
        yield Linger(seconds=GAP_S / 2, why="the replay goes on")
    yield from settled(scene, logins=2)
    yield from agree(scene)


def lost_between(scene: Scene) -> Steps:
    """A live entry has come before the replay was whole, and the connection drops."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Place(Fault(kind="drop", at="after live 1", connection=2))
    yield now("refuse", seconds=0.2)
    yield Drop()
    yield Publish("scores", count=MISSED)
    yield Wait(until=accepted(2), what="the client logs in again", rule="op.connect.comes-back")
    yield Publish("scores")
    yield from comes_back(scene, logins=3)


def _not_past_the_replay(history: History) -> Iterator[Finding]:
    """What comes live before the replay is whole moves no cursor past what was not replayed."""
    wire = history.view(Wire)
    rule = "op.resume.processed-last"
    if len(wire.logins) < 3:
        return
    login = wire.logins[2]
    second = wire.logins[1].connection
    done = wire.links[second].completed_n is not None
    cursor = (login.cursors or {}).get("scores")
    order = order_of(cursor) if isinstance(cursor, str) else None
    got = [entry for entry in wire.sent if entry.connection == second]
    missed = [
        entry
        for entry in wire.sent
        if entry.connection == login.connection and entry.channel == "scores"
    ]
    known = {entry.entry_id for entry in wire.sent if entry.n < login.n}
    held_back = [
        entry.entry_id for entry in missed if entry.entry_id not in known and entry.entry_id
    ]
    if order is None or done or not got:
        yield kept(rule)
        return
    truth = [record for record in history.truth if record["kind"] == "entry"]
    skipped = [
        record["entryId"]
        for record in truth
        if record["channel"] == "scores"
        and record["entryId"] not in known
        and (order_of(record["entryId"]) or (0, 0)) < order
        and record["epoch"] == login.epoch
    ]
    if skipped and skipped[0] not in held_back:
        text = f"the cursor {cursor} is past {skipped[0]}, which never arrived"
        yield broken(rule, text, login.n)
    else:
        yield kept(rule)


def plain(scene: Scene) -> Steps:
    """A replay of several entries on both channels."""
    yield from _away(scene, "scores", "fixtures")
    yield from settled(scene, logins=2)
    yield from agree(scene)


def empty(scene: Scene) -> Steps:
    """A resume to which there is nothing to replay."""
    yield from _away(scene)
    yield from settled(scene, logins=2)
    yield from feed(scene, "scores")
    yield from agree(scene)


def endless(scene: Scene) -> Steps:
    """The resume is never completed, and nothing else is said of it."""
    yield from _away(scene, "scores")

    def given_up(history: History) -> bool:
        wire = history.view(Wire)
        since = wire.links[2].accepted_n or 0
        fetched = any(query.good for query in wire.asked_after(since, "scores"))
        return fetched or any(not login.resumes for login in wire.logins[2:])

    yield Wait(
        until=given_up, what="the resume is given up", rule="op.resume.times-out", patience_s=20.0
    )
    yield from agree(scene)


def second_loss(scene: Scene) -> Steps:
    """Two losses in a row; what the first replay brought is not asked for again."""
    yield from _away(scene, "scores")
    yield from settled(scene, logins=2)
    yield Drop()
    yield Publish("scores")
    yield from comes_back(scene, logins=3)


def _newest_cursor(history: History) -> Iterator[Finding]:
    """The cursor of each login is the newest entry that the client says it has applied."""
    wire, rule = history.view(Wire), "op.resume.processed-last"
    if not history.reported:
        return
    for login in wire.logins[1:]:
        applied: dict[str, tuple[int, int]] = {}
        for said in history.moments[: login.n]:
            line = getattr(said, "line", None)
            if line is None or line.get("event") != "applied" or line.get("epoch") != login.epoch:
                continue
            order = order_of(str(line.get("id")))
            name = str(line.get("channel"))
            if order is not None:
                applied[name] = max(order, applied.get(name, order))
        for channel, cursor in (login.cursors or {}).items():
            order = order_of(str(cursor))
            if order is None or channel not in applied:
                continue
            if order < applied[channel]:
                text = f"{channel}: the login has {cursor}, {applied[channel]} was applied"
                yield broken(rule, text, login.n)
            else:
                yield kept(rule)


CASES: Final[tuple[Case, ...]] = (
    *(
        made(
            f"replay/plain-{order.replace('_', '-')}-{mix.replace('_', '-')}",
            f"A replay of two channels, {order.replace('_', ' ')}, {mix.replace('_', ' ')}",
            _RULES,
            plain,
            template="replay/plain",
            hazards="HZ-B1",
            replay_order=order,
            replay_channel_order=mix,
            replay_gap_s=GAP_S,
        )
        for order in ("before_live", "interleaved")
        for mix in ("channel_by_channel", "by_time")
    ),
    made(
        "replay/live-between",
        "Live entries between replayed ones hide none of them",
        _RULES,
        live_between,
        hazards="HZ-B1",
        replay_order="interleaved",
        replay_gap_s=GAP_S,
    ),
    made(
        "replay/lost-between",
        "A loss in the middle of a replay skips nothing, whatever came live before",
        "op.connect.comes-back op.resume.processed-last op.state.equals-truth op.state.once",
        lost_between,
        _not_past_the_replay,
        hazards="HZ-B2",
        replay_order="interleaved",
        replay_gap_s=0.3,
    ),
    made(
        "replay/inclusive",
        "A replay that begins with the entry of the cursor applies it once",
        _RULES,
        plain,
        hazards="HZ-B8",
        inclusive_replay=True,
    ),
    made("replay/empty", "A replay of nothing", _RULES, empty, hazards="HZ-B4"),
    made(
        "replay/second-loss",
        "A replayed entry moves the cursor",
        f"{_RULES} op.resume.forward-only op.resume.processed-last",
        second_loss,
        _newest_cursor,
        hazards="HZ-A16 HZ-A17",
        reported_only=True,
    ),
    made(
        "replay/never-complete",
        "A resume that is never completed ends in a snapshot",
        "op.resume.times-out op.state.equals-truth",
        endless,
        channels=("fixtures", "scores"),
        hazards="HZ-B3",
        resume_complete="never",
    ),
    made(
        "replay/late-complete",
        "A resume that is completed late is waited for",
        "op.connect.comes-back op.resume.sent-when-valid op.state.equals-truth",
        plain,
        hazards="HZ-B3",
        resume_complete="late",
        resume_complete_delay_s=0.5,
    ),
)
