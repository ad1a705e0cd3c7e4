"""Calls of the API: each waits for its lane, is sent, repeated where that is safe, and decoded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

import attrs
from multidict import CIMultiDict

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
from ..sharing import LaneName
from .addresses import api_url
from .answers import decode_json, status_error, structure_hook
from .call import Body, Call
from .clock import loop_time
from .exchange import MAX_REASON, exchange, translated
from .lanes import Lane
from .lifecycle import CancelScope, Lifecycle
from .retry import is_passing, repeat, was_not_accepted
from .secrets import Secret, redact, redact_body
from .tracebacks import let_go

__all__ = ["ONCE", "Transport"]

T = TypeVar("T")

ONCE: Final = RetryPolicy(attempts=1)
"""For callers that are a retry loop themselves."""

_EXCERPT: Final = 512  # bytes of a body that an error holds
_SERVER_ERRORS: Final = 500


@attrs.frozen(kw_only=True)
class Transport:
    """Sends calls to one base URL with one set of credentials.

    Attributes:
        lifecycle: The session, and the calls under way on it; the views of a client share it.
        lanes: Bound how many calls are sent at once, and how soon; shared likewise.
        base_url: Checked, without a trailing slash.
        credentials: Headers with secrets; added per call, and only here, so that no redirect or download sees them.
        headers: All other headers of every call.
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
    # Merged once, and of the type that aiohttp makes of the headers of each call.
    _all_headers: CIMultiDict[str] = attrs.field(init=False, repr=False, eq=False)

    @_all_headers.default
    def _merged_headers(self) -> CIMultiDict[str]:
        return CIMultiDict({**self.headers, **self.credentials})

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
            # Most calls need no second attempt, and so neither the cost of tenacity nor its import.
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
            f"{redact(reason, secrets)[:MAX_REASON]}. "
            "If this lasts, the API has changed or something else answers at base_url",
            method=call.method,
            path=call.path,
            status=response.status,
            attempts=response.attempts,
            # Masked before it is cut, or the cut could leave half a key.
            excerpt=redact_body(response.body, secrets)[:_EXCERPT],
        )

    async def _attempt(self, call: Call, timeout: float, attempt: int) -> RawResponse:
        lane = self.lanes["status" if call.is_read else "generation"]
        with CancelScope(self.lifecycle):
            # The time in the queue of a lane does not count against the time for an answer.
            if not lane.try_acquire():
                await lane.acquire()
            return await self.exchange_in(lane, call, timeout, attempt)

    async def exchange_in(
        self, lane: Lane, call: Call, timeout: float, attempt: int, *, may_have_own_limit: bool = False
    ) -> RawResponse:
        """Send a call once in a slot of a lane, return its 2xx answer, and release the slot.

        Args:
            lane: The lane whose slot was acquired.
            call: What to ask.
            timeout: Seconds for the answer.
            attempt: Which attempt this is, from 1.
            may_have_own_limit: Whether a 429 may not concern the other calls of the lane. Then it does not close the
                lane: another call of it is answered 429 as well, within a second, if it does concern them.
        """
        sent = loop_time()
        lane.calls += 1
        # A list or a POST has one path for everything, which says nothing of a limit for one request.
        path = call.path if call.is_read and call.params is None else None
        try:
            if call.authenticated and not self.credentials:
                raise ConfigurationError(
                    f"{call.method} {call.path} needs credentials; "
                    "pass api_key to AsyncClient or set CHAMELAION_API_KEY"
                )
            if call.form is None:
                response = await self._exchange(call, timeout, attempt)
            else:
                response = await self._upload(call, call.form, timeout, attempt)
            if not 200 <= response.status < 300:
                raise status_error(
                    response.status,
                    response.headers,
                    response.body,
                    method=call.method,
                    path=call.path,
                    attempts=attempt,
                    # For a Retry-After date in an answer without a Date.
                    now=datetime.now(UTC),
                    secrets=self.credentials.values(),
                )
        except ChamelaionError as error:
            if isinstance(error, RateLimitError):
                if not may_have_own_limit:
                    self.refused(lane, error, sent, path)
            elif isinstance(error, APIStatusError) and error.status < _SERVER_ERRORS:
                lane.answered(sent, path)  # a refusal of another kind, so not for the rate
            let_go(error)
            raise
        else:
            lane.answered(sent, path)
            return response
        finally:
            lane.release()

    def refused(self, lane: Lane, error: RateLimitError, sent: float, path: str | None = None) -> None:
        """Close a lane after a 429 to a call that was sent at a time; see ``Lane.throttled``."""
        asked = error.retry_after
        lane.throttled(None if asked is None else min(asked, self.retry.max_retry_after), sent, path)

    def _exchange(self, call: Call, timeout: float, attempt: int, body: Body | None = None) -> Awaitable[RawResponse]:
        return exchange(
            call,
            body,
            lifecycle=self.lifecycle,
            url=api_url(self.base_url, call.path, call.params),
            headers=self._all_headers.copy() if call.authenticated else CIMultiDict(self.headers),
            secrets=self.credentials.values(),
            timeout=timeout,
            attempt=attempt,
        )

    async def _upload(
        self, call: Call, form: Callable[[Callable[[], None]], Body], timeout: float, attempt: int
    ) -> RawResponse:
        # An upload takes as long as it takes; what is bounded is the time between two chunks.
        stall = asyncio.timeout(timeout)
        body = form(lambda: stall.reschedule(loop_time() + timeout))
        try:
            async with stall:
                return await self._exchange(call, timeout, attempt, body)
        except TimeoutError as error:
            if error is body.failure or isinstance(error, APITimeoutError):
                raise
            raise translated(error, call, timeout, attempt, body) from error
        finally:
            await body.aclose()
