"""REST snapshots: no redirect is followed, because the key is in the query (op.snapshot.*)."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from lastseen_conformance.clients.python.common import HTTP_URL, KEY, seconds

BODY_BYTES_MAX = 32 << 20


class Unavailable(Exception):  # noqa: N818 - an answer, not an error of ours
    """No snapshot; `wait` is what the server asked for, in seconds."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def get(path: str, **query: Any) -> Any:
    """GETs a JSON document; call it in a thread. Raises `Unavailable`."""
    text = urllib.parse.urlencode({"apiKey": KEY, **query})
    request = urllib.request.Request(f"{HTTP_URL}{path}?{text}")
    request.add_header("Cache-Control", "no-cache")
    try:
        with _opener.open(request, timeout=seconds("SNAPSHOT_TIMEOUT", 20)) as answer:
            return json.loads(answer.read(BODY_BYTES_MAX))
    except urllib.error.HTTPError as error:
        with error:
            wait = error.headers.get("Retry-After", "")
        raise Unavailable(f"HTTP {error.code}", float(wait) if wait.isdecimal() else 0.0) from None
    except (OSError, ValueError, RecursionError, urllib.error.URLError) as error:
        raise Unavailable(type(error).__name__) from None
    except Exception as error:  # http.client has exceptions of its own for answers that are cut
        raise Unavailable(type(error).__name__) from None
