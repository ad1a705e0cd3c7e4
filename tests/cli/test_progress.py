"""The progress of an upload."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chamelaion_async.cli._ui import progress

from .running import FILES, Cli, LocalSandbox, OpenTerminal


def test_an_upload_shows_a_bar_on_a_terminal(terminal: OpenTerminal, quick: LocalSandbox, tmp_path: Path) -> None:
    started = terminal("generate", *FILES, cwd=tmp_path)
    assert started.wait() == 0
    assert "video.mp4, audio.wav" in started.seen
    assert "1.0/1.0 MB" in started.seen
    assert "\x1b[1A" in started.seen or "\r\x1b[2K" in started.seen  # drawn over
    assert re.search(rf"\n(\x1b\[\?25h)?{quick.jobs()[0].id}\r\n", started.seen)  # alone on its line


def test_an_error_before_the_upload_leaves_no_bar(
    cli: Cli, quick: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "can_redraw", lambda _: True)
    assert cli("generate", "nowhere.mp4", "audio.wav").err == (
        "chamelaion-async: video 'nowhere.mp4' cannot be read: No such file or directory. Nothing was submitted\n"
    )


def test_a_file_name_is_printed_without_control_characters(cli: Cli, quick: LocalSandbox) -> None:
    nasty = "\x1b[2Jvideo.mp4"
    Path("video.mp4").rename(nasty)
    assert r"uploaded \x1b[2Jvideo.mp4, audio.wav" in cli("generate", nasty, "audio.wav").err
