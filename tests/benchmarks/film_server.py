"""The sandbox with one finished job, ``film``, whose output is the file that it is given at the start."""

from __future__ import annotations

import asyncio
from pathlib import Path

from child import arguments, messages, tell

from chamelaion_async.sandbox import Sandbox


async def serve(*, film: str) -> None:
    async with Sandbox(job_seconds=0.0) as sandbox:
        sandbox.add_job(reference_id="film", output=Path(film))
        tell(sandbox.base_url)
        # Leaves the context at the end of its standard input, so that no upload stays in the temporary folder.
        async for _ in messages():
            pass


if __name__ == "__main__":
    asyncio.run(serve(**arguments()))
