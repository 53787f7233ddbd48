"""What a client may wrongly make of a frame of OddsPapi, as functions from frame to frame."""

from collections.abc import Mapping
from typing import Any, Final, cast

__all__ = [
    "a_text_is_a_list",
    "demand_without_epoch",
    "every_name_or_none",
    "known_moves_only",
    "known_reasons_only",
    "makes_up_an_epoch",
    "no_demands",
    "no_moves",
    "unknown_demands",
]

Frame = dict[str, Any]

_REASONS: Final = ("server_restarted", "resume_window_exceeded", "client_backpressure")


def no_demands(frame: Frame) -> Frame | None:
    """Does not know `snapshot_required`."""
    return None if frame.get("type") == "snapshot_required" else frame


def known_reasons_only(frame: Frame) -> Frame | None:
    """Follows `snapshot_required` for the reasons of the manual."""
    strange = frame.get("type") == "snapshot_required" and frame.get("reason") not in _REASONS
    return None if strange else frame


def a_text_is_a_list(frame: Frame) -> Frame | None:
    """Goes through the channels of `snapshot_required`, whatever they are: letters, or nothing."""
    if frame.get("type") != "snapshot_required":
        return frame
    return {**frame, "channels": list(frame.get("channels") or ()) or ["-"]}


def every_name_or_none(frame: Frame) -> Frame | None:
    """Takes no list of which it does not know every name."""
    names: Any = frame.get("channels")
    if frame.get("type") != "snapshot_required" or not isinstance(names, list):
        return frame
    known = {"fixtures", "scores", "odds"}
    good = all(isinstance(name, str) and name in known for name in cast("list[object]", names))
    return frame if good else None


def unknown_demands(frame: Frame) -> Frame | None:
    """Takes names that it does not know for a demand that concerns everything."""
    names: Any = frame.get("channels")
    if frame.get("type") == "snapshot_required" and isinstance(names, list):
        known = {"fixtures", "scores", "odds"} & {str(each) for each in cast("list[object]", names)}
        return frame if known else {**frame, "channels": None}
    return frame


def demand_without_epoch(frame: Frame) -> Frame | None:
    """Does not look at the epoch of `snapshot_required`."""
    if frame.get("type") != "snapshot_required":
        return frame
    return {name: value for name, value in frame.items() if name != "serverEpoch"}


def no_moves(frame: Frame) -> Frame | None:
    """Does not know `reconnect`; it waits for the close."""
    return None if frame.get("type") == "reconnect" else frame


def known_moves_only(frame: Frame) -> Frame | None:
    """Follows `reconnect` for the reason of the manual."""
    strange = frame.get("type") == "reconnect" and frame.get("reason") != "server_upgrade"
    return None if strange else frame


def makes_up_an_epoch(frame: Frame) -> Frame | None:
    """Where login_ok names no epoch, it keeps its cursors under one of its own."""
    if frame.get("type") != "login_ok" or isinstance(frame.get("resume"), Mapping):
        return frame
    block: Frame = {"serverEpoch": "0" * 32, "serverEntryIds": {}}
    block["replayChannels"] = ["fixtures", "scores"]
    return {**frame, "resume": block}
