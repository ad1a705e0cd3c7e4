"""A run: all rows at once, each submitted in its turn, waited for, and saved as soon as its job is completed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import attrs

from ...client import AsyncClient
from ...errors import (
    APIConnectionError,
    AuthenticationError,
    ChamelaionError,
    DownloadError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    WaitTimeoutError,
)
from ...models import Job
from .._ui.errors import explain
from .._ui.options import requests_of
from .._ui.waiting import run_together
from .entries import Step
from .journal import Journal
from .progress import RowProgress
from .report import Report
from .saving import save_outputs
from .submitting import Submitter

__all__ = ["Runner"]

_DOWNLOADS: Final = 4  # at once
_OF_ALL: Final = (
    APIConnectionError,
    AuthenticationError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
)
"""Errors of a submission that the next one would meet too."""


@attrs.define(kw_only=True, eq=False)
class Runner:
    """One run.

    Attributes:
        client: The client.
        journal: The journal, open.
        submitter: Submits rows.
        rows: All rows; this run changes them.
        report: Shows them.
        overwrite: Whether outputs may replace files.
        max_failures: How many rows may fail before nothing more is submitted; None for any number.
    """

    client: AsyncClient
    journal: Journal
    submitter: Submitter
    rows: Sequence[RowProgress]
    report: Report
    overwrite: bool
    max_failures: int | None
    _failures: int = 0
    _deadline: float = math.inf
    _downloads: asyncio.Semaphore = attrs.field(init=False, factory=lambda: asyncio.Semaphore(_DOWNLOADS))

    async def run(self, *, timeout: float) -> None:
        """Bring every row as far as it gets.

        A cancellation leaves jobs running and the journal complete: the next run goes on.

        Args:
            timeout: Seconds for submissions and waits; inf for no limit. Downloads may take longer.

        Raises:
            JournalError: The journal cannot be written. Nothing more was submitted.
            OutputError: stdout does not accept the output.
        """
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + timeout
        timer = None if timeout == math.inf else loop.call_later(timeout, self._stop, "the time of --timeout is over")
        try:
            await run_together(self._finish(row) for row in self.rows)
        finally:
            if timer is not None:
                timer.cancel()

    async def _finish(self, row: RowProgress) -> None:
        try:
            if not row.is_ended:
                await self._bring_on(row)
        except ChamelaionError as error:
            row.error = error
            self._count_failure(row, error)
        self.report.ended(row)

    async def _bring_on(self, row: RowProgress) -> None:
        if not row.is_submitted:
            if not await self.submitter.submit(row):
                return
            self.report.changed(row)
        job = await self._wait(row)
        times: dict[str, Any] = {"queue_seconds": _seconds(job.queue_time), "seconds": _seconds(job.duration)}
        if not job.is_completed:
            await row.write(self.journal, Step.FAILED, error=job.error_message, **times)
            self._count_failure(row, None)
            return
        keep = row.planned.is_begun
        if row.step is not Step.COMPLETED or not keep:
            # Without a path where a file is to be replaced: the next run must not take the old one for the output.
            path = row.planned.path if keep or row.planned.is_free else None
            await row.write(self.journal, Step.COMPLETED, path=path, **times)
        self.report.changed(row)
        async with self._downloads:
            await self._save(row, job, keep=keep)

    async def _wait(self, row: RowProgress) -> Any:
        def show(job: Job) -> None:
            row.job = job
            if not job.is_finished:
                self.report.changed(row)

        left = self._deadline - asyncio.get_running_loop().time()
        return await requests_of(self.client, row.row.family).wait_until_finished(
            row.request_id, timeout=None if left == math.inf else max(left, 0.0), on_update=show
        )

    async def _save(self, row: RowProgress, job: Any, *, keep: bool) -> None:
        save = partial(
            save_outputs,
            self.client,
            target=row.planned.target,
            overwrite=self.overwrite,
            on_progress=partial(self.report.loaded, row),
        )
        try:
            paths = await save(job, keep=keep)
        except DownloadError:
            # The URL may have expired while the row queued.
            fresh: Any = await requests_of(self.client, row.row.family).get(job.id)
            if fresh == job:
                raise
            # In a folder that was free, the files that were saved before the error are this job's.
            is_own = row.row.family == "translate" and not self.overwrite
            paths = await save(fresh, keep=keep or is_own)
        row.paths = paths
        await row.write(self.journal, Step.SAVED, path=row.planned.path)

    def _count_failure(self, row: RowProgress, error: ChamelaionError | None) -> None:
        if isinstance(error, _OF_ALL) and not row.is_submitted and error is not None:
            self._stop(explain(error))
        if isinstance(error, WaitTimeoutError):
            return
        self._failures += 1
        if self.max_failures is not None and self._failures >= self.max_failures:
            self._stop(f"{self._failures} rows have failed (--max-failures)")

    def _stop(self, reason: str) -> None:
        if not self.submitter.stopped:
            self.submitter.stopped = reason
            if not all(row.is_submitted or row.is_ended for row in self.rows):
                self.report.note(f"no more rows are submitted: {reason}; jobs that run are waited for")


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else round(span.total_seconds(), 3)
