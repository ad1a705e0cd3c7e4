"""Times, sizes and text from outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.cli._ui.text import clean, one_line, seconds, size, summary, time_left


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m[blink]id[/]\r\x07\x7f\u202e\ud800", r"\x1b[31m[blink]id[/]\r\x07\x7f\u202e\ud800"),
        ("Folge 42: Überraschung", "Folge 42: Überraschung"),
        ("第42話", "第42話"),
        ("naïve 😀", "naïve 😀"),
    ],
)
def test_clean_escapes_only_what_is_not_printable(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_one_line_has_single_spaces_and_no_line_breaks() -> None:
    assert one_line("a\n  b\r\n\x1bc") == r"a b \x1bc"


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (None, "-"),
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (85, "1 min 25 s"),
        (3599.6, "1 h 00 min"),
        (3725, "1 h 02 min"),
        (200_000, "55 h 33 min"),
    ],
)
def test_a_duration_has_units_that_suit_its_length(span: float | None, shown: str) -> None:
    assert seconds(None if span is None else timedelta(seconds=span)) == shown


@pytest.mark.parametrize(
    ("remaining", "shown"),
    [
        (0, "any moment"),
        (1.9, "any moment"),
        (2.4, "about 2 s left"),
        (9.4, "about 9 s left"),
        (9.6, "about 10 s left"),
        (42, "about 40 s left"),
        (57, "about 55 s left"),
        (58, "about 1 min left"),
        (110, "about 2 min left"),
        (569, "about 9 min left"),
        (1000, "about 15 min left"),
        (3449, "about 55 min left"),
        (3451, "about 1 h left"),
        (5000, "about 1.5 h left"),
        (36_000, "about 10 h left"),
        (360_000, "about 100 h left"),
    ],
)
def test_time_left_is_rounded_as_people_say_it(remaining: float, shown: str) -> None:
    assert time_left(remaining) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (12_345_678, "12.3 MB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_a_size_has_a_unit_that_suits_it(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("details", "shown"),
    [
        ({"status": "queued"}, ""),
        ({"status": "processing"}, "queued 5.0 s"),
        ({"status": "completed", "output_url": "https://x"}, "queued 5.0 s  took 1 min 25 s  https://x"),
        ({"status": "completed"}, "queued 5.0 s  took 1 min 25 s  no output URL"),
        ({"status": "failed"}, "queued 5.0 s  took 1 min 25 s  the service gave no reason"),
    ],
)
def test_a_summary_has_the_times_and_the_result(
    job: Callable[..., LipsyncRequest], details: dict[str, Any], shown: str
) -> None:
    assert summary(job(**details)) == shown
