"""What is shown, without a service."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from chamelaion_async import ConfigurationError, LipsyncRequest, WaitTimeoutError, WaitUnreachableError
from chamelaion_async.cli.boards import LineBoard, RecordBoard
from chamelaion_async.cli.follow import make_board
from chamelaion_async.cli.live import LiveBoard
from chamelaion_async.cli.text import clean, one_line, seconds, size, summary

NASTY = "\x1b[31m[blink]id[/]\r\x07\x7f\u202e\ud800"
Job = Callable[..., LipsyncRequest]


@pytest.fixture
def console() -> Iterator[Console]:
    """A terminal without colours, so that any escape code left over is one that came from outside."""
    with Console(file=io.StringIO(), force_terminal=True, color_system=None, width=90, legacy_windows=False) as made:
        yield made


def drawn(console: Console, board: LiveBoard) -> str:
    with console.capture() as capture:
        console.print(board.table())
    return capture.get()


def timeout(id: str = "an-id") -> WaitTimeoutError:
    return WaitTimeoutError("late", id=id, last=None, elapsed=1.0, polls=1, last_error=None)


def test_clean_spells_out_what_a_terminal_would_obey() -> None:
    assert clean(NASTY) == r"\x1b[31m[blink]id[/]\r\x07\x7f\u202e\ud800"


@pytest.mark.parametrize("text", ["Folge 42: Überraschung", "第42話", "naïve 😀", "[bold]a[/bold]"])
def test_clean_leaves_writing_alone(text: str) -> None:
    assert clean(text) == text


def test_a_complaint_is_one_line() -> None:
    assert one_line("a\n  b\r\n\x1bc") == r"a b \x1bc"


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (None, "-"),
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (85, "1 min 25 s"),
        (3599.6, "1 h 00 min"),
        (3725, "1 h 02 min"),
        (200_000, "55 h 33 min"),
    ],
)
def test_seconds_suit_their_length(span: float | None, shown: str) -> None:
    assert seconds(None if span is None else timedelta(seconds=span)) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (12_345_678, "12.3 MB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_sizes_suit_their_length(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("details", "shown"),
    [
        ({"status": "queued"}, ""),
        ({"status": "processing"}, "queued 5.0 s"),
        ({"status": "completed", "output_url": "https://x"}, "queued 5.0 s  took 1 min 25 s  https://x"),
        ({"status": "completed"}, "queued 5.0 s  took 1 min 25 s  no output URL"),
        ({"status": "failed"}, "queued 5.0 s  took 1 min 25 s  the service gave no reason"),
    ],
)
def test_a_summary_tells_what_is_known(job: Job, details: dict[str, Any], shown: str) -> None:
    assert summary(job(**details)) == shown


def test_lines_are_aligned_and_timed(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([100.0, 101.5, 112.25])
    with LineBoard(["a", "longer"], clock=lambda: next(times)) as board:
        board.changed("a", job("queued"))
        board.changed("longer", job("processing"))
    assert capsys.readouterr().out == "   1.5 s  a       queued\n  12.2 s  longer  processing  queued 5.0 s\n"


def test_a_line_shows_foreign_text_as_it_is(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    LineBoard([NASTY], clock=lambda: 0.0).changed(NASTY, job("\x1b[2J"))
    out = capsys.readouterr().out
    assert out.removesuffix("\n").isprintable()
    assert out.split()[2:4] == [clean(NASTY), r"\x1b[2J"]


def test_a_long_url_is_not_cut(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    url = "https://cdn.example.com/" + "x" * 2000
    LineBoard(["a"], clock=lambda: 0.0).changed("a", job("completed", output_url=url))
    out = capsys.readouterr().out
    assert out.endswith(f"{url}\n")
    assert out.count("\n") == 1


def test_a_table_says_so_while_nothing_is_known(console: Console) -> None:
    board = LiveBoard(["a"], console=console)
    assert "no answer" in drawn(console, board)
    assert "0 of 1 done" in drawn(console, board)


def test_a_table_shows_states_and_times(console: Console, job: Job) -> None:
    board = LiveBoard(["a", "b", "c"], console=console)
    board.changed("a", job("processing"))
    board.changed("b", job("completed"))
    board.gave_up("c", timeout("c"))
    table = drawn(console, board)
    rows = [line.split() for line in table.splitlines()]
    assert ["b", "completed", "5.0", "s", "1", "min", "25", "s"] in rows
    assert ["c", "timed", "out", "-", "-"] in rows
    assert any(row[1:] == ["a", "processing", "5.0", "s", "-"] for row in rows)  # with a spinner before it
    assert "2 of 3 done" in table


def test_an_uuid_fits_into_eighty_columns(console: Console, job: Job) -> None:
    id = "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8"
    console.width = 80
    board = LiveBoard([id, "other"], console=console)
    board.changed(id, job("completed"))
    board.gave_up("other", WaitUnreachableError("", id="x", last=None, elapsed=1.0, polls=1, last_error=None))
    assert f"{id}   completed " in drawn(console, board)
    assert "1 min 25 s" in drawn(console, board)


def test_a_table_shows_foreign_text_as_it_is(console: Console, job: Job) -> None:
    board = LiveBoard([NASTY], console=console)
    board.changed(NASTY, job("[red]\x1b[2J"))
    table = drawn(console, board)
    assert all(line.isprintable() for line in table.splitlines())
    assert r"\x1b[31m[blink]id[/]" in table
    assert r"[red]\x1b[2J" in table


def test_results_and_errors_follow_the_table(console: Console, job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveBoard(["a", NASTY, "c"], console=console) as board:
        board.changed("a", job("failed", error_message="\x1b[2Jno [b]way[/b]"))
        board.gave_up(NASTY, timeout(NASTY))
        board.changed("c", job("processing"))
    printed = capsys.readouterr()
    assert printed.out.split() == ["a", "failed", r"\x1b[2Jno", "[b]way[/b]"]  # no word yet on what goes on
    assert printed.err.startswith(f"chamelaion-async: {one_line(NASTY)}: nothing was read after 1.0 s")
    assert printed.err.count("\n") == 1


def test_a_terminal_that_knows_ascii_only_gets_ascii() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=file, force_terminal=True, color_system=None, width=60, legacy_windows=False)
    assert drawn(console, LiveBoard(["a"], console=console)).isascii()


def test_records_are_of_ends_only(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    with RecordBoard() as board:
        board.changed("a", job("processing"))
        board.changed("a", job("completed", output_url="https://x/\x7f\u202e"))
        board.gave_up("b", timeout("b"))
    printed = capsys.readouterr()
    assert printed.out.isascii()
    assert printed.out.replace("\n", "").isprintable()
    done, late = map(json.loads, printed.out.splitlines())
    assert done["output_url"] == "https://x/\x7f\u202e"
    assert late == {"id": "b", "error": "WaitTimeoutError", "message": late["message"]}
    assert late["message"] in printed.err


@pytest.mark.parametrize(
    ("is_terminal", "name", "kind"),
    [
        (True, "xterm", LiveBoard),
        (True, "dumb", LineBoard),
        (False, "xterm", LineBoard),
    ],
)
def test_the_board_suits_stdout(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, name: str, kind: type[object]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal, raising=False)
    monkeypatch.setenv("TERM", name)
    assert isinstance(make_board(["a"]), kind)


def test_a_bad_id_is_not_named_twice(capsys: pytest.CaptureFixture[str]) -> None:
    LineBoard([""], clock=lambda: 0.0).gave_up("", ConfigurationError("'' is not an id"))
    assert capsys.readouterr().err == "chamelaion-async: '' is not an id\n"
