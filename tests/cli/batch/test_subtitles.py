"""The subtitles of a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chamelaion_async import Subtitle
from chamelaion_async.cli._batch.checks import media_problems
from chamelaion_async.cli._batch.rows import Row
from chamelaion_async.cli._batch.subtitles import read_subtitles

SRT = "1\n00:00:00,000 --> 00:00:01,000\nHello\n"


def row(**names: Any) -> Row:
    return Row(line=7, video="https://a/v.mp4", languages=("de",), source_language="en", out="v", **names)


def test_subtitles_are_read_from_the_folder_of_the_list(tmp_path: Path) -> None:
    (tmp_path / "en.srt").write_text(SRT, "utf-8-sig")
    (tmp_path / "de.srt").write_text(SRT, "utf-8")
    source, targets = read_subtitles(row(source_srt="en.srt", target_srts=("de=de.srt",)), tmp_path)
    assert source == Subtitle(content=SRT, file_name="en.srt", language="en")
    assert targets == {"de": Subtitle(content=SRT, file_name="de.srt", language="de")}
    assert read_subtitles(row(), tmp_path) == (None, {})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b" \n", "is blank"),
        (b"WEBVTT", "convert it first"),
    ],
)
@pytest.mark.parametrize("column", ["source_srt", "target_srts"])
def test_subtitles_that_cannot_be_sent_are_a_problem_of_their_column(
    tmp_path: Path, content: bytes | None, reason: str, column: str
) -> None:
    if content is not None:
        (tmp_path / "wrong.srt").write_bytes(content)
    names: dict[str, Any] = (
        {"source_srt": "wrong.srt"} if column == "source_srt" else {"target_srts": ("de=wrong.srt",)}
    )
    ((line, found, text),) = media_problems(row(**names), tmp_path)
    assert (line, found) == (7, column)
    assert reason in text
