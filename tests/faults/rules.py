"""What is expected of an operation when something goes wrong, by the kind of what goes wrong.

A rule names the outcome of every operation: ``RECOVERS``, or the class of the error that is raised. Each function
gives a pair: for a fault that passes, and for one that stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Rule = Mapping[str, str]
Pair = tuple[Rule, Rule]

RECOVERS: Final = "recovers"
NOTHING: Final = ""
"""The fault cannot meet the operation."""

INVALID: Final = "InvalidResponseError"
UNCERTAIN: Final = "SubmissionUncertainError"
UNREACHABLE: Final = "WaitUnreachableError"
TIMEOUT: Final = "APITimeoutError"
CONNECTION: Final = "APIConnectionError"

READS: Final = ("get", "get_many", "list", "iterate")
WAITS: Final = ("wait", "watch", "as_finished", "wait_all")
NAMED: Final = ("generate", "generate_with_media")
PAID: Final = (*NAMED, "generate_blind", "generate_unnamed")


def rule(
    *,
    reads: str = NOTHING,
    waits: str = NOTHING,
    named: str = NOTHING,
    blind: str = NOTHING,
    unnamed: str = NOTHING,
    download: str = NOTHING,
    **single: str,
) -> Rule:
    """Return a rule from outcomes by kind of operation, and those of single operations."""
    return {
        **dict.fromkeys(READS, reads),
        **dict.fromkeys(WAITS, waits),
        **dict.fromkeys(NAMED, named),
        "generate_blind": blind,
        "generate_unnamed": unnamed,
        "download": download,
        **single,
    }


def but(pair: Pair, once: Mapping[str, str] | None = None, always: Mapping[str, str] | None = None) -> Pair:
    """Return a pair with exceptions."""
    return {**pair[0], **(once or {})}, {**pair[1], **(always or {})}


def all_of(outcome: str, *keys: str) -> dict[str, str]:
    """Return one outcome for some operations."""
    return dict.fromkeys(keys, outcome)


def without(pair: Pair, *keys: str) -> Pair:
    """Return a pair for a fault that cannot meet some operations."""
    return but(pair, all_of(NOTHING, *keys), all_of(NOTHING, *keys))


ALL_WELL: Final = rule(
    reads=RECOVERS, waits=RECOVERS, named=RECOVERS, blind=RECOVERS, unnamed=RECOVERS, download=RECOVERS
)


def harmless() -> Pair:
    """Return what holds for what is odd, but no fault."""
    return ALL_WELL, ALL_WELL


def never_sent(error: str) -> Pair:
    """Return what holds where the service certainly received nothing."""
    always = rule(reads=error, waits=UNREACHABLE, named=error, blind=error, unnamed=error, download="DownloadError")
    return ALL_WELL, always


def lost_before(error: str) -> Pair:
    """Return what holds where the service took no notice of a request, which the client cannot know."""
    return (
        rule(reads=RECOVERS, waits=RECOVERS, named=RECOVERS, blind=UNCERTAIN, unnamed=UNCERTAIN, download=RECOVERS),
        rule(
            reads=error,
            waits=UNREACHABLE,
            named=UNCERTAIN,
            blind=UNCERTAIN,
            unnamed=UNCERTAIN,
            download="DownloadError",
        ),
    )


def lost_after(error: str) -> Pair:
    """Return what holds where the request was served and the answer did not arrive: a job is found in the list."""
    return but(lost_before(error), always=all_of(RECOVERS, *NAMED))


def left_open(error: str) -> Pair:
    """Return what holds where the service may still be at work on a request, which it has not begun."""
    return but(lost_before(error), all_of(UNCERTAIN, *NAMED))


def unreadable() -> Pair:
    """Return what holds where the request was served and the answer makes no sense.

    Asking again would mostly bring the same nonsense, so a single call does not; waits and batches do.
    """
    once = {**all_of(INVALID, *READS), "get_many": RECOVERS}
    return without(but(lost_after(INVALID), once), "download")


def refused(error: str) -> Pair:
    """Return what holds where the service says no, and would say so again."""
    once = rule(reads=error, waits=error, named=error, blind=error, unnamed=error, download="DownloadError")
    return once, once


def throttled() -> Pair:
    """Return what holds for 429.

    The time that a poll spends in the queue is no outage where others are served meanwhile, and none is here.
    """
    return never_sent("RateLimitError")


def only(pair: Pair, *keys: str) -> Pair:
    """Return a pair for a fault that can meet some operations only."""
    return without(pair, *(key for key in ALL_WELL if key not in keys))


def only_always(pair: Pair) -> Pair:
    """Return a pair for a fault that cannot pass."""
    return {}, pair[1]


def only_once(pair: Pair) -> Pair:
    """Return a pair for a fault that cannot stay."""
    return pair[0], {}
