"""``batch``: all jobs of a list, from the submission to the files."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async.cli._batch.job_list import JobList
from chamelaion_async.cli._batch.journal import Journal, JournalError
from chamelaion_async.sandbox import Fault

from .conftest import Serve
from .running import GENERATE, OUTPUT, Cli, LocalSandbox, OpenTerminal, Start

Write = Callable[..., None]
FAST = "--rate=60000"
HEADER = "video,audio,languages,reference_id,out"


@pytest.fixture
def write(tmp_path: Path, quick: LocalSandbox) -> Write:
    """Write the list ``jobs.csv`` in the working directory; a number stands for a row of two URLs."""

    def list_of(*rows: str | int) -> None:
        lines = [
            each if isinstance(each, str) else f"https://a/{each}.mp4,https://a/a.wav,,,{each}.mp4" for each in rows
        ]
        (tmp_path / "jobs.csv").write_text("\n".join([HEADER, *lines, ""]))

    return list_of


@pytest.fixture
def batch(cli: Cli) -> Cli:
    """Run the command on the list."""
    return lambda *options, rate="60000": cli("batch", "jobs.csv", "--out", "dubs", "--rate", rate, *options)


def posts(service: LocalSandbox) -> int:
    return len(service.jobs())


def summary() -> list[dict[str, str]]:
    with Path("jobs.csv.summary.csv").open(encoding="utf-8-sig", newline="") as file:
        return [*csv.DictReader(file)]


def steps() -> list[str]:
    return [json.loads(line).get("step", "") for line in Path("jobs.csv.journal").read_text().splitlines()]


def forget_last_step() -> None:
    """Leave the journal as a run does that is killed before its last step is written."""
    lines = Path("jobs.csv.journal").read_bytes().splitlines(keepends=True)
    Path("jobs.csv.journal").write_bytes(b"".join(lines[:-1]))


def test_every_row_becomes_files(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write(
        "https://a/e1.mp4,https://a/e1.wav,,,",
        "video.mp4,audio.wav,,upload,s1/e2.mp4",
        "https://a/e3.mp4,,de;fr,,t/e3",
    )
    result = batch()
    assert result.code == 0
    assert result.out.splitlines()[-1] == "3 rows: 3 saved."
    assert result.err == f"summary: {Path('jobs.csv.summary.csv').resolve()}\n"
    found = {path.relative_to("dubs").as_posix() for path in Path("dubs").rglob("*") if path.is_file()}
    translated = {f"t/e3/{language}.{kind}" for language in ("de", "fr") for kind in ("mp4", "wav", "srt")}
    assert found == {"e1-e1.mp4", "s1/e2.mp4", *translated}
    assert Path("dubs/s1/e2.mp4").read_bytes() == Path("video.mp4").read_bytes()
    assert Counter(steps()) == dict.fromkeys(["submitting", "accepted", "completed", "saved"], 3) | {"": 1}


def test_a_line_for_each_change_begins_with_the_time(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write(1)
    lines = [line.split() for line in batch().out.splitlines()]
    (job,) = quick.jobs()
    assert [line[2:] for line in lines[:-1]] == [
        ["1.mp4", "accepted", job.id],
        ["1.mp4", "completed", job.id],
        ["1.mp4", "saved", "dubs/1.mp4"],
    ]
    assert all(line[1] == "s" and float(line[0]) >= 0 for line in lines[:-1])


def test_json_is_one_object_for_each_row(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write(1, "https://a/missing.mp4,https://a/a.wav,,two,2.mp4")
    result = batch("--json")
    assert result.code == 1
    by_line = {row["line"]: row for row in map(json.loads, result.out.splitlines())}
    (first,) = (job for job in quick.jobs() if job.reference_id != "two")  # they may arrive in any order
    assert by_line[2] == {
        "line": 2,
        "reference_id": first.reference_id,
        "request_id": first.id,
        "state": "saved",
        "paths": ["dubs/1.mp4"],
        "error": None,
        "message": None,
    }
    assert by_line[3]["state"] == "failed"
    assert by_line[3]["message"] == "video URL is not accessible"
    assert result.err.startswith("2 rows: 1 saved, 1 failed.\n")
    assert {row["line"]: row["paths"] for row in map(json.loads, batch("--json").out.splitlines())} == {
        2: ["dubs/1.mp4"],
        3: [],
    }


def test_the_summary_has_a_row_for_each_row(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write(1, "https://a/missing.mp4,https://a/a.wav,,two,2.mp4", "https://a/3.mp4,,de;fr,,3")
    assert batch().code == 1
    first, second, third = summary()
    assert (first["line"], first["out"], first["state"], first["reason"]) == ("2", "1.mp4", "saved", "")
    assert first["request_id"] in {job.id for job in quick.jobs()}
    assert (second["reference_id"], second["state"], second["reason"]) == (
        "two",
        "failed",
        "video URL is not accessible",
    )
    assert (third["languages"], third["audio"], float(third["seconds"])) == ("de;fr", "", 0.0)
    assert not Path("jobs.csv.summary.csv.part").exists()


def test_a_second_run_sends_nothing(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write(1, 2, "https://a/missing.mp4,https://a/a.wav,,,3.mp4")
    assert batch().code == 1
    sent = len(quick.requests())
    again = batch()
    assert (again.code, again.out.splitlines()[-1]) == (1, "3 rows: 2 saved, 1 failed.")
    assert len(quick.requests()) == sent
    assert [row["state"] for row in summary()] == ["saved", "saved", "failed"]


@pytest.mark.parametrize("content", ["csv", "jsonl"])
def test_a_dry_run_checks_and_sends_nothing(
    cli: Cli, quick: LocalSandbox, write: Write, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHAMELAION_API_KEY")
    Path("list").write_text(
        f"{HEADER}\nvideo.mp4,audio.wav,,,a.mp4\nhttps://a/b.mp4,,de,,b\n"
        if content == "csv"
        else '{"video": "video.mp4", "audio": "audio.wav"}\n{"video": "https://a/b.mp4", "languages": ["de"]}'
    )
    result = cli("batch", "list", "--out", "dubs", "--dry-run")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "2 rows: 2 to submit, 0 to continue. Nothing was sent.\nAt 60 a minute, to submit them takes 1.0 s.\n"
    )
    assert quick.requests() == []
    assert not Path("dubs").exists()
    assert not Path("list.journal").exists()


def test_a_dry_run_tells_what_is_left(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write(1, "https://a/missing.mp4,https://a/a.wav,,,2.mp4")
    batch()
    write(1, "https://a/missing.mp4,https://a/a.wav,,,2.mp4", 3)
    assert batch("--dry-run").out.startswith(
        "3 rows: 1 to submit, 0 to continue, 1 saved, 1 failed. Nothing was sent."
    )
    assert json.loads(batch("--dry-run", "--json").out) == {
        "rows": 3,
        "to_submit": 1,
        "to_continue": 0,
        "saved": 1,
        "failed": 1,
    }


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_wrong_rows_are_named_and_nothing_is_sent(
    batch: Cli, quick: LocalSandbox, write: Write, options: list[str]
) -> None:
    write(1, "nothing.mp4,audio.wav,,,2.mp4", "ftp://a/b,,,,../c", "https://a/1.mp4,https://a/b.wav,,,1.mp4")
    result = batch(*options)
    assert (result.code, result.out) == (2, "")
    assert [line.removeprefix("chamelaion-async: ")[:40] for line in result.err.splitlines()] == [
        "jobs.csv:3: video: 'nothing.mp4' cannot ",
        "jobs.csv:4: audio: it is missing; lip sy",
        "jobs.csv:4: video: ftp:// is neither htt",
        "jobs.csv:5: out: line 2 has the same out",
        "3 lines are wrong; nothing was submitted",
    ]
    assert quick.requests() == []
    assert not Path("jobs.csv.journal").exists()


def test_wrong_rows_are_records_too(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write("https://a/1.mp4,,,,")
    result = batch("--json")
    assert result.code == 2
    assert json.loads(result.out) == {
        "id": None,
        "error": "ConfigurationError",
        "message": "it is missing; lip sync needs audio, and a translation languages",
        "line": 2,
        "column": "audio",
    }
    assert result.err.endswith("1 line is wrong; nothing was submitted\n")


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("nowhere/dubs", "there is no folder"),
        ("video.mp4", "it is no folder"),
        ("video.mp4/dubs", "there is no folder"),
    ],
)
def test_an_out_that_cannot_be_a_folder_is_refused(
    cli: Cli, quick: LocalSandbox, write: Write, out: str, reason: str
) -> None:
    write(1)
    result = cli("batch", "jobs.csv", "--out", out)
    assert (result.code, result.out) == (2, "")
    assert f"outputs cannot be written to {out}: {reason}" in result.err
    assert quick.requests() == []


def test_an_out_that_is_not_writable_is_refused(
    batch: Cli, quick: LocalSandbox, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(1)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    assert "the folder is not writable" in batch().err
    assert quick.requests() == []


def test_a_list_that_is_missing_is_refused(cli: Cli, quick: LocalSandbox) -> None:
    result = cli("batch", "nothing.csv", "--out", "dubs")
    assert result.code == 2
    assert "there is no such file" in result.err


def test_rows_may_be_added_moved_and_removed_between_runs(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write(1, 2)
    batch()
    write(3, 2)
    result = batch()
    assert (result.code, result.out.splitlines()[-1]) == (0, "2 rows: 2 saved.")
    assert posts(quick) == 3


def test_an_open_job_whose_row_was_removed_is_named_and_left_alone(batch: Cli, connect: Serve, write: Write) -> None:
    service = connect(job_seconds=1000.0)
    write(1, 2)
    assert batch("--timeout=0.5").code == 3
    write(2)
    assert "1 open in the journal and no longer in the list, left alone: " in batch("--timeout=0").err
    assert posts(service) == 2


def test_an_output_that_is_renamed_in_the_list_is_saved_under_its_new_name(
    batch: Cli, quick: LocalSandbox, write: Write
) -> None:
    write(1)
    batch()
    write("https://a/1.mp4,https://a/a.wav,,,new.mp4")
    assert batch().code == 0
    assert Path("dubs/new.mp4").read_bytes() == Path("dubs/1.mp4").read_bytes()
    assert posts(quick) == 1


def test_an_output_that_was_deleted_is_downloaded_again(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write(1)
    batch()
    Path("dubs/1.mp4").unlink()
    assert batch().code == 0
    assert Path("dubs/1.mp4").exists()
    assert posts(quick) == 1


def test_a_file_that_was_uploaded_may_be_gone_in_the_next_run(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write("video.mp4,audio.wav,,,1.mp4")
    assert batch().code == 0
    Path("video.mp4").unlink()
    Path("dubs/1.mp4").unlink()
    assert batch().code == 0
    assert posts(quick) == 1


@pytest.mark.parametrize("row", ["https://a/1.mp4,https://a/a.wav,,,1", "https://a/1.mp4,,de,,1"])
def test_an_output_that_is_whole_is_not_downloaded_again(
    batch: Cli, quick: LocalSandbox, write: Write, row: str
) -> None:
    write(row)
    batch()
    forget_last_step()
    loaded = len(quick.received(OUTPUT))
    assert batch().code == 0
    assert len(quick.received(OUTPUT)) == loaded
    assert steps()[-1] == "saved"


def test_a_file_to_replace_is_not_taken_for_the_output(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write(1)
    Path("dubs").mkdir()
    Path("dubs/1.mp4").write_bytes(b"old")
    quick.inject(Fault.status(404), route=OUTPUT, times=1)
    assert batch().code == 2  # the file exists
    assert batch("--overwrite").code == 3  # the download is refused
    assert steps()[-1] == "completed"
    refused = batch()
    assert (refused.code, posts(quick)) == (2, 1)
    assert "dubs/1.mp4 exists; choose another name, or pass --overwrite" in refused.err
    assert batch("--overwrite").code == 0
    assert Path("dubs/1.mp4").read_bytes() != b"old"
    assert batch().code == 0


def test_a_download_that_is_refused_is_tried_by_the_next_run(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    quick.inject(Fault.status(404), route=OUTPUT, times=1)
    write(1, 2)
    result = batch()
    assert (result.code, sorted(row["state"] for row in summary())) == (3, ["completed", "saved"])
    assert "could not be downloaded from" in result.err
    assert "to continue: chamelaion-async batch --out dubs --rate 60000 jobs.csv" in result.err
    assert batch().code == 0
    assert posts(quick) == 2


def test_a_failed_job_is_not_paid_for_again_unless_its_row_gets_a_reference(
    batch: Cli, quick: LocalSandbox, write: Write
) -> None:
    write("https://a/missing.mp4,https://a/a.wav,,,1.mp4")
    assert batch().code == 1
    assert batch().code == 1
    assert posts(quick) == 1
    write("https://a/missing.mp4,https://a/a.wav,,take-2,1.mp4")
    assert batch().code == 1
    assert [job.reference_id for job in quick.jobs()][1:] == ["take-2"]


def test_a_refused_row_is_submitted_by_the_next_run(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    quick.inject(Fault.status(400, "invalid video"), route=GENERATE, times=1)
    write(1, 2)
    result = batch()
    assert (result.code, result.out.splitlines()[-1]) == (2, "2 rows: 1 not submitted, 1 saved.")
    assert "line 2, 1.mp4: " in result.err
    assert "invalid video" in result.err
    assert batch().code == 0
    assert posts(quick) == 2


def test_max_failures_submits_no_more_and_saves_what_runs(batch: Cli, quick: LocalSandbox, write: Write) -> None:
    bad = [f"https://a/missing-{n}.mp4,https://a/a.wav,,,bad-{n}.mp4" for n in range(2)]
    write(*range(5), *bad, *range(10, 100))
    result = batch("--max-failures=2", rate="1200")
    assert result.code == 3
    assert (
        "no more rows are submitted: 2 rows have failed (--max-failures); jobs that run are waited for\n"
        in result.err
    )
    states = Counter(row["state"] for row in summary())
    assert states["failed"] == 2
    assert states["saved"] >= 5
    assert states["not submitted"] > 50
    assert states.total() == 97


def test_wrong_credentials_stop_the_submissions(batch: Cli, connect: Serve, write: Write) -> None:
    service = connect(job_seconds=0.0, keys=["another"])
    write(*range(50))
    result = batch()
    assert result.code == 2
    assert len(service.received(GENERATE)) <= 8
    assert "no more rows are submitted: the service answered 401" in result.err
    assert {row["state"] for row in summary()} == {"not submitted"}


def test_the_timeout_ends_submissions_and_waits(batch: Cli, connect: Serve, write: Write) -> None:
    service = connect(job_seconds=1000.0)
    write(*range(20))
    result = batch("--timeout=1.2", rate="120")
    assert result.code == 3
    assert "no more rows are submitted: the time of --timeout is over" in result.err
    assert 2 <= posts(service) <= 4
    assert {row["state"] for row in summary()} == {"timed out", "not submitted"}


def test_ctrl_c_leaves_the_jobs_and_says_how_to_continue(
    start: Start, batch: Cli, connect: Serve, write: Write
) -> None:
    service = connect(job_seconds=1000.0)
    write(1, 2)
    process = start("batch", "jobs.csv", "--out", "dubs", FAST)
    assert process.stdout is not None
    assert any("queued" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "interrupted; jobs that were submitted run on. 2 rows: " in errors
    assert errors.endswith("to continue: chamelaion-async batch --out dubs --rate 60000 jobs.csv\n")
    assert len(summary()) == 2
    for job in service.jobs():
        service.finish(job.id)
    again = batch("--resubmit-after=0.5")
    assert (again.code, posts(service)) == (0, 2)


def test_a_second_run_at_once_is_refused(start: Start, batch: Cli, connect: Serve, write: Write) -> None:
    service = connect(job_seconds=1000.0)
    write(1)
    process = start("batch", "jobs.csv", "--out", "dubs", FAST)
    assert process.stdout is not None
    process.stdout.readline()
    Path("link.csv").symlink_to("jobs.csv")
    result = batch()
    assert (result.code, result.out) == (2, "")
    assert "another run of this list is going on" in result.err
    assert posts(service) == 1


def test_nothing_is_submitted_if_the_output_has_no_reader(start: Start, quick: LocalSandbox, write: Write) -> None:
    write(1)
    process = start("batch", "jobs.csv", "--out", "dubs", FAST)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(15) == 141
    assert quick.jobs() == []


def test_the_list_is_checked_again_once_the_journal_is_locked(
    batch: Cli, quick: LocalSandbox, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run may have ended in between, and have saved or submitted rows."""
    write(1)
    check = JobList.check

    def check_and_save(sheet: JobList, *args: Any, **options: Any) -> Any:
        found = check(sheet, *args, **options)
        Path("dubs").mkdir(exist_ok=True)
        Path("dubs/1.mp4").touch()
        return found

    monkeypatch.setattr(JobList, "check", check_and_save)
    result = batch()
    assert (result.code, quick.requests()) == (2, [])
    assert "dubs/1.mp4 exists" in result.err


