"""What is derived from the credentials."""

from __future__ import annotations

import pytest

from chamelaion_async.redis.account import Account
from chamelaion_async.redis.messages import Kind, Message

ACCOUNT = Account.of("https://api.example.com/api", b"sk-secret-key")


def test_the_same_credentials_give_the_same_names() -> None:
    again = Account.of("https://api.example.com/api", b"sk-secret-key")
    assert (again.tag, again.channel, again.presence) == (ACCOUNT.tag, ACCOUNT.channel, ACCOUNT.presence)
    assert again.claim_key("GET 1") == ACCOUNT.claim_key("GET 1")
    message = Message(kind=Kind.NUDGE, sender=b"process1", number=1, name="id")
    assert again.seal.unpack(ACCOUNT.seal.pack(message)) == message


@pytest.mark.parametrize(
    ("base_url", "credentials"),
    [("https://api.example.com/api", b"sk-other-key"), ("https://staging.example.com/api", b"sk-secret-key")],
)
def test_another_account_has_nothing_in_common(base_url: str, credentials: bytes) -> None:
    other = Account.of(base_url, credentials)
    assert other.tag != ACCOUNT.tag
    assert other.claim_key("GET 1").split(":")[-1] != ACCOUNT.claim_key("GET 1").split(":")[-1]
    message = Message(kind=Kind.NUDGE, sender=b"process1", number=1, name="id")
    assert other.seal.unpack(ACCOUNT.seal.pack(message)) is None


def test_all_names_are_under_one_hash_tag() -> None:
    names = [ACCOUNT.channel, ACCOUNT.presence, ACCOUNT.claim_key("GET 1")]
    assert {name.partition("}")[0] + "}" for name in names} == {ACCOUNT.tag}
    assert ACCOUNT.tag.startswith("{chamelaion:")
    assert len(set(names)) == 3


def test_no_name_shows_what_it_stands_for() -> None:
    shown = repr(ACCOUNT) + ACCOUNT.claim_key("GET dub-of-jane") + ACCOUNT.tag
    for said in ("sk-secret-key", "example", "jane", "GET"):
        assert said not in shown


def test_any_text_is_a_reading() -> None:
    assert len({ACCOUNT.claim_key(reading) for reading in ("", "é", "\ud800", "a" * 100_000)}) == 4
