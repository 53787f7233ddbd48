"""Who plays: what a world needs of a client and a gateway, whatever they speak."""

from collections.abc import Callable
from typing import Any, final

import attrs

from lastseen.mechanisms import Mechanisms
from lastseen_simulator.explore.copying import Copier
from lastseen_simulator.explore.fingerprints import Fingerprints
from lastseen_simulator.explore.oracle import Log
from lastseen_simulator.explore.scopes import Situation

__all__ = ["Cast"]


@final
@attrs.frozen(kw_only=True)
class Cast:
    """A client and a gateway: `clients` and `venues` show what both must be able to do.

    `open` makes a gateway, `stage` what clients are told of it, `start` a client that finds
    something on its disk, or None. `unit` is the full name of what is published. `judge` says what
    is wrong with what can be seen of a client, by the log of what was published, and `is_true`
    whether all is as it should be. `resumes` says whether something that is sent asks to resume.
    """

    open: Callable[[Situation], Any]
    stage: Callable[[Situation, Any], Any]
    start: Callable[[Any, Mechanisms, Any], Any]
    unit: Callable[[Any, str, str], str]
    judge: Callable[[Any, Log, Situation], list[str]]
    is_true: Callable[[Any, Log], bool]
    client_copier: Copier
    client_prints: Fingerprints
    venue_copier: Copier
    venue_prints: Fingerprints
    resumes: Callable[[Any], bool] = lambda _: False
