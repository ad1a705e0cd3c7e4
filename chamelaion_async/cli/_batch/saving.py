"""The outputs of a row as files, each under its final name only when it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ..._media.targets import make_folder, plan
from ...client import AsyncClient
from ...errors import RequestFailedError
from ...models import LipsyncRequest, VideoTranslateRequest

__all__ = ["save_outputs"]


async def save_outputs(
    client: AsyncClient,
    job: LipsyncRequest | VideoTranslateRequest,
    target: Path,
    *,
    keep: bool,
    overwrite: bool,
    on_progress: Callable[[int, int | None], None],
) -> list[Path]:
    """Download the outputs of a completed job.

    Args:
        client: The client.
        job: The job.
        target: The file, for a translation the folder.
        keep: Whether files that exist are of this job, and therefore whole.
        overwrite: Whether other files may be replaced.
        on_progress: Called with the bytes on disk so far and the bytes in all, for each file.

    Raises:
        RequestFailedError: The job has no output.
        DownloadError: An output could not be downloaded; what is on disk of it is resumed later.
    """
    is_translation = isinstance(job, VideoTranslateRequest)
    if not (job.outputs if isinstance(job, VideoTranslateRequest) else job.output_url):
        raise RequestFailedError(f"request {job.id} is completed, but without an output", request=job)
    await asyncio.to_thread(make_folder, target if is_translation else target.parent)
    files = plan(job, target)
    for path, url in files.items():
        if not (keep and path.is_file()):
            await client.download(url, path, overwrite=overwrite, on_progress=on_progress)
    return list(files)
