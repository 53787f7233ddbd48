"""What the tests of the state file have in common: a binding, changes, and a look inside."""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from lastseen.dialects.oddspapi import OddsPapi, Subscription
from lastseen.position import Position
from lastseen.replica import ReplicaChanges, ScopeImage, ScopeName, Unit
from lastseen.secret import Secret
from lastseen_trio.store import Binding

KEY = "0123456789abcdef0123456789abcdef"
SCORES: ScopeName = ("scores", None)


def binding(**other: Any) -> Binding:
    key = Secret(KEY)
    subscription = Subscription(channels=("scores", "odds"))
    return attrs.evolve(
        Binding(
            dialect=OddsPapi(subscription=subscription, key=key),
            name="oddspapi",
            endpoint="ws://127.0.0.1:9/ws",
            account=key,
            subscription="scores odds",
        ),
        **other,
    )


def image(units: Mapping[str, Any], *, unproven: bool = False) -> ScopeImage:
    """A scope as a snapshot gives it."""
    return ScopeImage(
        unproven=unproven, units={key: Unit(value, False) for key, value in units.items()}
    )


def changes(
    replaced: Mapping[ScopeName, ScopeImage] | None = None,
    written: Mapping[ScopeName, Mapping[str, Any]] | None = None,
    removed: Iterable[ScopeName] = (),
) -> ReplicaChanges:
    return ReplicaChanges(
        replaced={} if replaced is None else replaced,
        removed=frozenset(removed),
        written={
            name: {key: Unit(value, True) for key, value in units.items()}
            for name, units in ({} if written is None else written).items()
        },
    )


def position(number: int = 1, *channels: str) -> Position:
    """A cursor for each channel, `scores` unless told."""
    names = sorted(channels or ("scores",))
    return Position("e1", tuple((name, f"{number}-1") for name in names), None)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Asks a file that nobody has open."""
    connection = sqlite3.connect(path)
    try:
        found = connection.execute(sql).fetchall()
        connection.commit()
    finally:
        connection.close()
    return found
