"""Faults of what an answer says: bodies that are not JSON, and JSON that is not what the API promises."""

from __future__ import annotations

import gzip
import json
from functools import cache, partial
from typing import Any, Final

from chamelaion_async.sandbox import Fault

from . import rules
from .custom_faults import altered, by_hand, rewritten, true_answer
from .row import Row, row
from .rules import CONNECTION, PAID, READS, RECOVERS, WAITS, Pair, all_of, but

_field = partial(row, "Fields of another type")
_meaning = partial(row, "Fields of another meaning")
_HTML: Final = b"<!doctype html><html><title>Sign in to the hotel's network</title></html>"

_unreadable = rules.unreadable()
_unpackable = rules.without(rules.lost_after(CONNECTION), "download")
_readable = rules.without(rules.harmless(), "download")


@cache
def _bomb() -> bytes:
    """Return 128 KB that unpack to 128 MiB."""
    return gzip.compress(bytes(1024 * 1024), 9) * 128


def _body(name: str, fault: Fault, expected: Pair = _unreadable) -> Row:
    return row("Bodies", name, fault, expected)


_BODY_ROWS = (
    _body("empty", rewritten(lambda _: b"")),
    _body("spaces", rewritten(lambda _: b" \r\n ")),
    _body("HTML with 200", rewritten(lambda _: _HTML, Content_Type="text/html")),
    _body("JSON called HTML", rewritten(bytes, Content_Type="text/html"), _readable),
    _body("JSON without a type", rewritten(bytes, Content_Type=""), _readable),
    _body(
        "`Content-Length` that is too small", by_hand(true_answer(length=-5, body=lambda body: body[:-5]), "go on")
    ),
    _body("two JSON documents", rewritten(lambda body: body + body)),
    _body("not UTF-8", rewritten(lambda body: b'{"\xff": 1, ' + body[1:])),
    _body("NULs", rewritten(lambda body: bytes(len(body)))),
    _body("byte order mark", rewritten(lambda body: b"\xef\xbb\xbf" + body), _readable),
    _body("UTF-16", rewritten(lambda body: body.decode().encode("utf-16")), _readable),
    _body("nested 100,000 deep", rewritten(lambda _: b"[" * 100_000)),
    _body("null", rewritten(lambda _: b"null")),
    _body("list instead of an object", rewritten(lambda body: b"[" + body + b"]")),
    _body("string instead of an object", rewritten(lambda body: json.dumps(body.decode()).encode())),
    _body("empty object", rewritten(lambda _: b"{}")),
    _body("field that is not known", altered(lambda content: content.update(new={"a": [2.5e300, None]})), _readable),
    _body("9 MiB", rewritten(lambda _: b'"' + b"x" * 9 * 1024 * 1024 + b'"')),
    _body("gzip bomb of 128 MiB", rewritten(lambda _: _bomb(), Content_Encoding="gzip")),
    _body("gzip", rewritten(gzip.compress, Content_Encoding="gzip"), _readable),
    _body(
        "gzip that is corrupt",
        rewritten(lambda body: gzip.compress(body)[:10] + b"\0" * 9, Content_Encoding="gzip"),
        _unpackable,
    ),
    *(
        _body(f"`Content-Encoding: {label}`", rewritten(bytes, Content_Encoding=label), rules.harmless())
        for label in ("aws-chunked", "UTF-8", "binary", "none")
    ),
    _body("gzip in name only", rewritten(bytes, Content_Encoding="gzip"), _unpackable),
)

_records = rules.only(_unreadable, *READS, *WAITS)
# The fault changes the submission's own answer only: the list stays readable.
_accepted = rules.only(but(_unreadable, *[{"generate_blind": RECOVERS}] * 2), *PAID)
_pages = rules.only(_unreadable, "list", "iterate")
_read_records = rules.only(rules.harmless(), *READS, *WAITS)
_read_pages = rules.only(rules.harmless(), "list", "iterate", "get_many", *WAITS)


def _records_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = content.get("data", [content])
    return records


def _fields(**values: Any) -> Fault:
    """Give fields of every record, or of the only one, other values."""

    def change(content: dict[str, Any]) -> None:
        for record in _records_of(content):
            record.update(values)

    return altered(change)


def _missing(*names: str) -> Fault:
    def change(content: dict[str, Any]) -> None:
        for record in _records_of(content):
            for name in names:
                record.pop(name, None)

    return altered(change)


def _accepting(**values: Any) -> Fault:
    """Give fields of the answer to a submission other values; None leaves one out."""

    def change(content: dict[str, Any]) -> None:
        if "request_id" in content:
            content.update(values)

    return altered(change)


def _paging(**values: Any) -> Fault:
    def change(content: dict[str, Any]) -> None:
        if "pagination" in content:
            content["pagination"].update(values)

    return altered(change)


def _page(**values: Any) -> Fault:
    return altered(lambda content: content.update(values))


_WRONG: Final[dict[str, Any]] = {
    "id": 5,
    "status": None,
    "created_at": 1775563200,
    "reference_id": 42,
    "started_at": "soon",
    "finished_at": True,
    "output_url": {"href": "/"},
    "error_message": ["no"],
}
_FIELD_ROWS = (
    *(
        _field(f"`{name}` is `{json.dumps(value)}`", _fields(**{name: value}), _records)
        for name, value in _WRONG.items()
    ),
    _field("`id`, `status` and `created_at` are missing", _missing("id", "status", "created_at"), _records),
    _field("`request_id` of a submission is `5`", _accepting(request_id=5), _accepted),
    _field("`request_id` of a submission is null", _accepting(request_id=None), _accepted),
    _field("`status` of a submission is `[]`", _accepting(status=[]), _accepted),
    _field("`data` is null", _page(data=None), _pages),
    _field("`data` holds numbers", _page(data=[1, 2, 3]), _pages),
    _field("`pagination` is a list", _page(pagination=[]), _pages),
    _field('`limit` is `"100"`', _paging(limit="100"), _pages),
    _field("`offset` is null", _paging(offset=None), _pages),
    _field("`total` is `3.5`", _paging(total=3.5), _pages),
)
_MEANING_ROWS = (
    _meaning(
        "`status` is not known, without `finished_at`",
        _fields(status="archiving", finished_at=None),
        but(_read_records, always=all_of("WaitTimeoutError", *WAITS)),
    ),
    _meaning(
        "`status` is not known, with `finished_at` before `created_at`",
        _fields(status="archiving", finished_at="0001-01-01T00:00:00Z"),
        but(_read_records, always=all_of("WaitTimeoutError", *WAITS)),
    ),
    _meaning(
        "`status` is not known, with `finished_at`",
        _fields(status="archived", finished_at="2026-04-07T13:00:00Z"),
        _read_records,
    ),
    _meaning("`created_at` lies years ahead", _fields(created_at="2036-04-07T12:00:00Z"), _read_records),
    _meaning("`created_at` lies in 1970", _fields(created_at="1970-01-01T00:00:00Z"), _read_records),
    _meaning("`total` is a billion", _paging(total=10**9), _read_pages),
    _meaning("`total` is `0`", _paging(total=0), _read_pages),
    _meaning("`total` is negative", _paging(total=-1), _read_pages),
    _meaning("`limit` is `0`", _paging(limit=0), _read_pages),
)

ROWS: Final = (*_BODY_ROWS, *_FIELD_ROWS, *_MEANING_ROWS)
