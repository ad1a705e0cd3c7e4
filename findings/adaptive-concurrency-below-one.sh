#!/usr/bin/env bash
# adaptive-concurrency: a rate below one a second is one a second.
#
# Expected: `RateLimiter(max_per_sec=...)` takes a float. 0.1 is one request in ten seconds, that
#   is six a minute; 2.5 is five in two seconds.
# Seen: requests of the last second are counted and compared with the number, so 0.1 lets one
#   through every second, ten times what was asked for, and 2.5 lets three through.
# Why it matters: plans of job APIs are often given by the minute ("6 submissions a minute"), and
#   dividing by 60 is the way to write that down. Nothing is refused or logged on this side; the
#   service answers with 429.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check adaptive-concurrency==0.1.1
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import asyncio
import sys
import time
from importlib.metadata import version

from adaptive_concurrency import RateLimiter

print("Python", sys.version.split()[0], "adaptive-concurrency", version("adaptive-concurrency"))


async def granted(rate, seconds):
    limiter = RateLimiter(max_per_sec=rate)
    end = time.monotonic() + seconds
    count = 0
    try:
        async with asyncio.timeout(seconds):
            while time.monotonic() < end:
                await limiter.aacquire()
                count += 1
    except TimeoutError:
        pass
    return count


async def main():
    slow, odd = await asyncio.gather(granted(0.1, 4.7), granted(2.5, 3.7))
    print("max_per_sec=0.1 for 4.7 s: expected 1 request, seen", slow)
    print("max_per_sec=2.5 for 3.7 s: expected 10 requests or fewer, seen", odd)
    assert 4 <= slow <= 5, slow
    assert 11 <= odd <= 12, odd


asyncio.run(main())
PY
