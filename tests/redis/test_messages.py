"""Packing, signing and numbering of messages."""

from __future__ import annotations

import hmac
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamelaion_async._http.answers import MAX_BODY
from chamelaion_async.redis.messages import Kind, Message, Numbers, Seal

KEY = b"k" * 32
MESSAGE = Message(
    kind=Kind.ANSWER, sender=b"process1", number=7, name="GET é", payload=b'{"id": 1}' * 99, began=1.7e9, age=0.25
)


@pytest.mark.parametrize(
    "message",
    [
        MESSAGE,
        Message(kind=Kind.PULSE, sender=b"process1", number=0),
        Message(kind=Kind.RELEASED, sender=b"process2", number=2**63, name="\ud800"),
        Message(kind=Kind.NUDGE, sender=b"process2", number=1, name="dub-42"),
        Message(kind=Kind.ANSWER, sender=b"process2", number=1, payload=bytes(MAX_BODY)),
    ],
)
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    assert Seal(KEY).unpack(Seal(KEY).pack(message)) == message


def test_the_sender_is_read_before_anything_is_checked() -> None:
    assert Seal.sender_of(Seal(KEY).pack(MESSAGE)) == b"process1"
    assert Seal.sender_of(b"") == b""


def test_a_message_is_compressed() -> None:
    assert len(Seal(KEY).pack(MESSAGE)) < 120


def signed(rest: bytes) -> bytes:
    return b"\x01" + hmac.digest(KEY, rest, "sha256")[:16] + rest


HEAD = b"process1" + struct.pack(">Q", 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: b"", "is damaged"),
        (lambda data: data[:20], "is damaged"),
        (lambda data: b"\x02" + data[1:], "another version"),
        (lambda data: data[:-1], "was not made with the credentials"),
        (lambda data: data[:17] + b"process2" + data[25:], "was not made with the credentials"),
        (lambda data: data[:25] + struct.pack(">Q", 8) + data[33:], "was not made with the credentials"),
        (lambda data: Seal(b"another").pack(MESSAGE), "was not made with the credentials"),
        (lambda data: signed(HEAD), "incomplete"),
        (lambda data: signed(HEAD + b"no zlib"), "is damaged"),
        (lambda data: signed(HEAD + zlib.compress(b"short")), "is damaged"),
        (lambda data: signed(HEAD + zlib.compress(struct.pack(">BddI", 9, 0, 0, 0))), "is damaged"),
        (lambda data: signed(HEAD + zlib.compress(struct.pack(">BddI", 1, 0, 0, 1) + b"\xff")), "is damaged"),
        (lambda data: signed(HEAD + zlib.compress(bytes(3 * MAX_BODY))), "longer than any answer"),
        (lambda data: signed(HEAD + zlib.compress(bytes(99))[:-1]), "incomplete"),
    ],
)
def test_what_is_no_message_of_the_account_is_ignored_with_one_warning(
    change: Callable[[bytes], bytes], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    seal = Seal(KEY)
    data = change(seal.pack(MESSAGE))
    assert seal.unpack(data) is None
    assert seal.unpack(data) is None
    assert [said in text for text in caplog.messages] == [True]


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise(data: bytes) -> None:
    assert Seal(KEY).unpack(data) is None
    Seal(KEY).unpack(signed(HEAD + zlib.compress(data)))


def numbered(number: int, kind: Kind = Kind.ANSWER, sender: bytes = b"process1") -> Message:
    return Message(kind=kind, sender=sender, number=number)


@pytest.mark.parametrize(
    ("messages", "last"),
    [
        pytest.param([numbered(5)], (True, False), id="the first one that comes begins the count"),
        pytest.param([numbered(5), numbered(6)], (True, False), id="the next one"),
        pytest.param([numbered(5), numbered(7)], (True, True), id="one is missing"),
        pytest.param([numbered(5), numbered(5)], (False, False), id="the same one again"),
        pytest.param([numbered(5), numbered(6), numbered(5)], (False, False), id="an old one again"),
        pytest.param([numbered(5), numbered(9), numbered(10)], (True, False), id="a loss is noticed once"),
        pytest.param([numbered(5), numbered(5, Kind.PULSE)], (True, False), id="a pulse after the last message"),
        pytest.param([numbered(5), numbered(6, Kind.PULSE)], (True, True), id="the last message is missing"),
        pytest.param([numbered(0, Kind.PULSE), numbered(1)], (True, False), id="the first message after a pulse"),
        pytest.param([numbered(0, Kind.PULSE), numbered(2)], (True, True), id="the first message is missing"),
        pytest.param([numbered(5), numbered(9, sender=b"process2")], (True, False), id="each sender counts"),
    ],
)
def test_numbers_show_losses_and_repetitions(messages: list[Message], last: tuple[bool, bool]) -> None:
    numbers = Numbers()
    assert [numbers.note(message) for message in messages][-1] == last


def test_cleared_numbers_begin_again() -> None:
    numbers = Numbers()
    numbers.note(numbered(5))
    numbers.clear()
    assert not numbers.is_known(b"process1")
    assert numbers.note(numbered(9)) == (True, False)


def test_the_senders_of_long_ago_are_forgotten() -> None:
    numbers = Numbers()
    for n in range(3000):
        numbers.note(numbered(1, sender=b"%08d" % n))
    assert (numbers.is_known(b"00000000"), numbers.is_known(b"00002999")) == (False, True)
    assert len(numbers._last) == 1024
