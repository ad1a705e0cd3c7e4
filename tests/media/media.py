"""Media to upload, and a submission to the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from chamelaion_async import AsyncClient
from chamelaion_async.sandbox import Job, Sandbox

KiB = 1024
MiB = 1024 * KiB
ROUTE = "POST /v1/lipsync/generate-with-media"
VIDEO = bytes(range(256)) * 2500  # 640,000 bytes: three chunks, the last one not full
AUDIO = bytes(reversed(range(256))) * 1200
TOTAL = len(VIDEO) + len(AUDIO)


async def submit(client: AsyncClient, video: Any, audio: Any = AUDIO, **options: Any) -> str:
    return (await client.lipsync.generate_with_media(video=video, audio=audio, **options)).request_id


class Submit:
    """``await upload(video)`` submits a job to the sandbox."""

    def __init__(self, client: AsyncClient, sandbox: Sandbox) -> None:
        self.client = client
        self.sandbox = sandbox

    async def __call__(self, video: Any, audio: Any = AUDIO, **options: Any) -> str:
        return await submit(self.client, video, audio, **options)

    @property
    def job(self) -> Job:
        """The only job of the sandbox."""
        return job_of(self.sandbox)

    def arrived(self, field: str = "video") -> bytes:
        return self.job.uploads[field].path.read_bytes()


def job_of(sandbox: Sandbox) -> Job:
    (job,) = sandbox.jobs.values()
    return job


def written(folder: Path, data: bytes = VIDEO, name: str = "film.mp4") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def sparse(folder: Path, size: int = 32 * MiB) -> Path:
    """Make a file that no socket buffer can swallow, and that takes no room on disk."""
    path = folder / "large.mp4"
    with path.open("wb") as file:
        file.truncate(size)
    return path


def in_pieces(data: bytes, size: int = 100_000) -> Callable[[], AsyncIterator[bytes]]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    return chunks


async def forever() -> None:
    """Wait until the task is cancelled."""
    await asyncio.get_running_loop().create_future()


def at_first_chunk(act: Callable[[], object]) -> Callable[[int, int], None]:
    has_acted = False

    def on_progress(_: int, __: int) -> None:
        nonlocal has_acted
        if not has_acted:
            has_acted = True
            act()

    return on_progress


class FromForm:
    """A file that came in with a form, as FastAPI and Starlette pass it on: they read it with ``await``."""

    def __init__(self, file: Any, filename: str | None = "film.mov", content_type: str | None = None) -> None:
        self.file, self.filename, self.content_type = file, filename, content_type

    async def read(self, size: int = -1) -> bytes:
        data: bytes = self.file.read(size)
        return data

    async def seek(self, offset: int) -> None:
        self.file.seek(offset)
