"""``demo``: what a newcomer sees."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from .running import COMMAND, OpenTerminal, Terminal

NAMES = ["demo-credits", "demo-scene-1", "demo-scene-2", "demo-scene-3", "demo-trailer"]
URL = re.compile(r"http://127\.0\.0\.1:\d+/output/[0-9a-f-]{36}\.mp4\r?$", re.MULTILINE)
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LIMIT = 15
"""Seconds that the demo may take."""


@pytest.fixture(scope="module")
def demos(terminal: OpenTerminal) -> tuple[str, Terminal]:
    """What the demo prints into a pipe, and the demo on a terminal; both run at once to save time."""
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
        [*COMMAND, "demo"], capture_output=True, text=True, timeout=LIMIT, env=environment, check=False
    )
    assert (plain.returncode, plain.stderr) == (0, "")
    assert live.wait() == 0
    return plain.stdout, live


def test_a_pipe_gets_plain_text_without_the_key_of_the_user(demos: tuple[str, Terminal]) -> None:
    assert "\x1b" not in demos[0]
    assert "sk-secret" not in demos[0]
    assert "4 completed, 1 failed" in demos[0]
    assert "chamelaion-async sandbox" in demos[0]


def test_the_end_of_each_job_is_shown_in_order_of_finishing(demos: tuple[str, Terminal]) -> None:
    ends = [line for line in demos[0].splitlines() if "  took " in line]
    names = [line.split()[2] for line in ends]
    assert sorted(names) == NAMES
    assert (names[0], names[-1]) == ("demo-scene-2", "demo-scene-3")  # the shortest, begun third, and the longest
    for line in ends:
        assert re.search(r"  queued \d\.\d s  took \d\.\d s  ", line)
        if "demo-scene-2" in line:
            assert line.endswith("failed      queued 0.7 s  took 0.5 s  video URL is not accessible")
        else:
            assert "  completed  " in line
            assert URL.search(line)


def test_a_terminal_gets_one_table_that_is_redrawn(demos: tuple[str, Terminal]) -> None:
    seen = demos[1].seen
    assert "\x1b[1A" in seen  # drawn over, not one table after another
    text = ESCAPE.sub("", seen)
    assert "0 of 5 done" in text
    assert "5 of 5 done" in text


def test_urls_stay_whole_on_a_narrow_terminal(demos: tuple[str, Terminal]) -> None:
    after = ESCAPE.sub("", demos[1].seen).rpartition("5 of 5 done")[2]
    assert len(URL.findall(after)) == 4
    assert re.search(r"demo-scene-2 +failed +video URL is not accessible", after)
