"""What a session's channels say of their scopes together, against a look at every scope."""

from driving import Violation

from lastseen import Session
from lastseen.events import Proof
from lastseen.scopes import Channel
from lastseen.states import ScopeState

__all__ = ["recount"]

TRUSTED = (ScopeState.SYNCED, ScopeState.LIVE_ONLY)
FORLORN = (ScopeState.STALE, ScopeState.COLD)


def recount(session: Session) -> None:
    """Counts everything that the product keeps count of; raises `Violation` where it differs."""
    for channel in session._channels.active.values():
        for what, kept, counted in _claims(channel):
            if kept != counted:
                raise Violation(f"{channel.name}: {what} is {kept}, counted {counted}")


def _claims(channel: Channel) -> list[tuple[str, object, object]]:
    scopes, census = channel.scopes, channel.census
    states = [scope.state for scope in scopes.values()]
    journals = sum(scope.journal is not None for scope in scopes.values())
    hopeful = {
        entity for entity, one in scopes.items() if one.state not in FORLORN or len(one.hold)
    }
    waiting = sum(len(scope.hold) for scope in scopes.values()) + len(channel.replay_hold)
    covered = {entity for entity, scope in scopes.items() if scope.covered is not None}
    trusted = all(state in TRUSTED for state in states)
    return [
        ("the number of scopes", census.total, len(scopes)),
        ("their states", census.states, {state: states.count(state) for state in ScopeState}),
        ("journals", census.journals, journals),
        ("proven", census.proven, sum(one.proof is Proof.PROVEN for one in scopes.values())),
        ("hopeful", set(census.hopeful), hopeful),
        ("whose scopes", all(scopes[name] is one for name, one in census.hopeful.items()), True),
        ("held", channel.row.held, waiting),
        ("ahead of the stream", covered <= channel._ahead.keys() <= scopes.keys(), True),
        ("no base ahead", channel.covered is not None or not covered, True),
        (
            "flows",
            channel.flows,
            trusted and not journals and not channel.replaying and channel.covered is None,
        ),
    ]
