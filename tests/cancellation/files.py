"""Files that are sent and brought, and what a cancellation may leave of them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

from chamelaion_async.sandbox import Fault
from tests.faults.setup import IDS, Setup

MEDIUM: Final = bytes(range(256)) * 2200
"""More than two of the pieces in which files are read and written."""

TRANSLATION: Final = "00000000-0000-4000-8000-00000000000a"


def media(setup: Setup) -> tuple[Path, Path]:
    """Write a video and an audio to upload."""
    video, audio = setup.folder / "video.mp4", setup.folder / "audio.wav"
    video.write_bytes(MEDIUM)
    audio.write_bytes(MEDIUM[:512])
    return video, audio


async def download(setup: Setup) -> None:
    """Bring an output to disk."""
    path = await setup.client.download(setup.output_url, setup.output_file, overwrite=True)
    assert path.read_bytes() == MEDIUM
    assert [each.name for each in setup.folder.iterdir()] == [path.name]


def finish(setup: Setup) -> None:
    """Let there be outputs. On a loop of real time, a slow machine may have ended the jobs already."""
    for id in (IDS[0], TRANSLATION):
        end(setup, id)


def end(setup: Setup, id: str) -> None:
    """Let a job have ended by now, if it has not yet."""
    with suppress(ValueError):
        setup.sandbox.finish(id)


def break_off(setup: Setup) -> None:
    """Let there be an output of which the first download gets a part."""
    finish(setup)
    setup.sandbox.inject(Fault.truncate(300_000), times=1)


def leave_a_part(setup: Setup) -> None:
    """Leave what an earlier download got."""
    finish(setup)
    job = setup.sandbox.jobs[IDS[0]]
    notes = {"validator": f'"{job.id}-{job.output_version}-{len(MEDIUM)}"', "source": setup.output_url}
    part = setup.output_file.with_name(f"{setup.output_file.name}.part")
    part.write_bytes(MEDIUM[:300_000])
    part.with_name(f"{part.name}.json").write_text(json.dumps(notes))


def check_part(setup: Setup) -> None:
    """There may be nothing, the whole output, or the part of it that is documented."""
    _check(setup.output_file, MEDIUM, {path.name for path in setup.folder.iterdir()})


def _check(file: Path, content: bytes | None, left: set[str]) -> None:
    part, notes = file.with_name(f"{file.name}.part"), file.with_name(f"{file.name}.part.json")
    assert left <= {file.name} or left == {part.name, notes.name}, left
    if file.name in left and content is not None:
        assert file.read_bytes() == content
    if part.name in left:
        assert json.loads(notes.read_bytes())["validator"]
        if content is not None:
            assert content.startswith(part.read_bytes())


async def download_translation(setup: Setup) -> None:
    """Bring all outputs of a translation to a folder."""
    request = await setup.client.video_translate.requests.get(TRANSLATION)
    folder = await setup.client.download(request, setup.folder / "out", overwrite=True)
    assert {path.name for path in folder.iterdir()} == _NAMES


_NAMES: Final = frozenset({"de.mp4", "de.wav", "de.srt"})


def check_folder(setup: Setup) -> None:
    """Each output may be there or not, as one that is alone may be."""
    folder = setup.folder / "out"
    left = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    for name in _NAMES:
        _check(folder / name, None, {each for each in left if each.startswith(name)})
    assert len(left - _NAMES) in (0, 2), left
