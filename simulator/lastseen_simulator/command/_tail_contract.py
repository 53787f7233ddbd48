"""What the environment tells a client under test: timers, and where its state belongs."""

import math
import os
from collections.abc import Mapping
from typing import Any, Final

from lastseen.errors import ConfigurationError
from lastseen.options import HistoryOptions, SessionOptions, StreamOptions

__all__ = ["state_file", "timers"]

_STATE_FILE: Final = "feed.db"


def timers(
    options: type[SessionOptions] | type[HistoryOptions] | type[StreamOptions],
) -> dict[str, Any]:
    """Every `LASTSEEN_…_S` that is a timer of these options, by the option's name.

    Raises `ConfigurationError` for one that is no number of seconds.
    """
    known: dict[str, Any] = {}
    for name in options.__struct_fields__:
        text = os.environ.get(f"LASTSEEN_{name.upper()}")
        if text is None or not name.endswith("_s"):
            continue
        try:
            known[name] = float(text)
        except ValueError:
            known[name] = math.nan
        if not math.isfinite(known[name]):
            raise ConfigurationError(f"LASTSEEN_{name.upper()} takes seconds")
    return known


def state_file(environment: Mapping[str, str]) -> str | None:
    """A file in the folder that a harness gives its client, when there is one."""
    folder = environment.get("LASTSEEN_STATE_DIR")
    return os.path.join(folder, _STATE_FILE) if folder else None
