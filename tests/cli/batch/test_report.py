"""What a batch shows of its rows."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.console import Console

from chamelaion_async import Forecast, LipsyncRequest
from chamelaion_async.cli._batch.board_report import BoardReport
from chamelaion_async.cli._batch.entries import Entry, Step
from chamelaion_async.cli._batch.plan import PlannedRow
from chamelaion_async.cli._batch.progress import RowProgress
from chamelaion_async.cli._batch.report import JsonReport, LineReport
from chamelaion_async.cli._batch.rows import Row
from chamelaion_async.errors import DownloadError
from chamelaion_async.polling.durations import Durations

MakeJob = Callable[..., LipsyncRequest]


def row(step: Step | None = None, line: int = 2, **details: Any) -> RowProgress:
    found = Row(line=line, video="v", audio="a", out=f"{line}.mp4")
    entry = None
    if step is not None:
        entry = Entry(reference_id="r", content=found.content, family="lipsync", step=step, request_id="job")
    planned = PlannedRow(row=found, entry=entry, target=Path("/nowhere/o"), path="o")
    progress = RowProgress(planned)
    for name, value in details.items():
        setattr(progress, name, value)
    return progress


def board(rows: list[RowProgress], durations: Any = None) -> BoardReport:
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    return BoardReport(rows, durations=durations or Durations(), footer=lambda: "the footer", console=console)


def test_a_board_begins_with_rows_to_submit() -> None:
    shown = board([row(), row(line=3)]).lines(80, 24)
    assert "0 of 2 done" in shown[0]
    assert "2 to submit" in shown[1]
    assert "the footer" in shown[2]
    assert "2.mp4" in shown[4]


@pytest.mark.parametrize(("total", "shown"), [(5_000_000, "1.2 MB of 5.0 MB"), (None, "1.2 MB")])
def test_a_row_that_is_saved_shows_its_bytes(total: int | None, shown: str) -> None:
    progress = row(Step.COMPLETED)
    report = board([progress])
    report.loaded(progress, 1_200_000, total)
    assert report.lines(80, 24)[-1].split(maxsplit=2)[2].rstrip() == f"saving      {shown}"


@pytest.mark.parametrize(
    ("progress", "status", "has_ended", "count"),
    [
        (row(Step.ACCEPTED), None, False, "1 queued"),
        (row(Step.ACCEPTED), "queued", False, "1 queued"),
        (row(Step.ACCEPTED), "processing", False, "1 processing"),
        (row(Step.COMPLETED), "completed", False, "1 saving"),
        (row(Step.SAVED), "completed", False, "1 saving"),
        (row(Step.SUBMITTING), None, False, "1 to submit"),
        (row(Step.SAVED, paths=[Path("o")]), "completed", True, "1 saved"),
        (row(Step.FAILED), "failed", True, "1 failed"),
        (row(Step.COMPLETED, error=DownloadError("it broke off")), "completed", True, "1 not finished"),
        (row(Step.SUBMITTING), None, True, "1 not finished"),
        (row(None, error=DownloadError("no")), None, True, "1 not finished"),
        (row(None), None, True, "1 to submit"),
    ],
)
def test_a_row_is_counted_by_how_far_it_has_come(
    job: MakeJob, progress: RowProgress, status: str | None, has_ended: bool, count: str
) -> None:
    progress.job = None if status is None else job(status)
    report = board([progress])
    (report.ended if has_ended else report.changed)(progress)
    assert report.lines(80, 24)[1].strip("\u00b7\u25cb\u25b8\u2193\u2713\u2717! ") == count


def test_an_open_row_shows_how_long_it_will_take(job: MakeJob) -> None:
    class Known:
        def forecast(self, _: object) -> Forecast:
            return Forecast(remaining=40.0, low=30.0, high=50.0, samples=9)

        def age(self, _: object) -> float:
            return 10.0

    progress = row(Step.ACCEPTED, job=job("processing"))
    report = board([progress], Known())
    report.changed(progress)
    assert "about 40 s left" in report.lines(80, 24)[4]


async def test_the_reasons_follow_when_a_board_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row(Step.COMPLETED, error=DownloadError("it broke off")), row(Step.SAVED, line=3, paths=[Path("o")])]
    report = board(rows)
    with report:
        for each in rows:
            report.ended(each)
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "chamelaion-async: line 2, 2.mp4: it broke off\n"


def test_lines_escape_what_comes_from_outside(capsys: pytest.CaptureFixture[str]) -> None:
    progress = row(Step.FAILED)
    assert progress.entry is not None
    progress.entry = attrs.evolve(progress.entry, error="\x1b[2Jno")
    LineReport([progress], clock=lambda: 5.0).ended(progress)
    assert capsys.readouterr().out == "   0.0 s  2.mp4  failed      \\x1b[2Jno\n"


def test_an_error_is_in_json_and_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    JsonReport().ended(row(Step.COMPLETED, error=DownloadError("it broke off")))
    printed = capsys.readouterr()
    assert printed.err == "chamelaion-async: line 2, 2.mp4: it broke off\n"
    found = json.loads(printed.out)
    assert (found["error"], found["message"], found["state"]) == ("DownloadError", "it broke off", "completed")
