"""What becomes of a resume login, channel by channel (`facts` §4)."""

import attrs

from lastseen_simulator.gateway.journal import Entry, Epoch
from lastseen_simulator.gateway.login import Accepted
from lastseen_simulator.gateway.options import GatewayOptions

__all__ = ["Verdict", "judge_resume"]


@attrs.frozen(kw_only=True)
class Verdict:
    """`replayed` channels with their entries, `refused` and `restarted` channels.

    A channel in none of them is met with silence. `fails` turns the login down instead.
    """

    replayed: tuple[tuple[str, tuple[Entry, ...]], ...] = ()
    refused: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    fails: bool = False


def judge_resume(
    login: Accepted, epoch: Epoch, options: GatewayOptions, *, wall_ms: int
) -> Verdict:
    """Decides from the cursors a login carries.

    Cursors without an epoch cannot be placed and are passed over (OP-A21), those of channels not
    subscribed as well. A cursor of a channel that cannot be replayed is refused.
    """
    cursors = tuple(
        (channel, cursor)
        for channel, cursor in login.cursors
        if channel in login.subscription.channels
    )
    if login.epoch is None or not cursors:
        return Verdict()
    if login.epoch != epoch.name:
        return Verdict(restarted=tuple(sorted(channel for channel, _ in cursors)))
    replayed: list[tuple[str, tuple[Entry, ...]]] = []
    refused: list[str] = []
    for channel, cursor in sorted(cursors):
        if channel not in options.replay_channels:
            refused.append(channel)
            continue
        entries = epoch.journals[channel].after(
            cursor, wall_ms=wall_ms, inclusive=options.inclusive_replay
        )
        if entries == "bad_cursor" and options.bad_cursor != "window_exceeded":
            if options.bad_cursor == "login_failed":
                return Verdict(fails=True)
        elif isinstance(entries, str):
            refused.append(channel)
        else:
            replayed.append((channel, entries))
    return Verdict(replayed=tuple(replayed), refused=tuple(refused))
