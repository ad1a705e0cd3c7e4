"""Work grows with what a server sends, and not with its square."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chamelaion_async._http.addresses import api_path, api_url, check_base_url, id_segment, public_url
from chamelaion_async._http.decoding import ShapeError, structure_hook
from chamelaion_async._media.targets import plan
from chamelaion_async.errors import ChamelaionError
from chamelaion_async.models import LipsyncRequest, Page, VideoTranslateRequest

from .leaks import KEY
from .targets import TARGETS

LIPSYNC = {"id": "a", "status": "queued", "created_at": "2026-04-07T10:00:00Z"}
PAGINATION = {"limit": 1, "offset": 0, "total": 1}
ARTIFACTS = {"video": "", "audio": "", "srt": ""}
FLAGS = dict.fromkeys(["disable_background_audio", "disable_lip_sync", "formality"], False)
TRANSLATION = {**LIPSYNC, **FLAGS, "target_languages": [], "model": "m", "config": {}}

FACTOR = 8
LIMIT = 24
"""Eight times as much takes eight times as long if it grows in step, and sixty-four times if squared."""

NOTHING = 0.002
"""Seconds below which a time says nothing."""

Work = Callable[[], object]
Make = Callable[[int], Work]


def checked(name: str, make: Callable[[int], bytes]) -> Make:
    """Give as much as is asked for to a target."""

    def work(size: int) -> Work:
        data = make(size)
        return lambda: TARGETS[name].check(data)

    return work


def page(record: object) -> Make:
    return checked(
        "decoding",
        lambda size: b"lipsyncs\n" + json.dumps({"data": [record] * size, "pagination": PAGINATION}).encode(),
    )


def translation(field: str, make: Callable[[int], object]) -> Make:
    return checked(
        "decoding", lambda size: b"translation\n" + json.dumps({**TRANSLATION, field: make(size)}).encode()
    )


def health(make: Callable[[int], bytes]) -> Make:
    return checked("decoding", lambda size: b"health\n" + make(size))


def failure(make: Callable[[int], str], head: str = "500\n\n") -> Make:
    return checked("failures", lambda size: (head + make(size)).encode())


def wait(make: Callable[[int], str]) -> Make:
    return checked("retry-after", lambda size: make(size).encode())


def rest(field: str, make: Callable[[int], str]) -> Make:
    return checked("ranges", lambda size: f'50\n"v1"\n====\n206\n{field}: {make(size)}'.encode())


CASES: dict[str, tuple[int, Make]] = {
    "a page": (100, page(LIPSYNC)),
    "a page of faults": (12_500, page(None)),
    "a page of empty records": (5_000, page({})),
    "languages": (300, translation("outputs", lambda size: dict.fromkeys(map(str, range(size)), ARTIFACTS))),
    "languages that are faults": (2_000, translation("outputs", lambda size: {f"l{n}": n for n in range(size)})),
    "targets that are faults": (12_500, translation("target_languages", lambda size: [5] * size)),
    "a long language that is a fault": (50_000, translation("outputs", lambda size: {"l" * size: 5})),
    "a long time": (125_000, translation("created_at", lambda size: "2026-04-07T" + "1" * size)),
    "unknown fields": (1_250, health(lambda size: json.dumps(dict.fromkeys(map(str, range(size)))).encode())),
    "a field again and again": (5_000, health(lambda size: b"{" + b'"status":5,' * size + b'"status":6}')),
    "nesting": (100_000, health(lambda size: b"[" * size)),
    "nesting of objects": (25_000, health(lambda size: b'{"a":' * size)),
    "digits": (100_000, health(lambda size: b"1" * size)),
    "digits of a fraction": (100_000, health(lambda size: b"0." + b"1" * size)),
    "digits of an exponent": (100_000, health(lambda size: b"1e" + b"9" * size)),
    "a long string": (100_000, health(lambda size: b'{"status":"' + b"x" * size + b'"}')),
    "escapes": (12_500, health(lambda size: b'"' + b"\\ud83d" * size + b'"')),
    "blanks": (250_000, health(lambda size: b" " * size)),
    "bad UTF-8": (100_000, health(lambda size: b'"' + b"\xff" * size)),
    "a message": (25_000, failure(lambda size: json.dumps({"error": "x " * size}))),
    "a text": (25_000, failure(lambda size: " " * size + "x " * size)),
    "beginnings of the key": (5_000, failure(lambda size: KEY[:-1] * size)),
    "keys": (5_000, failure(lambda size: KEY * size)),
    "keys in JSON": (500, failure(lambda size: json.dumps([{KEY: KEY}] * size))),
    "nesting in a failure": (25_000, failure(lambda size: "[" * size)),
    "headers": (500, failure(lambda size: "".join(f"X-{n}: v\n" for n in range(size)), "500\n")),
    "a header again and again": (500, failure(lambda size: "Via: x\n" * size, "500\n")),
    "a long header": (25_000, failure(lambda size: f"X-A: {'x' * size}", "500\n")),
    "a target of slashes": (125_000, failure(lambda size: "/" * size, "302\nLocation: https:")),
    "a target of ats": (125_000, failure(lambda size: "@" * size, "302\nLocation: ")),
    "seconds to wait": (300, wait(lambda size: "1" * size)),
    "seconds and their fractions": (125_000, wait(lambda size: "1." * size)),
    "a wait after blanks": (125_000, wait(lambda size: " " * size + "x")),
    "a date of commas": (125_000, wait(lambda size: "\n" + "," * size)),
    "a date of brackets": (125_000, wait(lambda size: "\n" + "(" * size)),
    "an id": (125_000, lambda size: lambda: id_segment("/" * size)),
    "a path": (10_000, lambda size: lambda: api_path("/é" * size)),
    "a path of dots": (1_000, lambda size: lambda: api_path("/%2e%2" * size)),
    "a parameter": (10_000, lambda size: lambda: api_url("https://h", "/x", {"a": "é" * size})),
    "a base of slashes": (25_000, lambda size: lambda: check_base_url("https://h" + "/" * size, allow_http=False)),
    "a base of ats": (25_000, lambda size: lambda: check_base_url("https://" + "@" * size, allow_http=False)),
    "a base of labels": (5_000, lambda size: lambda: check_base_url("https://h" + ".a" * size, allow_http=False)),
    "a base of a zone": (
        5_000,
        lambda size: lambda: check_base_url(f"https://[::1%25{'a' * size}]", allow_http=False),
    ),
    "a source": (25_000, lambda size: lambda: public_url("video", "https://h/" + "é" * size, "")),
    "an output of dots": (25_000, lambda size: lambda: plan("https://h/" + "../" * size, "/")),
    "an output of escapes": (4_000, lambda size: lambda: plan("https://h/" + "%2f%80" * size, "/")),
    "a range of digits": (125_000, rest("Content-Range", lambda size: f"bytes {'5' * size}-9/10")),
    "a range of blanks": (125_000, rest("Content-Range", lambda size: f"bytes{' ' * size}x")),
    "a long ETag": (125_000, rest("ETag", lambda size: '"' + "v" * size)),
}


def done(work: Work) -> None:
    with suppress(ChamelaionError, ShapeError):
        work()


def seconds(work: Work) -> float:
    """Return the shortest of some times, which is the one least disturbed. Only this thread's own work counts."""
    times = []
    for _ in range(3):
        began = time.thread_time()
        done(work)
        times.append(time.thread_time() - began)
    return min(times)


