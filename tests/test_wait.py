"""The wait, on virtual time: every interval is asserted, and an hour of waiting takes milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from aioresponses import aioresponses
from tenacity import wait_fixed, wait_incrementing

from chamelaion_async import (
    APIConnectionError,
    APIStatusError,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    ChamelaionError,
    ConfigurationError,
    InternalServerError,
    InvalidResponseError,
    LipsyncRequest,
    NotFoundError,
    PermissionDeniedError,
    PollPolicy,
    QuotaExceededError,
    RateLimitError,
    WaitTimeoutError,
    WaitUnreachableError,
)
from chamelaion_async._http.lifecycle import Lifecycle
from chamelaion_async.loading.entries import Read
from chamelaion_async.loading.loader import Loader
from chamelaion_async.loading.reads import Answer, SendRead
from chamelaion_async.models import OnUpdate, Pagination
from chamelaion_async.polling.plan import make_plan
from chamelaion_async.polling.state import PollState
from chamelaion_async.polling.subscription import WaitSubscription
from chamelaion_async.polling.wait import poll_until_finished

pytestmark = pytest.mark.virtual_time

URL = "https://api.example.com/api/v1/lipsync/requests/job"
CREATED = datetime(2026, 4, 7, 10, tzinfo=UTC)
STEADY = PollPolicy(jitter=0.0)
DETAILS: dict[str, Any] = {"headers": {}, "body": None, "method": "GET", "path": "/x", "message": "m"}


def now() -> float:
    return asyncio.get_running_loop().time()


def job(status: str = "processing", **fields: Any) -> LipsyncRequest:
    return LipsyncRequest(id="job", status=status, created_at=CREATED, **fields)


def refused(kind: type[APIStatusError], status: int, **extra: Any) -> APIStatusError:
    return kind(f"answered {status}", status=status, **DETAILS, **extra)


def unreachable() -> APIConnectionError:
    return APIConnectionError("no answer", sent="maybe", method="GET", path="/x")


def throttled(retry_after: float | None) -> APIStatusError:
    return refused(RateLimitError, 429, retry_after=retry_after)


Said = LipsyncRequest | ChamelaionError
Script = Callable[[float], Said | Awaitable[Said]]


@attrs.define(eq=False)
class ScriptedService:
    """Answers each GET by a function of the seconds since the first one, and records the time of each.

    Its list is empty.
    """

    script: Script
    server_age: float | None = 0.0
    jitter_draw: float = 0.5
    most_at_once: int = 10
    is_throttled: bool = False
    clients: int = 1
    began: float = attrs.field(factory=now)
    polls: list[float] = attrs.field(factory=list)
    timeouts: list[float] = attrs.field(factory=list)
    lifecycle: Lifecycle = attrs.field(init=False, factory=Lifecycle)
    loader: Loader[LipsyncRequest] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.loader = Loader(self, random=lambda: self.jitter_draw, read_timeout=20.0)

    def was_refused(self, read: Read[LipsyncRequest], error: RateLimitError) -> None:
        raise AssertionError("it reads no page")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[SendRead[LipsyncRequest]]:
        yield self.send

    async def send(self, read: Read[LipsyncRequest]) -> Answer[LipsyncRequest]:
        if read.is_page:
            return self._answer([], Pagination(limit=100, offset=0, total=0))
        elapsed = now() - self.began
        self.polls.append(elapsed)
        self.timeouts.append(read.timeout)
        said = self.script(elapsed)
        if not isinstance(said, (LipsyncRequest, ChamelaionError)):
            said = await said
        if isinstance(said, ChamelaionError):
            raise said
        return self._answer([(said.id, said)], None)

    def _answer(
        self, records: list[tuple[str, LipsyncRequest]], pagination: Pagination | None
    ) -> Answer[LipsyncRequest]:
        age = None if self.server_age is None else timedelta(seconds=self.server_age + now() - self.began)
        return Answer(
            records=records,
            make=lambda record: record,
            pagination=pagination,
            is_newest_first=None,
            server_time=None if age is None else CREATED + age,
        )

    async def wait(
        self,
        *,
        policy: PollPolicy = STEADY,
        timeout: float | None = 600.0,
        random: Callable[[], float] = lambda: 0.5,
        sleep: Callable[[float], Awaitable[None]] | None = None,
        on_update: OnUpdate[LipsyncRequest] | None = None,
    ) -> LipsyncRequest:
        async def paused(seconds: float, pause: asyncio.Future[bool]) -> None:
            await (self.lifecycle.sleep(seconds, pause) if sleep is None else sleep(seconds))

        plan = make_plan(timeout, policy, random, started=now())
        state: PollState[LipsyncRequest] = PollState(id="job", plan=plan)
        subscription = WaitSubscription(self.loader, state, paused)
        try:
            return await poll_until_finished(state, subscription, on_update)
        finally:
            await subscription.aclose()

    @property
    def intervals(self) -> list[float]:
        return [round(b - a, 6) for a, b in zip(self.polls, self.polls[1:], strict=False)]


def finishes_at(seconds: float, status: str = "completed") -> Script:
    return lambda elapsed: job(status if elapsed >= seconds else "processing")


def fails_until(seconds: float, error: Callable[[], ChamelaionError]) -> Script:
    return lambda elapsed: error() if elapsed < seconds else job("completed")


async def slow(answer: Said, seconds: float = 10_000.0) -> Said:
    await asyncio.sleep(seconds)
    return answer


def always(answer: Said) -> Script:
    return lambda _: answer


class TestSpacing:
    @pytest.mark.parametrize("ended", [job("completed"), job("failed"), job("cancelled", finished_at=CREATED)])
    async def test_a_finished_request_is_returned_after_one_poll_and_no_time(self, ended: LipsyncRequest) -> None:
        service = ScriptedService(always(ended))
        started = now()
        assert await service.wait() is ended
        assert (service.polls, now()) == ([0.0], started)

    async def test_a_young_job_is_polled_every_second_and_an_old_one_every_tenth_of_its_age(self) -> None:
        service = ScriptedService(finishes_at(60))
        await service.wait()
        assert service.intervals[:10] == [1.0] * 10
        assert service.intervals[10:13] == pytest.approx([1.0, 1.1, 1.21])

    @pytest.mark.parametrize(
        ("ends", "server_age", "intervals"),
        [
            (300, 1000.0, [12.0] * 25),  # the longest interval
            (5, 50.0, [5.0]),  # a wait that is resumed goes on with the age of the job
            (3, 20.0, [2.0, 2.2]),  # only the service's own two times are compared, so the clock here does not matter
            (3, -100.0, [1.0, 1.0, 1.0]),  # a date before the creation counts as the time watched
        ],
    )
    async def test_the_pause_follows_the_age_by_the_services_clock(
        self, ends: float, server_age: float, intervals: list[float]
    ) -> None:
        service = ScriptedService(finishes_at(ends), server_age=server_age)
        await service.wait()
        assert service.intervals == pytest.approx(intervals)

    async def test_without_a_date_the_age_is_the_time_watched(self) -> None:
        service = ScriptedService(finishes_at(40), server_age=None)
        await service.wait()
        assert service.intervals[:10] == [1.0] * 10
        assert service.intervals[-1] > 2.5

    @pytest.mark.parametrize(("jitter_draw", "pause"), [(0.0, 4.5), (0.5, 5.0), (1.0, 5.5)])
    async def test_jitter_spreads_the_pause_around_the_middle(self, jitter_draw: float, pause: float) -> None:
        service = ScriptedService(finishes_at(3), server_age=50.0, jitter_draw=jitter_draw)
        await service.wait(policy=PollPolicy(jitter=0.1))
        assert service.intervals[0] == pytest.approx(pause)

    async def test_any_tenacity_strategy_replaces_the_spacing(self) -> None:
        service = ScriptedService(finishes_at(20))
        await service.wait(policy=PollPolicy(wait=wait_incrementing(start=2, increment=3)))
        assert service.intervals == [2.0, 5.0, 8.0, 11.0]

    @pytest.mark.parametrize("pause", [-1.0, float("nan"), float("inf")])
    async def test_a_strategy_that_returns_nonsense_is_named(self, pause: float) -> None:
        with pytest.raises(ConfigurationError, match=r"PollPolicy\.wait"):
            await ScriptedService(always(job())).wait(policy=PollPolicy(wait=lambda _: pause))


class TestDeadline:
    async def test_the_last_poll_lands_on_the_deadline(self) -> None:
        service = ScriptedService(always(job()))
        with pytest.raises(WaitTimeoutError):
            await service.wait(timeout=10.5)
        assert service.polls[-2:] == [10.0, 10.5]

    async def test_a_job_that_finishes_just_before_the_deadline_is_returned(self) -> None:
        assert (await ScriptedService(finishes_at(10.4)).wait(timeout=10.5)).is_completed

    async def test_the_error_says_what_is_known_and_what_to_do(self) -> None:
        service = ScriptedService(always(job("processing")))
        with pytest.raises(WaitTimeoutError) as caught:
            await service.wait(timeout=3)
        error = caught.value
        assert (error.id, error.elapsed, error.polls, error.last_error) == ("job", 3.0, 4, None)
        assert error.last is not None
        assert str(error) == (
            "request job is still processing after 3 s and 4 polls; "
            "the job goes on, wait again with wait_until_finished('job')"
        )

    async def test_timeout_zero_polls_once(self) -> None:
        service = ScriptedService(always(job()))
        started = now()
        with pytest.raises(WaitTimeoutError) as caught:
            await service.wait(timeout=0)
        assert (service.polls, caught.value.polls, now()) == ([0.0], 1, started)

    async def test_timeout_zero_leaves_its_one_poll_the_time_to_answer(self) -> None:
        service = ScriptedService(lambda _: slow(job("completed"), 5.0))
        assert (await service.wait(timeout=0)).is_completed

    async def test_without_a_timeout_a_wait_goes_on_for_days(self) -> None:
        week = 7 * 86400.0
        service = ScriptedService(finishes_at(week))
        await service.wait(timeout=None, policy=PollPolicy(min_interval=600, max_interval=3600))
        assert service.polls[-1] >= week

    async def test_a_poll_that_hangs_is_cut_at_the_deadline(self) -> None:
        service = ScriptedService(lambda _: slow(job()))
        started = now()
        with pytest.raises(WaitTimeoutError) as caught:
            await service.wait(timeout=7)
        assert now() - started == 7.0
        assert service.timeouts == [20.0]
        assert isinstance(caught.value.last_error, APIConnectionError)

    async def test_each_poll_is_given_the_time_of_a_request(self) -> None:
        service = ScriptedService(always(job()))
        with pytest.raises(WaitTimeoutError):
            await service.wait(timeout=22.5, policy=PollPolicy(min_interval=10, max_interval=10, jitter=0))
        assert service.timeouts == [20.0] * 4

    async def test_the_poll_at_the_deadline_may_outlast_it_by_a_second_and_no_more(self) -> None:
        service = ScriptedService(lambda elapsed: slow(job()) if elapsed >= 3 else job())
        started = now()
        with pytest.raises(WaitTimeoutError):
            await service.wait(timeout=3)
        assert now() - started == 4.0

    async def test_the_last_poll_starts_early_by_what_a_poll_takes(self) -> None:
        service = ScriptedService(lambda _: slow(job(), 0.25))
        started = now()
        with pytest.raises(WaitTimeoutError):
            await service.wait(timeout=3)
        assert (service.polls[-1], now() - started) == (2.75, 3.0)

    @pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), True, "5"])
    async def test_a_timeout_that_is_none_is_refused_before_the_first_poll(self, timeout: Any) -> None:
        service = ScriptedService(always(job()))
        with pytest.raises(ConfigurationError, match="timeout"):
            await service.wait(timeout=timeout)
        assert service.polls == []


class TestFailures:
    @pytest.mark.parametrize(
        "error",
        [
            unreachable,
            lambda: throttled(None),
            lambda: refused(InternalServerError, 503),
            lambda: refused(APIStatusError, 408),
            lambda: InvalidResponseError("not JSON", method="GET", path="/x"),
        ],
        ids=["connection", "429", "503", "408", "unreadable"],
    )
    async def test_failures_that_may_pass_are_tolerated(self, error: Callable[[], ChamelaionError]) -> None:
        service = ScriptedService(fails_until(100, error))
        assert (await service.wait()).is_completed
        assert service.polls[-1] >= 100

    @pytest.mark.parametrize(
        ("kind", "status"),
        [
            (BadRequestError, 400),
            (AuthenticationError, 401),
            (PermissionDeniedError, 403),
            (QuotaExceededError, 412),
            (APIStatusError, 307),
        ],
    )
    async def test_refusals_that_waiting_does_not_change_end_the_wait_at_once(
        self, kind: type[APIStatusError], status: int
    ) -> None:
        service = ScriptedService(lambda elapsed: refused(kind, status) if elapsed >= 2 else job())
        with pytest.raises(kind):
            await service.wait()
        assert service.polls == [0.0, 1.0, 2.0]

    async def test_repeated_failures_are_spaced_wider_and_wider(self) -> None:
        service = ScriptedService(fails_until(60, unreachable))
        await service.wait(random=lambda: 0.0)
        assert service.intervals[:5] == [1.0, 2.0, 4.0, 8.0, 12.0]

    async def test_a_good_poll_resets_the_count_of_failures(self) -> None:
        answers: Iterator[Said] = iter([unreachable(), unreachable(), job(), unreachable(), job("completed")])
        service = ScriptedService(lambda _: next(answers))
        await service.wait(random=lambda: 0.0)
        assert service.intervals == [1.0, 2.0, 1.0, 1.0]

    async def test_an_outage_beyond_the_budget_ends_the_wait(self) -> None:
        service = ScriptedService(lambda elapsed: job() if elapsed < 5 else unreachable())
        with pytest.raises(WaitUnreachableError) as caught:
            await service.wait()
        error = caught.value
        assert service.polls[-1] == pytest.approx(5.0 + 120.0)
        assert error.__cause__ is error.last_error
        assert isinstance(error.last_error, APIConnectionError)
        assert error.last is not None
        assert "nothing readable came for 120 s" in str(error)

    async def test_a_good_poll_renews_the_outage_budget(self) -> None:
        service = ScriptedService(
            lambda elapsed: job() if 100 <= elapsed < 110 else fails_until(220, unreachable)(elapsed)
        )
        assert (await service.wait()).is_completed

    @pytest.mark.parametrize("ends", [3603.0, None], ids=["a short outage", "a long one"])
    async def test_an_outage_after_a_machine_has_slept_has_the_whole_budget(self, ends: float | None) -> None:
        pauses: Iterator[float] = iter([3600.0])
        service = ScriptedService(
            lambda elapsed: job() if not elapsed else fails_until(ends or 1e9, unreachable)(elapsed)
        )
        ending = contextlib.nullcontext() if ends else pytest.raises(WaitUnreachableError)
        with ending:
            await service.wait(timeout=None, sleep=lambda seconds: asyncio.sleep(next(pauses, seconds)))
        assert service.polls[1] == 3600.0
        assert ends or service.polls[-1] == pytest.approx(3600.0 + 120.0)

    async def test_no_outage_budget_means_the_first_failure_ends_the_wait(self) -> None:
        service = ScriptedService(always(unreachable()))
        with pytest.raises(WaitUnreachableError):
            await service.wait(policy=PollPolicy(outage_budget=0))
        assert service.polls == [0.0]

    async def test_the_deadline_comes_before_a_longer_outage_budget(self) -> None:
        with pytest.raises(WaitTimeoutError, match="the last poll failed: no answer") as caught:
            await ScriptedService(always(unreachable())).wait(timeout=30)
        assert isinstance(caught.value.__cause__, APIConnectionError)

    async def test_404_within_the_grace_is_tolerated(self) -> None:
        service = ScriptedService(fails_until(3, lambda: refused(NotFoundError, 404)))
        assert (await service.wait()).is_completed

    @pytest.mark.parametrize("seen_until", [0.0, 1.0])
    async def test_404_ends_the_wait_when_the_grace_is_over(self, seen_until: float) -> None:
        """The grace of a job that has been seen begins after the last good poll."""
        service = ScriptedService(lambda elapsed: job() if elapsed < seen_until else refused(NotFoundError, 404))
        with pytest.raises(NotFoundError):
            await service.wait()
        assert service.polls[-1] == seen_until + 5.0


class TestRetryAfter:
    @pytest.mark.parametrize(("asked", "pause"), [(3.0, 3.0), (0.25, 0.25), (0.0, 1.0), (60.0, 60.0), (3600.0, 60.0)])
    async def test_retry_after_is_obeyed_up_to_the_bound_of_the_policy(self, asked: float, pause: float) -> None:
        answers: Iterator[Said] = iter([throttled(asked), job("completed")])
        service = ScriptedService(lambda _: next(answers))
        await service.wait()
        assert service.intervals == [pause]

    async def test_retry_after_is_obeyed_before_the_callers_strategy(self) -> None:
        answers: Iterator[Said] = iter([throttled(7), job(), job("completed")])
        service = ScriptedService(lambda _: next(answers))
        await service.wait(policy=PollPolicy(wait=wait_fixed(2)))
        assert service.intervals == [7.0, 2.0]

    async def test_a_retry_after_beyond_the_deadline_is_obeyed(self) -> None:
        service = ScriptedService(always(throttled(30)))
        started = now()
        with pytest.raises(WaitTimeoutError) as caught:
            await service.wait(timeout=10)
        assert (service.polls, now() - started, caught.value.polls) == ([0.0], 10.0, 1)
        assert isinstance(caught.value.last_error, RateLimitError)

    async def test_a_retry_after_is_not_shortened_by_the_outage_budget(self) -> None:
        service = ScriptedService(fails_until(50, lambda: throttled(50)))
        await service.wait(policy=PollPolicy(outage_budget=20, jitter=0))
        assert service.polls == [0.0, 50.0]


class TestUpdates:
    async def test_each_change_is_reported_once_the_finished_one_included(self) -> None:
        service = ScriptedService(lambda t: job("queued" if t < 3 else "processing" if t < 6 else "completed"))
        seen: list[str] = []
        await service.wait(on_update=lambda request: seen.append(request.status))
        assert seen == ["queued", "processing", "completed"]

    async def test_an_on_update_that_is_a_coroutine_function_is_awaited(self) -> None:
        seen: list[str] = []

        async def note(request: LipsyncRequest) -> None:
            await asyncio.sleep(1)
            seen.append(request.status)

        await ScriptedService(finishes_at(2)).wait(on_update=note)
        assert seen == ["processing", "completed"]

    @pytest.mark.parametrize("error", [LookupError("mine"), unreachable()], ids=["any", "one of the API"])
    async def test_an_error_of_on_update_reaches_the_caller(self, error: Exception) -> None:
        """It is not taken for a failed poll."""

        async def fail(_: LipsyncRequest) -> None:
            raise error

        service = ScriptedService(finishes_at(2))
        with pytest.raises(type(error)) as caught:
            await service.wait(on_update=fail)
        assert (caught.value, service.polls) == (error, [0.0])

    async def test_a_slow_on_update_is_not_cut_by_the_deadline(self) -> None:
        done: list[bool] = []

        async def take_time(_: LipsyncRequest) -> None:
            await asyncio.sleep(50)
            done.append(True)

        with pytest.raises(WaitTimeoutError):
            await ScriptedService(always(job())).wait(timeout=3, on_update=take_time)
        assert done == [True]


class TestCancellation:
    @pytest.mark.parametrize(
        ("answer", "polls"), [(job, [0.0, 1.0, 2.0]), (lambda: slow(job()), [0.0])], ids=["a pause", "a poll"]
    )
    async def test_a_cancellation_during_a_pause_or_a_poll_stops_the_polls_and_leaves_no_task(
        self, answer: Callable[[], Said | Awaitable[Said]], polls: list[float]
    ) -> None:
        service = ScriptedService(lambda _: answer())
        task = asyncio.create_task(service.wait())
        await asyncio.sleep(2.5)
        task.cancel("stop")
        with pytest.raises(asyncio.CancelledError):
            await task
        gc.collect()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.sleep(100)
        assert service.polls == polls

    async def test_cancelling_one_of_many_waits_disturbs_no_other(self) -> None:
        service = ScriptedService(finishes_at(30))
        tasks = [asyncio.create_task(service.wait()) for _ in range(10)]
        await asyncio.sleep(5)
        tasks[3].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, LipsyncRequest) for result in results].count(True) == 9
        assert isinstance(results[3], asyncio.CancelledError)

    async def test_a_callers_own_timeout_stays_its_own(self) -> None:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(2):
                await ScriptedService(always(job())).wait()
        assert not isinstance(caught.value, ChamelaionError)


class TestThroughTheClient:
    """The same loop, with real decoding, the `Date` header and the life cycle of a client."""

    @staticmethod
    def answer(status: str, age: float | None = None) -> dict[str, Any]:
        payload = {"id": "job", "status": status, "created_at": CREATED.isoformat()}
        headers = {}
        if age is not None:
            headers["Date"] = (CREATED + timedelta(seconds=age)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return {"payload": payload, "headers": headers}

    async def test_the_age_is_read_from_the_date_of_the_answer(self, client: AsyncClient, mock: aioresponses) -> None:
        mock.get(URL, **self.answer("processing", age=70))
        mock.get(URL, **self.answer("completed", age=77))
        started = now()
        await client.wait_until_finished("job", polling=STEADY)
        assert now() - started == pytest.approx(7.0)

    async def test_a_retry_after_date_is_read_against_the_date_of_the_answer(
        self, client: AsyncClient, mock: aioresponses
    ) -> None:
        mock.get(
            URL,
            status=429,
            payload={"error": "rate limit exceeded"},
            headers={"Date": "Tue, 07 Apr 2026 10:00:00 GMT", "Retry-After": "Tue, 07 Apr 2026 10:00:21 GMT"},
        )
        mock.get(URL, **self.answer("completed"))
        started = now()
        await client.wait_until_finished("job")
        assert now() - started == pytest.approx(21.0)

    async def test_each_poll_is_a_single_attempt(self, client: AsyncClient, mock: aioresponses) -> None:
        mock.get(URL, status=500, payload={"error": "internal error"})
        mock.get(URL, **self.answer("completed"))
        await client.lipsync.requests.wait_until_finished("job", polling=STEADY)
        assert sum(len(calls) for calls in mock.requests.values()) == 2

    async def test_the_clients_own_policy_holds_unless_another_is_given(self, mock: aioresponses) -> None:
        slow = PollPolicy(min_interval=30, max_interval=30, jitter=0)
        async with AsyncClient("k", base_url="https://api.example.com/api", polling=slow) as client:
            for view, pause in ((client, 30.0), (client.with_options(polling=STEADY), 1.0)):
                mock.get(URL, **self.answer("processing"))
                mock.get(URL, **self.answer("completed"))
                started = now()
                await view.wait_until_finished("job")
                assert now() - started == pytest.approx(pause)
