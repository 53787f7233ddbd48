"""Cutting the body of a stream into records: no I/O, and no bytes make it raise.

Where to look: `lines` for newline-delimited JSON, `envelopes` for Connect, `server_sent` for SSE,
`sniffing` for what an answer really is when its content type lies, `depth` for how deep a record
may be nested.
"""

from lastseen.deframing.depth import DEPTH_MAX, is_too_deep
from lastseen.deframing.envelopes import Envelopes
from lastseen.deframing.lines import Lines
from lastseen.deframing.server_sent import ServerSentEvents
from lastseen.deframing.sniffing import Deframer

__all__ = [
    "DEPTH_MAX",
    "RECORD_BYTES_MAX",
    "Deframer",
    "Envelopes",
    "Lines",
    "ServerSentEvents",
    "is_too_deep",
]

RECORD_BYTES_MAX = 16 << 20
"""A snapshot of 20,000 orders is about so large; no figure is published."""
