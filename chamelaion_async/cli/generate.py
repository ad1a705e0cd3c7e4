"""``generate``: submit a lip sync job."""

from __future__ import annotations

from .acceptance import conclude, submission
from .media import are_urls, submit_lipsync
from .options import Flag, Service, WaitTimeout
from .records import recording

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
    service: Service | None = None,
) -> int:
    """Submit a lip sync job. This costs money.

    The first line of output is the id of the request. Exits with 0 if it was accepted, 1 if the plan's quota is used
    up, 2 if the command line, the settings or the credentials are wrong, 3 if the service cannot be reached or it is
    not certain that it accepted the job; with --wait as *wait* does.

    Args:
        video: URL (http or https) that the service fetches, or a file to upload.
        audio: Likewise; both are URLs or both are files.
        reference_id: Your own id for the job. With one, a lost answer can be found again.
        no_speaker_detection: Skip the detection of the active speaker.
        wait: Wait until the job is finished.
        timeout: Seconds to wait in all, with --wait; inf waits without end.
        json: Print one JSON object with request_id and status; with --wait the finished request instead.
        service: Which service to call, and with which credentials.
    """
    service = service or Service()
    with recording(reference_id, json=json):
        are_urls(video, audio)
        async with service.client() as client:
            with submission("lipsync", service, reference_id):
                accepted = await submit_lipsync(
                    client, video, audio, reference_id=reference_id, no_speaker_detection=no_speaker_detection
                )
            return await conclude(client, accepted, "lipsync", service, wait=wait, timeout=timeout, json=json)
