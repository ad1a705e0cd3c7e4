"""The test suite of another program, which uses the plugin, run within a test."""

from __future__ import annotations

import pytest

CONFTEST = 'pytest_plugins = ["chamelaion_async.testing"]\n'
APP = '''
from contextlib import asynccontextmanager
from chamelaion_async import AsyncClient

@asynccontextmanager
async def lifespan():
    """What a program does that knows nothing of tests."""
    async with AsyncClient() as client:
        yield client

async def dub(client, name):
    url = f"https://cdn.example.com/{name}"
    job = await client.lipsync.generate(video=f"{url}.mp4", audio=f"{url}.wav", reference_id=name)
    return await client.wait_until_finished(job.request_id)
'''
# The same tests for each runner of coroutines.
TESTS = """
import asyncio, math
import pytest
from app import dub, lifespan
from chamelaion_async import WaitTimeoutError
from chamelaion_async.testing import VirtualTimeLoop

{marks}

async def test_an_app_is_tested_unchanged(chamelaion_environment, chamelaion_sandbox):
    async with lifespan() as client:
        assert (await dub(client, "dub-42")).is_completed
        assert client._polling.max_interval < 1
    chamelaion_sandbox.assert_submitted(reference_id="dub-42")

@pytest.mark.chamelaion(job_seconds=math.inf)
async def test_jobs_are_controlled(chamelaion_client, chamelaion_sandbox):
    waiting = asyncio.create_task(dub(chamelaion_client, "dub-42"))
    poll = await chamelaion_sandbox.polled("dub-42")
    chamelaion_sandbox.fail("dub-42", "no face found")
    assert (await waiting).error_message == "no face found"

async def test_time_is_virtual(chamelaion_client, chamelaion_sandbox, chamelaion_virtual_time):
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await dub(chamelaion_client, "dub-42")).is_completed
    assert 60 <= loop.time() - began <= 70

@pytest.mark.usefixtures("chamelaion_virtual_time")
@pytest.mark.chamelaion(job_seconds=3600, rate_limit=20)
async def test_an_app_may_wait_for_long(chamelaion_environment, chamelaion_sandbox):
    async with lifespan() as client:
        with pytest.raises(WaitTimeoutError):
            await dub(client, "dub-42")
        assert client._polling.max_interval == 12.0
    assert chamelaion_sandbox.rate_limit == 20

async def test_other_tests_live_in_real_time():
    assert not isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
"""


def ini(mode: str, scope: str = "function") -> str:
    return (
        f"[pytest]\nfilterwarnings = error\nasyncio_mode = {mode}\n"
        f"asyncio_default_fixture_loop_scope = {scope}\nasyncio_default_test_loop_scope = {scope}\n"
    )


def run(pytester: pytest.Pytester, *options: str, in_process: bool = True, **files: str) -> pytest.RunResult:
    pytester.makeini(files.pop("ini", ini("auto")))
    pytester.makepyfile(**{"conftest": CONFTEST, "app": APP, **files})
    start = pytester.runpytest_inprocess if in_process else pytester.runpytest_subprocess
    return start("-p", "no:cacheprovider", *options)
