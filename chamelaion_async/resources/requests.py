"""Reading jobs and waiting for them: the same for every family of jobs."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from functools import partial
from typing import Generic, TypeVar

from .. import _wire
from .._transport import ONCE, Call, Transport
from ..config import PollPolicy
from ..listing import check_range, walk
from ..models import Job, Page
from ..polling.wait import OnUpdate, Sighting, wait_until_finished

__all__ = ["RequestsResource"]

J = TypeVar("J", bound=Job)


class RequestsResource(Generic[J]):
    """The requests of one family."""

    def __init__(
        self, transport: Transport, polling: PollPolicy, *, path: str, model: type[J], page_model: type[Page[J]]
    ) -> None:
        self._transport = transport
        self._polling = polling
        self._path = path
        self._model = model
        self._page_model = page_model

    async def get(self, id: str) -> J:
        """Read one request as it stands (``GET …/requests/{id}``).

        Args:
            id: Its UUID. A lip sync request is found by the ``reference_id`` it was submitted with as well; whether a
                translation is, is not documented.

        Returns:
            The request.

        Raises:
            ConfigurationError: The id is empty, ``.``, ``..``, not encodable or over 512 characters; nothing was
                sent.
            NotFoundError: No request has this id.
            ChamelaionError: Any other failure of the call, after the retries of the client's ``RetryPolicy``.
        """
        request, _ = await self._transport.fetch(self._call(id), self._model)
        return request

    async def wait_until_finished(
        self,
        id: str,
        *,
        timeout: float | None = 600.0,
        polling: PollPolicy | None = None,
        on_update: OnUpdate[J] | None = None,
    ) -> J:
        """Wait until a request is completed or failed.

        A failed job is a result, not an error: call ``raise_for_failure()`` on what is returned. A request that is
        finished already costs one GET and no pause. Connection errors, 429, 5xx and unreadable answers are ridden
        out; ``Retry-After`` (RFC 9110, section 10.2.3) is obeyed.

        Cancelling the wait stops this wait only, leaves nothing behind and does not touch the job.

        Args:
            id: Its UUID. A lip sync request is found by the ``reference_id`` it was submitted with as well; whether a
                translation is, is not documented.
            timeout: Seconds to wait in all; 0 looks once, None waits for ever. The last look comes at the deadline
                and may outlast it by a second.
            polling: How often to look and how much trouble to ride out, instead of the client's own policy.
            on_update: Called with the request at first sight and whenever it has changed, the finished one included.
                May be a function or a coroutine function; what it raises ends the wait and reaches the caller.

        Returns:
            The finished request.

        Raises:
            ConfigurationError: The id or an argument cannot work; nothing was sent.
            WaitTimeoutError: It had not finished in time. The job goes on; wait again.
            WaitUnreachableError: Nothing readable came for ``polling.outage_budget`` seconds.
            NotFoundError: The id is not known, and still was not after ``polling.not_found_grace`` seconds.
            AuthenticationError: The credentials are not accepted.
            APIStatusError: Any other refusal that waiting does not mend.
            ClientClosedError: The client was closed meanwhile.
        """
        return await wait_until_finished(
            self._sight,
            id,
            timeout=timeout,
            policy=polling or self._polling,
            sleep=self._transport.connection.sleep,
            random=random.random,
            on_update=on_update,
        )

    async def _page(self, filters: _wire.Query, limit: int | None, offset: int | None) -> Page[J]:
        check_range(limit, offset)
        call = Call(method="GET", path=self._path, params={**filters, "limit": limit, "offset": offset})
        page, _ = await self._transport.fetch(call, self._page_model)
        return page

    def _walk(self, filters: _wire.Query, page_size: int | None) -> AsyncGenerator[J, None]:
        return walk(partial(self._page, filters), page_size=page_size, identity=lambda request: request.id)

    async def _sight(self, id: str, *, timeout: float) -> Sighting[J]:
        request, response = await self._transport.fetch(self._call(id), self._model, retry=ONCE, timeout=timeout)
        return Sighting(request=request, server_time=_wire.server_time(response.headers))

    def _call(self, id: str) -> Call:
        return Call(method="GET", path=f"{self._path}/{_wire.id_segment(id)}")
