"""The pytest plugin, as the suite of another program uses it."""

from __future__ import annotations

import asyncio
import os

import pytest

from chamelaion_async import AsyncClient
from chamelaion_async.sandbox import Fault, Sandbox
from chamelaion_async.testing import VirtualTimeLoop, plugin
from tests.support.inner_suite import CONFTEST, TESTS, ini, run


@pytest.mark.parametrize(
    ("settings", "marks"),
    [
        pytest.param(ini("auto"), "", id="auto mode"),
        pytest.param(ini("strict"), "pytestmark = pytest.mark.asyncio", id="strict mode"),
        pytest.param(ini("auto", "session"), "", id="one loop for the session"),
        pytest.param(
            ini("auto"), "pytestmark = pytest.mark.asyncio(loop_scope='module')", id="one loop for a module"
        ),
    ],
)
def test_it_works_with_each_way_to_run_coroutines(pytester: pytest.Pytester, settings: str, marks: str) -> None:
    run(pytester, ini=settings, test_app=TESTS.replace("{marks}", marks)).assert_outcomes(passed=5)


BLOCKING = """
import asyncio
import pytest
from app import dub, lifespan

def block(name):
    async def main():
        async with lifespan() as client:
            return await dub(client, name)
    return asyncio.run(main())

def test_a_test_without_a_loop(chamelaion_environment, chamelaion_sandbox):
    assert block("dub-42").is_completed
    chamelaion_sandbox.assert_submitted(reference_id="dub-42")

async def test_a_test_that_blocks_its_loop(chamelaion_environment):
    import threading
    results = []
    thread = threading.Thread(target=lambda: results.append(block("dub-42")))
    thread.start()
    thread.join()
    assert results[0].is_completed
"""


def test_the_sandbox_answers_while_a_test_blocks(pytester: pytest.Pytester) -> None:
    run(pytester, test_app=BLOCKING).assert_outcomes(passed=2)


OWN_LOOPS = """
import asyncio

class OwnLoop(asyncio.SelectorEventLoop):
    pass

def pytest_asyncio_loop_factories(config, item):
    return {"own": OwnLoop}
"""
TESTS_OF_LOOPS = """
import asyncio

async def test_real():
    assert type(asyncio.get_running_loop()).__name__ == "OwnLoop"

async def test_virtual(chamelaion_virtual_time):
    assert type(asyncio.get_running_loop()).__name__ == "VirtualTimeLoop"
"""


def test_another_hook_for_loops_keeps_its_tests(pytester: pytest.Pytester) -> None:
    run(pytester, conftest=CONFTEST + OWN_LOOPS, test_app=TESTS_OF_LOOPS).assert_outcomes(passed=2)


POLICY = """
import asyncio, pytest

class OwnLoop(asyncio.SelectorEventLoop):
    pass

class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        return OwnLoop()

@pytest.fixture(scope="session")
def event_loop_policy():
    return Policy()
"""


def test_a_policy_for_loops_keeps_its_tests(pytester: pytest.Pytester) -> None:
    settings = ini("auto").replace("= error", "= ignore")  # pytest-asyncio warns of the policy, and newer Pythons do
    done = run(pytester, ini=settings, conftest=CONFTEST + POLICY, test_app=TESTS_OF_LOOPS)
    done.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "first", ["from chamelaion_async.testing import VirtualTimeLoop", "import chamelaion_async.testing.plugin"]
)
def test_the_module_may_be_imported_before_the_plugin(pytester: pytest.Pytester, first: str) -> None:
    """In a process of its own: what this one has imported, pytest has rewritten, and warns of no more."""
    done = run(
        pytester,
        in_process=False,
        conftest=f"{first}\n{CONFTEST}",
        test_app="def test_it(chamelaion_sandbox): pass",
    )
    done.assert_outcomes(passed=1)


def test_the_marker_is_registered_and_the_fixtures_have_a_line_each(pytester: pytest.Pytester) -> None:
    marked = "import pytest\n@pytest.mark.chamelaion(job_seconds=1)\ndef test_it(chamelaion_sandbox): pass"
    run(pytester, "--strict-markers", test_app=marked).assert_outcomes(passed=1)
    shown = run(pytester, "--fixtures").stdout.str()
    for name in FIXTURES:
        assert f"{name} -- " in shown


FIXTURES = [name for name in vars(plugin) if name.startswith("chamelaion_")]


