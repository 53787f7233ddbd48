"""Faults placed by position, and the receipts that say whether they fired.

A fault is data: what goes wrong (`kind`), where (`at`, see `positions`), for whom (`connection`,
the n-th accepted one) and how often (`times`). Each kind takes the parameters listed in `KINDS`.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final, cast

import attrs

from lastseen_simulator.fault_kinds import CHUNK_VIOLATIONS, KINDS, VIOLATIONS, FaultKind
from lastseen_simulator.positions import DATA_NAMES, Position, PositionError, parse_position

__all__ = [
    "CHUNK_VIOLATIONS",
    "KINDS",
    "Fault",
    "FaultError",
    "FaultFileError",
    "FaultKind",
    "Receipt",
    "VIOLATIONS",
    "check_dialect",
    "fault_from",
    "load_faults",
]


class FaultError(ValueError):
    """A fault cannot be: `key` is the member to blame, None when one is missing."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class FaultFileError(ValueError):
    """A fault file is wrong; `line` is where (1-based), `reason` says what."""

    def __init__(self, reason: str, *, line: int) -> None:
        super().__init__(f"{line}: {reason}")
        self.line = line
        self.reason = reason


_LOSSES: Final = ("coalesced", "lost")
_RESTARTS: Final = ("crash", "notice", "silent")
_ENDS: Final = ("well", "bare")
_ORDERS: Final = ("ack_first", "snapshot_first", "live_first")

_ODDSPAPI_ONLY: Final = ("loss", "grace_s")
"""Parameters of kinds that every dialect knows, which mean something in one of them only."""


@attrs.frozen(kw_only=True)
class Fault:
    """One fault; building one that cannot be raises `FaultError`.

    `connection` is the n-th connection accepted since the start (1-based), None for any. `times`
    is how often it strikes at most, 0 for without limit: a position in the stream strikes each
    connection at most once (unless it says `every`), a position at a request also strikes the
    following ones until `times` is used up.
    """

    kind: str
    at: str
    connection: int | None = None
    times: int = 1
    code: int | str | None = None
    reason: str | None = None
    message: str | None = None
    channels: tuple[str, ...] | None = None
    text: str | None = None
    data_hex: str | None = None
    violation: str | None = None
    size_bytes: int | None = None
    seconds: float | None = None
    grace_s: float | None = None
    how: str | None = None
    order: str | None = None
    loss: str | None = None
    bytes_per_s: float | None = None
    status: int | None = None
    retry_after_s: int | None = None
    cut_at: int | None = None
    entries: int | None = None
    offset_ms: int | None = None

    def __attrs_post_init__(self) -> None:
        kind = KINDS.get(self.kind)
        if kind is None:
            raise FaultError(
                f"unknown kind: {self.kind} (known: {', '.join(sorted(KINDS))})", key="kind"
            )
        _check_parameters(self, kind)
        _check_values(self)
        _check_place(self, kind, self.position)

    @property
    def position(self) -> Position:
        """The parsed `at`."""
        try:
            return parse_position(self.at)
        except PositionError as error:
            raise FaultError(str(error), key="at") from None


@attrs.frozen(kw_only=True)
class Receipt:
    """What became of one placed fault; `fired == 0` means it never happened.

    `fired_at` holds the gateway's monotonic seconds, `detail` the last happening in words.
    """

    fault_id: int
    kind: str
    at: str
    fired: int
    fired_at: tuple[float, ...]
    detail: str


_COMMON: Final = ("kind", "at", "connection", "times")
_PARAMETERS: Final = tuple(field.name for field in attrs.fields(Fault) if field.name not in _COMMON)
_TEXTS: Final = (
    "kind",
    "at",
    "reason",
    "message",
    "text",
    "data_hex",
    "violation",
    "how",
    "order",
    "loss",
)
_FLOATS: Final = ("seconds", "grace_s", "bytes_per_s")


