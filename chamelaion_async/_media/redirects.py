"""Requests for outputs, and the redirects that they meet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from yarl import URL

from .._http.lifecycle import Lifecycle
from .answers import CHUNK, PassingError, RefusedError
from .urls import is_web, quoted_url

__all__ = ["MAX_REDIRECTS", "get"]

MAX_REDIRECTS: Final = 10
"""Redirects in a row that a download follows; the next one ends it."""

# Those of RFC 9110, section 15.4, that name one other place.
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@asynccontextmanager
async def get(
    lifecycle: Lifecycle, url: URL, headers: Mapping[str, str], timeout: float
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Request a URL and each one that it redirects to, and yield the last answer.

    aiohttp would follow at most nine redirects, send a raw ``Location`` as it stands, keep the proxy of the first
    URL, and fail where a server closes the connection that the redirect came on.

    Raises:
        PassingError: It redirects to no http(s) URL.
        RefusedError: It redirects more than ``MAX_REDIRECTS`` times, or cannot be requested.
    """
    for hop in range(MAX_REDIRECTS + 1):
        try:
            response = await _request(lifecycle, url, headers, timeout)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if hop == 0 or isinstance(error, aiohttp.ClientConnectorError):
                raise
            # The server closed the connection after the redirect, unannounced; the pool now gives another one.
            response = await _request(lifecycle, url, headers, timeout)
        async with response:
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                yield response
                return
        url = _redirected(url, location)
    raise RefusedError(f"it redirects more than {MAX_REDIRECTS} times", "Check the URL")


async def _request(
    lifecycle: Lifecycle, url: URL, headers: Mapping[str, str], timeout: float
) -> aiohttp.ClientResponse:
    options: dict[str, Any] = await lifecycle.proxy_options(url) if lifecycle.may_need_proxy else {}
    try:
        return await lifecycle.session().get(
            url,
            # Ranges count the bytes as they are sent, so the body must not be compressed.
            headers={**headers, "Accept": "*/*", "Accept-Encoding": "identity", **options.pop("headers", {})},
            timeout=aiohttp.ClientTimeout(total=None, connect=timeout, sock_read=timeout),
            allow_redirects=False,
            auto_decompress=False,
            read_bufsize=CHUNK,
            **options,
        )
    except (aiohttp.ClientError, OSError):
        raise  # aiohttp's error for a certificate is a ValueError too
    except ValueError:
        # Basic authentication (RFC 7617, section 2) has no colon in a user, and aiohttp's only what Latin-1 has.
        raise RefusedError("the user or the password in its URL cannot be sent", "Check the URL") from None


def _redirected(url: URL, location: str) -> URL:
    """Return the URL that a redirect leads to; within an origin it has the credentials of the first one."""
    raw = location.encode("utf-8", "surrogateescape")  # as aiohttp has decoded it
    if not raw.lower().startswith(f"{url.scheme}://".encode()):
        raw = raw.removeprefix(f"{url.scheme}:".encode())  # "http:path" is relative, as in browsers
    try:
        target = url.join(quoted_url(raw))
        if not is_web(target):
            raise ValueError
        if url.raw_user and not target.raw_user and target.origin() == url.origin():
            target = target.with_user(url.user).with_password(url.password)
    except (ValueError, IndexError):  # yarl 1.25 reads the first letter of an empty host
        raise PassingError("it redirects to something else than an http(s) URL") from None
    return target
