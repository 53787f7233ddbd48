"""Plans for OddsPapi."""

import random
from collections.abc import Mapping
from typing import Any, Final

from lastseen_simulator.world.draw import Dice, Menu, draw_actions, draw_permanent, fault
from lastseen_simulator.world.menu import (
    APPLICATION,
    LINK,
    crash,
    cut,
    ended_at,
    lagging,
    publications,
)
from lastseen_simulator.world.plan import Action, Plan
from lastseen_simulator.world.secrecy import ECHO

__all__ = ["draw_oddspapi"]

_CHANNELS: Final = (
    ("scores",),
    ("fixtures", "scores"),
    ("fixtures", "scores", "odds"),
    ("fixtures", "scores", "odds", "bookmakers"),
    ("scores", "currencies"),
    ("scores", "clocks", "events"),
    ("odds", "events"),
)

_KNOBS: Final[Mapping[str, tuple[Any, ...]]] = {
    "replay_channels": (["scores"], ["fixtures", "scores", "odds"], ["scores", "currencies"]),
    "replay_order": ("interleaved",),
    "replay_channel_order": ("by_time",),
    "replay_gap_s": (0.02, 0.3),
    "inclusive_replay": (True,),
    "resume_complete": ("late", "never"),
    "resume_complete_delay_s": (0.5,),
    "empty_replay_completes": (False,),
    "resume_window_ms": (1500, 4000),
    "as_of": (True, True),
    "null_heads": (True,),
    "server_entry_ids": (False,),
    "epoch_change_verdict": ("silent",),
    "restart_epoch": ("kept",),
    "sequence_restarts": ("never", "millisecond"),
    "uncovered_channels": ("snapshot_required",),
    "unreplayable_cursor": ("ignored",),
    "quiet_cursor": ("accepted",),
    "snapshot_required_channels": ("missing", "empty", "extra"),
    "snapshot_required_heads": (False,),
    "snapshot_required_repeats": (2,),
    "snapshot_required_place": ("after",),
    "reconnect_close_code": (4002,),
    "connection_limit": (2, 3),
    "binary_channels": ("odds",),
    "backlog_soft_bytes": (600,),
    "backlog_hard_bytes": (2500,),
    "inactive_rows": ("served",),
}

_TIMERS: Final[Mapping[str, tuple[Any, ...]]] = {
    "backoff_base_s": (0.2, 0.5),
    "backoff_cap_s": (1.0, 4.0),
    "stable_after_s": (1.0, 3.0),
    "limit_backoff_s": (1.0,),
    "handover_jitter_s": (0.1, 0.5),
    "connect_timeout_s": (2.0,),
    "login_timeout_s": (2.0,),
    "close_timeout_s": (1.0,),
    "ping_interval_s": (1.0, 3.0),
    "ping_timeout_s": (1.0, 2.0),
    "resume_timeout_s": (1.0, 4.0),
    "snapshot_timeout_s": (1.0, 3.0),
    "snapshot_backoff_base_s": (0.1, 0.5),
    "snapshot_backoff_cap_s": (1.0, 2.0),
    "snapshot_settled_s": (0.2, 1.0),
    "snapshot_jitter_s": (0.05,),
    "verify_after_s": (0.5, 2.0),
    "commit_interval_s": (0.05, 0.25, 1.0),
}
"""Short enough for a run, all of the time."""

_NASTY: Final[Mapping[str, tuple[Any, ...]]] = {
    "hold_items_max": (1, 2, 5),
    "hold_bytes_max": (400, 3000),
    "channel_hold_bytes_max": (600, 5000),
    "delivery_items_max": (1, 2, 6),
    "delivery_bytes_max": (500, 3000),
    "scopes_max": (5,),
    "commit_items_max": (1, 2),
    "messages_per_s": (1, 2),
    "snapshot_concurrency": (1,),
    "escalate_after": (1, 2),
    "connection_limit": (1,),
}
"""Legal, and smaller than anybody would choose."""

_BOUNDARIES: Final = (
    "after login_ok",
    "before resume_complete",
    "after resume_complete",
    "before snapshot_required",
    "after snapshot_required",
    "before replayed 1",
    "after replayed 1",
    "after replayed 2",
    "before live 1",
    "after live 1",
    "after live 3",
    "after reconnect",
)
_INSIDE: Final = ("login_ok", "resume_complete", "snapshot_required", "replayed 1", "live 2")

_DEMANDS: Final = (
    "resume_window_exceeded",
    "server_restarted",
    "client_backpressure",
    "cosmic_rays",
)

_ODDITIES: Final = (
    "[]",
    "null",
    '{"type":"notice","entryId":"9-9","x":{}}',
    '{"type":"resume_complete"}',
    '{"channel":"futures","type":"UPDATE","ts":1,"entryId":"5-1","payload":{}}',
    '{"channel":"scores","type":"UPDATE","ts":1,"entryId":"+1-2","payload":{"fixtureId":"x"}}',
    '{"type":',
    '{"type":"reconnect","reason":7}',
    f'{{"type":"{ECHO}"}}',
    f'{{"type":"reconnect","reason":"of {ECHO}"}}',
)


