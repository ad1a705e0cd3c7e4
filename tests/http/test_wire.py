"""Between our values and HTTP: addresses, ids, credentials, times, bodies and errors."""

from __future__ import annotations

import contextlib
import json
import math
import string
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

import chamelaion_async
from chamelaion_async._http import answers
from chamelaion_async._http.addresses import api_path, api_url, check_base_url, id_segment
from chamelaion_async._http.answers import decode_json, parse_http_date, parse_retry_after, status_error
from chamelaion_async._http.headers import credential_headers, plain_headers
from chamelaion_async._http.secrets import Secret, redact
from chamelaion_async.errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ChamelaionError,
    ConfigurationError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    UnprocessableEntityError,
)

BASE = "https://api.example.com/api"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "sk-live/0123+abc"

anything = st.text(st.characters(exclude_categories=()))
nasty = st.text(st.sampled_from(string.ascii_letters[:3] + "./%25\\?#@:;&=+ \n\r\0é\ud800\u2025\uff0e"))


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
        path="/v1/lipsync/requests/x",
        attempts=attempts,
        now=now,
        secrets=secrets,
    )


def is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("https://api.example.com/api", "https://api.example.com/api"),
        ("https://api.example.com/api/", "https://api.example.com/api"),
        ("https://api.example.com/api//", "https://api.example.com/api"),
        ("https://api.example.com:8443/api", "https://api.example.com:8443/api"),
        ("HTTPS://API.example.com/API", "https://api.example.com/API"),
        ("https://bücher.example/api", "https://xn--bcher-kva.example/api"),
        ("https://[2001:db8::1]:8443/api", "https://[2001:db8::1]:8443/api"),
        ("https://10.0.0.5/api", "https://10.0.0.5/api"),
        ("http://localhost", "http://localhost"),
        ("http://LOCALHOST:8787/api/", "http://localhost:8787/api"),
        ("http://dev.localhost:8787", "http://dev.localhost:8787"),
        ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
        ("http://127.0.0.2", "http://127.0.0.2"),
        ("http://127.255.255.254", "http://127.255.255.254"),
        ("http://[::1]", "http://[::1]"),
        ("http://[::1]:8787/api", "http://[::1]:8787/api"),
    ],
)
def test_an_address_is_accepted_without_its_trailing_slash(url: str, checked: str) -> None:
    assert check_base_url(url, allow_http=False) == checked


FAR_HTTP = [
    "http://api.example.com",
    "http://10.0.0.5/api",
    "http://0.0.0.0:8787",
    "http://[::]",
    "http://[2001:db8::1]",
    "http://localhost.example.com",
    "http://notlocalhost",
    "http://127.0.0.1.example.com",
    "HTTP://api.example.com",
]


@pytest.mark.parametrize("url", FAR_HTTP)
def test_plain_http_to_another_machine_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="allow_http=True"):
        check_base_url(url, allow_http=False)


@pytest.mark.parametrize("url", FAR_HTTP)
def test_plain_http_to_another_machine_is_accepted_on_request(url: str) -> None:
    assert check_base_url(url, allow_http=True) == url.lower()


NONSENSE = [
    "",
    " ",
    "/",
    "api.example.com",
    "api.example.com/api",
    "//api.example.com",
    "https:",
    "https:/api.example.com",
    "https://",
    "https:///api",
    "https://?",
    "http://[bad",
    "https://[::1",
    "https://api.example.com:port",
    "https://api.example.com:99999",
    "https://api.example.com:-1",
    "https://api.example.com:0",
    "ftp://api.example.com",
    "file:///etc/passwd",
    "ws://localhost",
    "javascript:alert(1)",
    "https://api.example.com?",
    "https://api.example.com/api?key=1",
    "https://api.example.com/api#",
    "https://api.example.com/api#part",
    "https://good.example\\@evil.example",
    "https://\ud800",
    "https://api..example.com",
    "http://.localhost",
    f"https://{'a' * 64}.example.com",
    "https://api.exa mple.com",
    "https://api.exa\0mple.com",
]


@pytest.mark.parametrize("allow_http", [False, True])
@pytest.mark.parametrize("url", NONSENSE, ids=ascii)
def test_what_is_no_address_of_an_api_is_refused(url: str, allow_http: bool) -> None:
    with pytest.raises(ConfigurationError):
        check_base_url(url, allow_http=allow_http)


