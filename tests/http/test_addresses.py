"""URLs to send requests to: what is accepted, how it is quoted, and what the refusal of any other says."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from chamelaion_async._http.addresses import (
    api_path,
    api_url,
    check_base_url,
    id_segment,
    is_host,
    public_url,
    shown,
    stable_query,
)
from chamelaion_async._http.secrets import Secret
from chamelaion_async.errors import ConfigurationError
from tests.http.texts import anything, nasty, refusal

BASE = "https://api.example.com/api"
REQUESTS = "/v1/lipsync/requests/"


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("https://api.example.com/api//", "https://api.example.com/api"),
        ("https://api.example.com/BOX/", "https://api.example.com/BOX"),
        ("https://api.example.com./api", "https://api.example.com./api"),
        ("https://api.example.com:8443/api", "https://api.example.com:8443/api"),
        ("HTTPS://API.example.com/API", "https://api.example.com/API"),
        ("https://bücher.example/api", "https://xn--bcher-kva.example/api"),
        ("https://[2001:db8::1]:8443/api", "https://[2001:db8::1]:8443/api"),
        ("https://10.0.0.5/api", "https://10.0.0.5/api"),
        ("http://localhost", "http://localhost"),
        ("http://LOCALHOST:8787/api/", "http://localhost:8787/api"),
        ("http://dev.localhost:8787", "http://dev.localhost:8787"),
        ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
        ("http://127.255.255.254", "http://127.255.255.254"),
        ("http://[::1]:8787/api", "http://[::1]:8787/api"),
    ],
)
def test_a_base_url_is_accepted_without_its_trailing_slashes(url: str, checked: str) -> None:
    assert check_base_url(url, allow_http=False) == checked


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "http://10.0.0.5/api",
        "http://0.0.0.0:8787",
        "http://[::]",
        "http://[2001:db8::1]",
        "http://localhost.example.com",
        "http://notlocalhost",
        "http://127.0.0.1.example.com",
        "HTTP://api.example.com",
    ],
)
def test_plain_http_to_another_machine_needs_allow_http(url: str) -> None:
    assert refusal(lambda: check_base_url(url, allow_http=False)) == (
        f"base_url '{url}' is plain http to another machine, so the key would travel in the clear; "
        "use https, or pass allow_http=True if that network is trusted"
    )
    assert check_base_url(url, allow_http=True) == url.lower()


NO_URL, NO_HOST = "is not a URL", "must begin with https:// (or http://) and a host"
TOO_MUCH = "must be scheme, host, port and path only"


@pytest.mark.parametrize("allow_http", [False, True])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", NO_HOST),
        (" ", NO_HOST),
        ("/", NO_HOST),
        ("api.example.com/api", "base_url 'api.example.com/api' must begin with https:// (or http://) and a host"),
        ("//api.example.com", NO_HOST),
        ("https:", NO_HOST),
        ("https:/api.example.com", NO_HOST),
        ("https:///api", ""),
        ("https://?", ""),
        ("http://[bad", "base_url 'http://[bad' is not a URL"),
        ("https://[::1", NO_URL),
        ("https://api.example.com:port", NO_URL),
        ("https://api.example.com:99999", NO_URL),
        ("https://api.example.com:-1", NO_URL),
        ("https://api.example.com:0", "base_url 'https://api.example.com:0' " + TOO_MUCH),
        ("ftp://api.example.com", NO_HOST),
        ("file:///etc/passwd", NO_HOST),
        ("ws://localhost", NO_HOST),
        ("javascript:alert(1)", NO_HOST),
        ("https://api.example.com?", TOO_MUCH),
        ("https://api.example.com/api?a=1", "base_url 'https://api.example.com/api' " + TOO_MUCH),
        ("https://api.example.com/api#part", "base_url 'https://api.example.com/api' " + TOO_MUCH),
        ("https://good.example\\@evil.example", ""),
        ("https://\ud800", ""),
        ("https://api..example.com", NO_HOST),
        ("http://.localhost", NO_HOST),
        (f"https://{'a' * 64}.example.com", NO_HOST),
        ("https://api.exa mple.com", ""),
        ("https://api.exa\0mple.com", ""),
        (None, "base_url must be a str, not NoneType"),
        (5, "base_url must be a str, not int"),
        (b"https://h", "base_url must be a str, not bytes"),
        (URL("https://h"), "base_url must be a str, not URL"),
    ],
    ids=ascii,
)
def test_a_base_url_of_no_http_api_is_refused(url: Any, said: str, allow_http: bool) -> None:
    assert said in refusal(lambda: check_base_url(url, allow_http=allow_http))


@pytest.mark.parametrize(
    "url",
    [
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
        "hunter2:@api.example.com",
        "https:/user:hunter2@api.example.com",
        "https://hunter2:@api.example.com:99999",
        "https://user:hunter2@[bad",
        "https://user:hunter2@ex\u2100mple.com",
        "https://api.example.com/api?api_key=hunter2",
    ],
    ids=ascii,
)
def test_credentials_in_a_base_url_are_refused_and_not_shown(url: str) -> None:
    assert "hunter2" not in refusal(lambda: check_base_url(url, allow_http=True))


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("ftp://user:pw@api.example.com/x", "***@api.example.com/x"),
        ("https://user:pw@[bad", "https://***@[bad"),
        ("http:/user:pw@h", "http:/***@h"),
        ("user:pw@h", "***@h"),
        ("https://u@v:pw@[bad", "https://***@[bad"),
        ("https://[bad?key=1#part?", "https://[bad"),
        ("https://[bad#part", "https://[bad"),
        (URL("https://user:pw@h/a?sig=1"), "https://***@h/a"),
        ("ftp://" + "x" * 5000, "ftp://" + "x" * 194),
        ("ftp://" + "x" * 5000 + "@h" + "y" * 5000, "***@h" + "y" * 195),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_url_is_shown_without_credentials_query_and_fragment(url: object, text: str) -> None:
    assert shown(url) == text


@given(anything | nasty.map("https://".__add__))
def test_any_text_is_an_http_url_with_a_host_or_refused(text: str) -> None:
    try:
        parsed = URL(check_base_url(text, allow_http=False))
    except ConfigurationError:
        return
    assert parsed.scheme in ("http", "https")
    assert (bool(parsed.host), parsed.user, parsed.query_string) == (True, None, "")


@pytest.mark.parametrize("host", ["api.example.com", "api.example.com.", "2001:db8::1", "fe80::1%eth0"])
def test_a_name_that_can_be_resolved_is_a_host(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize("host", ["", "..", "api.example.com..", "2001:db8", "1::2::3", "v1.a:b"])
def test_a_name_that_cannot_be_resolved_is_no_host(host: str) -> None:
    assert not is_host(host)


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
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a\nb", "a%0Ab"),
        ("a\\b;@", "a%5Cb%3B%40"),
        ("ü\u0661", "%C3%BC%D9%A1"),
        ("x" * 512, "x" * 512),
        ("ä" * 512, "%C3%A4" * 512),
    ],
)
def test_an_id_becomes_one_quoted_segment(id: str, segment: str) -> None:
    assert id_segment(id) == segment


NO_ID = "is not an id; pass the request_id or the reference_id of a job"


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("", f"'' {NO_ID}"),
        (".", f"'.' {NO_ID}"),
        ("..", f"'..' {NO_ID}"),
        ("a\ud800", "the id 'a\\ud800' cannot be encoded as UTF-8"),
        ("x" * 513, f"an id of 513 characters is too long (512 at most): '{'x' * 40}'…"),
        ("ü" * 100_000, f"an id of 100000 characters is too long (512 at most): '{'ü' * 40}'…"),
        (None, "an id must be a str, not NoneType"),
        (5, "an id must be a str, not int"),
        (b"id", "an id must be a str, not bytes"),
        (["id"], "an id must be a str, not list"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_value_that_cannot_be_an_id_is_refused(id: Any, said: str) -> None:
    assert refusal(lambda: id_segment(id)) == said


class _Episode(str, Enum):  # noqa: UP042 - how applications on older Pythons write it
    FIRST = "dub-1"


class _NewEpisode(StrEnum):
    FIRST = "dub-1"


@pytest.mark.parametrize("value", [_Episode.FIRST, _NewEpisode.FIRST, Secret("dub-1")], ids=repr)
def test_an_id_or_parameter_of_a_str_subclass_is_sent_as_its_value(value: str) -> None:
    assert f"{REQUESTS}{id_segment(value)}" == REQUESTS + "dub-1"
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
        assert id in ("", ".", "..") or len(id) > 512 or any("\ud800" <= letter <= "\udfff" for letter in id)
        return
    url = api_url(BASE, api_path(REQUESTS + segment))
    head, slash, tail = url.raw_path_qs.rpartition("/")
    assert (str(url.origin()), head + slash, url.raw_fragment) == ("https://api.example.com", f"/api{REQUESTS}", "")
    assert unquote(tail, errors="strict") == id


@given(anything.map("/".__add__) | nasty.map("/".__add__) | nasty | anything)
def test_an_accepted_path_stays_below_the_base_url(path: str) -> None:
    try:
        url = api_url(BASE, api_path(path))
    except ConfigurationError:
        return
    assert (str(url.origin()), url.raw_query_string, url.raw_fragment) == ("https://api.example.com", "", "")
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
        ("/v1/users/", "/v1/users/"),
        ("/v1/a%2Fb", "/v1/a%2Fb"),
        ("/v1/%40%7e%41%252e", "/v1/%40%7e%41%252e"),
        ("/v1/a b", "/v1/a%20b"),
        ("/v1/a\nb", "/v1/a%0Ab"),
        ("/v1/ü", "/v1/%C3%BC"),
        ("/v1/x:y@z", "/v1/x:y@z"),
        ("/v1/...", "/v1/..."),
    ],
)
def test_a_path_is_quoted_where_it_must_be(path: str, quoted: str) -> None:
    assert str(api_url(BASE, api_path(path))) == BASE + quoted


ONE_SLASH = "path must begin with a single slash, such as '/v1/users/me', not {!r}; the host comes from base_url"
MARKS = "must not hold '?', '#' or '\\'; pass a query as params"
DOTS = "must not hold '.' or '..' segments"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        *(
            (path, ONE_SLASH.format(path))
            for path in ("", "v1/users/me", "https://evil.example/v1", "//evil.example/v1")
        ),
        *((path, ONE_SLASH.format(path)) for path in (None, 5, b"/v1")),
        *((path, f"path {path!r} {DOTS}") for path in ("/..", "/.", "/v1/../admin", "/v1/./users", "/v1/%2E")),
        *((path, f"path {path!r} {DOTS}") for path in ("/v1/%2e%2e/admin", "/v1/.%2E/admin")),
        *((path, f"path {path!r} {MARKS}") for path in ("/v1?x=1", "/v1#x", "/v1\\..\\admin")),
        ("/v1/\ud800", "path '/v1/\\ud800' cannot be encoded as UTF-8"),
    ],
    ids=ascii,
)
def test_a_path_that_could_leave_the_api_is_refused(path: Any, said: str) -> None:
    assert refusal(lambda: api_path(path)) == said


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
def test_parameters_are_written_into_the_query_each_time_they_are_sent(params: Any, query: str) -> None:
    stable = stable_query(params)
    for each in (params, stable, stable):
        assert str(api_url(BASE, "/v1/x", each)) == BASE + "/v1/x" + (f"?{query}" if query else "")


@pytest.mark.parametrize("values", [["a", "b"], ("a", "b"), iter(["a", "b"])], ids=["list", "tuple", "iterator"])
def test_a_parameter_of_several_values_can_be_sent_again(values: Any) -> None:
    stable = stable_query({"id": values})
    assert [api_url(BASE, "/", stable).raw_query_string for _ in range(2)] == ["id=a&id=b"] * 2


def test_no_parameters_stay_none() -> None:
    assert stable_query(None) is None


@given(st.dictionaries(st.text(), st.text(), max_size=5))
def test_parameters_arrive_as_they_were_given(params: dict[str, str]) -> None:
    query = api_url(BASE, "/v1/x", params).raw_query_string
    assert dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(params))) == params


@pytest.mark.parametrize("params", [{"a": "b\ud800"}, {"b\ud800": "a"}, {"a": ["x", "b\ud800"]}], ids=ascii)
@pytest.mark.parametrize("pass_on", [stable_query, lambda params: api_url(BASE, "/v1", params)], ids=["kept", "sent"])
def test_a_parameter_that_cannot_be_encoded_is_refused(
    pass_on: Callable[[Any], object], params: dict[str, Any]
) -> None:
    assert refusal(lambda: pass_on(params)) == "the parameter 'b\\ud800' cannot be encoded as UTF-8"


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example.com/a.mp4",
        "HTTP://cdn.example.com/a.mp4",
        "https://cdn.example.com:8443/a%20b.mp4?sig=1&x=/#t",
        "https://[2001:db8::1]/a.mp4",
    ],
)
def test_a_url_that_the_service_can_fetch_is_passed_on_unchanged(url: str) -> None:
    assert public_url("video", url, "upload it") == url


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("ftp://h/a.mp4", "'ftp://h/a.mp4'"),
        ("clip.mp4", "'clip.mp4'"),
        ("https://a b/c", "'https://a b/c'"),
        ("https://h/a\nb", "'https://h/a\\nb'"),
        ("https://h/a\tb", "'https://h/a\\tb'"),
        ("https://[bad", "'https://[bad'"),
        ("https:///a.mp4", "'https:///a.mp4'"),
        ("https://a..b/c", "'https://a..b/c'"),
        (5, "'5'"),
    ],
    ids=ascii,
)
def test_a_url_that_the_service_cannot_fetch_is_refused(url: Any, text: str) -> None:
    said = f"video {text} must be an http(s) URL that the service can reach; upload it"
    assert refusal(lambda: public_url("video", url, "upload it")) == said
