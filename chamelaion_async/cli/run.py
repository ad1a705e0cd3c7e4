"""``run``: submit a lip sync job, wait for it and download its output."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ..client import AsyncClient
from ..models import LipsyncRequest, VideoTranslateRequest
from ._ui.advice import command_line
from ._ui.board import JsonBoard, make_board
from ._ui.exits import ExitCode
from ._ui.json_records import api_record, error_as_record
from ._ui.options import Flag, ServiceOptions, WaitTimeout
from ._ui.output_files import check_targets, download_outputs
from ._ui.printing import print_line, print_note
from ._ui.submission import advice_on_failure, are_urls, submission_guard, submit_lipsync
from ._ui.text import clean
from ._ui.waiting import of_outcome, wait_for_all

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
    service: ServiceOptions | None = None,
) -> int:
    """Submit a lip sync job, wait and download. This costs money.

    Prints the id of the request first, and the file last. If it ends early, stderr says how to continue without
    paying twice. Exit codes: 0 downloaded, 1 the job failed, 2 wrong arguments, settings or credentials, or the file
    exists, 3 no answer, not in time, or the download broke off. Example: chamelaion-async run in.mp4 dub.wav -o
    out.mp4

    Args:
        video: URL (http or https) of the video, or a file to upload.
        audio: URL or file of the audio. Video and audio are both URLs or both files.
        output: File to write.
        reference_id: Your own id for the job, by which it is found if an answer is lost.
        no_speaker_detection: Turn off the detection of the active speaker.
        overwrite: Replace the file if it exists.
        timeout: Seconds for the job, by default 600; inf is no limit.
        json: Print the request with the path of the file as JSON.
        service: The service to call, and its credentials.
    """
    service = service or ServiceOptions()
    with error_as_record(reference_id, json=json):
        are_urls(video, audio)
        check_targets([output], overwrite=overwrite)
        client = service.client()
    async with client:
        with error_as_record(reference_id, json=json), submission_guard("lipsync", service, reference_id):
            accepted = await submit_lipsync(
                client, video, audio, reference_id=reference_id, no_speaker_detection=no_speaker_detection
            )
        id = accepted.request_id
        options = service.for_next_command()
        next_commands = [command_line("wait", id, **options), command_line("download", id, output=output, **options)]
        advice = f"to continue: {' && '.join(next_commands)}"
        with advice_on_failure(id, advice, json=json):
            if json:  # the only line on stdout comes at the end, and a kill would leave no trace of the id
                print_note(f"submitted: {clean(id)}")
            else:
                print_line(clean(id))
            job, code = await _wait_and_download(client, id, output, overwrite=overwrite, timeout=timeout, json=json)
            if code not in (ExitCode.OK, ExitCode.FAILED):
                print_note(advice)
    path = output if code is ExitCode.OK else None
    with advice_on_failure(id, "the file is complete", json=json):
        if job is not None and json:
            print_line(api_record(job, path=path))
        elif path is not None:
            print_line(clean(path))
    return code


async def _wait_and_download(
    client: AsyncClient, id: str, output: str, *, overwrite: bool, timeout: float, json: bool
) -> tuple[LipsyncRequest | VideoTranslateRequest | None, ExitCode]:
    """Return the job if it is finished, and the exit code."""
    board = JsonBoard(has_jobs=False) if json else make_board([id], durations=client.durations)
    (outcome,) = await wait_for_all(client.lipsync.requests, board, [id], timeout=timeout)
    job = outcome.request
    if job is not None and job.is_completed:
        with error_as_record(id, json=json):
            await download_outputs(client, job, output, overwrite=overwrite)
    return job, of_outcome(outcome)
