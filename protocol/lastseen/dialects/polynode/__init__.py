"""PolyNode: JSON events over one WebSocket, some deflated, with history instead of positions.

Where to look: `events` is the table of event types and presets, `subscription` what may be asked
for, `codec` reads frames, `inflate` binary ones, `identity` says which event is which, `dialect`
what is sent and what an end means, `wire` the frames themselves.
"""

from lastseen.dialects.polynode.dialect import PLANS, Plan, PolyNode
from lastseen.dialects.polynode.events import Preset
from lastseen.dialects.polynode.subscription import Subscription

__all__ = ["PLANS", "Plan", "PolyNode", "Preset", "Subscription"]
