"""``download``: the outputs of a job as files."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ._ui.exits import ExitCode
from ._ui.json_records import error_as_record, record
from ._ui.options import AttemptTimeout, Family, Flag, ServiceOptions, requests_of
from ._ui.output_files import download_outputs
from ._ui.printing import print_line
from ._ui.text import clean

__all__ = ["download"]


async def download(
    id: str,
    /,
    *,
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    overwrite: Flag = False,
    family: Family = "lipsync",
    timeout: AttemptTimeout = 60.0,
    json: Flag = False,
    service: ServiceOptions | None = None,
) -> int:
    """Download the outputs of completed requests.

    Prints the path of each file. The same command resumes a download that broke off. Exit codes: 0 downloaded, 1 the request failed, has no output
    or was not found, 2 wrong arguments, settings or credentials, or a file exists, 3 the request is not finished or
    the download broke off.

    Args:
        id: UUID of the request, or the reference id that it was submitted with.
        output: File or folder to write to. A slash at the end means a folder, which is created if it does not exist.
            Default: a file named after the URL, and for a translation, which has several files, a folder named after
            its UUID.
        overwrite: Replace files that exist.
        family: Kind of request.
        timeout: Seconds to wait for an answer, or for the next bytes.
        json: Print one JSON object with id and paths.
        service: The service to call, and its credentials.
    """
    with error_as_record(id, json=json):
        async with (service or ServiceOptions()).client(timeout=timeout) as client:
            job = await requests_of(client, family).get(id)
            paths = await download_outputs(client, job, output, overwrite=overwrite)
    if json:
        print_line(record(id=job.id, paths=[str(path) for path in paths]))
    else:
        for path in paths:
            print_line(clean(str(path)))
    return ExitCode.OK
