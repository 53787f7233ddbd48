"""A plan: everything about one run that is not code, as data that can be cut, kept and played.

What happens in a run follows from its plan alone. Shrinking leaves actions out; replaying plays the
same plan again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self, cast, final

import attrs
import msgspec

__all__ = ["Action", "Plan", "PlanError", "SCHEMA", "tuples"]

SCHEMA: Final = "lastseen.plan/1"

_NO_VALUES: Final[Mapping[str, Any]] = {}


class PlanError(ValueError):
    """A text that is no plan; the message says why, in one line."""


@final
@attrs.frozen(kw_only=True)
class Action:
    """Something that befalls the world at a moment, in seconds since the start.

    `what` is a row of `actions.ACTIONS`; `client` counts from 0 and means nothing to some; `values`
    are JSON.
    """

    at: float
    what: str
    client: int = 0
    values: Mapping[str, Any] = _NO_VALUES


@final
@attrs.frozen(kw_only=True)
class Plan:
    """One run: who takes part, in what circumstances, and what befalls them.

    Until `heal_at` actions happen; then all faults end but `permanent`, and everything has to
    recover. `options` and `knobs` are by their names in the options of the session and of the
    gateway.
    """

    dialect: str
    seed: int
    clients: int = 1
    channels: tuple[str, ...] = ()
    settings: Mapping[str, Any] = _NO_VALUES
    """What the dialect's own client needs to know beside its options."""
    options: Mapping[str, Any] = _NO_VALUES
    knobs: Mapping[str, Any] = _NO_VALUES
    latency_s: float = 0.005
    jitter_s: float = 0.0
    disk_s: float = 0.01
    heal_at: float = 10.0
    permanent: Action | None = None
    actions: tuple[Action, ...] = ()

    def to_json(self) -> str:
        """The plan as text; the same plan gives the same text."""
        made = {"schema": SCHEMA, **msgspec.to_builtins(attrs.asdict(self))}
        return msgspec.json.format(msgspec.json.encode(made), indent=1).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Reads what `to_json` wrote; raises `PlanError` for anything else."""
        try:
            read = msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise PlanError(f"not a plan: {error}") from None
        if read.pop("schema", None) != SCHEMA:
            raise PlanError(f"not a plan: its schema is not {SCHEMA}")
        try:
            actions = tuple(_action(each) for each in read.pop("actions", ()))
            permanent = read.pop("permanent", None)
            read["channels"] = tuple(read.get("channels", ()))
            return cls(
                **read,
                actions=actions,
                permanent=None if permanent is None else _action(permanent),
            )
        except (TypeError, AttributeError) as error:
            raise PlanError(f"not a plan: {error}") from None


def _action(members: object) -> Action:
    if not isinstance(members, dict):
        raise TypeError("an action is an object")
    return Action(**cast("dict[str, Any]", members))


def tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that options take.

    >>> tuples({"a": ["x"], "b": 1})
    {'a': ('x',), 'b': 1}
    """
    return {
        name: tuple(cast("Sequence[Any]", value)) if isinstance(value, list) else value
        for name, value in values.items()
    }
