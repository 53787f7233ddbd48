"""Named sets of faults, for whoever wants trouble without writing it down."""

from collections.abc import Mapping
from typing import Final

from lastseen_simulator.faults import Fault

__all__ = ["POLYMARKET_US_PROFILES", "POLYNODE_PROFILES", "PROFILES", "profile", "profiles_of"]

PROFILES: Final[Mapping[str, tuple[Fault, ...]]] = {
    "calm": (),
    # A mobile phone on a train: the path fails, the gateway does not.
    "flaky": (
        Fault(kind="drop", at="every 150 live", times=0),
        Fault(kind="reset", at="inside live 90 byte 5", times=2),
        Fault(kind="duplicate", at="every 40 data", times=0),
        Fault(kind="reorder", at="every 55 live", times=0),
        Fault(kind="gap", at="every 35 live of odds", times=0, loss="coalesced"),
        Fault(kind="drop", at="before replayed 2", times=3),
        Fault(kind="truncate", at="every 7 requests", times=0),
        Fault(kind="stall", at="every 60 s", times=0, seconds=3),
    ),
    # A gateway that is being released: notices, new epochs, refused connections.
    "release": (
        Fault(kind="restart", at="every 45 s", times=0, how="notice", grace_s=3),
        Fault(kind="status", at="every 9 requests", times=0, status=503, retry_after_s=1),
        Fault(kind="refuse", at="at 50", seconds=2),
    ),
    # Everything a client should survive and nobody should send.
    "hostile": (
        Fault(kind="restart", at="after live 60", times=2, how="crash"),
        Fault(kind="restart", at="after live 100", how="silent"),
        Fault(kind="gap", at="every 50 live of odds", times=0, loss="lost"),
        Fault(kind="gap", at="every 21 live of fixtures", times=0, loss="lost"),
        Fault(kind="duplicate", at="every 9 data", times=0),
        Fault(kind="reorder", at="every 13 live", times=0),
        Fault(kind="send", at="after data 12", times=0, text='{"type":"surprise"}'),
        Fault(kind="send", at="after data 17", times=0, text="{not json"),
        Fault(kind="send", at="after data 23", times=0, text='{"channel":"weather","payload":1}'),
        Fault(kind="snapshot_required", at="after live 31", reason="sunspots", channels=("odds",)),
        Fault(kind="snapshot_required", at="after live 37", text='{"type":"snapshot_required"}'),
        Fault(kind="backpressure", at="every 80 live", times=0),
        Fault(kind="close", at="after live 120", times=2, code=4002, reason="backpressure"),
        Fault(kind="close", at="after live 140", times=2, code=1011),
        Fault(kind="half_open", at="after live 180"),
        Fault(kind="clock_step", at="after entry 400", offset_ms=-1500),
        Fault(kind="stale", at="every 4 requests", times=0, entries=3),
        Fault(kind="status", at="every 5 requests", times=0, status=429, retry_after_s=1),
        Fault(kind="html", at="every 11 requests", times=0),
        Fault(kind="empty", at="every 13 requests", times=0),
        Fault(kind="stall", at="on request * 6"),
        Fault(kind="clean_close_after_login", at="after login_ok", connection=3),
        Fault(kind="refuse", at="after entry 700", seconds=2),
    ),
}
"""Profiles by name. The positions are fixed; what happens between them comes from the seed."""

