"""Answers as values: times, JSON, and the error that a status becomes, with the service's own words."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import pickle
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from chamelaion_async._http import answers
from chamelaion_async._http.answers import (
    check_json,
    decode_json,
    parse_http_date,
    parse_retry_after,
    server_time,
    status_error,
)
from chamelaion_async._http.secrets import Secret
from chamelaion_async.errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    UnprocessableEntityError,
)
from tests.http.texts import anything, refusal

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "sk-live/0123+abc"
PATH = "/v1/lipsync/requests/x"


def error_for(
    status: int,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    attempts: int = 1,
    secrets: Iterable[str] = (),
    now: datetime = NOW,
) -> APIStatusError:
    return status_error(
        status,
        headers or {},
        body,
        method="GET",
        path=PATH,
        attempts=attempts,
        now=now,
        secrets=secrets,
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({1, 2}, "Object of type set is not JSON serializable"),
        (float("nan"), "Out of range float values are not JSON compliant"),
    ],
    ids=["set", "nan"],
)
def test_a_value_that_json_cannot_hold_is_refused_by_name(value: object, reason: str) -> None:
    assert refusal(lambda: check_json("settings", value)).startswith(f"settings cannot be sent as JSON: {reason}")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("7", 7.0),
        ("007", 7.0),
        ("1.5", 1.5),
        ("0.25", 0.25),
        ("  7 ", 7.0),
        ("\t7\r\n", 7.0),
        ("86400", 86400.0),
        ("99999999999999999999", 1e20),
        ("-1", None),
        ("-0.5", None),
        ("", None),
        ("   ", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Infinity", None),
        ("1e3", None),
        ("+5", None),
        (".5", None),
        ("5.", None),
        ("1,5", None),
        ("5s", None),
        ("5 6", None),
        ("5, 6", None),
        ("0x10", None),
        ("1_000", None),
        ("\u0663", None),
        ("\uff17", None),
        ("9" * 400, None),
        ("9" * 5000, None),
        ("Thu, 01 Jan 2026 00:00:10 GMT", 10.0),
        ("Thursday, 01-Jan-26 00:00:10 GMT", 10.0),
        ("Thu Jan  1 00:00:10 2026", 10.0),
        ("Thu, 01 Jan 2026 00:00:10", 10.0),
        ("Thu, 01 Jan 2026 02:00:10 +0200", 10.0),
        ("  Thu, 01 Jan 2026 00:00:10 GMT ", 10.0),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0.0),
        ("Wed, 31 Dec 2025 23:59:59 GMT", 0.0),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0.0),
        ("Thu, 99 Jan 2026 00:00:10 GMT", None),
        ("Thu, 01 Foo 2026 00:00:10 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("Thu, 01 Jan 2026 00:00:10 GMT" + " " * 100 + "x", None),
        ("2026-01-01T00:00:10Z", None),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_retry_after_is_read_as_seconds_or_as_nothing(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@given(
    anything
    | st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?", fullmatch=True)
    | st.lists(
        st.sampled_from(
            ["Thu,", "01", "Jan", "2026", "26", "99", "00:00:10", "24:60", ":", "GMT", "-9999", "+", "-", ","]
        )
    ).map(" ".join)
)
def test_retry_after_never_gives_anything_but_a_finite_time_or_nothing(value: str) -> None:
    seconds = parse_retry_after(value, now=NOW)
    assert seconds is None or (isinstance(seconds, float) and 0 <= seconds < math.inf)


@given(st.floats(0, 1e9).map(lambda seconds: f"{seconds:f}"))
def test_any_plain_number_of_seconds_is_read_back(text: str) -> None:
    assert parse_retry_after(text, now=NOW) == float(text)


moments = st.datetimes(datetime(1970, 1, 1), datetime(9998, 12, 31)).map(  # noqa: DTZ001 - made UTC at once
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@given(moments, moments)
def test_retry_after_as_a_date_is_the_time_until_then_and_never_negative(date: datetime, now: datetime) -> None:
    expected = max(0.0, (date - now).total_seconds())
    assert parse_retry_after(format_datetime(date, usegmt=True), now=now) == expected


def test_answers_of_the_same_second_parse_their_date_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def counted(text: str) -> datetime:
        parsed.append(text)
        return parsedate_to_datetime(text)

    monkeypatch.setattr(answers, "parsedate_to_datetime", counted)
    parse_http_date.cache_clear()
    dates = ["Thu, 01 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:01 GMT"]

    for date in dates:
        for _ in range(100):
            server_time({"Date": date})

    assert parsed == dates


@given(moments)
def test_an_http_date_is_read_back(moment: datetime) -> None:
    assert parse_http_date(format_datetime(moment, usegmt=True)) == moment


@given(
    anything
    | st.lists(st.sampled_from(["Thu,", "01", "Jan", "0", "99:99", "1:2:3:4", "+9999999", "GMT"])).map(" ".join)
)
def test_any_text_is_an_aware_date_or_none(text: str) -> None:
    moment = parse_http_date(text)
    assert moment is None or moment.tzinfo is UTC


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize("value", ["Thu, 01 Jan 2026 00:00:00", "Thu, 01 Jan 2026 00:00:00 -0000"])
def test_an_http_date_without_a_zone_is_not_read_as_local_time(value: str) -> None:
    assert parse_http_date(value) == NOW


def test_a_date_of_another_zone_becomes_utc() -> None:
    moment = parse_http_date("Thu, 01 Jan 2026 02:00:00 +0200")
    assert (moment, moment and moment.tzinfo) == (NOW, UTC)


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", " ", "soon", "5", "Thu, 01 Jan 10000 00:00:00 GMT", "x" * 65),
        *(f"Thu,{day} Jan 2026 00:00:00 GMT" for day in (" \u0660\u0661", "\t01")),
        "Thu, 01 Jan 2026 00:00:00 GMT\n",
    ],
    ids=ascii,
)
def test_any_other_text_than_an_http_date_is_none(value: str | None) -> None:
    assert parse_http_date(value) is None


@pytest.fixture(params=["speed", "plain"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode with the extra ``speed`` and without it."""
    if request.param == "plain":
        monkeypatch.setattr(answers, "_fast_loads", lambda: answers._loads_utf8)
    else:
        pytest.importorskip("orjson")


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b" null ", None),
        (b"{}\r\n", {}),
        (b'{"a": [1, 1.5, true, null, "\xc3\xbc"]}', {"a": [1, 1.5, True, None, "ü"]}),
        (b"\xef\xbb\xbf{}", {}),
        ('{"a": 1}'.encode("utf-16"), {"a": 1}),
        ("1".encode("utf-16-le"), 1),
        (b'"\\ud800"', "\ud800"),
        (b'"\xed\xa0\x80"', "\ud800"),
        (b'{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_a_json_body_is_decoded(body: bytes, value: object) -> None:
    decoded = decode_json(body)
    assert (decoded, type(decoded)) == (value, type(value))


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "^the body is empty$"),
        (b" \r\n", "^the body is empty$"),
        (b"[" * 100_000, "^the body is nested too deeply$"),
        (b'{"a":' * 100_000, "^the body is nested too deeply$"),
        *(
            (body, ".")
            for body in (b"<html>", b"{", b'{"a": 1', b'{"a": "b', b"[1,]", b"{} {}", b"undefined", b"1" * 5000)
        ),
        *((body, ".") for body in (b"<html>", b"{", b'{"a": 1', b'{"a": "b', b"[1,]", b"{} {}", b"undefined")),
        *((body, ".") for body in (b"\xff\xfe\xfd", b'"\xff"', b"\x00", b"{}\x0b", b"1" * 5000)),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_body_that_is_no_json_is_a_value_error(body: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode_json(body)


def test_the_decoder_of_the_extra_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_fast_loads", lambda: lambda body: [body])
    assert decode_json(b"{}") == [b"{}"]


@given(st.binary())
def test_arbitrary_bytes_are_decoded_or_a_value_error(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode_json(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_was_encoded_as_json_is_decoded_again(value: object) -> None:
    assert decode_json(json.dumps(value).encode()) == value


DOCUMENTED = [
    (400, "invalid request body", BadRequestError),
    (400, "content-type must be application/json", BadRequestError),
    (400, "expected exactly one video input", BadRequestError),
    (400, "expected exactly one audio input", BadRequestError),
    (400, 'input type must be "video" or "audio"', BadRequestError),
    (400, "content-type must be multipart/form-data", BadRequestError),
    (400, "video file is required", BadRequestError),
    (400, "audio file is required", BadRequestError),
    (401, "missing authorization header", AuthenticationError),
    (401, "invalid authorization format", AuthenticationError),
    (401, "missing token", AuthenticationError),
    (401, "invalid token", AuthenticationError),
    (401, "unauthorized", AuthenticationError),
    (404, "lipsync request not found", NotFoundError),
    (404, "video translate request not found", NotFoundError),
    (412, "token limit reached", QuotaExceededError),
    (429, "rate limit exceeded", RateLimitError),
    (500, "internal error", InternalServerError),
    # Not documented, but in the tree.
    (403, "forbidden", PermissionDeniedError),
    (409, "conflict", ConflictError),
    (422, "unprocessable", UnprocessableEntityError),
    (502, "bad gateway", InternalServerError),
    (503, "unavailable", InternalServerError),
    (504, "gateway timeout", InternalServerError),
    (599, "odd", InternalServerError),
    (402, "payment required", APIStatusError),
    (408, "request timeout", APIStatusError),
    (418, "teapot", APIStatusError),
    (499, "odd", APIStatusError),
    (302, "found", APIStatusError),
    (600, "odd", APIStatusError),
    (199, "odd", APIStatusError),
]


@pytest.mark.parametrize(("status", "text", "kind"), DOCUMENTED)
def test_a_status_becomes_its_class_with_the_whole_answer(status: int, text: str, kind: type[APIStatusError]) -> None:
    error = error_for(status, json.dumps({"error": text}).encode(), {"X-Trace": "t-1"}, attempts=3)
    assert type(error) is kind
    assert (error.status, error.message, dict(error.headers)) == (status, text, {"X-Trace": "t-1"})
    assert (error.body, error.method, error.path, error.attempts) == ({"error": text}, "GET", PATH, 3)
    assert str(error).startswith(f"GET {PATH} was answered {status} after 3 attempts: {text}. ")


def test_an_error_of_the_first_attempt_does_not_count_attempts() -> None:
    assert "answered 500: " in str(error_for(500))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "nested words"}}', "nested words"),
        (b'{"error": {"message": "nested words", "code": 5}}', "nested words"),
        (b'{"message": "other words"}', "other words"),
        (b'{"detail": "other words"}', "other words"),
        (b'{"error": "first", "message": "second"}', "first"),
        (b'{"error": "", "message": "second"}', "second"),
        (b'{"error": null, "message": "second"}', "second"),
        (b'{"error": 5}', "Bad Gateway"),
        (b'{"error": {}}', "Bad Gateway"),
        (b'{"error": {"message": 5}}', "Bad Gateway"),
        (b'{"error": []}', "Bad Gateway"),
        (b"{}", "Bad Gateway"),
        (b"[]", "Bad Gateway"),
        (b"null", "Bad Gateway"),
        (b"5", "Bad Gateway"),
        (b'"only words"', "only words"),
        (b"", "Bad Gateway"),
        (b"  \n", "Bad Gateway"),
        (b"upstream  is\ndown", "upstream is down"),
        (b"<html><h1>502 Bad Gateway</h1></html>", "Bad Gateway"),
        (b"  <!DOCTYPE html><p>oops", "Bad Gateway"),
        (b"\xef\xbb\xbf" + b'{"error": "marked"}', "marked"),
        (b"oops \xff\xfe", "oops \ufffd\ufffd"),
        (b'{"error": "oops \xff"}', "oops \ufffd"),
        (b"[" * 100_000, "[" * 300),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_the_text_of_the_service_is_found_in_any_body(body: bytes, message: str) -> None:
    assert error_for(502, body).message == message


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b'{"error": {"message": "x"}}', {"error": {"message": "x"}}),
        (b"[1]", [1]),
        (b"", ""),
        (b"<html>down</html>", "<html>down</html>"),
        (b"oops \xff", "oops \ufffd"),
    ],
)
def test_the_body_is_decoded_json_or_text(body: bytes, content: object) -> None:
    assert error_for(502, body).body == content


