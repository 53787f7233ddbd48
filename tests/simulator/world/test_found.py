"""What the world has found, as the plans that its failures shrank to."""

import msgspec
import pytest

from lastseen_simulator.world.plan import SCHEMA, Plan
from lastseen_simulator.world.world import play

FOUND = {
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
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_mended(name: str) -> None:
    plan = Plan.from_json(msgspec.json.encode({"schema": SCHEMA, **FOUND[name]}))

    assert play(plan).violation is None
