"""State and position in one file, replaced whole, so that neither is ever ahead of the other."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from lastseen_conformance.clients.python.channels import Channel, Scope
from lastseen_conformance.clients.python.common import CHANNELS, WS_URL

_OWNER = f"{WS_URL} {','.join(CHANNELS)}"


def save(
    file: Path, channels: Mapping[str, Channel], epoch: str | None, replayable: list[str] | None
) -> None:
    """Keeps every channel that has a position, with its state; the others start anew."""
    kept = {
        name: {
            "cursor": channel.cursor,
            "scopes": {name: scope.state for name, scope in channel.scopes.items()},
        }
        for name, channel in channels.items()
        if channel.cursor is not None
    }
    text = json.dumps({"owner": _OWNER, "epoch": epoch, "replay": replayable, "channels": kept})
    draft = file.with_suffix(".draft")
    with draft.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)


def load(file: Path, channels: Mapping[str, Channel]) -> tuple[str | None, list[str] | None]:
    """Brings back what an earlier life kept; what cannot be used is as good as nothing."""
    try:
        kept = json.loads(file.read_bytes())
        if kept["owner"] != _OWNER:
            return None, None
        for name, each in kept["channels"].items():
            channel = channels[name]
            channel.cursor = channel.newest = each["cursor"]
            for entity, state in each["scopes"].items():
                scope = channel.scopes[entity] = Scope()
                scope.state, scope.synced, scope.held = state, True, None
        return kept["epoch"], kept["replay"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None, None
