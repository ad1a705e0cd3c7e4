"""Secrets: a repr never shows them, and nothing of them is left in what the service echoes."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable

import pytest

from chamelaion_async._http.secrets import Secret, redact, redact_body, redact_headers, redact_json


@pytest.mark.parametrize(
    "show",
    [repr, ascii, "{!r}".format, "{!a}".format, lambda secret: f"{[secret]}", lambda secret: f"{ {'k': secret} }"],
    ids=["repr", "ascii", "!r", "!a", "in a list", "in a dict"],
)
def test_a_secret_is_masked_in_every_repr(show: Callable[[Secret], str]) -> None:
    assert "hunter2" not in show(Secret("hunter2"))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_secret_is_masked_and_holds_the_key(duplicate: Callable[[Secret], Secret]) -> None:
    duplicated = duplicate(Secret("hunter2"))
    assert (repr(duplicated), str(duplicated)) == ("'***'", "hunter2")


def test_a_secret_is_the_key_itself_as_a_value() -> None:
    secret = Secret("hunter2")
    assert (secret, secret.encode(), str(secret)) == ("hunter2", b"hunter2", "hunter2")


def test_a_secret_is_masked_in_the_locals_of_a_traceback() -> None:
    def send(key: Secret) -> None:
        raise LookupError("nothing")

    with pytest.raises(LookupError) as caught:
        send(Secret("hunter2"))
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert (frames[-1].locals or {})["key"] == "'***'"


@pytest.mark.parametrize(
    ("text", "secrets", "masked"),
    [
        ("nothing here", ["hunter2"], "nothing here"),
        ("a hunter2 b hunter2", ["hunter2"], "a *** b ***"),
        ("Bearer hunter2", ["Bearer hunter2"], "Bearer ***"),
        ("hunter2 and swordfish", ["hunter2", "Bearer swordfish"], "*** and ***"),
        ("hunter2-and-more", ["hunter2", "Bearer hunter2-and-more"], "***"),
        ("hunter2-and-more", ["hunter2-and-more", "Bearer hunter2"], "***"),
        ("abc", ["b", "abc"], "***"),
        ("abc", ["abc", "Bearer b"], "***"),
        ("text", [], "text"),
    ],
)
def test_redacting_leaves_nothing_of_any_secret(text: str, secrets: list[str], masked: str) -> None:
    assert redact(text, secrets) == masked
    assert redact_body(text.encode(), secrets) == masked.encode()
    assert redact_json([{text: text}, 5], secrets) == [{masked: masked}, 5]
    assert [*redact_headers({text: text}, secrets).items()] == [(masked, masked)]
