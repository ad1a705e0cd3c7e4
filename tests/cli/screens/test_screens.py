"""What a person sees: the commands in a real terminal, held as text.

``CHAMELAION_SCREENS=1`` writes the files again. Read their diff.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Serve
from ..running import LocalSandbox
from .window import Window

OpenWindow = Callable[..., Window]

SCREENS = Path(__file__).parent
SMALL, LARGE = (80, 24), (120, 40)
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What changes from run to run. Ids stay as long as they are, so that columns stay where they are.
CHANGING = (
    (ID, "00000000-0000-0000-0000-000000000000"),
    (re.compile(r"( of \d+ done) [━─]{10,40} .*"), r"\1 ━━━─── 0:00"),
    (re.compile(r"[━─]{10} about [\d.]+ \w+ left"), "━━━━━───── about 1 h left"),
    (re.compile(r"\d+ requests?, \d+\.\d/s"), "10 requests, 1.0/s"),
    (re.compile(r"\d+ requests, [\d.]+ a job"), "10 requests, 0.1 a job"),
    (re.compile(r"jobs in \d+:\d\d"), "jobs in 0:00"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "2026-01-01 12:00"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]…"), "00000000-0000-0…"),
)


@pytest.fixture
def window(tmp_path: Path) -> Iterator[OpenWindow]:
    """Start a command in a window of tmux."""
    with ExitStack() as stack:

        def begin(*arguments: str, size: tuple[int, int] = SMALL) -> Window:
            opened = Window(tmp_path, *arguments, size=size)
            stack.callback(opened.close)
            return opened

        yield begin


def stable(text: str) -> str:
    """Return a screen without what changes from run to run."""
    for pattern, constant in CHANGING:
        text = pattern.sub(constant, text)
    return f"{text.rstrip()}\n"


def holds(name: str, text: str) -> None:
    """Compare a screen with its file."""
    file = SCREENS / f"{name}.txt"
    if os.environ.get("CHAMELAION_SCREENS"):
        file.write_text(stable(text), "utf-8")
    assert stable(text) == file.read_text("utf-8")


def add_jobs(service: LocalSandbox, count: int) -> list[str]:
    """Add jobs that stay as they are: of each ten, one has failed, five are completed, two run, and two queue."""
    kinds: list[dict[str, Any]] = [
        {"job_seconds": 90, "queue_seconds": 5, "fails": "video URL is not accessible"},
        *[{"job_seconds": 120, "queue_seconds": 5}] * 5,
        *[{"job_seconds": 1e6, "queue_seconds": 5}] * 2,
        *[{"job_seconds": 1e6, "queue_seconds": 9e5}] * 2,
    ]
    begin = time.time() - 3600
    ids = [str(uuid.UUID(int=(number + 1) << 118)) for number in range(count)]
    for number, id in enumerate(ids):
        kind = kinds[6 if count == 1 else number % 10]
        service.add_job(id=id, created_at=begin + number, reference_id=f"scene-{number:03}", **kind)
    return ids


def is_read(text: str) -> bool:
    """Whether each job is read, and each one that goes on has its forecast if there are any."""
    going = [line for line in text.splitlines() if re.match(r"[▸○] \S{15}", line)]
    head = text.split("\n", maxsplit=1)[0]
    return " done " in head and "unread" not in text and {"left" in line for line in going} == {"left" in head}


@pytest.mark.parametrize("count", [1, 30, 300])
def test_wait(window: OpenWindow, service: LocalSandbox, tmp_path: Path, count: int) -> None:
    (tmp_path / "ids.txt").write_text("\n".join(add_jobs(service, count)), "utf-8")
    board = window("wait", "@ids.txt", size=LARGE)

    def screen_of(width: int, height: int) -> str:
        """Resize the window, and return the first screen that has used its width and all of its lines."""
        board.resize(width, height)
        wide = "…" if width < 80 else " 00000000-0000-0000-0000-000000000000 "
        lines = min(4 + count, height - 1)
        return board.until(
            lambda text: (
                is_read(text)
                and wide in stable(text)
                and len(text.splitlines()) == lines
                and ("left" in text) is (count > 1)
            )
        )

    holds(f"wait_{count}_large", screen_of(*LARGE))
    holds(f"wait_{count}_narrow", screen_of(60, 12))
    holds(f"wait_{count}", screen_of(*SMALL))
    board.type("C-c")
    assert board.code() == 130
    # The lines above are some of the outputs.
    holds(f"wait_{count}_interrupted", re.sub(r"^.*?\n(?=\d+ still open)", "", board.text(), flags=re.DOTALL))


def test_list(window: OpenWindow, service: LocalSandbox) -> None:
    add_jobs(service, 10)
    table = window("list")
    assert table.code() == 0
    holds("list", table.text())


@pytest.mark.parametrize(("name", "size"), [("voices", SMALL), ("voices_large", LARGE)])
def test_voices(window: OpenWindow, connect: Serve, name: str, size: tuple[int, int]) -> None:
    connect()
    table = window("voices", "--limit", "6", size=size)
    assert table.code() == 0
    holds(name, table.text())


def test_ctrl_c_in_the_shell_stops_the_statement(window: OpenWindow) -> None:
    prompt = window("shell")
    prompt.until(lambda text: text.endswith(">>>"))
    prompt.type("print('be' 'gun'); await asyncio.sleep(1000)", "Enter")
    prompt.until(lambda text: "\nbegun" in text)
    prompt.type("C-c")
    prompt.until(lambda text: text.endswith("KeyboardInterrupt\n>>>"))
    prompt.type("C-d")
    assert prompt.code() == 0
