"""Standard streams that are closed, full, slow or without a reader, made by real shells."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import shlex
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async.cli import main
from chamelaion_async.cli._ui.streams import require_reader, standard_streams
from chamelaion_async.sandbox import Fault

from .running import COMMAND, COMPLETED, GENERATE, LocalSandbox, Result, Start

URLS = "https://x.example/v.mp4 https://x.example/a.wav"
CLOSED = "chamelaion-async: stdout is closed, so the output would be lost; to run without it, use >/dev/null\n"
FULL = "chamelaion-async: the output cannot be written: No space left on device\n"
UNSENT = "nothing was submitted, since the output has no reader\n"


def shell(arguments: str, streams: str) -> Result:
    """Run a command with redirections such as ``>&-`` or ``| true``."""
    line = f"{shlex.join(COMMAND)} {arguments} {streams}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


UNUSABLE = [
    (f"generate {URLS}", ">&-", Result(4, "", CLOSED)),
    (f"generate {URLS}", "<&- >&- 2>&-", Result(4, "", "")),
    ("--help", ">&-", Result(4, "", CLOSED)),
    *((read, ">/dev/full", Result(4, "", FULL)) for read in ("--help", "--version", "completion bash", "health")),
    *((read, ">/dev/full", Result(4, "", FULL)) for read in (f"get {COMPLETED}", "voices", "sandbox --port 0")),
    (f"wait {COMPLETED} dub-episode-43 --json", ">/dev/full", Result(4, "", FULL)),
    *((read, "| true", Result(141, "", "")) for read in ("--help", "get --help", "completion bash", "voices")),
    *((pay, "| true", Result(141, "", UNSENT)) for pay in (f"generate {URLS}", f"run {URLS} -o out.mp4 --json")),
]


@pytest.mark.parametrize(("arguments", "streams", "result"), UNUSABLE)
def test_an_unusable_stdout_is_at_most_one_line_and_nothing_is_submitted(
    quick: LocalSandbox, arguments: str, streams: str, result: Result
) -> None:
    assert shell(arguments, streams) == result
    assert quick.jobs() == []


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        *(("frobnicate", 2), ("get unknown", 1), ("wait unknown --timeout 0", 1), ("sandbox --host 203.0.113.7", 2)),
        *((f"download {COMPLETED} -o out.mp4", 0), (f"generate {URLS} --wait --json", 0)),
        ("run video.mp4 audio.wav -o out.mp4 --json", 0),
    ],
)
def test_a_closed_or_full_stderr_changes_neither_output_nor_exit_code(
    quick: LocalSandbox, arguments: str, code: int, streams: str
) -> None:
    result = shell(arguments, streams)
    assert (result.code, result.err) == (code, "")
    if "--json" in arguments:
        assert json.loads(result.out)["id"] == quick.jobs()[0].id
    else:
        assert result.out == ("out.mp4\n" if code == 0 else "")


def test_a_closed_stdin_changes_nothing(service: LocalSandbox) -> None:
    assert shell(f"get {COMPLETED}", "<&-").code == 0


@pytest.mark.parametrize(
    ("arguments", "is_there"),
    [
        *((f"generate {URLS} {options}", False) for options in ("", "--json", "--wait", "--wait --json")),
        ("translate https://x.example/v.mp4 --to de", False),
        *((f"run {URLS} -o out.mp4", False), (f"run {URLS} -o out.mp4 --json", True)),
    ],
)
def test_a_full_stdout_names_the_submitted_job_on_stderr(quick: LocalSandbox, arguments: str, is_there: bool) -> None:
    result = shell(arguments, ">/dev/full")
    (job,) = quick.jobs()
    assert result.code == 4
    assert f"{job.id} was submitted; " in result.err
    assert result.err.endswith(FULL)
    assert Path("out.mp4").exists() is is_there
    if not is_there:
        family = "--family translate " if "translate" in arguments else ""
        assert f"chamelaion-async wait {family}{job.id}" in result.err


def test_the_exit_code_is_4_if_stdout_and_stderr_are_full(quick: LocalSandbox) -> None:
    assert shell(f"generate {URLS}", ">/dev/full 2>&1") == Result(4, "", "")
    assert len(quick.jobs()) == 1


def test_an_error_is_printed_even_if_its_record_cannot_be(service: LocalSandbox) -> None:
    """A submission may have been accepted, which is worse than a full disk."""
    service.inject(Fault.status(500, when="after"), route=GENERATE)
    result = shell(f"generate {URLS} --json", ">/dev/full")
    assert result.code == 4
    assert "may or may not have been accepted" in result.err
    assert result.err.endswith(FULL)


@pytest.mark.parametrize("arguments", ["--help", f"get {COMPLETED}"])
def test_a_reader_of_one_line_gets_it(service: LocalSandbox, arguments: str) -> None:
    result = shell(arguments, "| head -1")
    assert (result.out.count("\n"), result.err) == (1, "")
    assert result.code in (0, 141)  # all of it may be in the pipe before `head` has ended


@pytest.mark.parametrize("options", [[], ["--json"], ["--wait"]])
def test_the_job_is_named_if_the_reader_goes_during_the_submission(
    start: Start, quick: LocalSandbox, options: list[str]
) -> None:
    quick.inject(Fault.latency(0.5), route=GENERATE)
    process = start("generate", *URLS.split(), *options)
    assert process.stdout is not None
    assert process.stderr is not None
    while not quick.jobs():
        time.sleep(0.01)
    process.stdout.close()
    assert process.wait(15) == 141
    id = quick.jobs()[0].id
    assert process.stderr.read() == f"{id} was submitted; to wait for it: chamelaion-async wait {id}\n"


NON_BLOCKING = "import os, sys; [os.set_blocking(n, False) for n in (1, 2)]; os.execv(sys.argv[1], sys.argv[1:])"


def test_a_slow_reader_of_a_non_blocking_pipe_gets_everything(service: LocalSandbox) -> None:
    """Node.js sets its pipes non-blocking, also for a child that shares one."""
    ids = [f"unknown-{number}" for number in range(60)]
    arguments = [sys.executable, "-SIc", NON_BLOCKING, *COMMAND, "wait", "--json", "--timeout", "0", *ids]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pipesize=4096
    ) as process:
        assert process.stdout is not None
        while waiting_in(process.stdout.fileno()) < 3700:  # the next record does not fit
            assert process.poll() is None
            time.sleep(0.01)
        out, err = process.communicate(timeout=15)
    assert process.returncode == 1
    assert sorted(json.loads(line)["id"] for line in out.splitlines()) == sorted(ids)
    assert sorted(line.split(": ")[1] for line in err.splitlines()) == sorted(ids)


def waiting_in(pipe: int) -> int:
    """Return how many bytes a pipe holds."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_terminal_that_hangs_up_is_one_line(running: str) -> None:
    terminal, other = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    line = [*COMMAND, "wait", running, "--timeout", "1"]
    streams: dict[str, Any] = {"stdin": other, "stdout": other, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, **streams, text=True, env=environment, start_new_session=True) as process:
        os.close(other)
        assert os.read(terminal, 1)
        os.close(terminal)
        _, err = process.communicate(timeout=15)
    assert process.returncode == 4
    assert err == "chamelaion-async: the output cannot be written: Input/output error\n"


