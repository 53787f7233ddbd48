"""What may be said of a channel to somebody who has seen the events up to here."""

from collections.abc import Mapping
from typing import NamedTuple, final

import attrs

from lastseen.events import Event, Proof, StateSnapshot, StatusChanged
from lastseen.states import ScopeState
from lastseen.status import SessionStatus, worst

__all__ = ["Claim", "Claims"]


class Claim(NamedTuple):
    """A channel's state and whether its base was proven."""

    state: ScopeState
    proof: Proof

    @property
    def shown_proof(self) -> str:
        """For a table: only where something could be proven."""
        return self.proof.value if self.state is ScopeState.SYNCED else ""


_NOTHING_YET = Claim(ScopeState.COLD, Proof.UNPROVEN)


@final
@attrs.define(eq=False)
class Claims:
    """Every channel's claim: the worse of what was told by events and what the session says now.

    A rise counts when its event is reached, because the data before it has been applied then; a
    fall counts as soon as the session knows.
    """

    told: dict[str, dict[str | None, Claim]] = attrs.field(
        init=False, factory=dict[str, dict[str | None, Claim]]
    )
    _last: dict[str, Claim] = attrs.field(init=False, factory=dict[str, Claim])

    def take(self, event: Event) -> bool:
        """Notes an event; True when it can change a claim."""
        if isinstance(event, StatusChanged):
            scopes = self.told.setdefault(event.channel, {})
            scopes[event.entity] = Claim(event.state, event.proof)
            return True
        if isinstance(event, StateSnapshot) and event.entities is not None:
            scopes = self.told.setdefault(event.channel, {})
            for entity in [name for name in scopes if name is not None]:
                if entity not in event.entities:
                    del scopes[entity]
            return True
        return False

    def changes(self, status: SessionStatus) -> Mapping[str, Claim]:
        """The claims that differ from those of the call before."""
        present = self.all(status)
        changed = {
            name: claim
            for name, claim in present.items()
            if claim != self._last.get(name, _NOTHING_YET)
        }
        self._last = present
        return changed

    def all(self, status: SessionStatus) -> dict[str, Claim]:
        """Every channel's claim."""
        claims: dict[str, Claim] = {}
        for channel in status.channels:
            scopes = self.told.get(channel.channel, {}).values()
            if channel.state is ScopeState.LIVE_ONLY:
                state = ScopeState.LIVE_ONLY
            else:
                state = worst([worst(scope.state for scope in scopes), channel.state])
            proven = bool(scopes) and all(scope.proof is Proof.PROVEN for scope in scopes)
            claims[channel.channel] = Claim(state, Proof.PROVEN if proven else Proof.UNPROVEN)
        return claims

    def synced(self, status: SessionStatus) -> bool:
        """Whether every channel that can be synced is."""
        good = (ScopeState.SYNCED, ScopeState.LIVE_ONLY)
        claims = self.all(status)
        return bool(claims) and all(claim.state in good for claim in claims.values())
