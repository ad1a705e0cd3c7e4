"""The journal: one line a step, on disk before the next step is taken."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async.cli._batch.entries import Entry, Step
from chamelaion_async.cli._batch.journal import Journal, JournalError
from chamelaion_async.errors import ConfigurationError

SERVICE = "https://api.example.com/api"
DETAILS: dict[str, Any] = {"line": 2, "family": "lipsync", "content": {"video": "v"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.csv.journal"


def take(journal: Journal, step: Step) -> Entry:
    return asyncio.run(journal.write("r", step, **(DETAILS if step is Step.SUBMITTING else {})))


def write(path: Path, *steps: Step) -> None:
    with Journal.open(path, SERVICE) as journal:
        for step in steps:
            take(journal, step)


def test_steps_are_there_again_in_the_next_run(path: Path) -> None:
    write(path, Step.SUBMITTING, Step.ACCEPTED)
    write(path, Step.COMPLETED)
    assert Journal.read(path, SERVICE).entries["r"].step is Step.COMPLETED
    assert [json.loads(line).get("step") for line in path.read_text().splitlines()] == [
        None,
        "submitting",
        "accepted",
        "completed",
    ]


def test_a_step_is_on_disk_before_it_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(path.read_text().splitlines()[-1])

    with Journal.open(path, SERVICE) as journal:
        monkeypatch.setattr(os, "fsync", record)
        entry = take(journal, Step.SUBMITTING)
    assert entry.step is Step.SUBMITTING
    assert [json.loads(line)["step"] for line in synced] == ["submitting"]


def test_a_new_journal_has_its_name_on_disk_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    write(path)
    assert synced == [path.stat().st_ino, path.parent.stat().st_ino]


@pytest.mark.parametrize("cut", [1, 2, 30, -1])
def test_a_torn_last_line_is_removed(path: Path, cut: int) -> None:
    write(path, Step.SUBMITTING)
    whole = path.read_bytes()
    write(path, Step.ACCEPTED)
    path.write_bytes(path.read_bytes()[: len(whole) + cut] if cut > 0 else path.read_bytes()[:cut])
    assert Journal.read(path, SERVICE).entries["r"].step is Step.SUBMITTING
    write(path, Step.REFUSED)
    assert [json.loads(line).get("step") for line in path.read_bytes().splitlines()] == [
        None,
        "submitting",
        "refused",
    ]


@pytest.mark.parametrize("rest", [b"\0" * 100, b'{"a": \0\0\0\0"}\n', b"[1]\n", b'{"a": 1}\n\0\0'[-2:]])
def test_blocks_that_never_reached_the_disk_are_removed(path: Path, rest: bytes) -> None:
    """After a loss of power, a file may have its new size and zeros for what was written last."""
    write(path, Step.SUBMITTING)
    whole = path.read_bytes()
    path.write_bytes(whole + rest)
    write(path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("rest", [b"", b"\0\0\0", b'{"format": "chame'])
def test_a_torn_first_line_is_written_again(path: Path, rest: bytes) -> None:
    path.write_bytes(rest)
    write(path, Step.SUBMITTING)
    assert Journal.read(path, SERVICE).entries["r"].step is Step.SUBMITTING


def test_damage_elsewhere_is_refused_and_stays(path: Path) -> None:
    write(path, Step.SUBMITTING, Step.ACCEPTED)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join([lines[0], lines[1][:20] + b"\n", lines[2]])
    path.write_bytes(damaged)
    with pytest.raises(ConfigurationError, match="is damaged in line 2, so that it is not known what was paid for"):
        write(path)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("step", [{"reference_id": "r", "step": "accepted"}, {"step": "saved"}, {"a": 1}])
def test_a_step_without_its_beginning_is_damage(path: Path, step: dict[str, str]) -> None:
    write(path)
    path.write_bytes(path.read_bytes() + json.dumps(step).encode() + b"\n")
    with pytest.raises(ConfigurationError, match="is damaged, so that"):
        Journal.read(path, SERVICE)


@pytest.mark.parametrize("content", [b"my notes", b"my notes\n", b'{"format": "another 2"}\n', b"{}\n{}\n"])
def test_a_file_that_is_no_journal_is_refused_and_stays(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is no journal of this version"):
        write(path)
    assert path.read_bytes() == content


def test_the_journal_of_another_service_is_refused(path: Path) -> None:
    write(path)
    with pytest.raises(ConfigurationError, match=f"is the journal of a batch on {re.escape(SERVICE)}"):
        Journal.read(path, "https://staging.example.com/api")


def test_a_second_run_at_once_is_refused(path: Path) -> None:
    with Journal.open(path, SERVICE) as journal:
        with pytest.raises(ConfigurationError, match="another run of this list is going on"):
            write(path, Step.SUBMITTING)
        take(journal, Step.SUBMITTING)
    write(path, Step.ACCEPTED)


def test_a_run_that_was_killed_has_no_lock(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from chamelaion_async.cli._batch.journal import Journal\n"
        f"with Journal.open(Path({str(path)!r}), {SERVICE!r}): print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(ConfigurationError, match="another run"), Journal.open(path, SERVICE):
            pass
        other.kill()
        other.wait(10)
        with Journal.open(path, SERVICE):
            pass


def full_after(count: int) -> Callable[[int, memoryview], int]:
    """Return a write that takes so many bytes and then says that the disk is full."""
    left, real = count, os.write

    def write(descriptor: int, data: memoryview) -> int:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, data[: min(left, len(data))])
        left -= written
        return written

    return write


@pytest.mark.parametrize("count", [0, 1, 50])
def test_a_full_disk_leaves_no_half_line(path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    write(path, Step.SUBMITTING)
    whole = path.read_bytes()
    with Journal.open(path, SERVICE) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full_after(count))
            with pytest.raises(JournalError, match="cannot be written: No space left on device"):
                take(journal, Step.ACCEPTED)
        assert path.read_bytes() == whole
        assert journal.entries["r"].step is Step.SUBMITTING
        take(journal, Step.ACCEPTED)
    assert Journal.read(path, SERVICE).entries["r"].step is Step.ACCEPTED


@pytest.mark.parametrize(("name", "done"), [("jobs.csv.journal", "read"), ("jobs.csv.journal.lock", "written")])
def test_a_folder_in_the_place_of_a_file_is_an_error(path: Path, name: str, done: str) -> None:
    path.with_name(name).mkdir()
    with pytest.raises(JournalError, match=f"cannot be {done}: Is a directory"):
        write(path)


def test_a_journal_that_may_not_be_written_is_an_error(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere" / "jobs.csv.journal")
    with pytest.raises(JournalError, match="cannot be written: No such file or directory"):
        write(path)


async def test_a_step_whose_task_is_cancelled_is_written_whole(path: Path) -> None:
    with Journal.open(path, SERVICE) as journal:
        tasks = [asyncio.create_task(journal.write(f"r{n}", Step.SUBMITTING, **DETAILS)) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.wait(tasks)
        await asyncio.get_running_loop().shutdown_default_executor()
    assert {f"r{n}" for n in range(1, 20, 2)} <= {*Journal.read(path, SERVICE).entries}
