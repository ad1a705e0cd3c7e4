"""``download``: the outputs of jobs as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .._media.targets import names_folder
from ..client import AsyncClient
from ..errors import ConfigurationError
from ._ui.exits import ExitCode, worst
from ._ui.ids import read_ids
from ._ui.json_records import error_as_record, record
from ._ui.many_outputs import download_many
from ._ui.options import AttemptTimeout, Family, Flag, ServiceOptions, requests_of
from ._ui.output_files import download_outputs
from ._ui.printing import print_line
from ._ui.text import clean

__all__ = ["download"]


async def download(
    ids: list[str],
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

    Prints the path of each file. The same command resumes a download that broke off. Exit codes: 0 downloaded, 1 a
    request failed, has no output or was not found, 2 wrong arguments, settings or credentials, or a file exists, 3 a
    request is not finished or a download broke off. Example: chamelaion-async download @ids.txt -o dubs/

    Args:
        ids: UUIDs or reference ids, @FILE, or - for stdin: ids or JSON, one a line.
        output: File or folder. A slash at the end makes a folder. Default: named after the URL; several files of a
            translation go to a folder with its UUID, those of several requests are named after their ids.
        overwrite: Replace files that exist.
        family: Kind of request: lipsync, the default, or translate.
        timeout: Seconds for an answer or the next bytes, by default 60.
        json: Print a line of JSON with id and paths for each request.
        service: The service to call, and its credentials.
    """
    # With one id, the record of an error names it.
    alone = ids[0] if len(ids) == 1 and not ids[0].startswith("@") else None
    with error_as_record(alone, json=json):
        given = await read_ids(ids)
        code = ExitCode.FAILED if given.errors else ExitCode.OK
        async with (service or ServiceOptions()).client(timeout=timeout) as client:
            if len(given.ids) != 1 or alone is None:
                return worst([code, *await _many(client, family, given.ids, output, overwrite=overwrite, json=json)])
            job = await requests_of(client, family).get(given.ids[0])
            paths = await download_outputs(client, job, output, overwrite=overwrite)
    if json:
        print_line(record(id=job.id, paths=[str(path) for path in paths]))
    else:
        for path in paths:
            print_line(clean(str(path)))
    return code


async def _many(
    client: AsyncClient, family: Family, ids: list[str], output: str | None, *, overwrite: bool, json: bool
) -> list[ExitCode]:
    folder = _folder(output)
    outcomes = await requests_of(client, family).get_many(ids)
    jobs = [(id, outcome.request if outcome.error is None else outcome.error) for id, outcome in outcomes.items()]
    return await download_many(
        client, [(id, job) for id, job in jobs if job is not None], folder, overwrite=overwrite, json=json
    )


def _folder(output: str | None) -> Path:
    folder = Path("." if output is None else output)
    if output is not None and not folder.is_dir() and (folder.exists() or not names_folder(output)):
        raise ConfigurationError(f"several outputs need a folder, and {output} is none; a new one ends with a slash")
    return folder
