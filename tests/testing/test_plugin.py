"""The pytest plugin, as the suite of another program uses it."""

from __future__ import annotations

import os

import pytest

from chamelaion_async import AsyncClient
from chamelaion_async.testing import plugin

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
ANYIO = """
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend(request):
    if "chamelaion_virtual_time" in request.fixturenames:
        return "asyncio", {"loop_factory": VirtualTimeLoop}
    return "asyncio"
"""


def ini(mode: str, scope: str = "function") -> str:
    return (
        f"[pytest]\nfilterwarnings = error\nasyncio_mode = {mode}\n"
        f"asyncio_default_fixture_loop_scope = {scope}\nasyncio_default_test_loop_scope = {scope}\n"
    )


def run(pytester: pytest.Pytester, *options: str, **files: str) -> pytest.RunResult:
    pytester.makeini(files.pop("ini", ini("auto")))
    pytester.makepyfile(**{"conftest": CONFTEST, "app": APP, **files})
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)


@pytest.mark.parametrize(
    ("settings", "marks"),
    [
        pytest.param(ini("auto"), "", id="auto mode"),
        pytest.param(ini("strict"), "pytestmark = pytest.mark.asyncio", id="strict mode"),
        pytest.param(ini("auto", "session"), "", id="one loop for the session"),
        pytest.param(
            ini("auto"), "pytestmark = pytest.mark.asyncio(loop_scope='module')", id="one loop for a module"
        ),
        pytest.param(ini("strict"), ANYIO, id="anyio"),
    ],
)
def test_it_works_with_each_way_to_run_coroutines(pytester: pytest.Pytester, settings: str, marks: str) -> None:
    run(pytester, ini=settings, test_app=TESTS.replace("{marks}", marks)).assert_outcomes(passed=5)


def test_it_works_without_pytest_asyncio(pytester: pytest.Pytester) -> None:
    test = TESTS.replace("{marks}", ANYIO)
    done = run(pytester, "-p", "no:asyncio", ini="[pytest]\nfilterwarnings = error\n", test_app=test)
    done.assert_outcomes(passed=5)


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


def test_the_module_may_be_imported_before_the_plugin(pytester: pytest.Pytester) -> None:
    first = f"from chamelaion_async.testing import VirtualTimeLoop, plugin\n{CONFTEST}"
    run(pytester, conftest=first, test_app="def test_it(chamelaion_sandbox): pass").assert_outcomes(passed=1)


def test_the_marker_is_registered_and_the_fixtures_have_a_line_each(pytester: pytest.Pytester) -> None:
    marked = "import pytest\n@pytest.mark.chamelaion(job_seconds=1)\ndef test_it(chamelaion_sandbox): pass"
    run(pytester, "--strict-markers", test_app=marked).assert_outcomes(passed=1)
    shown = run(pytester, "--fixtures").stdout.str()
    for name in FIXTURES:
        assert f"{name} -- " in shown


FIXTURES = [name for name in vars(plugin) if name.startswith("chamelaion_")]


@pytest.mark.parametrize(
    ("arguments", "is_async", "settings", "text"),
    [
        ("chamelaion_client", False, ini("auto"), "*chamelaion_client needs the event loop of an async test*"),
        (
            "chamelaion_virtual_time, chamelaion_sandbox",
            False,
            ini("auto"),
            "*chamelaion_virtual_time needs the event loop of an async test*",
        ),
        (
            "chamelaion_virtual_time, chamelaion_sandbox, anyio_backend",
            True,
            ini("strict"),
            '*("asyncio", {"loop_factory": VirtualTimeLoop})*',
        ),
    ],
    ids=["client", "virtual time", "anyio"],
)
def test_a_fixture_that_cannot_work_says_what_to_do(
    pytester: pytest.Pytester, arguments: str, is_async: bool, settings: str, text: str
) -> None:
    backend = '@pytest.fixture\ndef anyio_backend(): return "asyncio"\n'
    test = (
        f"@pytest.mark.anyio\nasync def test_it({arguments}): pass" if is_async else f"def test_it({arguments}): pass"
    )
    done = run(pytester, ini=settings, test_app=f"import pytest\n{backend}{test}")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([text])


def test_the_environment_is_as_before_after_a_test(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
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