@pytest.mark.parametrize("body", [b"x" * 5_000_000, b'{"error": "' + b"x" * 5_000_000 + b'"}'], ids=["text", "json"])
def test_a_huge_body_does_not_fill_the_text(body: bytes) -> None:
    assert len(str(error_for(500, body))) < 1000


def test_a_status_without_a_reason_phrase_has_a_message() -> None:
    assert error_for(599).message == "no reason given"


def test_headers_of_an_error_ignore_case_and_keep_repeated_ones() -> None:
    headers = error_for(500, headers=CIMultiDict([("Via", "1.1 a"), ("Via", "1.1 b")])).headers
    assert isinstance(headers, CIMultiDict)
    assert (headers.getall("VIA"), headers["via"]) == (["1.1 a", "1.1 b"], "1.1 a")


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "retry_after"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:10 GMT"}, 10.0),
        # The answer's own Date counts before our clock, which may be wrong.
        ({"Retry-After": "Sun, 01 Feb 2026 00:00:10 GMT", "Date": "Sun, 01 Feb 2026 00:00:00 GMT"}, 10.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:10 GMT", "Date": "nonsense"}, 10.0),
    ],
)
def test_a_429_or_5xx_says_how_long_to_wait(status: int, headers: dict[str, str], retry_after: float | None) -> None:
    error = error_for(status, headers=CIMultiDict(headers))
    assert isinstance(error, (RateLimitError, InternalServerError))
    assert error.retry_after == retry_after


