"""Plans for Polymarket US."""

import random
from collections.abc import Mapping
from typing import Any, Final

import attrs

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

__all__ = ["draw_polymarket_us"]

_CHANNELS: Final = (
    ("orders",),
    ("orders",),
    ("drop_copy",),
    ("positions",),
    ("market_data",),
    ("orders", "drop_copy"),
    ("orders", "positions"),
)
_KNOBS: Final[Mapping[str, tuple[Any, ...]]] = {
    "order_tokens": (True, True, False),
    "resume_snapshot": (True,),
    "refused_token": ("status",),
    "journal": (2, 5),
    "resume_inclusive": (True,),
    "replay_batch": (1, 3),
    "lifetime_s": (3.0, 6.0),
    "restart_forgets": (True,),
    "resend_s": (1.0,),
    "page_items": (1, 2),
    "heartbeat_first": (True,),
    "wrapped": (False,),
    "numbers": ("number",),
    "line_end": ("crlf", "blank"),
    "page": ("b", "c"),
}
_TIMERS: Final[Mapping[str, tuple[Any, ...]]] = {
    "backoff_base_s": (0.2, 0.5),
    "backoff_cap_s": (1.0, 4.0),
    "stable_after_s": (1.0, 3.0),
    "limit_backoff_s": (1.0,),
    "connect_timeout_s": (2.0,),
    "login_timeout_s": (1.0, 2.0),
    "close_timeout_s": (1.0,),
    "silence_limit_s": (3.0, 6.0),
    "commit_interval_s": (0.05, 0.25, 1.0),
}
_NASTY: Final[Mapping[str, tuple[Any, ...]]] = {
    "delivery_items_max": (3, 6),
    "hold_items_max": (1, 2),
    "commit_items_max": (1, 2),
    "identities_max": (2, 5),
    "escalate_after": (1, 2),
}
_ORDERS: Final = ("o-1", "o-2", "o-3")
_BOUNDARIES: Final = (
    "before snapshot",
    "after snapshot",
    "before replayed 1",
    "after replayed 1",
    "before live 1",
    "after live 1",
    "after live 3",
)
_INSIDE: Final = ("snapshot", "replayed 1", "live 1", "live 2")
_ODDITIES: Final = ("[]", "null", '{"what":1}', '{"result":', '{"result":{}}')


def draw_polymarket_us(seed: int) -> Plan:
    """The plan of a seed."""
    dice = Dice(random.Random(f"polymarket-us plan {seed}"))
    channels = dice.one_of(_CHANNELS)
    heal_at = dice.between(6.0, 20.0)
    knobs = dice.some_of(_KNOBS, dice.one_of((0.0, 0.08, 0.25)))
    if dice.chance(0.2):
        # A snapshot, and behind it the changes that led to it.
        knobs |= {"order_tokens": True, "resume_snapshot": True}
    if dice.chance(0.2):
        knobs["snapshot_s"] = dice.one_of((0.5, 1.0, 3.0))
    knobs["heartbeat_s"] = dice.one_of((0.5, 1.0))
    options: dict[str, Any] = {name: dice.one_of(values) for name, values in _TIMERS.items()}
    settings: dict[str, Any] = {}
    if dice.chance(0.15):
        options |= dice.some_of(_NASTY, 0.4)
        settings["nasty"] = True
    if dice.chance(0.3):
        settings["one_by_one"] = True
    if dice.chance(0.3):
        settings["linger_s"] = dice.one_of((0.05, 0.5))
    menu = dict(_FAULTS)
    if dice.chance(0.2):
        settings["slow"] = True
    else:
        del menu["slow"]
    actions = draw_actions(dice, menu, clients=len(channels), until=heal_at)
    published = publications(dice, channels, heal_at, most=20, burst=4)
    actions += [_filled(dice, each) if dice.chance(0.5) else each for each in published]
    if dice.chance(0.12):
        settings["slow"] = True
        actions += lagging(dice, channels, heal_at)
    actions.sort(key=lambda action: action.at)
    return Plan(
        dialect="polymarket-us",
        seed=seed,
        clients=len(channels),
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


def _filled(dice: Dice, action: Action) -> Action:
    """A share of an order that is there from the start, in place of another order."""
    if action.values["channel"] != "orders":
        return action
    payload = {"order": {"id": dice.one_of(_ORDERS)}, "lastShares": 1}
    return attrs.evolve(action, values={**action.values, "payload": payload})


_FAULTS: Final[Menu] = {
    "cut": lambda dice: {**cut(dice), "part": dice.one_of((0.1, 0.5, 0.9))},
    **LINK,
    "crash": crash,
    "restart": lambda dice: {"what": "restart", "announce": dice.chance(0.5)},
    "silent restart": lambda _: fault("restart", how="silent"),
    "ended at": lambda dice: ended_at(dice, _INSIDE, _BOUNDARIES, "end"),
    "duplicate": lambda dice: fault(
        "duplicate", at=f"every {dice.whole(1, 3)} data", times=dice.whole(1, 5)
    ),
    "malformed": lambda dice: fault(
        "malformed", at=f"every {dice.whole(2, 6)} data", times=dice.whole(1, 3)
    ),
    "split": lambda dice: fault("split", at=f"every {dice.whole(1, 4)} data", times=3),
    "drip": lambda dice: fault("drip", at=f"every {dice.whole(2, 5)} data", bytes_per_s=400.0),
    "status": lambda dice: fault(
        "status",
        at="on request *",
        status=dice.one_of((429, 500, 503)),
        times=dice.whole(1, 4),
    ),
    "html": lambda _: fault("html", at="on request *"),
    "stalled request": lambda _: fault("stall", at="on request *", seconds=1.0),
    "refused token": lambda dice: fault("refuse_token", at="on request *", times=dice.whole(1, 4)),
    "delta first": lambda dice: fault("delta_first", at="on request *", times=dice.whole(1, 2)),
    "no snapshot": lambda dice: fault("no_snapshot", at="on request *", times=dice.whole(1, 2)),
    "error": lambda dice: fault("error", code=dice.one_of((13, 14, 8)), message=f"no, {ECHO}"),
    "end": lambda dice: fault("end", how=dice.one_of(("well", "bare"))),
    "snapshot": lambda _: fault("snapshot"),
    "old snapshot": lambda dice: fault(
        "old_snapshot", at=f"every {dice.whole(2, 4)} data", times=dice.whole(1, 4)
    ),
    "no heartbeat": lambda dice: fault("silence_heartbeat", seconds=dice.between(0.5, 8.0)),
    "clock step": lambda dice: fault("clock_step", offset_ms=dice.one_of((5, 4000))),
    "oddity": lambda dice: fault("send", text=dice.one_of(_ODDITIES)),
    "raw": lambda dice: fault("raw", violation=dice.one_of(("bad_chunk_size", "unended_chunk"))),
    **APPLICATION,
}

_PERMANENT: Final = (
    fault("duplicate", at="every 2 data", times=0),
    fault("split", at="every 2 data", times=0),
    fault("drip", at="every 3 data", bytes_per_s=4000.0, times=0),
)
"""What may stay: none of it keeps anybody from getting in order."""
