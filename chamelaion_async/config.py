"""Settings: where the service is, and the policies for retrying, polling and pacing."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from .errors import ConfigurationError

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["ENVIRONMENTS", "Pace", "PollPolicy", "RetryPolicy"]

ENVIRONMENTS: Final[Mapping[str, str]] = {
    "production": "https://api.chamelaion.com/api",
    "staging": "https://api.dev.chamelaion.com/api",
}
"""Base URL of each environment, from the servers that the API description names."""


def choose_base_url(base_url: str | None, environment: str | None) -> str:
    """Return the base URL of the argument, of the environment by name, of ``CHAMELAION_BASE_URL``, or production."""
    if environment is not None and environment not in ENVIRONMENTS:
        known = ", ".join(sorted(ENVIRONMENTS))
        raise ConfigurationError(f"unknown environment {environment!r}; the known ones are: {known}")
    if base_url is not None:
        return base_url
    if environment is not None:
        return ENVIRONMENTS[environment]
    return os.environ.get("CHAMELAION_BASE_URL", "").strip() or ENVIRONMENTS["production"]


def check_flag(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, not {value!r}")
    return value


def check_seconds(name: str, value: object, *, positive: bool = False) -> float:
    """Return ``value`` as a finite number that is not negative, or say what is wrong with it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigurationError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number < 0 or (positive and number == 0):
        bound = "greater than zero" if positive else "zero or more"
        raise ConfigurationError(f"{name} must be finite and {bound}, not {number!r}")
    return number


def check_callback(name: str, function: object) -> None:
    """Refuse a coroutine function where a plain one is called: it would never be awaited."""
    if inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"{name} must be a plain function, not a coroutine function")


def check_count(name: str, value: object) -> None:
    """Refuse what is not a whole number of at least one."""
    # A bool is an int to Python, and True would count as 1.
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be a whole number of at least 1, not {value!r}")


def _number(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    check_seconds(attribute.name, value)


def _positive(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    check_seconds(attribute.name, value, positive=True)


def _count(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    check_count(attribute.name, value)


def _fraction(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if check_seconds(attribute.name, value) > 1:
        raise ConfigurationError(f"{attribute.name} must be between 0 and 1, not {value!r}")


def _flag(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    check_flag(attribute.name, value)


def _callable(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not callable(value):
        raise ConfigurationError(f"{attribute.name} must be callable, not {value!r}")


def _not_below(lower: str) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    def check(policy: Any, attribute: attrs.Attribute[Any], value: float) -> None:
        floor = getattr(policy, lower)
        if value < floor:
            raise ConfigurationError(f"{attribute.name} ({value!r}) must not be below {lower} ({floor!r})")

    return check


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How a single call is repeated when it fails for a passing reason.

    A GET is repeated after a connection error, a timeout, 408, 425, 429 or 5xx. A POST costs money and is repeated
    only when it was certainly not accepted: not sent at all, or refused with 429. Waits do not use this policy, since
    a poll loop is its own retry; a submission with a ``reference_id`` goes on by rules of its own, see
    ``lipsync.generate``.

    Attributes:
        attempts: Tries in all, the first included. 1 never repeats.
        initial: Seconds before the second try, doubled before each further one, jittered by up to half.
        max: Longest such pause in seconds.
        max_retry_after: Longest ``Retry-After`` in seconds that a call waits for; a longer one is raised at
            once as ``RateLimitError`` with its ``retry_after``.
    """

    attempts: int = attrs.field(default=3, validator=_count)
    initial: float = attrs.field(default=0.5, validator=_number)
    max: float = attrs.field(default=8.0, validator=[_number, _not_below("initial")])
    max_retry_after: float = attrs.field(default=60.0, validator=_number)


@attrs.frozen(kw_only=True)
class PollPolicy:
    """How often a wait polls, and which failures it tolerates for how long.

    While no other job is known, the pause after a poll of an unfinished job is
    ``clamp(age_factor * age, min_interval, max_interval)``, with the age by the service's clock. A job that has just
    been submitted is polled every second, one that has run for two minutes every twelve. ``learn`` says what changes
    once finished jobs are known.

    Attributes:
        min_interval: Shortest pause between two polls, in seconds.
        max_interval: Longest pause between two polls, in seconds; ``learn`` may make longer ones.
        age_factor: Pause by age, as a fraction of it; at 0.1 the end is seen at most 10 % late.
        jitter: Fraction by which a pause varies at random, within the two bounds, so that many waits do not poll
            all at once.
        request_timeout: Seconds that one poll may take, from when it is sent.
        max_retry_after: Longest ``Retry-After`` of a 429 or 5xx in seconds that is obeyed; a longer one is cut to
            this. 0, a date in the past and nonsense count as none: then the wait backs off.
        outage_budget: Seconds without a readable answer after which a wait gives up with
            ``WaitUnreachableError``, counted from the first failed answer after the last good one. Time that a poll
            spends in the client's own queue, for the rate limit or other calls, does not count. 408, 425, 429, 5xx,
            lost connections and unreadable answers use it up, and refusals that are not in the API's form.
        not_found_grace: Seconds for which the API's 404 is taken as "not yet", counted from the first 404 after the
            last good answer.
        learn: Whether to space polls by how long other jobs took, once some are known: densely where the end is
            likely, and on average about as many of them as by age. The pause stays within the two bounds, but after
            30 jobs it may last up to five times ``max_interval`` while the end is very unlikely. False polls by age
            alone.
        prime: Whether the first wait of a client that knows no finished job reads one page of the list, to learn
            durations from it. Only where ``Pace`` sets no rate, only when no other read waits, and not for
            ``timeout=0``.
        wait: A tenacity wait strategy (any callable from ``RetryCallState`` to seconds) that replaces the
            spacing above. ``Retry-After`` and the deadline still hold.
    """

    min_interval: float = attrs.field(default=1.0, validator=_number)
    max_interval: float = attrs.field(default=12.0, validator=[_number, _not_below("min_interval")])
    age_factor: float = attrs.field(default=0.1, validator=_number)
    jitter: float = attrs.field(default=0.1, validator=_fraction)
    request_timeout: float = attrs.field(default=20.0, validator=_positive)
    max_retry_after: float = attrs.field(default=60.0, validator=_number)
    outage_budget: float = attrs.field(default=120.0, validator=_number)
    not_found_grace: float = attrs.field(default=5.0, validator=_number)
    learn: bool = attrs.field(default=True, validator=_flag)
    prime: bool = attrs.field(default=False, validator=_flag)
    wait: Callable[[RetryCallState], float] | None = attrs.field(
        default=None, validator=attrs.validators.optional(_callable)
    )


@attrs.frozen(kw_only=True)
class Pace:
    """How fast the whole client may go. Generation calls and status calls each have a lane of their own.

    Attributes:
        max_rate: Requests a second in each lane, or None for no limit but the service's own 429 answers.
        max_concurrency: Most requests under way at once in each lane. The limit is 16 at first; while requests
            queue, it doubles every 25 ms up to this one, unless the thread is busy with requests and answers.
    """

    max_rate: float | None = attrs.field(default=None, validator=attrs.validators.optional(_positive))
    max_concurrency: int = attrs.field(default=100, validator=_count)
