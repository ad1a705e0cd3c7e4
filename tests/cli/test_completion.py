"""``completion``: scripts for shells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .running import Cli


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_and_nothing_installed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shell: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    result = cli("completion", shell)
    assert (result.code, result.err) == (0, "")
    assert all(name in result.out for name in ("generate", "list", "whoami", "no-speaker-detection"))
    assert list(tmp_path.iterdir()) == []


def test_bash_completes_a_command_with_its_script(cli: Cli) -> None:
    script = cli("completion", "bash").out
    asked = "COMP_WORDS=(chamelaion-async gen); COMP_CWORD=1; _chamelaion_async; echo ${COMPREPLY[*]}"
    done = subprocess.run(
        ["bash", "--norc"], input=f"{script}\n{asked}\n", capture_output=True, text=True, timeout=15, check=False
    )
    assert (done.stdout, done.stderr) == ("generate\n", "")
