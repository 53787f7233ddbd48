"""What we raise, and only for our own side's mistakes.

LastseenError
├── LocalProtocolError      the caller broke the session's contract; nothing changed
├── ConfigurationError      options or a subscription that cannot work
└── PayloadError            a payload that cannot be read when touched; reject the entry

What a peer does wrong is never an exception: it is an `Anomaly` or a `Disconnected` event.
"""

__all__ = ["ConfigurationError", "LastseenError", "LocalProtocolError", "PayloadError"]


class LastseenError(Exception):
    """The root of everything this library raises on purpose."""


class LocalProtocolError(LastseenError):
    """The caller broke the contract of a session; the session is unchanged."""


class ConfigurationError(LastseenError, ValueError):
    """An option, key or subscription that no session could work with."""


class PayloadError(LastseenError):
    """A payload that is not what its channel promises; the entry should be rejected."""