def test_the_text_of_a_rate_limit_names_the_wait() -> None:
    assert "asks to wait 7 s" in str(error_for(429, headers=CIMultiDict({"Retry-After": "7"})))


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://evil.example/x", "https://evil.example/x"),
        ("https://h/x?token=hunter2", "https://h/x"),
        ("https://user:hunter2@h/x", "https://***@h/x"),
        ("https://h/hunter2/x", "https://h/***/x"),
        ("https://h/x#hunter2", "https://h/x"),
        (None, ""),
    ],
)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 399])
def test_a_redirect_is_an_error_that_names_its_target_without_secrets(
    status: int, location: str | None, target: str
) -> None:
    headers = CIMultiDict({} if location is None else {"Location": location})
    error = error_for(status, headers=headers, secrets=[Secret("hunter2")])
    assert type(error) is APIStatusError
    assert f"It points to {target!r}, which is not followed" in str(error)


@pytest.mark.parametrize("status", [299, 400])
def test_no_status_outside_of_3xx_is_a_redirect(status: int) -> None:
    assert "elsewhere" not in str(error_for(status, headers=CIMultiDict({"Location": "https://elsewhere.example"})))


ECHOES = [
    pytest.param(f'{{"error": "invalid token {KEY}"}}'.encode(), id="as it is"),
    pytest.param(f'{{"error": {{"message": "{KEY}{KEY}"}}}}'.encode(), id="twice and nested"),
    pytest.param(f'{{"{KEY}": ["{KEY}", {{"a": "{KEY}"}}]}}'.encode(), id="as a name and deep inside"),
    pytest.param(f"invalid token {KEY}".encode(), id="in text"),
    pytest.param(f"<html>{KEY}</html>".encode(), id="in HTML"),
    pytest.param(f"\xff {KEY}".encode("latin-1"), id="beside bad UTF-8"),
    pytest.param(json.dumps({"error": KEY}).replace("/", "\\/").encode(), id="with escaped slashes, as PHP does"),
    pytest.param(json.dumps({"error": KEY}).replace("+", "\\u002b").encode(), id="with escaped signs, as .NET does"),
]