@pytest.mark.parametrize("url", [None, 5, True, b"https://h", ["https://h"], object(), URL("https://h")])
def test_an_address_that_is_no_str_is_refused(url: Any) -> None:
    with pytest.raises(ConfigurationError):
        check_base_url(url, allow_http=False)


WITH_CREDENTIALS = [
    "https://user:hunter2@api.example.com",
    "https://hunter2@api.example.com",
    "https://:hunter2@api.example.com",
    "https://user:p@hunter2@api.example.com",
    "https://user:p hunter2@api.example.com",
    "https://user:p/hunter2@api.example.com",
    "https://user:p?hunter2@api.example.com",
    "https://user:p#hunter2@api.example.com",
    "http://user:hunter2@localhost",
    "ftp://user:hunter2@api.example.com",
    "ftp://user:p@hunter2@api.example.com",
    "user:hunter2@api.example.com/api",
    "https:/user:hunter2@api.example.com",
    "https://user:hunter2@api.example.com:99999",
    "https://user:hunter2@[bad",
    "https://user:hunter2@ex\u2100mple.com",
    "https://api.example.com/api?api_key=hunter2",
]


@pytest.mark.parametrize("url", WITH_CREDENTIALS, ids=ascii)
def test_credentials_in_an_address_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        check_base_url(url, allow_http=True)


@pytest.mark.parametrize("url", WITH_CREDENTIALS, ids=ascii)
def test_credentials_in_an_address_are_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_base_url(url, allow_http=True)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["swordfish:@api.example.com", "https://swordfish:@api.example.com:99999"])
def test_a_key_in_the_place_of_a_user_name_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_base_url(url, allow_http=False)
    assert "swordfish" not in str(caught.value)


@given(anything | nasty.map("https://".__add__))
def test_any_text_is_an_http_address_with_a_host_or_refused(text: str) -> None:
    try:
        checked = check_base_url(text, allow_http=False)
    except ConfigurationError:
        return
    parsed = URL(checked)
    assert (parsed.scheme in ("http", "https"), bool(parsed.host), parsed.user, parsed.query_string) == (
        True,
        True,
        None,
        "",
    )


REQUESTS = "/v1/lipsync/requests/"


@pytest.mark.parametrize(
    ("id", "segment"),
    [
        ("6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8", "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"),
        ("dub_42~x", "dub_42~x"),
        ("dub.42", "dub.42"),
        ("...", "..."),
        (".a", ".a"),
        ("a/b", "a%2Fb"),
        ("../users/me", "..%2Fusers%2Fme"),
        ("%2e%2e", "%252e%252e"),
        ("%2F", "%252F"),
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a\nb", "a%0Ab"),
        ("a\\b", "a%5Cb"),
        ("a;b", "a%3Bb"),
        ("@host", "%40host"),
        ("ü", "%C3%BC"),
        ("\u0661", "%D9%A1"),
        ("x" * 512, "x" * 512),
    ],
)
def test_an_id_becomes_one_quoted_segment(id: str, segment: str) -> None:
    assert id_segment(id) == segment


@pytest.mark.parametrize(
    "id", ["", ".", "..", "\ud800", "a\udfffb", "x" * 513, "ü" * 513, None, 5, b"id", ["id"]], ids=ascii
)
def test_what_cannot_be_an_id_is_refused(id: Any) -> None:
    with pytest.raises(ConfigurationError):
        id_segment(id)


def test_a_refused_long_id_is_not_repeated_whole() -> None:
    with pytest.raises(ConfigurationError) as caught:
        id_segment("x" * 100_000)
    assert len(str(caught.value)) < 200


class _Episode(str, Enum):  # noqa: UP042 - how applications on older Pythons write it
    FIRST = "dub-1"
    PLAIN = "dub 2"


class _NewEpisode(StrEnum):
    FIRST = "dub-1"


@pytest.mark.parametrize(
    "id", [_Episode.FIRST, _NewEpisode.FIRST, Secret("dub-1")], ids=["str, Enum", "StrEnum", "Secret"]
)
def test_an_id_of_a_str_subclass_is_sent_as_its_value(id: str) -> None:
    assert f"{REQUESTS}{id_segment(id)}" == REQUESTS + "dub-1"


@pytest.mark.parametrize("value", [_Episode.FIRST, _NewEpisode.FIRST], ids=["str, Enum", "StrEnum"])
def test_a_parameter_of_a_str_subclass_is_sent_as_its_value(value: str) -> None:
    assert api_url(BASE, "/x", {"reference_id": value}).query["reference_id"] == "dub-1"


