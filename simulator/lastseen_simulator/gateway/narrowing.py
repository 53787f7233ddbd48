"""Cutting a payload down to what a subscription covers (§2.1, §6)."""

from typing import Any, cast

from lastseen_simulator.gateway.login import GATED_CHANNELS, Subscription
from lastseen_simulator.market import Tables

__all__ = ["member", "narrowed"]


def member(value: Any, *names: str) -> Any:
    """A nested member of a JSON value, None where the path ends early."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, Any]", value).get(name)
    return value


def narrowed(
    channel: str, payload: dict[str, Any], subscription: Subscription, tables: Tables
) -> dict[str, Any] | None:
    """The payload as this subscription sees it, None when nothing of it is left.

    Sport and tournament of a fixture are what the market knows about it; a fixture it does not
    know passes no such filter. The same object comes back when nothing was cut.
    """
    if channel not in subscription.channels:
        return None
    fixture_id: object = payload.get("fixtureId")
    if isinstance(fixture_id, str) and not _covers(subscription, fixture_id, tables):
        return None
    books: object = payload.get(channel)
    if channel not in GATED_CHANNELS or not isinstance(books, dict):
        return payload
    known = cast("dict[str, Any]", books)
    kept = {slug: value for slug, value in known.items() if slug in subscription.bookmakers}
    if len(kept) == len(known):
        return payload
    return {**payload, channel: kept} if kept else None


def _covers(subscription: Subscription, fixture_id: str, tables: Tables) -> bool:
    fixture: Any = tables["fixtures"].get(fixture_id)
    sport_id = member(fixture, "sport", "sportId")
    tournament_id = member(fixture, "tournament", "tournamentId")
    return (
        (subscription.fixture_ids is None or fixture_id in subscription.fixture_ids)
        and (subscription.sport_ids is None or sport_id in subscription.sport_ids)
        and (subscription.tournament_ids is None or tournament_id in subscription.tournament_ids)
    )
