"""``generate``: submit a lip sync job."""

from __future__ import annotations

from ._ui.json_records import error_as_record
from ._ui.options import Flag, ServiceOptions, WaitTimeout
from ._ui.submission import are_urls, finish_submission, submission_guard, submit_lipsync

__all__ = ["generate"]


async def generate(
    video: str,
    audio: str,
    /,
    *,
    reference_id: str | None = None,
    no_speaker_detection: Flag = False,
    wait: Flag = False,
    timeout: WaitTimeout = 600.0,
    json: Flag = False,
    service: ServiceOptions | None = None,
) -> int:
    """Submit a lip sync job. This costs money.

    The first line of output is the id of the request. Exit codes: 0 accepted, 1 the quota is used up, 2 wrong
    arguments, settings or credentials, 3 the service cannot be reached or may or may not have accepted the job. With
    --wait, they are the same as for wait. Example: chamelaion-async generate in.mp4 dub.wav --wait

    Args:
        video: URL (http or https) of the video, or a file to upload.
        audio: URL or file of the audio. Video and audio are both URLs or both files.
        reference_id: Your own id for the job, by which it is found if an answer is lost.
        no_speaker_detection: Turn off the detection of the active speaker.
        wait: Wait until the job is finished.
        timeout: Seconds for --wait, by default 600; inf is no limit.
        json: Print one JSON object with request_id and status; with --wait, the finished request instead.
        service: The service to call, and its credentials.
    """
    service = service or ServiceOptions()
    with error_as_record(reference_id, json=json):
        are_urls(video, audio)
        async with service.client() as client:
            with submission_guard("lipsync", service, reference_id):
                accepted = await submit_lipsync(
                    client, video, audio, reference_id=reference_id, no_speaker_detection=no_speaker_detection
                )
            return await finish_submission(
                client, accepted, "lipsync", service, wait=wait, timeout=timeout, json=json
            )
