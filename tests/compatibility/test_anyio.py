"""anyio: its plugin for pytest runs the tests that use ours, and its threads stop virtual time as asyncio's do."""

from __future__ import annotations

import asyncio
import time

import anyio.to_thread
import pytest

from chamelaion_async.testing import VirtualTimeLoop
from tests.support.inner_suite import TESTS, ini, run

MARKS = """
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend(request):
    if "chamelaion_virtual_time" in request.fixturenames:
        return "asyncio", {"loop_factory": VirtualTimeLoop}
    return "asyncio"
"""
WRONG = """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_it(chamelaion_virtual_time, chamelaion_sandbox):
    pass
"""
WITHOUT = "[pytest]\nfilterwarnings = error\n"


@pytest.mark.parametrize(
    ("options", "settings"), [((), ini("strict")), (("-p", "no:asyncio"), WITHOUT)], ids=["beside", "without"]
)
def test_its_plugin_runs_tests_beside_pytest_asyncio_and_without(
    pytester: pytest.Pytester, options: tuple[str, ...], settings: str
) -> None:
    run(pytester, *options, ini=settings, test_app=TESTS.replace("{marks}", MARKS)).assert_outcomes(passed=5)


def test_a_loop_in_real_time_is_refused_with_what_to_do(pytester: pytest.Pytester) -> None:
    done = run(pytester, ini=ini("strict"), test_app=WRONG)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(
        ['*let the fixture anyio_backend return ("asyncio", {"loop_factory": VirtualTimeLoop})']
    )


def test_work_in_its_threads_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chamelaion_async.testing.workers._STANDS_STILL", 60.0)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(3):
            async with asyncio.timeout(5.0):
                await anyio.to_thread.run_sync(time.sleep, 0.05)
        assert loop.time() == began
        await asyncio.sleep(3600.0)
        return loop.time() - began

    began = time.monotonic()
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(patience=0.0)) as runner:
        assert runner.run(main()) == pytest.approx(3600.0)
    assert time.monotonic() - began < 20.0
