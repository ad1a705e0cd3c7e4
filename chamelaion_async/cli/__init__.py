"""The console command ``chamelaion-async``, which needs the extra ``cli``.

Each command is a module with the name of the command, and its docstring is its ``--help``; ``app`` puts them
together. What several commands share is in ``_ui``.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Sequence

from ._ui.streams import standard_streams

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the name of the command; by default the arguments of this process.

    Returns:
        The exit code; ``_ui.exits.ExitCode`` lists the meanings.
    """
    # At the end of a process, Python searches all objects for cycles, which takes as long as half of the imports.
    atexit.register(gc.freeze)
    with standard_streams():
        try:
            from .app import run_command  # noqa: PLC0415 - without the extra, this import fails and is explained
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing == "chamelaion_async":
                raise
            print(
                f"chamelaion-async: the command line needs {missing}; pip install 'chamelaion-async[cli]'",
                file=sys.stderr,
            )
            return 2
        except KeyboardInterrupt:
            return 130
        return run_command(arguments)
