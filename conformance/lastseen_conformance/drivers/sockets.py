"""Plays a case over real sockets, against any program."""

import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast, final

import attrs
import msgspec
import trio

from lastseen_conformance.case import Case
from lastseen_conformance.dialects import DIALECTS
from lastseen_conformance.drivers.process import ClientProcess, StartError
from lastseen_conformance.history import Exited, Heard, History, Launched, Said
from lastseen_conformance.play import Halt, Launch, Until, play
from lastseen_conformance.tap import Tap
from lastseen_conformance.timers import PATIENCE_S, TIMERS, as_environment
from lastseen_conformance.verdicts import Result, judge
from lastseen_simulator.faults import Fault
from lastseen_simulator.server import GatewayServer, open_gateway

__all__ = ["REPORT_SCHEMA", "Target", "run_over_sockets"]

REPORT_SCHEMA: Final = "lastseen.report/1"

BEAT_S: Final = 0.1
STARVED_S: Final = 1.0
"""A harness that was this late has not given the client a fair chance."""

LINES_MAX: Final = 200_000
"""What a client may print in one life; a report of a case has a few hundred lines."""

WORDS_MAX: Final = 1_000
"""Lines that are no report, of which so many are kept."""

TEXT_CHARACTERS_MAX: Final = 200


@final
@attrs.frozen(kw_only=True)
class Target:
    """The program under test, and how it is talked to."""

    command: tuple[str, ...]
    reported: bool
    url_argument: bool = False
    mark: str = ""
    """In the environment of everything the client starts."""
    launcher: Callable[[Mapping[str, str]], None] | None = None
    """Tells a person to start it by hand, instead of `command`."""


