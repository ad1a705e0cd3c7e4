#!/usr/bin/env bash
# vcrpy: a cassette that cannot be saved stays in force after its `with` block.
#
# Expected: `with vcr.use_cassette(...)` ends its effect at the end of the block, also if writing the
#   file fails, as here, where a JSON cassette cannot hold the bytes of a video (a documented error).
# Seen: saving comes before unpatching, so the error skips the unpatching. Every aiohttp session of the
#   process goes on recording, until the garbage collector happens to find the cassette. Here the same
#   GET is sent three times after the block, and the server sees only the first: the others are played
#   back from a cassette that no code uses any more.
# Why it matters: the test that caught the error passes, and tests after it, in an order that depends on
#   the garbage collector, are answered from the recording of another test. A poll of a job is answered
#   with the status of long ago.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check vcrpy==9.4.2 aiohttp==3.14.5
cat >"$dir/show.py" <<'PY'
import asyncio
import gc
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import aiohttp
import vcr
from aiohttp import web

polls = 0


async def video(request):
    return web.Response(body=b"\x00\x00\x00\x18ftypmp42\xff\xfe", content_type="video/mp4")


async def status(request):
    global polls
    polls += 1
    return web.json_response({"poll": polls})


async def main():
    app = web.Application()
    app.router.add_get("/video", video)
    app.router.add_get("/status", status)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = "http://127.0.0.1:%d" % runner.addresses[0][1]
    original = aiohttp.ClientSession._request
    path = str(Path(tempfile.gettempdir()) / "never-written.json")
    recorder = vcr.VCR(serializer="json").use_cassette(path, allow_playback_repeats=True)
    failure = None
    async with aiohttp.ClientSession() as session:
        try:
            with recorder:
                async with session.get(base + "/video") as response:
                    await response.read()
        except TypeError as error:
            failure = error
        seen = []
        for _ in range(3):
            async with session.get(base + "/status") as response:
                seen.append((await response.json())["poll"])
        patched = aiohttp.ClientSession._request is not original
    print("Python", sys.version.split()[0], "vcrpy", version("vcrpy"), "aiohttp", version("aiohttp"))
    print("saving failed:", str(failure).partition("?")[0])
    print("after the block, sessions are still patched:", patched)
    print("three polls after the block are answered with", seen, "- the server saw", polls)
    del recorder, failure
    gc.collect()
    print("after a garbage collection:", aiohttp.ClientSession._request is not original)
    await runner.cleanup()
    assert patched and polls == 1 and seen == [1, 1, 1]
    assert aiohttp.ClientSession._request is original


asyncio.run(main())
PY
"$dir/venv/bin/python" "$dir/show.py"
