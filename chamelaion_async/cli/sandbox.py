"""``sandbox``: the imitated API as a local server."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ._ui.advice import shell_quoted
from ._ui.exits import ExitCode
from ._ui.printing import print_error, print_line

if TYPE_CHECKING:
    from ..sandbox import Sandbox

__all__ = ["sandbox"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


async def sandbox(
    *,
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8787,
    host: str = "127.0.0.1",
    job_seconds: Annotated[float, Parameter(validator=Number(gte=0))] = 2.0,
    rate_limit: Annotated[float | None, Parameter(validator=Number(gt=0, lt=math.inf))] = None,
    page_cap: Annotated[int, Parameter(validator=Number(gte=1))] = 100,
    key: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
) -> int:
    """Serve an imitation of the API on this machine.

    It is for tests and for trying things out. The first line of output is the base URL. Ctrl-C and SIGTERM stop it.
    Exit codes: 0 stopped, 2 wrong arguments or an address that cannot be used.

    Args:
        port: Port to listen on; 0 takes any free port.
        host: Address to listen on.
        job_seconds: Seconds that a job takes.
        rate_limit: Status requests per second; more are answered with 429. Default: no limit.
        page_cap: Largest number of items on a page of a list.
        key: Accept only these keys. Default: any key that is not empty.
    """
    from ..sandbox import Sandbox  # noqa: PLC0415 - completion imports this module, and needs no server

    try:
        server = Sandbox(
            job_seconds=job_seconds, host=host, port=port, keys=key, rate_limit=rate_limit, page_cap=page_cap
        )
    except ValueError as error:
        print_error(str(error))
        return ExitCode.USAGE
    stop = asyncio.Event()
    with _set_on_signals(stop):
        try:
            await server.start()
        except OSError as error:
            print_error(f"cannot listen on {host}, port {port}: {_reason(error)}")
            return ExitCode.USAGE
        try:
            print_line(server.base_url)
            _print_usage(server, any_key=key is None)
            await stop.wait()
        finally:
            await server.stop()
    return ExitCode.OK


@contextmanager
def _set_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set the event on SIGINT and SIGTERM inside the block, then restore the earlier handlers.

    ``loop.add_signal_handler`` does not exist on Windows.
    """
    loop = asyncio.get_running_loop()
    # A handler runs outside of the loop, which only call_soon_threadsafe wakes.
    before = {number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_usage(server: Sandbox, *, any_key: bool) -> None:
    keys = "any key is accepted" if any_key else "only the given keys are accepted"
    url, key = shell_quoted(server.base_url), "any" if any_key else "..."
    print(
        "A local imitation of the Chamelaion API: it costs nothing, and no video is lip-synced.\n"
        f"Jobs take {server.job_seconds:g} s; {keys}. To try it in another shell:\n"
        f"  export CHAMELAION_BASE_URL={url} CHAMELAION_API_KEY={key}\n"
        "  chamelaion-async wait dub-episode-42 dub-episode-43\n"
        "Ctrl-C stops it.",
        file=sys.stderr,
        flush=True,
    )


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "it is in use; choose another with --port, or any free one with --port 0"
    # The text of asyncio repeats the address. An unknown host name has an error number that errno does not list.
    known = error.errno in errno.errorcode if error.errno is not None else False
    return os.strerror(error.errno) if known and error.errno is not None else str(error.strerror or error)
