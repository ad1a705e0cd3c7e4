"""The outputs of a job as files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from ..._media.targets import make_folder, names_folder, plan
from ...client import AsyncClient
from ...errors import ConfigurationError, RequestFailedError
from ...models import LipsyncRequest, VideoTranslateRequest
from .printing import print_note
from .progress import show_progress

__all__ = ["check_targets", "download_outputs"]


def check_targets(targets: Iterable[str | Path], *, overwrite: bool) -> None:
    """Check that files can be written, before anything is paid for or downloaded.

    Raises:
        ConfigurationError: A file exists, or its folder does not.
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


async def download_outputs(
    client: AsyncClient, job: LipsyncRequest | VideoTranslateRequest, output: str | None, *, overwrite: bool
) -> list[Path]:
    """Download all outputs of a job, one after the other.

    A translation has several. The folder that is named after it may hold some of them from an earlier download that
    broke off; these are kept.

    Args:
        client: The client.
        job: The job.
        output: File or folder to write to; by default a name from the URL, or for a translation a folder from the id.
        overwrite: Whether to replace files that exist.

    Returns:
        The files.

    Raises:
        ConfigurationError: A file exists, or cannot be written.
        RequestFailedError: The job ended without an output.
        DownloadError: The job is not finished, or a download broke off.
    """
    is_translation = isinstance(job, VideoTranslateRequest)
    if job.is_completed and not (job.outputs if isinstance(job, VideoTranslateRequest) else job.output_url):
        raise RequestFailedError(f"request {job.id} is completed, but without an output", request=job)
    # The id comes from the service: quoted and without leading dots, it cannot name a folder elsewhere.
    folder = Path(quote(job.id, safe="").lstrip(".") or "translation") if is_translation else Path()
    place = folder if output is None else output
    files = plan(job, place)
    paths = list(files)
    if is_translation or names_folder(place):
        make_folder(Path(place))
        if output is None and not overwrite:
            # Only in the folder named after the UUID: elsewhere, a file of this name may be of another job.
            files = _without_complete(files)
    check_targets(files, overwrite=overwrite)
    for target, url in files.items():
        with show_progress("downloaded", target.name) as on_progress:
            await client.download(url, target, on_progress=on_progress, overwrite=overwrite)
    return paths


def _without_complete(files: dict[Path, str]) -> dict[Path, str]:
    """Leave out files that exist: a download gets its final name only when it is complete."""
    for target in files:
        if target.is_file():
            print_note(f"kept {target}, which is complete")
    return {target: url for target, url in files.items() if not target.is_file()}
