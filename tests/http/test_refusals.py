"""What a refused argument is told: which one it is, what is wrong with it, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chamelaion_async._http.addresses import api_path, api_url, check_base_url, id_segment, public_url, stable_query
from chamelaion_async._http.answers import check_json
from chamelaion_async._http.headers import credential_headers, plain_headers
from chamelaion_async.errors import ConfigurationError

BASE = "https://api.example.com/api"
ONE_SLASH = "path must begin with a single slash, such as '/v1/users/me', not {!r}; the host comes from base_url"
NO_HEADER = "holds a space, a line break or another character no header can carry"


def text_of(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (5, "base_url must be a str, not int"),
        ("https://[bad", "base_url 'https://[bad' is not a URL"),
        ("api.example.com", "base_url 'api.example.com' must begin with https:// (or http://) and a host"),
        ("https://a..b", "base_url 'https://a..b' must begin with https:// (or http://) and a host"),
        ("https://u:p@h", "base_url must not hold credentials; pass api_key or bearer_token"),
        ("https://h/api?a=b", "base_url 'https://h/api' must be scheme, host, port and path only"),
        ("https://h/api#a", "base_url 'https://h/api' must be scheme, host, port and path only"),
        ("https://h:0", "base_url 'https://h:0' must be scheme, host, port and path only"),
        (
            "http://h/api",
            (
                "base_url 'http://h/api' is plain http to another machine, so the key would travel in the clear; "
                "use https, or pass allow_http=True if that network is trusted"
            ),
        ),
    ],
)
def test_of_a_base_url(url: Any, said: str) -> None:
    assert text_of(lambda: check_base_url(url, allow_http=False)) == said


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://user:pw@api.example.com/x", "'***@api.example.com/x'"),
        ("https://user:pw@[bad", "'https://***@[bad'"),
        ("http:/user:pw@h", "'http:/***@h'"),
        ("user:pw@h", "'***@h'"),
        ("https://u@v:pw@[bad", "'https://***@[bad'"),
        ("https://[bad?key=1#part?", "'https://[bad'"),
        ("https://[bad#part", "'https://[bad'"),
    ],
)
def test_an_address_is_shown_as_it_is_but_for_what_may_be_secret(url: str, shown: str) -> None:
    assert f"base_url {shown} " in text_of(lambda: check_base_url(url, allow_http=False))


@pytest.mark.parametrize("tail", ["@h", ""], ids=["with credentials", "without"])
def test_of_a_long_address_only_the_beginning_is_shown(tail: str) -> None:
    said = text_of(lambda: check_base_url("ftp://" + "x" * 5000 + tail + "y" * 5000, allow_http=False))
    assert len(said) < 300


@pytest.mark.parametrize(
    ("id", "said"),
    [
        (5, "an id must be a str, not int"),
        ("", "'' is not an id; pass the request_id or the reference_id of a job"),
        (".", "'.' is not an id; pass the request_id or the reference_id of a job"),
        ("..", "'..' is not an id; pass the request_id or the reference_id of a job"),
        ("abcd" * 200, f"an id of 800 characters is too long (512 at most): '{'abcd' * 10}'…"),
        ("a\ud800", "the id 'a\\ud800' cannot be encoded as UTF-8"),
    ],
    ids=ascii,
)
def test_of_an_id(id: Any, said: str) -> None:
    assert text_of(lambda: id_segment(id)) == said


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("v1/users/me", ONE_SLASH.format("v1/users/me")),
        ("//h/v1", ONE_SLASH.format("//h/v1")),
        (5, ONE_SLASH.format(5)),
        ("/v1?a=b", r"path '/v1?a=b' must not hold '?', '#' or '\'; pass a query as params"),
        ("/v1#a", r"path '/v1#a' must not hold '?', '#' or '\'; pass a query as params"),
        ("/v1\\a", r"path '/v1\\a' must not hold '?', '#' or '\'; pass a query as params"),
        ("/v1/../x", "path '/v1/../x' must not hold '.' or '..' segments"),
        ("/v1/\ud800", "path '/v1/\\ud800' cannot be encoded as UTF-8"),
    ],
    ids=ascii,
)
def test_of_a_path(path: Any, said: str) -> None:
    assert text_of(lambda: api_path(path)) == said


@pytest.mark.parametrize("params", [{"a": "b\ud800"}, {"b\ud800": "a"}, {"a": ["x", "b\ud800"]}], ids=ascii)
@pytest.mark.parametrize("pass_on", [stable_query, lambda params: api_url(BASE, "/v1", params)], ids=["kept", "sent"])
def test_of_a_parameter(pass_on: Callable[[Any], object], params: dict[str, Any]) -> None:
    assert text_of(lambda: pass_on(params)) == "the parameter 'b\\ud800' cannot be encoded as UTF-8"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://h/a.mp4", "'ftp://h/a.mp4'"),
        ("clip.mp4", "'clip.mp4'"),
        ("https://a b/c", "'https://a b/c'"),
        ("https://h/a\nb", "'https://h/a\\nb'"),
        ("https://[bad", "'https://[bad'"),
        ("https:///a.mp4", "'https:///a.mp4'"),
        ("https://a..b/c", "'https://a..b/c'"),
        (5, "'5'"),
    ],
    ids=ascii,
)
def test_of_an_address_that_the_service_is_to_fetch(url: Any, shown: str) -> None:
    said = f"video {shown} must be an http(s) URL that the service can reach; upload it"
    assert text_of(lambda: public_url("video", url, "upload it")) == said


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({1, 2}, "Object of type set is not JSON serializable"),
        (float("nan"), "Out of range float values are not JSON compliant"),
    ],
    ids=["set", "nan"],
)
def test_of_a_body_that_json_cannot_hold(value: object, reason: str) -> None:
    assert text_of(lambda: check_json("settings", value)).startswith(f"settings cannot be sent as JSON: {reason}")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (" ", "is empty or not a str; leave it out, or pass the key itself"),
        (5, "is empty or not a str; leave it out, or pass the key itself"),
        ("a b", NO_HEADER),
        ("a\nb", NO_HEADER),
        ("ä", NO_HEADER),
    ],
    ids=ascii,
)
def test_of_a_credential(value: Any, said: str) -> None:
    assert text_of(lambda: credential_headers(value, None)) == f"api_key {said}"
    assert text_of(lambda: credential_headers(None, value)) == f"bearer_token {said}"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({5: "x"}, "default_headers: 5 is not a header name"),
        ({"X Y": "x"}, "default_headers: 'X Y' is not a header name"),
        ({"X-API-Key": "x"}, "default_headers must not hold 'X-API-Key'; pass api_key or bearer_token"),
        ({"X-Y": "a\nb"}, "default_headers: the value of 'X-Y' must be a str of one line"),
        ({"X-Y": 5}, "default_headers: the value of 'X-Y' must be a str of one line"),
    ],
    ids=ascii,
)
def test_of_a_default_header(headers: Any, said: str) -> None:
    assert text_of(lambda: plain_headers(headers)) == said
