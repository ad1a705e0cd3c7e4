"""Rows matched with submissions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chamelaion_async.cli._batch.entries import Entry, Step
from chamelaion_async.cli._batch.list_file import Problem
from chamelaion_async.cli._batch.plan import Plan, make_plan
from chamelaion_async.cli._batch.rows import Row

ONE, OTHER = "https://a/1.mp4", "https://a/2.mp4"


def row(line: int, video: str = ONE, reference_id: str | None = None, **details: Any) -> Row:
    return Row(
        **{"line": line, "video": video, "audio": "a", "out": f"{line}.mp4", "reference_id": reference_id, **details}
    )


def entry(reference_id: str, step: Step = Step.ACCEPTED, video: str = ONE, **details: Any) -> Entry:
    content: Any = {"video": video, "audio": "a"}
    return Entry(
        reference_id=reference_id,
        content=content,
        family="lipsync",
        step=step,
        request_id=f"job-{reference_id}",
        **details,
    )


def plan(
    rows: list[Row], entries: list[Entry], folder: Path = Path(), *, overwrite: bool = False
) -> tuple[Plan, list[Problem]]:
    known = {each.reference_id: each for each in entries}
    return make_plan(rows, known, folder=folder, out=folder / "dubs", overwrite=overwrite)


def matched(rows: list[Row], entries: list[Entry]) -> list[str | None]:
    planned, problems = plan(rows, entries)
    assert problems == []
    return [None if each.entry is None else each.entry.reference_id for each in planned.rows]


@pytest.mark.parametrize(
    ("rows", "entries", "expected"),
    [
        ([row(2), row(3, OTHER)], [entry("x", video=OTHER), entry("y")], ["y", "x"]),
        ([row(2, reference_id="r")], [entry("r")], ["r"]),
        ([row(2, ONE + "?signature=2", "r")], [entry("r", video=ONE + "?signature=1")], ["r"]),
        ([row(2), row(3, reference_id="r")], [entry("r"), entry("x")], ["x", "r"]),
        ([row(2, OTHER)], [entry("x")], [None]),
        ([row(2)], [entry("x", Step.FAILED), entry("y", Step.SAVED)], ["y"]),
        ([row(2)], [entry("x", Step.FAILED)], ["x"]),
        ([row(2, reference_id="new")], [entry("x", Step.FAILED)], [None]),
        ([row(2, reference_id="new")], [entry("x", Step.REFUSED)], [None]),
        ([row(2, OTHER, "r")], [entry("r", Step.REFUSED)], ["r"]),
        ([row(2), row(3, reference_id="new")], [entry("x")], ["x", None]),
        ([row(2)], [entry("r")], ["r"]),
    ],
    ids=[
        "rows in another order",
        "a reference",
        "a URL that was signed again",
        "a reference before the same work",
        "other work",
        "the job that has been paid for before one that failed",
        "a job that failed is not tried again",
        "unless it is given a reference",
        "a submission that was refused neither",
        "a row that was corrected after a refusal",
        "a second row for the same work",
        "a reference that was taken out of the list",
    ],
)
def test_a_row_is_matched_with(rows: list[Row], entries: list[Entry], expected: list[str | None]) -> None:
    assert matched(rows, entries) == expected


@pytest.mark.parametrize("step", [Step.SUBMITTING, Step.ACCEPTED, Step.COMPLETED, Step.FAILED, Step.SAVED])
def test_a_reference_that_was_submitted_for_other_work_is_refused(step: Step) -> None:
    _, ((line, column, reason),) = plan([row(4, OTHER, "r")], [entry("r", step)])
    assert (line, column) == (4, "reference_id")
    assert reason == "'r' was submitted for other work (https://a/1.mp4, a); choose a new reference_id"


@pytest.mark.parametrize("step", [Step.SUBMITTING, Step.ACCEPTED, Step.COMPLETED, Step.SAVED])
def test_a_reference_that_was_changed_after_the_submission_is_refused(step: Step) -> None:
    """Otherwise the row would be paid for again."""
    _, ((line, column, reason),) = plan([row(4, reference_id="new")], [entry("old", step)])
    assert (line, column) == (4, "reference_id")
    assert reason == "the same work was submitted as 'old'; to go on with that job, write this here"


def test_open_submissions_of_no_row_are_listed() -> None:
    steps = [*Step]
    found, problems = plan([row(2, OTHER)], [entry(step, step) for step in steps])
    assert problems == []
    assert [each.step for each in found.others] == [Step.SUBMITTING, Step.ACCEPTED, Step.COMPLETED]


def test_an_output_that_exists_is_refused_unless_overwritten(tmp_path: Path) -> None:
    (tmp_path / "dubs").mkdir()
    (tmp_path / "dubs" / "2.mp4").touch()
    (tmp_path / "dubs" / "3.mp4").symlink_to("nowhere")
    (tmp_path / "dubs" / "4.mp4").mkdir()
    (tmp_path / "dubs" / "4.mp4" / "de.mp4").touch()
    rows = [row(2), row(3, OTHER), row(4, audio=None, languages=("de",)), row(5, OTHER + "5")]
    assert [problem.line for problem in plan(rows, [], tmp_path)[1]] == [2, 3, 4]
    assert plan(rows, [], tmp_path, overwrite=True)[1] == []


def test_an_empty_folder_may_take_a_translation(tmp_path: Path) -> None:
    (tmp_path / "dubs" / "2.mp4").mkdir(parents=True)
    assert plan([row(2, audio=None, languages=("de",))], [], tmp_path)[1] == []


@pytest.mark.parametrize("step", [Step.COMPLETED, Step.SAVED])
def test_an_output_of_an_earlier_run_is_no_obstacle(tmp_path: Path, step: Step) -> None:
    (tmp_path / "dubs").mkdir()
    (tmp_path / "dubs" / "2.mp4").touch()
    found, problems = plan([row(2)], [entry("x", step, path="dubs/2.mp4")], tmp_path)
    assert problems == []
    assert found.rows[0].is_begun
    assert found.rows[0].is_saved is (step is Step.SAVED)


@pytest.mark.parametrize("path", [None, "dubs/other.mp4"])
def test_a_foreign_file_is_not_taken_for_the_output(tmp_path: Path, path: str | None) -> None:
    """As after an output of the list was renamed, or where a file was to be replaced."""
    (tmp_path / "dubs").mkdir()
    (tmp_path / "dubs" / "2.mp4").touch()
    found, problems = plan([row(2)], [entry("x", Step.COMPLETED, path=path)], tmp_path)
    assert [problem.line for problem in problems] == [2]
    assert not found.rows[0].is_begun


def test_an_output_that_is_gone_is_not_saved(tmp_path: Path) -> None:
    found, problems = plan([row(2)], [entry("x", Step.SAVED, path="dubs/2.mp4")], tmp_path)
    assert problems == []
    assert not found.rows[0].is_saved


def test_a_path_on_another_drive_is_named_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("os.path.relpath", elsewhere)
    assert plan([row(2)], [], tmp_path)[0].rows[0].path == (tmp_path / "dubs" / "2.mp4").as_posix()
