"""Why this gateway wants to be woken, beside what every gateway does."""

import enum

__all__ = ["SessionTimer"]


class SessionTimer(enum.Enum):
    """The steps of a session that wait for their time."""

    LOGIN = "login_timeout"
    REPLAY = "replay"
    RESUME_COMPLETE = "resume_complete"
    GRACE = "reconnect_grace"
    SUPERSEDE = "supersede"
    ANSWER = "late_answer"
