"""Plans for PolyNode."""

import random
from collections.abc import Mapping
from typing import Any, Final

from lastseen_simulator.world.draw import Dice, Menu, draw_actions, draw_permanent, fault
from lastseen_simulator.world.menu import LINK, SLOW, cut, ended_at, lagging
from lastseen_simulator.world.plan import Action, Plan
from lastseen_simulator.world.secrecy import ECHO

__all__ = ["draw_polynode"]

_PRESETS: Final = (
    ("settlements",),
    ("settlements",),
    ("trades",),
    ("settlements", "blocks"),
    ("wallets",),
)
_KNOBS: Final[Mapping[str, tuple[Any, ...]]] = {
    "duplicated": (0.5, 1.0),
    "amended": (0.5,),
    "update_token": ("maker",),
    "order": ("snapshot_first", "live_first"),
    "answer_gap_s": (0.05, 0.3),
    "snapshot_order": ("newest_first",),
    "snapshot_shape": ("flat",),
    "empty_snapshot": ("omitted",),
    "heartbeats": ("text", "ping"),
    "refusal": ("close",),
    "backlog_bytes": (2000,),
    "connection_limit": (1,),
    "idle_close_s": (4.0,),
}
_TIMERS: Final[Mapping[str, tuple[Any, ...]]] = {
    "backoff_base_s": (0.2, 0.5),
    "backoff_cap_s": (1.0, 4.0),
    "stable_after_s": (1.0, 3.0),
    "limit_backoff_s": (1.0,),
    "connect_timeout_s": (2.0,),
    "login_timeout_s": (1.0, 2.0),
    "close_timeout_s": (1.0,),
    "ping_interval_s": (1.0, 3.0),
    "ping_timeout_s": (1.0, 2.0),
    "keepalive_interval_s": (1.0, 3.0),
    "history_timeout_s": (0.5, 2.0),
    "history_interval_s": (0.5, 2.0),
    "pending_timeout_s": (1.0, 3.0, 8.0),
}
_NASTY: Final[Mapping[str, tuple[Any, ...]]] = {
    "delivery_items_max": (1, 2, 6),
    "delivery_bytes_max": (600, 3000),
    "pending_max": (1, 2),
    "tombstones_max": (1, 3),
    "confirmations_max": (1, 2),
    "identities_max": (2, 5),
    "messages_per_s": (1, 2),
    "attempts_max": (20,),
}
_BOUNDARIES: Final = (
    "before subscribed",
    "after subscribed",
    "before snapshot",
    "after snapshot",
    "before live 1",
    "after live 1",
    "after live 3",
)
_INSIDE: Final = ("subscribed", "snapshot", "live 1", "live 2")
_ODDITIES: Final = (
    "[]",
    "null",
    '{"type":',
    '{"type":"heartbeat"}',
    f'{{"type":"error","code":"odd","message":"{ECHO}"}}',
)
_TYPES: Final = ("settlement", "settlement", "settlement", "status_update", "status_update")


def draw_polynode(seed: int) -> Plan:
    """The plan of a seed."""
    dice = Dice(random.Random(f"polynode plan {seed}"))
    presets = dice.one_of(_PRESETS)
    clients = 2 if dice.chance(0.15) else 1
    heal_at = dice.between(6.0, 20.0)
    knobs = dice.some_of(_KNOBS, dice.one_of((0.0, 0.08, 0.25)))
    if "connection_limit" in knobs:
        knobs["connection_limit"] = clients
    knobs["live_first_patience_s"] = 0.3
    knobs["heartbeat_s"] = dice.one_of((0.5, 2.0))
    options: dict[str, Any] = {name: dice.one_of(values) for name, values in _TIMERS.items()}
    # What is given up for good is given up by design; a world that breaks for so long must not.
    options["attempts_max"] = 100
    settings: dict[str, Any] = {}
    if dice.chance(0.15):
        options |= dice.some_of(_NASTY, 0.4)
        settings["nasty"] = True
    if dice.chance(0.3):
        settings["compress"] = True
    if dice.chance(0.3):
        settings["one_by_one"] = True
    if dice.chance(0.3):
        settings["linger_s"] = dice.one_of((0.05, 0.5))
    if dice.chance(0.3):
        count, lookback_s = dice.one_of((1, 3)), dice.one_of((6.0, 30.0))
        knobs |= {"snapshot_count_max": count, "lookback_s": lookback_s}
    menu = dict(_FAULTS)
    if dice.chance(0.2):
        settings["slow"] = True
    else:
        del menu["slow"]
    actions = draw_actions(dice, menu, clients=clients, until=heal_at)
    actions += _publications(dice, presets, heal_at)
    if dice.chance(0.12):
        settings["slow"] = True
        actions += lagging(dice, _TYPES, heal_at)
    elif dice.chance(0.2):
        heal_at = max(heal_at, 16.0)
        knobs |= {"snapshot_count_max": dice.one_of((1, 3)), "lookback_s": 6.0}
        actions += _away_too_long(dice)
    actions.sort(key=lambda action: action.at)
    return Plan(
        dialect="polynode",
        seed=seed,
        clients=clients,
        channels=presets,
        settings=settings,
        options=options,
        knobs=knobs,
        latency_s=dice.one_of((0.001, 0.01, 0.03)),
        jitter_s=dice.one_of((0.0, 0.005, 0.03)),
        heal_at=heal_at,
        permanent=draw_permanent(dice, _PERMANENT, heal_at),
        actions=tuple(actions),
    )


