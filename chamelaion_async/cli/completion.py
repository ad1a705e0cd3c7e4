"""``completion``: a script with which a shell completes the commands and their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

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
        script = app.generate_completion(shell=shell).rstrip("\n")
        print_line(_with_file_names(script) if shell == "bash" else script)
        return ExitCode.OK

    return completion


_FILES: Final = r"""
_chamelaion_async_or_files() {
  _chamelaion_async "$@"
  # COMP_WORDBREAKS has an @, so that @ and the name are two words.
  if [[ ${#COMPREPLY[@]} -eq 0 && ${COMP_WORDS[COMP_CWORD-1]} == @ ]]; then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
  fi
}

complete -o default -F _chamelaion_async_or_files chamelaion-async"""


def _with_file_names(script: str) -> str:
    """Let bash complete the names of files wherever the script knows no word: media, outputs, ``@FILE``.

    Cyclopts completes none for texts, and splits the names of the others at their blanks.
    """
    without = script.replace('COMPREPLY=( $(compgen -f -- "${cur}") )', "COMPREPLY=()")
    return without.replace("\ncomplete -F _chamelaion_async chamelaion-async", _FILES)
