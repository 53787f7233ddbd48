"""Judging a login: what the client asked for, what its key permits, what remains (§2.1, §3)."""

from collections.abc import Iterable
from typing import Any, TypeVar, cast

import attrs
import msgspec

from lastseen.dialects.oddspapi.wire import ACCEPTED_LANGUAGES, Login
from lastseen_simulator.channels import GATED_CHANNELS
from lastseen_simulator.gateway.options import GatewayOptions, KeyGrant
from lastseen_simulator.truth import REDACTED, is_secret

__all__ = ["Accepted", "Rejected", "Subscription", "judge_login", "redacted"]

FIRST_MESSAGE = "first message must be login"
NOT_A_LOGIN_CODE = 4000
REVOKED_CODE = 4001

_FILTERS = ("channels", "sportIds", "tournamentIds", "fixtureIds", "futureIds", "bookmakers")

_Item = TypeVar("_Item")


@attrs.frozen(kw_only=True, cache_hash=True)
class Subscription:
    """The effective subscription; None is unfiltered, filters apply together (AND).

    Without `live` or `pregame` that class of fixtures and futures is left out (OP-A12).
    """

    channels: tuple[str, ...]
    sport_ids: tuple[int, ...] | None = None
    tournament_ids: tuple[int, ...] | None = None
    fixture_ids: tuple[str, ...] | None = None
    future_ids: tuple[str, ...] | None = None
    bookmakers: tuple[str, ...] = ()
    live: bool = True
    pregame: bool = True


@attrs.frozen(kw_only=True)
class Accepted:
    """A login that holds. `cursors` as sent, a value that is no text as empty text."""

    grant: KeyGrant
    subscription: Subscription
    binary: bool
    lang: str
    client_name: str | None
    epoch: str | None
    cursors: tuple[tuple[str, str], ...]


@attrs.frozen(kw_only=True)
class Rejected:
    """A login that fails: the `error` frame's members and the close code, None to stay open."""

    error: str
    message: str
    close_code: int | None
    close_reason: str


def judge_login(data: str | bytes, options: GatewayOptions) -> Accepted | Rejected:
    """Reads the first frame of a connection and decides about it.

    Unless the knobs say otherwise, denied items are stripped and the login fails only when nothing
    remains (OP-A10), and an empty list asks for nothing (OP-A9). A `receiveType` that is not on
    offer downgrades to JSON (§1).
    """
    members = _decoded(data)
    if members is None or members.get("type") != "login":
        return Rejected(
            error=FIRST_MESSAGE,
            message=FIRST_MESSAGE,
            close_code=NOT_A_LOGIN_CODE,
            close_reason="login",
        )
    # Cursors are judged one by one, so a wrong one must not fail the whole login.
    cursors = _cursors(members.pop("lastSeenId", None))
    epoch = members.pop("serverEpoch", None)
    try:
        login = msgspec.convert(members, Login)
    except msgspec.ValidationError as error:
        return _login_failed(str(error), options)
    grant = next((grant for grant in options.keys if grant.key == login.apiKey), None)
    if grant is None:
        return _login_failed("apiKey not accepted", options)
    if grant.revoked:
        return Rejected(
            error="login_failed",
            message="apiKey revoked",
            close_code=REVOKED_CODE,
            close_reason="api_key_revoked",
        )
    subscription = _effective(login, grant, options)
    if isinstance(subscription, str):
        return _login_failed(subscription, options)
    return Accepted(
        grant=grant,
        subscription=subscription,
        binary=login.receiveType == "binary" and "binary" in options.receive_types,
        lang=login.lang if login.lang in ACCEPTED_LANGUAGES else "en",
        client_name=login.clientName,
        epoch=epoch if isinstance(epoch, str) else None,
        cursors=cursors,
    )


def redacted(data: str | bytes) -> Any:
    """A first frame as it may be recorded: no key in it, not even a mistyped one."""
    members = _decoded(data)
    if members is None:
        return {"undecodable": True, "size": len(data)}
    return _without_keys(members)


