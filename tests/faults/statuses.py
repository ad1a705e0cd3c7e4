"""Faults that the service admits to: statuses, redirects and 429."""

from __future__ import annotations

from functools import partial
from typing import Final

from chamelaion_async.sandbox import Fault
from tests.support.errors import error_class

from . import rules
from .custom_faults import by_hand, pieces
from .row import Arrange, Row, row
from .rules import INVALID, NAMED, PAID, READS, RECOVERS, UNCERTAIN, UNREACHABLE, WAITS, Pair, all_of, but
from .setup import Setup

_status = partial(row, "Statuses")
_redirect = partial(row, "Redirects")
_throttling = partial(row, "429 with `Retry-After`")
_HTML: Final = b"<!doctype html><html><title>Sign in to the hotel's network</title></html>"
_ELSEWHERE: Final = "http://127.0.0.1:9/elsewhere"
_SERVER: Final = "InternalServerError"
_BATCHES: Final = ("get_many", "as_finished", "wait_all")
# Of three that are to be read one a minute, some have been refused for too long, and others were never in turn.
_MIXED: Final = all_of("WaitError", "as_finished", "wait_all")

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


def _refusal(status: int) -> Row:
    """Return the row of a status that asking again would not change."""
    pair = _refused(error_class(status).__name__)
    if status in _OF_PAGE_SIZES:
        pair = but(pair, {"generate_blind": RECOVERS})  # the list is asked for a smaller page
    if status == 404:
        pair = but(pair, all_of(RECOVERS, "wait", "watch"))  # it may pass within a few seconds
    return _status(str(status), Fault.status(status), pair)


def _passing_refusal(status: int) -> Row:
    """Return the row of a status below 500 that may pass."""
    pair = but(
        rules.refused("APIStatusError"), all_of(RECOVERS, *READS, *WAITS, "download"), all_of(UNREACHABLE, *WAITS)
    )
    return _status(str(status), Fault.status(status), pair)


def _server_error(status: int) -> Row:
    """Return the row of a status from 500 on."""
    pair = rules.left_open(_SERVER) if status in _GATEWAY_TIMEOUTS else rules.lost_before(_SERVER)
    if status not in _PASSING_DOWNLOADS:
        pair = but(pair, {"download": "DownloadError"})
    return _status(str(status), Fault.status(status), pair)


def _gateway_refusal(status: int) -> Row:
    """Return the row of a refusal in plain text, of something that stands between the client and the API."""
    fault = Fault.body(f"default backend - {status}".encode(), content_type="text/plain", status=status)
    return _status(f"{status} in plain text", fault, _foreign(error_class(status).__name__))


_no_content = but(rules.unreadable(), *[all_of(UNCERTAIN, *NAMED)] * 2)
_STATUS_ROWS = (
    *map(_refusal, _FOUR_HUNDREDS),
    *map(_passing_refusal, (408, 425)),
    *map(_server_error, _FIVE_HUNDREDS),
    _status("500 after the request was served", Fault.status(500, when="after"), rules.lost_after(_SERVER)),
    _status("504 after the request was served", Fault.status(504, when="after"), rules.lost_after(_SERVER)),
    _status("502 in HTML", Fault.body(_HTML, content_type="text/html", status=502), rules.lost_before(_SERVER)),
    _status("500 that is not UTF-8", Fault.body(b"\xff\xfe{", status=500), rules.lost_before(_SERVER)),
    _status("503 with `Retry-After`", Fault.status(503, headers={"Retry-After": "30"}), rules.lost_before(_SERVER)),
    _status("401 in HTML", Fault.body(_HTML, content_type="text/html", status=401), _foreign("AuthenticationError")),
    *map(_gateway_refusal, (403, 404, 405, 410)),
    _status("204", Fault.status(204, b""), _no_content),
)


async def _redirect_to_itself(setup: Setup) -> None:
    setup.inject(Fault.redirect(setup.output_url))


_moved = by_hand(pieces(b"HTTP/1.1 302 Found\r\nLocation: ?moved\r\nContent-Length: 0\r\n\r\n"), when="before")
_broken_off = rules.only((rules.ALL_WELL, rules.rule(download="DownloadError")), "download")
_REDIRECT_ROWS = (
    *(
        _redirect(
            str(status), Fault.redirect(_ELSEWHERE, status), rules.without(_refused("APIStatusError"), "download")
        )
        for status in (301, 302, 303, 307, 308)
    ),
    _redirect(
        "to the same host, which then closes the connection unannounced",
        _moved,
        rules.only_once(rules.only(rules.harmless(), "download")),
    ),
    _redirect("to itself", _redirect_to_itself, _broken_off),
    _redirect("to a port without a server", Fault.redirect(_ELSEWHERE, 302), _broken_off),
    _redirect("to a file", Fault.redirect("file:///etc/passwd", 302), _broken_off),
)


def _dated(seconds: float) -> Arrange:
    async def arrange(setup: Setup) -> None:
        setup.inject(Fault.rate_limited(setup.date(seconds)))

    return arrange


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
    *(_throttling(name, Fault.rate_limited(value), rules.throttled()) for name, value in _RETRY_AFTERS.items()),
    _throttling("`60`", Fault.rate_limited(60), but(rules.throttled(), always=_MIXED)),
    _throttling("a date 5 s ahead", _dated(5.0), rules.throttled()),
    _throttling("a date that has passed", _dated(-3600.0), rules.throttled()),
    _throttling("an hour", Fault.rate_limited(3600), _too_long),
    _throttling("a century", Fault.rate_limited(3_155_760_000), _too_long),
    _throttling("a date a year ahead", _dated(365 * 86400.0), _too_long),
)

ROWS: Final = (*_STATUS_ROWS, *_REDIRECT_ROWS, *_THROTTLING_ROWS)
