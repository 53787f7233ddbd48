"""What an action of a plan does to the world."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from lastseen_simulator.faults import FaultError, fault_from
from lastseen_simulator.world.clock import Clock
from lastseen_simulator.world.network import Network
from lastseen_simulator.world.plan import Action
from lastseen_simulator.world.secrecy import ECHO
from lastseen_simulator.world.trace import Trace

__all__ = ["DEEDS", "Stage"]


class Stage(Protocol):
    """The part of the world that actions touch."""

    clock: Clock
    trace: Trace
    network: Network
    marks: set[str]
    hosts: list[Any]
    disks: list[Any]

    @property
    def key(self) -> str:
        """What the clients log in with."""
        ...

    def launch(self, client: int, *, forgets: int | None = None) -> None:
        """Begins another life of a client, without what it had of one of its channels."""
        ...


def _publish(world: Stage, action: Action) -> None:
    channel, payload = action.values["channel"], action.values.get("payload")
    for _ in range(action.values.get("times", 1)):
        world.network.step(
            lambda: world.network.core.publish(channel, payload, now=world.clock.now)
        )
    world.trace.tell(world.clock.now, "market", "gateway", f"publishes {channel}")


def _cut(world: Stage, action: Action) -> None:
    wire = world.network.newest(action.client)
    if wire is not None:
        values = action.values
        world.network.cut(
            wire, values.get("heard", "both"), values.get("keep", 0), values.get("part", 0.5)
        )


def _half_open(world: Stage, action: Action) -> None:
    wire = world.network.newest(action.client)
    if wire is not None:
        which = action.values.get("direction", "both")
        world.network.deaden(wire, down=which != "up", up=which != "down")


def _stall(world: Stage, action: Action) -> None:
    wire = world.network.newest(action.client)
    if wire is not None:
        world.network.stall(wire, action.values["seconds"])


def _refuse(world: Stage, action: Action) -> None:
    world.network.refuse(action.values.get("mode", "refuse"), action.values["seconds"])


def _silence(world: Stage, action: Action) -> None:
    world.network.silent_until = world.clock.now + action.values["seconds"]


def _crash(world: Stage, action: Action) -> None:
    stage = action.values.get("in_write")
    disk = world.disks[action.client]
    if stage is not None:
        disk.ambush = (stage, lambda: _go_down(world, action))
    else:
        _go_down(world, action)


def _go_down(world: Stage, action: Action) -> None:
    host, disk = world.hosts[action.client], world.disks[action.client]
    if host is None:
        return
    host.die()
    world.hosts[action.client] = None
    disk.crash(action.values.get("fate", "lost"))
    world.marks.add(_CRASHES[disk.met])
    world.clock.after(action.values.get("seconds", 0.1), lambda: _relaunch(world, action))


def _relaunch(world: Stage, action: Action) -> None:
    if world.hosts[action.client] is None:
        world.launch(action.client, forgets=action.values.get("forgets"))


def _slow(world: Stage, action: Action) -> None:
    host = world.hosts[action.client]
    if host is not None:
        host.setting.pace_s = action.values.get("pace_s", 0.5)
        host.setting.slow_until = world.clock.now + action.values["seconds"]
        client = action.client

        def wake() -> None:
            if world.hosts[client] is host:
                host.wake()

        world.clock.after(action.values["seconds"] + 0.001, wake)


def _reject(world: Stage, action: Action) -> None:
    host = world.hosts[action.client]
    if host is not None:
        host.setting.rejects += 1


def _resync(world: Stage, action: Action) -> None:
    host = world.hosts[action.client]
    if host is not None:
        host.resync()


def _hold_disk(world: Stage, action: Action) -> None:
    world.disks[action.client].held_until = world.clock.now + action.values["seconds"]


def _fail_disk(world: Stage, action: Action) -> None:
    world.disks[action.client].failures += action.values.get("times", 1)


def _restart(world: Stage, action: Action) -> None:
    announce = action.values.get("announce", False)
    world.network.step(lambda: world.network.core.restart(announce=announce, now=world.clock.now))


def _fault(world: Stage, action: Action) -> None:
    members: dict[str, Any] = {"at": f"at {world.clock.now:.6f}", **action.values}
    for name in _WORDS:
        if name in members:
            members[name] = str(members[name]).replace(ECHO, world.key)
    try:
        fault = fault_from(members)
    except FaultError as error:
        raise ValueError(f"no such fault: {error}") from None
    world.network.core.place(fault)
    world.network.step(lambda: world.network.core.handle_deadline(now=world.clock.now))


_WORDS: Final = ("text", "message", "reason")
"""What the peer says may hold the key, as some peers repeat what they were told (HZ-K5)."""

_CRASHES: Final[Mapping[str | None, str]] = {
    "idle": "crash with no commit under way",
    "begun": "crash with a commit begun",
    "lost": "crash with a commit written and lost",
    "kept": "crash with a commit written and kept",
    "torn": "crash with a commit torn",
    "synced": "crash with a commit synced and not reported",
}

DEEDS: Final[Mapping[str, Callable[[Stage, Action], None]]] = {
    "publish": _publish,
    "cut": _cut,
    "half_open": _half_open,
    "stall": _stall,
    "refuse": _refuse,
    "silence": _silence,
    "crash": _crash,
    "slow": _slow,
    "reject": _reject,
    "resync": _resync,
    "hold_disk": _hold_disk,
    "fail_disk": _fail_disk,
    "restart": _restart,
    "fault": _fault,
}
"""By the word in a plan."""
