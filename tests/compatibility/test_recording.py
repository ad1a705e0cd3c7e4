"""vcrpy: calls are recorded and played back."""

from __future__ import annotations

from pathlib import Path

import pytest
import vcr

from chamelaion_async import AsyncClient, PollPolicy
from chamelaion_async.sandbox import Sandbox

KEY = "sk-live-5up3r53cr37"
EAGER = PollPolicy(min_interval=0, max_interval=0)


async def dub(base_url: str) -> list[str]:
    """Return what a program sees of a submission, a wait and a list."""
    async with AsyncClient(KEY, base_url=base_url, polling=EAGER) as client:
        name = (await client.users.me()).name
        job = await client.lipsync.generate(video="https://cdn.test/42.mp4", audio="https://cdn.test/42.wav")
        request = await client.wait_until_finished(job.request_id)
        page = await client.lipsync.requests.list()
    return [name, job.request_id, request.status, *(each.id for each in page.data)]


async def test_what_was_recorded_is_played_back_without_a_server(tmp_path: Path) -> None:
    recorder = vcr.VCR(filter_headers=["x-api-key", "authorization"])
    async with Sandbox(job_seconds=0) as sandbox:
        with recorder.use_cassette(tmp_path / "dub.yaml"):
            recorded = await dub(sandbox.base_url)
        received = sandbox.count()
    with recorder.use_cassette(tmp_path / "dub.yaml", record_mode="none"):
        played = await dub(sandbox.base_url)

    assert (played, received) == (recorded, 4)
    assert recorded[2:] == ["completed", recorded[1]]


async def test_a_key_that_is_not_filtered_is_refused_and_not_recorded(tmp_path: Path) -> None:
    recorder = vcr.VCR().use_cassette(tmp_path / "me.yaml")
    async with Sandbox() as sandbox, AsyncClient(KEY, base_url=sandbox.base_url) as client:
        with (
            pytest.raises(TypeError, match="filter x-api-key and Authorization from what is recorded"),
            recorder as cassette,
        ):
            await client.users.me()

    cassette.dirty = False  # vcrpy removes its patches only after saving, which failed
    recorder.__exit__(None, None, None)
    assert not (tmp_path / "me.yaml").exists()
