"""The vendor's own reconnect template against our gateway: what it achieves, and what it misses.

The template is read from the vendor's page at test time, where somebody has that page; only its URL
and its key are replaced. The harness reads the gateway's truth log and the template's output.
"""

import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
import trio
from processes import PATIENCE_S, command, environment, seeds_folder

from lastseen_simulator.faults import Fault
from lastseen_simulator.gateway.core import DEMO_KEY, GatewayOptions
from lastseen_simulator.server import GatewayServer, open_gateway
from lastseen_simulator.truth import Record
from lastseen_simulator.verdict import ChannelVerdict, compare

CHANNELS = ("fixtures", "scores", "odds", "bookmakers")
SPORTS = (10, 11, 12)
STILL = GatewayOptions(rate=0, fixtures=3)
"""Nothing is published but by hand."""

SAYS_RESUMED = "Resume complete"

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@attrs.define(eq=False)
class Program:
    """A client in a process, with the lines it has printed."""

    process: trio.Process
    lines: list[str] = attrs.field(factory=list[str])

    async def listen(self) -> None:
        assert self.process.stdout is not None
        rest = b""
        async for chunk in self.process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            self.lines.extend(line.decode() for line in lines)

    def events(self) -> list[dict[str, Any]]:
        return [_decode(line) for line in self.lines]

    async def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send_all(line.encode() + b"\n")


@asynccontextmanager
async def running(arguments: list[str]) -> AsyncGenerator[Program]:
    process = await trio.lowlevel.open_process(
        arguments,
        stdin=-1,
        stdout=-1,
        env=environment(LASTSEEN_API_KEY=DEMO_KEY),
    )
    program = Program(process)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(program.listen)
        try:
            yield program
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            nursery.cancel_scope.cancel()


async def until(what: str, condition: Callable[[], bool]) -> None:
    with trio.move_on_after(PATIENCE_S):
        while not condition():
            await trio.sleep(0.02)
        return
    raise AssertionError(f"not in {PATIENCE_S:g} s: {what}")


@pytest.fixture
def template(tmp_path: Path) -> Callable[[GatewayServer], list[str]]:
    """Makes the command line of the vendor's template for a gateway."""
    folder = seeds_folder()
    if not folder.is_dir():
        pytest.skip(f"no seeds folder ({folder}); LASTSEEN_SEEDS names it")
    pages = sorted(folder.glob("003_*.txt"))
    if not pages:
        pytest.skip(f"the seeds folder has no 003_*.txt ({folder})")
    text = pages[0].read_text(encoding="utf-8")
    start = text.rindex("import asyncio")

    def make(gateway: GatewayServer) -> list[str]:
        code = text[start:]
        for theirs, ours in (
            ("wss://v5.oddspapi.io/ws", gateway.ws_url),
            ("YOUR_API_KEY", DEMO_KEY),
        ):
            assert code.count(theirs) == 1
            code = code.replace(theirs, ours)
        script = tmp_path / "template.py"
        script.write_text(code, encoding="utf-8")
        return [sys.executable, os.fspath(script)]

    return make


def records(gateway: GatewayServer, kind: str, **members: Any) -> list[Record]:
    return [
        record
        for record in gateway.core.truth.records
        if record["kind"] == kind and members.items() <= record.items()
    ]


def controls(gateway: GatewayServer, name: str) -> list[Record]:
    return [r for r in records(gateway, "control") if r["frame"].get("type") == name]


def logins(gateway: GatewayServer) -> list[dict[str, Any]]:
    return [record["login"] for record in records(gateway, "login", verdict="login_ok")]


def scores(fixture_id: str, period: str, points: int) -> dict[str, Any]:
    """A payload that no later one of another period supersedes."""
    row = {
        "period": period,
        "participant1Score": points,
        "participant2Score": 0,
        "updatedAt": f"2026-09-21T14:13:{points:02}.000000+00:00",
    }
    return {"fixtureId": fixture_id, "scores": {period: row}}


def a_fixture(gateway: GatewayServer) -> str:
    """A fixture that is not over."""
    state = gateway.truth_state(channels=["fixtures"], sport_ids=SPORTS)
    open_ones = [row for row in state.values() if row["status"]["statusId"] not in (2, 3)]
    fixture_id: str = open_ones[0]["fixtureId"]
    return fixture_id


@attrs.frozen(kw_only=True)
class Loss:
    """What the schedule of HZ-A2 left in the truth log."""

    lost: str
    """The entry of `scores` that the gateway published and did not send."""
    resumed_at: int
    """Number of the record of the client's login after the drop."""


