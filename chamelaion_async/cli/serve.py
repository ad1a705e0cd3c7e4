"""``sandbox``: the imitated API, served from the shell."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ..sandbox import Sandbox
from .advice import quoted
from .exits import ExitCode
from .output import complain, say

__all__ = ["sandbox"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


async def sandbox(
    *,
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8787,
    host: str = "127.0.0.1",
    job_seconds: Annotated[float, Parameter(validator=Number(gte=0))] = 2.0,
    rate_limit: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    page_cap: Annotated[int, Parameter(validator=Number(gte=1))] = 100,
    key: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
) -> int:
    """Serve the whole API on this machine, for trying things out and for tests.

    The first line of output is the base URL. Ends with exit code 0 on Ctrl-C and on SIGTERM, and with 2 if the
    address cannot be had.

    Args:
        port: Port to listen on; 0 takes any free one.
        host: Address to listen on.
        job_seconds: Seconds that a job takes.
        rate_limit: Status requests a second before 429 is answered. Default: no limit.
        page_cap: Largest page of a list.
        key: Accept these keys only. Default: any key that is not empty.
    """
    try:
        served = Sandbox(
            job_seconds=job_seconds, host=host, port=port, keys=key, rate_limit=rate_limit, page_cap=page_cap
        )
    except ValueError as error:
        complain(str(error))
        return ExitCode.USAGE
    stop = asyncio.Event()
    with _calling(stop):
        try:
            await served.start()
        except OSError as error:
            complain(f"cannot listen on {host}, port {port}: {_reason(error)}")
            return ExitCode.USAGE
        try:
            say(served.base_url)
            _explain(served, any_key=key is None)
            await stop.wait()
        finally:
            await served.stop()
    return ExitCode.OK


@contextmanager
def _calling(stop: asyncio.Event) -> Iterator[None]:
    """Set the event on SIGINT and SIGTERM, instead of what they did before.

    Not ``loop.add_signal_handler``, which Windows does not have.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _explain(served: Sandbox, *, any_key: bool) -> None:
    keys = "any key is good" if any_key else "only the given keys are good"
    print(
        "The Chamelaion API, imitated on this machine: it costs nothing and syncs nothing.\n"
        f"Jobs take {served.job_seconds:g} s; {keys}. To try it from another shell:\n"
        f"  export CHAMELAION_BASE_URL={quoted(served.base_url)} CHAMELAION_API_KEY={'any' if any_key else '...'}\n"
        "  chamelaion-async wait dub-episode-42 dub-episode-43\n"
        "Ctrl-C stops it.",
        file=sys.stderr,
        flush=True,
    )


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "it is in use; choose another with --port, or any free one with --port 0"
    # asyncio's own text repeats the address; a name that is not known has a number of its own kind.
    known = error.errno in errno.errorcode if error.errno is not None else False
    return os.strerror(error.errno) if known and error.errno is not None else str(error.strerror or error)
