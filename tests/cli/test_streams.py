"""Standard streams that are closed, full, slow or without a reader: in real shells, since no one else makes them."""

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

import attrs
import pytest

from chamelaion_async.cli import main
from chamelaion_async.cli.streams import require_reader, standard_streams
from chamelaion_async.sandbox import Fault

COMPLETED = "dub-episode-42"
URLS = "https://x.example/v.mp4 https://x.example/a.wav"
JSON = "POST /v1/lipsync/generate"
CLOSED = "chamelaion-async: stdout is closed, and all that is printed would be lost; to do without it: >/dev/null\n"
FULL = "chamelaion-async: the output cannot be written: No space left on device\n"
UNSENT = "nothing was submitted, since what reads the output has gone\n"


@attrs.frozen
class Ended:
    """What a shell saw of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def shell(command: list[str]) -> Callable[[str, str], Ended]:
    """Run a command with what a shell can do to its streams, such as ``>&-`` or ``| true``."""

    def run(arguments: str, streams: str) -> Ended:
        line = f"{shlex.join(command)} {arguments} {streams}; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=False)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


Shell = Callable[[str, str], Ended]


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_without_stdout_nothing_is_submitted(shell: Shell, quick: Any, streams: str) -> None:
    assert shell(f"generate {URLS}", streams) == Ended(4, "", "" if "2>&-" in streams else CLOSED)
    assert quick.jobs() == []


def test_without_stdout_there_is_no_help_either(shell: Shell) -> None:
    assert shell("--help", ">&-") == Ended(4, "", CLOSED)


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("frobnicate", 2),
        ("get nobody-knows", 1),
        ("wait nobody-knows --timeout 0", 1),
        (f"download {COMPLETED} -o out.mp4", 0),
        (f"generate {URLS} --wait --json", 0),
        ("run video.mp4 audio.wav -o out.mp4 --json", 0),
        ("sandbox --host 203.0.113.7", 2),
    ],
)
def test_without_stderr_its_lines_are_dropped(
    shell: Shell, quick: Any, arguments: str, code: int, streams: str
) -> None:
    result = shell(arguments, streams)
    assert (result.code, result.err) == (code, "")
    if "--json" in arguments:
        assert json.loads(result.out)["id"] == quick.jobs()[0].id
    else:
        assert result.out == ("out.mp4\n" if code == 0 else "")


def test_without_stdin_all_is_as_usual(shell: Shell, service: Any) -> None:
    assert shell(f"get {COMPLETED}", "<&-").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "--version",
        "completion bash",
        f"get {COMPLETED}",
        f"wait {COMPLETED} dub-episode-43 --json",
        "voices",
        "health",
        "sandbox --port 0",
    ],
)
def test_a_full_device_is_one_line(shell: Shell, service: Any, arguments: str) -> None:
    assert shell(arguments, ">/dev/full") == Ended(4, "", FULL)


@pytest.mark.parametrize(
    ("arguments", "is_there"),
    [
        (f"generate {URLS}", False),
        (f"generate {URLS} --json", False),
        (f"generate {URLS} --wait", False),
        (f"generate {URLS} --wait --json", False),
        ("translate https://x.example/v.mp4 --to de", False),
        (f"run {URLS} -o out.mp4", False),
        (f"run {URLS} -o out.mp4 --json", True),
    ],
)
def test_what_was_paid_for_is_named_on_stderr_if_stdout_is_full(
    shell: Shell, quick: Any, arguments: str, is_there: bool
) -> None:
    result = shell(arguments, ">/dev/full")
    (job,) = quick.jobs()
    assert result.code == 4
    assert f"{job.id} was submitted; " in result.err
    assert result.err.endswith(FULL)
    assert Path("out.mp4").exists() is is_there
    if not is_there:
        family = "--family translate " if "translate" in arguments else ""
        assert f"chamelaion-async wait {family}{job.id}" in result.err


def test_with_both_full_the_exit_code_says_it(shell: Shell, quick: Any) -> None:
    assert shell(f"generate {URLS}", ">/dev/full 2>&1") == Ended(4, "", "")
    assert len(quick.jobs()) == 1


def test_an_error_is_told_even_if_its_record_cannot_be(shell: Shell, service: Any) -> None:
    """A submission may have been accepted, which is worse than a full disk."""
    service.inject(Fault.status(500, when="after"), route=JSON)
    result = shell(f"generate {URLS} --json", ">/dev/full")
    assert result.code == 4
    assert "may or may not have been accepted" in result.err
    assert result.err.endswith(FULL)


@pytest.mark.parametrize("arguments", ["--help", "get --help", "--version", "completion bash", "voices"])
def test_a_reader_that_has_gone_is_no_error(shell: Shell, service: Any, arguments: str) -> None:
    assert shell(arguments, "| true") == Ended(141, "", "")


@pytest.mark.parametrize("arguments", ["--help", f"get {COMPLETED}"])
def test_a_reader_of_one_line_gets_it(shell: Shell, service: Any, arguments: str) -> None:
    result = shell(arguments, "| head -1")
    assert (result.out.count("\n"), result.err) == (1, "")
    assert result.code in (0, 141)  # all of it may be in the pipe before `head` has ended


@pytest.mark.parametrize("arguments", [f"generate {URLS}", f"run {URLS} -o out.mp4 --json"])
def test_nothing_is_submitted_if_the_reader_has_gone(shell: Shell, quick: Any, arguments: str) -> None:
    assert shell(arguments, "| true") == Ended(141, "", UNSENT)
    assert quick.jobs() == []


@pytest.mark.parametrize("options", [[], ["--json"], ["--wait"]])
def test_a_job_is_named_if_the_reader_goes_meanwhile(
    start: Callable[..., subprocess.Popen[str]], quick: Any, options: list[str]
) -> None:
    quick.inject(Fault.latency(0.5), route=JSON)
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


def test_a_slow_reader_of_a_non_blocking_pipe_gets_everything(command: list[str], service: Any) -> None:
    """Node.js sets its pipes non-blocking, and a child that shares one has to live with it."""
    ids = [f"nobody-knows-{number}" for number in range(60)]
    arguments = [sys.executable, "-SIc", NON_BLOCKING, *command, "wait", "--json", "--timeout", "0", *ids]
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


def test_a_terminal_that_hangs_up_is_one_line(command: list[str], service: Any) -> None:
    service.add_job(reference_id="running")
    terminal, other = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    line = [*command, "wait", "running", "--timeout", "1"]
    with subprocess.Popen(
        line,
        stdin=other,
        stdout=other,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        os.close(other)
        assert os.read(terminal, 1)
        os.close(terminal)
        _, err = process.communicate(timeout=15)
    assert process.returncode == 4
    assert err == "chamelaion-async: the output cannot be written: Input/output error\n"


def test_no_file_takes_the_place_of_a_closed_stream(command: list[str]) -> None:
    """What C code prints when it aborts would end up in it."""
    look = (
        "import os, sys; from chamelaion_async.cli import main; main(['--version']); "
        "print(*[os.path.samestat(os.fstat(number), os.stat(os.devnull)) for number in (0, 2)])"
    )
    line = f"{shlex.join([command[0], '-c', look])} <&- 2>&-"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=15, check=False)
    assert done.stdout.splitlines()[-1] == "True True"


@pytest.mark.parametrize("stream", [io.StringIO, lambda: io.TextIOWrapper(io.BytesIO(), encoding="ascii")])
def test_streams_in_memory_stay_what_they_are(stream: Callable[[], Any]) -> None:
    with contextlib.redirect_stdout(stream()) as out, standard_streams():
        assert sys.stdout is out
        require_reader()
        assert main(["--version"]) == 0


def test_streams_come_back(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with standard_streams():
        assert (sys.stdout, sys.stderr) != before
    assert (sys.stdout, sys.stderr) == before