@given(anything | nasty)
@example("..")
@example("%2e%2e")
@example("..%2fusers")
@example("a/../../users/me")
def test_an_accepted_id_arrives_as_one_segment_that_unquotes_to_it(id: str) -> None:
    try:
        segment = id_segment(id)
    except ConfigurationError:
        assert id in ("", ".", "..") or len(id) > 512 or not is_encodable(id)
        return
    url = api_url(BASE, api_path(REQUESTS + segment))
    prefix = "/api" + REQUESTS
    assert (url.origin(), url.raw_path.startswith(prefix), url.raw_query_string, url.raw_fragment) == (
        URL("https://api.example.com"),
        True,
        "",
        "",
    )
    tail = url.raw_path_qs.removeprefix(prefix)
    assert "/" not in tail
    assert unquote(tail, errors="strict") == id


@given(anything.map("/".__add__) | nasty.map("/".__add__) | nasty | anything)
def test_an_accepted_path_stays_below_the_base_address(path: str) -> None:
    try:
        url = api_url(BASE, api_path(path))
    except ConfigurationError:
        return
    assert (url.origin(), url.raw_query_string, url.raw_fragment) == (URL("https://api.example.com"), "", "")
    assert url.raw_path.startswith("/api/")
    assert not {".", ".."} & {unquote(segment) for segment in url.raw_path.split("/")}


@given(anything.map("/".__add__) | nasty.map("/".__add__))
def test_a_quoted_path_is_not_quoted_again(path: str) -> None:
    try:
        once = api_path(path)
    except ConfigurationError:
        return
    assert api_path(once) == once


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("/", "/"),
        ("/v1/users/me", "/v1/users/me"),
        ("/v1/users/", "/v1/users/"),
        ("/v1/a%2Fb", "/v1/a%2Fb"),
        ("/v1/a b", "/v1/a%20b"),
        ("/v1/a\nb", "/v1/a%0Ab"),
        ("/v1/ü", "/v1/%C3%BC"),
        ("/v1/x:y@z", "/v1/x:y@z"),
        ("/v1/...", "/v1/..."),
    ],
)
def test_a_path_is_quoted_where_it_must_be(path: str, quoted: str) -> None:
    assert api_path(path) == quoted


@pytest.mark.parametrize(
    "path",
    [
        "",
        "v1/users/me",
        "https://evil.example/v1",
        "//evil.example/v1",
        "/..",
        "/.",
        "/v1/../admin",
        "/v1/./users",
        "/v1/%2e%2e/admin",
        "/v1/.%2E/admin",
        "/v1/%2E",
        "/v1?x=1",
        "/v1#x",
        "/v1\\..\\admin",
        "/v1/\ud800",
        None,
        5,
        b"/v1",
    ],
    ids=ascii,
)
def test_a_path_that_could_leave_the_api_is_refused(path: Any) -> None:
    with pytest.raises(ConfigurationError):
        api_path(path)


@pytest.mark.parametrize("path", ["/v1/%40%7e%41", "/v1/a%2Fb", "/v1/%252e", "/v1/x/"])
def test_what_is_quoted_already_is_sent_byte_for_byte(path: str) -> None:
    assert str(api_url(BASE, api_path(path))) == BASE + path


@pytest.mark.parametrize(
    ("params", "query"),
    [
        (None, ""),
        ({}, ""),
        ({"limit": None}, ""),
        ({"limit": 20, "offset": None}, "limit=20"),
        ({"limit": 20, "offset": 0}, "limit=20&offset=0"),
        ({"favorite": True, "x": False}, "favorite=true&x=false"),
        ({"rate": 1.5}, "rate=1.5"),
        ({"reference_id": ""}, "reference_id="),
        ({"reference_id": "a&b=c d/e+f#g?é"}, "reference_id=a%26b%3Dc+d%2Fe%2Bf%23g%3F%C3%A9"),
        ({"language": ["de", "ja"]}, "language=de&language=ja"),
        ({"language": []}, ""),
        ({"a b": "x"}, "a+b=x"),
    ],
)
def test_parameters_are_written_into_the_query(params: Any, query: str) -> None:
    assert api_url(BASE, "/v1/x", params).raw_query_string == query


def test_an_address_without_parameters_ends_in_its_path() -> None:
    assert str(api_url(BASE, "/v1/x", {"limit": None})) == BASE + "/v1/x"


