"""Repeating one call, at the bounds of its policy."""

from __future__ import annotations

import pytest

from chamelaion_async._http.retry import is_passing, repeat
from chamelaion_async.config import RetryPolicy
from chamelaion_async.errors import RateLimitError


def limited(retry_after: float | None) -> RateLimitError:
    return RateLimitError(
        "answered 429",
        status=429,
        message="",
        headers={},
        body=None,
        method="GET",
        path="/x",
        retry_after=retry_after,
    )


async def pauses_after(error: RateLimitError, policy: RetryPolicy) -> list[float]:
    """Return the pauses of a repetition that succeeds at once, if it is one."""
    pauses: list[float] = []

    async def attempt(_: int) -> None:
        return None

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    await repeat(attempt, after=error, policy=policy, repeatable=is_passing, sleep=sleep, random=lambda: 0.0)
    return pauses


async def test_a_429_that_does_not_say_how_long_is_repeated_however_little_is_waited_for_one_that_does() -> None:
    assert await pauses_after(limited(None), RetryPolicy(initial=0.25, max_retry_after=0.5)) == [0.25]


async def test_a_retry_after_of_the_longest_time_is_waited_for() -> None:
    assert await pauses_after(limited(0.5), RetryPolicy(max_retry_after=0.5)) == [0.5]


async def test_a_retry_after_beyond_the_longest_time_is_not_waited_for() -> None:
    with pytest.raises(RateLimitError):
        await pauses_after(limited(0.51), RetryPolicy(max_retry_after=0.5))
