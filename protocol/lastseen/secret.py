"""A string that never shows itself (HZ-K3, HZ-K4, HZ-K5)."""

from typing import NoReturn, final

__all__ = ["Secret"]


@final
class Secret:
    """Holds a key, or text that contains one; only `reveal` gives it out.

    >>> Secret("0123")
    Secret('***')
    >>> f"{Secret('0123')}"
    '***'
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; call it only where the text leaves for the peer."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not stored")
