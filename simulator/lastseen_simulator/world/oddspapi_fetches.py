"""INV-L5: each snapshot that is fetched has a cause that went over the wire, and enough of them."""

from typing import Final, final

import attrs

from lastseen_simulator.world.oddspapi_frames import PATHS, Scope
from lastseen_simulator.world.watching import Watch

__all__ = ["Fetch", "FetchWatch", "Kept"]

_A_CAUSE: Final = 3
"""Fetches of one scope that a cause may cost: a base, one that verifies it, and another one where
that lacks something."""

_Scope = tuple[str, str | None]
"""Path, and fixture or future."""


@final
@attrs.define(eq=False, kw_only=True)
class FetchWatch(Watch):
    """Counts the causes of a life against its fetches, scope by scope."""

    wide: int = 1
    """Causes for everything; the first is to have nothing."""
    _paths: dict[str, int] = attrs.field(factory=dict[str, int])
    _scopes: dict[_Scope, int] = attrs.field(factory=dict[_Scope, int])
    """Fetches that brought nothing, or what was old."""
    _fetched: dict[_Scope, int] = attrs.field(factory=dict[_Scope, int])

    def reborn(self) -> None:
        """Another life begins."""
        self.wide = 1
        for each in (self._paths, self._scopes, self._fetched):
            each.clear()

    def fetches(self, path: str, entity: str | None) -> None:
        """A scope is asked for."""
        scope = (path, entity)
        count = self._fetched[scope] = self._fetched.get(scope, 0) + 1
        causes = self.wide + self._paths.get(path, 0)
        allowed = _A_CAUSE * causes + self._scopes.get(scope, 0)
        if count > allowed:
            self.blame("L5", f"asks for {path} {entity or ''} {count} times, with {causes} causes")

    def failed(self, path: str, entity: str | None, *, times: int = 1) -> None:
        """An answer was none, or may have been refused or contradicted."""
        scope = (path, entity)
        self._scopes[scope] = self._scopes.get(scope, 0) + times

    def doubted(self, channel: str | None) -> None:
        """A channel, or every one, may not be as the client believes."""
        if channel is None:
            self.wide += 1
        elif (path := PATHS.get(channel)) is not None:
            # Of a channel that is restored one by one, the list of all is fetched, too.
            for each in {path, path.removesuffix("/odds")}:
                self._paths[each] = self._paths.get(each, 0) + 1


@final
@attrs.define(eq=False)
class Fetch:
    """A fetch under way, and when it began: under which login, after which demands."""

    path: str
    entity: str | None
    login: int
    count: int
    """How far the truth was when it began."""
    demands: dict[str, int]
    seen: int | None = None
    dated: set[str] = attrs.field(factory=set[str])
    """Channels of which the answer says how old it is."""


@final
@attrs.frozen(eq=False)
class Kept:
    """What a watch has to go back to when its client restarts from a commit."""

    bases: dict[Scope, int]
    units: dict[str, int]
    excused: frozenset[Scope]
    applied: int
    """How many entries had been applied."""
