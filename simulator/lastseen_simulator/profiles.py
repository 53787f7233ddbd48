"""Named sets of faults, for whoever wants trouble without writing it down."""

from collections.abc import Mapping
from typing import Final

from lastseen_simulator.faults import Fault

__all__ = ["PROFILES", "profile"]

PROFILES: Final[Mapping[str, tuple[Fault, ...]]] = {
    "calm": (),
    # A mobile phone on a train: the path fails, the gateway does not.
    "flaky": (
        Fault(kind="drop", at="every 150 live", times=0),
        Fault(kind="reset", at="inside live 90 byte 5", times=0),
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


def profile(name: str) -> tuple[Fault, ...]:
    """The faults of a profile; raises `LookupError` naming those that exist."""
    if name not in PROFILES:
        raise LookupError(f"no such profile: {name} (known: {', '.join(sorted(PROFILES))})")
    return PROFILES[name]
