"""What the command line gives a kind of feed that is to be followed."""

from collections.abc import Mapping
from typing import Any, final

import attrs

from lastseen.secret import Secret

__all__ = ["Given", "parts"]


@final
@attrs.frozen(kw_only=True)
class Given:
    """What every kind needs, and the options of each by name."""

    url: str
    key: Secret
    channels: str
    """With commas; never empty."""
    as_report: bool
    told: bool
    """Whether a program reads what is said."""
    options: Mapping[str, Any]


def parts(text: str | None) -> tuple[str, ...]:
    """What stands between commas.

    >>> parts("a, b,")
    ('a', 'b')
    """
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
