"""Inputs that are almost right: a seed with a few edits. Every choice is the given Random's."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from .target import Target

MAX_SIZE = 16 * 1024
_EDITS = (1, 1, 1, 2, 4)
_RARE = 8

_ODD = [
    *b" |\t|\n|\r|\0|\x01|\x7f|\xff|\xed\xa0\x80|\xef\xbb\xbf|\xff\xfe|\xc0\x80|\xf5\x80\x80\x80|\xc3\xbc".split(b"|")
]
"""Bytes that are odd anywhere."""

Edit = Callable[[Random, bytes, Target], bytes]

# A JSON string, or what stands between two delimiters of JSON, headers, dates and addresses.
_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*+"|[^\s\[\]{}:,/?#@="]+')


def mutant(random: Random, target: Target) -> bytes:
    """Return a seed of the target after one to four edits."""
    data = random.choice(target.seeds)
    for _ in range(random.choice(_EDITS)):
        data = edited(random, data, target)
    return data


def edited(random: Random, data: bytes, target: Target) -> bytes:
    """Return ``data`` after one edit, at most ``MAX_SIZE`` bytes of it."""
    # Two in three leave the form alone, since what is no JSON at all is refused before anything can go wrong.
    edits = _WORDY if random.randrange(3) else _RAW
    return random.choice(edits)(random, data, target)[:MAX_SIZE]


def _token_replaced(random: Random, data: bytes, target: Target) -> bytes:
    tokens = list(_TOKEN.finditer(data))
    if not tokens:
        return _word(random, target)
    token = random.choice(tokens)
    return data[: token.start()] + _word(random, target) + data[token.end() :]


def _word_inserted(random: Random, data: bytes, target: Target) -> bytes:
    place = random.randint(0, len(data))
    return data[:place] + _word(random, target) + data[place:]


def _line_exchanged(random: Random, data: bytes, target: Target) -> bytes:
    """Take one line of another seed in place of one's own."""
    lines, others = data.split(b"\n"), random.choice(target.seeds).split(b"\n")
    lines[random.randrange(len(lines))] = random.choice(others)
    return b"\n".join(lines)


def _bit_flipped(random: Random, data: bytes, target: Target) -> bytes:
    if not data:
        return b"\0"
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]


def _slice_removed(random: Random, data: bytes, target: Target) -> bytes:
    start, end = _slice(random, data)
    return data[:start] + data[end:]


def _slice_repeated(random: Random, data: bytes, target: Target) -> bytes:
    """Repeat a slice: once mostly, sometimes until nothing fits any more."""
    start, end = _slice(random, data)
    times = 2 if random.randrange(_RARE) else MAX_SIZE // max(end - start, 1)
    return data[:start] + data[start:end] * times + data[end:]


def _seeds_spliced(random: Random, data: bytes, target: Target) -> bytes:
    other = random.choice(target.seeds)
    return data[: random.randint(0, len(data))] + other[random.randint(0, len(other)) :]


def _word(random: Random, target: Target) -> bytes:
    return random.choice(target.words if random.randrange(_RARE) else _ODD)


def _slice(random: Random, data: bytes) -> tuple[int, int]:
    start = random.randint(0, len(data))
    length = random.randint(0, 8 if random.randrange(_RARE) else len(data))
    return start, min(start + length, len(data))


_WORDY: list[Edit] = [_token_replaced, _token_replaced, _word_inserted, _line_exchanged]
_RAW: list[Edit] = [_bit_flipped, _slice_removed, _slice_repeated, _seeds_spliced]
