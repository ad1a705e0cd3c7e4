#!/usr/bin/env bash
# aiohttp: showing a response that is under way makes its request fail.
#
# Expected: repr() is for looking at an object and changes nothing.
# Seen: the response object exists before its headers do. Its repr reads the property for the headers, which caches
#   what it finds, None. When the answer comes, the request fails with AttributeError: 'NoneType' object has no
#   attribute 'getall', an error that is no ClientError. The same request without the repr succeeds.
# Why it matters: whoever waits for jobs has requests under way all the time. Memory and object profilers, watchdogs
#   that dump the variables of all running tasks, and debuggers call repr() on everything they find, so that looking
#   at a healthy program breaks its polls, and a paid POST is taken for failed although the service has accepted it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check aiohttp==3.14.5
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import asyncio
import gc
import sys

import aiohttp
from aiohttp import web

print("Python", sys.version.split()[0], "aiohttp", aiohttp.__version__)


async def slow(request):
    await asyncio.sleep(0.5)
    return web.json_response({"status": "completed"})


async def ask(url):
    async with aiohttp.ClientSession() as session, session.post(url) as response:
        return await response.json()


async def told(url, looks):
    task = asyncio.create_task(ask(url))
    await asyncio.sleep(0.2)
    if looks:  # as a profiler or a watchdog does
        for thing in gc.get_objects():
            if isinstance(thing, aiohttp.ClientResponse):
                print("shown:", " ".join(repr(thing).split()))
    try:
        return repr(await task)
    except Exception as error:
        return f"{type(error).__name__}: {error} (a ClientError: {isinstance(error, aiohttp.ClientError)})"


async def main():
    app = web.Application()
    app.router.add_post("/", slow)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/"
    left_alone, looked_at = await told(url, False), await told(url, True)
    await runner.cleanup()
    print("left alone:", left_alone)
    print("looked at: ", looked_at)
    assert left_alone == "{'status': 'completed'}", left_alone
    assert looked_at.startswith("AttributeError") and "getall" in looked_at, looked_at
    assert looked_at.endswith("(a ClientError: False)"), looked_at


asyncio.run(main())
PY
