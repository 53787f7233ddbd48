"""What a gateway has been through, in lines for whoever reads a failed test."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import attrs
import msgspec

from lastseen_simulator.dialects import AnyOptions
from lastseen_simulator.faults import Receipt
from lastseen_simulator.truth import REDACTED, Record

__all__ = ["fault_line", "option_words", "record_lines"]

WIDTH: Final = 160
"""Characters of a line; a payload or a base state would fill pages."""

EPOCH_SHOWN: Final = 8
"""Characters of an epoch, which tell it from any other."""


def option_words(options: AnyOptions) -> str:
    """The knobs that are not as they come, `rate=0.0 as_of=True`; never the keys."""
    plain = type(options)()
    return " ".join(
        f"{field.name}={getattr(options, field.name)!r}"
        for field in attrs.fields(type(options))
        if field.name != "keys" and getattr(options, field.name) != getattr(plain, field.name)
    )


def fault_line(receipt: Receipt) -> str:
    """What has become of a fault."""
    often = f"fired {receipt.fired} times" if receipt.fired > 1 else "fired"
    told = often if receipt.fired else "never fired"
    return f"fault {receipt.fault_id}: {receipt.kind} {receipt.at!r}: {told} ({receipt.detail})"


def record_lines(records: Iterable[Record], options: AnyOptions) -> Iterator[str]:
    """Records of the truth log: number, seconds, kind, members; no key is in them."""
    secrets = [text for grant in options.keys for text in (grant.key, _shown([grant.key])[2:-2])]
    for record in records:
        members = " ".join(
            f"{name}={_shown(each)[:EPOCH_SHOWN] if name == 'epoch' else _shown(each)}"
            for name, each in record.items()
            if name not in ("n", "at", "kind")
        )
        line = f"{record['n']:5} {record['at']:9.3f}  {record['kind']:<8} {members}"
        # Before the line is cut, for half a key is half a secret.
        for secret in secrets:
            line = line.replace(secret, REDACTED)
        yield line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