def test_a_missing_package_is_explained_before_anything_is_sent(
    batch: Cli, quick: LocalSandbox, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(1)
    monkeypatch.setitem(sys.modules, "filelock", None)
    result = batch()
    assert (result.code, quick.requests()) == (2, [])
    assert result.err == "chamelaion-async: batch needs filelock; pip install 'chamelaion-async[cli]'\n"


def test_two_names_of_a_list_have_one_journal(cli: Cli, batch: Cli, quick: LocalSandbox, write: Write) -> None:
    write(1)
    batch()
    Path("link.csv").symlink_to("jobs.csv")
    assert cli("batch", "link.csv", "--out", "dubs").code == 0
    assert posts(quick) == 1


def test_the_journal_of_another_service_is_refused(
    batch: Cli, connect: Serve, quick: LocalSandbox, write: Write
) -> None:
    write(1)
    batch()
    other = connect()
    result = batch()
    assert result.code == 2
    assert f"is the journal of a batch on {quick.url}, and this is {other.url}" in result.err
    assert other.requests() == []


@pytest.mark.parametrize("count", [0, 1, 5], ids=["the first line", "before a submission", "later"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_disk_that_is_full_stops_before_the_next_submission(
    batch: Cli, quick: LocalSandbox, write: Write, monkeypatch: pytest.MonkeyPatch, count: int, options: list[str]
) -> None:
    write(1, 2, 3)
    real, left = Journal._write, count

    def full(journal: Journal, line: dict[str, object]) -> None:
        nonlocal left
        if left == 0:
            raise JournalError(28, "the journal cannot be written: No space left on device")
        left -= 1
        real(journal, line)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_write", full)
        result = batch(*options)
    assert result.code == 4
    assert "chamelaion-async: the journal cannot be written: No space left on device; jobs that were" in result.err
    assert ('"error": "JournalError"' in result.out) is bool(options)
    assert posts(quick) <= steps().count("submitting") if count else quick.requests() == []
    assert batch("--resubmit-after=0.5").code == 0
    assert posts(quick) == 3


def test_a_summary_that_cannot_be_written_is_an_error_of_its_own(
    batch: Cli, quick: LocalSandbox, write: Write
) -> None:
    write(1)
    Path("jobs.csv.summary.csv").mkdir()
    result = batch()
    assert (result.code, result.out.splitlines()[-1]) == (4, "1 row: 1 saved.")
    assert "the summary " in result.err
    assert Path("dubs/1.mp4").exists()


def test_a_terminal_shows_a_board(terminal: OpenTerminal, connect: Serve, write: Write, tmp_path: Path) -> None:
    service = connect(job_seconds=1000.0)
    write(*range(50))
    shown = terminal("batch", "jobs.csv", "--out", "dubs", FAST, cwd=tmp_path, LINES="24")
    shown.read_until("50 queued")
    assert "0 of 50 done" in shown.seen
    for number, job in enumerate(service.jobs()):
        if number:
            service.finish(job.id)
        else:
            service.fail(job.id, "no face was found")
    assert shown.wait() == 1
    assert "50 rows: 49 saved, 1 failed." in shown.seen
    assert re.search(r"line (\d+), \d+\.mp4: no face was found", shown.seen)  # whichever arrived first