async def run_over_sockets(
    case: Case,
    target: Target,
    *,
    patience_s: float = PATIENCE_S,
    seed: int = 1,
    until_report: bool = False,
) -> Result:
    """Plays a case against a program and judges it.

    With `until_report` only as far as to the first line of a report: then there is no verdict in
    it, and `speaks_report` says so of what the client said.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lastseen-case-") as folder:
        stage = _SocketStage(case, target, Path(folder), patience_s, seed, until_report)
        await stage.run()
    result = judge(case, stage.history, DIALECTS[case.dialect].always)
    return attrs.evolve(result, seconds=time.monotonic() - began)


@final
@attrs.define(eq=False)
class _SocketStage:
    case: Case
    target: Target
    folder: Path
    patience_s: float
    seed: int
    until_report: bool
    history: History = attrs.field(init=False)
    tap: Tap = attrs.field(init=False)
    server: GatewayServer = attrs.field(init=False)
    client: ClientProcess | None = attrs.field(init=False, default=None)
    _nursery: trio.Nursery = attrs.field(init=False)
    _playing: trio.CancelScope = attrs.field(init=False, factory=trio.CancelScope)
    _changed: trio.Event = attrs.field(init=False, factory=trio.Event)
    _lives: int = attrs.field(init=False, default=0)
    _asked: bool = attrs.field(init=False, default=False)
    _over: trio.Event = attrs.field(init=False, factory=trio.Event)
    _late_s: float = attrs.field(init=False, default=0.0)
    _lines: int = attrs.field(init=False, default=0)
    _words: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self.history = History(channels=self.case.channels, reported=self.target.reported)
        self.history.on_change = self._notify
        dialect = DIALECTS[self.case.dialect]
        core = dialect.gateway(
            self.case, random.Random(self.seed), wall_ms_at_zero=int(time.time() * 1000)
        )
        for fault in self.case.faults:
            core.place(fault)
        self.tap = Tap(core, self.history, dialect.key)

    @property
    def now(self) -> float:
        return self.server.now

    async def run(self) -> None:
        async with (
            open_gateway(self.tap, seed=self.seed) as self.server,
            trio.open_nursery() as self._nursery,
        ):
            self._nursery.start_soon(self._watch_the_clock)
            try:
                with self._playing:
                    await self._play()
            except StartError as error:
                self.history.trouble = str(error)
            finally:
                self.history.over = True
                with trio.CancelScope(shield=True):
                    await self._halt(kill=True)
            self._nursery.cancel_scope.cancel()
        self.history.receipts = self.tap.receipts()
        self.history.truth = self.tap.truth.records

    async def _play(self) -> None:
        dialect = DIALECTS[self.case.dialect]
        reported = self.target.reported
        scene = dialect.scene(self.case, self.tap.core, reported=reported, timers=TIMERS)
        needs = play(self.case, scene, self, self.patience_s)
        answer: Any = None
        while True:
            try:
                need = needs.send(answer)
            except StopIteration:
                return
            answer = None
            match need:
                case Until():
                    answer = await self._until(need.condition, need.seconds)
                case Launch():
                    await self._launch()
                case Halt():
                    await self._halt(kill=need.kill)

    # What the player asks for.

    def publish(self, channel: str, payload: dict[str, Any] | None) -> str:
        return self.server.publish(channel, payload)

    def place(self, fault: Fault) -> int:
        number = self.server.place(fault)
        # What strikes at once has struck when the next step is taken.
        self.server.open()
        return number

    def restart(self, *, announce: bool) -> None:
        self.server.restart(announce=announce)

    def drop(self, connection: int | None, *, reset: bool) -> None:
        self.server.drop(connection, reset=reset)

    def notice(self, connection: int | None, *, reason: str, grace_s: float) -> None:
        self.server.notice_reconnect(connection, reason=reason, grace_s=grace_s)

    def tell(self, command: str) -> None:
        self.history.add(Heard, at=self.now, run=self._lives, command=command)
        if self.client is not None:
            self._nursery.start_soon(self.client.tell, command)

    def difference(self, state: Mapping[str, Any]) -> str | None:
        return DIALECTS[self.case.dialect].difference(self.case, state, self.tap.truth)

    # How it is done.

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _until(self, condition: Callable[[History], bool], seconds: float) -> bool:
        self._late_s = 0.0
        with trio.move_on_after(seconds):
            while not condition(self.history):
                await self._changed.wait()
            return True
        return condition(self.history)

    async def _watch_the_clock(self) -> None:
        while True:
            due = trio.current_time() + BEAT_S
            await trio.sleep_until(due)
            self._late_s = max(self._late_s, trio.current_time() - due)
            if self._late_s > STARVED_S and not self.history.starved:
                self.history.starved = True

    def _environment(self) -> dict[str, str]:
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        dialect = DIALECTS[self.case.dialect]
        account = {} if dialect.account is None else {"LASTSEEN_ACCOUNT": dialect.account}
        return {
            **os.environ,
            **as_environment(TIMERS),
            **account,
            "LASTSEEN_DIALECT": self.case.dialect,
            "LASTSEEN_WS_URL": self.server.ws_url,
            "LASTSEEN_HTTP_URL": self._http_url,
            "LASTSEEN_API_KEY": dialect.key,
            "LASTSEEN_CHANNELS": ",".join(self.case.channels),
            "LASTSEEN_STATE_DIR": str(state),
            "LASTSEEN_CASE": self.case.id,
            "LASTSEEN_RUN": self.target.mark,
        }

    @property
    def _http_url(self) -> str:
        streams = DIALECTS[self.case.dialect].streams
        return self.server.http_url if streams else self.server.rest_url

    async def _launch(self) -> None:
        self._lives += 1
        life = self._lives
        self.history.add(Launched, at=self.now, run=life)
        self._lines = self._words = 0
        if self.target.launcher is not None:
            self.target.launcher(self._environment())
            return
        shown = self._http_url if DIALECTS[self.case.dialect].streams else self.server.ws_url
        url = (shown,) if self.target.url_argument else ()
        client = await ClientProcess.start(
            (*self.target.command, *url),
            self._environment(),
            secret=DIALECTS[self.case.dialect].key,
            on_line=lambda line: self._take_line(line, life),
        )
        self.client, self._asked, self._over = client, False, trio.Event()
        self._nursery.start_soon(self._attend, client, life, self._over)

    async def _attend(self, client: ClientProcess, life: int, over: trio.Event) -> None:
        # Shielded as a whole: a case that is over still has its client to bury.
        with trio.CancelScope(shield=True):
            await self._bury(client, life, over)

    async def _bury(self, client: ClientProcess, life: int, over: trio.Event) -> None:
        code = await client.run()
        if client.flooded:
            self.history.trouble = "the client printed without end"
        if client.leaked is not None:
            self.history.leaked = client.leaked
        asked = self._asked
        how = _ended(code)
        if not asked and client.tail:
            how = f"{how}: {client.tail.splitlines()[-1][:TEXT_CHARACTERS_MAX]}"
        if client.left_behind:
            self.history.notes.append("the client left processes behind; they were killed")
        self.history.add(Exited, at=self.now, run=life, code=code, asked=asked, how=how)
        over.set()

    async def _halt(self, *, kill: bool) -> None:
        client = self.client
        if client is None:
            return
        self._asked = True
        if kill:
            client.kill()
        elif not await client.stop():
            self.history.notes.append("the client did not end when it was told to stop")
            self.history.ignored_stop = True
        await self._over.wait()
        # Not before it is over: who is interrupted while it stops has it to kill.
        self.client = None

    def _take_line(self, raw: bytes, life: int) -> None:
        self._lines += 1
        if self._lines > LINES_MAX:
            if self.client is not None:
                self.client.flood()
            return
        secret = DIALECTS[self.case.dialect].key
        text = raw.decode("utf-8", "replace").replace(secret, "***")
        line: dict[str, Any] | None = None
        try:
            value: Any = msgspec.json.decode(text)
            line = cast("dict[str, Any]", value) if isinstance(value, dict) else None
        except msgspec.MsgspecError:
            pass
        self._words += line is None
        if line is None and self._words > WORDS_MAX:
            return
        said = text[:TEXT_CHARACTERS_MAX] if line is None else ""
        self.history.add(Said, at=self.now, run=life, line=line, text=said)
        # One that is being stopped ends by itself; to cut that short would leave it alive.
        if self.until_report and not self._asked and _opens_report(line):
            self._playing.cancel()


def _ended(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"


def speaks_report(lines: Sequence[Said]) -> bool:
    """Whether a client has opened its report."""
    return any(_opens_report(said.line) for said in lines)


def _opens_report(line: Mapping[str, Any] | None) -> bool:
    return line is not None and line.get("schema") == REPORT_SCHEMA
