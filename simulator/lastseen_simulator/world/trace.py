"""What happened: as a hash, always, and as a story, when somebody reads it."""

import hashlib
from typing import Final, final

import attrs

__all__ = ["Happening", "Trace"]

_DIGEST_BYTES: Final = 16


@final
@attrs.frozen
class Happening:
    """One line of the story: from whom to whom, and what; `lost` when it never got there."""

    at: float
    source: str
    target: str
    text: str
    lost: bool = False


@final
@attrs.define(eq=False)
class Trace:
    """Everything that went over the wires and everything the clients were told, in order."""

    told: bool = False
    """Whether the story is kept."""
    story: list[Happening] = attrs.field(init=False, factory=list[Happening])
    _hash: "hashlib.blake2b" = attrs.field(
        init=False, factory=lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)
    )

    def note(self, at: float, what: str, data: str | bytes = b"") -> None:
        """Takes something into the hash."""
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        self._hash.update(b"%b%b" % (f"{at!r} {what} {len(raw)} ".encode(), raw))

    def tell(self, at: float, source: str, target: str, text: str, *, lost: bool = False) -> None:
        """Adds a line to the story, if it is kept."""
        if self.told:
            self.story.append(Happening(at, source, target, text, lost))

    def digest(self) -> str:
        """The hash of all that was noted."""
        return self._hash.hexdigest()
