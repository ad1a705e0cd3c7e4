from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

NAMES = ("demo-trailer", "demo-scene-1", "demo-scene-2", "demo-scene-3", "demo-credits")
URL = re.compile(r"http://127\.0\.0\.1:\d+/output/[0-9a-f-]{36}\.mp4\r?$", re.MULTILINE)
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LIMIT = 15
"""Seconds that the demo may take."""


@pytest.fixture(scope="module")
def demos(terminal: Callable[..., Any], command: list[str]) -> tuple[subprocess.CompletedProcess[str], Any]:
    """The demo into a pipe and on a terminal, side by side to save the time of one."""
    live = terminal("demo")
    # FORCE_COLOR makes Rich take anything for a terminal.
    environment = {
        **os.environ,
        "FORCE_COLOR": "1",
        "CHAMELAION_API_KEY": "sk-secret",
        "CHAMELAION_BASE_URL": "ftp://x",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    plain = subprocess.run(
        [*command, "demo"], capture_output=True, text=True, timeout=LIMIT, env=environment, check=False
    )
    live.wait()
    return plain, live


@pytest.fixture
def plain(demos: tuple[subprocess.CompletedProcess[str], Any]) -> subprocess.CompletedProcess[str]:
    return demos[0]


@pytest.fixture
def live(demos: tuple[subprocess.CompletedProcess[str], Any]) -> Any:
    return demos[1]


def test_ends_well(plain: subprocess.CompletedProcess[str]) -> None:
    assert plain.returncode == 0
    assert plain.stderr == ""


def test_needs_no_terminal(plain: subprocess.CompletedProcess[str]) -> None:
    assert "\x1b" not in plain.stdout


def test_shows_the_end_of_each_job(plain: subprocess.CompletedProcess[str]) -> None:
    ends = [line for line in plain.stdout.splitlines() if "  took " in line]
    assert sorted(line.split()[2] for line in ends) == sorted(NAMES)
    for line in ends:
        assert re.search(r"  queued \d\.\d s  took \d\.\d s  ", line)
        if "demo-scene-2" in line:
            assert line.endswith("failed      queued 0.7 s  took 0.5 s  video URL is not accessible")
        else:
            assert "  completed  " in line
            assert URL.search(line)


def test_jobs_are_waited_for_side_by_side(plain: subprocess.CompletedProcess[str]) -> None:
    ends = [line.split()[2] for line in plain.stdout.splitlines() if "  took " in line]
    assert ends[0] == "demo-scene-2"  # the shortest, begun third
    assert ends[-1] == "demo-scene-3"  # the longest


def test_says_how_to_go_on(plain: subprocess.CompletedProcess[str]) -> None:
    assert "chamelaion-async sandbox" in plain.stdout
    assert "4 completed, 1 failed" in plain.stdout


def test_a_key_in_the_environment_is_left_alone(plain: subprocess.CompletedProcess[str]) -> None:
    assert "sk-secret" not in plain.stdout


def test_draws_a_table_on_a_terminal(live: Any) -> None:
    assert live.wait() == 0
    assert "\x1b[1A" in live.seen  # drawn over, not one table after another
    assert live.seen.rindex("\x1b[?25h") > live.seen.rindex("\x1b[?25l")  # the cursor is given back
    text = ESCAPE.sub("", live.seen)
    assert "0 of 5 done" in text
    assert "5 of 5 done" in text


def test_urls_stay_whole_on_a_narrow_terminal(live: Any) -> None:
    after = ESCAPE.sub("", live.seen).rpartition("5 of 5 done")[2]
    assert len(URL.findall(after)) == 4
    assert re.search(r"demo-scene-2 +failed +video URL is not accessible", after)
