"""Where what goes over the wire begins and ends: values at a limit, and those that only look like others."""

from __future__ import annotations

import copy
import pickle
import string
from datetime import UTC, datetime
from typing import Any

import pytest
from multidict import CIMultiDict

from chamelaion_async._http import answers
from chamelaion_async._http.addresses import check_base_url, id_segment, is_host, public_url, stable_query
from chamelaion_async._http.answers import decode_json, parse_http_date, status_error
from chamelaion_async._http.headers import plain_headers
from chamelaion_async._http.secrets import redact
from chamelaion_async.errors import APIStatusError, ConfigurationError


def answered(status: int, *, location: str | None = None, attempts: int = 1) -> APIStatusError:
    headers = CIMultiDict({} if location is None else {"Location": location})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return status_error(status, headers, b"", method="GET", path="/x", attempts=attempts, now=now)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"status": None},
        {"reference_id": "dub"},
        {"favorite": True, "other": False},
        {"limit": 20, "offset": 0},
        {"rate": 1.5},
    ],
    ids=repr,
)
def test_parameters_of_one_value_are_kept_as_they_are(params: Any) -> None:
    assert stable_query(params) == params


def test_no_parameters_stay_none() -> None:
    assert stable_query(None) is None


@pytest.mark.parametrize("values", [["a", "b"], ("a", "b"), iter(["a", "b"])], ids=["list", "tuple", "iterator"])
def test_parameters_of_several_values_can_be_sent_again(values: Any) -> None:
    params = stable_query({"id": values})
    assert params is not None
    assert [list(params["id"]) for _ in range(2)] == [["a", "b"], ["a", "b"]]  # type: ignore[arg-type] # several


def test_a_header_value_may_hold_every_printable_character() -> None:
    value = string.ascii_letters + string.digits + string.punctuation + " "
    assert plain_headers({"X-Trace": value}) == {"X-Trace": value}


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example.com/a.mp4",
        "http://cdn.example.com/a.mp4",
        "HTTPS://cdn.example.com/a.mp4",
        "https://cdn.example.com:8443/a%20b.mp4?sig=1&x=/#t",
        "https://[2001:db8::1]/a.mp4",
    ],
)
def test_an_address_that_the_service_can_fetch_is_passed_on_as_it_is(url: str) -> None:
    assert public_url("video", url, "upload it") == url


@pytest.mark.parametrize("url", ["https://cdn.example.com/a b.mp4", "https://cdn.example.com/a\tb.mp4"], ids=ascii)
def test_an_address_with_white_space_is_not_passed_on(url: str) -> None:
    with pytest.raises(ConfigurationError):
        public_url("video", url, "upload it")


@pytest.mark.parametrize("status", [300, 301, 399])
def test_every_status_of_the_300s_is_a_redirect(status: int) -> None:
    said = str(answered(status, location="https://elsewhere.example/x"))
    assert "It points to 'https://elsewhere.example/x', which is not followed" in said


@pytest.mark.parametrize("status", [299, 400])
def test_no_other_status_is_a_redirect(status: int) -> None:
    assert "elsewhere" not in str(answered(status, location="https://elsewhere.example/x"))


def test_a_redirect_without_a_target_points_nowhere() -> None:
    assert "It points to ''," in str(answered(302))


@pytest.mark.parametrize(("attempts", "said"), [(1, "answered 500: "), (2, "answered 500 after 2 attempts: ")])
def test_only_a_call_that_was_repeated_tells_how_often(attempts: int, said: str) -> None:
    assert said in str(answered(500, attempts=attempts))


def test_an_id_of_the_greatest_length_may_need_quoting() -> None:
    assert id_segment("ä" * 512) == "%C3%A4" * 512


@pytest.mark.parametrize("host", ["api.example.com", "api.example.com.", "2001:db8::1", "fe80::1%eth0"])
def test_what_can_be_looked_up_is_a_host(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize("host", ["", "..", "api.example.com..", "2001:db8", "1::2::3", "v1.a:b"])
def test_what_cannot_be_looked_up_is_no_host(host: str) -> None:
    assert not is_host(host)


@pytest.mark.parametrize("path", ["/BOX", "/api/v1", "/x"])
def test_of_an_address_only_slashes_are_left_out_at_the_end(path: str) -> None:
    assert check_base_url(f"https://h.example{path}//", allow_http=False) == f"https://h.example{path}"


def test_an_address_with_the_dot_of_the_root_is_accepted() -> None:
    assert check_base_url("https://api.example.com./api", allow_http=False) == "https://api.example.com./api"


@pytest.mark.parametrize(
    "value",
    ["Thu, \u0660\u0661 Jan 2026 00:00:00 GMT", "Thu,\t01 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT\n"],
    ids=ascii,
)
def test_a_date_in_other_characters_than_those_of_http_is_none(value: str) -> None:
    assert parse_http_date(value) is None


def test_a_date_of_another_zone_becomes_utc() -> None:
    moment = parse_http_date("Thu, 01 Jan 2026 02:00:00 +0200")
    assert moment == datetime(2026, 1, 1, tzinfo=UTC)
    assert moment is not None
    assert moment.tzinfo is UTC


@pytest.mark.parametrize("secrets", [["b", "abc"], ["abc", "b"], ["abc", "Bearer b"]], ids=" and ".join)
def test_of_a_secret_that_holds_another_nothing_is_left(secrets: list[str]) -> None:
    assert redact("abc", secrets) == "***"


def test_the_extra_decodes_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_fast_loads", lambda: lambda body: [body])
    assert decode_json(b"{}") == [b"{}"]


@pytest.mark.parametrize(
    ("body", "said"),
    [(b" ", "the body is empty"), (b"[" * 100_000, "the body is nested too deeply")],
    ids=["empty", "deep"],
)
def test_without_the_extra_a_body_that_is_no_json_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, body: bytes, said: str
) -> None:
    monkeypatch.setattr(answers, "_fast_loads", lambda: None)
    with pytest.raises(ValueError, match=f"^{said}$"):
        decode_json(body)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
@pytest.mark.parametrize(("depth", "is_kept"), [(100, True), (101, False), (900, False)])
def test_of_a_body_an_error_holds_no_more_than_can_be_pickled(
    opening: str, closing: str, depth: int, is_kept: bool
) -> None:
    secret = "\\u0073ecret"
    text = f'{opening * (depth - 1)}["here", "{secret}"]{closing * (depth - 1)}'
    error = status_error(
        500, {}, text.encode(), method="GET", path="/x", attempts=1, now=datetime.now(UTC), secrets=["secret"]
    )

    again = pickle.loads(pickle.dumps(error))

    assert again.body == error.body == copy.deepcopy(error).body
    inner = error.body
    for _ in range(min(depth, 100) - 1):
        (inner,) = inner.values() if isinstance(inner, dict) else inner
    assert inner == (["here", "***"] if is_kept else ["…"] if opening == "[" else {"a": "…"})
    assert "secret" not in str(error.body)
