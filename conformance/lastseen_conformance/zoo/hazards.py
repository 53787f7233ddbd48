"""The hazards that lose or corrupt something, or bring a client down, and where their mutants are.

Severities are those of the catalogue. A hazard either has a mutant that commits it, or a reason why
none can be shown here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["CRITICAL", "HIGH", "WITHOUT_MUTANT"]


def _hazards(text: str) -> tuple[str, ...]:
    return tuple(f"HZ-{name}" for name in text.split())


CRITICAL: Final = _hazards(
    "A1 A2 A3 A4 A10 A11 A12 B1 B2 C1 C2 C3 C5 C16 C18 D4 E1 E3 F2 H5 H14 I7 J12 K1 K3 K4"
)
"""Silent wrong or lost state, or a secret that leaks."""

HIGH: Final = _hazards(
    "A5 A7 A8 A9 A16 A17 A18 A19 B3 B5 B6 B7 B9 B13 C6 C7 C9 C10 C11 C13 C14 C15 C20 C22 "
    "D3 D6 D11 E4 E5 E6 E7 E8 E9 F1 F4 F5 G1 G2 G3 G5 G6 G8 G9 G10 G13 G14 G18 "
    "H1 H2 H4 H6 H7 H8 H9 H16 I1 I2 I3 I4 I6 J1 J2 J3 J8 J10 J13 J17 K2 K5 K6"
)
"""An outage, a livelock, something without bound, or wrong until the next snapshot."""

_MEMORY: Final = "A black box's memory cannot be told from its runtime's."
_STORE: Final = "Form and place of a client's store are its own, so a case cannot spoil them."

WITHOUT_MUTANT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "HZ-E3": "Of a handler with two steps, which is the application's.",
        "HZ-E4": "No case makes a handler fail: what a client does with an entry is its own.",
        "HZ-E5": "Killing a process does not lose what the kernel has; it takes a disk that can.",
        "HZ-E7": _STORE,
        "HZ-E8": _STORE,
        "HZ-E9": _STORE,
        "HZ-F1": _MEMORY,
        "HZ-G8": "A case cannot step the clock of the machine that a client runs on.",
        "HZ-G9": _MEMORY,
        "HZ-I2": "How far an application is behind is not part of the report.",
        "HZ-I6": _MEMORY,
        "HZ-J8": "A WebSocket library refuses text that is no UTF-8 before a client sees it.",
        "HZ-J10": "The cases use the JSON form of the wire, where all frames are text.",
        "HZ-J12": _MEMORY,
        "HZ-J13": _MEMORY,
        "HZ-J17": _MEMORY,
        "HZ-K1": "The gateway listens on this machine without TLS.",
        "HZ-K6": "The gateway never redirects.",
    }
)