def grows_in_step(make: Make, size: int) -> bool:
    little, much = make(size), make(size * FACTOR)
    done(much)  # what is loaded or cached once is no growth
    gc.collect()
    gc.disable()  # its work grows with what others have left lying about
    try:
        # A noisy machine may spoil a measurement, but not each.
        return any((took := seconds(much)) < NOTHING or took < seconds(little) * LIMIT for _ in range(4))
    finally:
        gc.enable()


@pytest.mark.parametrize("name", CASES)
def test_the_time_grows_in_step(name: str) -> None:
    size, make = CASES[name]

    assert grows_in_step(make, size)


def test_the_measurement_tells_a_square() -> None:
    assert grows_in_step(lambda size: lambda: sum(range(20 * size)), 2_000)
    assert not grows_in_step(lambda size: lambda: sum(range(size**2 // 100)), 2_000)


def calls(data: object, model: Any) -> int:
    """Count the functions that are called to build a model, which are the same in every run."""
    count = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        done(lambda: structure_hook(model)(data))
    finally:
        sys.setprofile(None)
    return count


def test_many_faults_are_less_work_than_as_many_records() -> None:
    def pages(record: object) -> int:
        return calls({"data": [record] * 1000, "pagination": PAGINATION}, Page[LipsyncRequest])

    def languages(value: object) -> int:
        return calls({**TRANSLATION, "outputs": dict.fromkeys(map(str, range(1000)), value)}, VideoTranslateRequest)

    assert max(map(pages, [None, {}, {**LIPSYNC, "id": 5}])) < pages(LIPSYNC)
    assert languages(5) < languages(ARTIFACTS)
