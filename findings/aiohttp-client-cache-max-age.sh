#!/usr/bin/env bash
# aiohttp-client-cache: the session's expire_after beats the server's max-age, not the other way.
#
# Expected: with `cache_control=True` the user guide says that Cache-Control directives take
#   priority over any other `expire_after` value, and the docstring of the class that decides says
#   so too. So a status answered with `max-age=1` is read again after a second, and
#   `expire_after=60` serves only answers that name no age.
# Seen: as soon as `expire_after` is given, the server's `max-age=1` is ignored and the first
#   answer is served for the whole 60 seconds. Without `expire_after` the same server is obeyed.
# Why it matters: a status endpoint says with a short max-age how old a status may be. A poll loop
#   through this session sees "processing" long after the job has finished, and makes no request
#   at all in the meantime.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check aiohttp==3.14.5 aiohttp-client-cache==0.15.0
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import asyncio
import sys
from importlib.metadata import version

from aiohttp import web
from aiohttp_client_cache import CacheBackend, CachedSession

print("Python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("aiohttp", "aiohttp-client-cache")))
requests = 0


async def status(request):
    global requests
    requests += 1
    state = "processing" if requests == 1 else "completed"
    return web.json_response({"status": state}, headers={"Cache-Control": "max-age=1"})


async def polls(base, **options):
    global requests
    requests = 0
    seen = []
    async with CachedSession(cache=CacheBackend(cache_control=True, **options)) as session:
        for pause in (1.5, 1.5, 0):
            async with session.get(base + "/job") as response:
                seen.append((await response.json())["status"])
            await asyncio.sleep(pause)
    return seen, requests


async def main():
    app = web.Application()
    app.router.add_get("/job", status)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = "http://127.0.0.1:%d" % runner.addresses[0][1]
    alone = await polls(base)
    both = await polls(base, expire_after=60)
    await runner.cleanup()
    print("three polls, 1.5 s apart, of an answer with max-age=1")
    print("expected with and without expire_after=60: processing, completed, completed")
    print("seen without expire_after:", alone[0], "requests:", alone[1])
    print("seen with expire_after=60:", both[0], "requests:", both[1])
    assert alone == (["processing", "completed", "completed"], 3), alone
    assert both == (["processing", "processing", "processing"], 1), both


asyncio.run(main())
PY
