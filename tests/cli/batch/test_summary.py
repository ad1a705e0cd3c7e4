"""The summary as CSV."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from chamelaion_async.cli._batch.summary import write_summary

from .test_report import row


def test_the_summary_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.csv"
    write_summary(path, [row()])
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_summary(path, [row(), row(line=3)])
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]


def test_a_row_that_was_not_submitted_has_no_times(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    write_summary(path, [row()])
    with path.open(encoding="utf-8-sig", newline="") as file:
        (cells,) = csv.DictReader(file)
    assert cells == {
        "line": "2",
        "out": "2.mp4",
        "state": "not submitted",
        "reference_id": "",
        "request_id": "",
        "queue_seconds": "",
        "seconds": "",
        "video": "v",
        "audio": "a",
        "languages": "",
        "reason": "",
    }
