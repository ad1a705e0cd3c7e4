"""One exchange with aiohttp: a request out, a bounded answer in, or an error of ours that says what was sent."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ..errors import APIConnectionError, APITimeoutError, InvalidResponseError
from ..models import RawResponse
from .answers import MAX_BODY
from .call import Body, Call
from .connecting import NotConnectedError
from .lifecycle import Lifecycle
from .secrets import redact, redact_body, redact_headers
from .session import given_session_closed

__all__ = ["MAX_REASON", "exchange", "translated"]

logger: logging.Logger = logging.getLogger("chamelaion_async")

MAX_REASON: Final = 1000
"""Most characters of a foreign text in a message."""

# In its first turn the loop runs this task before it reads the sockets, in the second after it. TLS sees the end of a
# connection one turn later, and TLS within the TLS of a proxy yet another turn later.
_TURNS: Final = 4
_NOT_SENT: Final = (
    NotConnectedError,
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
)


async def exchange(
    call: Call,
    body: Body | None,
    *,
    lifecycle: Lifecycle,
    url: URL,
    headers: CIMultiDict[str],
    secrets: Collection[str],
    timeout: float,
    attempt: int,
) -> RawResponse:
    """Send a call once and return its answer, whatever the status.

    Args:
        call: What to ask.
        body: A form to upload.
        lifecycle: The client's session and proxy.
        url: Where to.
        headers: For this call alone: instrumentation writes into it.
        secrets: What to mask in an answer that is not 2xx, since errors and the frames of tracebacks show it.
        timeout: Seconds for the exchange, or for each step of an upload.
        attempt: Which attempt this is, from 1.

    Raises:
        APIConnectionError: No complete answer came.
        InvalidResponseError: The answer is no HTTP, or too large.
        ClientClosedError: The session that the user passed in is closed.
    """
    session = lifecycle.session()
    options: dict[str, Any] = {}
    if lifecycle.may_need_proxy:
        options = await lifecycle.proxy_options(url)
        headers.update(options.pop("headers", {}))
    if call.json is not None:
        options["json"] = call.json
    elif body is not None:
        options["data"] = body.data
    if not call.is_read:
        await _notice_closed_connections()
    status: int | None = None
    try:
        response = await session.request(
            call.method,
            url,
            headers=headers,
            allow_redirects=False,
            timeout=_client_timeout(timeout, call.is_read, body is not None),
            **options,
        )
        status = response.status
        answered: Mapping[str, str] = response.headers
        content = await _read_capped(response)
    except (aiohttp.ClientError, OSError) as error:
        if session.closed:
            raise given_session_closed() from error
        if body is not None and body.failure is not None:
            raise body.failure  # noqa: B904 - it has a cause of its own
        is_harmless = redact(str(error), secrets) == str(error)
        # The new error has no local name, under which its traceback would hold it.
        raise translated(error, call, timeout, attempt, body, secrets, status) from error if is_harmless else None
    except RuntimeError as error:
        if session.closed:
            raise given_session_closed() from error
        raise
    if content is None:
        raise InvalidResponseError(
            f"{call.method} {call.path} was answered {status} with more than {MAX_BODY} bytes, which no "
            "answer of this API needs; it was not read to the end. Check that base_url is the API's",
            method=call.method,
            path=call.path,
            status=status,
            attempts=attempt,
        )
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s %s -> %d, %d bytes, attempt %d", call.method, call.path, status, len(content), attempt)
    if not 200 <= status < 300:
        answered, content = redact_headers(answered, secrets), redact_body(content, secrets)
    return RawResponse(status=status, headers=answered, body=content, attempts=attempt)


async def _notice_closed_connections() -> None:
    """Let the loop read from its sockets which connections the service has closed while the loop was busy.

    Otherwise the pool would give such a connection to a POST, and whether that was received could not be told.
    """
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def _read_capped(response: aiohttp.ClientResponse) -> bytes | None:
    """Read a body, or return None if it is larger than the cap: aiohttp would decompress a bomb to its end."""
    content = response.content
    try:
        body = await content.readany()
        if content.at_eof():
            return body
        chunks, size = [body], len(body)
        while chunk := await content.readany():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                return None
        return b"".join(chunks)
    finally:
        # At the end of the body, the connection has gone back to the pool. Leaving the response as a context would
        # give it back again, which takes longer than all else here.
        if response.connection is not None:
            response.release()
            await response.wait_for_close()


@lru_cache(maxsize=16)
def _client_timeout(seconds: float, is_read: bool, is_upload: bool) -> aiohttp.ClientTimeout:
    """Bound a whole exchange, without aiohttp's rounding up to full seconds.

    A call that changes something gets half of the time to connect: when that fails, it is certain that nothing was
    sent, which the total timeout could not tell.
    """
    connect = None if is_read else seconds / 2
    return aiohttp.ClientTimeout(total=None if is_upload else seconds, connect=connect, ceil_threshold=math.inf)


def translated(
    error: aiohttp.ClientError | OSError,
    call: Call,
    timeout: float,
    attempt: int,
    body: Body | None,
    secrets: Iterable[str] = (),
    status: int | None = None,
) -> APIConnectionError | InvalidResponseError:
    """Return our error for one of aiohttp. Its repr may show headers, so only its str is used."""
    where = f"{call.method} {call.path}"
    # aiohttp quotes what it could not read, up to 64 KiB of it.
    reason = redact(" ".join(str(error).split()), secrets)[:MAX_REASON] or type(error).__name__
    if isinstance(error, aiohttp.ClientResponseError) and not isinstance(error, aiohttp.ClientHttpProxyError):
        return InvalidResponseError(
            f"{where} was answered with something that is not HTTP: {reason}. "
            "Check that base_url is the API's and what stands between",
            method=call.method,
            path=call.path,
            attempts=attempt,
            status=status,
        )
    # An incomplete form cannot have been accepted, however much of it arrived.
    is_lost = isinstance(error, _NOT_SENT) or (body is not None and not body.is_complete)
    sent: Literal["no", "maybe"] = "no" if is_lost else "maybe"
    fate = "it was not sent" if is_lost else "it may have been received"
    kind, advice = APIConnectionError, "Check the network and base_url"
    if isinstance(error, TimeoutError):
        kind, advice = APITimeoutError, "Try again, or allow more time with timeout=…"
        reason = f"no complete answer came within {timeout:g} s"
    return kind(
        f"{where} failed in attempt {attempt}: {reason}; {fate}. {advice}",
        sent=sent,
        method=call.method,
        path=call.path,
        attempts=attempt,
        status=status,
    )
