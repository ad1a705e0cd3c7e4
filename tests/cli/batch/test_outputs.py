"""The names of outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from chamelaion_async.cli._batch.outputs import collisions, default_name, name_problem, stem_of


@pytest.mark.parametrize(
    ("medium", "is_url", "stem"),
    [
        ("https://cdn.example.com/s01/e%2001.mp4?signature=a/b.c", True, "e 01"),
        ("https://cdn.example.com", True, ""),
        ("media/e01.de.wav", False, "e01.de"),
        ("media\\e01.wav", False, "e01"),
    ],
)
def test_the_stem_of_a_medium_is_its_name_without_the_suffix(medium: str, is_url: bool, stem: str) -> None:
    assert stem_of(medium, is_url=is_url) == stem


@pytest.mark.parametrize(
    ("stem", "is_folder", "name"),
    [
        ("e01-de", False, "e01-de.mp4"),
        ("e01", True, "e01"),
        ("../a/b", False, "_a_b.mp4"),
        ("", False, "output.mp4"),
        ("\u00e9" * 200, False, "\u00e9" * 75 + ".mp4"),
    ],
)
def test_a_default_name_is_one_part_that_every_system_allows(stem: str, is_folder: bool, name: str) -> None:
    assert default_name(stem, is_folder=is_folder) == name
    assert name_problem(name, Path(), is_folder=is_folder) == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "below --out"),
        ("../up.mp4", "'..'"),
        ("a/../../up.mp4", "'..'"),
        ("./a.mp4", "'.'"),
        ("a//b.mp4", "empty parts"),
        ("a\\b.mp4", "forward slashes"),
        ("C:a.mp4", "below --out"),
        ("a/", "ends with a slash"),
        ("a\x1b.mp4", "not printable"),
        ("a.mp4.part", "choose another name"),
        ("a.mp4.PART.json", "choose another name"),
        ("a" * 246, "longer than"),
        ("out/x.mp4", "a symlink leads out"),
    ],
)
def test_a_name_that_escapes_the_folder_or_cannot_be_written_is_refused(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "dubs").mkdir()
    (tmp_path / "dubs" / "out").symlink_to(tmp_path)
    assert reason in name_problem(name, tmp_path / "dubs", is_folder=False)


def test_a_name_may_lead_through_folders_and_symlinks_within(tmp_path: Path) -> None:
    (tmp_path / "s01").mkdir()
    (tmp_path / "latest").symlink_to("s01")
    assert name_problem("latest/e01.mp4", tmp_path, is_folder=False) == ""
    assert name_problem("s02/e01/", tmp_path, is_folder=True) == ""


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        (["a.mp4", "b.mp4", "s/a.mp4", "s/b.mp4"], []),
        (["a.mp4", "b.mp4", "a.mp4"], [3]),
        (["a.mp4", "A.MP4"], [2]),
        (["caf\u00e9", "cafe\u0301"], [2]),
        (["a", "a/b.mp4"], [2]),
        (["a/b.mp4", "a"], [2]),
        (["a/b/c", "A/b"], [2]),
        (["a", "a", "a"], [2, 3]),
    ],
    ids=["none", "same", "case", "accents", "a file as a folder", "a folder as a file", "deep", "three"],
)
def test_names_in_each_others_way_are_problems_of_the_later_line(names: list[str], lines: list[int]) -> None:
    assert [problem.line for problem in collisions(enumerate(names, start=1))] == lines


def test_a_collision_names_both_lines() -> None:
    (problem,) = collisions([(2, "a.mp4"), (7, "a.mp4")])
    assert problem == (7, "out", "line 2 has the same output, a.mp4; give each its own")
