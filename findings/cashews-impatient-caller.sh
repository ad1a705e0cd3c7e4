#!/usr/bin/env bash
# cashews: one caller's time-out cancels every other caller of the same cached coroutine.
#
# Expected: three tasks await the same cached status read. One of them has little patience and
#   runs into its own asyncio.timeout(); it stops waiting, the other two get the status.
# Seen: `@cache(ttl=...)` lets concurrent calls of one key share one task, and all callers await
#   that task directly. The time-out of any of them, first or last to come, cancels it, and the
#   others are handed a CancelledError that nothing in their own tasks asked for. A TaskGroup
#   takes such tasks for cancelled on purpose, so it ends without an error and without their
#   results.
# Why it matters: status reads are cached so that many waiters of one job cost one request, and
#   waiters have different deadlines. A short deadline in one place makes long waits elsewhere
#   vanish silently. `protected=False` brings the expected behaviour back, at one call per caller.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check cashews==7.6.0
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import asyncio
import sys
from importlib.metadata import version

from cashews import cache

print("Python", sys.version.split()[0], "cashews", version("cashews"))
cache.setup("mem://")


def cached_read(name, **options):
    @cache(ttl="1m", key=name + ":{job}", **options)
    async def read(job):
        await asyncio.sleep(0.5)
        return "completed"

    return read


async def wait(read, patience, outcomes, place):
    try:
        async with asyncio.timeout(patience):
            outcomes[place] = await read("job-1")
    except TimeoutError:
        outcomes[place] = "timed out"


async def in_task_group(read, patiences):
    outcomes = ["nothing"] * 3
    async with asyncio.TaskGroup() as group:
        for place, patience in enumerate(patiences):
            group.create_task(wait(read, patience, outcomes, place))
    return outcomes


async def gathered(read):
    outcomes = ["nothing"] * 3
    ends = await asyncio.gather(
        *(wait(read, patience, outcomes, place) for place, patience in enumerate((0.1, 5, 5))),
        return_exceptions=True,
    )
    return [type(end).__name__ for end in ends]


async def main():
    wanted = ["timed out", "completed", "completed"]
    group = await in_task_group(cached_read("a"), (0.1, 5, 5))
    last = await in_task_group(cached_read("b"), (5, 5, 0.1))
    ends = await gathered(cached_read("c"))
    unprotected = await in_task_group(cached_read("d", protected=False), (0.1, 5, 5))
    print("expected of patience 0.1 s, 5 s, 5 s:", wanted)
    print("seen in a TaskGroup that raised nothing:", group)
    print("seen with the impatient one last:", last)
    print("seen as the three tasks' ends:", ends)
    print("seen with protected=False:", unprotected)
    assert group == ["timed out", "nothing", "nothing"], group
    assert last == ["nothing", "nothing", "timed out"], last
    assert ends == ["NoneType", "CancelledError", "CancelledError"], ends
    assert unprotected == wanted, unprotected


asyncio.run(main())
PY
