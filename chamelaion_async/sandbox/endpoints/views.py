"""The JSON of a job."""

from typing import Any
from urllib.parse import quote

from ..world.jobs import Job
from ..world.timestamps import rfc3339


def lipsync_view(job: Job, *, now: float, origin: str) -> dict[str, Any]:
    """Return a lip sync request; a field that is not known yet is absent.

    Args:
        job: of the lip sync family.
        now: seconds since the epoch.
        origin: where /output/ is served.
    """
    view: dict[str, Any] = {"id": job.id}
    if job.reference_id is not None:
        view["reference_id"] = job.reference_id
    view["status"] = job.status(now)
    view["created_at"] = rfc3339(job.created_at)
    if job.is_started(now):
        view["started_at"] = rfc3339(job.started_at)
    if job.is_finished(now):
        view["finished_at"] = rfc3339(job.finished_at)
        if job.error_message is None:
            view["output_url"] = f"{origin}/output/{job.output_name}"
        else:
            view["error_message"] = job.error_message
    return view


def translate_view(job: Job, *, now: float, origin: str) -> dict[str, Any]:
    """Return a video translation request; a field that is not known yet is null.

    Args:
        job: of the video translation family.
        now: seconds since the epoch.
        origin: where /output/ is served.
    """
    payload = job.payload
    languages: list[str] = list(payload.get("target_languages", ()))
    is_finished = job.is_finished(now)
    outputs = None
    if is_finished and job.error_message is None:
        outputs = {language: _artifacts(job, language, origin) for language in languages}
    return {
        "id": job.id,
        "target_languages": languages,
        "disable_background_audio": payload.get("disable_background_audio", False),
        "disable_lip_sync": payload.get("disable_lip_sync", False),
        "formality": payload.get("formality", False),
        "model": payload.get("model", "expressive"),
        "config": payload.get("config", {}),
        "status": job.status(now),
        "created_at": rfc3339(job.created_at),
        "started_at": rfc3339(job.started_at) if job.is_started(now) else None,
        "finished_at": rfc3339(job.finished_at) if is_finished else None,
        "error_message": job.error_message if is_finished else None,
        "outputs": outputs,
        "reference_id": job.reference_id,
        "source_language": payload.get("source_language"),
        "webhook_url": job.webhook_url,
    }


def _artifacts(job: Job, language: str, origin: str) -> dict[str, str]:
    folder = f"{origin}/output/{job.output_name}/{quote(language, safe='')}"
    return {"video": f"{folder}/video.mp4", "audio": f"{folder}/audio.wav", "srt": f"{folder}/subtitles.srt"}
