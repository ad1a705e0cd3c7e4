"""The screens in the documentation are those that the commands draw: CHAMELAION_SCREENSHOTS=1 writes them."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from chamelaion_async.cli._ui.board.live import LiveRows
from chamelaion_async.cli._ui.traffic import Traffic
from chamelaion_async.cli.list import list_requests
from chamelaion_async.cli.wait import wait
from chamelaion_async.sandbox import Sandbox

from .drawn_screens import Screen, drawing

SCREENS = Path(__file__).parents[2] / "docs" / "screens"
WIDTH, HEIGHT = 96, 17
EPISODES = 14

pytestmark = pytest.mark.virtual_time


@pytest.fixture(autouse=True)
def _same_jitter() -> Iterator[None]:
    state = random.getstate()
    random.seed(42)
    yield
    random.setstate(state)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A small terminal."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    settings = {"TERM": "xterm-256color", "COLORTERM": "", "COLUMNS": f"{WIDTH}", "LINES": f"{HEIGHT}"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Screen()


@pytest.fixture(autouse=True)
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """A service with a season that was submitted a moment ago, an episode every six seconds, and an older one."""
    # The board and its counter go by the loop's time, which is the sandbox's here.
    for timed in (LiveRows, Traffic):
        defaults: Any = inspect.getattr_static(timed, "__init__").__kwdefaults__
        monkeypatch.setitem(defaults, "clock", asyncio.get_running_loop().time)
    async with Sandbox() as served:
        monkeypatch.setenv("CHAMELAION_BASE_URL", served.base_url)
        monkeypatch.setenv("CHAMELAION_API_KEY", "sk-sandbox")
        ids = Random(42)
        for season, before in (("s00", 3600), ("s01", 0)):
            for number in range(1, EPISODES + 1):
                served.add_job(
                    id=str(UUID(int=ids.getrandbits(128), version=4)),
                    reference_id=f"{season}e{number:02}-de",
                    created_at=served.now - before - 90 + 6 * number,
                    queue_seconds=25.0,
                    job_seconds=75.0 + 7 * (number * 7 % 5),
                    fails="video URL is not accessible" if number % 8 == 1 else False,
                )
        yield served


def check(screen: Screen, name: str, command: str) -> None:
    """Compare a screen with the one in the documentation, or write that."""
    text = re.sub(r"(?<=127\.0\.0\.1:)\d+", "8787", screen.text)  # each sandbox has a port of its own
    drawn = drawing(text, name=f"screen-{name}", command=command, width=WIDTH)
    file = SCREENS / f"{name}.svg"
    if os.environ.get("CHAMELAION_SCREENSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(drawn, "utf-8")
    assert essence(file.read_text("utf-8")) == essence(drawn)


def essence(drawn: str) -> list[str]:
    """Return lines and colours; the order of answers decides how many polls there are and which row is first."""
    words = re.sub(r"\d+ requests, \d+\.\d", "N requests, N", drawn.partition("<desc")[2].partition("</desc>")[0])
    words = words.partition(">")[2]
    return sorted([*words.split("\n"), *set(re.findall(r"-r\d+ {(.*)}", drawn))])


@contextmanager
def shown_on(screen: Screen) -> Iterator[None]:
    with redirect_stdout(screen), redirect_stderr(screen):
        yield


async def test_the_board_and_the_summary_of_wait(screen: Screen) -> None:
    with shown_on(screen):
        waiting = asyncio.create_task(wait([f"s01e{number:02}-de" for number in range(1, EPISODES + 1)]))
        await asyncio.sleep(15.1)
        check(screen, "wait", "chamelaion-async wait @season.txt")
        await waiting
    check(screen, "wait-end", "chamelaion-async wait @season.txt")


async def test_the_table_of_list(screen: Screen) -> None:
    with shown_on(screen):
        await list_requests(limit=10)
    check(screen, "list", "chamelaion-async list --limit 10")
