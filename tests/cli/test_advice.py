"""Commands in advice: what is printed can be pasted into a shell."""

from __future__ import annotations

import os
import subprocess

import pytest

from chamelaion_async.cli.advice import command, quoted
from chamelaion_async.cli.text import clean, one_line

NAMES = [
    "dub-42",
    "-x",
    "--json",
    "-",
    "it's",
    "a b",
    "a  b ",
    "$(touch x) `touch y` ; touch z",
    '"!$HOME"',
    "*",
    "~",
    "\\",
    "\\'\t\n\r\x1b[2J\x7f",
    "\x1b9",
    "-\n",
    "Überraschung 第42話",
    "a\u3000b\u202egpj",
    "\udcff.mp4",
]


def pasted(text: str) -> list[list[str]]:
    """Let bash run a line in which ``chamelaion-async`` prints its arguments, and return those of each call."""
    printing = r"""chamelaion-async() { printf '%s\0' "$@" $'\n'; }"""
    done = subprocess.run(
        ["bash", "--norc"], input=os.fsencode(f"{printing}\n{text}\n"), capture_output=True, timeout=15, check=True
    )
    assert done.stderr == b""
    calls = os.fsdecode(done.stdout).split("\0\n\0")[:-1]
    return [call.split("\0") for call in calls]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_survives_the_terminal_and_a_shell(name: str) -> None:
    line = command("download", name, output=name, overwrite=True, base_url=None, allow_http=False)
    assert one_line(line) == clean(line) == line
    (words,) = pasted(line)
    assert words[0] == "download"
    assert words[-1] == name
    assert f"--output={name}" in words if name.startswith("-") else words[1:3] == ["--output", name]
    assert ("--" in words) is name.startswith("-")


def test_half_a_character_is_a_word_too() -> None:
    """An id may hold one, as JSON lets it, though no command line can pass it on."""
    assert quoted("\ud800") == r"$'\355\240\200'"
