"""The URL of the engine: what is connected to, and how that is shown without its password."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    RedisSSLContext,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.exceptions import RedisError

from ...errors import ConfigurationError

__all__ = ["Address"]

_EXAMPLE: Final = "redis://localhost:6379/0, rediss://user:password@host:6380/0 or unix:///run/redis.sock"
_KEPT: Final = frozenset({"host", "port", "path", "db", "username", "password", "client_name"})
_SCHEME: Final = re.compile(r"(redis|rediss|unix)://")


@attrs.frozen(kw_only=True)
class Address:
    """Where the engine is.

    Attributes:
        shown: Host and port, or the path of the socket, for messages: neither user nor password.
    """

    shown: str
    _kind: type[AbstractConnection] = attrs.field(repr=False)
    _options: dict[str, Any] = attrs.field(repr=False)

    @classmethod
    def of(cls, url: str) -> Address:
        """Take a URL apart.

        Raises:
            ConfigurationError: It is none, names no database by number, or sets what must not be set.
        """
        if not isinstance(url, str):
            raise ConfigurationError(f"the URL of RedisShared must be a str, not {type(url).__name__}")
        if not _SCHEME.match(url):
            # The URL is not shown: it may hold a password, and this one has no form in which to find and mask it.
            raise ConfigurationError(f"RedisShared needs a URL such as {_EXAMPLE}")
        try:
            options = dict(parse_url(url))
        except ValueError:
            # Its text may show a part of the URL that is the password.
            raise ConfigurationError(f"the URL of RedisShared cannot be read; pass one such as {_EXAMPLE}") from None
        kind: type[AbstractConnection] = options.pop("connection_class", Connection)  # type: ignore[assignment]
        _check_database(url)
        for name in options:
            if name.startswith("ssl_") and not issubclass(kind, SSLConnection):
                raise ConfigurationError("the URL of RedisShared must begin with rediss:// for its options of TLS")
            # Retries, timeouts, the protocol and the decoding of answers are this package's business.
            if name not in _KEPT and not name.startswith("ssl_"):
                raise ConfigurationError(
                    f"the URL of RedisShared must not set {name!r}; only db, username, password, client_name and "
                    "ssl_… may follow the question mark"
                )
        if issubclass(kind, UnixDomainSocketConnection):
            if not options.get("path"):
                raise ConfigurationError("the URL of RedisShared names no socket, such as unix:///run/redis.sock")
            shown = str(options["path"])
        else:
            shown = f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
        if issubclass(kind, SSLConnection):
            kind, options["certificates"] = _TLSConnection, _certificates(options)
        return cls(shown=shown, kind=kind, options=options)

    def connection(self, **settings: Any) -> AbstractConnection:
        """Make a connection, which is not open yet."""
        return self._kind(**self._options, **settings)

    def pool_options(self) -> dict[str, Any]:
        """Return the arguments of a pool of such connections."""
        return {"connection_class": self._kind, **self._options}


class _TLSConnection(SSLConnection):
    """redis-py reads the certificates for each connection, which takes 50 ms; these share what was read once."""

    def __init__(self, *, certificates: RedisSSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context = certificates


def _certificates(options: dict[str, Any]) -> RedisSSLContext:
    try:
        return SSLConnection(**options).ssl_context
    except (TypeError, RedisError) as error:
        raise ConfigurationError(f"the URL of RedisShared has an option of TLS that is none: {error}") from error


def _check_database(url: str) -> None:
    # redis-py takes database 0 if the path is no number, and reads "0/1" as 1.
    path = urlsplit(url).path.removeprefix("/")
    if url.startswith("redis") and path and not path.isdecimal():
        raise ConfigurationError(
            "the URL of RedisShared must name its database by number, such as redis://localhost:6379/0; "
            "in a password, / is written as %2F"
        )
