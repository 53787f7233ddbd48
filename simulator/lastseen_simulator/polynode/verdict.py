"""Has each item come to what the gateway let a client hear? Judged to the first that has not."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, cast

from lastseen_simulator.verdict import ChannelVerdict

__all__ = ["STATEFUL", "compare", "compare_items"]

STATEFUL: Final = ("settlement",)
"""The types of events that leave something to compare: settlements are items."""

_PREFIX: Final = "settlement/"


def compare(
    client: Mapping[str, Any], truth: Mapping[str, Any], channels: Iterable[str]
) -> tuple[ChannelVerdict, ...]:
    """Compares item name → state, or → an object with a `state`, with the truth, for settlements.

    Confirmed is what the truth calls so, and nothing else: what it calls pending may wait or have
    timed out, which only the client's own clock can say.
    """
    return tuple(compare_items(client, truth) for _ in channels)


def compare_items(
    client: Mapping[str, Any],
    truth: Mapping[str, Any],
    *,
    may_lack: Callable[[int], bool] = lambda _: False,
) -> ChannelVerdict:
    """The same; an item published at a moment that `may_lack` excuses, in epoch ms, may be absent.

    That is for what fell into a gap that the client has told.
    """
    theirs = {key: each for key, each in truth.items() if key.startswith(_PREFIX)}
    difference = next(_differences(client, theirs, may_lack), None)
    return ChannelVerdict(channel="settlement", units=len(theirs), difference=difference)


def _differences(
    client: Mapping[str, Any], truth: Mapping[str, Any], may_lack: Callable[[int], bool]
) -> Iterator[str]:
    for key, each in truth.items():
        if key not in client:
            if not may_lack(each["published_at"]):
                yield f"{key} is missing"
            continue
        state = _state_of(client[key])
        if (state == "confirmed") != (each["state"] == "confirmed"):
            yield f"{key} is {state}, should be {each['state']}"
    for key in client:
        if key.startswith(_PREFIX) and key not in truth:
            yield f"{key} should not be there"


def _state_of(value: Any) -> Any:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get("state")
    return value
