"""``wait``: until jobs are finished."""

from __future__ import annotations

import asyncio
import sys

from ..client import AsyncClient
from ..errors import ConfigurationError
from ._ui.board import make_board
from ._ui.exits import ExitCode, worst
from ._ui.ids import GivenIds, continuing_command, read_ids
from ._ui.json_records import error_as_record
from ._ui.options import Family, Flag, ServiceOptions, WaitTimeout, family_option, requests_of
from ._ui.printing import print_note
from ._ui.recent import RecentRequests
from ._ui.traffic import Traffic
from ._ui.waiting import Until, Wait, of_outcome

__all__ = ["wait"]


async def wait(
    ids: list[str] | None = None,
    /,
    *,
    all_open: Flag = False,
    any: Flag = False,
    fail_fast: Flag = False,
    family: Family = "lipsync",
    timeout: WaitTimeout = 600.0,
    json: Flag = False,
    quiet: Flag = False,
    bell: Flag = False,
    service: ServiceOptions | None = None,
) -> int:
    """Wait until requests are completed or failed.

    Shows a board on a terminal, elsewhere a line for each change. Ctrl-C leaves the jobs alone and prints how to wait
    on. Exit codes: 0 all completed, 1 one failed or was not found, 2 wrong arguments, settings or credentials, 3 one
    did not finish in time or cannot be read. Example: chamelaion-async wait @ids.txt --fail-fast

    Args:
        ids: UUIDs or reference ids, @FILE, or - for stdin: ids or JSON, one a line.
        all_open: Wait for all requests of the account that are open now.
        any: End when one has finished; its end is the exit code.
        fail_fast: End when one has failed.
        family: Kind of the requests: lipsync, the default, or translate.
        timeout: Seconds in all, by default 600; 0 polls once, inf is no limit.
        json: Print each request as a line of JSON when it is finished.
        quiet: Print errors only.
        bell: Ring the bell of the terminal at the end.
        service: The service to call, and its credentials.
    """
    service = service or ServiceOptions()
    with error_as_record(None, json=json):
        until = _until(any=any, fail_fast=fail_fast)
        if bool(ids) == all_open:
            raise ConfigurationError("name ids, - for stdin or @FILE, or pass --all-open, but not both")
        async with service.client() as client:
            given = await (_open_ids(client, family) if all_open else read_ids(ids or ()))
            names = given.ids
            if not names:
                return ExitCode.FAILED if given.errors else ExitCode.OK
            traffic = Traffic(client)
            requests = requests_of(client, family)
            going = Wait(
                requests=requests,
                board=make_board(names, json=json, quiet=quiet, durations=client.durations, traffic=traffic),
                names=names,
                until=until,
                recent=None if given.piped else RecentRequests(requests, client.durations),
            )
            options = {**family_option(family), **service.for_next_command()}
            try:
                outcomes = await going.run(timeout)
            except asyncio.CancelledError:
                _print_end(going, options)
                raise
            if not quiet:
                _print_end(going, options)
    if bell:
        _ring()
    if any:  # what has finished says how it went, whatever became of other ids
        outcomes = [outcome for outcome in outcomes if outcome.request is not None] or outcomes
    return worst([ExitCode.FAILED] * bool(given.errors) + [*map(of_outcome, outcomes)])


def _until(*, any: bool, fail_fast: bool) -> Until:
    if any and fail_fast:
        raise ConfigurationError("--any and --fail-fast exclude each other: --any ends at a failure too")
    return "any" if any else "failure" if fail_fast else "all"


async def _open_ids(client: AsyncClient, family: Family) -> GivenIds:
    # The list of lip sync requests has no filter by status, and an unknown status may be an open one.
    ids = [job.id async for job in requests_of(client, family).iterate() if not job.is_finished]
    if not ids:
        print_note("no request is open")
    return GivenIds(ids=ids)


def _print_end(going: Wait, options: dict[str, str | bool | None]) -> None:
    if going.open:
        print_note(f"{len(going.open)} still open, and not stopped by this; to wait on:")
        for line in continuing_command("wait", going.open, **options).split("\n"):
            print_note(line)
    going.board.print_summary()  # the last lines, since the ids may be more than the terminal shows


def _ring() -> None:
    for stream in (sys.stderr, sys.stdout):
        if stream is not None and stream.isatty():
            stream.write("\a")
            stream.flush()
            return
