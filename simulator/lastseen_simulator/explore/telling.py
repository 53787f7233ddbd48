"""A schedule in words: one numbered line a step, for whoever has to understand it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from lastseen.shapes import as_object
from lastseen_simulator.explore.search import Finding
from lastseen_simulator.explore.states import Action
from lastseen_simulator.explore.worlds import World

__all__ = ["describe", "lines_of", "members_of"]

_SENTENCES: Final = {
    "start": "a client starts",
    "take": "the application takes what waits for it, up to the next entry, snapshot or status",
    "commit": "the commit under way becomes durable",
    "crash": "the client crashes and starts again",
    "crash after the commit": "the commit becomes durable, but the client crashes before it knows",
    "restart": "the gateway restarts: a new epoch, every connection ends",
    "notice": "the gateway asks everybody to reconnect",
}

_UNIT_CHARACTERS: Final = 12


def describe(action: Action, world: World) -> str:
    """One step in one sentence."""
    match action:
        case ("settle", count, under_way):
            entries = "one entry has" if count == 1 else f"{count or 'no'} entries have"
            another = ", and another is on its way" if under_way else ""
            return f"a client has started and is in sync; {entries} reached it{another}"
        case ("open", number):
            return f"connection {number} opens and logs in"
        case ("deliver", number, item) if item < 0:
            return f"the client hears that connection {number} has ended"
        case ("deliver", number, item):
            return f"connection {number} brings {_frame(world.text(item))}"
        case ("serve", fetch):
            return f"the gateway answers snapshot request {fetch} with the market as it is"
        case ("serve stale", fetch):
            return f"the gateway answers snapshot request {fetch} from a replica that lags behind"
        case ("fail", fetch):
            return f"snapshot request {fetch} fails on its way"
        case ("answer", fetch, _):
            return f"the answer to snapshot request {fetch} arrives"
        case ("sleep", seconds):
            return f"{seconds:g} s pass"
        case ("publish", channel, unit, version):
            shown = unit if len(unit) <= _UNIT_CHARACTERS else f"{unit[:_UNIT_CHARACTERS]}…"
            return f"the gateway publishes version {version} of {channel} {shown}".rstrip()
        case ("drop", number):
            return f"connection {number} breaks; what was under way is lost"
        case ("demand", _):
            return "the gateway says snapshot_required: client_backpressure"
        case (name, *_):
            return _SENTENCES[name]
        case _:
            raise AssertionError(action)


def lines_of(finding: Finding, world: World) -> Iterator[str]:
    """The whole finding."""
    yield f"situation: {finding.situation}"
    for number, step in enumerate(finding.steps):
        yield f"{number:4}  {describe(step.action, world)}"
    for problem in finding.problems:
        yield f"   =>  {problem}"


def members_of(finding: Finding, world: World) -> dict[str, Any]:
    """The same for programs."""
    return {
        "situation": finding.situation,
        "length": len(finding.steps) - 1,
        "steps": [describe(step.action, world) for step in finding.steps],
        "problems": list(finding.problems),
    }


def _frame(item: object) -> str:
    """What a frame says, as far as it matters here."""
    if not isinstance(item, str | bytes):
        return "the head of a success"
    frame = msgspec.json.decode(item, type=dict[str, Any])
    if (result := as_object(frame.get("result"))) is not None:
        return _record(result)
    if "error" in frame:
        return "an error, which ends the stream"
    kind = frame.get("type", "")
    if "entryId" in frame:
        return f"entry {frame['entryId']} of {frame['channel']}"
    resume = frame.get("resume")
    if isinstance(resume, dict):
        epoch = str(resume.get("serverEpoch"))[:6]  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return f"login_ok: epoch {epoch}…, heads {resume.get('serverEntryIds')}"  # pyright: ignore[reportUnknownMemberType]
    if kind == "snapshot_required":
        return f"snapshot_required for {', '.join(frame['channels'])}: {frame['reason']}"
    return str(kind)


def _record(record: Mapping[str, Any]) -> str:
    """What a record of a stream says."""
    if "snapshot" in record:
        return f"a snapshot of {len(record['snapshot'].get('orders', ()))} orders"
    executions = record.get("update", record).get("executions", ())
    if executions:
        return f"execution {', '.join(str(each['id']) for each in executions)}"
    return "a heartbeat"
