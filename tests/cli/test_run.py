"""``run``: submit, wait and download in one command."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from .running import FILES, URLS, Cli, LocalSandbox, OpenTerminal


def advice(id: str) -> str:
    return f"to continue: chamelaion-async wait {id} && chamelaion-async download --output 'out 1.mp4' {id}\n"


def test_the_id_comes_first_and_the_file_last(cli: Cli, quick: LocalSandbox) -> None:
    result = cli("run", *FILES, "-o", "out.mp4")
    assert result.code == 0
    first, change, last = result.out.splitlines()
    assert first == quick.jobs()[0].id
    assert f"  {first}  completed " in change
    assert last == "out.mp4"
    assert re.fullmatch(r"uploaded video.mp4, audio.wav: .*\ndownloaded out.mp4: .*\n", result.err)
    assert Path("out.mp4").read_bytes() == Path("video.mp4").read_bytes()


def test_json_is_the_request_with_the_path(cli: Cli, quick: LocalSandbox) -> None:
    record = json.loads(cli("run", *FILES, "-o", "out.mp4", "--json", "--reference-id", "r").out)
    assert (record["reference_id"], record["status"], record["path"]) == ("r", "completed", "out.mp4")


def test_a_failed_job_leaves_no_file_and_no_advice(cli: Cli, quick: LocalSandbox) -> None:
    Path("video.mp4").rename("missing.mp4")
    plain = cli("run", "missing.mp4", "audio.wav", "-o", "out.mp4")
    assert plain.code == 1
    assert "video URL is not accessible" in plain.out
    assert "to continue" not in plain.err
    machine = cli("run", "missing.mp4", "audio.wav", "-o", "out.mp4", "--json")
    assert machine.code == 1
    assert json.loads(machine.out)["path"] is None
    assert not Path("out.mp4").exists()


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_timeout_says_how_to_continue(cli: Cli, service: LocalSandbox, options: list[str]) -> None:
    result = cli("run", *URLS, "-o", "out 1.mp4", "--timeout", "0", *options)
    (job,) = service.jobs()
    assert result.code == 3
    named = f"submitted: {job.id}\n" if options else ""
    timeout = f"chamelaion-async: {job.id}: still queued after [^\n]*\n"
    assert re.fullmatch(rf"{named}{timeout}{re.escape(advice(job.id))}", result.err)
    assert (json.loads(result.out)["id"] if options else result.out.split()[0]) == job.id


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_says_how_to_continue(
    terminal: OpenTerminal, service: LocalSandbox, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    running = terminal("run", *URLS, "-o", "out.mp4", cwd=tmp_path, COLUMNS="200")
    running.read_until("queued")
    running.send(number)
    assert running.wait() == code
    assert f"to continue: chamelaion-async wait {service.jobs()[0].id} &&" in running.seen


def test_a_terminal_shows_upload_wait_and_download(
    terminal: OpenTerminal, quick: LocalSandbox, tmp_path: Path
) -> None:
    running = terminal("run", *FILES, "-o", "out.mp4", cwd=tmp_path)
    assert running.wait() == 0
    seen = running.seen
    assert seen.index("video.mp4, audio.wav") < seen.index("1 of 1 done") < seen.index("out.mp4")
    assert "1.0/1.0 MB" in seen.rpartition("1 of 1 done")[2]
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "video.mp4").read_bytes()
