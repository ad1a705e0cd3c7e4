"""One call: pace, send, cap, decode, and a value or an error of ours; retries around it."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self, TypeVar

import aiohttp
import attrs

from ..config import RetryPolicy
from ..errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ChamelaionError,
    ConfigurationError,
    InvalidResponseError,
    RateLimitError,
)
from ..models import RawResponse
from .addresses import Query, api_url
from .answers import MAX_BODY, decode_json, status_error
from .connecting import NotConnectedError
from .lanes import Lane, LaneName
from .lifecycle import CancelScope, Lifecycle, given_session_closed
from .retry import is_passing, repeat, was_not_accepted
from .secrets import Secret, redact, redact_body, redact_headers
from .tracebacks import let_go

__all__ = ["ONCE", "Call", "StatusTurn", "Transport", "structure_hook"]

T = TypeVar("T")
_Answer = tuple[int, Mapping[str, str], bytes]
logger = logging.getLogger("chamelaion_async")

ONCE: Final = RetryPolicy(attempts=1)
"""For callers that are a retry loop themselves."""

_EXCERPT: Final = 512
_MAX_REASON: Final = 1000
_SERVER_ERRORS: Final = 500
# In its first turn the loop runs this task before it reads the sockets, in the second after it. TLS learns of the end
# one turn later, and TLS within the TLS of a proxy yet another turn later.
_TURNS: Final = 4
_IDEMPOTENT: Final = frozenset({"GET", "HEAD"})


class Body(Protocol):
    """A form on its way. See ``uploads.Form``."""

    data: aiohttp.MultipartWriter
    is_complete: bool
    failure: Exception | None

    async def aclose(self) -> None:
        """End the sending and let go of the files."""


@attrs.define(kw_only=True)
class Call:
    """What to ask of the API. The path is already checked and quoted.

    Attributes:
        method: HTTP method.
        path: Path below the base URL.
        params: Query.
        json: Body to send as JSON.
        form: Body to upload instead, made anew for each attempt; its argument is to be called at each step forward.
        authenticated: Whether to send the credentials.
    """

    method: str
    path: str
    params: Query | None = None
    json: Any = None
    form: Callable[[Callable[[], None]], Body] | None = None
    authenticated: bool = True
    is_read: bool = attrs.field(init=False)
    """Whether the call changes nothing and costs nothing."""

    def __attrs_post_init__(self) -> None:
        self.is_read = self.method in _IDEMPOTENT


@attrs.frozen(kw_only=True)
class Transport:
    """Carries calls to one base URL with one set of credentials.

    Attributes:
        connection: The session and what is under way on it; shared between views of a client.
        lanes: The lanes; shared likewise.
        base_url: Checked, without a trailing slash.
        credentials: Headers with secrets; added per call, and only here, so that no redirect or download sees them.
        headers: All other headers.
        timeout: Seconds for one attempt, from sending to the last byte.
        retry: How calls are repeated unless they say otherwise.
    """

    lifecycle: Lifecycle
    lanes: Mapping[LaneName, Lane]
    base_url: str
    credentials: Mapping[str, Secret] = attrs.field(repr=False)
    headers: Mapping[str, str]
    timeout: float
    retry: RetryPolicy

    async def send(
        self, call: Call, *, retry: RetryPolicy | None = None, timeout: float | None = None
    ) -> RawResponse:
        """Make the call and return its 2xx answer.

        Args:
            call: What to ask.
            retry: Instead of the transport's own.
            timeout: Seconds for one attempt, instead of the transport's own.

        Raises:
            ChamelaionError: One of the tree in ``errors``, and nothing else.
        """
        limit = self.timeout if timeout is None else timeout
        try:
            return await self._attempt(call, limit, 1)
        except (APIConnectionError, APIStatusError) as error:
            return await repeat(
                partial(self._attempt, call, limit),
                after=error,
                policy=retry or self.retry,
                repeatable=is_passing if call.is_read else was_not_accepted,
                sleep=self.lifecycle.sleep,
                random=random.random,
            )

    def turn(self) -> StatusTurn:
        """Return a context that waits for the status lane, for a read that is decided upon only then."""
        return StatusTurn(transport=self, lane=self.lanes["status"])

    async def fetch(
        self, call: Call, model: type[T], *, retry: RetryPolicy | None = None, timeout: float | None = None
    ) -> tuple[T, RawResponse]:
        """Make the call and return its answer as ``model``, along with the raw one."""
        response = await self.send(call, retry=retry, timeout=timeout)
        try:
            return self.structure(call, response, model), response
        except InvalidResponseError as error:
            del response  # its body would live as long as the error
            let_go(error)
            raise

    async def fetch_json(self, call: Call) -> Any:
        """Make the call and return its decoded answer, or None where it has no body."""
        response = await self.send(call)
        try:
            return self.decode(call, response) if response.body else None
        except InvalidResponseError as error:
            del response  # its body would live as long as the error
            let_go(error)
            raise

    def structure(self, call: Call, response: RawResponse, model: type[T]) -> T:
        """Return an answer as ``model``.

        Raises:
            InvalidResponseError: It is not what the API promises.
        """
        try:
            return structure_hook(model)(self.decode(call, response))
        except ValueError as error:
            # The cause says the same, but unmasked.
            raise self.invalid(call, response, f"not what the API promises: {error}") from None

    def decode(self, call: Call, response: RawResponse) -> Any:
        """Return the JSON of an answer.

        Raises:
            InvalidResponseError: It is not JSON.
        """
        try:
            return decode_json(response.body)
        except ValueError as error:
            raise self.invalid(call, response, f"not JSON: {error}") from None  # a cause would keep the whole body

    def invalid(self, call: Call, response: RawResponse, reason: str) -> InvalidResponseError:
        """Return the error for an answer that is not what the API promises."""
        secrets = self.credentials.values()
        return InvalidResponseError(
            f"{call.method} {call.path} was answered {response.status}, but the body is "
            f"{redact(reason, secrets)[:_MAX_REASON]}. "
            "If this lasts, the API has changed or something else answers at base_url",
            method=call.method,
            path=call.path,
            status=response.status,
            attempts=response.attempts,
            # Masked before it is cut, or the cut could leave half a key.
            excerpt=redact_body(response.body, secrets)[:_EXCERPT],
        )

    async def _attempt(self, call: Call, timeout: float, number: int) -> RawResponse:
        lane = self.lanes["status" if call.is_read else "generation"]
        with CancelScope(self.lifecycle):
            # Queueing in a lane is our own doing and does not count against the time for an answer.
            if not lane.try_acquire():
                await lane.acquire()
            return await self.exchange_in(lane, call, timeout, number)

    async def exchange_in(
        self, lane: Lane, call: Call, timeout: float, number: int, *, may_have_own_limit: bool = False
    ) -> RawResponse:
        """Make a call in the slot of a lane, and hand the slot on.

        Args:
            lane: Where a slot was had.
            call: What to ask.
            timeout: Seconds for the answer.
            number: Which attempt this is.
            may_have_own_limit: Whether a 429 may not concern the other calls of the lane: then they wait for a second
                at most, until one of them tells.
        """
        sent = asyncio.get_running_loop().time()
        try:
            if call.authenticated and not self.credentials:
                raise ConfigurationError(
                    f"{call.method} {call.path} needs credentials; "
                    "pass api_key to AsyncClient or set CHAMELAION_API_KEY"
                )
            if call.form is None:
                answer = await self._request(call, timeout, number, None)
            else:
                answer = await self._upload(call, call.form, timeout, number)
            response = self._judged(call, answer, number)
        except ChamelaionError as error:
            if isinstance(error, RateLimitError):
                if not may_have_own_limit:
                    asked = error.retry_after
                    lane.throttled(None if asked is None else min(asked, self.retry.max_retry_after), sent)
            elif isinstance(error, APIStatusError) and error.status < _SERVER_ERRORS:
                lane.answered(sent)  # a refusal of another kind, so not for the rate
            let_go(error)
            raise
        else:
            lane.answered(sent)
            return response
        finally:
            lane.release()

    async def _upload(
        self, call: Call, form: Callable[[Callable[[], None]], Body], timeout: float, number: int
    ) -> _Answer:
        # An upload takes as long as it takes; what is bounded is the time without a step forward.
        clock = asyncio.get_running_loop().time
        stall = asyncio.timeout(timeout)
        body = form(lambda: stall.reschedule(clock() + timeout))
        try:
            async with stall:
                return await self._request(call, timeout, number, body)
        except TimeoutError as error:
            if error is body.failure or isinstance(error, APITimeoutError):
                raise
            raise _translated(error, call, timeout, number, body, (), None) from error
        finally:
            await body.aclose()

    async def _request(self, call: Call, timeout: float, number: int, body: Body | None) -> _Answer:
        session = self.lifecycle.session()
        url = api_url(self.base_url, call.path, call.params)
        # A dict for this call alone: instrumentation writes into what it is handed.
        headers = {**self.headers, **self.credentials} if call.authenticated else {**self.headers}
        options: dict[str, Any] = {}
        if self.lifecycle.may_need_proxy:
            options = await self.lifecycle.proxy_options(url)
            headers |= options.pop("headers", {})
        if call.json is not None:
            options["json"] = call.json
        elif body is not None:
            options["data"] = body.data
        if not call.is_read:
            await _notice_closed_connections()
        status: int | None = None
        try:
            async with session.request(
                call.method,
                url,
                headers=headers,
                allow_redirects=False,
                timeout=_client_timeout(timeout, call.is_read, body is not None),
                **options,
            ) as response:
                status = response.status
                answered: Mapping[str, str] = response.headers
                content = await _read_capped(response)
        except _TooLargeError as error:
            raise InvalidResponseError(
                f"{call.method} {call.path} was answered {status} with more than {MAX_BODY} bytes, which no "
                "answer of this API needs; it was not read to the end. Check that base_url is the API's",
                method=call.method,
                path=call.path,
                status=status,
                attempts=number,
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            if session.closed:
                raise given_session_closed() from error
            if body is not None and body.failure is not None:
                raise body.failure  # noqa: B904 - it has a cause of its own
            secrets = self.credentials.values()
            is_harmless = redact(str(error), secrets) == str(error)
            # Given no name: its traceback would hold it by that.
            raise _translated(error, call, timeout, number, body, secrets, status) from error if is_harmless else None
        except RuntimeError as error:
            if session.closed:
                raise given_session_closed() from error
            raise
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s -> %d, %d bytes, attempt %d", call.method, call.path, status, len(content), number)
        # A service that echoes the key must not bring it into errors, or into frames that a traceback shows.
        if 200 <= status < 300:
            return status, answered, content
        secrets = self.credentials.values()
        return status, redact_headers(answered, secrets), redact_body(content, secrets)

    def _judged(self, call: Call, answer: _Answer, number: int) -> RawResponse:
        status, headers, content = answer
        if 200 <= status < 300:
            return RawResponse(status=status, headers=headers, body=content, attempts=number)
        raise status_error(
            status,
            headers,
            content,
            method=call.method,
            path=call.path,
            attempts=number,
            now=datetime.now(UTC),
            secrets=self.credentials.values(),
        )


@attrs.define(kw_only=True, eq=False)
class StatusTurn:
    """A slot of the status lane, for at most one read. Handed on when the read was answered, or at the end."""

    transport: Transport
    lane: Lane
    _scope: CancelScope = attrs.field(init=False)
    _has_slot: bool = attrs.field(init=False, default=False)

    async def __aenter__(self) -> Self:
        self._scope = CancelScope(self.transport.lifecycle)
        self._scope.__enter__()
        try:
            if not self.lane.try_acquire():
                await self.lane.acquire()
        except BaseException as error:
            self._scope.__exit__(type(error), error, error.__traceback__)
            raise
        self._has_slot = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._has_slot:
            self.lane.release()
        self._scope.__exit__(kind, error, traceback)
        del self._scope  # it holds the task, whose error holds this

    async def send(self, call: Call, timeout: float, *, is_page: bool) -> RawResponse:
        """Make one attempt, and return its 2xx answer.

        A page that is answered 429 does not close the lane: the limit may be the list's alone, and a GET will tell.

        Raises:
            ChamelaionError: One of the tree in ``errors``, and nothing else.
        """
        self._has_slot = False
        return await self.transport.exchange_in(self.lane, call, timeout, 1, may_have_own_limit=is_page)


def structure_hook(model: type[T]) -> Callable[[Any], T]:
    """Load cattrs with the first answer, since it is a good part of what importing the package would cost."""
    from . import decoding  # noqa: PLC0415

    return decoding.structure_hook(model)


class _TooLargeError(Exception):
    """A body that went beyond the cap."""


async def _notice_closed_connections() -> None:
    """Let the loop see which connections the service has closed while the loop was busy with something else.

    The pool would hand such a connection out, and whether a POST on it was received could not be told.
    """
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def _read_capped(response: aiohttp.ClientResponse) -> bytes:
    """Read a body, but never more than the cap: aiohttp itself would inflate a bomb to its end."""
    content = response.content
    body = await content.readany()
    if content.at_eof():
        return body
    chunks, size = [body], len(body)
    while chunk := await content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY:
            response.close()
            raise _TooLargeError
    return b"".join(chunks)


@lru_cache(maxsize=16)
def _client_timeout(seconds: float, is_read: bool, is_upload: bool = False) -> aiohttp.ClientTimeout:
    """Bound a whole exchange, without aiohttp's rounding up to full seconds.

    A call that changes something gets half of the time to connect: when that fails, it is certain that nothing was
    sent, which the total timeout could not tell.
    """
    connect = None if is_read else seconds / 2
    return aiohttp.ClientTimeout(total=None if is_upload else seconds, connect=connect, ceil_threshold=math.inf)


def _translated(
    error: aiohttp.ClientError | OSError,
    call: Call,
    timeout: float,
    number: int,
    body: Body | None,
    secrets: Iterable[str],
    status: int | None,
) -> APIConnectionError | InvalidResponseError:
    """Name an error of aiohttp in our terms. Its repr may hold headers, so only its str is used."""
    where = f"{call.method} {call.path}"
    # aiohttp quotes what it could not read, up to 64 KiB of it.
    reason = redact(" ".join(str(error).split()), secrets)[:_MAX_REASON] or type(error).__name__
    if isinstance(error, aiohttp.ClientResponseError) and not isinstance(error, aiohttp.ClientHttpProxyError):
        return InvalidResponseError(
            f"{where} was answered with something that is not HTTP: {reason}. "
            "Check that base_url is the API's and what stands between",
            method=call.method,
            path=call.path,
            attempts=number,
            status=status,
        )
    # A form that is not whole cannot have been accepted, however much of it arrived.
    lost = isinstance(error, _NOT_SENT) or (body is not None and not body.is_complete)
    sent: Literal["no", "maybe"] = "no" if lost else "maybe"
    fate = "it was not sent" if lost else "it may have been received"
    kind, advice = APIConnectionError, "Check the network and base_url"
    if isinstance(error, TimeoutError):
        kind, advice = APITimeoutError, "Try again, or allow more time with timeout=…"
        reason = f"no complete answer came within {timeout:g} s"
    return kind(
        f"{where} failed in attempt {number}: {reason}; {fate}. {advice}",
        sent=sent,
        method=call.method,
        path=call.path,
        attempts=number,
        status=status,
    )


_NOT_SENT: Final = (
    NotConnectedError,
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
)
