"""A gateway in a thread of its own, for tests in any style: start it, give it orders, wait, stop.

Every method may be called from any thread and from inside any event loop. Orders take effect before
they return and take well under a millisecond; only the methods that wait take longer, and those
have a twin to be awaited.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

import attrs

from lastseen_simulator.dialects import GatewayKind, kind_of
from lastseen_simulator.faults import Fault, Receipt
from lastseen_simulator.gateway_thread import GatewayStoppedError, GatewayThread
from lastseen_simulator.settings import GatewaySettings, one_fault, settings_from
from lastseen_simulator.story import fault_line, option_words, record_lines
from lastseen_simulator.truth import Record
from lastseen_simulator.verdict import ChannelVerdict
from lastseen_simulator.waiting import Goal, finished

__all__ = ["Comparison", "GatewayStoppedError", "PlacedFault", "RunningGateway", "start_gateway"]

TIMEOUT_S: Final = 10.0
"""How long to wait for something unless told otherwise."""

TAIL_RECORDS: Final = 20
"""How many records of the truth log a description ends with."""


@final
@attrs.frozen(kw_only=True)
class Comparison:
    """A client's state against the truth; true when nothing differs."""

    channels: tuple[ChannelVerdict, ...]

    @property
    def difference(self) -> str | None:
        """The first difference in words, with its channel's; None when nothing differs."""
        return next((each.difference for each in self.channels if not each.equal), None)

    def __bool__(self) -> bool:
        return self.difference is None


@final
@attrs.frozen(eq=False)
class PlacedFault:
    """A fault in its place, and its receipt."""

    fault: Fault
    fault_id: int
    _gateway: "RunningGateway" = attrs.field(repr=False)

    @property
    def fired(self) -> int:
        """How often it has taken effect so far."""
        return self.receipt().fired

    def receipt(self) -> Receipt:
        """What has become of it so far."""
        return next(each for each in self._gateway.receipts() if each.fault_id == self.fault_id)

    def wait(self, *, times: int = 1, timeout_s: float = TIMEOUT_S) -> Receipt:
        """Waits until it has fired so often. Raises `TimeoutError` that says what did happen."""
        self._gateway.wait_for(**self._goal(times, timeout_s))
        return self.receipt()

    async def wait_async(self, *, times: int = 1, timeout_s: float = TIMEOUT_S) -> Receipt:
        """As `wait`, in asyncio or trio."""
        await self._gateway.wait_for_async(**self._goal(times, timeout_s))
        return self.receipt()

    def _goal(self, times: int, timeout_s: float) -> dict[str, Any]:
        return {"what": "fault", "fault": self.fault_id, "count": times, "timeout_s": timeout_s}


