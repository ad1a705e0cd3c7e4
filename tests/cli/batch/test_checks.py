"""Checks of records."""

from __future__ import annotations

from pathlib import Path

import pytest

from chamelaion_async.cli._batch.checks import check_records, media_problems
from chamelaion_async.cli._batch.list_file import Record
from chamelaion_async.cli._batch.rows import Row

VIDEO, AUDIO = "https://cdn.example.com/e01.mp4", "https://cdn.example.com/e01.de.wav"

Values = dict[str, "str | list[str]"]


def problems(*values: Values) -> list[tuple[int, str, str]]:
    found = check_records([Record(line, each) for line, each in enumerate(values, start=2)], Path("dubs"))[1]
    return [*found]


@pytest.mark.parametrize(
    ("values", "row"),
    [
        ({"video": VIDEO, "audio": AUDIO}, Row(line=2, video=VIDEO, audio=AUDIO, out="e01-e01.de.mp4")),
        ({"video": "a.mp4", "audio": "b.wav"}, Row(line=2, video="a.mp4", audio="b.wav", out="a-b.mp4")),
        (
            {"video": VIDEO, "audio": AUDIO, "reference_id": "s/1"},
            Row(line=2, video=VIDEO, audio=AUDIO, reference_id="s/1", out="s_1.mp4"),
        ),
        (
            {"video": VIDEO, "languages": "de; fr,de|", "source_language": "en", "out": "t/e01/"},
            Row(line=2, video=VIDEO, languages=("de", "fr"), source_language="en", out="t/e01"),
        ),
        ({"video": VIDEO, "languages": ["de"]}, Row(line=2, video=VIDEO, languages=("de",), out="e01")),
        (
            {
                "video": VIDEO,
                "languages": "de",
                "voices": "0=a; 1=b",
                "source_srt": "e.srt",
                "target_srts": "de=d.srt",
            },
            Row(
                line=2,
                video=VIDEO,
                languages=("de",),
                voices=("0=a", "1=b"),
                source_srt="e.srt",
                target_srts=("de=d.srt",),
                out="e01",
            ),
        ),
    ],
    ids=["URLs", "files", "reference", "translation", "languages as a list", "voices and subtitles"],
)
def test_a_record_becomes_a_row(values: Values, row: Row) -> None:
    assert check_records([Record(2, values)], Path("dubs")) == ([row], [])


@pytest.mark.parametrize(
    ("values", "column", "reason"),
    [
        ({"audio": AUDIO}, "video", "it is missing"),
        ({"video": VIDEO}, "audio", "it is missing; lip sync needs audio, and a translation languages"),
        ({"video": VIDEO, "audio": AUDIO, "languages": "de"}, "languages", "a translation takes no audio"),
        ({"video": VIDEO, "audio": AUDIO, "source_language": "en"}, "source_language", "it is for translations"),
        ({"video": VIDEO, "audio": AUDIO, "voices": "0=a"}, "voices", "it is for translations"),
        ({"video": VIDEO, "audio": AUDIO, "source_srt": "a.srt"}, "source_srt", "it is for translations"),
        ({"video": VIDEO, "audio": AUDIO, "target_srts": "de=a.srt"}, "target_srts", "it is for translations"),
        ({"video": VIDEO, "languages": "de", "voices": "0"}, "voices", "takes NAME=VALUE, not '0'"),
        ({"video": VIDEO, "languages": "de", "voices": "0=a;0=b"}, "voices", "was given twice for '0'"),
        ({"video": VIDEO, "languages": "de", "voices": "anna=a"}, "voices", "'anna=a': the speaker must be a number"),
        ({"video": VIDEO, "languages": "de", "target_srts": "fr=a"}, "target_srts", "language is not in languages"),
        ({"video": VIDEO, "audio": "b.wav"}, "audio", "must be both URLs or both files"),
        ({"video": "https://", "audio": AUDIO}, "video", "must be an http(s) URL"),
        ({"video": "http://[1/x", "audio": AUDIO}, "video", "must be an http(s) URL"),
        ({"video": "s3://bucket/a.mp4", "audio": "b.wav"}, "video", "s3:// is neither http(s) nor a file"),
        ({"video": VIDEO, "audio": AUDIO, "reference_id": ".."}, "reference_id", "is not an id"),
        ({"video": VIDEO, "languages": "de;f\x1b"}, "languages", "must name at least one language"),
        ({"video": VIDEO, "audio": AUDIO, "out": "../a"}, "out", "'../a' cannot be used: it must be a path below"),
    ],
)
def test_a_wrong_value_is_a_problem_of_its_column(values: Values, column: str, reason: str) -> None:
    ((line, found, text),) = problems(values)
    assert (line, found) == (2, column)
    assert reason in text


def test_all_that_is_wrong_with_a_row_is_said_at_once() -> None:
    found = problems({"video": "ftp://a/b", "reference_id": "..", "out": "/a"})
    assert [column for _, column, _ in found] == ["reference_id", "audio", "video"]


def test_two_rows_with_one_reference_are_refused() -> None:
    same = {"video": VIDEO, "audio": AUDIO, "reference_id": "one"}
    assert problems({**same, "out": "a"}, {**same, "out": "b"}) == [
        (3, "reference_id", "line 2 has it too; give each row one of its own")
    ]


def test_the_same_work_twice_is_refused_unless_references_say_that_it_is_meant() -> None:
    same = {"video": VIDEO, "audio": AUDIO}
    assert problems({**same, "out": "a"}, {**same, "out": "b"}) == [
        (3, "video", "line 2 orders the same work; to pay for it twice, give both a reference_id")
    ]
    assert problems({**same, "reference_id": "a"}, {**same, "reference_id": "b"}) == []


def test_default_names_that_collide_are_refused() -> None:
    ((line, column, _),) = problems(
        {"video": "https://a/v.mp4", "audio": "https://a/a.wav"},
        {"video": "https://b/v.mp4", "audio": "https://b/a.wav"},
    )
    assert (line, column) == (3, "out")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nothing.mp4", "there is no file"),
        ("folder", "it is no file"),
        ("empty.mp4", "it is empty"),
        ("nul\0.mp4", "there is no file"),
        ("e" * 300, ""),
    ],
)
def test_a_file_that_cannot_be_uploaded_is_a_problem(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (problem,) = media_problems(Row(line=2, video=name, audio="a.wav", out="a"), tmp_path)
    assert problem[:2] == (2, "video")
    assert reason in problem.reason


def test_a_file_that_may_not_be_read_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"video")
    monkeypatch.setattr("os.access", lambda *_: False)  # root may read everything
    (problem,) = media_problems(Row(line=2, video="a.mp4", languages=("de",), out="a"), tmp_path)
    assert problem == (2, "video", "'a.mp4' cannot be uploaded: it may not be read")


def test_urls_are_not_looked_for_among_files(tmp_path: Path) -> None:
    assert [*media_problems(Row(line=2, video=VIDEO, audio=AUDIO, out="a"), tmp_path)] == []
