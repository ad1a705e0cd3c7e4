"""The headers of a call: those of every call, the user's own, and the credentials."""

from __future__ import annotations

import string
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chamelaion_async
from chamelaion_async import ConfigurationError
from chamelaion_async._http.headers import EVERY_CALL, credential_headers, merge_headers, plain_headers
from chamelaion_async._http.secrets import Secret
from tests.http.texts import refusal


@pytest.mark.parametrize(
    ("api_key", "bearer_token", "headers"),
    [
        (None, None, {}),
        ("sk-1", None, {"x-api-key": "sk-1"}),
        (None, "t-1", {"Authorization": "Bearer t-1"}),
        ("  sk-1\n", "\tt-1\r\n", {"x-api-key": "sk-1", "Authorization": "Bearer t-1"}),
        ("!~\"'\\", None, {"x-api-key": "!~\"'\\"}),
    ],
)
def test_credentials_travel_masked_in_their_documented_headers(
    api_key: str | None, bearer_token: str | None, headers: dict[str, str]
) -> None:
    sent = credential_headers(api_key, bearer_token)
    assert sent == headers
    assert {repr(value) for value in sent.values()} <= {"'***'"}


EMPTY = "is empty or not a str; leave it out, or pass the key itself"
UNSENDABLE = "holds a space, a line break or another character no header can carry"


@pytest.mark.parametrize(
    ("name", "pass_on"),
    [("api_key", lambda it: credential_headers(it, None)), ("bearer_token", lambda it: credential_headers(None, it))],
    ids=["key", "token"],
)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((value, EMPTY) for value in ("", " ", "\n", b"hunter2", 5, ["hunter2"])),
        *((f"hunter2{end}", UNSENDABLE) for end in (" x", "\nx", "\r\nX-Evil: 1", "\0", "\x7f", "\tx")),
        *((f"hunter2{end}", UNSENDABLE) for end in ("é", "\u200b", "\ud800", "”")),
    ],
    ids=ascii,
)
def test_a_credential_that_no_header_can_carry_is_refused_by_name(
    value: Any, said: str, name: str, pass_on: Callable[[Any], object]
) -> None:
    assert refusal(lambda: pass_on(value)) == f"{name} {said}"


def test_no_frame_of_the_package_shows_a_refused_credential() -> None:
    with pytest.raises(ConfigurationError) as caught:
        credential_headers(Secret("hunter2 x"), Secret("hunter2 x"))
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    package = str(Path(chamelaion_async.__file__).parent)
    ours = [str(frame.locals) for frame in frames if frame.filename.startswith(package)]
    assert ours
    assert [shown for shown in ours if "hunter2" in shown] == []


@pytest.mark.parametrize(
    ("headers", "checked"),
    [
        (None, {}),
        ({}, {}),
        ({"x_odd!": ""}, {"x_odd!": ""}),
        ({"X-Name": "Größe"}, {"X-Name": "Größe"}),
        ({"X-Trace": string.printable[:95]}, {"X-Trace": string.printable[:95]}),
    ],
)
def test_plain_headers_pass(headers: Any, checked: dict[str, str]) -> None:
    assert plain_headers(headers) == checked


BAD_NAMES: list[Any] = ["", "X Trace", "X-Trace:", "X-Trace\r\nX-Evil", "X-Größe", 5, b"X-Trace"]
BAD_VALUES: list[Any] = ["a\r\nX-Evil: b", "a\nb", "a\0b", "\ud800", 5, None, b"x"]
CREDENTIALS = ["Authorization", "AUTHORIZATION", "x-api-key", "X-API-Key", "Cookie", "Proxy-Authorization"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        *((name, "x", f"default_headers: {name!r} is not a header name") for name in BAD_NAMES),
        *(("X-Y", value, "default_headers: the value of 'X-Y' must be a str of one line") for value in BAD_VALUES),
        *((it, "pw", f"default_headers must not hold {it!r}; pass api_key or bearer_token") for it in CREDENTIALS),
    ],
    ids=ascii,
)
def test_headers_that_cannot_be_sent_or_hold_credentials_are_refused(name: Any, value: Any, said: str) -> None:
    assert refusal(lambda: plain_headers({name: value})) == said


def test_a_users_header_replaces_one_of_every_call_in_any_case() -> None:
    merged = merge_headers(EVERY_CALL, {"ACCEPT": "text/plain", "X-Trace": "t-1"})
    assert merged == {"User-Agent": EVERY_CALL["User-Agent"], "ACCEPT": "text/plain", "X-Trace": "t-1"}
