"""``wait``: until jobs are finished."""

from __future__ import annotations

from ._ui.board import make_board
from ._ui.exits import worst
from ._ui.json_records import error_as_record
from ._ui.options import Family, Flag, ServiceOptions, WaitTimeout, requests_of
from ._ui.waiting import of_outcome, wait_for_all

__all__ = ["wait"]


async def wait(
    ids: list[str],
    /,
    *,
    family: Family = "lipsync",
    timeout: WaitTimeout = 600.0,
    json: Flag = False,
    service: ServiceOptions | None = None,
) -> int:
    """Wait until requests are completed or failed.

    Shows a board on a terminal, elsewhere a line for each change. Exit codes: 0 all completed, 1 one failed or was
    not found, 2 wrong arguments, settings or credentials, 3 one did not finish in time or the service cannot be
    reached. If several apply, 2 goes before 3, and 3 before 1.

    Args:
        ids: UUIDs of the requests, or the reference ids that they were submitted with. An id given twice counts once.
        family: Kind of request, the same for all ids.
        timeout: Seconds to wait in all; 0 polls once, inf waits without end.
        json: Print one JSON object a line for each request when it is finished, with the field names of the API. An
            error has id, error and message.
        service: The service to call, and its credentials.
    """
    names = list(dict.fromkeys(ids))  # a set would lose the order of the rows
    with error_as_record(None, json=json):
        async with (service or ServiceOptions()).client() as client:
            board = make_board(names, json=json, durations=client.durations)
            outcomes = await wait_for_all(requests_of(client, family), board, names, timeout=timeout)
    return worst(map(of_outcome, outcomes))
