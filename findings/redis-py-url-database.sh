#!/usr/bin/env bash
# redis-py: a database in a URL that is no number is silently database 0.
#
# Expected: redis://host/jobs is refused, since databases have numbers: redis-py refuses other
#   parts of a URL that make no sense, such as a port that is no number.
# Seen: the part is dropped, and the client uses database 0. Of redis://host/0/1 the number that is
#   left after the slashes are removed counts: database 1.
# Why it matters: locks and open jobs of a test or of another program end up in the database that
#   production uses, and nobody is told. A worker that waits for jobs finds those of another.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check redis==8.1.0
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import sys
from importlib.metadata import version

from redis.asyncio.connection import parse_url

print("Python", sys.version.split()[0], "redis", version("redis"))
seen = {}
for url in ("redis://127.0.0.1/3", "redis://127.0.0.1/jobs", "redis://127.0.0.1/3a", "redis://127.0.0.1/0/1"):
    seen[url] = parse_url(url).get("db", "none given, so 0")
    print(f"{url}: database {seen[url]}")
try:
    parse_url("redis://127.0.0.1:first/3")
except ValueError as error:
    print("redis://127.0.0.1:first/3:", error)
else:
    raise AssertionError("a port that is no number is accepted too")
nothing = "none given, so 0"
assert [*seen.values()] == [3, nothing, nothing, 1], seen
PY
