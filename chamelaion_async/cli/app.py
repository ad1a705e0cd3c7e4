"""The command line as a whole: its commands, and what becomes of an error in any of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from .._version import __version__
from ..errors import ChamelaionError
from .account import health, whoami
from .completion import completion_for
from .demo import demo
from .download import download
from .exits import ExitCode, of_error
from .generate import generate
from .jobs import get, wait
from .lipsync_run import run as run_lipsync
from .list_jobs import list_jobs
from .output import complain
from .serve import sandbox
from .signals import ending_on_sigterm
from .streams import OutputError, abandon_stdout
from .translate import translate
from .voices import voices
from .words import explain

__all__ = ["app", "run"]

_HELP: Final = """\
Lip sync and translation jobs of the Chamelaion API from the shell. Begin with *chamelaion-async demo*.

The key is taken from CHAMELAION_API_KEY. Exit codes: 0 all is well, 1 a job failed or is not known, 2 the command
line, the settings or the credentials are wrong, 3 no answer, not in time or broken off, 4 the output cannot be
written, 130 interrupted.
"""

app = App(
    name="chamelaion-async",
    help=_HELP,
    help_format="markdown",
    version=f"chamelaion-async {__version__}",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command(demo)
app.command(run_lipsync, name="run")
app.command(generate)
app.command(translate)
app.command(get)
app.command(wait)
app.command(list_jobs, name="list")
app.command(download)
app.command(voices)
app.command(health)
app.command(whoami)
app.command(sandbox)
app.command(completion_for(app))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and turn however it ends into an exit code; no error leaves with a traceback.

    Args:
        arguments: What follows the name of the command; by default that of this process.
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    with ending_on_sigterm() as ending:
        code = _run(tokens)
    return ExitCode.TERMINATED if ending.is_terminated and code == ExitCode.INTERRUPTED else code


def _run(tokens: Sequence[str]) -> int:
    if sys.stdout is None:
        # Known before anything is sent: what a command finds out or pays for could not be told.
        complain("stdout is closed, and all that is printed would be lost; to do without it: >/dev/null")
        return ExitCode.UNWRITABLE
    try:
        code = int(app(tokens, exit_on_error=False, print_error=False) or ExitCode.OK)
        sys.stdout.flush()
    except CycloptsError as error:
        complain(f"{_without_secrets(str(error), tokens)} Try --help.")
        return ExitCode.USAGE
    except ChamelaionError as error:
        complain(explain(error))
        return of_error(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except OutputError as error:
        abandon_stdout()
        if error.is_reader_gone:
            return ExitCode.BROKEN_PIPE
        complain(f"the output cannot be written: {error.strerror}")
        return ExitCode.UNWRITABLE
    except OSError as error:
        complain(str(error))
        return ExitCode.USAGE
    return code


def _without_secrets(text: str, tokens: Sequence[str]) -> str:
    """Mask what was meant as a key or may hold a password: a complaint about the command line quotes it."""
    secrets = set()
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        name, joined, value = token.partition("=")
        if name.startswith("--") and any(word in name for word in ("key", "token", "proxy")):
            secrets.add(value if joined else following)
    for secret in sorted(secrets, key=len, reverse=True):
        if secret and not secret.startswith("--"):
            text = text.replace(secret, "***")
    return text
