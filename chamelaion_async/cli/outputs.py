"""Outputs of jobs to disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from .._media.targets import make_folder, names_folder, plan
from ..client import AsyncClient
from ..errors import ConfigurationError, RequestFailedError
from ..models import LipsyncRequest, VideoTranslateRequest
from .output import note
from .transfers import transfer

__all__ = ["check_targets", "fetch"]


def check_targets(targets: Iterable[str | Path], *, overwrite: bool) -> None:
    """Refuse what could not be written in the end, before anything is paid or fetched.

    Raises:
        ConfigurationError: A file is there already, or there is no folder to hold it.
    """
    for named in targets:
        target = Path(named)
        if not target.parent.is_dir():
            raise ConfigurationError(f"{target} cannot be written: there is no folder {target.parent}")
        if target.is_dir() or names_folder(named):
            raise ConfigurationError(f"{named} cannot be written: it is a folder")
        if target.exists() and not target.is_file():
            raise ConfigurationError(f"{target} cannot be written: it is a device, a pipe or a socket; name a file")
        if target.exists() and not overwrite:
            raise ConfigurationError(f"{target} exists; choose another name with --output, or pass --overwrite")


async def fetch(
    client: AsyncClient, job: LipsyncRequest | VideoTranslateRequest, output: str | None, *, overwrite: bool
) -> list[Path]:
    """Download all outputs of a job, one after the other.

    A translation goes to a folder; that of its own name may hold some of its files already, from a download that
    broke off between two of them.

    Args:
        client: Downloads.
        job: What to download.
        output: Where to; default a name made from the URL, or a folder from the id.
        overwrite: Whether files that exist may be replaced.

    Returns:
        The files.

    Raises:
        ConfigurationError: A file exists, or cannot be written there.
        RequestFailedError: The job ended without an output.
        DownloadError: It is not finished, or a download broke off.
    """
    is_translation = isinstance(job, VideoTranslateRequest)
    if job.is_completed and not (job.outputs if isinstance(job, VideoTranslateRequest) else job.output_url):
        raise RequestFailedError(f"request {job.id} is completed, but without an output", request=job)
    folder = Path(quote(job.id, safe="").lstrip(".") or "translation") if is_translation else Path()
    place = folder if output is None else output
    files = plan(job, place)
    if is_translation or names_folder(place):
        make_folder(Path(place))
        if output is None and not overwrite:
            files = _without_complete(files)
    check_targets(files, overwrite=overwrite)
    for target, url in files.items():
        with transfer("downloaded", target.name) as on_progress:
            await client.download(url, target, on_progress=on_progress, overwrite=overwrite)
    return list(plan(job, place))


def _without_complete(files: dict[Path, str]) -> dict[Path, str]:
    """Leave out what is there: nothing stands under its final name unless it is complete."""
    for target in files:
        if target.is_file():
            note(f"kept {target}, which is complete")
    return {target: url for target, url in files.items() if not target.is_file()}
