"""Cutting a payload down to what a subscription covers (§2.1, §6)."""

from typing import Any

from lastseen.shapes import as_object, member
from lastseen_simulator.channels import CHANNELS, ROOTS, EntityMember, entity_of
from lastseen_simulator.gateway.login import Subscription
from lastseen_simulator.market import Tables

__all__ = ["member", "narrowed"]


def narrowed(
    name: str, payload: dict[str, Any], subscription: Subscription, tables: Tables
) -> dict[str, Any] | None:
    """The payload as this subscription sees it, None when nothing of it is left.

    Sport and tournament of a fixture or a future are what the market knows about it; one that it
    does not know passes no such filter. Global channels pass every filter. The same object comes
    back when nothing was cut.
    """
    if name not in subscription.channels:
        return None
    channel = CHANNELS[name]
    entity = entity_of(channel, payload)
    if channel.entity and entity and not _covers(subscription, channel.entity, entity, tables):
        return None
    if not channel.gated or channel.section is None:
        return payload
    known = as_object(payload.get(channel.section))
    if known is None:
        return payload
    kept = {slug: value for slug, value in known.items() if slug in subscription.bookmakers}
    if len(kept) == len(known):
        return payload
    return {**payload, channel.section: kept} if kept else None


def _covers(subscription: Subscription, kind: EntityMember, entity: str, tables: Tables) -> bool:
    ids = subscription.fixture_ids if kind == "fixtureId" else subscription.future_ids
    subject: Any = tables[ROOTS[kind]].get(entity)
    sport_id = member(subject, "sport", "sportId")
    tournament_id = member(subject, "tournament", "tournamentId")
    return (
        (ids is None or entity in ids)
        and (subscription.sport_ids is None or sport_id in subscription.sport_ids)
        and (subscription.tournament_ids is None or tournament_id in subscription.tournament_ids)
    )
