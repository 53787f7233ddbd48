"""Runs the demo: gateway and client in one go, scene by scene, with a verdict after each."""

import random
from collections.abc import Callable
from typing import Any, final

import attrs
import trio

from lastseen import (
    Counters,
    Disconnected,
    Entry,
    Event,
    LoggedIn,
    OddsPapi,
    PayloadError,
    Replica,
    ScopeState,
    Secret,
    SessionOptions,
    Subscription,
)
from lastseen_simulator.faults import Receipt
from lastseen_simulator.gateway.options import DEMO_KEY, GatewayOptions
from lastseen_simulator.scenes import ACTS, Act, Scene, fault_of
from lastseen_simulator.server import GatewayServer, open_gateway
from lastseen_simulator.verdict import ChannelVerdict, compare
from lastseen_trio import Feed, open_feed

__all__ = ["ActReport", "DemoReport", "FaultReport", "SceneReport", "run_demo"]

_CHANNELS = ("fixtures", "scores", "odds", "bookmakers")
_SPORTS = (10, 11, 12)
_FIXTURES = 4
_RATE = 60.0
_SAMPLE_S = 0.1

_ARRIVAL_S = 0.3
_PATIENCE_S = 15.0

_OPTIONS = SessionOptions(
    # A demo has a minute; the shapes are the same as with the defaults.
    backoff_base_s=0.2,
    backoff_cap_s=2.0,
    stable_after_s=0.5,
    handover_jitter_s=0.2,
    resume_timeout_s=4.0,
    snapshot_timeout_s=5.0,
    snapshot_backoff_base_s=0.2,
    snapshot_backoff_cap_s=2.0,
    snapshot_settled_s=0.2,
    verify_after_s=2.0,
    close_timeout_s=2.0,
)

Tell = Callable[[dict[str, Any]], None]
"""Told what happens, as a dict with an `event` member."""


@attrs.frozen(kw_only=True)
class FaultReport:
    """One fault of a scene: what it was, and how often it fired."""

    kind: str
    at: str
    wanted: int
    receipt: Receipt | None
    """None when its turn never came."""

    @property
    def fired(self) -> int:
        """How often it took effect."""
        return self.receipt.fired if self.receipt is not None else 0


@attrs.frozen(kw_only=True)
class SceneReport:
    """What a scene came to."""

    scene: Scene
    faults: tuple[FaultReport, ...]
    verdicts: tuple[ChannelVerdict, ...]
    took_s: float
    claimed: bool
    """Whether the client called every channel synced in the end."""
    logins: tuple[tuple[str, ...], ...]
    """The channels that each login of this scene resumed."""

    @property
    def fired(self) -> bool:
        """Whether every fault took effect as often as it should."""
        return all(fault.fired >= fault.wanted for fault in self.faults)

    @property
    def passed(self) -> bool:
        """Whether there is no trouble."""
        return self.trouble is None

    @property
    def trouble(self) -> str | None:
        """What is wrong, the cause before its effects; None when the scene did what it tells."""
        for fault in self.faults:
            if fault.fired < fault.wanted:
                return f"{fault.kind} at {fault.at!r} fired {fault.fired} of {fault.wanted}"
        for verdict in self.verdicts:
            if verdict.difference is not None:
                return f"{verdict.channel}: {verdict.difference}"
        if not self.claimed:
            return "the client does not call every channel synced"
        if len(self.logins) < self.scene.logins:
            return f"the client logged in {len(self.logins)} of {self.scene.logins} times"
        for resumed in self.logins:
            if missing := sorted(set(self.scene.resumes) - set(resumed)):
                return f"a login did not resume {', '.join(missing)}"
        return None


@attrs.frozen(kw_only=True)
class ActReport:
    """One gateway's scenes, the client's counters, and its channels' states over time."""

    act: Act
    scenes: tuple[SceneReport, ...]
    counters: dict[str, Counters]
    timeline: tuple[tuple[float, str, tuple[ScopeState, ...]], ...]
    """Samples: seconds since the act began, the scene, a state per channel."""


