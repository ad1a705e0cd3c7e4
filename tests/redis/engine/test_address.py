"""The URL of the engine."""

from __future__ import annotations

import ssl

import pytest
from redis.asyncio import SSLConnection, UnixDomainSocketConnection

from chamelaion_async import ConfigurationError
from chamelaion_async.redis.engine.address import Address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://", "localhost:6379"),
        ("redis://cache", "cache:6379"),
        ("redis://user:pass@cache:7000/3", "cache:7000"),
        ("rediss://:pass@cache/0?ssl_cert_reqs=none", "cache:6379"),
        ("redis://cache?db=2&client_name=dubs", "cache:6379"),
        ("redis://cache/", "cache:6379"),
        ("redis://[::1]:7000/0", "::1:7000"),
        ("unix:///run/redis.sock?db=1", "/run/redis.sock"),
    ],
)
def test_a_url_names_host_and_port_or_a_socket(url: str, shown: str) -> None:
    assert Address.of(url).shown == shown


@pytest.mark.parametrize(
    ("url", "kind"),
    [("rediss://cache", SSLConnection), ("unix:///run/redis.sock", UnixDomainSocketConnection)],
)
def test_the_scheme_decides_on_the_kind_of_connection(url: str, kind: type) -> None:
    assert isinstance(Address.of(url).connection(), kind)


def test_the_certificates_are_read_once_for_all_connections() -> None:
    address = Address.of("rediss://cache?ssl_cert_reqs=none")
    first, second = address.connection(), address.connection()
    assert isinstance(first, SSLConnection)
    assert isinstance(second, SSLConnection)
    assert first.ssl_context.get() is second.ssl_context.get()
    assert first.ssl_context.cert_reqs is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "needs a URL such as redis://"),
        ("cache:6379", "needs a URL such as redis://"),
        ("http://cache", "needs a URL such as redis://"),
        ("valkey://cache", "needs a URL such as redis://"),
        ("redis+cluster://cache", "needs a URL such as redis://"),
        ("redis://cache:port", "cannot be read"),
        ("redis://cache:99999", "cannot be read"),
        ("redis://cache?db=first", "cannot be read"),
        ("redis://cache/first", "must name its database by number"),
        ("redis://cache/-1", "must name its database by number"),
        ("redis://cache/0/1", "must name its database by number"),
        ("unix://", "names no socket"),
        ("rediss://cache?ssl_cert_reqs=some", "has an option of TLS that is none"),
        ("rediss://cache?ssl_other=1", "has an option of TLS that is none"),
        ("redis://cache?ssl_cert_reqs=none", "must begin with rediss:// for its options of TLS"),
        ("redis://cache?socket_timeout=5", "must not set 'socket_timeout'"),
        ("redis://cache?protocol=3", "must not set 'protocol'"),
        ("redis://cache?decode_responses=true", "must not set 'decode_responses'"),
        ("redis://cache?max_connections=2", "must not set 'max_connections'"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Address.of(url)
    assert said in str(caught.value)


def test_a_url_must_be_text() -> None:
    with pytest.raises(ConfigurationError, match="must be a str, not NoneType"):
        Address.of(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "redis://:geheim@cache:port",
        "geheim@cache",
        "redis://:geheim@cache?x=geheim",
        "redis://:geheim@cache/x",
        "redis://:geheim/x@cache/0",
        "redis://:12/geheim@cache/0",
    ],
)
def test_no_message_shows_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Address.of(url)
    assert "geheim" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_neither_user_nor_password_is_in_the_repr() -> None:
    assert repr(Address.of("redis://user:geheim@cache/0")) == "Address(shown='cache:6379')"
