"""The rules for every client, whatever it speaks."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from lastseen_conformance.rules.register import Keyword, Rule, Sight, register

__all__ = ["RULES"]

_must = partial(Rule, dialect="every", keyword=Keyword.MUST, sight=Sight.PROCESS)

RULES: Final[Mapping[str, Rule]] = register(
    _must(
        id="all.process.lives",
        text="The client goes on until it is told to end.",
        why="Whatever a peer sends, a client that has ended follows nothing.",
        source="HZ-J1, HZ-H4, INV-S17",
    ),
    Rule(
        id="all.process.stops",
        dialect="every",
        keyword=Keyword.SHOULD,
        sight=Sight.PROCESS,
        text="Told to stop, the client ends by itself.",
        why="What has to be killed cannot put its affairs in order.",
        source="judgement",
    ),
    _must(
        id="all.secret.not-printed",
        text="The key never appears in what the client prints.",
        why="Logs are copied to places where keys must not be.",
        source="HZ-K3, HZ-K4, HZ-K5, INV-S16",
    ),
)
