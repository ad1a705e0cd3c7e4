"""The command as a whole."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chamelaion_async.cli
from chamelaion_async import __version__
from chamelaion_async.cli import app
from chamelaion_async.cli.streams import OutputError
from chamelaion_async.sandbox import Fault

COMMANDS = (
    "demo",
    "run",
    "generate",
    "translate",
    "get",
    "wait",
    "list",
    "download",
    "voices",
    "health",
    "whoami",
    "sandbox",
    "completion",
)


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_the_commands(cli: Callable[..., Any], arguments: list[str]) -> None:
    result = cli(*arguments)
    assert result.code == 0
    assert result.err == ""
    for name in COMMANDS:
        assert f" {name} " in result.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(cli: Callable[..., Any], name: str) -> None:
    result = cli(name, "--help")
    assert result.code == 0
    assert f"Usage: chamelaion-async {name}" in result.out


def test_tells_its_version(cli: Callable[..., Any]) -> None:
    assert cli("--version").out == f"chamelaion-async {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_and_no_more(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shell: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    result = cli("completion", shell)
    assert (result.code, result.err) == (0, "")
    assert all(name in result.out for name in (*COMMANDS, "no-speaker-detection"))
    assert list(tmp_path.iterdir()) == []


def test_bash_understands_its_script(cli: Callable[..., Any]) -> None:
    script = cli("completion", "bash").out
    asked = "COMP_WORDS=(chamelaion-async gen); COMP_CWORD=1; _chamelaion_async; echo ${COMPREPLY[*]}"
    done = subprocess.run(
        ["bash", "--norc"], input=f"{script}\n{asked}\n", capture_output=True, text=True, timeout=15, check=False
    )
    assert (done.stdout, done.stderr) == ("generate\n", "")


def test_an_unknown_command_is_one_line(cli: Callable[..., Any]) -> None:
    result = cli("frobnicate\x1b[2J")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(r'chamelaion-async: Unknown command "frobnicate\x1b[2J".')
    assert result.err.count("\n") == 1


def test_tells_whose_key_it_is(cli: Callable[..., Any], serve: Callable[..., Any]) -> None:
    url = serve(keys={"sk-1": "the\x1b name"}).url
    assert cli("whoami", "--api-key", "sk-1", "--base-url", url).out == "the\\x1b name\n"


def test_health_needs_no_key(cli: Callable[..., Any], serve: Callable[..., Any]) -> None:
    assert cli("health", "--base-url", serve().url).code == 0


def test_a_service_that_is_not_well_is_a_failure(cli: Callable[..., Any], service: Any) -> None:
    service.inject(Fault.body(b'{"status": "degraded"}'), route="GET /health")
    result = cli("health")
    assert (result.code, result.out) == (1, "degraded\n")


@pytest.mark.parametrize("module", ["cyclopts", "rich"])
def test_a_missing_extra_is_explained_in_one_line(module: str) -> None:
    without = f"import sys; sys.modules[{module!r}] = None; from chamelaion_async.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, timeout=15, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"chamelaion-async: the command line needs {module}; pip install 'chamelaion-async[cli]'\n"
    )


def test_a_hole_in_the_package_itself_is_not_blamed_on_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chamelaion_async.cli.app", None)
    with pytest.raises(ModuleNotFoundError, match=r"chamelaion_async\.cli\.app"):
        chamelaion_async.cli.main([])


def test_an_interrupt_during_the_start_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting:
        @property
        def run(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "chamelaion_async.cli.app", Interrupting())
    assert chamelaion_async.cli.main([]) == 130


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (KeyboardInterrupt(), 130, ""),
        (OutputError(errno.EPIPE, "Broken pipe"), 141, ""),
        (OutputError(errno.EIO, "gone"), 4, "chamelaion-async: the output cannot be written: gone\n"),
        (OSError(errno.EMFILE, "Too many open files"), 2, "chamelaion-async: [Errno 24] Too many open files\n"),
    ],
)
def test_no_error_leaves_with_a_traceback(
    cli: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    printed: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    monkeypatch.setattr(app, "abandon_stdout", lambda: None)
    result = cli("demo")
    assert (result.code, result.out, result.err) == (code, "", printed)


def test_text_that_the_stream_cannot_encode_is_spelled_out(command: list[str], service: Any) -> None:
    service.add_job(reference_id="第42話", job_seconds=0)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*command, "get", "第42話"], capture_output=True, timeout=15, env=environment, check=False)
    assert done.returncode == 0
    assert rb"reference  \u7b2c42\u8a71" in done.stdout


def test_output_may_go_to_any_stream() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert chamelaion_async.cli.main(["--version"]) == 0
    assert out.getvalue() == f"chamelaion-async {__version__}\n"
