"""Which failures may pass, and repeating a single call after them, driven by tenacity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from ..config import RetryPolicy
from ..errors import (
    PASSING_STATUSES,
    APIConnectionError,
    APIStatusError,
    ChamelaionError,
    InternalServerError,
    InvalidResponseError,
    RateLimitError,
)
from .tracebacks import let_go

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["backoff", "is_foreign", "is_passing", "is_ridden_out", "repeat", "retry_after_of", "was_not_accepted"]

T = TypeVar("T")
_REFUSALS = frozenset({401, 403, 404, 405, 410})


def is_passing(error: BaseException) -> bool:
    """Whether the same read may succeed a little later."""
    return isinstance(error, (APIConnectionError, InternalServerError)) or (
        isinstance(error, APIStatusError) and error.status in PASSING_STATUSES
    )


def is_ridden_out(error: BaseException) -> bool:
    """Whether a wait goes on after a failed poll: the failure may pass, or the answer is not the API's."""
    return is_passing(error) or isinstance(error, InvalidResponseError)


def is_foreign(error: BaseException) -> bool:
    """Whether a refusal comes from something between here and the API, such as a gateway without a backend.

    The API's refusals have the form ``{"error": text}`` (its error reference); any other is not its answer.
    """
    if not isinstance(error, APIStatusError) or error.status not in _REFUSALS:
        return False
    body = error.body
    return not (isinstance(body, dict) and isinstance(body.get("error"), str))


def retry_after_of(error: BaseException) -> float | None:
    """Return the seconds that a 429 or 5xx asks to wait (RFC 9110, section 10.2.3), or None where it names none.

    0 counts as none: a service that says "now" and refuses again must not get a call at once.
    """
    if isinstance(error, (RateLimitError, InternalServerError)):
        return error.retry_after or None
    return None


def was_not_accepted(error: BaseException) -> bool:
    """Whether a call that changes something certainly changed nothing, so that it may be sent again."""
    return isinstance(error, RateLimitError) or (isinstance(error, APIConnectionError) and error.sent == "no")


def backoff(failures: int, initial: float, longest: float, random: Callable[[], float]) -> float:
    """Return the pause after ``failures`` failures in a row: doubled each time, jittered by up to half."""
    # The exponent is bounded, since a float overflows after 1024 failures.
    return min(initial * 2.0 ** min(failures - 1, 60), longest) * (1 - random() / 2)


async def repeat(
    attempt: Callable[[int], Awaitable[T]],
    *,
    after: ChamelaionError,
    policy: RetryPolicy,
    repeatable: Callable[[BaseException], bool],
    sleep: Callable[[float], Awaitable[None]],
    random: Callable[[], float],
) -> T:
    """Run ``attempt(number)`` until it succeeds, fails in a way that stays, or the policy's attempts are used up.

    The caller makes the first attempt outside of tenacity, which costs more than a call that succeeds should pay. Its
    error is ``after``, which tenacity gets as the outcome of attempt one.
    """
    # Imported by the first failure: it takes a large part of the time to import the package.
    from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt  # noqa: PLC0415

    outcomes = [after]
    del after  # a reference cycle with this frame
    number = 0

    async def next_attempt() -> T:
        nonlocal number
        number += 1
        if outcomes:
            raise outcomes.pop()
        return await attempt(number)

    def should_repeat(error: BaseException) -> bool:
        return repeatable(error) and not (
            isinstance(error, RateLimitError) and (error.retry_after or 0) > policy.max_retry_after
        )

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        # A Retry-After of 0, or of a date in the past, names no time at which the next call would be accepted.
        asked = error.retry_after if isinstance(error, RateLimitError) else None
        if asked is not None and asked > 0:
            return asked
        return backoff(state.attempt_number, policy.initial, policy.max, random)

    retrying = AsyncRetrying(
        stop=stop_after_attempt(policy.attempts),
        wait=pause,
        retry=retry_if_exception(should_repeat),
        sleep=sleep,
        reraise=True,
    )
    try:
        return await retrying(next_attempt)
    except ChamelaionError as error:
        let_go(error)  # a reference cycle: tenacity holds it, and its traceback holds tenacity
        raise
    finally:
        retrying.iter_state.reset()  # a reference cycle as well: its actions hold it