def _check_parameters(fault: Fault, kind: FaultKind) -> None:
    for name in _PARAMETERS:
        given = getattr(fault, name) is not None
        if given and name not in kind.takes:
            taken = ", ".join(kind.takes) or "none"
            raise FaultError(f"{fault.kind} takes no {name} (it takes: {taken})", key=name)
        if not given and name in kind.needs:
            raise FaultError(f"{fault.kind} needs {name}")
    if fault.kind == "send" and (fault.text is None) == (fault.data_hex is None):
        raise FaultError("send needs either text or data_hex")
    if fault.kind == "raw" and (fault.violation is None) == (fault.data_hex is None):
        raise FaultError("raw needs either violation or data_hex")
    if fault.kind == "garbage" and None not in (fault.text, fault.data_hex):
        raise FaultError("garbage takes either text or data_hex")


def _check_values(fault: Fault) -> None:
    if fault.times < 0:
        raise FaultError("times must not be negative (0 is without limit)", key="times")
    if fault.connection is not None and fault.connection < 1:
        raise FaultError("connection counts from 1", key="connection")
    for name, known in (
        ("loss", _LOSSES),
        ("how", _ENDS if fault.kind == "end" else _RESTARTS),
        ("order", _ORDERS),
        ("violation", (*VIOLATIONS, *CHUNK_VIOLATIONS)),
    ):
        value = getattr(fault, name)
        if value is not None and value not in known:
            raise FaultError(f"{name} must be one of: {', '.join(known)}", key=name)
    for name in ("size_bytes", "seconds", "grace_s", "cut_at", "entries", "retry_after_s"):
        value = getattr(fault, name)
        if value is not None and not 0 <= value <= _GREATEST:
            raise FaultError(f"{name} must lie between 0 and {_GREATEST}", key=name)
    if fault.bytes_per_s is not None and not fault.bytes_per_s > 0:
        raise FaultError("bytes_per_s must be positive", key="bytes_per_s")
    if fault.status is not None and not 400 <= fault.status <= 599:
        raise FaultError("status must lie between 400 and 599", key="status")
    if fault.data_hex is not None:
        _check_hex(fault.data_hex)
    if fault.kind in ("close", "clean_close_after_login") and fault.code is not None:
        _check_close_code(fault.code)


_GREATEST: Final = 1 << 30
"""Bound of every size and duration: a typing error must not fill the memory."""


def _check_hex(text: str) -> None:
    try:
        bytes.fromhex(text)
    except ValueError:
        raise FaultError("data_hex must be pairs of hex digits", key="data_hex") from None


def _check_close_code(code: int | str) -> None:
    # 1006 and its kin are never on the wire (RFC 6455 §7.4.1); `drop` makes a 1006.
    on_the_wire = isinstance(code, int) and 1000 <= code <= 4999 and code not in (1005, 1006, 1015)
    if not on_the_wire:
        raise FaultError(f"code cannot be sent in a close frame: {code}", key="code")


_INSIDE: Final = ", ".join(name for name, kind in KINDS.items() if kind.target == "cuttable")


def _check_place(fault: Fault, kind: FaultKind, position: Position) -> None:
    where = f"{fault.kind} cannot stand at {fault.at!r}"
    if position.side == "inside" and position.scene == "frame" and kind.target != "cuttable":
        raise FaultError(f"{where}: only {_INSIDE} go inside a frame", key="at")
    match kind.target:
        case "request":
            if position.scene != "request":
                raise FaultError(f"{where}: it needs a request", key="at")
        case "frame":
            if position.scene != "frame" or position.what not in DATA_NAMES:
                raise FaultError(f"{where}: it needs a data, replayed or live frame", key="at")
        case "record":
            if position.scene != "frame":
                raise FaultError(f"{where}: it needs a frame", key="at")
        case "subscribe":
            if position.scene != "subscribe":
                raise FaultError(f"{where}: it needs on subscribe", key="at")
        case "both" | "cuttable" | "anywhere":
            pass
    after_login = fault.kind.endswith("_after_login")
    if after_login and (position.scene, position.what) != ("frame", "login_ok"):
        raise FaultError(f"{where}: it needs after login_ok", key="at")


def fault_from(members: Mapping[str, Any]) -> Fault:
    """Builds a fault from JSON or TOML members; raises `FaultError` naming the one to blame."""
    for name, value in members.items():
        if name not in _COMMON and name not in _PARAMETERS:
            raise FaultError(f"unknown key: {name}", key=name)
        _check_type(name, value)
    for name in ("kind", "at"):
        if name not in members:
            raise FaultError(f"a fault needs {name}")
    given = dict(members)
    if "channels" in given:
        given["channels"] = tuple(cast("list[str]", given["channels"]))
    return Fault(**given)


