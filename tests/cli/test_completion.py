"""``completion``: scripts for shells."""

from __future__ import annotations

import os
import pty
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


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("chamelaion-async run my", r"run my\ video.mp4 "),
        ("chamelaion-async run in.mp4 -o my", r"-o my\ video.mp4 "),
        ("chamelaion-async translate in.mp4 --source-srt my", r"--source-srt my\ video.mp4 "),
        ("chamelaion-async wait @my", r"my\ video.mp4 "),
        ("chamelaion-async wait --fam", "wait --family "),
        ("chamelaion-async wait --family tr", "--family translate "),
        ("chamelaion-async wait --base", "wait --base-url "),
    ],
)
def test_bash_completes_files_and_options_at_a_prompt(cli: Cli, tmp_path: Path, typed: str, completed: str) -> None:
    (tmp_path / "my video.mp4").touch()
    (tmp_path / "script").write_text(cli("completion", "bash").out)
    end, other = pty.openpty()
    bash = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=other,
        stdout=other,
        stderr=other,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "$ ", "HISTFILE": "", "INPUTRC": "/dev/null"},
        start_new_session=True,
    )
    os.close(other)
    try:
        os.write(end, b". ./script; echo rea''dy\n")
        seen = b""
        while b"ready\r\n" not in seen:
            seen += os.read(end, 65536)
        os.write(end, f"{typed}\t".encode())
        while completed.encode() not in seen:
            seen += os.read(end, 65536)  # the limit for a test that hangs ends this
    finally:
        bash.kill()
        bash.wait(15)
        os.close(end)
