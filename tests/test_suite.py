"""The test suite itself: it ends, however it is started and whatever a test does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTEST = [sys.executable, "-m", "pytest", "--config-file", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider"]
HANGING = """
import asyncio

async def test_hangs():
    await asyncio.Event().wait()

async def test_spins():
    async def spin():
        while True:
            pass
    await asyncio.create_task(spin())
"""


def test_every_test_has_a_time_limit(pytestconfig: pytest.Config) -> None:
    assert float(pytestconfig.getini("faulthandler_timeout")) == 120
    assert pytestconfig.getini("faulthandler_exit_on_timeout") is True


def test_a_hanging_test_ends_and_shows_where(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(HANGING, "utf-8")
    arguments = [*PYTEST, "-o", "faulthandler_timeout=0.5", "--numprocesses=1", f"--rootdir={tmp_path}", str(file)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    told = done.stdout + done.stderr
    assert told.count("Timeout (0:00:00.500000)!") == 2
    for name in ("hangs", "spins"):
        assert f"crashed while running 'test_it.py::test_{name}'" in told
    assert re.search(rf'File "{re.escape(str(file))}", line \d+ in spin\n', told)


def test_a_test_of_sigint_ends_where_sigint_is_ignored() -> None:
    test = "tests/cli/test_wait.py::test_a_signal_restores_the_terminal_and_keeps_the_results"
    script = 'trap "" INT; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *PYTEST, "-o", "faulthandler_timeout=30", test],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "2 passed" in done.stdout
