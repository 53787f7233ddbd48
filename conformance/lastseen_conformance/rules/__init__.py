"""The rule register: every rule, by id."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lastseen_conformance.rules import common, oddspapi, polymarket_us, polynode
from lastseen_conformance.rules.register import Keyword, Rule, Sight

__all__ = ["RULES", "Keyword", "Rule", "Sight"]

RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {**common.RULES, **oddspapi.RULES, **polynode.RULES, **polymarket_us.RULES}
)
