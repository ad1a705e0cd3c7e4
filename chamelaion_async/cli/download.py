"""``download``: the output of a job to disk."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from .exits import ExitCode
from .family import Family, requests_of
from .options import AttemptTimeout, Flag, Service
from .output import say
from .outputs import fetch
from .records import plain_record, recording
from .text import clean

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
    service: Service | None = None,
) -> int:
    """Download the output of a completed request, and print where it lies.

    A download that broke off is resumed by the same command. Exits with 0 if all is there, 1 if the request failed,
    has no output or is not known, 2 if the command line, the settings or the credentials are wrong or a file exists,
    3 if the request is not finished yet or the download broke off.

    Args:
        id: UUID of the request, or the reference id it was submitted with.
        output: File to write, or a folder to write to; one that does not exist yet is named with a slash at its end.
            Default: a file named after the URL; for a translation, which
            has several, a folder named after its UUID.
        overwrite: Replace files that exist.
        family: What kind of request it is.
        timeout: Seconds to wait for an answer, or for the next bytes.
        json: Print one JSON object with id and paths.
        service: Which service to call, and with which credentials.
    """
    with recording(id, json=json):
        async with (service or Service()).client(timeout=timeout) as client:
            job = await requests_of(client, family).get(id)
            paths = await fetch(client, job, output, overwrite=overwrite)
    if json:
        say(plain_record(id=job.id, paths=[str(path) for path in paths]))
    else:
        for path in paths:
            say(clean(str(path)))
    return ExitCode.OK
