"""Pieces that scripts are made of: what comes before the interesting part, and after it."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from lastseen_conformance.case import Case, Finding, Judge, Scene, Script, broken, kept
from lastseen_conformance.history import Connected, History
from lastseen_conformance.judges.oddspapi_reports import last_claim, reports
from lastseen_conformance.judges.oddspapi_wire import STATEFUL, Link, Wire
from lastseen_conformance.steps import Compare, Condition, Linger, Publish, Start, Steps, Wait
from lastseen_simulator.faults import Fault

__all__ = [
    "CHANNELS",
    "DIGEST_S",
    "accepted",
    "agree",
    "attempts",
    "comes_back",
    "digest",
    "enter",
    "feed",
    "logged_in",
    "looked_again",
    "made",
    "nothing",
    "resumes",
    "settled",
    "status_is",
    "whole",
]

CHANNELS: Final = ("fixtures", "scores", "odds")

DIGEST_S: Final = 0.3
"""What a client that does not report is given to process an entry before something happens."""


def nothing(history: History) -> Iterable[Finding]:
    """No judgement beyond what always holds and what was waited for."""
    del history
    return ()


def made(
    name: str,
    title: str,
    rules: str,
    play: Script,
    judge: Judge = nothing,
    *,
    template: str | None = None,
    channels: tuple[str, ...] = CHANNELS,
    hazards: str = "",
    reported_only: bool = False,
    restarts: bool = False,
    faults: tuple[Fault, ...] = (),
    **knobs: Any,
) -> Case:
    """A case of this dialect; rules and hazards are lists with blanks between."""
    return Case(
        id=f"oddspapi/{name}",
        template=f"oddspapi/{template or name}",
        dialect="oddspapi",
        title=title,
        rules=tuple(rules.split()),
        play=play,
        judge=judge,
        channels=channels,
        knobs=knobs,
        hazards=tuple(hazards.split()),
        reported_only=reported_only,
        restarts=restarts,
        faults=faults,
    )


def resumes(history: History) -> Iterable[Finding]:
    """op.resume.sent-when-valid: the second login has cursors."""
    later = history.view(Wire).logins[1:]
    rule = "op.resume.sent-when-valid"
    if later and later[0].resumes:
        yield kept(rule)
    elif later:
        yield broken(rule, "a login without cursors after a short loss", later[0].n)


# Conditions.


def accepted(count: int) -> Condition:
    """So many logins have been accepted."""

    def met(history: History) -> bool:
        links = history.view(Wire).links.values()
        return sum(link.accepted_n is not None for link in links) >= count

    return met


def logged_in(count: int) -> Condition:
    """So many logins have been sent."""
    return lambda history: len(history.view(Wire).logins) >= count


def attempts(count: int) -> Condition:
    """So many connections have been opened."""
    return lambda history: history.count(Connected) >= count


def whole(scene: Scene, links: Callable[[Link], bool] = lambda _: True) -> Condition:
    """The present connection has everything it needs, on the wire."""

    def met(history: History) -> bool:
        wire = history.view(Wire)
        owner = wire.owner
        return owner is not None and links(owner) and wire.settled(scene.channels, scene.fixtures)

    return met


def status_is(channels: Iterable[str], *states: str) -> Condition:
    """The client's last word on each of these channels is one of these."""
    names = tuple(channels)
    return lambda history: all(last_claim(history, name) in states for name in names)


# Pieces of scripts.


def enter(scene: Scene) -> Steps:
    """Starts the client and waits until it has everything."""
    yield Start()
    yield Wait(until=attempts(1), what="the client connects")
    yield Wait(until=accepted(1), what="the client logs in", rule="op.login.first")
    yield from settled(scene)


def settled(scene: Scene, rule: str = "op.snapshot.after-login", logins: int = 1) -> Steps:
    """Waits until the wire says that nothing is missing; a reporting client must agree."""
    ready = whole(scene)
    yield Wait(
        until=lambda history: accepted(logins)(history) and ready(history),
        what="every channel has been resumed or fetched since its last doubt",
        rule=rule,
    )
    if scene.reported:
        stateful = [name for name in scene.channels if name in STATEFUL]
        claims = status_is(stateful, "synced")
        yield Wait(until=claims, what="the client calls every channel synced")


def feed(scene: Scene, *channels: str, count: int = 1) -> Steps:
    """Publishes on channels, and lets the client process it; answered with the ids by channel."""
    published: dict[str, tuple[str, ...]] = {}
    for channel in channels:
        published[channel] = yield Publish(channel, count=count)
    yield from digest(scene, published)
    return published


def digest(scene: Scene, published: dict[str, tuple[str, ...]]) -> Steps:
    """Waits until the client says that it has applied these, or gives it time to."""
    if not scene.reported:
        yield Linger(seconds=DIGEST_S, why="the client may process what it got")
        return
    wanted = {(channel, entry) for channel, ids in published.items() for entry in ids}

    def met(history: History) -> bool:
        said = {(line.get("channel"), line.get("id")) for _, line in reports(history, "applied")}
        return wanted <= said

    yield Wait(
        until=met, what="the client says that it applied them", rule="op.state.nothing-skipped"
    )


def looked_again(scene: Scene) -> Steps:
    """Gives a client the time to look again at bases whose age it does not know.

    What it fetches after that, it fetches for another reason.
    """
    seconds = scene.timers["verify_after_s"] * 1.3
    yield Linger(seconds=seconds, why="the client may look again at what it fetched")


def comes_back(scene: Scene, logins: int = 2) -> Steps:
    """Waits until the client has logged in again, has everything, and agrees."""
    yield Wait(
        until=accepted(logins), what=f"login {logins} is accepted", rule="op.connect.comes-back"
    )
    yield from settled(scene, logins=logins)
    yield from agree(scene)


def agree(scene: Scene, rule: str = "op.state.equals-truth") -> Steps:
    """The client's state, when it reports one, has to come to be the gateway's."""
    del scene
    yield Compare(rule=rule)