@final
@attrs.define(eq=False)
class RunningGateway:
    """A gateway that runs until `stop`, or to the end of a `with` block. See `start_gateway`.

    What there is to see stays so after the end; anything else raises `GatewayStoppedError` then.
    """

    settings: GatewaySettings
    _thread: GatewayThread = attrs.field(init=False, repr=False)
    _judged: list[PlacedFault] = attrs.field(init=False, repr=False, factory=list[PlacedFault])

    def __attrs_post_init__(self) -> None:
        self._thread = GatewayThread(self.settings)
        if self.settings.judged:
            placed = enumerate(self.settings.faults, start=1)
            self._judged.extend(PlacedFault(fault, number, self) for number, fault in placed)

    # Where it is.

    @property
    def port(self) -> int:
        """The port of everything, on 127.0.0.1."""
        return self._thread.server.port

    @property
    def ws_url(self) -> str:
        """Where clients connect."""
        return self._thread.server.ws_url

    @property
    def http_url(self) -> str:
        """Scheme, host and port, without a path."""
        return self._thread.server.http_url

    @property
    def rest_url(self) -> str:
        """The REST base in English."""
        return self._thread.server.rest_url

    @property
    def control_url(self) -> str:
        """The base of the control API."""
        return self._thread.server.control_url

    @property
    def key(self) -> str:
        """An API key that it accepts."""
        return self.settings.options.keys[0].key

    @property
    def seed(self) -> int:
        """What the market is made from."""
        return self.settings.seed

    @property
    def dialect(self) -> str:
        """What it speaks."""
        return kind_of(self.settings.options)[0]

    @property
    def epoch(self) -> str:
        """The epoch that a login meets now. Raises ValueError where there are none."""
        epoch = self._thread.look(lambda: self._thread.server.core.epoch)
        if epoch is None:
            raise ValueError(f"{self.dialect} has no epochs")
        return epoch

    def env(self) -> dict[str, str]:
        """What a client in a process of its own is told by its environment, the key included."""
        return {
            "LASTSEEN_DIALECT": self.dialect,
            "LASTSEEN_WS_URL": self.ws_url,
            "LASTSEEN_HTTP_URL": self.http_url,
            "LASTSEEN_CONTROL_URL": self.control_url,
            "LASTSEEN_API_KEY": self.key,
        }

    # What it is told to do.

    def publish(
        self, channel: str, payload: Mapping[str, Any] | None = None, *, count: int = 1
    ) -> list[str]:
        """Publishes entries, made by the market when there is no payload; returns their ids."""
        return self._thread.order(
            lambda: [self._thread.server.publish(channel, payload) for _ in range(count)]
        )

    def restart(self, *, announce: bool = False) -> None:
        """Starts a new epoch, or forgets its history; unannounced, every connection is dropped."""
        self._thread.order(lambda: self._thread.server.restart(announce=announce))

    def drop(self, connection: int | None = None, *, reset: bool = False) -> None:
        """Ends one connection or all without a close frame, by FIN or by RST."""
        self._thread.order(lambda: self._thread.server.drop(connection, reset=reset))

    def reconnect(
        self,
        connection: int | None = None,
        *,
        reason: str = "server_upgrade",
        grace_s: float | None = None,
    ) -> None:
        """Tells one connection or all to move; they are closed when the grace is over.

        Raises ValueError where there is no such notice.
        """
        own: float = getattr(self.settings.options, "reconnect_grace_s", 0.0)
        grace = own if grace_s is None else grace_s
        self._thread.order(
            lambda: self._thread.server.notice_reconnect(connection, reason=reason, grace_s=grace)
        )

    def pause(self) -> None:
        """Stops the market."""
        self._thread.order(self._thread.server.pause)

    def resume(self) -> None:
        """Lets the market go on at its `rate`."""
        self._thread.order(self._thread.server.resume)

    def place(
        self,
        what: str | Fault | Mapping[str, Any],
        /,
        *,
        must_fire: bool = True,
        **members: Any,
    ) -> PlacedFault:
        """Places a fault: its kind and members, or a `Fault`, a mapping, or TOML text.

        Unless it fires, the test that uses the pytest fixture fails in the end; `must_fire=False`
        allows that. Raises ValueError for a fault that cannot be.
        """
        fault = one_fault(what, members)
        number = self._thread.order(lambda: self._thread.server.place(fault))
        placed = PlacedFault(fault, number, self)
        if must_fire:
            self._judged.append(placed)
        return placed

    # What there is to see.

    def receipts(self) -> tuple[Receipt, ...]:
        """What has become of every fault, those of a marker included, in order."""
        return self._thread.look(self._thread.server.core.receipts)

    def unfired(self) -> tuple[Receipt, ...]:
        """The receipts of faults that had to fire and have not."""
        judged = {placed.fault_id for placed in self._judged}
        return tuple(r for r in self.receipts() if r.fault_id in judged and not r.fired)

    def connections(self) -> tuple[Any, ...]:
        """The open connections: the views of its dialect, each with a number `connection`."""
        return self._thread.look(self._thread.server.core.connections)

    def truth(self, kind: str | None = None, *, after: int = 0) -> tuple[Record, ...]:
        """The records of the truth log numbered above `after`, of one kind or all."""
        records = self._thread.look(lambda: self._thread.server.core.truth.records_after(after))
        return tuple(record for record in records if kind in (None, record["kind"]))

    @property
    def written(self) -> int:
        """The number of the newest record: what comes later is `after` it."""
        return self._thread.look(lambda: self._thread.server.core.truth.written)

    def state(self, **filters: Any) -> dict[str, Any]:
        """The true state as unit key → value; filters are those of its truth's `state`."""
        return self._thread.look(lambda: self._thread.server.core.truth.state(**filters))

    def compare(
        self, client: Mapping[str, Any], *, channels: Iterable[str], **filters: Any
    ) -> Comparison:
        """Compares a client's state, unit key → value, with the truth of some channels.

        `filters` is what else the client subscribed to, as for `state`. Numbers count by value,
        whoever spelled them. For PolyNode a unit is an item, its value `{"state": …}`. Raises
        ValueError for a channel that has no state.
        """
        wanted, stateful = tuple(channels), self._kind.stateful
        for channel in wanted:
            if channel not in stateful:
                known = ", ".join(stateful)
                raise ValueError(f"no such channel with a state: {channel} (channels: {known})")
        return Comparison(channels=self._kind.compare(client, self.state(**filters), wanted))

    def describe(self) -> str:
        """Seed, knobs, faults and the newest records, in lines; no key is in them."""
        return "\n".join(self._thread.look(self._lines))

    # What it is waited for.

    def wait_for(
        self,
        what: str | Callable[[Record], bool],
        *,
        count: int = 1,
        after: int = 0,
        timeout_s: float = TIMEOUT_S,
        **members: object,
    ) -> Record:
        """Waits for a record of the truth log and returns it.

        `what` is a kind or a predicate, `members` what the record must have, `count` how many of
        those there must be. Records of the past count too, since the start or above the number
        `after`: nothing is missed by asking late. Raises `TimeoutError`, which tells what there was
        instead, and whatever the predicate raises.
        """
        return self._reached(Goal.records(what, count, **members), after, timeout_s).result()

    async def wait_for_async(
        self,
        what: str | Callable[[Record], bool],
        *,
        count: int = 1,
        after: int = 0,
        timeout_s: float = TIMEOUT_S,
        **members: object,
    ) -> Record:
        """As `wait_for`, in asyncio or trio."""
        goal = Goal.records(what, count, **members)
        return await finished(self._reached(goal, after, timeout_s))

    def wait_for_login(
        self, count: int = 1, *, after: int = 0, timeout_s: float = TIMEOUT_S
    ) -> Record:
        """Waits until so many logins have been accepted; returns the record of the last.

        Where there are none, a subscribe that was granted is one.
        """
        kind, verdict = self._kind.login
        return self.wait_for(kind, verdict=verdict, count=count, after=after, timeout_s=timeout_s)

    async def wait_for_login_async(
        self, count: int = 1, *, after: int = 0, timeout_s: float = TIMEOUT_S
    ) -> Record:
        """As `wait_for_login`, in asyncio or trio."""
        kind, verdict = self._kind.login
        return await self.wait_for_async(
            kind, verdict=verdict, count=count, after=after, timeout_s=timeout_s
        )

    def wait_for_sent(
        self,
        channel: str,
        entry_ids: Iterable[str],
        *,
        connection: int | None = None,
        after: int = 0,
        timeout_s: float = TIMEOUT_S,
    ) -> Record:
        """Waits until each of these entries has been sent, to any connection or to that one."""
        return self._reached(Goal.sent(channel, entry_ids, connection), after, timeout_s).result()

    async def wait_for_sent_async(
        self,
        channel: str,
        entry_ids: Iterable[str],
        *,
        connection: int | None = None,
        after: int = 0,
        timeout_s: float = TIMEOUT_S,
    ) -> Record:
        """As `wait_for_sent`, in asyncio or trio."""
        return await finished(
            self._reached(Goal.sent(channel, entry_ids, connection), after, timeout_s)
        )

    def wait_for_request(
        self, path: str, *, count: int = 1, after: int = 0, timeout_s: float = TIMEOUT_S
    ) -> Record:
        """Waits until so many requests to a path (`/fixtures`) have been answered."""
        return self._reached(Goal.request(path, count), after, timeout_s).result()

    async def wait_for_request_async(
        self, path: str, *, count: int = 1, after: int = 0, timeout_s: float = TIMEOUT_S
    ) -> Record:
        """As `wait_for_request`, in asyncio or trio."""
        return await finished(self._reached(Goal.request(path, count), after, timeout_s))

    # How it ends.

    def stop(self) -> None:
        """Closes every socket at once and ends the thread; again does nothing.

        Raises what the gateway itself failed with, if it did.
        """
        self._thread.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _kind(self) -> GatewayKind:
        return kind_of(self.settings.options)[1]

    def _reached(self, goal: Goal, after: int, timeout_s: float) -> Future[Record]:
        return self._thread.reach(goal, describe=self.describe, after=after, timeout_s=timeout_s)

    def _lines(self) -> list[str]:
        core, options = self._thread.server.core, self.settings.options
        written = core.truth.written
        newest = core.truth.records_after(written - TAIL_RECORDS)
        return [
            f"lastseen gateway: {self.dialect}, seed {self.seed} {option_words(options)}".rstrip(),
            *(fault_line(receipt) for receipt in core.receipts()),
            f"the last {len(newest)} of {written} records:",
            *record_lines(newest, options),
        ]


def start_gateway(*, folder: Path | None = None, **settings: Any) -> RunningGateway:
    """Starts a gateway on 127.0.0.1; it is ready for clients when this returns.

    Keywords: `dialect`, `seed`, `port` (0 for a free one), `faults` (a profile, a file in `folder`,
    a list), `must_fire`, `keys`, and any knob of the dialect; `rate` is 0 unless given, so
    nothing happens but what is asked for. Raises `SettingError` for a setting that cannot be, and
    OSError when the port is taken.
    """
    return RunningGateway(settings_from(settings, folder=folder or Path.cwd()))