def permitted_channels(grant: KeyGrant, options: GatewayOptions) -> tuple[str, ...]:
    """The served channels a key may see."""
    return tuple(
        channel
        for channel in options.channels
        if grant.channels is None or channel in grant.channels
    )


def permitted_bookmakers(grant: KeyGrant, options: GatewayOptions) -> tuple[str, ...]:
    """The bookmakers a key may see, in the gateway's order."""
    return tuple(
        slug for slug in options.bookmakers if grant.bookmakers is None or slug in grant.bookmakers
    )


def _without_keys(value: object) -> object:
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return {
            name: REDACTED if is_secret(name) else _without_keys(part)
            for name, part in members.items()
        }
    if isinstance(value, list):
        return [_without_keys(part) for part in cast("list[object]", value)]
    return value


def _decoded(data: str | bytes) -> dict[str, Any] | None:
    if not isinstance(data, str):
        return None
    try:
        value: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _cursors(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        return ()
    cursors = cast("dict[str, object]", value)
    return tuple(
        (channel, cursor if isinstance(cursor, str) else "") for channel, cursor in cursors.items()
    )


def _login_failed(message: str, options: GatewayOptions) -> Rejected:
    return Rejected(
        error="login_failed",
        message=message,
        close_code=options.login_failed_close_code,
        close_reason="login_failed",
    )


def _effective(login: Login, grant: KeyGrant, options: GatewayOptions) -> Subscription | str:
    """Requested ∩ permitted, or the message of the failure."""
    empty = [name for name in _FILTERS if getattr(login, name) == []]
    if empty and options.empty_filter == "login_failed":
        return f"{empty[0]} must not be empty"
    if options.empty_filter == "everything":
        login = msgspec.structs.replace(login, **dict.fromkeys(empty))
    if options.denied == "login_failed" and (denied := _denied(login, grant, options)):
        return f"not allowed: {denied}"
    channels = _both(login.channels, permitted_channels(grant, options))
    if not channels:
        return "no channels requested" if login.channels == [] else "no channel allowed"
    bookmakers = _both(login.bookmakers, permitted_bookmakers(grant, options))
    if any(channel in GATED_CHANNELS for channel in channels):
        if not bookmakers:
            return "bookmakers not allowed"
        if login.bookmakers is None and options.bookmakers_required != "no":
            if options.bookmakers_required == "login_failed":
                return "bookmakers required"
            bookmakers = ()
    filtering = options.live_pregame == "filter"
    sport_ids = None if login.sportIds is None else tuple(login.sportIds)
    if grant.sport_ids is not None:
        sport_ids = _both(login.sportIds, grant.sport_ids)
        if not sport_ids and login.sportIds:
            return "sports not allowed"
    return Subscription(
        channels=tuple(sorted(channels)),
        sport_ids=sport_ids,
        tournament_ids=_listed(login.tournamentIds),
        fixture_ids=_listed(login.fixtureIds),
        future_ids=_listed(login.futureIds),
        bookmakers=bookmakers,
        live=grant.live and not (filtering and login.live is False),
        pregame=grant.pregame and not (filtering and login.pregame is False),
    )


def _denied(login: Login, grant: KeyGrant, options: GatewayOptions) -> str | None:
    """The first thing asked for that the key may not see, if there is one."""
    permitted: list[tuple[Iterable[object] | None, tuple[object, ...] | None]] = [
        (login.channels, permitted_channels(grant, options)),
        (login.bookmakers, permitted_bookmakers(grant, options)),
        (login.sportIds, grant.sport_ids),
    ]
    return next(
        (
            str(item)
            for items, granted in permitted
            for item in items or ()
            if granted is not None and item not in granted
        ),
        None,
    )


def _both(requested: Iterable[_Item] | None, permitted: tuple[_Item, ...]) -> tuple[_Item, ...]:
    if requested is None:
        return permitted
    wanted = frozenset(requested)
    return tuple(item for item in permitted if item in wanted)


def _listed(items: list[_Item] | None) -> tuple[_Item, ...] | None:
    return None if items is None else tuple(items)
