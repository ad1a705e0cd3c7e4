"""What ``wait`` shows, without a service."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from rich.console import Console

from chamelaion_async import ConfigurationError, Durations, LipsyncRequest, WaitTimeoutError, WaitUnreachableError
from chamelaion_async.cli._ui.board import JsonBoard, LineBoard, TableBoard, make_board
from chamelaion_async.cli._ui.text import clean, one_line

NASTY = "\x1b[31m[blink]id[/]\r\x07\x7f\u202e\ud800"
Job = Callable[..., LipsyncRequest]


@pytest.fixture
def console() -> Iterator[Console]:
    """A terminal without colours: every escape code in its output comes from outside."""
    with Console(file=io.StringIO(), force_terminal=True, color_system=None, width=80, legacy_windows=False) as made:
        yield made


def drawn(console: Console, board: TableBoard) -> str:
    with console.capture() as capture:
        console.print(board.table())
    return capture.get()


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


def test_a_table_has_states_and_times_and_fits_into_80_columns(console: Console, job: Job) -> None:
    id = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"
    board = TableBoard(["a", id, "c", "d", NASTY, "f"], console=console)
    board.job_changed("a", job("processing"))
    board.job_changed(id, job("completed"))
    board.wait_failed("c", timeout("c"))
    board.wait_failed("d", WaitUnreachableError("", id="d", last=None, elapsed=1.0, polls=1, last_error=None))
    board.job_changed(NASTY, job("[red]\x1b[2J"))
    table = drawn(console, board)
    assert all(line.isprintable() for line in table.splitlines())
    assert r"\x1b[31m[blink]id[/]" in table
    assert r"[red]\x1b[2J" in table
    rows = [line.split() for line in table.splitlines()]
    assert [id, "completed", "5.0", "s", "1", "min", "25", "s"] in rows
    assert ["c", "timed", "out", "-", "-"] in rows
    assert ["d", "unreachable", "-", "-"] in rows
    assert any(row[1:] == ["a", "processing", "5.0", "s", "-"] for row in rows)  # with a spinner before it
    assert any(row[1:] == ["f", "no", "answer", "-", "-"] for row in rows)
    assert "3 of 6 done" in table


@pytest.mark.parametrize(
    ("now", "left"),
    [
        pytest.param(5.0, "about 1 min left", id="just started"),
        pytest.param(48.0, "about 40 s left", id="halfway"),
        pytest.param(89.0, "any moment", id="due"),
        pytest.param(185.0, "about 3 min left", id="longer than any before"),
    ],
)
def test_an_open_job_has_a_forecast_below_its_name(console: Console, job: Job, now: float, left: str) -> None:
    board = TableBoard(["a", "b", "c"], durations=durations(job, now=now), console=console)
    board.job_changed("a", job("processing"))
    board.job_changed("b", job("completed"))
    lines = [" ".join(line.split()[1:]) for line in drawn(console, board).splitlines()]
    place = lines.index("a processing 5.0 s -")
    assert lines[place + 1].endswith(left)
    assert sum(line.endswith(("left", "moment")) for line in lines) == 1


def test_the_bar_is_the_part_of_the_time_that_has_passed(console: Console, job: Job) -> None:
    board = TableBoard(["a"], durations=durations(job, now=45.0), console=console)
    board.job_changed("a", job("processing"))
    (line,) = (line for line in drawn(console, board).splitlines() if "left" in line)
    assert line.count("━") == 9  # of 18; a terminal without colours shows no rest


def test_without_a_finished_job_there_is_no_forecast(console: Console, job: Job) -> None:
    plain = TableBoard(["a"], console=console)
    board = TableBoard(["a"], durations=durations(job, now=45.0, finished=0), console=console)
    for each in (plain, board):
        each.job_changed("a", job("processing"))
        each.update()
    assert drawn(console, board) == drawn(console, plain)


def test_an_update_shows_what_was_learned_since(console: Console, job: Job) -> None:
    known = durations(job, now=45.0, finished=0)
    board = TableBoard(["a", "b"], durations=known, console=console)
    board.job_changed("a", job("processing"))
    known.add(job("completed", id="other"))
    assert "left" not in drawn(console, board)
    board.update()
    assert "about 45 s left" in drawn(console, board)


def test_a_table_that_fills_the_terminal_has_no_forecasts(console: Console, job: Job) -> None:
    console.height = 12
    for count, shown in [(3, 3), (4, 0), (20, 0)]:
        names = [f"{number}" for number in range(count)]
        board = TableBoard(names, durations=durations(job, now=45.0), console=console)
        for name in names:
            board.job_changed(name, job("processing"))
        board.update()
        assert drawn(console, board).count("left") == shown


@pytest.mark.parametrize("width", [80, 60])
def test_a_forecast_leaves_the_width_of_a_table_with_uuids_as_it_is(console: Console, job: Job, width: int) -> None:
    id, created_at = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8", job().created_at
    known = Durations(clock=lambda: 0.0)
    known.add(job("completed", started_at=created_at, finished_at=created_at + timedelta(minutes=55)))
    known.add(job("queued"), created_at)
    console.width = width
    boards = [TableBoard([id], console=console), TableBoard([id], durations=known, console=console)]
    for board in boards:
        board.job_changed(id, job("queued"))
    plain, table = (drawn(console, board) for board in boards)
    assert "about 55 min left" in table
    assert max(map(len, table.splitlines())) == max(map(len, plain.splitlines()))


def test_results_and_errors_follow_the_table(console: Console, job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    with TableBoard(["a", NASTY, "c"], console=console) as board:
        board.job_changed("a", job("failed", error_message="\x1b[2Jno [b]way[/b]"))
        board.wait_failed(NASTY, timeout(NASTY))
        board.job_changed("c", job("processing"))
    printed = capsys.readouterr()
    assert printed.out.split() == ["a", "failed", r"\x1b[2Jno", "[b]way[/b]"]  # an open job has no result
    assert printed.err.startswith(f"chamelaion-async: {one_line(NASTY)}: no answer yet after 1.0 s")
    assert printed.err.count("\n") == 1


def test_a_terminal_without_unicode_gets_ascii(job: Job) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=file, force_terminal=True, color_system=None, width=60, legacy_windows=False)
    board = TableBoard(["a"], durations=durations(job, now=45.0), console=console)
    board.job_changed("a", job("processing"))
    assert "left" in drawn(console, board)
    assert drawn(console, board).isascii()
