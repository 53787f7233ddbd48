"""The catalogue of faults: what each kind does, where it may stand, what it takes."""

from collections.abc import Mapping
from typing import Final, Literal

import attrs

__all__ = ["CHUNK_VIOLATIONS", "DIALECTS", "KINDS", "VIOLATIONS", "FaultKind", "Target"]

DIALECTS: Final = ("oddspapi", "polynode", "polymarket-us")
"""The gateways there are."""

_SOCKETS: Final = ("oddspapi", "polynode")
"""Those that speak WebSocket."""

_STREAMS: Final = ("polymarket-us",)
"""Those that stream over HTTP."""

Target = Literal["frame", "record", "cuttable", "anywhere", "request", "both", "subscribe"]


@attrs.frozen(kw_only=True)
class FaultKind:
    """A row of the catalogue: what it does and what it takes.

    `target` says where it may stand: `frame` at a data frame; `record` at any frame; `cuttable`
    anywhere and inside frames; `anywhere` outside frames; `request` at a REST request, an upgrade
    or the open of a stream; `both` at either; `subscribe` at a subscribe. `dialects` says which
    gateways can do it.
    """

    does: str
    target: Target = "anywhere"
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    dialects: tuple[str, ...] = DIALECTS


KINDS: Final[Mapping[str, FaultKind]] = {
    # What a stream can do to its frames.
    "duplicate": FaultKind(does="sends the data frame twice", target="frame"),
    "gap": FaultKind(
        does="withholds the data frame: coalesced, a newer entry for the same units follows; lost, "
        "snapshot_required client_backpressure follows; on PolyNode only snapshots have it",
        target="frame",
        takes=("loss",),
    ),
    "reorder": FaultKind(
        does="lets the next frame of another channel pass the data frame",
        target="frame",
        dialects=_SOCKETS,
    ),
    "malformed": FaultKind(
        does="sends the data frame with the second half of its text missing", target="frame"
    ),
    "drip": FaultKind(does="writes the frame byte by byte", target="frame", takes=("bytes_per_s",)),
    # What a server can do to a session.
    "restart": FaultKind(
        does="starts a new epoch: crash drops everybody, notice announces it, silent lets the next "
        "login find out; on PolyNode the recent events are forgotten and notice is a close; on "
        "Polymarket US a new session begins, and silent goes on in the same answers",
        takes=("how", "grace_s"),
    ),
    "reconnect": FaultKind(
        does="sends reconnect, streams on, closes after the grace",
        takes=("reason", "grace_s"),
        dialects=("oddspapi",),
    ),
    "backpressure": FaultKind(
        does="sends snapshot_required client_backpressure",
        takes=("channels",),
        dialects=("oddspapi",),
    ),
    "snapshot_required": FaultKind(
        does="sends snapshot_required with any reason and channels",
        takes=("reason", "channels", "text"),
        dialects=("oddspapi",),
    ),
    "close": FaultKind(
        does="closes with a close frame",
        takes=("code", "reason"),
        needs=("code",),
        dialects=_SOCKETS,
    ),
    "clean_close_after_login": FaultKind(
        does="closes with 1000 straight after login_ok, for so many logins or seconds",
        takes=("seconds", "code"),
        dialects=("oddspapi",),
    ),
    "reconnect_after_login": FaultKind(
        does="sends reconnect straight after login_ok, for so many logins or seconds",
        takes=("seconds", "reason", "grace_s"),
        dialects=("oddspapi",),
    ),
    # What a path can do to a connection.
    "drop": FaultKind(does="ends the connection with FIN, no close frame", target="cuttable"),
    "reset": FaultKind(does="ends the connection with RST", target="cuttable"),
    "half_open": FaultKind(does="falls silent for ever, keeping the socket", target="cuttable"),
    "stall": FaultKind(
        does="neither reads nor writes for a while; at a request: sends the head only; at an "
        "upgrade: nothing",
        target="both",
        takes=("seconds",),
    ),
    "refuse": FaultKind(does="refuses connections for a while", takes=("seconds",)),
    "accept_then_close": FaultKind(
        does="accepts connections and closes them at once for a while", takes=("seconds",)
    ),
    # What a peer should never send.
    "send": FaultKind(
        does="sends any text, or bytes given in hex, as one message; on Polymarket US text is a "
        "record, and bytes are part of the body as they are",
        takes=("text", "data_hex"),
    ),
    "oversize": FaultKind(
        does="sends one message of so many bytes", takes=("size_bytes",), needs=("size_bytes",)
    ),
    "raw": FaultKind(
        does="puts bytes on the stream: a named violation of RFC 6455, or on Polymarket US of RFC "
        "9112, or hex",
        takes=("violation", "data_hex"),
    ),
    # What a snapshot service can do.
    "status": FaultKind(
        does="answers with an error status",
        target="request",
        takes=("status", "retry_after_s", "code", "message"),
        needs=("status",),
    ),
    "truncate": FaultKind(
        does="announces the whole body and sends a part",
        target="request",
        takes=("cut_at",),
        dialects=("oddspapi",),
    ),
    "stale": FaultKind(
        does="answers from the past: some entries ago, or some seconds",
        target="request",
        takes=("entries", "seconds"),
        dialects=("oddspapi",),
    ),
    "late": FaultKind(
        does="answers after a while, with what it saw when it was asked",
        target="request",
        takes=("seconds",),
        needs=("seconds",),
        dialects=("oddspapi",),
    ),
    "empty": FaultKind(
        does="answers [] with status 200",
        target="request",
        dialects=("oddspapi",),
    ),
    "html": FaultKind(does="answers with a page of HTML and status 200", target="request"),
    # What only a history of events can suffer.
    "no_ack": FaultKind(
        does="lets a subscribe come to nothing: no answer, no events",
        target="subscribe",
        dialects=("polynode",),
    ),
    "double_ack": FaultKind(
        does="acknowledges a subscribe twice", target="subscribe", dialects=("polynode",)
    ),
    "order": FaultKind(
        does="chooses for one subscribe whether its ack, its snapshot or a live event comes first",
        target="subscribe",
        takes=("order",),
        needs=("order",),
        dialects=("polynode",),
    ),
    "lose_confirmation": FaultKind(
        does="keeps the next status_update from everybody, live and in snapshots",
        dialects=("polynode",),
    ),
    "confirmation_in_snapshot_only": FaultKind(
        does="keeps the next status_update from everybody who is connected; snapshots have it",
        dialects=("polynode",),
    ),
    "silence_heartbeat": FaultKind(
        does="sends neither heartbeats nor pings for a while; on Polymarket US no periodic "
        "snapshots either",
        takes=("seconds",),
        dialects=("polynode", "polymarket-us"),
    ),
    "zlib_wrapped": FaultKind(
        does="sends the data frame compressed with a zlib header and checksum",
        target="frame",
        dialects=("polynode",),
    ),
    "truncated_deflate": FaultKind(
        does="sends the data frame compressed, and the second half of that missing",
        target="frame",
        dialects=("polynode",),
    ),
    "bomb": FaultKind(
        does="sends the data frame compressed, inflating to so many bytes by way of blanks",
        target="frame",
        takes=("size_bytes",),
        dialects=("polynode",),
    ),
    # What only a stream over HTTP can suffer.
    "content_type": FaultKind(
        does="answers a stream's request with another content type",
        target="request",
        takes=("text",),
        dialects=_STREAMS,
    ),
    "refuse_token": FaultKind(
        does="refuses the resume token of a request as one that nobody knows",
        target="request",
        dialects=_STREAMS,
    ),
    "delta_first": FaultKind(
        does="sends the snapshot of a new stream only after its first change",
        target="request",
        dialects=_STREAMS,
    ),
    "no_snapshot": FaultKind(
        does="lets a new stream begin without its snapshot",
        target="request",
        dialects=_STREAMS,
    ),
    "end": FaultKind(
        does="ends the answer as it should end; bare without Connect's end of stream, and inside a "
        "record, which it cuts in a body that is in good order",
        target="cuttable",
        takes=("how",),
        dialects=_STREAMS,
    ),
    "garbage": FaultKind(
        does="ends the answer as it should end, and puts bytes after it",
        takes=("text", "data_hex"),
        dialects=_STREAMS,
    ),
    "split": FaultKind(
        does="sends the frame in two chunks, the first of so many bytes",
        target="record",
        takes=("cut_at",),
        dialects=_STREAMS,
    ),
    "compressed": FaultKind(
        does="sends the data frame compressed by gzip, as only an envelope can say",
        target="frame",
        dialects=_STREAMS,
    ),
    "error": FaultKind(
        does="sends an error record inside the answer, and ends it",
        takes=("code", "message"),
        dialects=_STREAMS,
    ),
    "snapshot": FaultKind(does="sends a snapshot nobody waits for", dialects=_STREAMS),
    "old_snapshot": FaultKind(
        does="sends the snapshot before the last once more", dialects=_STREAMS
    ),
    # What a clock can do.
    "clock_step": FaultKind(
        does="steps the server's wall clock", takes=("offset_ms",), needs=("offset_ms",)
    ),
}

