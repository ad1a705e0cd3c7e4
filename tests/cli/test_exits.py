"""The exit codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.cli._ui.exits import ExitCode, of_job, worst

COMMANDS = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"


def test_the_documentation_lists_every_code() -> None:
    table = COMMANDS.read_text("utf-8").rpartition("## Exit codes")[2]
    assert [int(code) for code in re.findall(r"^\| (\d+) \| \S", table, re.MULTILINE)] == sorted(ExitCode)


@pytest.mark.parametrize(
    ("status", "code"),
    [("queued", 0), ("processing", 0), ("completed", 0), ("failed", 1), ("unknown", 0)],
)
def test_only_a_finished_job_without_a_result_is_a_failure(
    job: Callable[..., LipsyncRequest], status: str, code: int
) -> None:
    assert of_job(job(status)) == code


def test_an_unknown_status_is_a_failure_once_the_job_is_finished(job: Callable[..., LipsyncRequest]) -> None:
    assert of_job(job("cancelled", finished_at=job("completed").finished_at)) == 1


@pytest.mark.parametrize(
    ("codes", "code"),
    [([], 0), ([0, 0], 0), ([0, 1], 1), ([1, 3, 0], 3), ([3, 2, 1], 2)],
)
def test_2_goes_before_3_and_3_before_1(codes: list[int], code: int) -> None:
    assert worst(map(ExitCode, codes)) == code
