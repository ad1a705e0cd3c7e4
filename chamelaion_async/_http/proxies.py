"""Which proxy a call goes through, and with which credentials.

aiohttp could do both by itself. But its ``trust_env`` sends credentials from netrc as well, and it shows the
credentials of a proxy URL in the repr of requests and errors. So aiohttp gets URLs without credentials, and these as
a header.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

# typeshed declares proxy_bypass alone, which may read the settings of the system.
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import aiohttp
import attrs
from yarl import URL

from ..errors import ConfigurationError
from .addresses import is_host
from .secrets import Secret

__all__ = ["Proxy", "environment_proxy", "given_proxy", "session_proxy"]


@attrs.frozen
class Proxy:
    """One proxy.

    Attributes:
        url: Its address: scheme, host and port.
        authorization: Value of ``Proxy-Authorization`` (RFC 9110, section 11.7.2), or None.
    """

    url: URL
    authorization: Secret | None = None

    def options(self, target: URL) -> dict[str, Any]:
        """Return the arguments that send an aiohttp call for ``target`` through the proxy."""
        options: dict[str, Any] = {"proxy": self.url}
        if self.authorization is not None:
            # A tunnel is opened with headers of its own; without one, they are headers of the request.
            name = "headers" if target.scheme == "http" else "proxy_headers"
            options[name] = {"Proxy-Authorization": self.authorization}
        return options


def given_proxy(text: Secret) -> Proxy:
    """Return the proxy that an argument names.

    Raises:
        ConfigurationError: It cannot be one. The text holds no credentials.
    """
    proxy = _proxy(text, "proxy")
    if _has_more(text):
        raise ConfigurationError(
            f"proxy {str(proxy.url)!r} must be scheme, credentials, host and port only; "
            "what stands before the API under a path of its own is base_url"
        )
    return proxy


def session_proxy(session: aiohttp.ClientSession) -> Proxy | None:
    """Return the proxy that a session names for all of its calls.

    Raises:
        ConfigurationError: It cannot be one.
    """
    # There is no public name for either, and neither may be dropped silently.
    named = getattr(session, "_default_proxy", None)
    auth = getattr(session, "_default_proxy_auth", None)
    if named is None:
        return None
    proxy = _proxy(Secret(named), "the proxy of the aiohttp session")
    return proxy if auth is None else Proxy(proxy.url, Secret(auth.encode()))


def environment_proxy(target: URL) -> Proxy | None:
    """Return the proxy that ``HTTP_PROXY`` or ``HTTPS_PROXY`` names for a URL, unless ``NO_PROXY`` exempts its host.

    Raises:
        ConfigurationError: It cannot be one.
    """
    text = _named_by_environment(target)
    if text is None:
        return None
    return _proxy(text, f"the proxy that {target.scheme.upper()}_PROXY in the environment names")


def _named_by_environment(target: URL) -> Secret | None:
    # The variables alone: reading the settings of Windows and macOS, as urllib does, may block the loop.
    proxies = getproxies_environment()
    address = proxies.get(target.scheme)
    if not address or proxy_bypass_environment(f"{target.host}:{target.port}", proxies):
        return None
    return Secret(address if "://" in address else f"http://{address}")  # as curl reads it


def _proxy(text: Secret, source: str) -> Proxy:
    proxy, reason = _parsed(text)
    if proxy is None:
        raise ConfigurationError(f"{source} {reason}")
    return proxy


def _parsed(text: Secret) -> tuple[Proxy | None, str]:
    """Return a proxy, or what is wrong with it: an error raised here would show this frame, with the password."""
    try:
        url = URL(text)
        host, port, user, password = url.raw_host, url.port, url.user, url.password
    except (ValueError, IndexError):  # yarl 1.25 reads the first letter of an empty host
        return None, "is not a URL"
    if url.scheme.startswith("socks"):
        return None, (
            "is a SOCKS proxy, which aiohttp does not speak; install aiohttp-socks and pass "
            "session=aiohttp.ClientSession(connector=aiohttp_socks.ProxyConnector.from_url(…))"
        )
    if url.scheme not in ("http", "https") or not is_host(host or "") or port == 0:
        return None, "must begin with http:// (or https://) and a host, such as 'http://proxy.example.com:3128'"
    if user is None and password is None:
        return Proxy(url.origin()), ""
    if ":" in (user or ""):
        return None, "has a user name with a colon, which no Basic credentials can carry"
    credentials = f"{user or ''}:{password or ''}".encode()  # RFC 7617, section 2
    return Proxy(url.origin(), Secret(f"Basic {b64encode(credentials).decode()}")), ""


def _has_more(text: Secret) -> bool:
    url = URL(text)
    return url.raw_path not in ("", "/") or bool(url.raw_query_string or url.raw_fragment)