def _publications(dice: Dice, presets: tuple[str, ...], until: float) -> list[Action]:
    made: list[Action] = []
    for number in range(dice.whole(2, 20)):
        kind = "block" if "blocks" in presets and dice.chance(0.3) else dice.one_of(_TYPES)
        values: dict[str, Any] = {"channel": kind}
        at = dice.between(0.1, until)
        if dice.chance(0.2):
            # A transaction whose confirmation comes first, or late.
            tx_hash = f"0x{number + 1:064x}"
            values = {"channel": "settlement", "payload": {"tx_hash": tx_hash}}
            other = max(0.1, round(at + dice.between(-3.0, 6.0), 3))
            update = {"channel": "status_update", "payload": {"tx_hash": tx_hash}}
            made.append(Action(at=min(other, until - 0.01), what="publish", values=update))
        elif dice.chance(0.3):
            values["times"] = dice.whole(2, 4)
        made.append(Action(at=at, what="publish", values=values))
    return made


def _away_too_long(dice: Dice) -> list[Action]:
    """Away for longer than histories reach back, or while more happens than they have."""
    at = dice.between(1.0, 4.0)
    seconds = dice.one_of((1.0, 7.5, 9.0))
    made = [
        Action(at=at - 0.5, what="publish", values={"channel": "settlement"}),
        Action(at=at, what="refuse", values={"mode": "refuse", "seconds": seconds}),
        Action(at=at, what="cut", values={"heard": "both", "keep": 0}),
    ]
    for _ in range(dice.whole(1, 4)):
        values: dict[str, Any] = {"channel": dice.one_of(_TYPES), "times": dice.whole(1, 3)}
        made.append(Action(at=at + dice.between(0.1, seconds), what="publish", values=values))
    if dice.chance(0.4):
        # Once more, maybe before anybody has caught up.
        again = {"heard": "both", "keep": dice.whole(0, 3)}
        made.append(Action(at=at + seconds + dice.between(0.2, 2.0), what="cut", values=again))
    return made


_FAULTS: Final[Menu] = {
    "cut": cut,
    **LINK,
    "crash": lambda dice: {"what": "crash", "seconds": dice.between(0.01, 2.0)},
    "restart": lambda dice: {"what": "restart", "announce": dice.chance(0.5)},
    "ended at": lambda dice: ended_at(dice, _INSIDE, _BOUNDARIES),
    "duplicate": lambda dice: fault(
        "duplicate", at=f"every {dice.whole(1, 3)} data", times=dice.whole(1, 5)
    ),
    "gap": lambda dice: fault("gap", at=f"every {dice.whole(2, 5)} data", times=2),
    "reorder": lambda dice: fault("reorder", at=f"every {dice.whole(1, 4)} data", times=2),
    "malformed": lambda dice: fault(
        "malformed", at=f"every {dice.whole(2, 6)} data", times=dice.whole(1, 3)
    ),
    "truncated": lambda dice: fault("truncated_deflate", at=f"every {dice.whole(2, 6)} data"),
    "close": lambda dice: fault("close", code=dice.one_of((1000, 1001, 1012))),
    "status": lambda dice: fault(
        "status", at="on request /ws", status=dice.one_of((500, 503, 503)), times=dice.whole(1, 4)
    ),
    "no ack": lambda dice: fault("no_ack", at=f"every {dice.whole(1, 3)} subscribes", times=2),
    "double ack": lambda _: fault("double_ack", at="every 1 subscribes"),
    "order": lambda dice: fault(
        "order",
        at="every 1 subscribes",
        order=dice.one_of(("snapshot_first", "live_first")),
        times=dice.whole(1, 3),
    ),
    "lost confirmation": lambda _: fault("lose_confirmation"),
    "confirmed in a snapshot": lambda _: fault("confirmation_in_snapshot_only"),
    "no heartbeat": lambda dice: fault("silence_heartbeat", seconds=dice.between(0.5, 6.0)),
    "clock step": lambda dice: fault("clock_step", offset_ms=dice.one_of((5, 4000, 90_000))),
    "oddity": lambda dice: fault("send", text=dice.one_of(_ODDITIES)),
    "raw": lambda dice: fault("raw", violation=dice.one_of(("masked", "reserved_bits"))),
    **SLOW,
}

_PERMANENT: Final = (
    fault("duplicate", at="every 2 data", times=0),
    fault("reorder", at="every 3 data", times=0),
    fault("double_ack", at="every 1 subscribes", times=0),
)
"""What may stay: none of it keeps anybody from getting in order."""
