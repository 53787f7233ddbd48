"""OddsPapi v5: JSON control frames, JSON or MessagePack data frames, snapshots by REST.

Where to look: `channels` is the table of channels, `codec` reads frames, `dialect` says what each
drives, `snapshots` knows the REST calls and `answers` what they return, `units` the update
semantics, `wire` the frames themselves. Gateways share `wire`, and load nothing else of it.
"""

from typing import TYPE_CHECKING

from lastseen.lazy_names import lazy_names

if TYPE_CHECKING:
    from lastseen.dialects.oddspapi.channels import DEFAULT_CHANNELS, SNAPSHOT_CHANNELS
    from lastseen.dialects.oddspapi.dialect import OddsPapi
    from lastseen.dialects.oddspapi.subscription import Subscription
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "channels": "DEFAULT_CHANNELS SNAPSHOT_CHANNELS",
            "dialect": "OddsPapi",
            "subscription": "Subscription",
        },
    )

__all__ = ["DEFAULT_CHANNELS", "SNAPSHOT_CHANNELS", "OddsPapi", "Subscription"]
