"""What a session claims."""

import itertools

import pytest

from lastseen import ChannelStatus, Counters, Position, Proof, ScopeState, SessionStatus
from lastseen.status import worst

S = ScopeState


def channel(name: str, state: ScopeState) -> ChannelStatus:
    return ChannelStatus(
        channel=name, state=state, proof=Proof.PROVEN, scopes=1, synced_scopes=0, cursor=None, lag=0
    )


def session(*channels: ChannelStatus) -> SessionStatus:
    return SessionStatus(
        connected=True, connections=1, position=Position(), durable=Position(),
        durable_failed=False, channels=channels, stopped=None, lost_notices=0,
    )  # fmt: skip


def test_a_channel_is_as_good_as_its_worst_scope() -> None:
    order = [S.STALE, S.COLD, S.SYNCING, S.RESUMING, S.SYNCED, S.LIVE_ONLY]
    for better, worse in itertools.combinations(reversed(order), 2):
        assert worst([better, worse, better]) is worse
    assert worst([]) is S.COLD


def test_each_place_an_entry_can_be_counts_in_the_law() -> None:
    """INV-S21."""
    names = [name for name in Counters.__struct_fields__ if name != "received"]
    nothing = dict.fromkeys(["received", *names], 0)

    assert Counters(**nothing).conserved
    for name in names:
        assert not Counters(**{**nothing, name: 1}).conserved
        assert Counters(**{**nothing, name: 1, "received": 1}).conserved


def test_a_session_is_synced_when_every_channel_that_can_be_is() -> None:
    assert session(channel("a", S.SYNCED), channel("b", S.LIVE_ONLY)).synced
    assert not session(channel("a", S.SYNCED), channel("b", S.RESUMING)).synced
    assert not session().synced


def test_a_channel_is_found_by_name() -> None:
    status = session(channel("a", S.SYNCED))

    assert status.channel("a").state is S.SYNCED
    with pytest.raises(KeyError):
        status.channel("b")
