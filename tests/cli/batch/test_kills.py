"""A short form of the run in ``kills``; ``nox -s kills`` plays a long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from .kills import Season, play


def test_a_batch_that_is_killed_again_and_again_pays_once_for_each_row_and_loses_none(tmp_path: Path) -> None:
    tally = play(tmp_path, rows=16, kills=3, rate=1200.0, seed=1)
    assert tally.wrong == []
    assert tally.kills == 3
    assert tally.jobs == tally.rows


def test_the_check_sees_outputs_that_are_missing_torn_or_left_over(tmp_path: Path) -> None:
    season = Season(tmp_path, 4, seed=0)
    (season.out / "s1").mkdir(parents=True)
    (season.out / "s1" / "e001.mp4").write_bytes(b"half")
    (season.out / "s2.mp4.part").touch()
    assert season.wrong_outputs() == [
        "s2.mp4.part is left over",
        "s0/e000.mp4 is missing",
        "s2/e002.mp4 is missing",
        "s0/e003.mp4 is missing",
        "s1/e001.mp4 is not what was uploaded",
    ]


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 2, 3)])
def test_the_check_sees_clips_of_different_sizes(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    season = Season(tmp_path, 0, seed=0)
    season.out.mkdir()
    for number, size in enumerate(sizes):
        (season.out / f"{number}.mp4").write_bytes(b"x" * size)
    assert bool(season.wrong_outputs()) is (len({*sizes}) > 2)
