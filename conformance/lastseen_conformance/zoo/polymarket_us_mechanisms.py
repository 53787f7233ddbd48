"""Mechanisms of a stream's session of which one answer is wrong."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from lastseen.backoff import ConnectGate
from lastseen.escalation import Escalation
from lastseen.identities import Identities, Verdict
from lastseen.pages import Pages
from lastseen.position import Position
from lastseen.progress import Progress
from lastseen.secret import Secret
from lastseen.stream_messages import StreamSnapshot
from lastseen.tokens import TokenKeeper

__all__ = [
    "FirstToken",
    "NeverAhead",
    "NeverEscalates",
    "NeverForgets",
    "NoToken",
    "OpenIsGood",
    "PageIsWhole",
    "by_first_name",
    "nothing_seen",
]


class OpenIsGood(ConnectGate):
    """Takes every answer for a good one, and begins anew with its pauses."""

    def take(self, *, now: float) -> bool:
        """Uses up a due attempt."""
        taken = super().take(now=now)
        if taken and self.failures > 1:
            self.failures = 1
        return taken


class NeverEscalates(Escalation):
    """Never gives up a token."""

    def failed(self, position: Position) -> bool:
        """Notes a resume that got no further."""
        del position
        return False


class NoToken(TokenKeeper):
    """Keeps no token."""

    def token(self, channel: str) -> Secret | None:
        """There is none."""
        del channel
        return None


class FirstToken(TokenKeeper):
    """Keeps the first token that it was ever given."""

    def advance(self, channel: str, entry_id: str) -> None:
        """Notes that everything up to this entry has been processed."""
        if self.cursor(channel) is None:
            super().advance(channel, entry_id)


class NeverForgets(TokenKeeper):
    """Keeps a token whatever the peer says of it."""

    def drop(self, channel: str) -> None:
        """Nothing is dropped."""


class NeverAhead(Progress):
    """Believes whatever was said last."""

    def admit(self, unit: str, progress: tuple[int, ...]) -> bool:
        """Notes how far along a unit is; it is never behind."""
        super().admit(unit, progress)
        return True

    def regressing(self, units: Mapping[str, tuple[int, ...]]) -> str | None:
        """No unit goes back."""
        del units
        return None


class PageIsWhole(Pages):
    """Takes every page for a snapshot."""

    def put(self, page: StreamSnapshot) -> StreamSnapshot | None:
        """Takes a page; it is whole."""
        return StreamSnapshot(rows=page.rows, progress=page.progress, taken_at=None, last=True)


class _NothingSeen:
    """Remembers no entry."""

    def __init__(self, items_max: int) -> None:
        del items_max

    def admit(self, key: tuple[str, ...], body: bytes | msgspec.Raw) -> Verdict:
        """Whatever comes is new."""
        del key, body
        return Verdict.NEW

    def forget(self, key: tuple[str, ...]) -> None:
        """There is nothing to forget."""

    def __len__(self) -> int:
        return 0


class _ByFirstName:
    """Knows entries by the first part of their identity that is a name."""

    def __init__(self, items_max: int) -> None:
        self.true = Identities(items_max)

    def admit(self, key: tuple[str, ...], body: bytes | msgspec.Raw) -> Verdict:
        """Judges an entry; another state is a repetition."""
        del body
        return self.true.admit(key[:2], b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.true, name)

    def __len__(self) -> int:
        return len(self.true)


def nothing_seen(items_max: int) -> Identities:
    """For `Mechanisms`."""
    return cast("Identities", _NothingSeen(items_max))


def by_first_name(items_max: int) -> Identities:
    """For `Mechanisms`."""
    return cast("Identities", _ByFirstName(items_max))
