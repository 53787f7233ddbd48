"""What both clients need: settings, the report, and the pauses between attempts."""

import json
import os
import random
from pathlib import Path
from typing import Any

KEY = os.environ["LASTSEEN_API_KEY"]
WS_URL = os.environ["LASTSEEN_WS_URL"]
HTTP_URL = os.environ.get("LASTSEEN_HTTP_URL", "")
CHANNELS = os.environ["LASTSEEN_CHANNELS"].split(",")
STATE_DIR = Path(os.environ.get("LASTSEEN_STATE_DIR", "."))


def seconds(name: str, default: float) -> float:
    """A timer: `LASTSEEN_…_S`, or what we use against the vendor."""
    return float(os.environ.get(f"LASTSEEN_{name}_S", default))


def say(event: str, **members: Any) -> None:
    """One line of the report; a peer may have repeated the key in what is told."""
    print(json.dumps({"event": event, **members}).replace(KEY, "***"), flush=True)


class Backoff:
    """Pauses that double and are jittered; they start anew after a login that lasted."""

    def __init__(self) -> None:
        self.base, self.cap = seconds("BACKOFF_BASE", 1), seconds("BACKOFF_CAP", 30)
        self.stable_after = seconds("STABLE_AFTER", 10)
        self.failures = 0

    def pause(self) -> float:
        """How long to wait before the next attempt."""
        whole = min(self.cap, self.base * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return random.uniform(whole / 2, whole)

    def lasted(self, how_long: float) -> None:
        """A connection has ended that was logged in for so long."""
        if how_long >= self.stable_after:
            self.failures = 0
