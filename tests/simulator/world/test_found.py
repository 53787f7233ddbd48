"""What the world has found, as the plans that its failures shrank to."""

from typing import Any

import msgspec
import pytest

from lastseen_simulator.world.plan import SCHEMA, Plan
from lastseen_simulator.world.world import play

FOUND: dict[str, dict[str, Any]] = {
    "a peer that goes on in a new epoch while this connection stays in the old one": {
        "dialect": "oddspapi",
        "seed": 1006,
        "channels": ["scores"],
        "knobs": {"as_of": True},
        "heal_at": 6.0,
        "actions": [
            {"at": 1.0, "what": "fault", "values": {"kind": "restart", "how": "silent"}},
            {"at": 2.0, "what": "fault", "values": {"kind": "backpressure"}},
        ],
    },
    "a replay without heads, cut short by a demand, that goes on behind the new base": {
        "dialect": "oddspapi",
        "seed": 307,
        "channels": ["fixtures"],
        "knobs": {
            "replay_order": "interleaved",
            "replay_gap_s": 0.1,
            "server_entry_ids": False,
            "snapshot_required_heads": False,
        },
        "heal_at": 8.0,
        "actions": [
            {"at": 1.0, "what": "publish", "values": {"channel": "fixtures"}},
            {
                "at": 1.5,
                "what": "fault",
                "values": {"kind": "backpressure", "at": "after replayed 2"},
            },
            {"at": 2.0, "what": "cut"},
            {"at": 2.1, "what": "publish", "values": {"channel": "fixtures", "times": 9}},
            *(
                {
                    "at": round(2.5 + 0.05 * n, 3),
                    "what": "publish",
                    "values": {"channel": "fixtures"},
                }
                for n in range(5)
            ),
        ],
    },
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_mended(name: str) -> None:
    plan = Plan.from_json(msgspec.json.encode({"schema": SCHEMA, **FOUND[name]}))

    assert play(plan).violation is None
