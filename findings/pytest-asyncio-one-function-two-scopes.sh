#!/usr/bin/env bash
# pytest-asyncio: two fixtures made from one async function share one loop scope, the last one.
#
# Expected: `short = pytest_asyncio.fixture(loop_scope="function")(make)` and
#   `long = pytest_asyncio.fixture(loop_scope="session", scope="session")(make)` run in the loops
#   that they name, as `pytest.fixture` makes two independent fixtures of one function.
# Seen: pytest-asyncio keeps the loop scope on the function itself, so the second call changes the
#   first fixture as well: both run in the session's loop.
# Why it matters: a factory for clients is written once and wanted for a test and for a session. The
#   client of the test is then opened in a loop that is not the test's, and every call that waits
#   in the test fails with "belongs to another event loop", or hangs.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check pytest==9.2.0 pytest-asyncio==1.5.0
cd "$dir"
cat >test_scopes.py <<'PY'
import asyncio
import sys
from importlib.metadata import version

import pytest_asyncio


async def loop():
    return asyncio.get_running_loop()


def again():
    async def loop():
        return asyncio.get_running_loop()

    return loop


short = pytest_asyncio.fixture(loop_scope="function")(loop)
long = pytest_asyncio.fixture(loop_scope="session", scope="session")(loop)
own_short = pytest_asyncio.fixture(loop_scope="function")(again())
own_long = pytest_asyncio.fixture(loop_scope="session", scope="session")(again())


async def test_scopes(short, long, own_short, own_long):
    here = asyncio.get_running_loop()
    print("Python", sys.version.split()[0], "pytest-asyncio", version("pytest-asyncio"))
    print("made of one function: the short one runs in the test's loop:", short is here, "- both in one:", short is long)
    print("made of two functions: the short one runs in the test's loop:", own_short is here)
    assert short is not here and short is long
    assert own_short is here and own_long is not here
PY
"$dir/venv/bin/python" -m pytest -q -s -p no:cacheprovider -o asyncio_mode=auto -o asyncio_default_fixture_loop_scope=function test_scopes.py
