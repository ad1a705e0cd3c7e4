"""``run``: from two media to a file on disk, in one command."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ..client import AsyncClient
from ..models import LipsyncRequest
from . import exits
from .acceptance import naming, submission
from .advice import command
from .boards import ErrorBoard
from .exits import ExitCode
from .follow import follow_all, make_board
from .media import are_urls, submit_lipsync
from .options import Flag, Service, WaitTimeout
from .output import note, say
from .outputs import check_targets, fetch
from .records import job_record, recording
from .text import clean

__all__ = ["run"]


async def run(
    video: str,
    audio: str,
    /,
    *,
    output: Annotated[str, Parameter(alias="-o")],
    reference_id: str | None = None,
    no_speaker_detection: Flag = False,
    overwrite: Flag = False,
    timeout: WaitTimeout = 600.0,
    json: Flag = False,
    service: Service | None = None,
) -> int:
    """Submit a lip sync job, wait for it and download its output. This costs money.

    The first line of output is the id of the request, the last one the file. If it ends early, stderr says how to go
    on without paying twice. Exits with 0 if the file is there, 1 if the job failed, 2 if the command line, the
    settings or the credentials are wrong or the file exists, 3 if it is not certain that the job was accepted, the
    job did not finish in time or the download broke off.

    Args:
        video: URL (http or https) that the service fetches, or a file to upload.
        audio: Likewise; both are URLs or both are files.
        output: File to write.
        reference_id: Your own id for the job. With one, a lost answer can be found again.
        no_speaker_detection: Skip the detection of the active speaker.
        overwrite: Replace a file that exists.
        timeout: Seconds to wait for the job in all; inf waits without end.
        json: Print one JSON object at the end: the request, and the path of the file.
        service: Which service to call, and with which credentials.
    """
    service = service or Service()
    with recording(reference_id, json=json):
        are_urls(video, audio)
        check_targets([output], overwrite=overwrite)
        client = service.client()
    async with client:
        with recording(reference_id, json=json), submission("lipsync", service, reference_id):
            accepted = await submit_lipsync(
                client, video, audio, reference_id=reference_id, no_speaker_detection=no_speaker_detection
            )
        id = accepted.request_id
        again = service.repeated()
        advice = f"to go on: {command('wait', id, **again)} && {command('download', id, output=output, **again)}"
        with naming(id, advice, json=json):
            if json:  # stdout gets its record at the end, and a kill would leave nothing of the id
                note(f"submitted: {clean(id)}")
            else:
                say(clean(id))
            job, code = await _bring(client, id, output, overwrite=overwrite, timeout=timeout, json=json)
            if code not in (ExitCode.OK, ExitCode.FAILED):
                note(advice)
    path = output if code is ExitCode.OK else None
    with naming(id, "its output is there", json=json):
        if job is not None and json:
            say(job_record(job, path=path))
        elif path is not None:
            say(clean(path))
    return code


async def _bring(
    client: AsyncClient, id: str, output: str, *, overwrite: bool, timeout: float, json: bool
) -> tuple[LipsyncRequest | None, ExitCode]:
    """Wait and download; the job comes back once it is finished."""
    board = ErrorBoard() if json else make_board([id])
    (outcome,) = await follow_all(client.lipsync.requests, board, [id], timeout=timeout)
    if outcome.error is not None:
        return None, exits.of_error(outcome.error)
    job = outcome.unwrap()
    if job.is_completed:
        with recording(id, json=json):
            await fetch(client, job, output, overwrite=overwrite)
    return job, exits.of_job(job)
