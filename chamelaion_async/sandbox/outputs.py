"""What a finished job has to download: the uploaded video, or a clip that says that nothing was done."""

from collections.abc import Callable
from pathlib import Path

from . import clips
from .jobs import Job
from .ranges import Content
from .timestamps import http_date


def lipsync_output(job: Job) -> Content:
    """Return the output video of a lip sync job."""
    return _video(job, clips.lipsync_video)


def artifact(job: Job, language: str, name: str) -> Content | None:
    """Return an artifact of a translation, None if there is no such thing.

    Args:
        job: of the video translation family.
        language: one of its target languages.
        name: video.mp4, audio.wav or subtitles.srt.
    """
    if language not in job.payload.get("target_languages", ()):
        return None
    if name == "video.mp4":
        return _video(job, clips.translated_video)
    if name == "audio.wav":
        return _content(job, clips.silence(), "audio/wav")
    if name == "subtitles.srt":
        return _content(job, clips.subtitles(language), "application/x-subrip")
    return None


def _video(job: Job, clip: Callable[[], bytes]) -> Content:
    if job.output is not None:
        return _content(job, job.output, "video/mp4")
    upload = job.uploads.get("video")
    # The upload is gone if the sandbox has been stopped and started again.
    if upload is not None and upload.path.exists():
        return _content(job, upload.path, upload.content_type)
    return _content(job, clip(), "video/mp4")


def _content(job: Job, data: bytes | Path, content_type: str) -> Content:
    size = len(data) if isinstance(data, bytes) else data.stat().st_size
    changed_at = job.finished_at if job.output_changed_at is None else job.output_changed_at
    return Content(
        data=data,
        size=size,
        content_type=content_type,
        etag=f'"{job.id}-{job.output_version}-{size}"',
        last_modified=http_date(changed_at),
    )