POLYNODE_PROFILES: Final[Mapping[str, tuple[Fault, ...]]] = {
    "calm": (),
    "flaky": (
        Fault(kind="drop", at="every 150 live", times=0),
        Fault(kind="reset", at="inside live 90 byte 5", times=2),
        Fault(kind="drop", at="inside snapshot 1 byte 200", connection=3),
        Fault(kind="duplicate", at="every 20 live", times=0),
        Fault(kind="reorder", at="every 13 live", times=0),
        Fault(kind="gap", at="every 17 live of status_update", times=0),
        Fault(kind="drop", at="before subscribed", connection=4),
        Fault(kind="stall", at="every 60 s", times=0, seconds=3),
    ),
    "release": (
        Fault(kind="restart", at="every 45 s", times=0, how="notice"),
        Fault(kind="status", at="on request /ws 3", status=503),
        Fault(kind="refuse", at="at 50", seconds=2),
    ),
    "hostile": (
        Fault(kind="lose_confirmation", at="every 40 entries", times=0),
        Fault(kind="confirmation_in_snapshot_only", at="every 30 entries", times=0),
        Fault(kind="gap", at="every 11 live of status_update", times=0),
        Fault(kind="duplicate", at="every 9 live", times=0),
        Fault(kind="reorder", at="every 7 live", times=0),
        Fault(kind="order", at="on subscribe", connection=1, order="live_first"),
        Fault(kind="order", at="on subscribe", connection=2, order="snapshot_first"),
        Fault(kind="double_ack", at="on subscribe", connection=3),
        Fault(kind="no_ack", at="on subscribe", connection=4),
        Fault(kind="malformed", at="after live 12", times=0),
        Fault(kind="zlib_wrapped", at="after live 16", times=0),
        Fault(kind="truncated_deflate", at="after live 20", times=0),
        Fault(kind="bomb", at="after live 26", times=2),
        Fault(kind="send", at="after live 24", times=0, text='{"type":"surprise"}'),
        Fault(kind="send", at="after live 28", times=0, text="{not json"),
        Fault(kind="send", at="after live 32", times=0, text='{"type":"settlement","data":7}'),
        Fault(kind="restart", at="after live 60", times=2, how="crash"),
        Fault(kind="close", at="after live 70", times=2, code=1011),
        Fault(kind="close", at="after live 75", code=4429, reason="connection limit"),
        Fault(kind="status", at="on request /ws 4", status=429, retry_after_s=2),
        Fault(kind="html", at="on request /ws 6"),
        Fault(kind="silence_heartbeat", at="on open", connection=2),
        Fault(kind="half_open", at="after live 90"),
        Fault(kind="clock_step", at="after entry 200", offset_ms=-1500),
        Fault(kind="refuse", at="after entry 400", seconds=2),
    ),
}
"""The same names, with what another kind of feed can suffer."""

POLYMARKET_US_PROFILES: Final[Mapping[str, tuple[Fault, ...]]] = {
    "calm": (),
    "flaky": (
        Fault(kind="drop", at="every 60 live", times=0),
        Fault(kind="drop", at="inside live 40 byte 9", times=2),
        Fault(kind="reset", at="after live 90", times=2),
        Fault(kind="duplicate", at="every 17 live", times=0),
        Fault(kind="drop", at="before snapshot", connection=3),
        Fault(kind="stall", at="every 60 s", times=0, seconds=3),
    ),
    "release": (
        Fault(kind="restart", at="every 45 s", times=0, how="notice"),
        Fault(kind="status", at="on request /v1/orders/subscribe 3", status=503),
        Fault(kind="refuse", at="at 50", seconds=2),
    ),
    "hostile": (
        Fault(kind="duplicate", at="every 7 live", times=0),
        Fault(kind="split", at="every 5 live", times=0, cut_at=40),
        Fault(kind="delta_first", at="on request /v1/positions/subscribe 2"),
        Fault(kind="content_type", at="on request /v1/orders/subscribe 3", text="text/plain"),
        Fault(kind="no_snapshot", at="on request /v1/positions/subscribe 3"),
        Fault(kind="refuse_token", at="on request /v1/orders/subscribe 5"),
        Fault(kind="status", at="on request * 6", status=429),
        Fault(kind="html", at="on request * 9"),
        Fault(kind="snapshot", at="every 23 live", times=0),
        Fault(kind="old_snapshot", at="every 31 live", times=0),
        Fault(kind="end", at="inside live 35 byte 30", times=2),
        Fault(kind="malformed", at="after live 40", times=0),
        Fault(kind="compressed", at="after live 44", times=2),
        Fault(kind="garbage", at="after live 50", times=2),
        Fault(kind="error", at="after live 55", times=3, code=14),
        Fault(kind="error", at="on open", connection=4, code=8),
        Fault(kind="raw", at="after live 65", times=2, violation="bad_chunk_size"),
        Fault(kind="drop", at="inside live 70 byte 20", times=0),
        Fault(kind="restart", at="after entry 150", how="crash"),
        Fault(kind="restart", at="after entry 250", how="silent"),
        Fault(kind="clock_step", at="after entry 200", offset_ms=-1500),
        Fault(kind="refuse", at="after entry 400", seconds=2),
    ),
}
"""The same names once more, for streams over HTTP."""

_OF: Final[Mapping[str, Mapping[str, tuple[Fault, ...]]]] = {
    "oddspapi": PROFILES,
    "polynode": POLYNODE_PROFILES,
    "polymarket-us": POLYMARKET_US_PROFILES,
}


def profiles_of(dialect: str) -> Mapping[str, tuple[Fault, ...]]:
    """The profiles of a dialect."""
    return _OF[dialect]


def profile(name: str, dialect: str = "oddspapi") -> tuple[Fault, ...]:
    """The faults of a profile; raises `LookupError` naming those that exist."""
    known = profiles_of(dialect)
    if name not in known:
        raise LookupError(f"no such profile: {name} (known: {', '.join(sorted(known))})")
    return known[name]