def _check_type(name: str, value: object) -> None:
    if name == "channels":
        fine = isinstance(value, list | tuple) and all(
            isinstance(item, str) for item in cast("list[object]", value)
        )
        wanted = "a list of texts"
    elif name in _TEXTS:
        fine, wanted = isinstance(value, str), "a text"
    elif name == "code":
        fine = isinstance(value, int | str) and not isinstance(value, bool)
        wanted = "a number or a text"
    elif name in _FLOATS:
        fine = isinstance(value, int | float) and not isinstance(value, bool)
        wanted = "a number"
    else:
        fine = isinstance(value, int) and not isinstance(value, bool)
        wanted = "a whole number"
    if not fine:
        raise FaultError(f"{name} must be {wanted}", key=name)


def check_dialect(fault: Fault, dialect: str) -> None:
    """Raises `FaultError` when a gateway of that dialect cannot do it, or never gets there."""
    if dialect not in KINDS[fault.kind].dialects:
        raise FaultError(f"{fault.kind} is no fault of {dialect}", key="kind")
    for name in _ODDSPAPI_ONLY:
        if getattr(fault, name) is not None and dialect != "oddspapi":
            raise FaultError(f"{fault.kind} takes no {name} on {dialect}", key=name)
    violations = CHUNK_VIOLATIONS if dialect == "polymarket-us" else VIOLATIONS
    if fault.violation is not None and fault.violation not in violations:
        known = ", ".join(violations)
        raise FaultError(f"violation must be one of: {known} on {dialect}", key="violation")
    if not fault.position.is_in(dialect):
        raise FaultError(f"{dialect} has no such position: {fault.at!r}", key="at")


def load_faults(text: str, dialect: str | None = None) -> tuple[Fault, ...]:
    r"""Reads `[[fault]]` tables from TOML; raises `FaultFileError` naming the line.

    With a dialect, faults that its gateway could never do are wrong too.

    >>> load_faults('[[fault]]\nkind = "drop"\nat = "after data 7"')[0].kind
    'drop'
    """
    lines = text.splitlines()
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(str(error), lines) from None
    for name in document:
        if name != "fault":
            raise FaultFileError(f"unknown key: {name}", line=_line_of(name, lines))
    tables: object = document.get("fault", [])
    if not isinstance(tables, list):
        raise FaultFileError("faults are [[fault]] tables", line=_line_of("fault", lines))
    starts = [
        number
        for number, line in enumerate(lines, start=1)
        if re.match(r"\s*\[\[\s*[\"']?fault[\"']?\s*\]\]", line)
    ]
    faults: list[Fault] = []
    for index, table in enumerate(cast("list[object]", tables)):
        start = starts[index] if index < len(starts) else _line_of("fault", lines)
        if not isinstance(table, dict):
            raise FaultFileError("faults are [[fault]] tables", line=start)
        try:
            fault = fault_from(cast("dict[str, Any]", table))
            if dialect is not None:
                check_dialect(fault, dialect)
            faults.append(fault)
        except FaultError as error:
            line = start if error.key is None else _line_of(error.key, lines, start=start)
            raise FaultFileError(str(error), line=line) from None
    return tuple(faults)


def _syntax_error(message: str, lines: list[str]) -> FaultFileError:
    found = re.search(r"\(at line (\d+), column \d+\)", message)
    line = int(found[1]) if found else max(1, len(lines))
    words = re.sub(r"\s*\(at (?:line \d+, column \d+|end of document)\)", "", message)
    return FaultFileError(f"not TOML: {words[:1].lower()}{words[1:]}", line=line)


def _line_of(key: str, lines: list[str], *, start: int = 1) -> int:
    """The line on which a key (or a table of that name) stands, from `start` on."""
    name = re.escape(key)
    pattern = re.compile(rf"\s*\[{{0,2}}\s*[\"']?{name}[\"']?\s*(?:=|\.|\])")
    for number, line in enumerate(lines[start - 1 :], start=start):
        if pattern.match(line):
            return number
    return start
