"""The command as a whole: help, version, and the exit code for every way to end."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

import chamelaion_async.cli
from chamelaion_async import __version__
from chamelaion_async.cli import app
from chamelaion_async.cli._ui.options import ServiceOptions
from chamelaion_async.cli._ui.streams import OutputError

from .running import COMPLETED, URLS, Cli, LocalSandbox

COMMANDS = [name for name in app.app if not name.startswith("-")]


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_the_commands(cli: Cli, arguments: list[str]) -> None:
    result = cli(*arguments)
    assert (result.code, result.err) == (0, "")
    assert len(COMMANDS) == 15
    for name in COMMANDS:
        assert f"\n{name} " in result.out


def test_version_is_the_version_of_the_package(cli: Cli) -> None:
    assert cli("--version").out == f"chamelaion-async {__version__}\n"


def test_an_unknown_command_is_one_line(cli: Cli) -> None:
    result = cli("frobnicate\x1b[2J")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(r'chamelaion-async: Unknown command "frobnicate\x1b[2J".')
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("module", ["cyclopts", "rich"])
def test_a_missing_extra_is_explained_in_one_line(module: str) -> None:
    without = f"import sys; sys.modules[{module!r}] = None; from chamelaion_async.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, timeout=15, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"chamelaion-async: the command line needs {module}; pip install 'chamelaion-async[cli]'\n"
    )


def test_a_missing_module_of_the_package_itself_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chamelaion_async.cli.app", None)
    with pytest.raises(ModuleNotFoundError, match=r"chamelaion_async\.cli\.app"):
        chamelaion_async.cli.main([])


def test_an_interrupt_during_the_imports_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting:
        @property
        def run_command(self) -> None:
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
def test_every_error_becomes_an_exit_code_and_at_most_one_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, printed: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    monkeypatch.setattr(app, "discard_stdout", lambda: None)
    result = cli("demo")
    assert (result.code, result.out, result.err) == (code, "", printed)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_fits_into_24_lines_of_80_columns(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli(command, "--help").out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "--api-key" not in "".join(lines)
    calls_service = command not in (*app._ALONE, "completion")
    assert ("chamelaion-async --help" in lines[-1]) is calls_service


@pytest.mark.parametrize("command", app._COMMANDS)
def test_the_list_of_commands_has_the_first_sentences_of_their_docstrings(cli: Cli, command: str) -> None:
    first = " ".join(cli(command, "--help").out.split("\n\n")[1].split())
    assert first == app._COMMANDS[command]


def test_the_help_of_the_whole_names_commands_and_common_options(cli: Cli) -> None:
    words = cli("--help").out.split()
    assert {*COMMANDS} <= {*words}
    options = {f"--{field.name.replace('_', '-')}" for field in attrs.fields(ServiceOptions)}
    assert options <= {word.rstrip(":") for word in words}


def test_a_command_imports_no_other_command() -> None:
    others = {f"chamelaion_async.cli.{name}" for name in COMMANDS} - {"chamelaion_async.cli.completion"}
    assert _loaded_by("health", "--base-url", "http://127.0.0.1:1") & others == {"chamelaion_async.cli.health"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["completion", "bash"],
        ["health"],
        ["get", COMPLETED],
        ["list"],
        ["voices"],
        ["wait", COMPLETED],
        ["generate", *URLS],
        ["download", COMPLETED, "-o", "output"],
        ["batch", "jobs.csv", "--out", "dubs", "--dry-run"],
    ],
)
def test_a_command_without_a_terminal_loads_neither_what_draws_on_one_nor_the_sandbox(
    quick: LocalSandbox, arguments: list[str]
) -> None:
    Path("jobs.csv").write_text(f"video,audio\n{','.join(URLS)}\n", "utf-8")
    loaded = _loaded_by(*arguments)
    assert not {name for name in loaded if name.startswith("rich.")} - {"rich._extension"}  # imported by rich itself
    assert not loaded & {"aiohttp.web", "chamelaion_async.sandbox", "markdown_it", "pygments"}


def test_help_loads_nothing_that_formats_markdown() -> None:
    assert not _loaded_by("wait", "--help") & {"markdown_it", "pygments", "rich.markdown", "rich.live"}


def test_the_search_for_cycles_at_the_end_of_the_process_has_nothing_to_search() -> None:
    script = (
        "import atexit, gc; atexit.register(lambda: print(len(gc.get_objects())));"
        "from chamelaion_async.cli import main; main(['--version'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout.split()[-1]) < 100


def _loaded_by(*arguments: str) -> set[str]:
    """Return the modules that a command loads without a terminal."""
    script = (
        "import sys; from chamelaion_async.cli import main; code = main(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 3), done.stderr
    return {*done.stderr.splitlines()[-1].split()}
