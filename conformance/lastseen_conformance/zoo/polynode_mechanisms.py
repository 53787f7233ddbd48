"""Lifecycles of items of which one answer is wrong."""

from collections.abc import Sequence
from typing import Any, cast

from lastseen.identities import Identities, Verdict
from lastseen.lifecycle import Change, ItemKey, ItemState, Lifecycle

__all__ = ["first_only", "forgets_orphans", "late_is_lost", "no_tombstones", "nothing_seen"]


class _Around:
    """A lifecycle that asks another one, and spoils one answer."""

    def __init__(self, **how: Any) -> None:
        self.true = Lifecycle(**how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.true, name)


class _ForgetsOrphans(_Around):
    """Forgets a confirmation of what it does not know."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.known: set[str] = set()

    def pending(self, key: ItemKey, *, now: float) -> Sequence[Change]:
        """An item is pending."""
        self.known.add(key[0])
        return self.true.pending(key, now=now)

    def update(self, transaction: str, *, now: float) -> Sequence[Change]:
        """A transaction is confirmed."""
        return self.true.update(transaction, now=now) if transaction in self.known else ()


class _LateIsLost(_Around):
    """Takes a timeout for the end."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.over: set[str] = set()

    def expire(self, *, now: float) -> Sequence[Change]:
        """The items whose deadline has passed."""
        changes = self.true.expire(now=now)
        self.over |= {change.key[0] for change in changes}
        return changes

    def update(self, transaction: str, *, now: float) -> Sequence[Change]:
        """A transaction is confirmed."""
        return () if transaction in self.over else self.true.update(transaction, now=now)


class _NoTombstones(_Around):
    """Forgets an item that is over, and meets it as a new one."""

    def pending(self, key: ItemKey, *, now: float) -> Sequence[Change]:
        """An item is pending."""
        if self.true.state(key) is ItemState.TIMED_OUT:
            self.true.forget(key)
        return self.true.pending(key, now=now)


class _NothingSeen:
    """Remembers no event."""

    def __init__(self, items_max: int) -> None:
        del items_max

    def admit(self, key: tuple[str, ...], body: object) -> Verdict:
        """Whatever comes is new."""
        del key, body
        return Verdict.NEW

    def forget(self, key: tuple[str, ...]) -> None:
        """There is nothing to forget."""


class _FirstOnly(_Around):
    """Thinks that a transaction has one settlement."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.first: dict[str, ItemKey] = {}

    def pending(self, key: ItemKey, *, now: float) -> Sequence[Change]:
        """An item is pending."""
        self.first.setdefault(key[0], key)
        return self.true.pending(key, now=now)

    def update(self, transaction: str, *, now: float) -> Sequence[Change]:
        """A transaction is confirmed."""
        first = self.first.get(transaction)
        if first is None:
            return self.true.update(transaction, now=now)
        return self.true.confirmed(first, now=now)


def forgets_orphans(**how: Any) -> Lifecycle:
    """For `Mechanisms`."""
    return cast("Lifecycle", _ForgetsOrphans(**how))


def late_is_lost(**how: Any) -> Lifecycle:
    """For `Mechanisms`."""
    return cast("Lifecycle", _LateIsLost(**how))


def no_tombstones(**how: Any) -> Lifecycle:
    """For `Mechanisms`."""
    return cast("Lifecycle", _NoTombstones(**how))


def nothing_seen(items_max: int) -> Identities:
    """For `Mechanisms`."""
    return cast("Identities", _NothingSeen(items_max))


def first_only(**how: Any) -> Lifecycle:
    """For `Mechanisms`."""
    return cast("Lifecycle", _FirstOnly(**how))
