#!/usr/bin/env bash
# backon: a hedged call ends with the first failure, and outlives the caller that gave it up.
#
# Expected: hedging is described as concurrent attempts of which the first success is returned. Of
#   three attempts one fails after 0.1 s and two succeed after 0.4 s: the call succeeds. A caller
#   that gives up (asyncio.timeout) stops all three.
# Seen: the first attempt to *end* decides, so the failure is raised and the two that would have
#   succeeded are cancelled. And when the caller is cancelled, all three go on in the background.
# Why it matters: hedging a status read or a download against an unreliable host makes it fail
#   more often than one plain attempt, since one bad attempt of three is enough. Requests go on
#   after the time-out that was meant to end them, and hold connections and use up the rate.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check backon==4.4.5
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import asyncio
import itertools
import sys
from importlib.metadata import version

import backon

print("Python", sys.version.split()[0], "backon", version("backon"))


async def one_of_three_fails():
    numbers = itertools.count(1)
    cancelled = []

    async def read():
        number = next(numbers)
        if number == 1:
            await asyncio.sleep(0.1)
            raise ConnectionResetError("attempt 1")
        try:
            await asyncio.sleep(0.4)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return "completed"

    try:
        outcome = await backon.hedge(read, backon.constant, interval=0.1, max_hedge=3)
    except ConnectionResetError as error:
        outcome = repr(error)
    await asyncio.sleep(0.5)
    return outcome, sorted(cancelled)


async def caller_gives_up():
    running = 0

    async def read():
        nonlocal running
        running += 1
        try:
            await asyncio.sleep(1)
        finally:
            running -= 1
        return "completed"

    try:
        async with asyncio.timeout(0.2):
            await backon.hedge(read, backon.constant, interval=0.1, max_hedge=3)
    except TimeoutError:
        pass
    await asyncio.sleep(0.3)
    return running


async def main():
    outcome, cancelled = await one_of_three_fails()
    running = await caller_gives_up()
    print("one of three attempts fails: expected 'completed', seen", outcome, "with attempts cancelled:", cancelled)
    print("caller gave up 0.3 s ago: expected 0 attempts running, seen", running)
    assert outcome == "ConnectionResetError('attempt 1')", outcome
    assert cancelled == [2, 3], cancelled
    assert running == 3, running
    await asyncio.sleep(1)


asyncio.run(main())
PY