def draw_oddspapi(seed: int) -> Plan:
    """The plan of a seed."""
    dice = Dice(random.Random(f"oddspapi plan {seed}"))
    channels = dice.one_of(_CHANNELS)
    clients = 2 if dice.chance(0.15) else 1
    heal_at = dice.between(6.0, 20.0)
    knobs = dice.some_of(_KNOBS, dice.one_of((0.0, 0.08, 0.25)))
    knobs["reconnect_grace_s"] = dice.one_of((0.3, 1.0, 3.0))
    options: dict[str, Any] = {name: dice.one_of(values) for name, values in _TIMERS.items()}
    options |= dice.some_of(_NASTY, dice.one_of((0.0, 0.0, 0.25)))
    settings: dict[str, Any] = {}
    if dice.chance(0.2):
        settings["receive_type"] = "binary"
    if dice.chance(0.3):
        settings["one_by_one"] = True
    if dice.chance(0.3):
        settings["stubborn"] = True
    if dice.chance(0.3):
        settings["linger_s"] = dice.one_of((0.05, 0.5))
    menu = dict(_FAULTS)
    if dice.chance(0.25):
        settings["slow"] = True
    else:
        del menu["slow"]
    actions = draw_actions(dice, menu, clients=clients, until=heal_at)
    actions += publications(dice, channels, heal_at, most=25, burst=5)
    if "scores" in channels and dice.chance(0.12):
        knobs |= _LONG_REPLAY
        knobs["server_entry_ids"] = dice.chance(0.5)
        actions += _interrupted_replay(dice, heal_at)
    if dice.chance(0.1):
        knobs.pop("sequence_restarts", None)
        actions += _another_clock(dice, dice.one_of(channels), heal_at)
    if dice.chance(0.1):
        knobs |= {"as_of": True, "null_heads": False}
        actions += _old_answers(dice, dice.one_of(channels), heal_at)
    unnamed = not knobs.get("server_entry_ids", True) and knobs.get("replay_order") == "interleaved"
    if "sequence_restarts" in knobs or unnamed:
        # Numbers that begin anew and a clock that goes back give ids that are no order at all; nor
        # can an interleaved replay without heads be told from live entries by such ids.
        actions = [each for each in actions if not _goes_back(each)]
    if "sequence_restarts" in knobs or any(map(_goes_back, actions)):
        # An id that says how far a snapshot is says nothing where ids are no order.
        knobs.pop("as_of", None)
    if dice.chance(0.12):
        settings["slow"] = True
        actions += lagging(dice, channels, heal_at)
    actions.sort(key=lambda action: action.at)
    return Plan(
        dialect="oddspapi",
        seed=seed,
        clients=clients,
        channels=channels,
        settings=settings,
        options=options,
        knobs=knobs,
        latency_s=dice.one_of((0.001, 0.01, 0.03)),
        jitter_s=dice.one_of((0.0, 0.005, 0.03)),
        disk_s=dice.one_of((0.005, 0.05, 0.6)),
        heal_at=heal_at,
        permanent=draw_permanent(dice, _PERMANENT, heal_at),
        actions=tuple(actions),
    )


_LONG_REPLAY: Final[Mapping[str, Any]] = {
    "replay_order": "interleaved",
    "replay_gap_s": 0.1,
    "resume_window_ms": 60_000,
}


def _interrupted_replay(dice: Dice, until: float) -> list[Action]:
    """Much is missed; it comes back slowly, among live entries, and the connection ends in it."""
    at = dice.between(0.3, 0.5) * until
    missed = {"channel": "scores", "times": dice.whole(3, 6)}
    made = [
        Action(at=at - 0.2, what="publish", values={"channel": "scores"}),
        Action(at=at, what="cut", values={"heard": "both", "keep": 0}),
        Action(at=at + 0.05, what="publish", values=missed),
    ]
    if dice.chance(0.6):
        drop = {"kind": "drop", "at": f"after replayed {dice.whole(1, 3)}"}
        made.append(Action(at=at + 0.06, what="fault", values=drop))
    for number in range(dice.whole(3, 8)):
        later = round(at + 0.3 + 0.25 * number, 3)
        made.append(Action(at=later, what="publish", values={"channel": "scores"}))
    return [each for each in made if each.at < until]


def _old_answers(dice: Dice, channel: str, until: float) -> list[Action]:
    """Snapshots that say how old they are, and are older than what was delivered."""
    at = dice.between(0.2, 0.6) * until
    stale = {
        "kind": "stale",
        "at": "on request *",
        "seconds": dice.one_of((1.0, 3.0)),
        "times": dice.whole(1, 4),
    }
    demand = {"kind": "snapshot_required", "reason": dice.one_of(_DEMANDS)}
    publish = {"channel": channel, "times": dice.whole(1, 3)}
    made = [
        Action(at=at, what="publish", values=publish),
        Action(at=at + 0.1, what="fault", values=stale),
        Action(at=at + 0.2, what="fault", values=demand),
        Action(at=at + dice.between(0.3, 1.0), what="publish", values=publish),
    ]
    return [each for each in made if each.at < until]


