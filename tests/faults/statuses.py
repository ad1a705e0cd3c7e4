"""Faults that the service admits to: statuses, redirects and 429."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chamelaion_async.sandbox import Fault
from chamelaion_async.sandbox.endpoints.answers import Answer

from . import rules
from .row import Row, Strike, row
from .rules import INVALID, NAMED, PAID, READS, RECOVERS, UNCERTAIN, UNREACHABLE, WAITS, Pair, all_of, but
from .stage import Stage
from .ways import spoken

_STATUSES: Final = "Statuses"
_REDIRECTS: Final = "Redirects"
_THROTTLING: Final = "429 with `Retry-After`"
_HTML: Final = b"<!doctype html><html><title>Sign in to the hotel's network</title></html>"
_ELSEWHERE: Final = "http://127.0.0.1:9/elsewhere"
_SERVER: Final = "InternalServerError"
_BATCHES: Final = ("get_many", "as_finished", "wait_all")
# Of three that are to be read one a minute, some have been refused for too long, and others were never in turn.
_MIXED: Final = all_of("WaitError", "as_finished", "wait_all")

_CLASSES: Final = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    412: "QuotaExceededError",
    422: "UnprocessableEntityError",
}
_FOUR_HUNDREDS: Final = (400, 401, 402, 403, 404, 405, 409, 410, 412, 413, 415, 422, 431, 451)
_OF_PAGE_SIZES: Final = (400, 422)
_FIVE_HUNDREDS: Final = (500, 501, 502, 503, 504, 505, 507, 520, 524, 599)
_GATEWAY_TIMEOUTS: Final = (504, 524)
_PASSING_DOWNLOADS: Final = (500, 502, 503, 504)


def _refused(error: str) -> Pair:
    """A batch whose page is refused once reads its requests one by one."""
    return but(rules.refused(error), all_of(RECOVERS, *_BATCHES))


def _foreign(error: str) -> Pair:
    """To waits and batches, a refusal that is not in the API's form says nothing of the requests."""
    return but(
        rules.refused(error),
        all_of(RECOVERS, *WAITS, "get_many"),
        {**all_of(UNREACHABLE, *WAITS), "get_many": INVALID},
    )


def four_hundred(status: int) -> Row:
    """Return the row of a status that asking again would not change."""
    pair = _refused(_CLASSES.get(status, "APIStatusError"))
    if status in _OF_PAGE_SIZES:
        pair = but(pair, {"generate_blind": RECOVERS})  # the list is asked for a smaller page
    if status == 404:
        pair = but(pair, all_of(RECOVERS, "wait", "watch"))  # it may pass within a few seconds
    return row(_STATUSES, str(status), Fault.status(status), pair)


def try_again(status: int) -> Row:
    """Return the row of a status below 500 that may pass."""
    pair = but(
        rules.refused("APIStatusError"),
        all_of(RECOVERS, *READS, *WAITS, "download"),
        all_of(UNREACHABLE, *WAITS),
    )
    return row(_STATUSES, str(status), Fault.status(status), pair)


def five_hundred(status: int) -> Row:
    """Return the row of a status from 500 on."""
    pair = rules.left_open(_SERVER) if status in _GATEWAY_TIMEOUTS else rules.lost_before(_SERVER)
    if status not in _PASSING_DOWNLOADS:
        pair = but(pair, {"download": "DownloadError"})
    return row(_STATUSES, str(status), Fault.status(status), pair)


def of_a_gateway(status: int) -> Row:
    """Return the row of a refusal in plain text, of something that stands between the client and the API."""
    fault = Fault.body(f"default backend - {status}".encode(), content_type="text/plain", status=status)
    return row(_STATUSES, f"{status} in plain text", fault, _foreign(_CLASSES.get(status, "APIStatusError")))