@attrs.frozen(kw_only=True)
class DemoReport:
    """The whole demo."""

    acts: tuple[ActReport, ...]
    channels: tuple[str, ...] = _CHANNELS

    @property
    def passed(self) -> bool:
        """All fired and all equal, and no entry unaccounted for."""
        return not self.failures

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong, a line each, and where."""
        scenes = [scene for act in self.acts for scene in act.scenes]
        rows = [item for act in self.acts for item in act.counters.items()]
        return (
            *(f"{scene.scene.name}: {scene.trouble}" for scene in scenes if not scene.passed),
            *(f"{name}: entries unaccounted for" for name, row in rows if not row.conserved),
        )


@final
@attrs.define(eq=False)
class _Client:
    """The client under the lights: a feed, a replica, and what it last claimed."""

    feed: Feed
    replica: Replica
    tell: Tell
    changed: trio.Event = attrs.field(factory=trio.Event)
    logins: list[tuple[str, ...]] = attrs.field(factory=list[tuple[str, ...]])
    """What each login resumed."""

    async def run(self) -> None:
        """Applies events for ever."""
        async for batch in self.feed.batches():
            for event in batch:
                try:
                    self.replica.apply(event)
                except PayloadError:
                    assert isinstance(event, Entry)
                    self.feed.reject(event)
                self._tell(event)
            self.changed.set()
            self.changed = trio.Event()

    def _tell(self, event: Event) -> None:
        if isinstance(event, LoggedIn):
            self.logins.append(event.resumed)
            self.tell({"event": "logged_in", "resumed": list(event.resumed)})
        elif isinstance(event, Disconnected):
            self.tell({"event": "disconnected", "code": event.code, "retry_in_s": event.retry_in_s})


async def run_demo(
    *, seed: int, tell: Tell, acts: tuple[Act, ...] = ACTS, patience_s: float = _PATIENCE_S
) -> DemoReport:
    """Plays every act and says what came of it; tells its progress on the way.

    `patience_s` is how long a scene may wait for its faults, and then for client and truth to
    agree; a scene that runs out of it is reported as what it lacked.
    """
    reports: list[ActReport] = []
    for number, act in enumerate(acts):
        tell({"event": "act", "name": act.name})
        reports.append(await _play(act, seed=seed + number, patience_s=patience_s, tell=tell))
    return DemoReport(acts=tuple(reports))


async def _play(act: Act, *, seed: int, patience_s: float, tell: Tell) -> ActReport:
    subscription = Subscription(channels=_CHANNELS, sport_ids=_SPORTS)
    dialect = OddsPapi(subscription=subscription, key=Secret(DEMO_KEY))
    options = GatewayOptions(as_of=act.as_of, fixtures=_FIXTURES, rate=_RATE)
    timeline: list[tuple[float, str, tuple[ScopeState, ...]]] = []
    reports: list[SceneReport] = []
    async with open_gateway(options, seed=seed) as gateway:
        await trio.sleep(act.lead_s)
        async with open_feed(
            subscription,
            url=gateway.ws_url,
            key=DEMO_KEY,
            options=_OPTIONS,
            rng=random.Random(seed),
        ) as feed:
            client = _Client(feed, Replica(dialect), tell)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.run)
                nursery.start_soon(_sample, feed, reports, act, timeline)
                await _settle(gateway, client, patience_s)
                for scene in act.scenes:
                    tell({"event": "scene", "name": scene.name, "tells": scene.tells})
                    report = await _perform(scene, gateway, client, patience_s)
                    reports.append(report)
                    tell(_scene_line(report))
                nursery.cancel_scope.cancel()
            counters = feed.counters()
    return ActReport(act=act, scenes=tuple(reports), counters=counters, timeline=tuple(timeline))


async def _perform(
    scene: Scene, gateway: GatewayServer, client: _Client, patience_s: float
) -> SceneReport:
    """Places the faults step by step, then waits until client and truth agree."""
    began = trio.current_time()
    ids: list[int] = []
    logins_before = len(client.logins)
    with trio.move_on_after(patience_s):
        await _give_cursors(scene.resumes, gateway, client)
        for step in scene.steps:
            placed = [gateway.place(fault_of(table, now=gateway.now)) for table in step]
            first = not ids
            ids.extend(placed)
            for fault_id, table in zip(placed, step, strict=True):
                await gateway.wait_receipt(fault_id, times=_times(table))
                if first and fault_id == ids[0]:
                    for channel in scene.publish:
                        gateway.publish(channel)
        while len(client.logins) < logins_before + scene.logins:
            await client.changed.wait()
        # What the last fault sent is on its way: let it arrive before anybody is judged.
        await trio.sleep(_ARRIVAL_S)
    claimed, verdicts = await _settle(gateway, client, patience_s)
    receipts = {receipt.fault_id: receipt for receipt in gateway.receipts()}
    tables = [table for step in scene.steps for table in step]
    faults = tuple(
        FaultReport(
            receipt=receipts[ids[number]] if number < len(ids) else None,
            kind=table["kind"],
            at=table["at"],
            wanted=_times(table),
        )
        for number, table in enumerate(tables)
    )
    return SceneReport(
        scene=scene,
        faults=faults,
        verdicts=verdicts,
        took_s=trio.current_time() - began,
        claimed=claimed,
        logins=tuple(client.logins[logins_before:]),
    )


async def _give_cursors(channels: tuple[str, ...], gateway: GatewayServer, client: _Client) -> None:
    """Sees to it that these channels can resume: a base alone gives no cursor (HZ-A10)."""
    for channel in channels:
        if client.feed.position.cursor(channel) is None:
            gateway.publish(channel)
        while client.feed.position.cursor(channel) is None:
            await client.changed.wait()


def _times(table: dict[str, Any]) -> int:
    times = table.get("times", 1)
    assert isinstance(times, int)
    return times


async def _settle(
    gateway: GatewayServer, client: _Client, patience_s: float
) -> tuple[bool, tuple[ChannelVerdict, ...]]:
    """Holds the market still until the client agrees with the truth, or its time is up."""
    gateway.pause()
    claimed = False
    verdicts: tuple[ChannelVerdict, ...] = ()
    with trio.move_on_after(patience_s):
        while True:
            changed = client.changed
            claimed = client.feed.status().synced
            truth = gateway.truth_state(channels=_CHANNELS, sport_ids=_SPORTS)
            verdicts = compare(client.replica.state(), truth, _CHANNELS)
            if claimed and all(verdict.equal for verdict in verdicts):
                break
            with trio.move_on_after(_SAMPLE_S):
                await changed.wait()
    gateway.resume()
    return claimed, verdicts


async def _sample(
    feed: Feed,
    reports: list[SceneReport],
    act: Act,
    timeline: list[tuple[float, str, tuple[ScopeState, ...]]],
) -> None:
    """Writes down what each channel claims, ten times a second."""
    began = trio.current_time()
    while True:
        states = tuple(row.state for row in feed.status().channels)
        scene = act.scenes[len(reports)].name if len(reports) < len(act.scenes) else ""
        if len(states) == len(_CHANNELS):
            timeline.append((trio.current_time() - began, scene, states))
        await trio.sleep(_SAMPLE_S)


def _scene_line(report: SceneReport) -> dict[str, Any]:
    return {
        "event": "scene_done",
        "name": report.scene.name,
        "passed": report.passed,
        "trouble": report.trouble,
        "took_s": round(report.took_s, 2),
        "faults": [
            {"kind": fault.kind, "at": fault.at, "fired": fault.fired, "wanted": fault.wanted}
            for fault in report.faults
        ],
        "claimed_synced": report.claimed,
        "resumed": [list(resumed) for resumed in report.logins],
        "channels": {
            verdict.channel: {"units": verdict.units, "difference": verdict.difference}
            for verdict in report.verdicts
        },
    }
