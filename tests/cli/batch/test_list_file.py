"""Lists as CSV and as JSON lines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chamelaion_async.cli._batch import list_file
from chamelaion_async.cli._batch.list_file import Problem, Record, read_list
from chamelaion_async.errors import ConfigurationError


def read(folder: Path, content: str | bytes) -> tuple[list[Record], list[Problem]]:
    path = folder / "jobs"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_list(path)


@pytest.mark.parametrize(
    ("content", "records"),
    [
        ("video,audio\na,b\nc,d\n", [(2, "a", "b"), (3, "c", "d")]),
        ("video,audio\r\na,b\r\n", [(2, "a", "b")]),
        ("video;audio\na,1;b\n", [(2, "a,1", "b")]),
        ("video\taudio\na\tb\n", [(2, "a", "b")]),
        (b"\xef\xbb\xbf Video , AUDIO \n a , b \n", [(2, "a", "b")]),
        ("\n\nvideo,audio\n\n,\na,b", [(6, "a", "b")]),
        ('video,audio\n"a\nb",c\nd,e\n', [(2, "a\nb", "c"), (4, "d", "e")]),
        ("video,audio,#title\na,b,hello\n", [(2, "a", "b")]),
        ("video,audio,\na,b,\n", [(2, "a", "b")]),
        ("video,audio,out\na,b\n", [(2, "a", "b")]),
        ('{"video": " a ", "audio": "b"}\n\n{"video": "c", "audio": "d"}', [(1, "a", "b"), (3, "c", "d")]),
        ('{"video": "a\u2028a", "audio": "b", "out": null, "#title": 7}\r\n', [(1, "a\u2028a", "b")]),
    ],
    ids=[
        "csv",
        "lines of Windows",
        "semicolons",
        "tabs",
        "a byte order mark, blanks and capitals",
        "empty lines",
        "a line end in quotes",
        "a column of one's own",
        "a column without a name",
        "a short row",
        "JSON",
        "JSON with a separator that splitlines takes for a line end",
    ],
)
def test_rows_are_read_with_their_lines(
    tmp_path: Path, content: str | bytes, records: list[tuple[int, str, str]]
) -> None:
    expected = [Record(line, {"video": video, "audio": audio}) for line, video, audio in records]
    assert read(tmp_path, content) == (expected, [])


def test_an_empty_value_is_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "video,out\na,\n")[0] == [Record(2, {"video": "a"})]
    assert read(tmp_path, '{"video": "a", "out": " ", "languages": []}')[0] == [Record(1, {"video": "a"})]


def test_languages_may_be_a_list_in_json(tmp_path: Path) -> None:
    assert read(tmp_path, '{"languages": ["de", " fr "]}')[0] == [Record(1, {"languages": ["de", "fr"]})]


@pytest.mark.parametrize(
    ("content", "line", "column", "reason"),
    [
        ("video,auido\na,b\n", 1, "auido", "did you mean audio?"),
        ("https://a/v.mp4,https://a/a.wav\n", 1, "", "the first line must name the columns; they are video, audio"),
        ("video,sound\na,b\n", 1, "sound", "the columns are video, audio, languages"),
        ("video,video\na,b\n", 1, "video", "names this column twice"),
        ("video,audio\na,b,c\n", 2, "", "it has 3 values, and the header 2 columns"),
        ('video,audio\na,b\n"c,d\n', 3, "", "it is not CSV"),
        ('{"video": "a"}\n{"video": }', 2, "", "it is not JSON"),
        ('{"a":' * 9000, 1, "", "it is not JSON"),
        ('{"video": "a"}\n["b"]', 2, "", "write one object a line"),
        ('[{"video": "a"}]', 1, "", "write one object a line"),
        ('{"vide": "a"}', 1, "vide", "did you mean video?"),
        ('{"video": 7}', 1, "video", "it must be text, not 7"),
        ('{"languages": [7]}', 1, "languages", "it must be a list of texts"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_problem_with_its_line(
    tmp_path: Path, content: str, line: int, column: str, reason: str
) -> None:
    (problem,) = read(tmp_path, content)[1]
    assert problem[:2] == (line, column)
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "has no rows"),
        ("video,audio\n\n", "has no rows"),
        ("video,audio\n\u00e9,b\n".encode("latin-1"), "is not UTF-8; save it as UTF-8"),
        ("video,audio\na,b\n".encode("utf-16"), "is not UTF-8"),
    ],
)
def test_a_list_without_rows_or_in_another_encoding_is_refused(
    tmp_path: Path, content: str | bytes, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        read(tmp_path, content)


def test_what_is_no_list_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        read_list(tmp_path / "nothing")
    with pytest.raises(ConfigurationError, match="it is no file"):
        read_list(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="it is no file"):
        read_list(tmp_path / "pipe")
    monkeypatch.setattr(list_file, "_MAX_SIZE", 3)
    with pytest.raises(ConfigurationError, match="it is no list"):
        read(tmp_path, "video,audio\na,b\n")


def test_a_list_that_the_system_does_not_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    (tmp_path / "jobs").write_text("video,audio\na,b\n")
    with pytest.raises(ConfigurationError, match="cannot be read: Permission denied"):
        read_list(tmp_path / "jobs")
