"""``completion``: a script that lets a shell complete the commands and their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from cyclopts import App

from .exits import ExitCode
from .output import say

__all__ = ["completion_for"]

Shell = Literal["bash", "zsh", "fish"]


def completion_for(app: App) -> Callable[[Shell], int]:
    """Return the command for an app, which cannot be imported from here since it holds the command."""

    def completion(shell: Shell, /) -> int:
        """Print a completion script for a shell. Nothing is installed or changed.

        For bash: eval "$(chamelaion-async completion bash)". For zsh save it as _chamelaion-async in a folder of
        fpath, for fish as ~/.config/fish/completions/chamelaion-async.fish.

        Args:
            shell: Which shell.
        """
        say(app.generate_completion(shell=shell).rstrip("\n"))
        return ExitCode.OK

    return completion
