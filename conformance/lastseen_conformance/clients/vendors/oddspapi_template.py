"""Runs the reconnect template of OddsPapi's own page: `oddspapi_template.py PAGE`.

The page is the vendor's and stays where it is; the template is read from it when this runs. Its
address and its key are replaced, and what it leaves to its reader is filled in, generously: it
fetches all of REST after its first login, and what `snapshot_required` names where it says
"Trigger REST snapshot refresh here". Standard input can stop it, for which it has no way itself.
"""

import json
import os
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

LOGGED_IN = """            if msg_type == "login_ok":
"""
FIRST_FETCH = """                if server_epoch is None:
                    await asyncio.to_thread(refresh, login["channels"])
"""
FETCH_HERE = """                # Trigger REST snapshot refresh here
"""
FETCH = """                await asyncio.to_thread(refresh, channels)
"""


def refresh(channels: list[str]) -> None:
    """Asks REST for everything that these channels are about."""
    fixtures = [each for sport in (10, 11, 12) for each in get(f"/fixtures?sportId={sport}")]
    if "odds" in channels:
        for fixture in fixtures:
            get(f"/fixtures/odds?fixtureId={fixture['fixtureId']}")


def get(path: str) -> Any:
    """GETs a JSON document."""
    base, key = os.environ["LASTSEEN_HTTP_URL"], os.environ["LASTSEEN_API_KEY"]
    with urllib.request.urlopen(f"{base}{path}&apiKey={key}", timeout=10) as answer:
        return json.load(answer)


def template(page: Path) -> str:
    """The last program of the page."""
    text = page.read_text(encoding="utf-8")
    code = text[text.rindex("import asyncio") :]
    replaced = {
        "wss://v5.oddspapi.io/ws": os.environ["LASTSEEN_WS_URL"],
        "YOUR_API_KEY": os.environ["LASTSEEN_API_KEY"],
        LOGGED_IN: LOGGED_IN + FIRST_FETCH,
        FETCH_HERE: FETCH,
    }
    for theirs, ours in replaced.items():
        if code.count(theirs) != 1:
            raise SystemExit(f"the page has no template with {theirs.strip()!r} in it")
        code = code.replace(theirs, ours)
    return code


def obey() -> None:
    """Ends the process at `stop`."""
    for line in sys.stdin:
        if line.strip() == "stop":
            os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=obey, daemon=True).start()
    exec(compile(template(Path(sys.argv[1])), "template.py", "exec"), {"refresh": refresh})
