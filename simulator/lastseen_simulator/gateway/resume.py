"""What becomes of a resume login, channel by channel (`facts` §4)."""

from typing import Literal

import attrs

from lastseen_simulator.gateway.journal import Entry, Epoch
from lastseen_simulator.gateway.login import Accepted
from lastseen_simulator.gateway.options import GatewayOptions

__all__ = ["Verdict", "judge_resume"]


@attrs.frozen(kw_only=True)
class Verdict:
    """`replayed` channels with their entries, `refused` and `restarted` channels.

    A channel in none of them is met with silence. `failure` turns the login down instead.
    """

    replayed: tuple[tuple[str, tuple[Entry, ...]], ...] = ()
    refused: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    failure: str = ""


def judge_resume(
    login: Accepted, epoch: Epoch, options: GatewayOptions, *, wall_ms: int
) -> Verdict:
    """Decides from the cursors a login carries; those of channels not subscribed count for nothing.

    Unless the knobs say otherwise, cursors without an epoch cannot be placed and are passed over,
    as is an epoch without cursors (OP-A21); a cursor of a channel that cannot be replayed is
    refused, and channels without a cursor are met with silence (OP-A2).
    """
    if (login.epoch is None) != (not login.cursors):
        return _half(login, options)
    cursors = {
        channel: cursor
        for channel, cursor in login.cursors
        if channel in login.subscription.channels
    }
    if login.epoch is None or not cursors:
        return Verdict()
    uncovered: tuple[str, ...] = ()
    if options.uncovered_channels == "snapshot_required":
        uncovered = tuple(each for each in login.subscription.channels if each not in cursors)
    if login.epoch != epoch.name:
        return Verdict(restarted=tuple(sorted((*cursors, *uncovered))))
    replayed: list[tuple[str, tuple[Entry, ...]]] = []
    refused = list(uncovered)
    for channel, cursor in sorted(cursors.items()):
        entries = _asked_for(channel, cursor, epoch, options, wall_ms=wall_ms)
        match entries:
            case "failed":
                return Verdict(failure="lastSeenId not accepted")
            case "refused":
                refused.append(channel)
            case "ignored":
                pass
            case _:
                replayed.append((channel, entries))
    return Verdict(replayed=tuple(replayed), refused=tuple(sorted(refused)))


def _half(login: Accepted, options: GatewayOptions) -> Verdict:
    """What becomes of cursors without an epoch, or of an epoch without cursors (OP-A21)."""
    match options.half_resume:
        case "ignored":
            return Verdict()
        case "login_failed":
            return Verdict(failure="serverEpoch and lastSeenId go together")
        case "window_exceeded":
            named = [channel for channel, _ in login.cursors] or options.replay_channels
            subscribed = login.subscription.channels
            return Verdict(refused=tuple(each for each in subscribed if each in named))


def _asked_for(
    channel: str, cursor: str, epoch: Epoch, options: GatewayOptions, *, wall_ms: int
) -> tuple[Entry, ...] | Literal["refused", "ignored", "failed"]:
    """The entries behind a cursor of this epoch, or what it is met with instead."""
    if channel not in options.replay_channels:
        return "refused" if options.unreplayable_cursor == "window_exceeded" else "ignored"
    entries = epoch.journals[channel].after(
        cursor, wall_ms=wall_ms, inclusive=options.inclusive_replay
    )
    if entries == "bad_cursor":
        match options.bad_cursor:
            case "window_exceeded":
                return "refused"
            case "ignored":
                return "ignored"
            case "login_failed":
                return "failed"
    if entries == "too_old":
        # Nothing was missed on a channel that has been quiet (OP-A22).
        quiet = cursor == epoch.head(channel) and options.quiet_cursor == "accepted"
        return () if quiet else "refused"
    return entries
