"""Rows on a terminal, drawn when they change."""

from __future__ import annotations

import asyncio
import io
import os
import pty
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from rich.console import Console

from chamelaion_async.cli._ui.board import Row, Stage
from chamelaion_async.cli._ui.board.live import LiveRows
from chamelaion_async.cli._ui.streams import OutputError

LOOKS: dict[str, Any] = {"mark": "*", "plain_mark": "*", "style": "dim"}
IDLE = Stage(name="idle", kind="idle", **LOOKS)
DONE = Stage(name="done", kind="done", has_ended=True, **LOOKS)

CLEAR = "\x1b[H\x1b[2J"

pytestmark = pytest.mark.virtual_time


class Screen(Console):
    """A terminal in memory that counts its drawings."""

    def __init__(self, *, height: int = 24) -> None:
        super().__init__(
            file=io.StringIO(), force_terminal=True, color_system=None, width=80, height=height, legacy_windows=False
        )

    @property
    def text(self) -> str:
        file = self.file
        assert isinstance(file, io.StringIO)
        return file.getvalue()

    @property
    def drawings(self) -> int:
        return self.text.count(" done ")


def live(screen: Console, names: Sequence[str] = ("a",), **options: object) -> LiveRows:
    clock = asyncio.get_running_loop().time
    return LiveRows(names, [IDLE, DONE], clock=clock, console=screen, **options)  # type: ignore[arg-type]


async def test_it_is_drawn_at_once_and_then_once_a_second_without_a_change() -> None:
    screen = Screen()
    with live(screen):
        assert screen.drawings == 1
        await asyncio.sleep(10.0)
        assert 10 <= screen.drawings <= 11


async def test_changes_are_drawn_four_times_a_second_at_most() -> None:
    screen = Screen()
    with live(screen) as board:
        for number in range(1000):
            board.put("a", Row(stage=IDLE, detail=f"{number}"))
            await asyncio.sleep(0.01)
        assert 35 <= screen.drawings <= 42
        board.put("a", Row(stage=DONE))
        await asyncio.sleep(0.3)
        assert "1 of 1 done" in screen.text


async def test_the_rows_that_are_shown_are_refreshed_once_a_second() -> None:
    asked: list[Sequence[str]] = []
    screen = Screen(height=10)
    with live(screen, [*"abcdefgh"], refresh=asked.append):
        await asyncio.sleep(5.0)
    assert 4 <= len(asked) <= 5
    assert len(asked[0]) == 5


async def test_no_timer_is_left_at_the_end() -> None:
    screen = Screen()
    with live(screen):
        await asyncio.sleep(1.0)
    before = screen.text
    await asyncio.sleep(10.0)
    assert screen.text == before


@pytest.mark.parametrize(("count", "stay"), [(19, True), (20, False)])
async def test_rows_stay_on_the_terminal_unless_some_were_folded(count: int, stay: bool) -> None:
    screen = Screen()
    with live(screen, [f"{number}" for number in range(count)]):
        pass
    erased = screen.text.endswith("\x1b[1A\x1b[2K")
    assert erased is not stay
    assert "\x1b[?25h" in screen.text


async def test_a_terminal_of_another_size_is_cleared_once() -> None:
    screen = Screen()
    with live(screen):
        await asyncio.sleep(2.0)
        assert CLEAR not in screen.text
        screen.size = (60, 12)
        await asyncio.sleep(3.0)
        assert screen.text.count(CLEAR) == 1
        assert screen.text.partition(CLEAR)[2].count(" done ") >= 3


async def test_a_terminal_that_is_gone_ends_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise OutputError(5, "gone")

    screen = Screen()
    with live(screen) as board:
        screen.file = Gone()
        board.put("a", Row(stage=DONE))
        await asyncio.sleep(2.0)


@pytest.fixture
def stopped() -> Iterator[int]:
    """A terminal that takes nothing more, as after Ctrl-S."""
    end, other = pty.openpty()
    os.set_blocking(other, False)
    try:
        while True:
            os.write(other, b"x" * 1000)
    except BlockingIOError:
        os.set_blocking(other, True)
    yield other
    os.close(end)
    os.close(other)


async def test_a_terminal_that_is_stopped_does_not_stop_the_loop(stopped: int) -> None:
    screen = Screen()
    with live(screen) as board, open(stopped, "w", closefd=False) as file:  # noqa: ASYNC230 - a terminal
        memory, screen.file = screen.file, file
        board.put("a", Row(stage=DONE))
        await asyncio.sleep(2.0)
        screen.file = memory
