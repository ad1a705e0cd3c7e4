"""The pytest plugin: a sandbox, a client and an environment for each test, in real or in virtual time.

PYTEST_DONT_REWRITE: nothing is asserted here, and pytest would warn where this is imported before the plugin.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import suppress
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

import pytest

from .. import AsyncClient, PollPolicy, RetryPolicy
from ..sandbox import Sandbox
from .mocks import patched_aioresponses
from .threads import sandbox_in_thread
from .virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from aioresponses import aioresponses

KEY: Final = "sk-test"
_JOB_SECONDS: Final = {"real": 0.05, "virtual": 60.0}
# Real pauses would make tests slow. Those of the retries after a failure are cut likewise.
_SHORT: Final[Mapping[str, Any]] = {
    "polling": PollPolicy(min_interval=0.01, max_interval=0.05, not_found_grace=0.2),
    "retry": RetryPolicy(initial=0.01, max=0.05),
}
_VIRTUAL: Final = "chamelaion_virtual_time"
_EPOCH: Final = 1_775_563_200.0  # 2026-04-07T12:00:00Z, as for a ManualClock

Factories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "chamelaion(**settings): settings of the sandbox of this test, such as job_seconds=60"
    )


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> Generator[None, Factories | None, Factories]:
    """Give tests that ask for virtual time its loop, and leave the others theirs."""
    others = yield
    if _VIRTUAL in getattr(item, "fixturenames", ()):
        return {"virtual": VirtualTimeLoop}
    # pytest-asyncio wants an answer from whoever implements this hook.
    return others or {"asyncio": asyncio.new_event_loop}


@pytest.fixture
def chamelaion_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run this test on a loop whose time jumps from timer to timer, and let sandboxes go by the time of that loop.

    An hour of waiting takes milliseconds. With pytest-asyncio it is enough to ask for this fixture. With anyio's
    plugin, ``anyio_backend`` must be ``("asyncio", {"loop_factory": VirtualTimeLoop})``.
    """
    monkeypatch.setattr("chamelaion_async.sandbox.world.clock.machine_time", _loop_time_of_day)
    # A lane compares the time of the processor with that of the loop, which here is a dream.
    monkeypatch.setattr("chamelaion_async._http.concurrency.thread_time", lambda: 0.0)


def _loop_time_of_day() -> float:
    try:
        return _EPOCH + asyncio.get_running_loop().time()
    except RuntimeError:
        return _EPOCH  # before the loop runs


@pytest.fixture
def chamelaion_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox of this test's own. Its jobs end by themselves, or with ``finish`` and ``fail``.

    Jobs last 0.05 seconds, in virtual time 60. ``@pytest.mark.chamelaion(job_seconds=math.inf)`` sets this and all
    else that ``Sandbox`` takes. It runs in a thread of its own, so that it answers while a test blocks; in virtual
    time it runs in the loop of the test.
    """
    if _is_virtual(request):
        yield request.getfixturevalue(_in_loop("sandbox", request))
    else:
        with sandbox_in_thread(**_settings(request)) as sandbox:
            yield sandbox


@pytest.fixture
def chamelaion_client(request: pytest.FixtureRequest) -> AsyncClient:
    """A client of the sandbox, closed after the test. Its pauses are short; in virtual time they are as usual."""
    client: AsyncClient = request.getfixturevalue(_in_loop("client", request))
    return client


@pytest.fixture
def chamelaion_environment(
    request: pytest.FixtureRequest, chamelaion_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Lead every ``AsyncClient()`` that is made during this test to the sandbox.

    Sets ``CHAMELAION_BASE_URL`` and ``CHAMELAION_API_KEY``, and shortens the pauses of clients that name no policy
    of their own, and their ``not_found_grace``; in virtual time, these stay as they are.

    Returns:
        The variables.
    """
    variables = {"CHAMELAION_BASE_URL": chamelaion_sandbox.base_url, "CHAMELAION_API_KEY": KEY}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CHAMELAION_BEARER_TOKEN", raising=False)
    if not _is_virtual(request):
        defaults = AsyncClient.__init__.__kwdefaults__ or {}
        for name, policy in _SHORT.items():
            monkeypatch.setitem(defaults, name, policy)
    return variables


@pytest.fixture
def chamelaion_aioresponses() -> Iterator[aioresponses]:
    """aioresponses, answering in place of the network, also under aiohttp 3.14."""
    with patched_aioresponses() as mocked:
        yield mocked


def _is_virtual(request: pytest.FixtureRequest) -> bool:
    return _VIRTUAL in request.fixturenames


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    settings: dict[str, Any] = {"job_seconds": _JOB_SECONDS["virtual" if _is_virtual(request) else "real"]}
    for marker in reversed([*request.node.iter_markers("chamelaion")]):
        settings |= marker.kwargs
    return settings


async def _sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    request.getfixturevalue(_VIRTUAL)
    if not isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
        pytest.fail(
            f"{_VIRTUAL} needs a chamelaion_async.testing.VirtualTimeLoop: with pytest-asyncio 1.5 or newer, name "
            "this fixture among the arguments of the test or in usefixtures; with anyio, let the fixture "
            'anyio_backend return ("asyncio", {"loop_factory": VirtualTimeLoop})',
            pytrace=False,
        )
    async with Sandbox(**_settings(request)) as sandbox:
        yield sandbox


async def _client(request: pytest.FixtureRequest, chamelaion_sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    policies = {} if _is_virtual(request) else _SHORT
    async with AsyncClient(KEY, base_url=chamelaion_sandbox.base_url, **policies) as client:
        yield client


# What lives in a loop must live in that of the test. pytest-asyncio binds a fixture to one scope of loops, so there
# is a fixture for each; anyio's plugin takes the loop of the test.
_SCOPES: Final = ("function", "class", "module", "package", "session")
_MADE: Final = {"sandbox": _sandbox, "client": _client}
_NEEDED_BY: Final = {"sandbox": _VIRTUAL, "client": "chamelaion_client"}


def _in_loop(name: str, request: pytest.FixtureRequest) -> str:
    """Return the fixture that makes something in the loop of the test."""
    if "anyio_backend" in request.fixturenames:
        return f"_chamelaion_{name}_anyio"
    marker = request.node.get_closest_marker("asyncio")
    if marker is None:
        pytest.fail(f"{_NEEDED_BY[name]} needs the event loop of an async test", pytrace=False)
    scope = marker.kwargs.get("loop_scope") or request.config.getini("asyncio_default_test_loop_scope")
    return f"_chamelaion_{name}_{scope}"


def _copy(make: Any) -> Any:
    """Return a function of its own for each fixture, since pytest-asyncio keeps the scope as its attribute."""
    return FunctionType(make.__code__, make.__globals__, make.__name__)


for _name, _make in _MADE.items():
    globals()[f"_chamelaion_{_name}_anyio"] = pytest.fixture(name=f"_chamelaion_{_name}_anyio")(_copy(_make))

with suppress(ModuleNotFoundError):  # anyio's plugin alone will do
    import pytest_asyncio

    for _name, _make in _MADE.items():
        for _scope in _SCOPES:
            _full = f"_chamelaion_{_name}_{_scope}"
            globals()[_full] = pytest_asyncio.fixture(name=_full, loop_scope=_scope)(_copy(_make))
