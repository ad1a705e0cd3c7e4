"""Rows."""

from __future__ import annotations

import pytest

from chamelaion_async.cli._batch.rows import Row, is_same_work, is_url


@pytest.mark.parametrize(
    ("medium", "expected"),
    [("https://a/b", True), ("HTTP://a/b", True), ("a.mp4", False), ("s3://a/b", False), ("C:/a.mp4", False)],
)
def test_a_scheme_of_the_web_makes_a_url(medium: str, expected: bool) -> None:
    assert is_url(medium) is expected


def test_languages_make_a_translation() -> None:
    assert Row(line=1, video="v", languages=("de",), out="o").family == "translate"
    assert Row(line=1, video="v", audio="a", out="o").family == "lipsync"


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Row(line=9, video="https://a/v?x=2", audio="a?1", reference_id="r", out="p"), True),
        (Row(line=1, video="https://a/w?x=1", audio="a?1", out="o"), False),
        (Row(line=1, video="https://a/v", audio="a?2", out="o"), False),
        (Row(line=1, video="https://a/v", languages=("de",), out="o"), False),
    ],
    ids=["another signature", "another URL", "another file", "a translation"],
)
def test_a_query_makes_no_other_work_and_anything_else_does(other: Row, expected: bool) -> None:
    row = Row(line=1, video="https://a/v?x=1", audio="a?1", out="o")
    assert is_same_work(row.content, other.content) is expected
