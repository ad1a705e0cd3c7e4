#!/usr/bin/env bash
# looptime with six rate limiters: under a virtual clock the same rate has three different paces.
#
# Expected: a test of a poll loop runs on looptime's event loop, whose sleeps take no real time. A
#   limiter of 1 a second hands out six permits at 0, 1, 2, 3, 4 and 5 seconds of the loop's
#   clock; at worst, one that reads another clock runs at real speed.
# Seen: aiolimiter and asynciolimiter do as expected. arate-limit hands the permits out at 0, 1,
#   3, 6, 10 and 15 s: it sleeps on the loop's clock but counts on the real one, which hardly
#   moves, so the pauses add up. pyrate-limiter, throttled-py and async-limiter never see their
#   window pass: they sleep again and again, and a deadline of 100 virtual seconds ends with one
#   permit.
# Why it matters: polling and back-off are tested with virtual time. Here a test of "ten jobs
#   within a minute" fails, or passes at a pace that production never has, and the limiter is the
#   last place to search, since the same code is right on a real clock.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check looptime==0.9 aiolimiter==1.3.0 asynciolimiter==1.2.0 \
  arate-limit==1.2.2 pyrate-limiter==4.5.1 throttled-py==3.5.0 async-limiter==1.2.0
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import asyncio
import sys
from importlib.metadata import version

import aiolimiter
import arate_limit
import async_limiter
import asynciolimiter
import looptime
import pyrate_limiter
import throttled.asyncio

print("Python", sys.version.split()[0], "looptime", version("looptime"))


def with_aiolimiter():
    return aiolimiter.AsyncLimiter(1, 1).acquire


def with_asynciolimiter():
    return asynciolimiter.StrictLimiter(1).wait


def with_arate_limit():
    return arate_limit.LeakyBucketRateLimiter(1, 1.0, slack=0).wait


def with_pyrate_limiter():
    return pyrate_limiter.Limiter(pyrate_limiter.Rate(1, pyrate_limiter.Duration.SECOND)).try_acquire_async


def with_throttled():
    quota = throttled.asyncio.rate_limiter.per_sec(1, burst=1)
    return throttled.asyncio.Throttled(key="jobs", quota=quota, timeout=1000).limit


def with_async_limiter():
    return async_limiter.DualRateLimiter(10, 1, 1.0, conservative=False).acquire


async def permits(make):
    loop = asyncio.get_running_loop()
    acquire = make()
    start = loop.time()
    times = []
    try:
        async with asyncio.timeout(100):
            for _ in range(6):
                await acquire()
                times.append(round(loop.time() - start))
    except TimeoutError:
        pass
    return times


def run(name, make):
    loop = looptime.new_event_loop()
    try:
        times = loop.run_until_complete(permits(make))
    finally:
        loop.close()
    print(f"{name:15} {version(name):6} permits at {times} virtual s" + (", then none until 100" if len(times) < 6 else ""))
    return times


print("expected: permits at [0, 1, 2, 3, 4, 5] virtual s")
even = [0, 1, 2, 3, 4, 5]
assert run("aiolimiter", with_aiolimiter) == even
assert run("asynciolimiter", with_asynciolimiter) == even
assert run("arate-limit", with_arate_limit) == [0, 1, 3, 6, 10, 15]
for name, make in (
    ("pyrate-limiter", with_pyrate_limiter),
    ("throttled-py", with_throttled),
    ("async-limiter", with_async_limiter),
):
    assert run(name, make) == [0]
PY