_no_content = but(rules.unreadable(), *[all_of(UNCERTAIN, *NAMED)] * 2)
_STATUS_ROWS = (
    *map(four_hundred, _FOUR_HUNDREDS),
    *map(try_again, (408, 425)),
    *map(five_hundred, _FIVE_HUNDREDS),
    row(_STATUSES, "500 after the request was served", Fault.status(500, when="after"), rules.lost_after(_SERVER)),
    row(_STATUSES, "504 after the request was served", Fault.status(504, when="after"), rules.lost_after(_SERVER)),
    row(
        _STATUSES,
        "502 in HTML",
        Fault.body(_HTML, content_type="text/html", status=502),
        rules.lost_before(_SERVER),
    ),
    row(_STATUSES, "500 that is not UTF-8", Fault.body(b"\xff\xfe{", status=500), rules.lost_before(_SERVER)),
    row(
        _STATUSES,
        "503 with `Retry-After`",
        Fault.status(503, headers={"Retry-After": "30"}),
        rules.lost_before(_SERVER),
    ),
    row(
        _STATUSES,
        "401 in HTML",
        Fault.body(_HTML, content_type="text/html", status=401),
        _foreign("AuthenticationError"),
    ),
    *map(of_a_gateway, (403, 404, 405, 410)),
    row(_STATUSES, "204", Fault.status(204, b""), _no_content),
)


async def _redirect_to_itself(stage: Stage) -> None:
    stage.inject(Fault.redirect(stage.output_url))


def _elsewhere_and_gone(answer: Answer, now: float) -> Iterator[bytes]:
    """Say that the output has moved, over a connection that is closed without a word about it."""
    yield b"HTTP/1.1 302 Found\r\nLocation: ?moved\r\nContent-Length: 0\r\n\r\n"


_broken_off = rules.only((rules.ALL_WELL, rules.rule(download="DownloadError")), "download")
_REDIRECT_ROWS = (
    *(
        row(
            _REDIRECTS,
            str(status),
            Fault.redirect(_ELSEWHERE, status),
            rules.without(_refused("APIStatusError"), "download"),
        )
        for status in (301, 302, 303, 307, 308)
    ),
    row(
        _REDIRECTS,
        "to the same host, which then closes the connection unannounced",
        spoken(_elsewhere_and_gone, when="before"),
        rules.passing(rules.only(rules.harmless(), "download")),
    ),
    row(_REDIRECTS, "to itself", _redirect_to_itself, _broken_off),
    row(_REDIRECTS, "to where nobody listens", Fault.redirect(_ELSEWHERE, 302), _broken_off),
    row(_REDIRECTS, "to a file", Fault.redirect("file:///etc/passwd", 302), _broken_off),
)


def _dated(seconds: float) -> Strike:
    async def strike(stage: Stage) -> None:
        stage.inject(Fault.rate_limited(stage.date(seconds)))

    return strike


_too_long = but(rules.throttled(), {**all_of("RateLimitError", *READS, *PAID), "get_many": RECOVERS}, _MIXED)
_RETRY_AFTERS: Final[dict[str, float | str | None]] = {
    "missing": None,
    "`0`": 0,
    "`1`": 1,
    "`0.5`": 0.5,
    "negative": -1,
    "empty": "",
    "a word": "soon",
    "`NaN`": "NaN",
    "a date that is none": "Tue, 99 Apr 2026 99:99:99 GMT",
    "400 digits": "9" * 400,
}
_THROTTLING_ROWS = (
    *(row(_THROTTLING, name, Fault.rate_limited(value), rules.throttled()) for name, value in _RETRY_AFTERS.items()),
    row(_THROTTLING, "`60`", Fault.rate_limited(60), but(rules.throttled(), always=_MIXED)),
    row(_THROTTLING, "a date 5 s ahead", _dated(5.0), rules.throttled()),
    row(_THROTTLING, "a date that has passed", _dated(-3600.0), rules.throttled()),
    row(_THROTTLING, "an hour", Fault.rate_limited(3600), _too_long),
    row(_THROTTLING, "a century", Fault.rate_limited(3_155_760_000), _too_long),
    row(_THROTTLING, "a date a year ahead", _dated(365 * 86400.0), _too_long),
)

ROWS: Final = (*_STATUS_ROWS, *_REDIRECT_ROWS, *_THROTTLING_ROWS)
