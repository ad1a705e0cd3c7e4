"""Reading jobs and waiting for them: the same for every family."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Final, Generic, TypeVar

from .._http.addresses import id_segment
from .._http.answers import server_time
from .._http.call import Call
from .._http.transport import Transport
from ..config import PollPolicy
from ..errors import ConfigurationError
from ..models import Job, OnUpdate, Outcome, Page
from ..polling.forecast import Forecast
from .family import FamilyState
from .listing import read_list
from .outcomes import gathered, unique_ids

__all__ = ["RequestsResource"]

J = TypeVar("J", bound=Job)

_NO_BUDGET: Final = 1e9  # seconds; the attempts of an id end its reads, not an outage


class RequestsResource(Generic[J]):
    """The requests of one family."""

    def __init__(self, transport: Transport, polling: PollPolicy, state: FamilyState[J]) -> None:
        self._transport = transport
        self._polling = polling
        self._state = state
        self._family = state.family

    async def get(self, id: str) -> J:
        """Read one request as it stands (``GET …/requests/{id}``).

        Args:
            id: Its UUID, or the ``reference_id`` that a lip sync request was submitted with. Whether a translation
                is found by that is not documented.

        Returns:
            The request.

        Raises:
            ConfigurationError: The id is empty, ``.``, ``..``, not encodable or over 512 characters; nothing was
                sent.
            NotFoundError: No request has this id.
            ChamelaionError: Any other failure of the call, after the retries of the client's ``RetryPolicy``.
        """
        call = Call(method="GET", path=f"{self._family.requests_path}/{id_segment(id)}")
        request, response = await self._transport.fetch(call, self._family.model)
        self._state.durations.add(request, server_time(response.headers))
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
        finished already costs one GET and no pause. After a connection error, a 429, a 5xx or an unreadable answer
        the polls go on; their ``Retry-After`` (RFC 9110, section 10.2.3) is obeyed. A 401, 403, 404, 405 or 410 that
        is not in the API's form, ``{"error": text}``, is an unreadable answer: it comes from something in between.

        Cancelling the wait stops this wait only, leaves nothing behind and does not touch the job.

        Args:
            id: Its UUID, or the ``reference_id`` that a lip sync request was submitted with. Whether a translation
                is found by that is not documented.
            timeout: Seconds to wait in all; 0 polls once, None waits without end. The last poll comes at the deadline
                and may outlast it by a second.
            polling: How often to poll and which failures to tolerate, instead of the client's own policy.
            on_update: Called with the request at first sight and whenever it has changed, the finished one included.
                May be a function or a coroutine function; what it raises ends the wait and reaches the caller.

        Returns:
            The finished request.

        Raises:
            ConfigurationError: The id or an argument cannot work; nothing was sent.
            WaitTimeoutError: It had not finished in time. The job goes on; wait again.
            WaitUnreachableError: Nothing readable came for ``polling.outage_budget`` seconds.
            NotFoundError: The API has answered 404 for ``polling.not_found_grace`` seconds.
            AuthenticationError: The credentials are not accepted.
            APIStatusError: Any other refusal that waiting does not change.
            ClientClosedError: The client was closed or drained meanwhile.
        """
        return await self._state.polls.wait(id, timeout=timeout, policy=polling or self._polling, on_update=on_update)

    def watch(
        self,
        id: str,
        *,
        timeout: float | None = None,
        polling: PollPolicy | None = None,
        every: float | None = None,
    ) -> AsyncGenerator[J, None]:
        """Yield a request after the first poll, and again whenever it has changed.

        A change that is undone between two polls is not reported. The polls go on while the caller processes a
        request. The iterator ends after the finished request. It can be left at any time, which stops the polls and
        does not touch the job: at once with ``contextlib.aclosing``, else when no reference to it is left.

        A cancelled ``anext`` loses nothing and leaves the iterator as it was: after a ``TimeoutError`` of
        ``asyncio.wait_for(anext(changes), 15)``, ``anext`` may be called again.

        Args:
            id: Its UUID, or the ``reference_id`` of a lip sync request.
            timeout: Seconds to follow it in all; None follows it to its end.
            polling: How often to poll and which failures to tolerate, instead of the client's own policy.
            every: Seconds after which the request comes again, as it was last read, if it has not changed meanwhile:
                a heartbeat for a connection that is closed when it is silent. It costs no call, and begins with the
                first request that is read. None yields changes only.

        Returns:
            An async iterator of requests.

        Raises:
            ConfigurationError: The id or an argument cannot work; nothing was sent.
            WaitTimeoutError: It had not finished in time.
            WaitUnreachableError: Nothing readable came for ``polling.outage_budget`` seconds.
            NotFoundError: The API has answered 404 for ``polling.not_found_grace`` seconds.
            ClientClosedError: The client was closed meanwhile, or drained before; ``drain()`` itself ends the
                iterator without an error.
            ChamelaionError: A refusal that no further poll would change, such as 401.
        """
        return self._state.polls.watch(id, timeout=timeout, policy=polling or self._polling, every=every)

    def watch_many(
        self,
        ids: Iterable[str],
        *,
        timeout: float | None = None,
        polling: PollPolicy | None = None,
        every: float | None = None,
    ) -> AsyncGenerator[Outcome[J], None]:
        """Follow many requests: yield each after its first poll, whenever it has changed, and at its end.

        ``outcome.request`` is the request as it was read; after one that is finished, or an ``outcome.error``, its id
        does not come again. The iterator ends when all ids have ended. Failures, shared reads, leaving and
        cancelling are those of ``as_finished``, and changes are those of ``watch``.

        Args:
            ids: UUIDs, or the references of lip sync requests; one that comes twice counts once.
            timeout: Seconds to follow them in all; 0 polls each once, None follows all to their ends.
            polling: How often to poll and which failures to tolerate, instead of the client's own policy.
            every: Seconds after which a request that has not ended comes again, as it was last read, if it has not
                changed meanwhile. It costs no call. None yields changes only.

        Returns:
            An async iterator of outcomes, each with the id as it was given.

        Raises:
            ConfigurationError: An argument cannot work, or there are no credentials; nothing was sent.
            AuthenticationError: The credentials are not accepted.
            ClientClosedError: The client was closed meanwhile, or drained before; ``drain()`` itself ends the
                iterator without an error.
        """
        ids = unique_ids(ids)
        return self._state.polls.watch_many(ids, timeout=timeout, policy=polling or self._polling, every=every)

    def as_finished(
        self, ids: Iterable[str], *, timeout: float | None = None, polling: PollPolicy | None = None
    ) -> AsyncGenerator[Outcome[J], None]:
        """Wait for many requests, and yield each once, in the order in which they finish.

        A failed job is a result, as it is for ``wait_until_finished``. A failure that concerns one id is the
        ``error`` of its outcome: ``ConfigurationError`` if it cannot be an id, ``NotFoundError``,
        ``WaitUnreachableError``, ``WaitTimeoutError`` for all that are still open at the deadline, or any other
        refusal. A failure that concerns all ids is raised. All ids share their reads: where it saves requests, one
        page of the list answers for many, and a failure of a page or of another id ends none of them. No task runs
        for any of them, and the polls go on while the caller processes an outcome.

        The iterator can be left at any time, and its task can be cancelled: that stops the polls, leaves nothing
        behind and does not touch the jobs. It happens at once with ``contextlib.aclosing``, else when no reference
        to the iterator is left. A cancelled ``anext`` alone loses no outcome: call it again to go on.

        Args:
            ids: UUIDs, or the references of lip sync requests; one that comes twice counts once.
            timeout: Seconds to wait in all; 0 polls each once, None waits without end.
            polling: How often to poll and which failures to tolerate, instead of the client's own policy.

        Returns:
            An async iterator of outcomes, each with the id as it was given.

        Raises:
            ConfigurationError: An argument cannot work, or there are no credentials; nothing was sent.
            AuthenticationError: The credentials are not accepted.
            ClientClosedError: The client was closed meanwhile, or drained before; ``drain()`` itself ends the
                iterator without an error.
        """
        return self._follow(unique_ids(ids), timeout, polling)

    async def wait_all(
        self, ids: Iterable[str], *, timeout: float | None = None, polling: PollPolicy | None = None
    ) -> dict[str, Outcome[J]]:
        """Wait for many requests until all are finished, and return an outcome for each.

        The outcome of an id whose wait failed holds the error. Cancelling stops the polls, leaves nothing behind and
        does not touch the jobs.

        Args:
            ids: UUIDs, or the references of lip sync requests; one that comes twice counts once.
            timeout: Seconds to wait in all; 0 polls each once, None waits without end.
            polling: How often to poll and which failures to tolerate, instead of the client's own policy.

        Returns:
            Outcomes by id, in the order of ``ids``.

        Raises:
            ConfigurationError: An argument cannot work, or there are no credentials; nothing was sent.
            AuthenticationError: The credentials are not accepted.
            ClientClosedError: The client was closed or drained meanwhile.
        """
        unique = unique_ids(ids)
        outcomes = await gathered(unique, self._follow(unique, timeout, polling))
        if len(outcomes) < len(unique):
            self._transport.lifecycle.check_waits()
        return outcomes

    async def get_many(self, ids: Iterable[str]) -> dict[str, Outcome[J]]:
        """Read many requests, once and now.

        Pages of the list are read where they answer for more than one id, and single requests where they do not: ten
        thousand ids that are next to each other in a list with pages of 100 cost little more than a hundred calls.
        Each id has the attempts of the client's ``RetryPolicy``, and a page that fails costs none of them. 429 is
        waited out, up to ten times for an id; ten in a row with no good answer in between, or one with a
        ``Retry-After`` beyond ``max_retry_after``, end all that is left with that error. Every read begins after the
        call, but a request that is known to be finished may come from one that was under way. Cancelling leaves
        nothing behind.

        Args:
            ids: UUIDs, or the references of lip sync requests; one that comes twice counts once. A list cannot tell
                which request a reference means, so each reference is a call of its own.

        Returns:
            Outcomes by id, in the order of ``ids``; what could not be read has its error as the outcome, such as
            ``NotFoundError``.

        Raises:
            ConfigurationError: There are no credentials, or ``ids`` is a single string; nothing was sent.
            AuthenticationError: The credentials are not accepted.
            ClientClosedError: The client was closed meanwhile; ``drain()`` does not touch this call.
        """
        unique = unique_ids(ids)
        retry, transport = self._transport.retry, self._transport
        policy = PollPolicy(
            min_interval=retry.initial,
            max_interval=retry.max,
            request_timeout=transport.timeout,
            max_retry_after=retry.max_retry_after,
            outage_budget=_NO_BUDGET,
            not_found_grace=0.0,
        )
        return await gathered(unique, self._follow(unique, None, policy, attempts=retry.attempts))

    def forecast(self, request: J) -> Forecast:
        """Return how long a request will still take, from how long others took. Costs no call.

        Half of such requests take longer than ``remaining``, and four of five end between ``low`` and ``high``. All
        three grow while a request takes longer than any other. The age of the request goes by the service's clock.

        Args:
            request: As it was last read; the state that it shows, queued or started, counts.

        Returns:
            Seconds, all 0 for a finished request. Without any finished request of its family to learn from, the
            forecast is false and its times are None.

        Raises:
            ConfigurationError: It is not a request of this family.
        """
        if not isinstance(request, self._family.model):
            raise ConfigurationError(
                f"forecast takes a {self._family.model.__name__} as it was read, not {type(request).__name__}"
            )
        return self._state.durations.forecast(request)

    def nudge(self, id: str) -> None:
        """Poll a request now instead of when its next poll is due. For webhook handlers.

        The content of a webhook is not used: this call only brings the next poll forward, as a read that begins after
        it. Nothing happens if no wait of this client is for the job. May be called from any thread, never blocks and
        never raises.

        Args:
            id: The request's UUID, the id as it is waited for, or a reference: then all that carry it are polled,
                as far as they have been read before.
        """
        self._state.polls.nudge(id)

    def _follow(
        self,
        ids: list[str],
        timeout: float | None,
        polling: PollPolicy | None,
        *,
        attempts: int | None = None,
    ) -> AsyncGenerator[Outcome[J], None]:
        return self._state.polls.follow(ids, timeout=timeout, policy=polling or self._polling, attempts=attempts)

    async def _read_list(self, *, limit: int | None, offset: int | None, **filters: str | None) -> Page[J]:
        family = self._family
        page = await read_list(
            self._transport, family.requests_path, family.page_model, limit=limit, offset=offset, **filters
        )
        for request in reversed(page.data):  # the newest comes first, and counts most if it is added last
            self._state.durations.add(request)
        return page
