#!/usr/bin/env bash
# backon: calls that wait for a RateLimiter are let through all at once, uncounted.
#
# Expected: `RateLimiter(5, period=1)` on a coroutine lets 5 calls go in any second; 40 calls
#   started together take 7 to 8 seconds.
# Seen: a call that finds the limit reached sleeps once and then goes, without asking the limiter
#   again and without being counted. 5 calls go at once and the other 35 go together one second
#   later.
# Why it matters: who waits for many jobs starts many polls together, which is the one case that a
#   limit is for. The API receives a burst of seven times the rate.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check backon==4.4.5
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import asyncio
import sys
import time
from importlib.metadata import version

import backon

print("Python", sys.version.split()[0], "backon", version("backon"))


async def main():
    limiter = backon.RateLimiter(5, period=1.0)
    start = time.monotonic()
    gone = []

    @backon.on_exception(backon.constant, OSError, max_tries=3, interval=0.1, rate_limit=limiter)
    async def poll(job):
        gone.append(time.monotonic() - start)

    await asyncio.gather(*(poll(job) for job in range(40)))
    early = sum(at < 0.5 for at in gone)
    late = sum(0.9 <= at < 1.8 for at in gone)
    print("40 polls started together, 5 a second allowed")
    print("expected: at most 5 in the second after the first, all of them gone after 7 s or more")
    print(f"seen: {early} at once, {late} more between 0.9 and 1.8 s, the last one after {max(gone):.1f} s")
    assert (early, late) == (5, 35), (early, late)


asyncio.run(main())
PY