def _goes_back(action: Action) -> bool:
    return bool(action.values.get("offset_ms", 0) < 0)


def _another_clock(dice: Dice, channel: str, until: float) -> list[Action]:
    """A restart on a machine whose clock is behind: ids of the new epoch are below the old ones."""
    at = dice.between(0.3, 0.7) * until
    offset_ms = dice.one_of((-3000, -60_000))
    made = [
        Action(at=at - dice.between(0.05, 1.0), what="publish", values={"channel": channel}),
        Action(at=at, what="fault", values={"kind": "clock_step", "offset_ms": offset_ms}),
        Action(at=at + 0.01, what="restart", values={"announce": dice.chance(0.5)}),
    ]
    for _ in range(dice.whole(2, 4)):
        later = round(at + dice.between(0.1, 4.0), 3)
        made.append(Action(at=later, what="publish", values={"channel": channel}))
    return [each for each in made if each.at < until]


def _request(dice: Dice) -> str:
    return f"on request {dice.one_of(('/fixtures', '/fixtures/odds', '*'))}"


def _status(dice: Dice) -> dict[str, Any]:
    status = dice.one_of((429, 500, 503, 503))
    more = {"retry_after_s": 1} if dice.chance(0.3) else {}
    return fault("status", at=_request(dice), status=status, times=dice.whole(1, 4), **more)


def _demand(dice: Dice) -> dict[str, Any]:
    values: dict[str, Any] = {"reason": dice.one_of(_DEMANDS)}
    if dice.chance(0.7):
        values["channels"] = [dice.one_of(("scores", "odds", "fixtures"))]
    if dice.chance(0.3):
        values["at"] = dice.one_of(("after login_ok", "after replayed 1", "after resume_complete"))
    return fault("snapshot_required", **values)


def _told_to_move(dice: Dice) -> dict[str, Any]:
    values: dict[str, Any] = {"grace_s": dice.one_of((0, 1, 3))}
    if dice.chance(0.3):
        values["at"] = dice.one_of(("after login_ok", "after replayed 1", "after live 2"))
    return fault("reconnect", **values)


_FAULTS: Final[Menu] = {
    "cut": cut,
    **LINK,
    "silence": lambda dice: {"what": "silence", "seconds": dice.between(0.2, 4.0)},
    "crash": crash,
    "restart": lambda dice: {"what": "restart", "announce": dice.chance(0.5)},
    "silent restart": lambda _: fault("restart", how="silent"),
    "ended at": lambda dice: ended_at(dice, _INSIDE, _BOUNDARIES),
    "duplicate": lambda dice: fault(
        "duplicate", at=f"every {dice.whole(1, 3)} data", times=dice.whole(1, 5)
    ),
    "coalesced": lambda dice: fault("gap", at=f"every {dice.whole(2, 5)} data", times=2),
    "lost": lambda dice: fault("gap", at=f"every {dice.whole(2, 5)} data", loss="lost"),
    "reorder": lambda dice: fault("reorder", at=f"every {dice.whole(1, 4)} data", times=2),
    "malformed": lambda dice: fault(
        "malformed", at=f"every {dice.whole(2, 6)} data", times=dice.whole(1, 3)
    ),
    "reconnect": _told_to_move,
    "backpressure": lambda _: fault("backpressure"),
    "demand": _demand,
    "close": lambda dice: fault("close", code=dice.one_of((1000, 1001, 1012, 4002))),
    "closed after login": lambda dice: fault(
        "clean_close_after_login", at="after login_ok", times=dice.whole(1, 4)
    ),
    "moved after login": lambda dice: fault(
        "reconnect_after_login", at="after login_ok", times=dice.whole(1, 4)
    ),
    "status": _status,
    "truncate": lambda dice: fault("truncate", at=_request(dice), times=dice.whole(1, 2)),
    "stale": lambda dice: fault(
        "stale", at=_request(dice), seconds=dice.one_of((0.5, 3.0)), times=dice.whole(1, 3)
    ),
    "late": lambda dice: fault("late", at=_request(dice), seconds=dice.between(0.2, 3.0)),
    "html": lambda dice: fault("html", at=_request(dice)),
    "rest stall": lambda dice: fault("stall", at=_request(dice)),
    "clock step": lambda dice: fault("clock_step", offset_ms=dice.one_of((5, 4000, 90_000, -3000))),
    "oddity": lambda dice: fault("send", text=dice.one_of(_ODDITIES)),
    "raw": lambda dice: fault("raw", violation=dice.one_of(("masked", "reserved_bits"))),
    **APPLICATION,
}

_PERMANENT: Final = (
    fault(
        "status",
        at="on request /fixtures/odds",
        status=503,
        times=0,
        spares=["odds", "bookmakers"],
    ),
    fault("duplicate", at="every 2 data", times=0),
    fault("reorder", at="every 3 data", times=0),
    fault("late", at="on request *", seconds=0.2, times=0),
)
"""What may stay: a dead endpoint concerns its own channels (INV-L3), the others nobody."""
