"""What a client makes of a loss: resumed, refused, or met with silence."""

from typing import Final

from lastseen_conformance.case import Case, Scene
from lastseen_conformance.cases.oddspapi.scripts import (
    accepted,
    agree,
    enter,
    feed,
    made,
    settled,
)
from lastseen_conformance.history import History
from lastseen_conformance.judges.oddspapi_wire import Wire
from lastseen_conformance.steps import Drop, Place, Publish, Restart, Steps, Wait, now
from lastseen_simulator.faults import Fault

__all__ = ["CASES"]


def cold(scene: Scene) -> Steps:
    """The first login of all."""
    yield from enter(scene)
    yield from agree(scene)


def replayed(scene: Scene) -> Steps:
    """A short loss, and entries meanwhile."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores", "odds")
    yield now("refuse", seconds=0.3)
    yield Drop()
    yield Publish("scores", count=2)
    yield Publish("odds")

    def resumed(history: History) -> bool:
        return any(login.resumes for login in history.view(Wire).logins[1:])

    yield Wait(until=accepted(2), what="the client logs in again", rule="op.connect.comes-back")
    yield Wait(until=resumed, what="a login with cursors", rule="op.resume.sent-when-valid")
    yield from settled(scene, logins=2)
    yield from agree(scene)


def epoch_changed_before_verdict(scene: Scene) -> Steps:
    """The new epoch is named, and the connection drops before the cursors are refused."""
    yield from enter(scene)
    yield from feed(scene, "fixtures", "scores")
    yield Place(Fault(kind="drop", at="after login_ok", connection=2))
    yield Restart()
    yield Publish("scores")
    yield Wait(until=accepted(3), what="a third login", rule="op.connect.comes-back")
    yield from settled(scene, logins=3)
    yield from agree(scene)


CASES: Final[tuple[Case, ...]] = (
    made(
        "login/cold",
        "A first login fetches what no stream has sent",
        "op.login.first op.login.once op.snapshot.after-login op.status.no-base-no-claim "
        "op.state.equals-truth",
        cold,
        hazards="HZ-C1",
    ),
    made(
        "resume/replayed-after-drop",
        "Entries published during a short loss are replayed",
        "op.connect.comes-back op.resume.sent-when-valid op.resume.epoch-and-cursors "
        "op.resume.cursor-of-epoch op.resume.replayable-only op.resume.subscribed-only "
        "op.snapshot.after-login "
        "op.state.once op.state.equals-truth",
        replayed,
        hazards="HZ-A11",
    ),
    made(
        "resume/epoch-changed-before-verdict",
        "A new epoch empties every cursor before it is used, also when nobody says so",
        "op.resume.cursor-of-epoch op.snapshot.after-login op.state.equals-truth",
        epoch_changed_before_verdict,
        hazards="HZ-A1",
    ),
)
