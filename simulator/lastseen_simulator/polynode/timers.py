"""Why this gateway wants to be woken, beside what every gateway does."""

import enum

__all__ = ["SessionTimer"]


class SessionTimer(enum.Enum):
    """What waits for its time on a connection."""

    HEARTBEAT = "heartbeat"
    IDLE = "idle"
    ANSWER = "answer"
