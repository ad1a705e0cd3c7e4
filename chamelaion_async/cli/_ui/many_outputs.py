"""The outputs of many jobs in one folder, a few of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

import attrs

from ..._media.targets import make_folder, plan
from ...client import AsyncClient
from ...errors import ChamelaionError, ConfigurationError, RequestFailedError
from ...models import LipsyncRequest, VideoTranslateRequest
from .board import Row, Stage
from .errors import exit_code, explain, explain_with_id
from .exits import ExitCode
from .json_records import error_record, record
from .output_files import check_targets
from .printing import can_redraw, print_error, print_line, print_note
from .progress import show_progress
from .text import clean, part

if TYPE_CHECKING:
    from .board.live import LiveRows

__all__ = ["download_many"]

_AT_ONCE: Final = 4  # jobs; more share the same connection to the storage
_LONGEST_STEM: Final = 200  # file systems allow 255 for a name, and a download adds to it
_LONGEST_SUFFIX: Final = 10

_WAITING: Final = Stage(name="waiting", mark="\u25cb", plain_mark="o", style="dim", kind="idle")
_LOADING: Final = Stage(name="downloading", mark="\u25b8", plain_mark=">", style="cyan", kind="active")
_SAVED: Final = Stage(name="downloaded", mark="\u2713", plain_mark="+", style="green", kind="done", has_ended=True)
_KEPT: Final = Stage(name="kept", mark="=", plain_mark="=", style="green", kind="done", has_ended=True)
_FAILED: Final = Stage(name="failed", mark="\u2717", plain_mark="x", style="red", kind="problem", has_ended=True)

_Job = LipsyncRequest | VideoTranslateRequest


async def download_many(
    client: AsyncClient,
    jobs: Sequence[tuple[str, _Job | ChamelaionError]],
    folder: Path,
    *,
    overwrite: bool,
    json: bool,
) -> list[ExitCode]:
    """Download the outputs of jobs, each named after its id, and print their paths. A failure ends no other download.

    Files that exist are kept: their names tell that they are of the same job, and that they are complete.

    Args:
        client: The client.
        jobs: Ids as they were given, each with its request or with the error of its read.
        folder: Where the files go; made if it does not exist.
        overwrite: Whether to replace files that exist.
        json: Whether to print JSON, one object a line.

    Returns:
        An exit code for each job.

    Raises:
        DownloadError: The folder cannot be made.
    """
    make_folder(folder)
    names = [name for name, _ in jobs]
    rows = _live_rows(names) if can_redraw() and not json else None
    downloads = _Downloads(client=client, folder=folder, overwrite=overwrite, json=json, rows=rows)
    with rows or nullcontext():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(downloads.run(name, job)) for name, job in jobs]
    for name, error in downloads.errors.items():
        print_error(explain_with_id(name, error))
    return [task.result() for task in tasks]


def _live_rows(names: Sequence[str]) -> LiveRows:
    from .board.live import LiveRows  # noqa: PLC0415 - imports Rich, which takes long

    return LiveRows(names, [_WAITING, _LOADING, _SAVED, _KEPT, _FAILED])


@attrs.define(kw_only=True)
class _Downloads:
    client: AsyncClient
    folder: Path
    overwrite: bool
    json: bool
    rows: LiveRows | None
    errors: dict[str, ChamelaionError] = attrs.field(init=False, factory=dict)
    slots: asyncio.Semaphore = attrs.field(init=False, factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def run(self, name: str, job: _Job | ChamelaionError) -> ExitCode:
        try:
            async with self.slots:
                if isinstance(job, ChamelaionError):
                    raise job
                await self.download(name, job)
        except ChamelaionError as error:
            self.errors[name] = error
            self.show(name, Row(stage=_FAILED, detail=explain(error)))
            if self.json:
                print_line(error_record(name, error))
            return exit_code(error)
        return ExitCode.OK

    async def download(self, name: str, job: _Job) -> None:
        files = _files_of(name, job, self.folder)
        missing = {path: url for path, url in files.items() if self.overwrite or not path.is_file()}
        for path in files:
            make_folder(path.parent)
            if path not in missing and self.rows is None:
                print_note(f"kept {path}, which exists; --overwrite replaces it")
        check_targets(missing, overwrite=self.overwrite)
        for path, url in missing.items():
            with self.progress(name, path) as on_progress:
                await self.client.download(url, path, on_progress=on_progress, overwrite=self.overwrite)
        self.show(name, Row(stage=_SAVED if missing else _KEPT, detail=", ".join(path.name for path in files)))
        if self.json:
            print_line(record(id=job.id, paths=[str(path) for path in files]))
        else:
            for path in files:
                print_line(clean(str(path)))

    def progress(self, name: str, path: Path) -> AbstractContextManager[Callable[[int, int | None], None]]:
        if self.rows is None:
            return show_progress("downloaded", path.name)

        def report(count: int, total: int | None) -> None:
            self.show(name, Row(stage=_LOADING, detail=part(count, total)))

        return nullcontext(report)

    def show(self, name: str, row: Row) -> None:
        if self.rows is not None:
            self.rows.put(name, row)


def _files_of(name: str, job: _Job, folder: Path) -> dict[Path, str]:
    """Return which URL goes to which file, named after the id: the names in the URLs of two jobs may be the same."""
    if job.is_completed and not (job.outputs if isinstance(job, VideoTranslateRequest) else job.output_url):
        raise RequestFailedError(f"request {job.id} is completed, but without an output", request=job)
    stem = quote(name, safe=" ")  # an id with a slash cannot name a file elsewhere
    if stem.startswith("."):
        stem = f"%2E{stem[1:]}"
    if len(stem) > _LONGEST_STEM:
        raise ConfigurationError(f"{name!r} cannot be the name of a file; download it alone, with --output")
    if isinstance(job, VideoTranslateRequest):
        return plan(job, folder / stem)
    ((_, url),) = plan(job, folder / stem).items()
    suffix = PurePosixPath(urlsplit(url).path).suffix
    return {folder / f"{stem}{suffix if len(suffix) <= _LONGEST_SUFFIX else ''}": url}
