"""OddsPapi v5: JSON control frames, JSON or MessagePack data frames, snapshots by REST.

Where to look: `codec` reads frames, `dialect` says what each drives, `snapshots` knows the REST
calls, `units` the update semantics, `wire` the frames themselves.
"""

from lastseen.dialects.oddspapi.dialect import OddsPapi
from lastseen.dialects.oddspapi.subscription import SNAPSHOT_CHANNELS, Subscription

__all__ = ["SNAPSHOT_CHANNELS", "OddsPapi", "Subscription"]