@given(st.dictionaries(st.text(), st.text(), max_size=5))
def test_parameters_arrive_as_they_were_given(params: dict[str, str]) -> None:
    url = api_url(BASE, "/v1/x", params)
    assert dict(parse_qsl(url.raw_query_string, keep_blank_values=True, strict_parsing=bool(params))) == params


@pytest.mark.parametrize(
    "params", [{"a": "\ud800"}, {"a": ["x", "\ud800"]}, {"\ud800": "a"}], ids=["value", "in a list", "name"]
)
def test_a_parameter_that_cannot_be_encoded_is_refused(params: Any) -> None:
    with pytest.raises(ConfigurationError):
        api_url(BASE, "/v1/x", params)


@pytest.mark.parametrize(
    ("api_key", "bearer_token", "headers"),
    [
        (None, None, {}),
        ("sk-1", None, {"x-api-key": "sk-1"}),
        (None, "t-1", {"Authorization": "Bearer t-1"}),
        ("sk-1", "t-1", {"x-api-key": "sk-1", "Authorization": "Bearer t-1"}),
        ("  sk-1\n", "\tt-1\r\n", {"x-api-key": "sk-1", "Authorization": "Bearer t-1"}),
        ("!~\"'\\", None, {"x-api-key": "!~\"'\\"}),
    ],
)
def test_credentials_travel_in_their_documented_headers(
    api_key: str | None, bearer_token: str | None, headers: dict[str, str]
) -> None:
    assert credential_headers(api_key, bearer_token) == headers


@pytest.mark.parametrize("name", ["x-api-key", "Authorization"])
def test_credentials_hide_in_the_repr_of_their_headers(name: str) -> None:
    headers = credential_headers("hunter2", "hunter2")
    assert "hunter2" not in repr({name: headers[name]})


BAD_CREDENTIALS = [
    "",
    " ",
    "\n",
    "hunter2 x",
    "hunter2\nx",
    "hunter2\r\nX-Evil: 1",
    "hunter2\0",
    "hunter2\x7f",
    "hunter2\tx",
    "hunter2é",
    "hunter2\u200b",
    "hunter2\ud800",
    "“hunter2”",
    b"hunter2",
    5,
    ["hunter2"],
]


def given_as_key(value: Any) -> object:
    return credential_headers(value, None)


def given_as_token(value: Any) -> object:
    return credential_headers(None, value)


@pytest.mark.parametrize(("pass_on", "name"), [(given_as_key, "api_key"), (given_as_token, "bearer_token")])
@pytest.mark.parametrize("value", BAD_CREDENTIALS, ids=ascii)
def test_a_credential_that_no_header_can_carry_is_refused_by_name(
    value: Any, pass_on: Callable[[Any], object], name: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} "):
        pass_on(value)