async def lose_one_and_drop(gateway: GatewayServer, *, stalled: int | None = None) -> Loss:
    """HZ-A2 by position: an entry is lost and said to be, another arrives, the connection drops.

    `stalled` is a fault that has to fire before the drop.
    """
    fixture_id = a_fixture(gateway)
    gateway.publish("fixtures")
    before = gateway.publish("scores", scores(fixture_id, "p1", 1))
    assert records(gateway, "sent", connection=1, channel="scores", entryId=before)
    gap = gateway.place(Fault(kind="gap", at="before live 2 of scores", connection=1, loss="lost"))
    lost = gateway.publish("scores", scores(fixture_id, "p2", 2))
    assert (await gateway.wait_receipt(gap)).fired == 1
    demanded = controls(gateway, "snapshot_required")[-1]
    assert demanded["frame"]["channels"] == ["scores"]
    after = gateway.publish("scores", scores(fixture_id, "p3", 3))
    assert records(gateway, "sent", connection=1, channel="scores", entryId=after)
    if stalled is not None:
        await gateway.wait_receipt(stalled)
    gateway.drop()
    gateway.publish("scores", scores(fixture_id, "p4", 4))
    await until("the client has logged in again", lambda: len(logins(gateway)) == 2)
    return Loss(lost=lost, resumed_at=records(gateway, "login")[-1]["n"])


async def test_the_template_logs_in_receives_and_resumes_after_a_drop(
    template: Callable[[GatewayServer], list[str]],
) -> None:
    options = GatewayOptions(rate=100, fixtures=3)
    async with open_gateway(options, seed=3) as gateway, running(template(gateway)) as program:
        await until("it logs in", lambda: len(logins(gateway)) == 1)
        for channel in ("fixtures", "scores"):
            gateway.publish(channel)
        await until(
            "it is sent updates",
            lambda: len(records(gateway, "sent", connection=1, how="live")) >= 20,
        )
        gateway.drop()
        missed = gateway.publish("scores")
        await until("it logs in again", lambda: len(logins(gateway)) == 2)
        await until("it says it has resumed", lambda: SAYS_RESUMED in program.lines)
        epoch = gateway.core.epoch

        first, second = logins(gateway)
        assert "lastSeenId" not in first
        assert second["serverEpoch"] == epoch
        assert second["lastSeenId"].keys() == {"fixtures", "scores"}
        for channel, cursor in second["lastSeenId"].items():
            assert records(gateway, "sent", connection=1, channel=channel, entryId=cursor)
        assert records(gateway, "sent", connection=2, entryId=missed, how="replayed")
        assert controls(gateway, "resume_complete")[0]["frame"]["serverEpoch"] == epoch


async def test_the_template_takes_a_resume_for_success_over_an_entry_it_never_had(
    template: Callable[[GatewayServer], list[str]],
) -> None:
    """HZ-A2: the cursor grew again while the base was missing."""
    async with open_gateway(STILL) as gateway, running(template(gateway)) as program:
        await until("it logs in", lambda: len(logins(gateway)) == 1)
        loss = await lose_one_and_drop(gateway)
        await until("it says it has resumed", lambda: SAYS_RESUMED in program.lines)

        assert records(gateway, "entry", channel="scores", entryId=loss.lost)
        assert not records(gateway, "sent", channel="scores", entryId=loss.lost)
        assert not records(gateway, "request")
        assert "scores" in logins(gateway)[1]["lastSeenId"]
        assert controls(gateway, "resume_complete")
        assert len(controls(gateway, "snapshot_required")) == 1


async def test_the_same_schedule_leaves_our_client_with_the_truth() -> None:
    """The same loss, with a snapshot that stalls until the connection is gone."""
    async with open_gateway(STILL) as gateway:
        arguments = command(
            *("tail", gateway.ws_url, "--report", "--sports", ",".join(map(str, SPORTS)))
        )
        async with running(arguments) as program:
            await until(
                "it is synced", lambda: claims(program) == dict.fromkeys(CHANNELS, "synced")
            )
            stalled = gateway.place(Fault(kind="stall", at="on request /fixtures 1"))
            loss = await lose_one_and_drop(gateway, stalled=stalled)
            await until_true(program, gateway)

        assert not records(gateway, "sent", channel="scores", entryId=loss.lost)
        assert "scores" not in logins(gateway)[1].get("lastSeenId", {})
        fetched = records(gateway, "request", path="/en/fixtures", status=200)
        assert any(record["n"] > loss.resumed_at for record in fetched)


def claims(program: Program) -> dict[str, str]:
    return {e["channel"]: e["state"] for e in program.events() if e.get("event") == "status"}


async def until_true(program: Program, gateway: GatewayServer) -> None:
    """Asks the client for its state until it is the truth, with every channel synced."""
    verdicts: tuple[ChannelVerdict, ...] = ()
    with trio.move_on_after(PATIENCE_S):
        while True:
            asked = len(states(program))
            await program.tell("state")
            while len(states(program)) == asked:
                await trio.sleep(0.02)
            truth = gateway.truth_state(channels=CHANNELS, sport_ids=SPORTS)
            verdicts = compare(states(program)[-1], truth, CHANNELS)
            if set(claims(program).values()) == {"synced"} and all(v.equal for v in verdicts):
                return
            await trio.sleep(0.1)
    raise AssertionError([verdict.difference for verdict in verdicts])


def states(program: Program) -> list[dict[str, Any]]:
    return [event["state"] for event in program.events() if event.get("event") == "state"]
