"""What pytest does otherwise in a mutation run, where each process tries one mutant and ends at the first failure.

Most tests pass through most of the package, and a mutant that survives would have to survive all of them. What
is tried here are the tests of its own module, the quick ones first.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

_SLOWEST: Final = 1.0  # seconds that a test may take to be tried, as mutmut measured it, which slows it down
_STUCK: Final = 20.0  # seconds after which a test will not end any more
_TIMED_OUT: Final = 36  # the exit code by which mutmut knows it

_TESTS_OF: Final = {
    "_http.lanes": ("http/test_lanes", "http/test_concurrency", "http/test_transport", "test_lifecycle"),
    "_http.rate": ("http/test_rate", "http/test_lanes"),
    "_http.concurrency": ("http/test_concurrency",),
    "_http.retry": ("http/test_retry", "http/test_transport", "resources/test_submission", "test_wait"),
    "_http": ("http/", "test_errors", "test_secrets", "resources/test_resources"),
    "loading.source": ("loading/test_source", "polling/test_sharing", "resources/test_resources"),
    "loading": ("loading/", "polling/", "batches/"),
    "polling.intervals": ("polling/test_intervals", "test_wait"),
    "polling.plan": ("polling/test_state", "test_wait", "polling/", "batches/"),
    "polling.state": ("polling/test_state", "test_wait", "polling/", "batches/"),
    "polling.wait": ("test_wait", "polling/test_subscription", "polling/test_sharing"),
    "polling.subscription": ("polling/test_subscription", "test_wait", "polling/test_sharing"),
    "polling.polls": ("test_wait", "polling/test_state", "test_lifecycle", "resources/test_resources", "batches/"),
    "polling": ("polling/", "batches/"),
}
"""Where the tests of a module are; the first that fits counts."""


def _mutant() -> str:
    """Return the name of the mutant, without the package's, or nothing while none is tried."""
    package, _, name = os.environ.get("MUTANT_UNDER_TEST", "").partition(".")
    return name if package == "chamelaion_async" else ""


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests that are about the module with the mutant."""
    for module, tests in _TESTS_OF.items():
        if _mutant().startswith(f"{module}."):
            places = tuple(f"tests/{place}" for place in tests)
            seconds: dict[str, float] = json.loads(Path("mutmut-stats.json").read_text("utf-8"))["duration_by_test"]
            kept = [test for test in config.args if test.startswith(places) and seconds.get(test, 0.0) <= _SLOWEST]
            config.args[:] = sorted(kept, key=lambda test: (seconds.get(test, 0.0) > 0.05, test))
            return


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Bound each test by real time: on virtual time, a loop that never ends is a busy one."""
    if _mutant():
        signal.signal(signal.SIGALRM, lambda *_: os._exit(_TIMED_OUT))
        signal.setitimer(signal.ITIMER_REAL, _STUCK)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
