"""Boards for jobs, without a service."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from rich.console import Console

from chamelaion_async import ConfigurationError, Durations, LipsyncRequest, WaitTimeoutError, WaitUnreachableError
from chamelaion_async.cli._ui.board import JsonBoard, LineBoard, make_board
from chamelaion_async.cli._ui.board.table import TableBoard
from chamelaion_async.cli._ui.text import clean, one_line

NASTY = "\x1b[31m[blink]id[/]\r\x07\x7f\u202e\ud800"
BAR = "\u2501\u2500"  # done, to do
Job = Callable[..., LipsyncRequest]


@pytest.fixture
def console() -> Iterator[Console]:
    """A terminal without colours: every escape code in its output comes from outside."""
    with Console(file=io.StringIO(), force_terminal=True, color_system=None, width=80, legacy_windows=False) as made:
        yield made


def rows(board: TableBoard, *, width: int = 80, height: int = 40) -> list[str]:
    """The lines below the heading."""
    lines = [line.rstrip() for line in board.lines(width, height)]
    return lines[lines.index("") + 1 :]


def durations(job: Job, *, now: float, finished: int = 20) -> Durations:
    """Durations of jobs that took 85 seconds each, as known so many seconds after a job was accepted."""
    made = Durations(clock=lambda: 0.0)
    for number in range(finished):
        made.add(job("completed", id=f"{number}"))
    made.add(job("queued"), job().created_at + timedelta(seconds=now))
    return made


def timeout(id: str) -> WaitTimeoutError:
    return WaitTimeoutError("late", id=id, last=None, elapsed=1.0, polls=1, last_error=None)


@pytest.mark.parametrize(
    ("is_terminal", "name", "json", "kind"),
    [
        (True, "xterm", False, TableBoard),
        (True, "dumb", False, LineBoard),
        (False, "xterm", False, LineBoard),
        (True, "xterm", True, JsonBoard),
    ],
)
def test_the_board_suits_stdout(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, name: str, json: bool, kind: type[object]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal, raising=False)
    monkeypatch.setenv("TERM", name)
    assert isinstance(make_board(["a"], json=json), kind)


def test_lines_are_aligned_and_timed(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([100.0, 101.5, 112.25])
    with LineBoard(["a", "longer"], clock=lambda: next(times)) as board:
        board.job_changed("a", job("queued"))
        board.job_changed("longer", job("processing"))
    assert capsys.readouterr().out == "   1.5 s  a       queued\n  12.2 s  longer  processing  queued 5.0 s\n"


def test_a_long_line_is_not_broken_and_has_no_control_characters(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "https://cdn.example.com/" + "x" * 2000
    board = LineBoard([NASTY], clock=lambda: 0.0)
    board.job_changed(NASTY, job("\x1b[2J"))
    board.job_changed(NASTY, job("completed", output_url=url))
    first, second = capsys.readouterr().out.splitlines()
    assert (first + second).isprintable()
    assert first.split()[2:4] == [clean(NASTY), r"\x1b[2J"]
    assert second.endswith(f"  {url}")


def test_an_id_that_the_error_quotes_is_not_printed_twice(capsys: pytest.CaptureFixture[str]) -> None:
    LineBoard([""], clock=lambda: 0.0).wait_failed("", ConfigurationError("'' is not an id"))
    assert capsys.readouterr().err == "chamelaion-async: '' is not an id\n"


def test_json_has_finished_jobs_and_errors(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    with JsonBoard() as board:
        board.job_changed("a", job("processing"))
        board.job_changed("a", job("completed", output_url="https://x/\x7f\u202e"))
        board.wait_failed("b", timeout("b"))
    printed = capsys.readouterr()
    assert printed.out.isascii()
    assert printed.out.replace("\n", "").isprintable()
    done, late = map(json.loads, printed.out.splitlines())
    assert done["output_url"] == "https://x/\x7f\u202e"
    assert late == {"id": "b", "error": "WaitTimeoutError", "message": late["message"]}
    assert late["message"] in printed.err


def test_each_state_has_a_mark_a_word_and_a_count(console: Console, job: Job) -> None:
    id = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"
    board = TableBoard(["a", id, "c", "d", NASTY, "f", "g", "h"], console=console)
    board.job_changed("a", job("processing"))
    board.job_changed(id, job("completed"))
    board.wait_failed("c", timeout("c"))
    board.wait_failed("d", WaitUnreachableError("", id="d", last=None, elapsed=1.0, polls=1, last_error=None))
    board.job_changed(NASTY, job("[red]\x1b[2J"))
    board.job_changed("g", job("queued"))
    board.job_changed("h", job("failed", error_message="video URL is not accessible"))
    lines = board.lines(120, 40)
    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith("2 of 8 done ")
    assert lines[1] == (
        "\u00b7 1 unread  \u25cb 1 queued  \u25b8 2 processing  \u2713 1 completed  \u2717 1 failed"
        "  ! 1 timed out  ? 1 unreadable"
    )
    shown = [" ".join(row.split()) for row in rows(board, width=120)]
    assert shown[0] == "\u25b8 a processing queued 5.0 s"
    assert shown[1] == f"\u2713 {id} completed took 1:25, queued 5.0 s"
    assert shown[2].startswith("! c timed out no answer yet after 1.0 s")
    assert shown[3].startswith("? d unreachable stopped after 1.0 s")
    assert shown[4].startswith("\u25b8 \\x1b[31m[blink]id[/]")
    assert shown[4].endswith("[red]\\x1b[\u2026 queued 5.0 s")
    assert shown[5] == "\u00b7 f unread"
    assert shown[6] == "\u25cb g queued"
    assert shown[7] == "\u2717 h failed video URL is not accessible"


def test_a_job_that_timed_out_is_not_done_and_shows_its_last_state(console: Console, job: Job) -> None:
    board = TableBoard(["a"], console=console)
    board.job_changed("a", job("processing"))
    board.wait_failed("a", timeout("a"))
    assert board.lines(80, 24)[0].startswith("0 of 1 done ")
    assert rows(board) == ["! a timed out   processing, queued 5.0 s"]


@pytest.mark.parametrize(
    ("now", "left", "full"),
    [
        pytest.param(5.0, "about 1 min left", 0, id="just started"),
        pytest.param(48.0, "about 40 s left", 5, id="halfway"),
        pytest.param(89.0, "any moment", 9, id="due"),
        pytest.param(185.0, "about 3 min left", 5, id="longer than any before"),
    ],
)
def test_an_open_job_has_a_bar_and_a_forecast(console: Console, job: Job, now: float, left: str, full: int) -> None:
    board = TableBoard(["a", "b", "c"], durations=durations(job, now=now), console=console)
    board.job_changed("a", job("processing"))
    board.job_changed("b", job("completed"))
    first, *others = rows(board)
    assert first == f"\u25b8 a processing  {BAR[0] * full}{BAR[1] * (10 - full)} {left}"
    assert not any("left" in row for row in others)


def test_without_a_finished_job_there_is_no_forecast(console: Console, job: Job) -> None:
    board = TableBoard(["a"], durations=durations(job, now=45.0, finished=0), console=console)
    board.job_changed("a", job("processing"))
    board._refresh(["a"])
    assert "left" not in "".join(board.lines(80, 24))


def test_a_refresh_shows_what_was_learned_since(console: Console, job: Job) -> None:
    known = durations(job, now=45.0, finished=0)
    board = TableBoard(["a", "b"], durations=known, console=console)
    board.job_changed("a", job("processing"))
    known.add(job("completed", id="other"))
    assert "left" not in "".join(board.lines(80, 24))
    board._refresh(["a"])
    assert rows(board)[0].endswith("about 45 s left")


def test_the_forecast_of_all_is_that_of_the_last_and_covers_jobs_that_are_folded(console: Console, job: Job) -> None:
    names = [f"{number}" for number in range(100)]
    board = TableBoard(names, durations=durations(job, now=45.0), console=console)
    for name in names:
        board.job_changed(name, job("processing"))
    for _ in range(10):
        board._refresh(names[:5])
    assert re.search(r", about \d+ (s|min) left$", board.lines(80, 24)[0])
    for name in names:
        board.job_changed(name, job("completed"))
    board._refresh(names[:5])
    assert board.lines(80, 24)[0].endswith(" 0:00")


def test_rows_that_have_ended_take_no_turn_from_forecasts(console: Console, job: Job) -> None:
    ended, going = [f"ended {number}" for number in range(12)], [f"going {number}" for number in range(8)]
    board = TableBoard([*ended, *going], durations=durations(job, now=45.0), console=console)
    for name in ended:
        board.job_changed(name, job("failed"))
    for name in going:
        board.job_changed(name, job("processing"))
    board._refresh([*ended, *going])
    assert sum("left" in row for row in rows(board)) == len(going)


def test_most_jobs_without_a_forecast_leave_all_without_one(console: Console, job: Job) -> None:
    board = TableBoard(["a", "b", "c"], durations=durations(job, now=45.0), console=console)
    board.job_changed("a", job("processing"))
    board._refresh(["a"])
    assert "left" not in board.lines(80, 24)[0]
    board.wait_failed("b", timeout("b"))
    board._refresh(["a"])
    assert board.lines(80, 24)[0].endswith("left")


async def test_results_and_errors_follow_the_rows(
    console: Console, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    with TableBoard(["a", NASTY, "c"], console=console) as board:
        board.job_changed("a", job("failed", error_message="\x1b[2Jno [b]way[/b]"))
        board.wait_failed(NASTY, timeout(NASTY))
        board.job_changed("c", job("processing"))
    printed = capsys.readouterr()
    assert printed.out.split() == ["a", "failed", r"\x1b[2Jno", "[b]way[/b]"]  # an open job has no result
    assert printed.err.startswith(f"chamelaion-async: {one_line(NASTY)}: no answer yet after 1.0 s")
    assert printed.err.count("\n") == 1


async def test_a_terminal_without_unicode_gets_ascii(job: Job) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=file, force_terminal=True, color_system=None, width=60, legacy_windows=False)
    with TableBoard(["a", "b"], durations=durations(job, now=45.0), console=console) as board:
        board.job_changed("a", job("processing"))
        board.job_changed("b", job("failed", error_message="x" * 100))
    shown = file.buffer.getvalue()
    assert b"left" in shown
    assert shown.isascii()


@pytest.mark.virtual_time
async def test_a_board_of_300_jobs_takes_less_than_three_hundredths_of_a_core(job: Job) -> None:
    """For a minute, fifty jobs change each second, and it is drawn as often as it ever is."""
    names = [f"{number:08x}-a6d4-4e8a-a0fa-e8b09823a2d8" for number in range(300)]
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24, legacy_windows=False)
    board = TableBoard(names, durations=durations(job, now=45.0, finished=200), console=console)
    changed = job("processing")
    tracer = sys.gettrace()
    sys.settrace(None)  # what it costs to measure coverage is not its own
    began = time.process_time()
    with board:
        for second in range(60):
            for name in names[second % 6 :: 6]:
                board.job_changed(name, changed)
            board._refresh(names[:18])
            for _ in range(4):
                await asyncio.sleep(0.25)
                board._live.put(names[0], board._live.rows[names[0]])
    took = time.process_time() - began
    sys.settrace(tracer)
    assert file.getvalue().count("0 of 300 done") >= 200
    assert took < 0.03 * 60
