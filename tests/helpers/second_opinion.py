"""A second opinion on what payloads and snapshots mean, spelled out channel by channel.

Nothing of it comes from the gateway or the client: where all three agree, the wire is understood.
"""

from collections.abc import Callable, Iterable
from typing import Any

State = dict[str, Any]
Get = Callable[..., Any]

LIVE_ONLY = ("events", "stats", "injuries", "lineups")
FIXTURE_CHANNELS = ("bookmakers", "clocks", "fixtures", "odds", "scores", *LIVE_ONLY)
FUTURE_CHANNELS = ("bookmakersFutures", "futures", "oddsFutures")
GATED = ("bookmakers", "bookmakersFutures", "odds", "oddsFutures")
PRICED = ("odds", "oddsFutures")
RESTORABLE = ("clocks", "currencies", "fixtures", "scores", "futures", *GATED)


def units_in(channel: str, payload: dict[str, Any]) -> State:
    """The units that a payload of the documented shape carries."""
    match channel:
        case "fixtures":
            return {f"fixtures/{payload['fixtureId']}": own(payload, "scores", "clock")}
        case "futures":
            return {f"futures/{payload['futureId']}": own(payload)}
        case "scores":
            return keyed(f"scores/{payload['fixtureId']}", payload["scores"])
        case "clocks":
            return {f"clocks/{payload['fixtureId']}": payload["clock"]}
        case "bookmakers":
            return keyed(f"bookmakers/{payload['fixtureId']}", payload["bookmakers"])
        case "bookmakersFutures":
            return keyed(f"bookmakersFutures/{payload['futureId']}", payload["bookmakers"])
        case "odds":
            return rows(f"odds/{payload['fixtureId']}", payload["odds"])
        case "oddsFutures":
            return rows(f"oddsFutures/{payload['futureId']}", payload["oddsFutures"])
        case "currencies":
            return keyed("currencies", payload.get("rates", payload))
        case _:
            return {}


def own(payload: dict[str, Any], *foreign: str) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if key not in ("bookmakers", *foreign)}


def keyed(prefix: str, parts: dict[str, Any]) -> State:
    return {f"{prefix}/{name}": value for name, value in parts.items()}


def rows(prefix: str, books: dict[str, Any]) -> State:
    return {
        f"{prefix}/{slug}/{key}": row for slug, each in books.items() for key, row in each.items()
    }


def folded(changes: Iterable[tuple[str, dict[str, Any]]], start: State | None = None) -> State:
    """What these payloads add up to, one after another."""
    state = dict(start or {})
    for channel, payload in changes:
        state |= units_in(channel, payload)
    return state


def visible(state: State) -> State:
    """What the vendor's snapshots can show: no inactive rows, no odds of what is over."""
    over = {
        value[member]
        for root, member in (("fixtures/", "fixtureId"), ("futures/", "futureId"))
        for key, value in state.items()
        if key.startswith(root) and value["status"]["statusId"] in (2, 3)
    }
    shown: State = {}
    for key, value in state.items():
        channel, _, rest = key.partition("/")
        if channel in GATED and rest.split("/")[0] in over:
            continue
        if channel in PRICED and not value["active"]:
            continue
        shown[key] = value
    return shown


def restored(get: Get, sports: Iterable[int] = (10, 11, 12)) -> State:
    """Everything that REST can bring back, as units; `get` takes a path and the query."""
    state: State = {}
    for sport in sports:
        for fixture in get("/fixtures", sportId=sport):
            key = fixture["fixtureId"]
            state[f"fixtures/{key}"] = own(fixture, "scores", "clock")
            state |= keyed(f"scores/{key}", fixture["scores"])
            if any(value is not None for value in fixture["clock"].values()):
                state[f"clocks/{key}"] = fixture["clock"]
            answer = get("/fixtures/odds", fixtureId=key)
            state |= rows(f"odds/{key}", answer["odds"])
            state |= keyed(f"bookmakers/{key}", answer["bookmakers"])
        for future in get("/futures", sportId=sport):
            key = future["futureId"]
            state[f"futures/{key}"] = own(future)
            for slug, book in get("/futures/odds", futureId=key)["bookmakers"].items():
                for row in book.pop("odds"):
                    state[f"oddsFutures/{key}/{slug}/{row.pop('oddsId')}"] = row
                state[f"bookmakersFutures/{key}/{slug}"] = book
    rates = get("/currencies")
    return visible(state | keyed("currencies", rates.get("rates", rates)))