def test_no_file_gets_the_descriptor_of_a_closed_stream() -> None:
    """Otherwise, what C code prints when it aborts would be written into the file."""
    code = (
        "import os, sys; from chamelaion_async.cli import main; main(['--version']); "
        "print(*[os.path.samestat(os.fstat(number), os.stat(os.devnull)) for number in (0, 2)])"
    )
    line = f"{shlex.join([COMMAND[0], '-c', code])} <&- 2>&-"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=15, check=False)
    assert done.stdout.splitlines()[-1] == "True True"


@pytest.mark.parametrize("stream", [io.StringIO, lambda: io.TextIOWrapper(io.BytesIO(), encoding="ascii")])
def test_streams_in_memory_are_not_replaced(stream: Callable[[], Any]) -> None:
    with contextlib.redirect_stdout(stream()) as out, standard_streams():
        assert sys.stdout is out
        require_reader()
        assert main(["--version"]) == 0


def test_streams_are_restored(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with standard_streams():
        assert (sys.stdout, sys.stderr) != before
    assert (sys.stdout, sys.stderr) == before


def test_a_character_that_the_encoding_lacks_is_escaped(service: LocalSandbox) -> None:
    service.add_job(reference_id="第42話", job_seconds=0)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*COMMAND, "get", "第42話"], capture_output=True, timeout=15, env=environment, check=False)
    assert done.returncode == 0
    assert rb"reference  \u7b2c42\u8a71" in done.stdout


def test_a_system_without_poll_goes_without_the_check_for_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no poll."""
    monkeypatch.delattr("select.poll")
    require_reader()
