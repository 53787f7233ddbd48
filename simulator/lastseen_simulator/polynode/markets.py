"""The prediction markets that are traded on, and the wallets that trade: invented, from a seed."""

import random
from collections.abc import Iterable
from typing import Any, Final

import attrs

__all__ = ["Markets", "PredictionMarket", "hex_text"]

_SUBJECTS: Final = (
    ("ferry", "Will the morning ferry sail", "Ferries"),
    ("rain", "Will it rain at the harbour", "Weather"),
    ("derby", "Will the home side win the derby", "Derby"),
    ("vote", "Will the council pass the budget", "Council"),
    ("launch", "Will the balloon be launched", "Balloons"),
    ("chess", "Will the final end in a draw", "Chess"),
    ("bridge", "Will the old bridge be reopened", "Bridges"),
)

_TOKEN_BITS: Final = 256
"""Token ids are 256-bit numbers: up to 78 decimal digits (§3.2)."""


def hex_text(rng: random.Random, size: int) -> str:
    """So many random bytes, written as hex with 0x."""
    return f"0x{rng.getrandbits(size * 8):0{size * 2}x}"


@attrs.frozen(kw_only=True)
class PredictionMarket:
    """One market with its two outcomes; `tokens` are what is traded, in their order."""

    title: str
    slug: str
    event_title: str
    event_slug: str
    condition_id: str
    tokens: tuple[str, str]
    tick_size: float
    neg_risk: bool
    outcomes: tuple[str, str] = ("Yes", "No")

    def outcome_of(self, token: str) -> str | None:
        """What a token stands for; None when it is not of this market."""
        return dict(zip(self.tokens, self.outcomes, strict=True)).get(token)

    def other(self, token: str) -> str:
        """The token of the other outcome."""
        return self.tokens[1] if token == self.tokens[0] else self.tokens[0]

    def enrichment(self) -> dict[str, Any]:
        """What events say of their market, where they say it."""
        return {
            "market_title": self.title,
            "market_slug": self.slug,
            "event_title": self.event_title,
            "event_slug": self.event_slug,
            "market_image": None,
            "condition_id": self.condition_id,
            "tokens": dict(zip(self.tokens, self.outcomes, strict=True)),
            "token_ids": list(self.tokens),
            "outcomes": list(self.outcomes),
            "tick_size": self.tick_size,
            "neg_risk": self.neg_risk,
            "taker_base_fee": 0,
        }


@attrs.define(eq=False)
class Markets:
    """All markets, found by token, slug or condition id, and the wallets."""

    listed: tuple[PredictionMarket, ...]
    wallets: tuple[str, ...]
    _by_token: dict[str, PredictionMarket] = attrs.field(init=False)
    _slugs: frozenset[str] = attrs.field(init=False)
    _conditions: frozenset[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._by_token = {token: each for each in self.listed for token in each.tokens}
        self._slugs = frozenset(slug for m in self.listed for slug in (m.slug, m.event_slug))
        self._conditions = frozenset(each.condition_id for each in self.listed)

    @classmethod
    def invented(cls, count: int, wallets: int, *, rng: random.Random) -> "Markets":
        """So many markets and wallets, the same for the same generator."""
        return cls(
            listed=tuple(_invented(number, rng) for number in range(count)),
            wallets=tuple(hex_text(rng, 20) for _ in range(wallets)),
        )

    def of_token(self, token: object) -> PredictionMarket | None:
        """The market a token belongs to."""
        return self._by_token.get(token) if isinstance(token, str) else None

    def unknown_slugs(self, slugs: Iterable[str]) -> list[str]:
        """Those that name neither a market nor an event, sorted."""
        return sorted(set(slugs) - self._slugs)

    def unknown_conditions(self, ids: Iterable[str]) -> list[str]:
        """Those that name no market, sorted."""
        return sorted(set(ids) - self._conditions)


def _invented(number: int, rng: random.Random) -> PredictionMarket:
    word, question, event = _SUBJECTS[number % len(_SUBJECTS)]
    day = number // len(_SUBJECTS) + 1
    return PredictionMarket(
        title=f"{question} on day {day}?",
        slug=f"{word}-day-{day}",
        event_title=event,
        event_slug=event.lower(),
        condition_id=hex_text(rng, 32),
        tokens=(str(rng.getrandbits(_TOKEN_BITS)), str(rng.getrandbits(_TOKEN_BITS))),
        tick_size=rng.choice((0.01, 0.001)),
        neg_risk=rng.random() < 0.3,
    )
