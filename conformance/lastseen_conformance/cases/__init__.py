"""The cases, by id."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lastseen_conformance.case import Case
from lastseen_conformance.cases import oddspapi, polymarket_us, polynode

__all__ = ["CASES"]


def _by_id(*cases: Case) -> Mapping[str, Case]:
    known: dict[str, Case] = {}
    for case in cases:
        if case.id in known:
            raise ValueError(f"two cases are called {case.id}")
        known[case.id] = case
    return MappingProxyType(known)


CASES: Final[Mapping[str, Case]] = _by_id(*oddspapi.CASES, *polynode.CASES, *polymarket_us.CASES)
