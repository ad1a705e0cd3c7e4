"""``completion``: a script with which a shell completes the commands and their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from cyclopts import App

from ._ui.exits import ExitCode
from ._ui.printing import print_line

__all__ = ["completion_for"]

Shell = Literal["bash", "zsh", "fish"]


def completion_for(app: App) -> Callable[[Shell], int]:
    """Return the command for an app. The app is an argument, since its module imports this one."""

    def completion(shell: Shell, /) -> int:
        """Print a completion script for a shell.

        Nothing is installed or changed. bash: eval "$(chamelaion-async completion bash)". zsh: save the script as
        _chamelaion-async in a folder of fpath. fish: save it as ~/.config/fish/completions/chamelaion-async.fish.

        Args:
            shell: The shell.
        """
        print_line(app.generate_completion(shell=shell).rstrip("\n"))
        return ExitCode.OK

    return completion
