"""Where a peer is: a URL taken apart, and a stream to it, with TLS where the scheme says so."""

import errno
import os
import socket
import ssl
from collections.abc import Iterable
from typing import Final, Self, final
from urllib.parse import quote, urlencode, urlsplit

import attrs
import trio

from lastseen.errors import ConfigurationError
from lastseen.secret import Secret
from lastseen_trio.groups import leaves

__all__ = ["Address", "dial", "explain"]

_DEFAULT_PORTS: Final = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_SECURE: Final = ("wss", "https")
_REASON_CHARACTERS_MAX: Final = 200


@final
@attrs.frozen(kw_only=True)
class Address:
    """A URL without what must not be shown; `target` (path and query) stays out of the repr."""

    scheme: str
    host: str
    port: int
    target: str = attrs.field(repr=False)

    @classmethod
    def from_url(cls, url: str, *, schemes: tuple[str, ...]) -> Self:
        """Reads an absolute URL; `ConfigurationError` names what is wrong and never the URL.

        A query may hold a key and a user part a password, so no message repeats them (HZ-K3).
        """
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ConfigurationError(f"not a {wanted} URL") from None
        if parts.scheme not in schemes or not parts.hostname:
            raise ConfigurationError(f"not a {wanted} URL")
        if parts.username is not None or parts.password is not None:
            raise ConfigurationError("a URL with a user or password is not accepted")
        target = parts.path or "/"
        if parts.query:
            target = f"{target}?{parts.query}"
        if not target.isascii() or not target.isprintable() or " " in target:
            raise ConfigurationError("the path of a URL must be percent-encoded")
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
            target=target,
        )

    def with_query(self, members: Iterable[tuple[str, str | Secret]]) -> Self:
        """The address with more at the end of its query, percent-encoded."""
        plain = [
            (name, value.reveal() if isinstance(value, Secret) else value)
            for name, value in members
        ]
        if not plain:
            return self
        between = "&" if "?" in self.target else "?"
        target = f"{self.target}{between}{urlencode(plain, quote_via=quote, safe='')}"
        return attrs.evolve(self, target=target)

    @property
    def secure(self) -> bool:
        """Whether the peer must prove who it is."""
        return self.scheme in _SECURE

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def authority(self) -> str:
        """What the `Host` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


async def dial(address: Address, ssl_context: ssl.SSLContext | None) -> trio.abc.Stream:
    """Opens TCP and, for a secure scheme, TLS with certificate and host name checked (HZ-K1).

    `ssl_context` None makes a fresh default one; nothing process-wide is changed (HZ-K11) and no
    proxy is taken from the environment (HZ-K7). Raises OSError or `trio.BrokenResourceError`; put
    a deadline around it.
    """
    # trio sets TCP_NODELAY on every SocketStream.
    tcp = await trio.open_tcp_stream(address.host, address.port)
    if not address.secure:
        return tcp
    context = ssl_context if ssl_context is not None else ssl.create_default_context()
    tls = trio.SSLStream(tcp, context, server_hostname=address.host, https_compatible=True)
    try:
        # Without this the handshake would wait for the first byte sent, outside of the caller's
        # step (HZ-K9).
        await tls.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(tls)
        raise
    return tls


def explain(error: BaseException) -> str:
    """Says in a few words why a stream could not be opened, or broke; never a path or a query.

    >>> explain(ConnectionRefusedError(111, "Connection refused"))
    'connection refused'
    """
    cause = _innermost(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"certificate not accepted: {cause.verify_message}"
    elif isinstance(cause, ssl.SSLError):
        text = f"TLS failed: {(cause.reason or 'protocol error').lower().replace('_', ' ')}"
    elif isinstance(cause, socket.gaierror):
        text = f"name not resolved: {cause.strerror or 'unknown'}"
    elif isinstance(cause, OSError) and cause.errno is not None:
        text = os.strerror(cause.errno).lower()
        if cause.errno == errno.ECONNRESET:
            text = "connection reset"
    else:
        text = "connection broken"
    return "".join(c if c.isprintable() else "�" for c in text[:_REASON_CHARACTERS_MAX])


def _innermost(error: BaseException) -> BaseException:
    """What the system said, which trio wraps; the first of several attempts stands for all."""
    while not isinstance(error, ssl.SSLError | socket.gaierror):
        first = leaves(error)[0]
        inner = first.__cause__ or first.__context__
        if inner is None:
            return first
        error = inner
    return error
