#!/usr/bin/env bash
# requests-sse and aiohttp-sse-client2 with an aiohttp-sse server: streamed words run together.
#
# Expected: a server sends a transcript piece by piece as server-sent events: "Hello", " world",
#   ".", two line ends, "Bye". The format takes one blank after "data:" away, so the pieces arrive
#   as they were sent, and joined they are the transcript. httpx-sse shows that the server does
#   its part.
# Seen: both clients take all blanks away at the front of a piece and all line ends at its back.
#   Joined, the transcript reads "Helloworld.Bye".
# Why it matters: partial transcripts, translations and logs of a running job are streamed like
#   this. JSON payloads hide the loss; plain text loses its words and paragraphs, and nothing
#   raises.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check aiohttp==3.14.5 aiohttp-sse==3.0 aiohttp-sse-client2==0.3.0 \
  requests-sse==0.5.3 requests==2.34.2 httpx==0.28.1 httpx-sse==0.4.3
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import asyncio
import sys
from importlib.metadata import version

import httpx
import httpx_sse
import requests_sse
from aiohttp import web
from aiohttp_sse import sse_response
from aiohttp_sse_client2 import client as aiohttp_sse_client2

print("Python", sys.version.split()[0], "aiohttp", version("aiohttp"), "aiohttp-sse", version("aiohttp-sse"))
PIECES = ["Hello", " world", ".", "\n\n", "Bye"]


async def transcript(request):
    async with sse_response(request) as response:
        for piece in PIECES:
            await response.send(piece)
        await asyncio.sleep(0.2)
    return response


async def with_httpx_sse(url):
    async with httpx.AsyncClient() as client, httpx_sse.aconnect_sse(client, "GET", url) as source:
        return [event.data async for event in source.aiter_sse()]


async def with_aiohttp_sse_client2(url):
    pieces = []
    async with aiohttp_sse_client2.EventSource(url) as source:
        async for event in source:
            pieces.append(event.data)
            if len(pieces) == len(PIECES):
                return pieces


async def with_requests_sse(url):
    def read():
        pieces = []
        with requests_sse.EventSource(url) as source:
            for event in source:
                pieces.append(event.data)
                if len(pieces) == len(PIECES):
                    return pieces

    return await asyncio.to_thread(read)


async def main():
    app = web.Application()
    app.router.add_get("/", transcript)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = "http://127.0.0.1:%d/" % runner.addresses[0][1]
    print("expected:", PIECES, repr("".join(PIECES)))
    eaten = ["Hello", "world", ".", "", "Bye"]
    for name, read, wanted in (
        ("httpx-sse", with_httpx_sse, PIECES),
        ("aiohttp-sse-client2", with_aiohttp_sse_client2, eaten),
        ("requests-sse", with_requests_sse, eaten),
    ):
        pieces = await asyncio.wait_for(read(url), 20)
        print(f"{name} {version(name)}:", pieces, repr("".join(pieces)))
        assert pieces == wanted, (name, pieces)
    await runner.cleanup()


asyncio.run(main())
PY