VIOLATIONS: Final[Mapping[str, bytes]] = {
    "reserved_bits": b"\xf1\x02{}",
    "reserved_opcode": b"\x83\x02{}",
    "masked": b"\x81\x82\x01\x02\x03\x04\x7a\x7f",
    "fragmented_ping": b"\x09\x00",
    "long_ping": b"\x89\x7e\x00\x7e" + bytes(126),
    "orphan_continuation": b"\x80\x02{}",
    "invalid_utf8": b"\x81\x03{\xff}",
    "bad_close_code": b"\x88\x02\x03\xed",
    "half_close_code": b"\x88\x01\x03",
    "not_http_not_websocket": b"HTTP/1.1 500 Oops\r\n\r\n",
}
"""Names for bytes that break RFC 6455 on the client's side of the connection."""

CHUNK_VIOLATIONS: Final[Mapping[str, bytes]] = {
    "bad_chunk_size": b"zz\r\n{}\r\n",
    "signed_chunk_size": b"+2\r\n{}\r\n",
    "huge_chunk_size": b"fffffffffffffffffffff\r\n",
    "unended_chunk": b"2\r\n{}{}\r\n",
    "bare_newline_chunk": b"2\n{}\n",
    "second_head": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
}
"""Names for bytes that break a chunked body (RFC 9112 §7.1), between two chunks."""
