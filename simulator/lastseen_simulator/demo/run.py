"""Runs the demo: gateway and client in one go, scene by scene, with a verdict after each."""

from collections.abc import Mapping
from typing import Any

import attrs
import trio

from lastseen import Counters
from lastseen_simulator.demo.cast import Player, Tell
from lastseen_simulator.demo.scenes import Act, Scene, fault_of, times_of
from lastseen_simulator.faults import Receipt
from lastseen_simulator.server import GatewayServer, open_gateway
from lastseen_simulator.verdict import ChannelVerdict

__all__ = ["ActReport", "DemoReport", "FaultReport", "SceneReport", "run_demo"]

_SAMPLE_S = 0.1
_ARRIVAL_S = 0.3
_PATIENCE_S = 15.0


Sample = tuple[float, str, tuple[str, ...]]
"""Seconds since the act began, the scene, and a claim for each row of the picture."""


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
    claim: str
    claimed: bool
    """Whether the client claimed in the end what it should."""
    logins: tuple[tuple[str, ...], ...]
    """The channels that each login of this scene resumed."""
    unseen: tuple[str, ...] = ()
    """What the client should have noticed and did not."""

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
            return f"the client does not {self.claim}"
        if len(self.logins) < self.scene.logins:
            return f"the client logged in {len(self.logins)} of {self.scene.logins} times"
        if self.unseen:
            return f"the client has not noticed: {', '.join(self.unseen)}"
        for resumed in self.logins:
            if missing := sorted(set(self.scene.resumes) - set(resumed)):
                return f"a login did not resume {', '.join(missing)}"
        return None


@attrs.frozen(kw_only=True)
class ActReport:
    """One gateway's scenes, the client's counters, and its channels' states over time."""

    act: Act
    scenes: tuple[SceneReport, ...]
    counters: Mapping[str, Counters]
    timeline: tuple[Sample, ...]


@attrs.frozen(kw_only=True)
class DemoReport:
    """The whole demo."""

    acts: tuple[ActReport, ...]

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


async def run_demo(
    *, seed: int, tell: Tell, acts: tuple[Act, ...], patience_s: float = _PATIENCE_S
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
    timeline: list[Sample] = []
    reports: list[SceneReport] = []
    async with open_gateway(act.cast.options(act.knobs), seed=seed) as gateway:
        await trio.sleep(act.lead_s)
        async with act.cast.enter(gateway, act.knobs, seed=seed, tell=tell) as player:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(player.run)
                nursery.start_soon(_sample, player, reports, act, timeline)
                await _settle(gateway, player, patience_s)
                for scene in act.scenes:
                    tell({"event": "scene", "name": scene.name, "tells": scene.tells})
                    report = await _perform(scene, act.cast.claim, gateway, player, patience_s)
                    reports.append(report)
                    tell(_scene_line(report))
                nursery.cancel_scope.cancel()
            counters = player.counters()
    return ActReport(act=act, scenes=tuple(reports), counters=counters, timeline=tuple(timeline))


async def _perform(
    scene: Scene, claim: str, gateway: GatewayServer, player: Player, patience_s: float
) -> SceneReport:
    """Places the faults step by step, then waits until client and truth agree."""
    began = trio.current_time()
    ids: list[int] = []
    logins_before = len(player.logins)
    with trio.move_on_after(patience_s):
        player.seen.clear()
        await player.prepare(scene, gateway)
        for step in scene.steps:
            placed = [gateway.place(fault_of(table, now=gateway.now)) for table in step]
            first = not ids
            ids.extend(placed)
            for fault_id, table in zip(placed, step, strict=True):
                await gateway.wait_receipt(fault_id, times=times_of(table))
                if first and fault_id == ids[0]:
                    for channel in scene.publish:
                        gateway.publish(channel)
        while len(player.logins) < logins_before + scene.logins or _unseen(scene, player):
            await player.changed.wait()
        # What the last fault sent is on its way: let it arrive before anybody is judged.
        await trio.sleep(_ARRIVAL_S)
    claimed, verdicts = await _settle(gateway, player, patience_s)
    receipts = {receipt.fault_id: receipt for receipt in gateway.receipts()}
    tables = [table for step in scene.steps for table in step]
    faults = tuple(
        FaultReport(
            receipt=receipts[ids[number]] if number < len(ids) else None,
            kind=table["kind"],
            at=table["at"],
            wanted=times_of(table),
        )
        for number, table in enumerate(tables)
    )
    return SceneReport(
        scene=scene,
        faults=faults,
        verdicts=verdicts,
        took_s=trio.current_time() - began,
        claim=claim,
        claimed=claimed,
        logins=tuple(player.logins[logins_before:]),
        unseen=_unseen(scene, player),
    )


def _unseen(scene: Scene, player: Player) -> tuple[str, ...]:
    return tuple(word for word in scene.sees if word not in player.seen)


async def _settle(
    gateway: GatewayServer, player: Player, patience_s: float
) -> tuple[bool, tuple[ChannelVerdict, ...]]:
    """Holds the market still until the client agrees with the truth, or its time is up."""
    gateway.pause()
    claimed = False
    verdicts: tuple[ChannelVerdict, ...] = ()
    with trio.move_on_after(patience_s):
        while True:
            changed = player.changed
            claimed, verdicts = player.claimed(), player.judge(gateway)
            if claimed and all(verdict.equal for verdict in verdicts):
                break
            with trio.move_on_after(_SAMPLE_S):
                await changed.wait()
    gateway.resume()
    return claimed, verdicts


async def _sample(
    player: Player, reports: list[SceneReport], act: Act, timeline: list[Sample]
) -> None:
    """Writes down what the client claims, ten times a second."""
    began = trio.current_time()
    while True:
        claims = player.claims()
        scene = act.scenes[len(reports)].name if len(reports) < len(act.scenes) else ""
        if len(claims) == len(act.cast.rows):
            timeline.append((trio.current_time() - began, scene, claims))
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
        "unseen": list(report.unseen),
        "channels": {
            verdict.channel: {"units": verdict.units, "difference": verdict.difference}
            for verdict in report.verdicts
        },
    }
