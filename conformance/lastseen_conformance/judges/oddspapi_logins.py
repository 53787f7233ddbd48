"""What a login may say, judged from the wire alone. These judges hold for every history."""

from collections.abc import Iterator

from lastseen_conformance.case import Finding, broken, kept
from lastseen_conformance.history import History
from lastseen_conformance.judges.oddspapi_wire import Login, Wire, order_of

__all__ = [
    "cursor_not_in_doubt",
    "cursor_of_epoch",
    "forward_only",
    "login_first",
    "login_once",
    "pairs_whole",
    "replayable_only",
    "subscribed_only",
]


def login_first(history: History) -> Iterator[Finding]:
    """op.login.first: whatever a connection says first is a login in text."""
    for link in history.view(Wire).links.values():
        if not link.frames:
            continue
        first = link.frames[0]
        if link.login is None or link.login.n != first.n or not isinstance(first.data, str):
            yield broken("op.login.first", "the first message was no login", first.n)
        else:
            yield kept("op.login.first")


def login_once(history: History) -> Iterator[Finding]:
    """op.login.once: nothing follows the login."""
    for link in history.view(Wire).links.values():
        if len(link.frames) > 1:
            yield broken("op.login.once", "a message after the login", link.frames[1].n)
        elif link.accepted_n is not None:
            yield kept("op.login.once")


def pairs_whole(history: History) -> Iterator[Finding]:
    """op.resume.epoch-and-cursors: both or neither; an empty map of cursors is none."""
    for login in history.view(Wire).logins:
        if (login.epoch is not None) != bool(login.cursors):
            has = "an epoch" if login.epoch is not None else "cursors"
            lacks = "cursors" if login.epoch is not None else "an epoch"
            yield broken("op.resume.epoch-and-cursors", f"{has} without {lacks}", login.n)
        elif login.resumes:
            yield kept("op.resume.epoch-and-cursors")


def cursor_of_epoch(history: History) -> Iterator[Finding]:
    """op.resume.cursor-of-epoch: each cursor is an entry sent before, in the epoch beside it."""
    wire = history.view(Wire)
    for login in wire.logins:
        for channel, cursor in (login.cursors or {}).items():
            sent = {
                entry.entry_id
                for entry in wire.sent
                if entry.n < login.n and entry.channel == channel and entry.epoch == login.epoch
            }
            named = wire_positions(history, login.n, channel, login.epoch)
            if cursor in sent or cursor in named:
                yield kept("op.resume.cursor-of-epoch")
                continue
            elsewhere = any(
                entry.entry_id == cursor and entry.channel == channel
                for entry in wire.sent
                if entry.n < login.n
            )
            why = "was issued in another epoch" if elsewhere else "was never sent to this client"
            yield broken("op.resume.cursor-of-epoch", f"{channel} {cursor!r} {why}", login.n)


def wire_positions(history: History, n: int, channel: str, epoch: str | None) -> set[str]:
    """The positions that snapshots named for a channel of an epoch before a moment."""
    found: set[str] = set()
    for query in history.view(Wire).queries.values():
        text = query.headers.get("x-as-of")
        if text is None or query.answered_n is None or query.answered_n > n:
            continue
        name, _, pairs = text.partition(";")
        if name.strip() != epoch:
            continue
        for pair in pairs.split(","):
            key, _, value = pair.strip().partition("=")
            if key == channel:
                found.add(value)
    return found


def cursor_not_in_doubt(history: History) -> Iterator[Finding]:
    """op.resume.no-cursor-in-doubt: a base asked for after the last doubt came before the login."""
    rule = "op.resume.no-cursor-in-doubt"
    wire = history.view(Wire)
    for login, doubts in _doubts_at_logins(history):
        for channel, doubt in doubts.items():
            if login.channels is not None and channel not in login.channels:
                continue
            lacks = _lacks(wire, channel, doubt, login.n)
            sent = channel in (login.cursors or {})
            if sent and lacks is not None:
                text = f"{channel} has a cursor, and {lacks} since moment {doubt}"
                yield broken(rule, text, login.n)
            elif sent or lacks is not None:
                yield kept(rule)


def _lacks(wire: Wire, channel: str, doubt: int, before: int) -> str | None:
    """What a channel's base lacks, in words; every piece that was asked for has to have come."""
    asked = [query for query in wire.asked_after(doubt, channel) if query.n < before]
    good = [query for query in asked if query.good and (query.answered_n or before) < before]
    if not good:
        return "no snapshot"
    missing = {query.entity for query in asked} - {query.entity for query in good}
    return f"no snapshot of {', '.join(sorted(map(str, missing)))}" if missing else None


def _doubts_at_logins(history: History) -> Iterator[tuple[Login, dict[str, int]]]:
    """Each login with what was in doubt when it was made.

    A frame that came over a connection that was reset need not have been read, so only what was
    sent to a connection that ended otherwise counts; the view is grown step by step for that.
    """
    past = Wire()
    for moment in history.moments:
        before = len(past.logins)
        doubts = dict(past.doubts)
        past.take(moment)
        for login in past.logins[before:]:
            yield login, doubts


def replayable_only(history: History) -> Iterator[Finding]:
    """op.resume.replayable-only: as the last login_ok of that epoch listed them."""
    past = Wire()
    for moment in history.moments:
        before, listed_by = len(past.logins), dict(past.replayable)
        past.take(moment)
        for login in past.logins[before:]:
            listed = listed_by.get(login.epoch or "")
            if not login.resumes or listed is None:
                continue
            extra = sorted(set(login.cursors or {}) - listed)
            if extra:
                text = f"cursors for {', '.join(extra)}, which cannot be replayed"
                yield broken("op.resume.replayable-only", text, login.n)
            else:
                yield kept("op.resume.replayable-only")


def subscribed_only(history: History) -> Iterator[Finding]:
    """op.resume.subscribed-only: within the same login."""
    for login in history.view(Wire).logins:
        if not login.resumes or login.channels is None:
            continue
        extra = sorted(set(login.cursors or {}) - set(login.channels))
        if extra:
            text = f"cursors for {', '.join(extra)}, which it does not subscribe to"
            yield broken("op.resume.subscribed-only", text, login.n)
        else:
            yield kept("op.resume.subscribed-only")


def forward_only(history: History) -> Iterator[Finding]:
    """op.resume.forward-only: by epoch and channel, as numbers, while no snapshot began anew."""
    last: dict[tuple[str | None, str], tuple[int, int]] = {}
    for login in history.view(Wire).logins:
        for channel, cursor in (login.cursors or {}).items():
            order = order_of(cursor) if isinstance(cursor, str) else None
            if order is None:
                text = f"{channel} {cursor!r} is no entry id"
                yield broken("op.resume.cursor-of-epoch", text, login.n)
                continue
            key = (login.epoch, channel)
            before = last.get(key)
            if before is not None and order < before:
                text = f"{channel} went back from {before[0]}-{before[1]} to {cursor}"
                yield broken("op.resume.forward-only", text, login.n)
            elif before is not None:
                yield kept("op.resume.forward-only")
            last[key] = max(order, before or order)
