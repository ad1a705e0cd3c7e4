#!/usr/bin/env bash
# coverage: with --source=PACKAGE.MODULE, a test program runs with two asyncio modules, and its
#   `except asyncio.CancelledError` no longer catches a cancellation.
#
# Expected: measuring the coverage of one module of a package changes what is measured, and not
#   what the program does.
# Seen: to find PACKAGE.MODULE, coverage imports PACKAGE, and then takes what that has imported out
#   of sys.modules again. If PACKAGE imports asyncio, the program imports asyncio a second time:
#   the C part of asyncio keeps the exception of the first one, the program names that of the
#   second. A cancelled task raises a CancelledError that the program's `except
#   asyncio.CancelledError` does not catch. With --source=PACKAGE, or without it, it does.
# Why it matters: programs that wait for jobs are built on cancellation: timeouts, shutdown, task
#   groups. Their tests fail, or hang, under coverage alone, for a reason that no traceback shows.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check coverage==7.17.3
cd "$dir"
mkdir -p package/part
echo "import asyncio" >package/__init__.py
touch package/part/__init__.py
cat >program.py <<'PY'
import asyncio

import package.part


async def main():
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return "caught"
    except BaseException as error:
        return f"a {type(error).__name__} that is not asyncio.CancelledError"


print(asyncio.run(main()))
PY
"$dir/venv/bin/python" -c 'import sys; from importlib.metadata import version; print("Python", sys.version.split()[0], "coverage", version("coverage"))'
plain=$("$dir/venv/bin/coverage" run program.py)
whole=$("$dir/venv/bin/coverage" run --source=package program.py)
part=$("$dir/venv/bin/coverage" run --source=package.part program.py)
echo "without --source:      $plain"
echo "--source=package:      $whole"
echo "--source=package.part: $part"
test "$plain" = "caught"
test "$part" = "a CancelledError that is not asyncio.CancelledError"
