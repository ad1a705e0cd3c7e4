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
        origin: scheme, host and port of /output/.
    """
    view = {"id": job.id, "reference_id": job.reference_id, **_progress(job, now)}
    if view["status"] == "completed":
        view["output_url"] = f"{origin}/output/{job.output_name}"
    return {name: value for name, value in view.items() if value is not None}


def translate_view(job: Job, *, now: float, origin: str) -> dict[str, Any]:
    """Return a video translation request; a field that is not known yet is null.

    Args:
        job: of the video translation family.
        now: seconds since the epoch.
        origin: scheme, host and port of /output/.
    """
    payload, progress, outputs = job.payload, _progress(job, now), None
    languages: list[str] = list(payload.get("target_languages", ()))
    if progress["status"] == "completed":
        outputs = {language: _artifacts(f"{origin}/output/{job.output_name}", language) for language in languages}
    return {
        "id": job.id,
        "target_languages": languages,
        "disable_background_audio": payload.get("disable_background_audio", False),
        "disable_lip_sync": payload.get("disable_lip_sync", False),
        "formality": payload.get("formality", False),
        "model": payload.get("model", "expressive"),
        "config": payload.get("config", {}),
        **progress,
        "outputs": outputs,
        "reference_id": job.reference_id,
        "source_language": payload.get("source_language"),
        "webhook_url": job.webhook_url,
    }


def _progress(job: Job, now: float) -> dict[str, str | None]:
    is_finished = job.is_finished(now)
    return {
        "status": job.status(now),
        "created_at": rfc3339(job.created_at),
        "started_at": rfc3339(job.started_at) if job.is_started(now) else None,
        "finished_at": rfc3339(job.finished_at) if is_finished else None,
        "error_message": job.error_message if is_finished else None,
    }


def _artifacts(root: str, language: str) -> dict[str, str]:
    folder = f"{root}/{quote(language, safe='')}"
    return {"video": f"{folder}/video.mp4", "audio": f"{folder}/audio.wav", "srt": f"{folder}/subtitles.srt"}