@pytest.mark.parametrize("secret", [Secret(KEY), Secret(f"Bearer {KEY}")], ids=["key", "token"])
@pytest.mark.parametrize("body", ECHOES)
def test_a_key_that_the_service_echoes_is_masked_everywhere(body: bytes, secret: Secret) -> None:
    error = error_for(401, body, {"X-Echo": f"got {KEY}"}, secrets=[secret])
    held = f"{error} {error!r} {error.message} {error.body!r} {error.headers!r} {error.args} {vars(error)}"
    assert KEY not in held


def test_the_text_around_an_echoed_key_is_kept() -> None:
    error = error_for(401, f'{{"error": "invalid token {KEY}!"}}'.encode(), secrets=[Secret(KEY)])
    assert error.message == "invalid token ***!"


@given(
    st.integers(100, 999),
    st.binary(),
    st.dictionaries(st.sampled_from(["Retry-After", "Date", "Location"]), anything),
)
def test_any_answer_becomes_an_error_of_ours(status: int, body: bytes, headers: dict[str, str]) -> None:
    error = error_for(status, body, CIMultiDict(headers), now=NOW + timedelta(seconds=1))
    assert isinstance(error, APIStatusError)
    assert error.status == status


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
@pytest.mark.parametrize(("depth", "is_kept"), [(100, True), (101, False), (900, False)])
def test_an_error_holds_no_more_of_a_body_than_can_be_pickled(
    opening: str, closing: str, depth: int, is_kept: bool
) -> None:
    secret = "\\u0073ecret"
    text = f'{opening * (depth - 1)}["here", "{secret}"]{closing * (depth - 1)}'
    error = error_for(500, text.encode(), secrets=["secret"])

    again = pickle.loads(pickle.dumps(error))

    assert again.body == error.body == copy.deepcopy(error).body
    inner = error.body
    for _ in range(min(depth, 100) - 1):
        (inner,) = inner.values() if isinstance(inner, dict) else inner
    assert inner == (["here", "***"] if is_kept else ["…"] if opening == "[" else {"a": "…"})
    assert "secret" not in str(error.body)
