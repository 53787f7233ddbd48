"""A plan: everything about one run that is not code, as data that can be cut, kept and played.

What happens in a run follows from its plan alone. Shrinking leaves actions out; replaying plays the
same plan again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self, cast, final

import attrs
import msgspec

__all__ = ["Action", "Plan", "PlanError", "SCHEMA", "tuples"]

SCHEMA: Final = "lastseen.plan/1"

CLIENTS_MAX: Final = 16
ACTIONS_MAX: Final = 10_000
SECONDS_MAX: Final = 3600.0
TIMES_MAX: Final = 1000
"""What a plan from a file may ask for; a drawn one stays far below."""

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
            plan = msgspec.convert(read, cls)
        except msgspec.ValidationError as error:
            raise PlanError(f"not a plan: {error}") from None
        trouble = next(_troubles(plan, read), None)
        if trouble is not None:
            raise PlanError(f"not a plan: {trouble}")
        return plan


def _troubles(plan: Plan, read: Mapping[str, Any]) -> Iterator[str]:
    """What a plan of the right types may not say all the same."""
    yield from (f"unknown member {name}" for name in read.keys() - _names(Plan))
    if not 0 < plan.clients <= CLIENTS_MAX:
        yield f"clients must be 1 to {CLIENTS_MAX}"
    if len(plan.actions) > ACTIONS_MAX:
        yield f"more than {ACTIONS_MAX} actions"
    for name in ("latency_s", "jitter_s", "disk_s", "heal_at"):
        if not 0.0 <= getattr(plan, name) <= SECONDS_MAX:
            yield f"{name} must be 0 to {SECONDS_MAX:.0f}"
    permanent = () if plan.permanent is None else (plan.permanent,)
    for number, action in enumerate((*plan.actions, *permanent), start=1):
        yield from (f"action {number}: {words}" for words in _action_troubles(action, plan))
    listed = [*read.get("actions", ()), *filter(None, (read.get("permanent"),))]
    for number, members in enumerate(listed, start=1):
        unknown = members.keys() - _names(Action)
        yield from (f"action {number}: unknown member {name}" for name in unknown)


def _action_troubles(action: Action, plan: Plan) -> Iterator[str]:
    if not 0.0 <= action.at <= SECONDS_MAX:
        yield f"at must be 0 to {SECONDS_MAX:.0f}"
    if not 0 <= action.client < plan.clients:
        yield f"there is no client {action.client}"
    for name, most in (("times", TIMES_MAX), ("seconds", SECONDS_MAX)):
        value = action.values.get(name, 0)
        if type(value) not in (int, float) or not 0 <= value <= most:
            yield f"{name} must be 0 to {most:.0f}"


def _names(cls: type[Any]) -> set[str]:
    return {field.name for field in attrs.fields(cls)}


def tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that options take.

    >>> tuples({"a": ["x"], "b": 1})
    {'a': ('x',), 'b': 1}
    """
    return {
        name: tuple(cast("Sequence[Any]", value)) if isinstance(value, list) else value
        for name, value in values.items()
    }
