"""The console command ``chamelaion-async``, which needs the extra ``cli``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .streams import standard_streams

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the name of the command; by default that of this process.

    Returns:
        The exit code; ``exits.ExitCode`` lists what each means.
    """
    with standard_streams():
        try:
            from .app import run  # noqa: PLC0415 - what the extra brings may be missing, and is then explained
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("chamelaion_async"):
                raise
            print(
                f"chamelaion-async: the command line needs {error.name}; pip install 'chamelaion-async[cli]'",
                file=sys.stderr,
            )
            return 2
        except KeyboardInterrupt:
            return 130
        return run(arguments)
