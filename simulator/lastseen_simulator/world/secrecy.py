"""INV-S16: the key of a run is a canary, and nothing that a client says or keeps may show it.

Looked through: what the application is told, the session's claims, every effect but for the place
where the key leaves for the peer, what is committed, and the lines of the story.
"""

import base64
import re
from typing import Any, Final, final
from urllib.parse import quote

import attrs

from lastseen.effects import Connect, Effect, FetchSnapshot, Send, Subscribe
from lastseen.events import Entry, Event, ItemChanged
from lastseen.secret import Secret

__all__ = ["ECHO", "Canary", "SecrecyWatch", "forms_of"]

ECHO: Final = "{key}"
"""In a text that a plan lets the peer send: the key, which no plan may contain."""

_SHIFTS: Final = 3
"""Base64 takes three bytes at a time, so a key looks different at three offsets."""


def forms_of(key: str) -> tuple[str, ...]:
    """How a key may look: plain, percent-encoded, in base64 at any offset, and in hexadecimal.

    >>> [each for each in forms_of("a/b") if "%" in each or each == "612f62"]
    ['612f62', 'a%2Fb']
    """
    raw = key.encode()
    forms = {key, quote(key, safe=""), raw.hex()}
    for shift in range(_SHIFTS):
        whole = len(raw) - (shift + len(raw)) % _SHIFTS
        skipped = -(-shift * 8 // 6)
        text = base64.b64encode(b"\0" * shift + raw[:whole]).decode()[skipped:]
        forms |= {text, text.replace("+", "-").replace("/", "_")}
    return tuple(sorted(forms))


@final
class Canary:
    """A key, and whether a text contains it in any form."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._forms = tuple(dict.fromkeys(form.lower() for form in forms_of(key)))

    def __repr__(self) -> str:
        return "Canary('***')"

    def is_in(self, text: str) -> bool:
        """Whether the text shows the key."""
        lowered = text.lower()
        return any(form in lowered for form in self._forms)

    def hide(self, text: str) -> str:
        """The text without the key, for the story."""
        return re.sub("|".join(map(re.escape, self._forms)), "***", text, flags=re.IGNORECASE)


@final
@attrs.define(eq=False, kw_only=True)
class SecrecyWatch:
    """Tells whether something shows the key; `revealing` is the effect that takes it to the peer.

    The first message on a connection is the login of a wire that logs in with one.
    """

    canary: Canary
    in_login: bool = False
    """The wire's login contains the key, so the first message of a connection does."""
    _said: set[int] = attrs.field(factory=set[int])

    def reborn(self) -> None:
        """Another life numbers its connections anew."""
        self._said.clear()

    def event(self, event: Event) -> bool:
        """Whether an event shows it; the payload of an entry is the peer's, as it came."""
        if isinstance(event, Entry):
            return self.canary.is_in(f"{event.channel} {event.id} {event.entity}")
        if isinstance(event, ItemChanged):
            return self.canary.is_in(repr(event.key))
        return self.canary.is_in(repr(event))

    def effect(self, effect: Effect) -> bool:
        """Whether an effect shows it, or takes it where it does not belong."""
        return self.canary.is_in(repr(effect)) or self.canary.is_in(self._open_part(effect))

    def claims(self, session: Any) -> bool:
        """Whether what a session says of itself shows it."""
        return any(
            self.canary.is_in(text)
            for text in (repr(session), repr(session.status()), repr(session.anomalies()))
        )

    def stored(self, record: object) -> bool:
        """Whether what is on the disk shows it."""
        return self.canary.is_in(repr(record))

    def _open_part(self, effect: Effect) -> str:
        """What of an effect goes over the wire beside the key's own place."""
        match effect:
            case Send():
                first = effect.connection not in self._said
                self._said.add(effect.connection)
                return "" if first and self.in_login else effect.text.reveal()
            case Subscribe():
                return f"{effect.request.path} {effect.request.body.reveal()}"
            case Connect():
                return _open_names(effect.query)
            case FetchSnapshot():
                return " ".join(
                    f"{each.path} {_open_names(each.query)} {each.headers}"
                    for each in effect.requests
                )
            case _:
                return ""


def _open_names(query: tuple[tuple[str, str | Secret], ...]) -> str:
    """The parts of a query that are not held as secrets."""
    return " ".join(
        name if isinstance(value, Secret) else f"{name}={value}" for name, value in query
    )
