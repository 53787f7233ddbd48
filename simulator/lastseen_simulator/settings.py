"""What a gateway for tests is made from: keywords in, checked settings out.

The keywords are those of the pytest marker and of `start_gateway`: `dialect`, `seed`, `faults`,
`must_fire`, `port`, `keys`, and every knob of the gateway by its name (`gateway.options`).
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

import attrs

from lastseen_simulator.dialects import DEFAULT, GATEWAYS, AnyOptions
from lastseen_simulator.faults import (
    Fault,
    FaultError,
    FaultFileError,
    check_dialect,
    fault_from,
    load_faults,
)
from lastseen_simulator.knobs import KnobError, knobs_in, parse_knobs
from lastseen_simulator.profiles import profiles_of

__all__ = [
    "GatewaySettings",
    "SettingError",
    "faults_from",
    "one_fault",
    "settings_from",
]

OWN: Final = ("dialect", "seed", "faults", "must_fire", "port", "keys")


T = TypeVar("T")


class SettingError(ValueError):
    """A setting that cannot be; the message is one line and names what could."""


@attrs.frozen(kw_only=True)
class GatewaySettings:
    """A gateway to start: the market rests unless told otherwise, so that tests are repeatable.

    `judged` says that each of `faults` has to fire, or the test that asked for it proves nothing.
    `port` 0 takes a free one.
    """

    options: AnyOptions = attrs.field(factory=lambda: GATEWAYS[DEFAULT].options(rate=0.0))
    seed: int = 0
    port: int = 0
    faults: tuple[Fault, ...] = ()
    judged: bool = True


def settings_from(given: Mapping[str, Any], *, folder: Path) -> GatewaySettings:
    """Checks keywords; fault files lie in `folder`. Raises `SettingError`."""
    own = {name: value for name, value in given.items() if name in OWN}
    dialect = own.get("dialect", DEFAULT)
    if dialect not in GATEWAYS:
        raise SettingError(f"no such dialect: {dialect} (dialects: {', '.join(GATEWAYS)})")
    source = own.get("faults", ())
    faults = faults_from(source, folder=folder, dialect=dialect)
    _check_dialect(faults, dialect)
    return GatewaySettings(
        options=_options(given, own.get("keys"), dialect),
        seed=_whole("seed", own.get("seed", 0)),
        port=_whole("port", own.get("port", 0)),
        faults=faults,
        # A profile is weather: nobody can say which of its faults a short test will meet.
        judged=bool(own.get("must_fire", True)) and not _is_profile(source, dialect),
    )


def faults_from(source: object, *, folder: Path, dialect: str = DEFAULT) -> tuple[Fault, ...]:
    """Faults from a profile's name, a file, TOML text, one fault, or several.

    A fault is a `Fault` or a mapping with the members of one. Raises `SettingError`.
    """
    if isinstance(source, str | Path):
        return _faults_named(source, folder, dialect)
    if isinstance(source, Fault | Mapping):
        return (one_fault(cast("Fault | Mapping[str, Any]", source)),)
    if not isinstance(source, Iterable):
        raise SettingError(f"faults takes a profile, a file, or a list of faults, not {source!r}")
    return tuple(one_fault(each) for each in cast("Iterable[object]", source))


def one_fault(source: object, members: Mapping[str, Any] = MappingProxyType({})) -> Fault:
    """A fault as it is, or from its kind and `members`, a mapping, TOML text.

    Raises `SettingError`.
    """
    try:
        if isinstance(source, str) and not _is_toml(source):
            return fault_from({"kind": source, **members})
        if members:
            raise SettingError(f"a whole fault takes no more members: {', '.join(members)}")
        if isinstance(source, Fault):
            return source
        if isinstance(source, Mapping):
            return fault_from(cast("Mapping[str, Any]", source))
    except FaultError as error:
        raise SettingError(str(error)) from None
    if not isinstance(source, str):
        raise SettingError(f"a fault is a Fault, its members or TOML text, not {source!r}")
    faults = _loaded(source, "faults")
    if len(faults) != 1:
        raise SettingError(f"one fault at a time, not {len(faults)}")
    return faults[0]


def _check_dialect(faults: Iterable[Fault], dialect: str) -> None:
    for fault in faults:
        try:
            check_dialect(fault, dialect)
        except FaultError as error:
            raise SettingError(str(error)) from None


def _faults_named(source: str | Path, folder: Path, dialect: str) -> tuple[Fault, ...]:
    profiles = profiles_of(dialect)
    if isinstance(source, str):
        if source in profiles:
            return profiles[source]
        if _is_toml(source):
            return _loaded(source, "faults")
    try:
        return _loaded((folder / source).read_text(encoding="utf-8"), str(source))
    except FileNotFoundError:
        names = ", ".join(sorted(profiles))
        trouble = f"faults={str(source)!r} is neither a profile ({names}) nor a file in {folder}"
    except UnicodeDecodeError:
        trouble = f"{source}: not UTF-8"
    except OSError as error:
        trouble = f"{source}: {error.strerror}"
    raise SettingError(trouble)


def _is_profile(source: object, dialect: str) -> bool:
    return isinstance(source, str) and source in profiles_of(dialect)


def _is_toml(text: str) -> bool:
    return "[[" in text


def _loaded(text: str, name: str) -> tuple[Fault, ...]:
    try:
        return load_faults(text)
    except FaultFileError as error:
        raise SettingError(f"{name}:{error}") from None


def _options(given: Mapping[str, Any], keys: object, dialect: str) -> AnyOptions:
    """The options; the market rests unless `rate` says otherwise."""
    kind = GATEWAYS[dialect]
    known = [each.name for each in knobs_in(kind.options)]
    values: dict[str, Any] = {"rate": 0.0}
    for name, value in given.items():
        if name in OWN:
            continue
        if name not in known:
            raise SettingError(_unknown(name, [*OWN, *known]))
        try:
            values |= parse_knobs(kind.options, (f"{name}={_as_text(value)}",))
        except KnobError as error:
            raise SettingError(str(error)) from None
    if keys is not None:
        values["keys"] = _grants(keys, kind.grant)
    try:
        return kind.options(**values)
    except ValueError as error:
        raise SettingError(str(error)) from None


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", perhaps {near[0]}?" if near else ""
    return f"no such setting: {name}{hint} (settings: {', '.join(known)})"


def _as_text(value: object) -> str:
    """A value as `parse_knobs` reads it."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case str():
            return value
        case list() | tuple() | set() | frozenset():
            return ",".join(map(_as_text, cast("Iterable[object]", value)))
        case _:
            return repr(value)


def _grants(keys: object, grant: type[T]) -> tuple[T, ...]:
    listed: list[object] = list(cast("Iterable[object]", keys)) if _is_listing(keys) else []
    grants = [each for each in listed if isinstance(each, grant)]
    if not grants or len(grants) < len(listed):
        # What was given may be a key, so it is not repeated.
        raise SettingError(f"keys takes a list of KeyGrant, of {grant.__module__}")
    return tuple(grants)


def _is_listing(value: object) -> bool:
    return isinstance(value, list | tuple)


def _whole(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise SettingError(f"{name} takes a whole number, not {value!r}")