@pytest.mark.parametrize(
    ("fixtures", "name"),
    [
        ("chamelaion_client", "chamelaion_client"),
        ("chamelaion_virtual_time, chamelaion_sandbox", "chamelaion_virtual_time"),
    ],
)
def test_a_test_that_is_no_coroutine_is_told_what_needs_one(
    pytester: pytest.Pytester, fixtures: str, name: str
) -> None:
    done = run(pytester, test_app=f"def test_it({fixtures}): pass")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([f"{name} needs the event loop of an async test"])


@pytest.mark.usefixtures("chamelaion_virtual_time")
def test_a_sandbox_can_be_filled_before_virtual_time_begins() -> None:
    sandbox = Sandbox(job_seconds=3600.0)
    job = sandbox.add_job()

    async def main() -> list[str]:
        seen = [sandbox.status(job.id)]
        await asyncio.sleep(3600.0)
        return [*seen, sandbox.status(job.id)]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(main()) == ["processing", "completed"]


MISSING = """
import pytest
from app import lifespan
from chamelaion_async import NotFoundError

async def test_an_app(chamelaion_environment):
    async with lifespan() as client:
        with pytest.raises(NotFoundError):
            await client.wait_until_finished("unknown", timeout=2)

async def test_a_client(chamelaion_client):
    with pytest.raises(NotFoundError):
        await chamelaion_client.wait_until_finished("unknown", timeout=2)
"""


def test_an_unknown_id_is_soon_refused(pytester: pytest.Pytester) -> None:
    done = run(pytester, "--durations=0", "--durations-min=1", test_app=MISSING)
    done.assert_outcomes(passed=2)
    assert "call " not in done.stdout.str()


SETTINGS = """
import os, pytest
from app import lifespan

pytestmark = pytest.mark.chamelaion(job_seconds=11, page_cap=8)

@pytest.mark.chamelaion(job_seconds=22)
class TestMarked:
    @pytest.mark.chamelaion(job_seconds=33)
    def test_a_mark_of_its_own(self, chamelaion_sandbox):
        assert (chamelaion_sandbox.job_seconds, chamelaion_sandbox.page_cap) == (33, 8)

    def test_a_mark_of_its_class(self, chamelaion_sandbox):
        assert (chamelaion_sandbox.job_seconds, chamelaion_sandbox.page_cap) == (22, 8)

def test_a_mark_of_its_module(chamelaion_sandbox):
    assert (chamelaion_sandbox.job_seconds, chamelaion_sandbox.page_cap) == (11, 8)

async def test_credentials_from_outside_do_not_get_in(chamelaion_environment, chamelaion_sandbox):
    async with lifespan() as client:
        await client.users.me()
    assert "Authorization" not in chamelaion_sandbox.received[-1].headers
    assert chamelaion_sandbox.received[-1].headers["x-api-key"] == os.environ["CHAMELAION_API_KEY"]
"""


def test_the_nearest_mark_and_only_the_environment_of_the_fixture_count(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAMELAION_BEARER_TOKEN", "real-token")
    monkeypatch.setenv("CHAMELAION_API_KEY", "real-key")
    run(pytester, test_app=SETTINGS).assert_outcomes(passed=4)


async def test_calls_are_as_many_at_once_as_if_the_machine_took_no_time(
    chamelaion_virtual_time: None, chamelaion_sandbox: Sandbox, chamelaion_client: AsyncClient
) -> None:
    """A client that sees its thread busy keeps to few calls at once; by the virtual clock, any thread would be."""
    chamelaion_sandbox.inject(Fault.latency(0.002))
    job, began = chamelaion_sandbox.add_job(), asyncio.get_running_loop().time()
    await asyncio.gather(*(chamelaion_client.lipsync.requests.get(job.id) for _ in range(1500)))
    # 16 at once for 0.025 seconds, then 32, then 64; with 16 all the time it would be 0.19.
    assert asyncio.get_running_loop().time() - began < 0.12


def test_the_environment_is_as_before_after_a_test(request: pytest.FixtureRequest) -> None:
    before = AsyncClient("sk-test")._polling
    with pytest.MonkeyPatch.context() as patch:
        generator = plugin.chamelaion_environment._get_wrapped_function()
        sandbox = request.getfixturevalue("chamelaion_sandbox")
        variables = generator(request, sandbox, patch)
        assert {name: os.environ[name] for name in variables} == variables
        assert AsyncClient()._polling != before
        assert AsyncClient(polling=before)._polling == before
    assert not {*variables} & {*os.environ}
    assert AsyncClient("sk-test")._polling == before
