"""The command line as a whole: its commands, and the exit code for every way in which one can end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from cyclopts import App, CycloptsError

from .._version import __version__
from ..errors import ChamelaionError
from ._ui.errors import exit_code, explain
from ._ui.exits import ExitCode
from ._ui.ids import STDIN
from ._ui.printing import print_error
from ._ui.signals import sigterm_as_interrupt
from ._ui.streams import OutputError, discard_stdout
from .completion import completion_for
from .demo import demo
from .download import download
from .generate import generate
from .get import get
from .health import health
from .list import list_requests
from .run import run
from .sandbox import sandbox
from .translate import translate
from .voices import voices
from .wait import wait
from .whoami import whoami

__all__ = ["app", "run_command", "with_stdin_as_file"]

_HELP: Final = """\
Lip sync and translation jobs of the Chamelaion API. To see it work: *chamelaion-async demo*.

The API key is read from CHAMELAION_API_KEY. Exit codes: 0 success, 1 a job failed or was not found, 2 wrong
arguments, settings or credentials, 3 no answer, a timeout or a broken transfer, 4 the output cannot be written, 130
interrupted.
"""

_TAKE_IDS: Final = ("download", "wait")

app: App = App(
    name="chamelaion-async",
    help=_HELP,
    help_format="markdown",
    version=f"chamelaion-async {__version__}",
    result_action="return_value",  # by default, cyclopts ends the process
    suppress_keyboard_interrupt=False,  # an interrupt has an exit code of its own
)
app.command(demo)
app.command(run)
app.command(generate)
app.command(translate)
app.command(get)
app.command(wait)
app.command(list_requests, name="list")
app.command(download)
app.command(voices)
app.command(health)
app.command(whoami)
app.command(sandbox)
app.command(completion_for(app))


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error is printed as one line instead of a traceback.

    Args:
        arguments: What follows the name of the command; by default the arguments of this process.
    """
    tokens = with_stdin_as_file(list(sys.argv[1:] if arguments is None else arguments))
    with sigterm_as_interrupt() as sigterm:
        code = _run(tokens)
    return ExitCode.TERMINATED if sigterm.is_received and code == ExitCode.INTERRUPTED else code


def _run(tokens: Sequence[str]) -> int:
    if sys.stdout is None:
        # Checked before anything is sent: a command could not print the id of a job that costs money.
        print_error("stdout is closed, so the output would be lost; to run without it, use >/dev/null")
        return ExitCode.UNWRITABLE
    try:
        code = int(app(tokens, exit_on_error=False, print_error=False) or ExitCode.OK)
        sys.stdout.flush()  # may fail: a full disk is noticed here if the output fits into the buffer
    except CycloptsError as error:
        print_error(f"{_without_secrets(str(error), tokens)} Try --help.")
        return ExitCode.USAGE
    except ChamelaionError as error:
        print_error(explain(error))
        return exit_code(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except OutputError as error:
        discard_stdout()
        if error.is_reader_gone:
            return ExitCode.BROKEN_PIPE
        print_error(f"the output cannot be written: {error.strerror}")
        return ExitCode.UNWRITABLE
    except OSError as error:  # of this machine; the client turns those of a connection into its own
        print_error(str(error))
        return ExitCode.USAGE
    return code


def with_stdin_as_file(words: list[str]) -> list[str]:
    """Replace a lone dash, which stands for the ids on stdin; cyclopts takes it for an option before ``--``."""
    if not words or words[0] not in _TAKE_IDS:
        return words
    end = words.index("--") if "--" in words else len(words)
    options = [
        STDIN if word == "-" and before not in ("-o", "--output") else word
        for before, word in pairwise(["", *words[:end]])
    ]
    return options + words[end:]


def _without_secrets(text: str, tokens: Sequence[str]) -> str:
    """Mask the values of options that are, or are misspelt as, a key, a token or a proxy with a password.

    The text of a cyclopts error quotes the arguments.
    """
    secrets = set()
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        name, joined, value = token.partition("=")
        if name.startswith("--") and any(word in name for word in ("key", "token", "proxy")):
            secrets.add(value if joined else following)
    # The longest first: one secret may be the beginning of another.
    for secret in sorted(secrets, key=len, reverse=True):
        if secret and not secret.startswith("--"):
            text = text.replace(secret, "***")
    return text
