"""Repeating one call: which failures, how often, how long between, and what never."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import math
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from chamelaion_async._http.retry import backoff, is_passing, repeat, was_not_accepted
from chamelaion_async.config import RetryPolicy
from chamelaion_async.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ChamelaionError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    DownloadError,
    InternalServerError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    UnprocessableEntityError,
)

HARMLESS = (ConfigurationError, ClientClosedError, DownloadError)


def answered(kind: type[APIStatusError], status: int, **details: Any) -> APIStatusError:
    return kind(
        f"answered {status}", status=status, message="", headers={}, body=None, method="GET", path="/x", **details
    )


def limited(retry_after: float | None = None) -> APIStatusError:
    return answered(RateLimitError, 429, retry_after=retry_after)


def broken(sent: Any = "maybe", kind: type[APIConnectionError] = APIConnectionError) -> APIConnectionError:
    return kind("broken", sent=sent, method="GET", path="/x")


def failed() -> APIStatusError:
    return answered(InternalServerError, 503)


@attrs.define
class Script:
    """Attempts with given outcomes, and a sleep that only records its pauses."""

    outcomes: list[object]
    numbers: list[int] = attrs.Factory(list)
    pauses: list[float] = attrs.Factory(list)

    async def attempt(self, number: int) -> object:
        self.numbers.append(number)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def run(
        self,
        after: ChamelaionError,
        policy: RetryPolicy = RetryPolicy(),
        repeatable: Callable[[BaseException], bool] = is_passing,
        random: Callable[[], float] = lambda: 0.0,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> object:
        pause = sleep or self.sleep
        return await repeat(
            self.attempt, after=after, policy=policy, repeatable=repeatable, sleep=pause, random=random
        )


async def test_the_value_of_the_first_good_attempt_is_returned() -> None:
    assert await Script(["good", "unused"]).run(failed()) == "good"


async def test_a_good_attempt_ends_the_repetition() -> None:
    script = Script([failed(), "good", "unused"])
    await script.run(failed(), RetryPolicy(attempts=9))
    assert script.outcomes == ["unused"]


async def test_attempts_are_numbered_from_the_callers_first() -> None:
    script = Script([failed(), failed(), "good"])
    await script.run(failed(), RetryPolicy(attempts=9))
    assert script.numbers == [2, 3, 4]


@pytest.mark.parametrize("attempts", [1, 2, 3, 7])
async def test_each_attempt_that_the_policy_allows_is_made_after_a_pause(
    attempts: int,
) -> None:
    script = Script([failed() for _ in range(20)])
    with pytest.raises(InternalServerError):
        await script.run(failed(), RetryPolicy(attempts=attempts))
    assert (len(script.numbers), len(script.pauses)) == (attempts - 1, attempts - 1)


async def test_the_error_of_the_last_attempt_reaches_the_caller() -> None:
    last = broken()
    with pytest.raises(APIConnectionError) as caught:
        await Script([failed(), last]).run(limited(), RetryPolicy(attempts=3))
    assert caught.value is last


async def test_without_repetition_the_callers_own_error_reaches_the_caller() -> None:
    error = failed()
    with pytest.raises(InternalServerError) as caught:
        await Script([]).run(error, RetryPolicy(attempts=1))
    assert caught.value is error


@pytest.mark.parametrize("outcomes", [[], [failed()]], ids=["one attempt", "two attempts"])
async def test_no_error_of_tenacity_stands_behind_ours(outcomes: list[object]) -> None:
    with pytest.raises(InternalServerError) as caught:
        await Script(outcomes).run(failed(), RetryPolicy(attempts=len(outcomes) + 1))
    chain = (caught.value.__cause__, caught.value.__context__)
    assert not any(isinstance(error, tenacity.RetryError) for error in chain)


async def test_an_error_that_cannot_pass_is_not_repeated_at_all() -> None:
    script = Script(["unused"])
    error = answered(BadRequestError, 400)
    with pytest.raises(BadRequestError):
        await script.run(error)
    assert (script.numbers, script.pauses) == ([], [])


@pytest.mark.parametrize(
    "error",
    [
        answered(NotFoundError, 404),
        InvalidResponseError("not HTTP", method="GET", path="/x"),
        RuntimeError("a defect"),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        SystemExit(),
        GeneratorExit(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("repeatable", [is_passing, was_not_accepted])
async def test_an_error_that_cannot_pass_ends_the_repetition_unchanged(
    error: BaseException, repeatable: Callable[[BaseException], bool]
) -> None:
    script = Script([error, "unused"])
    with pytest.raises(type(error)) as caught:
        await script.run(limited(), RetryPolicy(attempts=9), repeatable)
    assert (caught.value, script.outcomes) == (error, ["unused"])


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ClientClosedError("closed")], ids=repr)
async def test_an_error_of_the_pause_ends_the_repetition_and_reaches_the_caller(error: BaseException) -> None:
    async def interrupted(_: float) -> None:
        raise error

    script = Script(["unused"])
    with pytest.raises(type(error)):
        await script.run(failed(), sleep=interrupted)
    assert script.outcomes == ["unused"]


@pytest.mark.parametrize(
    ("random", "pauses"),
    [(0.0, [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]), (0.5, [0.375, 0.75, 1.5, 3.0, 6.0, 6.0]), (1.0, [0.25, 0.5, 1, 2, 4, 4])],
)
async def test_pauses_double_up_to_the_longest_and_lose_up_to_half(random: float, pauses: list[float]) -> None:
    script = Script([failed() for _ in range(20)])
    with pytest.raises(InternalServerError):
        await script.run(failed(), RetryPolicy(attempts=7), random=lambda: random)
    assert script.pauses == pauses


async def test_each_pause_draws_its_own_jitter() -> None:
    script, chances = Script([failed() for _ in range(9)]), itertools.cycle([0.0, 1.0])
    with pytest.raises(InternalServerError):
        await script.run(failed(), RetryPolicy(attempts=4), random=lambda: next(chances))
    assert script.pauses == [0.5, 0.5, 2.0]


@pytest.mark.parametrize(
    ("retry_after", "bound"), [(0.001, 60.0), (1.5, 60.0), (59.9, 60.0), (60.0, 60.0), (0.5, 0.5), (None, 0.25)]
)
async def test_a_retry_after_up_to_the_bound_is_the_pause(retry_after: float | None, bound: float) -> None:
    script = Script(["good"])
    await script.run(limited(retry_after), RetryPolicy(initial=0.5, max_retry_after=bound), random=lambda: 0.0)
    assert script.pauses == [retry_after or 0.5]


@pytest.mark.parametrize("retry_after", [None, 0.0, -1.0, math.nan])
async def test_a_retry_after_that_names_no_time_to_come_counts_as_none(retry_after: float | None) -> None:
    script = Script([limited(retry_after), "good"])
    await script.run(limited(retry_after), RetryPolicy(initial=0.5), random=lambda: 0.0)
    assert script.pauses == [0.5, 1.0]


async def test_each_retry_after_counts_for_its_own_pause() -> None:
    script = Script([limited(5.0), failed(), limited(None), "good"])
    await script.run(limited(2.0), RetryPolicy(attempts=9))
    assert script.pauses == [2.0, 5.0, 2.0, 4.0]


@pytest.mark.parametrize(("bound", "retry_after"), [(60.0, 60.001), (60.0, 1e9), (0.0, 0.001), (0.5, 0.51)])
async def test_a_longer_retry_after_than_the_policy_allows_is_raised_at_once(
    bound: float, retry_after: float
) -> None:
    script = Script(["unused"])
    with pytest.raises(RateLimitError):
        await script.run(limited(retry_after), RetryPolicy(max_retry_after=bound))
    assert (script.numbers, script.pauses) == ([], [])


async def test_a_longer_retry_after_in_a_later_attempt_ends_the_repetition() -> None:
    script = Script([limited(61.0), "unused"])
    with pytest.raises(RateLimitError) as caught:
        await script.run(failed(), RetryPolicy(attempts=9))
    assert isinstance(caught.value, RateLimitError)
    assert (caught.value.retry_after, script.outcomes) == (61.0, ["unused"])


@pytest.mark.virtual_time
async def test_concurrent_repetitions_count_their_attempts_each_for_itself() -> None:
    scripts = [Script([failed() for _ in range(20)]) for _ in range(5)]
    runs = (
        script.run(failed(), RetryPolicy(attempts=attempts), sleep=asyncio.sleep)
        for attempts, script in enumerate(scripts, start=1)
    )
    await asyncio.gather(*runs, return_exceptions=True)
    assert [len(script.numbers) for script in scripts] == [0, 1, 2, 3, 4]


@pytest.mark.virtual_time
async def test_cancelling_the_caller_during_a_pause_ends_it_at_once() -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.25):
            await Script([]).run(failed(), sleep=asyncio.sleep)
    assert asyncio.get_running_loop().time() - began == 0.25


STATUSES: list[tuple[type[APIStatusError], int, bool]] = [
    (BadRequestError, 400, False),
    (AuthenticationError, 401, False),
    (PermissionDeniedError, 403, False),
    (NotFoundError, 404, False),
    (APIStatusError, 408, True),
    (ConflictError, 409, False),
    (QuotaExceededError, 412, False),
    (APIStatusError, 418, False),
    (UnprocessableEntityError, 422, False),
    (RateLimitError, 429, True),
    (InternalServerError, 500, True),
    (InternalServerError, 502, True),
    (InternalServerError, 503, True),
    (InternalServerError, 504, True),
    (APIStatusError, 302, False),
]


@pytest.mark.parametrize(("kind", "status", "passing"), STATUSES)
def test_a_read_is_repeated_after_a_status_that_may_pass(
    kind: type[APIStatusError], status: int, passing: bool
) -> None:
    assert is_passing(answered(kind, status)) is passing


@pytest.mark.parametrize("kind", [APIConnectionError, APITimeoutError])
@pytest.mark.parametrize("sent", ["no", "maybe"])
def test_a_read_is_repeated_after_any_failure_of_the_connection(kind: type[APIConnectionError], sent: str) -> None:
    assert is_passing(broken(sent, kind)) is True


@pytest.mark.parametrize(("kind", "status", "_"), STATUSES)
def test_a_paid_call_is_repeated_after_no_status_but_429(kind: type[APIStatusError], status: int, _: bool) -> None:
    assert was_not_accepted(answered(kind, status)) is (status == 429)


@pytest.mark.parametrize("kind", [APIConnectionError, APITimeoutError])
@pytest.mark.parametrize(("sent", "expected"), [("no", True), ("maybe", False)])
def test_a_paid_call_is_repeated_only_when_it_was_certainly_not_sent(
    kind: type[APIConnectionError], sent: str, expected: bool
) -> None:
    assert was_not_accepted(broken(sent, kind)) is expected


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        concurrent.futures.CancelledError(),
        KeyboardInterrupt(),
        SystemExit(),
        GeneratorExit(),
        TimeoutError(),
        ConnectionResetError(),
        RuntimeError(),
        InvalidResponseError("not JSON", method="GET", path="/x", status=200),
        *(kind("harmless") for kind in HARMLESS),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("decide", [is_passing, was_not_accepted])
def test_no_other_error_is_repeated(decide: Callable[[BaseException], bool], error: BaseException) -> None:
    assert decide(error) is False


seconds = st.floats(0, 1e6)
chances = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 10**9), seconds, seconds, chances)
def test_a_backoff_lies_between_half_its_bound_and_its_bound(
    failures: int, initial: float, longest: float, chance: float
) -> None:
    bound = min(initial * 2.0 ** min(failures - 1, 60), longest)
    assert bound / 2 <= backoff(failures, initial, longest, lambda: chance) <= bound


@given(st.integers(1, 10**9), st.integers(0, 100), seconds, seconds, chances)
def test_a_backoff_never_shrinks_with_more_failures(
    failures: int, more: int, initial: float, longest: float, chance: float
) -> None:
    fewer = backoff(failures, initial, longest, lambda: chance)
    assert backoff(failures + more, initial, longest, lambda: chance) >= fewer


@given(st.integers(1, 2000), chances)
def test_a_backoff_reaches_its_longest_and_stays_there(failures: int, chance: float) -> None:
    assert backoff(failures + 5, 0.5, 8.0, lambda: chance) == 8.0 * (1 - chance / 2)
