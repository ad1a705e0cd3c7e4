"""Which failures may pass, and the repetition of a single call around them, driven by tenacity."""

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
    """Whether a wait goes on after a failed poll: it may pass, or is no answer of the API."""
    return is_passing(error) or isinstance(error, InvalidResponseError)


def is_foreign(error: BaseException) -> bool:
    """Whether a refusal comes from something between here and the API, such as a gateway without a backend.

    The API words its refusals ``{"error": text}`` (its error reference); any other is not its answer.
    """
    if not isinstance(error, APIStatusError) or error.status not in _REFUSALS:
        return False
    body = error.body
    return not (isinstance(body, dict) and isinstance(body.get("error"), str))


def retry_after_of(error: BaseException) -> float | None:
    """Return the seconds that a 429 or 5xx asks to wait (RFC 9110, section 10.2.3), or None where it names none.

    0 names none: a service that says "now" and goes on refusing must not be hammered.
    """
    if isinstance(error, (RateLimitError, InternalServerError)):
        return error.retry_after or None
    return None


def was_not_accepted(error: BaseException) -> bool:
    """Whether a call that changes something certainly changed nothing, so that it may be sent again."""
    return isinstance(error, RateLimitError) or (isinstance(error, APIConnectionError) and error.sent == "no")


def backoff(failures: int, initial: float, longest: float, random: Callable[[], float]) -> float:
    """Return the pause after ``failures`` failures in a row: doubled each time, jittered by up to half."""
    # The exponent is bounded, since a float overflows long before a patient caller gives up.
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
    """Run ``attempt(number)`` again until it succeeds, fails for good, or the policy's attempts are used up.

    The first attempt is the caller's and runs outside tenacity, which would cost a quick call a good part of its
    time; its error is ``after``, which tenacity is handed as the outcome of attempt one.
    """
    # Loaded by the first failure: it is a good part of what importing the package would cost.
    from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt  # noqa: PLC0415

    outcomes = [after]
    del after  # it would hold this frame, and be held by it
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
        # A Retry-After of 0, or of a date that has passed, names no time at which the next call would be taken.
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
        let_go(error)  # tenacity holds it, and is held by its traceback
        raise
    finally:
        retrying.iter_state.reset()  # its actions hold it, and it holds them
