"""A run, where the command does not show what it does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from chamelaion_async import AsyncClient, LipsyncRequest, errors
from chamelaion_async.cli._batch.entries import Step
from chamelaion_async.cli._batch.journal import Journal
from chamelaion_async.cli._batch.plan import PlannedRow
from chamelaion_async.cli._batch.progress import RowProgress
from chamelaion_async.cli._batch.report import LineReport
from chamelaion_async.cli._batch.rows import Row
from chamelaion_async.cli._batch.runner import Runner
from chamelaion_async.cli._batch.submitting import Submitter
from chamelaion_async.sandbox import Sandbox


@pytest.fixture
def journal(tmp_path: Path, sandbox: Sandbox) -> Iterator[Journal]:
    with Journal.open(tmp_path / "jobs.csv.journal", sandbox.base_url) as opened:
        yield opened


def runner(client: AsyncClient, journal: Journal, rows: list[RowProgress]) -> Runner:
    submitter = Submitter(
        client=client,
        journal=journal,
        folder=journal.path.parent,
        rate=60_000.0,
        resubmit_after=60.0,
        no_speaker_detection=False,
    )
    return Runner(
        client=client,
        journal=journal,
        submitter=submitter,
        rows=rows,
        report=LineReport(rows),
        overwrite=False,
        max_failures=None,
    )


@pytest.fixture
async def row(tmp_path: Path, journal: Journal, sandbox: Sandbox) -> RowProgress:
    """A row whose job is completed."""
    job = sandbox.add_job(job_seconds=0.0, output=b"the video")
    found = Row(line=2, video="https://a/v.mp4", audio="https://a/a.wav", out="o.mp4")
    await journal.write("r", Step.SUBMITTING, family="lipsync", content=found.content)
    entry = await journal.write("r", Step.ACCEPTED, request_id=job.id)
    return RowProgress(PlannedRow(row=found, entry=entry, target=tmp_path / "o.mp4", path="o.mp4"))


async def test_an_output_whose_url_has_expired_is_downloaded_from_a_new_one(
    sandbox_client: AsyncClient, journal: Journal, row: RowProgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests, urls = sandbox_client.lipsync.requests, list[str]()
    get, download = requests.get, sandbox_client.download

    async def signed_again(id: str) -> LipsyncRequest:
        request = await get(id)
        return attrs.evolve(request, output_url=f"{request.output_url}?signature=2")

    async def expired_at_first(url: str, path: Path, **options: Any) -> Path:
        urls.append(url)
        if "signature" not in url:
            raise errors.DownloadError("403")
        return await download(url, path, **options)

    monkeypatch.setattr(type(requests), "get", lambda _, name: signed_again(name))
    monkeypatch.setattr(AsyncClient, "download", lambda _, *args, **options: expired_at_first(*args, **options))
    await runner(sandbox_client, journal, [row]).run(timeout=math.inf)
    assert row.error is None
    assert row.state == "saved"
    assert [url.partition("?")[2] for url in urls] == ["", "signature=2"]


async def test_a_job_that_is_completed_without_an_output_is_an_error(
    sandbox_client: AsyncClient, journal: Journal, row: RowProgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = sandbox_client.lipsync.requests
    wait = requests.wait_until_finished

    async def without(id: str, **options: Any) -> LipsyncRequest:
        return attrs.evolve(await wait(id, **options), output_url=None)

    monkeypatch.setattr(type(requests), "wait_until_finished", lambda _, name, **options: without(name, **options))
    await runner(sandbox_client, journal, [row]).run(timeout=math.inf)
    assert isinstance(row.error, errors.RequestFailedError)
    assert row.code == 1


async def test_the_bytes_of_a_download_are_reported(
    sandbox_client: AsyncClient, journal: Journal, row: RowProgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[tuple[Any, ...]] = []
    monkeypatch.setattr(LineReport, "loaded", lambda _, *loaded: reported.append(loaded))
    await runner(sandbox_client, journal, [row]).run(timeout=math.inf)
    assert reported[-1] == (row, len(b"the video"), len(b"the video"))
