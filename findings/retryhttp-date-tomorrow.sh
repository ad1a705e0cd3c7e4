#!/usr/bin/env bash
# retryhttp: a Retry-After date more than a day away loses its days.
#
# Expected: `Retry-After` may be an HTTP date. A 429 whose date lies 24 hours and 30 seconds ahead
#   (a daily quota) means a wait of 86,430 s. With `wait_max=None` wait_retry_after() waits that
#   long; with `wait_max=120` and no fallback it raises ValueError, as its docstring says.
# Seen: both wait about 30 seconds. Only the seconds within the last day are kept, so three days
#   and 10 seconds are 10 seconds, and the maximum is compared with the wrong number.
# Why it matters: a client that has used up a daily quota is written to obey Retry-After, and yet
#   sends again after half a minute to a service that told it to come back tomorrow. The attempts
#   that were meant for a real recovery are used up on the same day.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check retryhttp==1.5.0 tenacity==9.2.1 httpx==0.28.1
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import datetime
import sys
from email.utils import format_datetime
from importlib.metadata import version

import httpx
import tenacity
from retryhttp import wait_retry_after

print("Python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("retryhttp", "tenacity", "httpx")))


def wait_for(seconds, **options):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    response = httpx.Response(429, headers={"Retry-After": format_datetime(moment, usegmt=True)})
    request = httpx.Request("GET", "http://127.0.0.1/job")
    error = httpx.HTTPStatusError("too many", request=request, response=response)
    state = tenacity.RetryCallState(None, None, (), {})
    state.set_exception((type(error), error, None))
    try:
        return wait_retry_after(**options)(state)
    except ValueError:
        return "ValueError"


day = 86_400
rows = [
    (100, {"wait_max": None}),
    (day + 30, {"wait_max": None}),
    (3 * day + 10, {"wait_max": None}),
    (200, {"wait_max": 120, "fallback": None}),
    (day + 30, {"wait_max": 120, "fallback": None}),
]
seen = [wait_for(seconds, **options) for seconds, options in rows]
for (seconds, options), got in zip(rows, seen):
    expected = "ValueError" if options["wait_max"] and seconds > options["wait_max"] else f"about {seconds} s"
    print(f"date {seconds:>6} s ahead, wait_max={options['wait_max']}: expected {expected}, seen {got}")
assert 97 <= seen[0] <= 100, seen
assert 27 <= seen[1] <= 30, seen
assert 7 <= seen[2] <= 10, seen
assert seen[3] == "ValueError", seen
assert 27 <= seen[4] <= 30, seen
PY
