"""The command line as a whole: its commands, and the exit code for every way in which one can end."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from inspect import cleandoc
from itertools import pairwise
from typing import Final

import rich  # noqa: F401 - a command may import it late, and its absence is explained before anything is sent
from cyclopts import App, CycloptsError

from .._version import __version__
from ..errors import ChamelaionError
from ._ui.errors import exit_code, explain
from ._ui.exits import ExitCode
from ._ui.help_pages import HelpPages
from ._ui.ids import STDIN
from ._ui.printing import print_error, print_line
from ._ui.signals import sigterm_as_interrupt
from ._ui.streams import OutputError, discard_stdout
from .completion import completion_for

__all__ = ["app", "run_command", "with_stdin_as_file"]

_HELP: Final = """\
Lip sync and translation jobs of the Chamelaion API. Try: chamelaion-async demo
"""
_SERVICE_HELP: Final = """\
Options of every command that calls the service:
--api-key KEY         Better set CHAMELAION_API_KEY: others can see arguments.
--bearer-token TOKEN  Better set CHAMELAION_BEARER_TOKEN.
--environment NAME    production, the default, or staging.
--base-url URL        Default: CHAMELAION_BASE_URL. A sandbox prints its own.
--allow-http          Plain http to another machine: sends the key unencrypted.
--proxy URL           Default: HTTPS_PROXY or HTTP_PROXY, but not for NO_PROXY.
"""
_MORE: Final = "The service and its credentials: chamelaion-async --help"

# Imported when they are called, since all of them together take as long as aiohttp. The texts are the first sentences
# of their docstrings.
_COMMANDS: Final = {
    "batch": "Submit, wait for and download a list of jobs. This costs money.",
    "demo": "Run five jobs on a sandbox in this process.",
    "download": "Download the outputs of completed requests.",
    "generate": "Submit a lip sync job. This costs money.",
    "get": "Show the state of a request.",
    "health": "Check whether the service runs.",
    "list": "List the requests of the account.",
    "run": "Submit a lip sync job, wait and download. This costs money.",
    "sandbox": "Serve an imitation of the API on this machine.",
    "shell": "Open a Python prompt with await and an open client.",
    "translate": "Submit a video translation. This costs money.",
    "voices": "List the voices for translate --voice.",
    "wait": "Wait until requests are completed or failed.",
    "whoami": "Show the name of the API key in use.",
}
_ALONE: Final = ("demo", "sandbox")  # commands that call no service
_TAKE_IDS: Final = ("download", "wait")

app: App = App(
    name="chamelaion-async",
    help=_HELP,
    help_format="plaintext",  # what formats Markdown takes a third of the time of --help
    help_formatter=HelpPages(hidden=re.findall(r"--[a-z-]+", _SERVICE_HELP)),
    help_epilogue=_SERVICE_HELP,
    version_flags=[],  # cyclopts would import Rich to print the version
    result_action="return_value",  # by default, cyclopts ends the process
    suppress_keyboard_interrupt=False,  # an interrupt has an exit code of its own
)
for _name, _help in _COMMANDS.items():
    _function = "list_requests" if _name == "list" else _name
    app.command(
        f"{__package__}.{_name}:{_function}",
        name=_name,
        help=_help,
        help_epilogue="" if _name in _ALONE else _MORE,
    )
app.command(completion_for(app), help_epilogue="")


@app.command(name="--version")
def _print_version() -> None:
    """Print the version."""
    print_line(f"chamelaion-async {__version__}")


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
        if tokens and tokens[0] in (*_COMMANDS, "completion") and not {"--help", "-h"}.isdisjoint(tokens):
            app[tokens[0]].help = _description(app[tokens[0]])
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


def _description(command: App) -> str:
    """Return the text of a command for its own help: its docstring without the arguments, a paragraph a line."""
    text, _, _ = cleandoc(command.default_command.__doc__ or "").partition("\n\nArgs:\n")
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


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
