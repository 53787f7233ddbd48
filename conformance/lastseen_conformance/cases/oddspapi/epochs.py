"""Restarts of the gateway: another epoch, told in different ways or not at all."""

from typing import Final

from lastseen_conformance.case import Case, Scene, Script
from lastseen_conformance.cases.oddspapi.scripts import (
    accepted,
    agree,
    comes_back,
    enter,
    feed,
    made,
    settled,
)
from lastseen_conformance.history import History, Said
from lastseen_conformance.judges.oddspapi_wire import Wire
from lastseen_conformance.steps import Drop, Place, Publish, Restart, Steps, Wait, now
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]

_RULES: Final = (
    "op.connect.comes-back op.snapshot.after-login op.resume.cursor-of-epoch op.state.equals-truth"
)


def _restarted(how: str) -> Script:
    """The gateway starts again under another epoch, and something is published before the login."""

    def play(scene: Scene) -> Steps:
        yield from enter(scene)
        yield from feed(scene, "fixtures", "scores")
        if how == "silent":
            yield now("restart", how="silent")
            yield Drop()
        else:
            yield Restart(announce=how == "notice")
        yield Publish("scores", count=2)
        yield Publish("odds")
        yield from comes_back(scene)

    play.__doc__ = _restarted.__doc__
    return play


def _after_another_loss(how: str) -> Script:
    """A restart, everything synced under the new epoch, and then an ordinary loss."""

    def play(scene: Scene) -> Steps:
        yield from _restarted(how)(scene)
        yield from feed(scene, "fixtures", "scores")
        yield Drop()
        yield Publish("scores")
        yield from comes_back(scene, logins=3)

    play.__doc__ = _after_another_loss.__doc__
    return play


def flapping(scene: Scene) -> Steps:
    """Two restarts so close together that no verdict is heard in between."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Place(Fault(kind="drop", at="after login_ok", connection=2))
    yield Place(Fault(kind="restart", at="after login_ok", connection=2, how="silent"))
    yield Restart()
    yield Publish("scores")
    yield Wait(until=accepted(3), what="a third login", rule="op.connect.comes-back")
    yield from settled(scene, logins=3)
    yield from agree(scene)


def absent(scene: Scene) -> Steps:
    """No login_ok says which epoch it is."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Drop()
    yield Publish("scores")
    yield from comes_back(scene)


def same_id_again(scene: Scene) -> Steps:
    """An id that was used in the last epoch is used again in this one."""
    yield from enter(scene)
    published = yield from feed(scene, "scores")
    entry_id = published["scores"][0]
    yield Restart()
    yield Wait(until=accepted(2), what="the client logs in again", rule="op.connect.comes-back")
    yield from settled(scene, logins=2)
    payload = f'{{"fixtureId":"{scene.fixtures[0]}","scores":{{}}}}'
    stamp = entry_id.partition("-")[0]
    text = (
        f'{{"channel":"scores","type":"UPDATE","ts":{stamp},"entryId":"{entry_id}",'
        f'"payload":{payload}}}'
    )
    yield now("send", text=text)

    def applied(history: History) -> bool:
        epoch = history.view(Wire).owner
        return epoch is not None and any(
            said.line is not None
            and said.line.get("event") == "applied"
            and said.line.get("id") == entry_id
            and said.line.get("epoch") == epoch.epoch
            for said in history.of(Said)
        )

    yield Wait(
        until=applied, what="the entry of the new epoch is applied", rule="op.state.nothing-skipped"
    )


def same_numbers(scene: Scene) -> Steps:
    """The gateway counts on after a restart, so ids of both epochs look alike."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores", count=3)
    yield Restart()
    yield Publish("scores", count=2)
    yield Wait(until=accepted(2), what="the client logs in again", rule="op.connect.comes-back")
    yield from settled(scene, logins=2)
    yield from feed(scene, "scores", count=2)
    yield from agree(scene)


CASES: Final[tuple[Case, ...]] = (
    *(
        made(
            f"epoch/{how}-{verdict}",
            f"A restart ({how}) whose verdict is {verdict} leaves no cursor and no hole",
            _RULES,
            _restarted(how),
            template="epoch/restart",
            hazards="HZ-A1 HZ-A9",
            epoch_change_verdict=verdict,
        )
        for how in ("crash", "notice", "silent")
        for verdict in ("sent", "silent")
    ),
    *(
        made(
            f"epoch/{how}-then-lost",
            f"After a restart ({how}) the new epoch's cursors are sent, and no others",
            f"{_RULES} op.resume.epoch-and-cursors op.state.once",
            _after_another_loss(how),
            template="epoch/then-lost",
            hazards="HZ-A1 HZ-A17",
        )
        for how in ("crash", "notice")
    ),
    *(
        made(
            f"epoch/numbers-{rule}",
            f"The numbers of entries start anew: {rule}",
            _RULES.replace("op.resume.cursor-of-epoch ", "") + " op.state.nothing-skipped",
            same_numbers,
            template="epoch/numbers",
            hazards="HZ-A9",
            sequence_restarts=rule,
        )
        for rule in ("never", "epoch", "millisecond")
    ),
    made(
        "epoch/kept",
        "A restart that keeps its epoch is covered by replay",
        "op.connect.comes-back op.snapshot.after-login op.state.equals-truth op.state.once",
        _restarted("crash"),
        hazards="HZ-A14",
        restart_epoch="kept",
    ),
    made(
        "epoch/flapping",
        "Two restarts before any verdict",
        _RULES.replace("op.resume.cursor-of-epoch ", ""),
        flapping,
        hazards="HZ-A1 HZ-A19",
    ),
    made(
        "epoch/absent",
        "A login_ok without a resume block gives no position to keep",
        "op.connect.comes-back op.snapshot.after-login op.state.equals-truth",
        absent,
        hazards="HZ-A18",
        resume_block=False,
    ),
    made(
        "epoch/same-id-again",
        "An id is remembered together with its epoch",
        "op.state.nothing-skipped",
        same_id_again,
        reported_only=True,
        hazards="HZ-A9",
    ),
)