@pytest.mark.parametrize("pass_on", [given_as_key, given_as_token])
@pytest.mark.parametrize("value", BAD_CREDENTIALS, ids=ascii)
def test_a_refused_credential_is_not_shown(value: Any, pass_on: Callable[[Any], object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pass_on(value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("pass_on", [given_as_key, given_as_token])
@pytest.mark.parametrize("value", ["hunter2 x", "hunter2\nx", "hunter2é"], ids=ascii)
def test_no_frame_of_ours_shows_a_refused_credential(value: str, pass_on: Callable[[Any], object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pass_on(Secret(value))
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    package = str(Path(chamelaion_async.__file__).parent)
    ours = [frame for frame in frames if frame.filename.startswith(package)]
    assert ours
    assert [frame.locals for frame in ours if "hunter2" in str(frame.locals)] == []


@pytest.mark.parametrize(
    "show",
    [repr, ascii, "{!r}".format, "{!a}".format, lambda secret: f"{[secret]}", lambda secret: f"{ {'k': secret} }"],
    ids=["repr", "ascii", "!r", "!a", "in a list", "in a dict"],
)
def test_a_secret_is_masked_in_every_repr(show: Callable[[Secret], str]) -> None:
    assert "hunter2" not in show(Secret("hunter2"))


def test_a_secret_is_the_key_itself_as_a_value() -> None:
    assert (Secret("hunter2"), Secret("hunter2").encode(), str(Secret("hunter2"))) == (
        "hunter2",
        b"hunter2",
        "hunter2",
    )


def test_a_secret_is_masked_in_the_locals_of_a_traceback() -> None:
    def send(key: Secret) -> None:
        raise LookupError("nothing")

    try:
        send(Secret("hunter2"))
    except LookupError as error:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    assert (frames[-1].locals or {})["key"] == "'***'"


@pytest.mark.parametrize(
    ("headers", "checked"),
    [
        (None, {}),
        ({}, {}),
        ({"X-Trace": "t-1"}, {"X-Trace": "t-1"}),
        ({"x_odd!": ""}, {"x_odd!": ""}),
        ({"X-Name": "Größe"}, {"X-Name": "Größe"}),
    ],
)
def test_plain_headers_pass(headers: Any, checked: dict[str, str]) -> None:
    assert plain_headers(headers) == checked


@pytest.mark.parametrize(
    "headers",
    [
        {"": "x"},
        {"X Trace": "x"},
        {"X-Trace:": "x"},
        {"X-Trace\r\nX-Evil": "x"},
        {"X-Größe": "x"},
        {5: "x"},
        {b"X-Trace": "x"},
        {"X-Trace": "a\r\nX-Evil: b"},
        {"X-Trace": "a\nb"},
        {"X-Trace": "a\0b"},
        {"X-Trace": "\ud800"},
        {"X-Trace": 5},
        {"X-Trace": None},
        {"X-Trace": b"x"},
        {"Authorization": "x"},
        {"AUTHORIZATION": "x"},
        {"x-api-key": "x"},
        {"X-API-Key": "x"},
        {"Cookie": "x"},
        {"Proxy-Authorization": "x"},
    ],
    ids=ascii,
)
def test_headers_that_cannot_be_sent_or_hold_credentials_are_refused(headers: Any) -> None:
    with pytest.raises(ConfigurationError, match="default_headers"):
        plain_headers(headers)


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "Cookie"])
def test_a_credential_among_default_headers_is_not_shown(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plain_headers({name: "hunter2"})
    assert "hunter2" not in str(caught.value)


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


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine live in Tokyo."""
    if not hasattr(time, "tzset"):
        pytest.skip("the zone of this machine cannot be changed from within")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize("value", ["Thu, 01 Jan 2026 00:00:00", "Thu, 01 Jan 2026 00:00:00 -0000"])
def test_an_http_date_without_a_zone_is_not_read_as_local_time(value: str) -> None:
    assert parse_http_date(value) == NOW


@pytest.mark.parametrize("value", [None, "", " ", "soon", "5", "Thu, 01 Jan 10000 00:00:00 GMT", "x" * 65])
def test_what_is_no_http_date_is_none(value: str | None) -> None:
    assert parse_http_date(value) is None


@pytest.fixture(params=["speed", "plain"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode with the extra ``speed`` and without it."""
    if request.param == "plain":
        monkeypatch.setattr(answers, "_fast_loads", lambda: None)
    else:
        pytest.importorskip("orjson")


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b" null ", None),
        (b'{"a": [1, 1.5, true, null, "\xc3\xbc"]}', {"a": [1, 1.5, True, None, "ü"]}),
        (b"\xef\xbb\xbf{}", {}),
        ('{"a": 1}'.encode("utf-16"), {"a": 1}),
        (b'"\\ud800"', "\ud800"),
        (b'{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_a_json_body_is_decoded(body: bytes, value: object) -> None:
    decoded = decode_json(body)
    assert (decoded, type(decoded)) == (value, type(value))


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \r\n",
        b"<html><body>Bad Gateway</body></html>",
        b"{",
        b'{"a": 1',
        b'{"a": "b',
        b"[1,]",
        b"{} {}",
        b"\xff\xfe\xfd",
        b'"\xff"',
        b"\x00",
        b"undefined",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5000,
    ],
    ids=lambda body: ascii(body)[:30],
)
def test_a_body_that_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is the decoder's
        decode_json(body)


def test_an_empty_body_is_called_empty() -> None:
    with pytest.raises(ValueError, match="empty"):
        decode_json(b"")


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
def test_a_status_has_its_own_class(status: int, text: str, kind: type[APIStatusError]) -> None:
    assert type(error_for(status, json.dumps({"error": text}).encode())) is kind


@pytest.mark.parametrize(("status", "text", "kind"), DOCUMENTED)
def test_an_error_carries_the_whole_answer(status: int, text: str, kind: type[APIStatusError]) -> None:
    error = error_for(status, json.dumps({"error": text}).encode(), {"X-Trace": "t-1"}, attempts=3)
    assert (
        error.status,
        error.message,
        dict(error.headers),
        error.body,
        error.method,
        error.path,
        error.attempts,
    ) == (status, text, {"X-Trace": "t-1"}, {"error": text}, "GET", "/v1/lipsync/requests/x", 3)


@pytest.mark.parametrize(("status", "text", "kind"), DOCUMENTED)
def test_the_text_of_an_error_names_call_status_and_words(status: int, text: str, kind: type[APIStatusError]) -> None:
    said = str(error_for(status, json.dumps({"error": text}).encode()))
    assert said.startswith(f"GET /v1/lipsync/requests/x was answered {status}: {text}. ")


def test_the_text_tells_how_often_a_call_was_tried() -> None:
    assert "answered 500 after 3 attempts:" in str(error_for(500, attempts=3))


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
def test_the_words_of_the_service_are_found_in_any_body(body: bytes, message: str) -> None:
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


def test_a_status_without_a_name_has_words_all_the_same() -> None:
    assert error_for(599).message == "no reason given"


@pytest.mark.parametrize("name", ["x-trace", "X-TRACE", "X-Trace"])
def test_headers_of_an_error_ignore_case(name: str) -> None:
    assert error_for(500, headers={"X-Trace": "t-1"}).headers[name] == "t-1"


def test_repeated_headers_of_an_answer_are_kept() -> None:
    answer = CIMultiDict([("Via", "1.1 a"), ("Via", "1.1 b")])
    headers = error_for(500, headers=answer).headers
    assert isinstance(headers, CIMultiDict)
    assert headers.getall("Via") == ["1.1 a", "1.1 b"]


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
def test_a_rate_limit_error_tells_how_long_to_wait(headers: dict[str, str], retry_after: float | None) -> None:
    error = error_for(429, headers=CIMultiDict(headers))
    assert isinstance(error, RateLimitError)
    assert error.retry_after == retry_after


def test_the_text_of_a_rate_limit_names_the_wait() -> None:
    assert "asks to wait 7 s" in str(error_for(429, headers=CIMultiDict({"Retry-After": "7"})))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_that_names_its_target(status: int) -> None:
    error = error_for(status, headers=CIMultiDict({"Location": "https://evil.example/x"}))
    assert (type(error), "https://evil.example/x" in str(error)) == (APIStatusError, True)


@pytest.mark.parametrize(
    "location",
    ["https://h/x?token=hunter2", "https://user:hunter2@h/x", "https://h/hunter2/x", "https://h/x#hunter2"],
)
def test_a_redirect_target_does_not_show_secrets(location: str) -> None:
    error = error_for(302, headers=CIMultiDict({"Location": location}), secrets=[Secret("hunter2")])
    assert "hunter2" not in str(error)


def test_a_redirect_without_target_is_an_error_too() -> None:
    assert type(error_for(302)) is APIStatusError


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


def test_what_stands_beside_an_echoed_key_is_kept() -> None:
    error = error_for(401, f'{{"error": "invalid token {KEY}!"}}'.encode(), secrets=[Secret(KEY)])
    assert error.message == "invalid token ***!"


@pytest.mark.parametrize(
    ("text", "secrets", "shown"),
    [
        ("nothing here", ["hunter2"], "nothing here"),
        ("a hunter2 b hunter2", ["hunter2"], "a *** b ***"),
        ("Bearer hunter2", ["Bearer hunter2"], "Bearer ***"),
        ("hunter2 and swordfish", ["hunter2", "Bearer swordfish"], "*** and ***"),
        ("hunter2-and-more", ["hunter2", "Bearer hunter2-and-more"], "***"),
        ("hunter2-and-more", ["hunter2-and-more", "Bearer hunter2"], "***"),
        ("text", [], "text"),
    ],
)
def test_redacting_leaves_nothing_of_any_secret(text: str, secrets: list[str], shown: str) -> None:
    assert redact(text, secrets) == shown


@given(
    st.integers(100, 999),
    st.binary(),
    st.dictionaries(st.sampled_from(["Retry-After", "Date", "Location"]), anything),
)
def test_any_answer_becomes_an_error_of_ours(status: int, body: bytes, headers: dict[str, str]) -> None:
    error = error_for(status, body, CIMultiDict(headers), now=NOW + timedelta(seconds=1))
    assert isinstance(error, ChamelaionError)
    assert error.status == status
